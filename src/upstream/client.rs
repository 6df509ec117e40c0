//! With which client is upstream called?
//!
//! One reqwest client with its pool, made anew when what is shown or believed
//! over TLS changes: calls under way go on, and the connections of before
//! close when they are done.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::tls::{ClientTls, client_tls};

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the upstream client cannot be set up")]
pub struct HttpUpstreamError(#[from] reqwest::Error);

/// The client of now, and what the next one is made of.
pub(super) struct Clients {
    current: Mutex<reqwest::Client>,
    tls: Mutex<Option<watch::Receiver<ClientTls>>>,
    timeout: Duration,
}

impl Clients {
    /// Without settings of TLS the system's authorities are believed.
    pub(super) fn new(
        mut tls: Option<watch::Receiver<ClientTls>>,
        timeout: Duration,
    ) -> Result<Self, HttpUpstreamError> {
        let shown = tls.as_mut().map(|tls| tls.borrow_and_update().clone());
        Ok(Self {
            current: Mutex::new(client(shown, timeout)?),
            tls: Mutex::new(tls),
            timeout,
        })
    }

    /// The client for a call that begins now.
    pub(super) fn current(&self) -> reqwest::Client {
        if let Some(shown) = self.news() {
            match client(Some(shown), self.timeout) {
                Ok(next) => *lock(&self.current) = next,
                Err(error) => tracing::error!(%error, "the client of before goes on"),
            }
        }
        lock(&self.current).clone()
    }

    /// What is to be shown from now on, if that has changed.
    fn news(&self) -> Option<ClientTls> {
        let mut tls = lock(&self.tls);
        let tls = tls.as_mut()?;
        let changed = tls.has_changed().unwrap_or(false);
        changed.then(|| tls.borrow_and_update().clone())
    }
}

/// Both are whole at every point where a panic could leave them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn client(
    shown: Option<ClientTls>,
    timeout: Duration,
) -> Result<reqwest::Client, HttpUpstreamError> {
    let tls = shown.map_or_else(client_tls, |shown| Some((*shown).clone()));
    let client = match tls {
        Some(tls) => reqwest::Client::builder().tls_backend_preconfigured(tls),
        None => reqwest::Client::builder(),
    };
    let client = client
        .connect_timeout(timeout)
        // A key must never follow a redirect to somebody else.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    Ok(client.build()?)
}

//! With which client is upstream called?
//!
//! One reqwest client with its pool, made anew when what is shown or believed
//! over TLS changes: calls under way go on, and the connections of before
//! close when they are done.

use std::{error::Error, future::Future, io, time::Duration};

use tokio::sync::watch;
use tokio_rustls::rustls;

use crate::tls::{ClientTls, client_tls};

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the upstream client cannot be set up")]
pub struct HttpUpstreamError(#[from] reqwest::Error);

/// The client of now, and what later ones are made of.
pub(super) struct Clients {
    current: watch::Sender<reqwest::Client>,
    tls: Option<watch::Receiver<ClientTls>>,
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
            current: watch::Sender::new(client(shown, timeout)?),
            tls,
            timeout,
        })
    }

    /// The client for a call that begins now.
    pub(super) fn current(&self) -> reqwest::Client {
        self.current.borrow().clone()
    }

    /// Makes a new client of every new setting; ends when there can be none.
    pub(super) fn follow(&self) -> impl Future<Output = ()> + Send + use<> {
        let (current, timeout) = (self.current.clone(), self.timeout);
        let tls = self.tls.clone();
        async move {
            let Some(mut tls) = tls else { return };
            while tls.changed().await.is_ok() {
                let shown = tls.borrow_and_update().clone();
                match client(Some(shown), timeout) {
                    Ok(client) => drop(current.send_replace(client)),
                    Err(error) => tracing::error!(%error, "the client of before goes on"),
                }
            }
        }
    }
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

/// reqwest says "error sending request" and keeps the cause in its sources.
pub(super) fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Whether a call failed because the other side's certificate is not good.
pub(super) fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // An error of I/O passes over what it wraps when asked for its source.
        next = match error.downcast_ref::<io::Error>() {
            Some(wrapping) => wrapping.get_ref().map(|wrapped| wrapped as _),
            None => error.source(),
        };
    }
    false
}

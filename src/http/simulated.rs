//! How is a simulated connection served?
//!
//! By the worker's own code, within the caller's set of local tasks. What is
//! left out is what a simulated network has not: a socket that is bound, the
//! acceptor's caps, threads, TLS.

use std::{future::Future, net::SocketAddr, rc::Rc, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, watch},
};

use super::{
    Deadlines, Service,
    accept::Arrival,
    connection::one_by_one,
    proxies::Peer,
    pulse::Pulse,
    request::Asked,
    server::Stage,
    worker::{Ending, Parts, Shared, work},
};
use crate::telemetry::metrics::HttpCounters;

/// A stream of a simulated network.
pub(crate) struct Simulated<T> {
    pub(crate) stream: T,
    pub(crate) peer: SocketAddr,
}

impl<T> Arrival for Simulated<T>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    async fn serve<S: Service>(self, shared: Rc<Shared<S>>, pulse: Rc<Pulse>) {
        let ending = Ending(shared);
        let shared = &ending.0;
        let asked = Asked {
            memory: Rc::new(shared.service.connected(self.peer)),
            shared: Rc::clone(shared),
            pulse,
            peer: Peer {
                address: self.peer,
                local: false,
            },
        };
        one_by_one(asked, self.stream).await;
    }
}

/// Serves what comes over the channel until that is closed, or the future is
/// dropped.
pub(crate) fn serve_here<S, T>(
    service: S,
    connections: mpsc::Receiver<Simulated<T>>,
    counters: Arc<HttpCounters>,
) -> impl Future<Output = ()>
where
    S: Service,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    // Nobody ever drains it: a simulated host crashes.
    let (stage, watching) = watch::channel(Stage::Serving);
    let parts = Parts {
        connections,
        stage: watching,
        deadlines: Deadlines::default(),
        proxies: None,
        counters,
    };
    async move {
        work(parts, service).await;
        drop(stage);
    }
}

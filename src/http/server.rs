//! How does a listener begin and end?
//!
//! [`serve`] starts one acceptor and the workers, each a named thread, and
//! returns a [`Server`] that knows the real address. [`Server::drain`] ends in
//! the order: no new connections, requests in flight finish (within a
//! deadline), idle connections close, threads end.

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::sync::{mpsc, watch};

use super::{
    Service,
    accept::{Acceptor, Caps},
    listen::Listener,
    pulse::Deadlines,
    worker,
};
use crate::telemetry::metrics::Metrics;

/// Connections on the way from the acceptor to one worker: enough for it to
/// have the next ones at hand. More wait in the kernel's queue.
pub(super) const HANDOVER_MAX: usize = 64;

/// How a listener is served.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Names threads and metrics, such as `edge`.
    pub name: &'static str,
    /// Threads that answer.
    pub workers: NonZeroUsize,
    /// Open connections in all; more are closed at once.
    pub connections_max: usize,
    /// Open connections of one address (of one /64 with IPv6).
    pub connections_per_address_max: usize,
    /// What slow peers are granted.
    pub deadlines: Deadlines,
}

/// A thread of the listener could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the threads of listener {name}")]
pub struct ServeError {
    /// Which listener.
    pub name: &'static str,
    /// What the system said.
    #[source]
    pub cause: io::Error,
}

/// Where serving stands; workers and the acceptor watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Connections are taken.
    Serving,
    /// No new connections; what runs may finish.
    Draining,
    /// Everything closes now.
    Closed,
}

/// A running listener. Dropping it closes everything at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    url: String,
    stage: watch::Sender<Stage>,
    /// Closed when the last thread has ended: every thread holds a sender.
    ended: mpsc::Receiver<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// The real address of the network; unspecified for a socket file.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How a client writes where this is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops accepting, lets requests in flight finish within the deadline,
    /// then closes. Returns when all threads have ended.
    pub async fn drain(mut self, deadline: Duration) {
        self.stage.send_replace(Stage::Draining);
        // Nothing is ever sent: the end of the channel is the message.
        let finished = tokio::time::timeout(deadline, self.ended.recv()).await;
        if finished.is_err() {
            self.stage.send_replace(Stage::Closed);
            self.ended.recv().await;
        }
        for thread in self.threads.drain(..) {
            // All that is left of the thread is its end, so this waits for no
            // time worth mentioning. A panic was printed by the panic hook.
            if thread.join().is_err() {
                tracing::error!("a listener's thread had panicked");
            }
        }
    }
}

/// Serves a bound listener. `make` is called once on each worker's thread.
pub fn serve<S, M>(
    listener: Listener,
    options: Options,
    metrics: &Metrics,
    make: M,
) -> Result<Server, ServeError>
where
    S: Service,
    M: Fn(usize) -> S + Send + Sync + 'static,
{
    let failed = |cause| ServeError {
        name: options.name,
        cause,
    };
    let (address, url) = (listener.address(), listener.url());
    let (stage, watching) = watch::channel(Stage::Serving);
    let (alive, ended) = mpsc::channel::<()>(1);
    let make = Arc::new(make);
    let mut threads = Vec::with_capacity(options.workers.get() + 1);
    let mut handovers = Vec::with_capacity(options.workers.get());

    for number in 0..options.workers.get() {
        let (handover, connections) = mpsc::channel(HANDOVER_MAX);
        handovers.push(handover);
        let parts = worker::Parts {
            connections,
            stage: watching.clone(),
            deadlines: options.deadlines,
            proxies: listener.proxies.clone(),
            counters: metrics.http(options.name),
        };
        let (make, alive) = (Arc::clone(&make), alive.clone());
        let thread = thread(format!("{}-{number}", options.name), move |runtime| {
            worker::run(&runtime, parts, make(number));
            drop(alive);
        });
        threads.push(thread.map_err(failed)?);
    }
    let acceptor = Acceptor {
        listener,
        handovers,
        stage: watching,
        caps: Caps::new(options.connections_max, options.connections_per_address_max),
        counters: metrics.http(options.name),
    };
    let thread = thread(format!("{}-accept", options.name), move |runtime| {
        runtime.block_on(acceptor.run());
        drop(alive);
    });
    threads.push(thread.map_err(failed)?);
    Ok(Server {
        address,
        url,
        stage,
        ended,
        threads,
    })
}

/// A named thread with a runtime of its own. The runtime is built here, so
/// that a failure to get one is an error and not a thread that dies.
fn thread(
    name: String,
    body: impl FnOnce(tokio::runtime::Runtime) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name(name)
        .spawn(move || body(runtime))
}

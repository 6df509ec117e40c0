//! How do requests get in and answers out?
//!
//! The plumbing that the edge's listeners and the store share: binding, one
//! acceptor, workers of one thread each, TLS, hyper's settings and everything
//! hyper leaves to its user (deadlines, caps, strict heads). What a request *means*
//! is the matter of a [`Service`]; this folder knows no route and no key.
//!
//! A worker is one thread with a `current_thread` runtime, so futures and
//! services need not be `Send` and may use `Rc` and `Cell`.

mod accept;
mod answer;
mod body;
mod connection;
mod handshake;
mod head;
pub mod json;
mod listen;
mod proxies;
mod pulse;
mod request;
mod server;
#[cfg(test)]
mod simulated;
mod socket_file;
mod stream;
#[cfg(test)]
mod tests;
mod upgrade;
pub mod version;
mod worker;

use std::{future::Future, net::SocketAddr, rc::Rc};

pub use crate::tls::client_tls;
pub use answer::{Answer, AnswerBody, empty, json_bytes, problem, scrape};
pub use body::{Body, BodyError};
pub use listen::{BindError, Listener};
pub use proxies::{HopHeader, Proxies};
pub use pulse::Deadlines;
pub use server::{Options, ServeError, Server, serve};
#[cfg(test)]
pub(crate) use simulated::{Simulated, serve_here};
pub use upgrade::{Closing, Duplex, Takeover, Upgraded};

/// A request whose head was admitted and whose body waits to be read; the body
/// also knows whom the request is from ([`Body::client`]).
pub type Request = hyper::Request<Body>;

/// Answers requests; one value for each worker.
pub trait Service: 'static {
    /// What is remembered between the requests of one connection.
    type Memory: 'static;

    /// Whether a connection that was accepted is served; else it is closed at
    /// once.
    fn takes_connections(&self) -> bool {
        true
    }

    /// A new connection's memory. The peer of a socket file is loopback.
    fn connected(&self, peer: SocketAddr) -> Self::Memory;

    /// Answers one request. A panic in here costs this request a 500.
    fn call(
        self: Rc<Self>,
        memory: Rc<Self::Memory>,
        request: Request,
    ) -> impl Future<Output = Answer> + 'static;
}

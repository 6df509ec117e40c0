//! What becomes of a connection that leaves HTTP?
//!
//! A service answers a request with 101 and a [`Takeover`]; once that answer
//! is out, the takeover has the bare stream until it returns. The connection
//! keeps its task and its place among the connections; the reaper still cuts a
//! client that takes nothing, and the end of serving is told.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::pulse::{Fate, Pulse};

/// A stream of bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// What a takeover gets.
pub struct Upgraded {
    /// The connection.
    pub stream: Box<dyn Duplex>,
    /// What had already been read of it behind the request.
    pub read: Bytes,
    /// When serving is to end.
    pub closing: Closing,
}

/// Tells that serving is to end.
pub struct Closing(Rc<Pulse>);

impl Closing {
    /// Returns when whatever is served here is to end soon.
    pub async fn begun(&self) {
        poll_fn(|cx: &mut Context<'_>| match self.0.fate(cx.waker()) {
            Fate::Live => Poll::Pending,
            Fate::Drain | Fate::Cut => Poll::Ready(()),
        })
        .await;
    }
}

type Taking = Box<dyn FnOnce(Upgraded) -> Pin<Box<dyn Future<Output = ()>>>>;

/// What is done with the connection when HTTP is over.
pub struct Takeover(Taking);

impl Takeover {
    /// On the thread of the connection's worker.
    pub fn new<F, T>(taking: T) -> Self
    where
        T: FnOnce(Upgraded) -> F + 'static,
        F: Future<Output = ()> + 'static,
    {
        Self(Box::new(|upgraded| Box::pin(taking(upgraded))))
    }

    /// Runs to its end, or until the connection is cut.
    pub(super) async fn run(self, stream: Box<dyn Duplex>, read: Bytes, pulse: Rc<Pulse>) {
        let closing = Closing(Rc::clone(&pulse));
        let mut taking = (self.0)(Upgraded {
            stream,
            read,
            closing,
        });
        poll_fn(|cx: &mut Context<'_>| match pulse.fate(cx.waker()) {
            Fate::Cut => Poll::Ready(()),
            Fate::Live | Fate::Drain => taking.as_mut().poll(cx),
        })
        .await;
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takeover").finish_non_exhaustive()
    }
}

//! Do client and listener agree on TLS?
//!
//! On the worker's thread, in the connection's own task: a flood of handshakes
//! never stands before the acceptor. Failures are counted by reason and not
//! logged one by one. Who speaks HTTP in the clear is told so, in the clear.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    task::{Context, Poll},
};

use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{TlsAcceptor, rustls, server::TlsStream};

use super::pulse::{Fate, Pulse};
use crate::{telemetry::metrics::Unagreed, tls::ServerTls};

/// What HTTP/2 is called in ALPN.
const H2: &[u8] = b"h2";

/// Said to clients that forgot the s of https.
const IN_THE_CLEAR: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\
    content-type: text/plain\r\ncontent-length: 36\r\n\r\n\
    This port speaks TLS; expected https";

/// A stream, by the protocol that was agreed on.
pub(super) enum Agreed {
    /// HTTP/1.1, also when the client named nothing.
    One(TlsStream<TcpStream>),
    /// HTTP/2.
    Many(TlsStream<TcpStream>),
}

/// Agrees, within the time a head has. No reason stands for a connection that
/// was cut, or that is given up because serving ends.
pub(super) async fn agree(
    tcp: TcpStream,
    tls: ServerTls,
    pulse: &Pulse,
) -> Result<Agreed, Option<Unagreed>> {
    pulse.handshake();
    let mut agreeing = pin!(accept(tcp, tls));
    let stream = poll_fn(|cx: &mut Context<'_>| match pulse.fate(cx.waker()) {
        Fate::Live => agreeing.as_mut().poll(cx).map_err(Some),
        Fate::Drain | Fate::Cut => Poll::Ready(Err(None)),
    });
    let stream = stream.await?;
    let multiplexed = stream.get_ref().1.alpn_protocol() == Some(H2);
    pulse.agreed(multiplexed);
    Ok(if multiplexed {
        Agreed::Many(stream)
    } else {
        Agreed::One(stream)
    })
}

async fn accept(mut tcp: TcpStream, tls: ServerTls) -> Result<TlsStream<TcpStream>, Unagreed> {
    let mut first = [0];
    let seen = tcp.peek(&mut first).await;
    if matches!(seen, Ok(0) | Err(_)) {
        return Err(Unagreed::Gone);
    }
    // Every method begins with a letter, and no record of TLS does.
    if first[0].is_ascii_alphabetic() {
        // Whoever does not read it has the connection closed all the same.
        drop(tcp.write_all(IN_THE_CLEAR).await);
        drop(tcp.shutdown().await);
        return Err(Unagreed::NotTls);
    }
    TlsAcceptor::from(tls).accept(tcp).await.map_err(|error| {
        tracing::debug!(%error, "a handshake failed");
        reason(&error)
    })
}

fn reason(error: &io::Error) -> Unagreed {
    use rustls::Error;
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        None => Unagreed::Gone,
        Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }) => Unagreed::NotTls,
        Some(Error::NoCertificatesPresented) => Unagreed::NoCertificate,
        Some(Error::InvalidCertificate(_)) => Unagreed::Certificate,
        Some(Error::AlertReceived(_)) => Unagreed::Alert,
        Some(_) => Unagreed::Incompatible,
    }
}

//! How is one connection served?
//!
//! In the clear or after a handshake, by HTTP/1.1 or, when TLS agreed on it,
//! by HTTP/2. HTTP/1.1 in the clear is the usual way and pays for nothing
//! else: the task is made for the kind of stream, and the others are boxed.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use super::{
    Service,
    accept::{Arrived, Handover},
    handshake::{self, Agreed},
    pulse::{Fate, Pulse},
    request::{self, Asked},
    stream::Stream,
    worker::{Ending, Shared},
};
use crate::{
    limits::{
        CONNECTION_BUFFER_BYTES_MAX, H2_CONNECTION_WINDOW_BYTES, H2_SEND_BYTES_MAX,
        H2_STREAM_WINDOW_BYTES, H2_STREAMS_MAX, HEAD_BYTES_MAX, HEADERS_MAX,
    },
    telemetry::metrics::Reaped,
};

/// How often an HTTP/2 client is asked whether it is still there, and how long
/// its answer may take: one that is gone without a word holds nothing open.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_WITHIN: Duration = Duration::from_secs(20);

/// hyper's settings for both protocols.
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<Local>,
}

impl Protocols {
    /// The reaper stands in for hyper's header timer, which would box a timer
    /// for each request; without `pipeline_flush` hyper sends its own 400 and
    /// 431 before it closes. The number of headers is left at hyper's default,
    /// because a number set here would cost an allocation per request.
    pub(super) fn new() -> Self {
        const { assert!(HEADERS_MAX == 100, "hyper's default") };
        const { assert!(HEAD_BYTES_MAX <= u32::MAX as usize) };
        let mut http1 = http1::Builder::new();
        http1
            .header_read_timeout(None)
            .half_close(false)
            .max_buf_size(CONNECTION_BUFFER_BYTES_MAX)
            .max_header_size(HEAD_BYTES_MAX);
        let mut http2 = http2::Builder::new(Local);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(H2_STREAMS_MAX)
            .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .max_send_buf_size(H2_SEND_BYTES_MAX)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WITHIN);
        Self { http1, http2 }
    }
}

/// Runs the requests of an HTTP/2 connection on its worker's thread. Each ends
/// with its connection: hyper tells it that the client is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local;

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, request: F) {
        drop(tokio::task::spawn_local(async move {
            request.await;
        }));
    }
}

/// Serves one connection to its end.
pub(super) async fn connection<S: Service>(
    shared: Rc<Shared<S>>,
    handover: Handover,
    pulse: Rc<Pulse>,
) {
    let Handover {
        stream,
        peer,
        place: _place,
        tls,
    } = handover;
    let ending = Ending(shared);
    let shared = &ending.0;
    let memory = Rc::new(shared.service.connected(peer.address));
    let asked = Asked {
        shared: Rc::clone(shared),
        memory,
        pulse,
        peer,
    };
    // Only when the runtime's poller is out of memory: drop the connection.
    let lost = |_| shared.counters.accept_errors.add(1);
    match (stream, tls) {
        (Arrived::Tcp(tcp), None) => {
            if let Ok(tcp) = TcpStream::from_std(tcp).map_err(lost) {
                one_by_one(asked, tcp).await;
            }
        }
        (Arrived::Tcp(tcp), Some(tls)) => {
            if let Ok(tcp) = TcpStream::from_std(tcp).map_err(lost) {
                Box::pin(secured(asked, tcp, tls)).await;
            }
        }
        (Arrived::Unix(unix), _) => {
            if let Ok(unix) = UnixStream::from_std(unix).map_err(lost) {
                Box::pin(one_by_one(asked, unix)).await;
            }
        }
    }
}

/// Agrees on TLS, and then on what the client offered.
async fn secured<S: Service>(asked: Asked<S>, tcp: TcpStream, tls: crate::tls::ServerTls) {
    let counters = &asked.shared.counters;
    match handshake::agree(tcp, tls, &asked.pulse).await {
        Ok(Agreed::One(stream)) => one_by_one(asked, stream).await,
        Ok(Agreed::Many(stream)) => many_at_once(asked, stream).await,
        Err(Some(why)) => counters.unagreed(why),
        // Cut by the reaper, or serving ends.
        Err(None) => {}
    }
}

/// HTTP/1.1.
pub(super) async fn one_by_one<S, T>(asked: Asked<S>, io: T)
where
    S: Service,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let stream = TokioIo::new(Stream::new(io, Rc::clone(&asked.pulse)));
    let service =
        service_fn(|asking: hyper::Request<Incoming>| request::one(asked.clone(), asking));
    let http1 = &asked.shared.protocols.http1;
    let mut serving = http1.serve_connection(stream, service);
    let pinned = Pin::new(&mut serving);
    let outcome = drive(&asked.pulse, pinned, |serving| serving.graceful_shutdown()).await;
    match outcome {
        // hyper leaves a stream alone whose last answer was 101.
        Ok(()) => {
            if let Some(takeover) = asked.pulse.taken_over() {
                let left = serving.into_parts();
                let stream = Box::new(left.io.into_inner());
                let pulse = Rc::clone(&asked.pulse);
                takeover.run(stream, left.read_buf, pulse).await;
            }
        }
        // Everything else is a peer that went away, which is no news.
        Err(error) if error.is_parse() => asked.shared.counters.malformed.add(1),
        Err(_) => {}
    }
}

/// HTTP/2.
async fn many_at_once<S, T>(asked: Asked<S>, io: T)
where
    S: Service,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let stream = TokioIo::new(Stream::new(io, Rc::clone(&asked.pulse)));
    let (pulse, shared) = (Rc::clone(&asked.pulse), Rc::clone(&asked.shared));
    let service = service_fn(move |asking: hyper::Request<Incoming>| {
        request::one_of_many(asked.clone(), asking)
    });
    let serving = pin!(shared.protocols.http2.serve_connection(stream, service));
    let outcome = drive(&pulse, serving, |serving| serving.graceful_shutdown()).await;
    if pulse.is_abused() {
        shared.counters.reaped(Reaped::Resets);
    } else if outcome.is_err_and(|error| is_breach(&error)) {
        shared.counters.malformed.add(1);
    }
}

/// Whether we ended an HTTP/2 connection because the client broke its rules.
fn is_breach(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    let cause = source.and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|error| error.is_library() && !error.is_io())
}

/// Polls a connection to its end, or to the end that was decided for it.
async fn drive<C>(
    pulse: &Pulse,
    mut serving: Pin<&mut C>,
    shut_down: impl Fn(Pin<&mut C>),
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut draining = false;
    poll_fn(|cx: &mut Context<'_>| {
        match pulse.fate(cx.waker()) {
            Fate::Live => {}
            Fate::Drain if draining => {}
            Fate::Drain => {
                draining = true;
                shut_down(serving.as_mut());
            }
            Fate::Cut => return Poll::Ready(Ok(())),
        }
        serving.as_mut().poll(cx)
    })
    .await
}

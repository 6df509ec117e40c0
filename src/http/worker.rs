//! What does one worker thread do?
//!
//! It serves its connections on one runtime until no more can come and all
//! have ended. Every connection is a task of its own: what goes wrong in one
//! (a panic included) ends there.

use std::{
    cell::Cell,
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use hyper::{
    StatusCode,
    body::{Body as _, Incoming},
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    runtime::Runtime,
    sync::{Notify, mpsc, watch},
    task::LocalSet,
    time::MissedTickBehavior,
};

use super::{
    Answer, Service,
    accept::{Handover, Place},
    answer::problem,
    body::Body,
    head,
    pulse::{Deadlines, Fate, Pulse, Reaper},
    server::Stage,
    stream::Stream,
};
use crate::{
    limits::{CONNECTION_BUFFER_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX},
    telemetry::metrics::HttpCounters,
};

/// What a worker is made of, beside its service.
pub(super) struct Parts {
    pub(super) connections: mpsc::Receiver<Handover>,
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) deadlines: Deadlines,
    pub(super) counters: Arc<HttpCounters>,
}

/// What the connections of a worker share.
struct Shared<S> {
    service: Rc<S>,
    reaper: Reaper,
    counters: Arc<HttpCounters>,
    http: http1::Builder,
    open: Cell<usize>,
    /// Told whenever a connection ends.
    ended: Notify,
}

/// Serves until the end. Whatever still runs then is dropped with the set.
pub(super) fn run<S: Service>(runtime: &Runtime, parts: Parts, service: S) {
    let shared = Rc::new(Shared {
        service: Rc::new(service),
        reaper: Reaper::new(&parts.deadlines),
        counters: parts.counters,
        http: settings(),
        open: Cell::new(0),
        ended: Notify::new(),
    });
    let local = LocalSet::new();
    local.block_on(
        runtime,
        work(&shared, parts.connections, parts.stage, parts.deadlines),
    );
}

/// hyper's settings. The reaper stands in for its header timer, which would
/// box a timer for each request; without `pipeline_flush` hyper sends its own
/// 400 and 431 before it closes. The number of headers is left at hyper's
/// default, because a number set here would cost an allocation per request.
fn settings() -> http1::Builder {
    const { assert!(HEADERS_MAX == 100, "hyper's default") };
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .half_close(false)
        .max_buf_size(CONNECTION_BUFFER_BYTES_MAX)
        .max_header_size(HEAD_BYTES_MAX);
    http
}

async fn work<S: Service>(
    shared: &Rc<Shared<S>>,
    mut connections: mpsc::Receiver<Handover>,
    mut stage: watch::Receiver<Stage>,
    deadlines: Deadlines,
) {
    let mut ticks = tokio::time::interval(deadlines.tick);
    // After a pause of the whole process nobody is charged for it.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut more = true;
    let mut told = Stage::Serving;
    loop {
        let finished = !more && shared.open.get() == 0;
        if told == Stage::Closed || (told == Stage::Draining && finished) {
            return;
        }
        tokio::select! {
            handover = connections.recv(), if more => match handover {
                Some(handover) => begin(shared, handover),
                None => more = false,
            },
            _ = ticks.tick() => shared.reaper.tick(&shared.counters),
            changed = stage.changed() => {
                told = match changed {
                    Ok(()) => *stage.borrow_and_update(),
                    // The server was dropped without draining.
                    Err(_) => Stage::Closed,
                };
            }
            () = shared.ended.notified(), if told == Stage::Draining => {}
        }
        if told == Stage::Draining {
            // Also for connections that were on their way from the acceptor.
            shared.reaper.condemn(Fate::Drain);
        }
    }
}

/// Starts the task of one connection.
fn begin<S: Service>(shared: &Rc<Shared<S>>, handover: Handover) {
    let Handover { tcp, peer, place } = handover;
    if !shared.service.takes_connections() {
        shared.counters.turned_away.add(1);
        shared.counters.closed.add(1);
        return;
    }
    let Ok(tcp) = TcpStream::from_std(tcp) else {
        // Only when the runtime's poller is out of memory: drop the connection.
        shared.counters.accept_errors.add(1);
        shared.counters.closed.add(1);
        return;
    };
    shared.open.set(shared.open.get() + 1);
    let pulse = shared.reaper.watch();
    // Nobody waits for the task: it ends by itself, and the reaper knows it.
    drop(tokio::task::spawn_local(connection(
        Rc::clone(shared),
        tcp,
        peer,
        pulse,
        place,
    )));
}

/// Counts the connection's end however it ends.
struct Ending<'a, S>(&'a Shared<S>);

impl<S> Drop for Ending<'_, S> {
    fn drop(&mut self) {
        self.0.counters.closed.add(1);
        self.0.open.set(self.0.open.get() - 1);
        self.0.ended.notify_one();
    }
}

async fn connection<S: Service>(
    shared: Rc<Shared<S>>,
    tcp: TcpStream,
    peer: SocketAddr,
    pulse: Rc<Pulse>,
    _place: Place,
) {
    let _ending = Ending(&shared);
    let memory = Rc::new(shared.service.connected(peer));
    let stream = TokioIo::new(Stream::new(tcp, Rc::clone(&pulse)));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        answer(
            Rc::clone(&shared),
            Rc::clone(&memory),
            Rc::clone(&pulse),
            request,
        )
    });
    let mut serving = pin!(shared.http.serve_connection(stream, service));
    let mut draining = false;
    let outcome = poll_fn(|cx: &mut Context<'_>| {
        match pulse.fate(cx.waker()) {
            Fate::Live => {}
            Fate::Drain if draining => {}
            Fate::Drain => {
                draining = true;
                serving.as_mut().graceful_shutdown();
            }
            Fate::Cut => return Poll::Ready(Ok(())),
        }
        serving.as_mut().poll(cx)
    })
    .await;
    // Everything else is a peer that went away, which is no news.
    if outcome.is_err_and(|error: hyper::Error| error.is_parse()) {
        shared.counters.malformed.add(1);
    }
}

/// Admits a request, lets the service answer it, and survives its panic.
async fn answer<S: Service>(
    shared: Rc<Shared<S>>,
    memory: Rc<S::Memory>,
    pulse: Rc<Pulse>,
    request: hyper::Request<Incoming>,
) -> Result<Answer, Infallible> {
    let (head, incoming) = request.into_parts();
    let marks = pulse.head_complete(!incoming.is_end_stream());
    let mut answer = match head::admit(&head, marks) {
        Ok(()) => {
            let body = Body::new(incoming, Rc::clone(&pulse));
            let request = hyper::Request::from_parts(head, body);
            let answering = Rc::clone(&shared.service).call(memory, request);
            AssertUnwindSafe(answering)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| {
                    shared.counters.panics.add(1);
                    tracing::error!("a handler panicked; its request is answered with 500");
                    let text = "the request could not be answered because of a fault in the server";
                    problem(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "internal_server_error",
                        text,
                    )
                })
        }
        Err(why) => {
            shared.counters.inadmissible.add(1);
            let mut refusal = problem(why.status(), "invalid_request_error", &why.to_string());
            // Where this request ends is what client and server may disagree
            // about: nothing that follows on the connection can be trusted.
            let headers = refusal.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
            refusal
        }
    };
    pulse.answered();
    answer.body_mut().attach(&pulse);
    Ok(answer)
}

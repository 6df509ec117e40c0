//! How does one request become an answer?
//!
//! Its head is admitted, the service answers, and a panic costs this request
//! a 500. HTTP/1.1 has one request at a time, which the connection's own pulse
//! follows; HTTP/2 has many, each with a pulse and an end of its own.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, poll_fn, ready},
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use hyper::{
    Method, StatusCode,
    body::{Body as _, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, HeaderValue},
    http::request::Parts,
};

use super::{
    Answer, Service,
    answer::problem,
    body::Body,
    head::{self, Inadmissible},
    proxies::Peer,
    pulse::{Fate, Pulse},
    worker::Shared,
};
use crate::telemetry::metrics::HttpCounters;

/// What the requests of a connection have in common.
pub(super) struct Asked<S: Service> {
    pub(super) shared: Rc<Shared<S>>,
    pub(super) memory: Rc<S::Memory>,
    pub(super) pulse: Rc<Pulse>,
    pub(super) peer: Peer,
}

impl<S: Service> Clone for Asked<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Rc::clone(&self.shared),
            memory: Rc::clone(&self.memory),
            pulse: Rc::clone(&self.pulse),
            peer: self.peer,
        }
    }
}

impl<S: Service> Asked<S> {
    /// Lets the service answer, and survives its panic. The future is made of
    /// the service's own and little else: it is moved before it is polled, and
    /// an `async` body would hold what it was called with twice.
    fn answered(self, head: Parts, incoming: Incoming) -> impl Future<Output = Answer> {
        let client = self.client(&head);
        let Self {
            shared,
            memory,
            pulse,
            ..
        } = self;
        let body = Body::new(incoming, pulse, client);
        let request = hyper::Request::from_parts(head, body);
        let answering = Rc::clone(&shared.service).call(memory, request);
        let outcome = AssertUnwindSafe(answering).catch_unwind();
        outcome.map(move |outcome| outcome.unwrap_or_else(|_| panicked(&shared.counters)))
    }

    /// Whom the request is from. What a trusted proxy says and nobody can read
    /// leaves the proxy itself.
    fn client(&self, head: &Parts) -> IpAddr {
        let own = self.peer.address.ip();
        let Some(proxies) = &self.shared.proxies else {
            return own;
        };
        proxies
            .client(self.peer, &head.headers)
            .unwrap_or_else(|_| {
                self.shared.counters.unreadable_hops.add(1);
                own
            })
    }

    fn refused(&self, why: &Inadmissible) -> Answer {
        self.shared.counters.inadmissible.add(1);
        problem(why.status(), "invalid_request_error", &why.to_string())
    }
}

fn panicked(counters: &HttpCounters) -> Answer {
    counters.panics.add(1);
    tracing::error!("a handler panicked; its request is answered with 500");
    let text = "the request could not be answered because of a fault in the server";
    problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_server_error",
        text,
    )
}

/// A request that has the connection to itself.
pub(super) fn one<S: Service>(
    asked: Asked<S>,
    request: hyper::Request<Incoming>,
) -> impl Future<Output = Result<Answer, Infallible>> {
    let (head, incoming) = request.into_parts();
    let pulse = Rc::clone(&asked.pulse);
    let marks = pulse.head_complete(!incoming.is_end_stream());
    let answering = match head::admit(&head, marks) {
        Ok(()) => asked.answered(head, incoming).left_future(),
        Err(why) => {
            let mut refusal = asked.refused(&why);
            // Where this request ends is what client and server may disagree
            // about: nothing that follows on the connection can be trusted.
            let headers = refusal.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
            ready(refusal).right_future()
        }
    };
    answering.map(move |mut answer| {
        pulse.answered();
        answer.body_mut().attach(&pulse);
        Ok(answer)
    })
}

/// A request beside others.
pub(super) async fn one_of_many<S: Service>(
    mut asked: Asked<S>,
    request: hyper::Request<Incoming>,
) -> Result<Answer, Infallible> {
    let begun = Begun::new(asked.pulse.request());
    let pulse = &begun.pulse;
    asked.pulse = Rc::clone(pulse);
    let (head, incoming) = request.into_parts();
    pulse.head_complete(!incoming.is_end_stream());
    let is_head = head.method == Method::HEAD;
    let mut answer = match head::admit_multiplexed(&head) {
        Ok(()) => {
            let mut answering = pin!(asked.answered(head, incoming));
            poll_fn(|cx: &mut Context<'_>| match pulse.fate(cx.waker()) {
                Fate::Cut => Poll::Ready(too_slow()),
                Fate::Live | Fate::Drain => answering.as_mut().poll(cx),
            })
            .await
        }
        Err(why) => asked.refused(&why),
    };
    if is_head && let Some(length) = answer.body_mut().leave_out() {
        // HTTP/1 does both by itself.
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    pulse.answered();
    begun.answered.set(true);
    answer.body_mut().attach_request(Rc::clone(pulse));
    Ok(answer)
}

/// The other requests of the connection go on: this one is told.
fn too_slow() -> Answer {
    let text = "the body came too slowly; expected it within some seconds";
    problem(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", text)
}

/// Notes a request that its client drops before it is answered.
struct Begun {
    pulse: Rc<Pulse>,
    answered: Cell<bool>,
}

impl Begun {
    fn new(pulse: Rc<Pulse>) -> Self {
        Self {
            pulse,
            answered: Cell::new(false),
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.answered.get() {
            self.pulse.abandoned();
        }
    }
}

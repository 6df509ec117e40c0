//! What goes back to the client?
//!
//! An [`Answer`] has its whole body in one buffer, so that head and body leave
//! in one write; only what follows a subject or an environment is a stream,
//! which ends when serving does. Refusals made by the plumbing itself have a body that is at
//! once a problem document (RFC 9457) and Dopt's `{code, details}`: whoever
//! asked can read it, and nobody ever gets HTML or nothing.

use std::{
    collections::VecDeque,
    convert::Infallible,
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    body::{Body, Frame, SizeHint},
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use tokio::sync::mpsc;

use super::{
    pulse::{Fate, Pulse},
    upgrade::Takeover,
};
use crate::{limits::H2_PIECE_BYTES, telemetry::metrics::Metrics};

/// An answer on its way out.
pub type Answer = Response<AnswerBody>;

/// What an answer says.
#[derive(Debug)]
pub struct AnswerBody {
    content: Content,
    /// Of the connection that carries a stream, or of one request of many.
    pulse: Option<Rc<Pulse>>,
}

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    Pieces(VecDeque<Bytes>),
    Stream(mpsc::Receiver<Bytes>),
    /// Nothing follows the head that is HTTP.
    Takeover(Takeover),
}

impl AnswerBody {
    /// A body that comes piece by piece, each sent at once. It ends when the
    /// sender is dropped, and the sender is closed when the client has gone or
    /// serving ends.
    pub fn stream(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self {
            content: Content::Stream(pieces),
            pulse: None,
        }
    }

    /// A body that lies in several places and is not put together in one: what
    /// is large and shared is sent from where it is.
    pub fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        Self {
            content: Content::Pieces(pieces.collect()),
            pulse: None,
        }
    }

    /// No body: the connection is given to somebody when the head is out. Only
    /// with the status 101, and only HTTP/1.1 can be left.
    pub fn takeover(takeover: Takeover) -> Self {
        Self {
            content: Content::Takeover(takeover),
            pulse: None,
        }
    }

    /// Tells the connection that it carries a stream, if it does, or that it
    /// leaves HTTP.
    pub(super) fn attach(&mut self, connection: &Rc<Pulse>) {
        match &self.content {
            Content::Whole(_) | Content::Pieces(_) => {}
            Content::Stream(_) => {
                connection.streaming();
                self.pulse = Some(Rc::clone(connection));
            }
            Content::Takeover(_) => {
                let nothing = Content::Whole(Bytes::new());
                if let Content::Takeover(takeover) = mem::replace(&mut self.content, nothing) {
                    connection.leave_http(takeover);
                }
            }
        }
    }

    /// Ties the body to its request, one of many on the connection: a whole
    /// body leaves in pieces, so that one that is not taken can be told.
    pub(super) fn attach_request(&mut self, request: Rc<Pulse>) {
        match &self.content {
            Content::Stream(_) => {
                request.streaming();
                // It was answered, however long it goes on.
                request.finished();
            }
            Content::Whole(_) | Content::Pieces(_) if self.is_end_stream() => {
                request.finished();
                return;
            }
            Content::Whole(_) | Content::Pieces(_) | Content::Takeover(_) => {}
        }
        self.pulse = Some(request);
    }

    /// Leaves out a body that belongs to a HEAD request; returns its length.
    pub(super) fn leave_out(&mut self) -> Option<u64> {
        match mem::replace(&mut self.content, Content::Whole(Bytes::new())) {
            Content::Whole(whole) => Some(whole.len() as u64),
            Content::Pieces(pieces) => Some(length(&pieces)),
            Content::Stream(_) | Content::Takeover(_) => None,
        }
    }
}

impl<T: Into<Bytes>> From<T> for AnswerBody {
    fn from(whole: T) -> Self {
        Self {
            content: Content::Whole(whole.into()),
            pulse: None,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { content, pulse } = self.get_mut();
        match content {
            Content::Whole(whole) => {
                let piece = piece_of(whole, pulse.as_deref(), true);
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Content::Pieces(pieces) => {
                let is_last = pieces.len() == 1;
                let Some(first) = pieces.front_mut() else {
                    return Poll::Ready(None);
                };
                let piece = piece_of(first, pulse.as_deref(), is_last);
                if first.is_empty() {
                    pieces.pop_front();
                }
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Content::Stream(pieces) => {
                // Whoever decides the fate wakes the task that polls this.
                let ends = |pulse: &Rc<Pulse>| pulse.fate(cx.waker()) != Fate::Live;
                if pulse.as_ref().is_some_and(ends) {
                    pieces.close();
                    return Poll::Ready(None);
                }
                let piece = ready!(pieces.poll_recv(cx));
                if let (None, Some(pulse)) = (&piece, pulse) {
                    pulse.answered();
                }
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Content::Takeover(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(whole) => whole.is_empty(),
            Content::Pieces(pieces) => pieces.is_empty(),
            Content::Stream(..) => false,
            Content::Takeover(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(whole) => SizeHint::with_exact(whole.len() as u64),
            Content::Pieces(pieces) => SizeHint::with_exact(length(pieces)),
            Content::Stream(..) => SizeHint::default(),
            Content::Takeover(_) => SizeHint::with_exact(0),
        }
    }
}

/// What is sent next of some bytes: all of them, or, for one request of many on
/// a connection, no more than a piece, so that one that is not taken can be told.
fn piece_of(rest: &mut Bytes, request: Option<&Pulse>, is_last: bool) -> Option<Bytes> {
    if rest.is_empty() {
        return None;
    }
    match request {
        Some(request) if rest.len() > H2_PIECE_BYTES || !is_last => {
            // One more piece is taken: its time begins anew.
            request.answered();
            Some(rest.split_to(rest.len().min(H2_PIECE_BYTES)))
        }
        Some(request) => {
            request.finished();
            Some(mem::take(rest))
        }
        None => Some(mem::take(rest)),
    }
}

fn length(pieces: &VecDeque<Bytes>) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        let has_rest = match &self.content {
            Content::Whole(whole) => !whole.is_empty(),
            Content::Pieces(pieces) => !pieces.is_empty(),
            Content::Stream(_) | Content::Takeover(_) => false,
        };
        if let (true, Some(request)) = (has_rest, &self.pulse) {
            request.abandoned();
        }
    }
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(AnswerBody::from(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// An answer of this media type.
pub fn json_bytes(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(AnswerBody::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A refusal in both error forms.
pub fn problem(status: StatusCode, code: &'static str, detail: &str) -> Answer {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
        "details": detail,
    });
    json_bytes(status, "application/problem+json", body.to_string())
}

/// All metrics, in the form that Prometheus reads.
pub fn scrape(metrics: &Metrics) -> Answer {
    const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match metrics.encode() {
        Ok(text) => json_bytes(StatusCode::OK, MEDIA_TYPE, text),
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_server_error",
            "the metrics could not be written",
        ),
    }
}

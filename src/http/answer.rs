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
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::{Body, Frame, SizeHint},
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use tokio::sync::mpsc;

use super::pulse::Pulse;
use crate::telemetry::metrics::Metrics;

/// An answer on its way out.
pub type Answer = Response<AnswerBody>;

/// What an answer says.
#[derive(Debug)]
pub struct AnswerBody(Content);

#[derive(Debug)]
enum Content {
    Whole(Full<Bytes>),
    Pieces(VecDeque<Bytes>),
    Stream(mpsc::Receiver<Bytes>, Option<Rc<Pulse>>),
}

impl AnswerBody {
    /// A body that comes piece by piece, each sent at once. It ends when the
    /// sender is dropped, and the sender is closed when the client has gone or
    /// serving ends.
    pub fn stream(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self(Content::Stream(pieces, None))
    }

    /// A body that lies in several places and is not put together in one: what
    /// is large and shared is sent from where it is.
    pub fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        Self(Content::Pieces(pieces.collect()))
    }

    /// Tells the connection that it carries a stream, if it does.
    pub(super) fn attach(&mut self, connection: &Rc<Pulse>) {
        if let Content::Stream(_, pulse) = &mut self.0 {
            connection.streaming();
            *pulse = Some(Rc::clone(connection));
        }
    }
}

impl<T: Into<Bytes>> From<T> for AnswerBody {
    fn from(whole: T) -> Self {
        Self(Content::Whole(Full::new(whole.into())))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Content::Whole(whole) => Pin::new(whole).poll_frame(cx),
            Content::Pieces(pieces) => {
                let piece = pieces.pop_front();
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Content::Stream(pieces, pulse) => {
                // The connection's task is woken when its fate is decided, and
                // polls this again.
                if pulse.as_ref().is_some_and(|pulse| pulse.is_ending()) {
                    pieces.close();
                    return Poll::Ready(None);
                }
                let piece = ready!(pieces.poll_recv(cx));
                if let (None, Some(pulse)) = (&piece, pulse) {
                    pulse.answered();
                }
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Whole(whole) => whole.is_end_stream(),
            Content::Pieces(pieces) => pieces.is_empty(),
            Content::Stream(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(whole) => whole.size_hint(),
            Content::Pieces(pieces) => {
                SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            Content::Stream(..) => SizeHint::default(),
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

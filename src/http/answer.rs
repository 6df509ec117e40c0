//! What goes back to the client?
//!
//! An [`Answer`] has its whole body in one buffer, so that head and body leave
//! in one write. Refusals made by the plumbing itself have a body that is at
//! once a problem document (RFC 9457) and Dopt's `{code, details}`: whoever
//! asked can read it, and nobody ever gets HTML or nothing.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};

use crate::telemetry::metrics::Metrics;

/// A complete answer.
pub type Answer = Response<Full<Bytes>>;

/// An answer without a body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// An answer of this media type.
pub fn json_bytes(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
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

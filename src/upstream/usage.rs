//! How does an edge tell its store of the use of flags?
//!
//! One call, and what its statuses mean for the batch: a body that is wrong
//! stays wrong, everything else may change.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};

use super::http::{CallError, HttpUpstream, body, send};
use crate::usage::{SinkError, SinkFuture, UsageBatch, UsageSink, UsageTaken};

/// Three numbers.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

impl UsageSink for HttpUpstream {
    fn take<'a>(&'a self, environment: &'a str, batch: &'a UsageBatch) -> SinkFuture<'a> {
        Box::pin(async move {
            let text =
                serde_json::to_vec(batch).map_err(|error| SinkError::Refused(error.to_string()))?;
            let request = self
                .request(Method::POST, environment, "metrics", Duration::ZERO)
                .header(header::CONTENT_TYPE, "application/json")
                .body(text);
            let response = send(request).await.map_err(sink_error)?;
            let bytes = body(response, ANSWER_BYTES_MAX).await.map_err(sink_error)?;
            let unread = |error| SinkError::Away(format!("the answer cannot be read: {error}"));
            serde_json::from_slice::<UsageTaken>(&bytes).map_err(unread)
        })
    }
}

/// Only what the store says of the body itself is final. A key can be mended,
/// and a store that has no such call yet may have it tomorrow.
fn sink_error(error: CallError) -> SinkError {
    use StatusCode as S;
    match error {
        CallError::Away(text) | CallError::Untrusted(text) => SinkError::Away(text),
        CallError::Refused(S::NOT_FOUND | S::METHOD_NOT_ALLOWED, _) => SinkError::Older,
        CallError::Refused(
            status @ (S::BAD_REQUEST | S::PAYLOAD_TOO_LARGE | S::UNPROCESSABLE_ENTITY),
            text,
        ) => SinkError::Refused(format!("status {status}: {text}")),
        CallError::Refused(status, text) => SinkError::Away(format!("status {status}: {text}")),
        CallError::TooLarge(bytes) => {
            SinkError::Away(format!("the answer has more than {bytes} bytes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_store_says_of_the_body_is_final() {
        for status in [400, 401, 403, 404, 405, 409, 413, 422] {
            let status = StatusCode::from_u16(status).expect("a status");
            let is_final = [400, 413, 422].contains(&status.as_u16());
            let is_older = [404, 405].contains(&status.as_u16());
            let error = sink_error(CallError::Refused(status, "why".to_owned()));
            assert_eq!(matches!(error, SinkError::Refused(_)), is_final, "{error}");
            assert_eq!(error == SinkError::Older, is_older, "{error}");
        }
        let away = sink_error(CallError::Away("status 503".to_owned()));
        assert!(matches!(away, SinkError::Away(_)));
    }
}

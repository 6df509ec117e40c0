//! How is a refusal told to Unleash's clients?
//!
//! By its status: they look at nothing else, and try again only after some of
//! them. Whoever shows no good token learns nothing, and what is not there is
//! not described; of everything else the text says what was wrong. JSON of the
//! wrong members is told apart from what is no JSON. A client that finds too
//! many streams asks from time to time instead, which it does after 429 alone.

use hyper::StatusCode;

use super::{Fault, Row};
use crate::http::{self, Answer, json::JsonError};

impl Fault {
    pub(super) fn unleash(&self, row: &Row) -> Answer {
        let status = match self {
            Self::Json(JsonError::Shape(error)) if error.is_data() => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Streams => StatusCode::TOO_MANY_REQUESTS,
            // A client that has a token has the wrong one.
            _ if row.status == StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            _ => row.status,
        };
        match status {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => http::empty(status),
            _ => http::json_bytes(status, "text/plain; charset=utf-8", self.details()),
        }
    }
}

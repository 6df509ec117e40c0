//! How are many users asked for, and one no older than a record?
//!
//! Both are younger than the contract: a store that does not know them answers
//! 404 or refuses the parameter, and is then asked as it always was.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode, header};

use super::http::{CallError, HttpUpstream, body, ledger_error, segment, send};
use crate::{
    limits::{SHIP_BYTES_MAX, SUBJECT_ID_BYTES_MAX, USERS_ANSWER_BYTES_MAX, USERS_PER_READ_MAX},
    progress::{
        LedgerError, ProgressLedger,
        event::{UserAfter, UsersAnswer, UsersQuestion},
    },
};

/// Documents, and the ids of those that are missing, escaped.
const USERS_BYTES_MAX: usize =
    USERS_ANSWER_BYTES_MAX + USERS_PER_READ_MAX * (SUBJECT_ID_BYTES_MAX * 6 + 8);

impl HttpUpstream {
    /// Many users; none when upstream has no such call.
    pub(super) async fn read_users(
        &self,
        environment: &str,
        users: &[String],
    ) -> Result<Option<UsersAnswer>, LedgerError> {
        let question = UsersQuestion {
            users: users.to_vec(),
        };
        let text = serde_json::to_vec(&question)
            .map_err(|error| LedgerError::Refused(error.to_string()))?;
        let request = self
            .request(Method::POST, environment, "users:batch", Duration::ZERO)
            .header(header::CONTENT_TYPE, "application/json")
            .body(text);
        match whole(request, USERS_BYTES_MAX).await {
            Ok(bytes) => parsed(&bytes).map(Some),
            Err(CallError::Refused(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _)) => {
                Ok(None)
            }
            Err(error) => Err(ledger_error(error)),
        }
    }

    /// One user, once a record has its outcome.
    pub(super) async fn read_after(
        &self,
        environment: &str,
        user: &str,
        (journal, seq): (&str, u64),
        wait: Duration,
    ) -> Result<UserAfter, LedgerError> {
        let path = format!(
            "users/{}?after={}:{seq}&wait={}ms",
            segment(user),
            segment(journal),
            wait.as_millis()
        );
        let request = self.request(Method::GET, environment, &path, wait);
        match whole(request, SHIP_BYTES_MAX).await {
            Ok(bytes) => parsed(&bytes),
            // It does not know the parameter.
            Err(CallError::Refused(StatusCode::BAD_REQUEST, _)) => {
                let user = self.user(environment, user).await?;
                let last = user.last.as_ref();
                let reached = last.is_some_and(|(own, at)| *own == journal && *at >= seq);
                Ok(UserAfter { reached, user })
            }
            Err(error) => Err(ledger_error(error)),
        }
    }
}

async fn whole(request: RequestBuilder, bytes_max: usize) -> Result<Vec<u8>, CallError> {
    body(send(request).await?, bytes_max).await
}

fn parsed<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, LedgerError> {
    serde_json::from_slice(bytes)
        .map_err(|error| LedgerError::Refused(format!("the answer cannot be read: {error}")))
}

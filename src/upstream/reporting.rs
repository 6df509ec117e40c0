//! What do edge and upstream tell each other about themselves?
//!
//! The edge says how it is doing, environment by environment; both say which
//! version they are, in a header of every call.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Method, Response, header};

use super::http::{HttpUpstream, ledger_error, send};
use crate::{
    http::version::VERSION_HEADER,
    progress::{LedgerError, event::EdgeReport},
};

/// Of a version; longer ones are no versions.
const VERSION_BYTES_MAX: usize = 64;

/// The version upstream said last; none before its first answer, or when it
/// says none.
pub type UpstreamVersion = Arc<Mutex<Option<String>>>;

impl HttpUpstream {
    /// Tells how one environment is doing here. Nothing rests on it.
    pub async fn report(&self, environment: &str, report: &EdgeReport) -> Result<(), LedgerError> {
        let text =
            serde_json::to_vec(report).map_err(|error| LedgerError::Refused(error.to_string()))?;
        let request = self
            .request(Method::POST, environment, "status", Duration::ZERO)
            .header(header::CONTENT_TYPE, "application/json")
            .body(text);
        let response = send(request).await.map_err(ledger_error)?;
        self.heard(&response);
        Ok(())
    }

    /// Shared with `/status`.
    pub fn upstream_version(&self) -> UpstreamVersion {
        self.version.clone()
    }

    /// Notes which version answered.
    pub(super) fn heard(&self, response: &Response) {
        let said = response.headers().get(VERSION_HEADER);
        let said = said.and_then(|value| value.to_str().ok());
        let said = said.filter(|text| text.len() <= VERSION_BYTES_MAX);
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if version.as_deref() != said {
            *version = said.map(ToOwned::to_owned);
        }
    }
}

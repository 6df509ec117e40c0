//! How does the edge speak `/edge/v1` to its upstream?
//!
//! One reqwest client for snapshots and progress, a deadline on every call,
//! and a cap on every answer that is checked while reading, not after. What
//! arrives is bytes; meaning and trust are other files' matter. Errors end in
//! logs, so they hold neither urls nor what upstream repeats of a request:
//! both have user ids in them.

use std::{collections::HashMap, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::{
    client::{Clients, HttpUpstreamError, chain, is_untrusted},
    reporting::UpstreamVersion,
};
use crate::{
    http::version::{VERSION, VERSION_HEADER},
    limits::{
        DOCUMENT_BYTES_MAX, PART_BYTES_MAX, PARTS_ANSWER_BYTES_MAX, PARTS_PER_REQUEST_MAX,
        SHIP_BYTES_MAX,
    },
    progress::{
        LedgerError, LedgerFuture, ProgressLedger,
        event::{
            Batch, BatchAnswer, Changes, GroupRecord, MembershipRecord, UserAfter, UserDocument,
            UsersAnswer,
        },
    },
    refresh::{Blobs, FetchedTimestamp, SnapshotSource, SourceError, SourceFuture},
    snapshot::{frame, wire::Blob},
    telemetry::traces,
    tls::ClientTls,
};

/// Everything but letters, digits and `-._~` is encoded in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A user document: states of every flow, properties, event ids.
const USER_BYTES_MAX: usize = SHIP_BYTES_MAX;

/// Where upstream is and how it is asked.
#[derive(Clone, Debug)]
pub struct HttpUpstreamOptions {
    /// `http://host:port` or `https://host:port`, without a path.
    pub url: String,
    /// What is shown and believed over https, and every later value; none for
    /// the system's authorities alone.
    pub tls: Option<watch::Receiver<ClientTls>>,
    /// Edge key by environment name.
    pub keys: HashMap<String, String>,
    /// Deadline of one call, waiting for news not counted.
    pub timeout: Duration,
}

/// Upstream over HTTP.
pub struct HttpUpstream {
    clients: Clients,
    url: String,
    keys: HashMap<String, String>,
    timeout: Duration,
    pub(super) version: UpstreamVersion,
}

/// What went wrong with one call, before it is put into the caller's terms.
pub(super) enum CallError {
    Away(String),
    /// It does not prove who it is.
    Untrusted(String),
    Refused(StatusCode, String),
    TooLarge(usize),
}

impl HttpUpstream {
    /// Builds the client; connects when first used.
    pub fn new(options: HttpUpstreamOptions) -> Result<Self, HttpUpstreamError> {
        Ok(Self {
            clients: Clients::new(options.tls, options.timeout)?,
            url: options.url.trim_end_matches('/').to_owned(),
            keys: options.keys,
            timeout: options.timeout,
            version: UpstreamVersion::default(),
        })
    }

    /// Puts new certificates into force; a task for as long as it runs.
    pub fn follow_tls(&self) -> impl Future<Output = ()> + Send + use<> {
        self.clients.follow()
    }

    pub(super) fn request(
        &self,
        method: Method,
        environment: &str,
        path: &str,
        wait: Duration,
    ) -> RequestBuilder {
        let url = format!(
            "{}/edge/v1/environments/{}/{path}",
            self.url,
            segment(environment)
        );
        let request = self
            .clients
            .current()
            .request(method, url)
            .timeout(self.timeout + wait)
            .header(VERSION_HEADER, VERSION);
        let mut traced = header::HeaderMap::new();
        traces::pass_on(&mut traced);
        let request = request.headers(traced);
        match self.keys.get(environment) {
            Some(key) => request.header("x-api-key", key),
            None => request,
        }
    }

    async fn get(
        &self,
        environment: &str,
        path: &str,
        bytes_max: usize,
    ) -> Result<Vec<u8>, CallError> {
        let request = self.request(Method::GET, environment, path, Duration::ZERO);
        body(send(request).await?, bytes_max).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        bytes_max: usize,
    ) -> Result<T, LedgerError> {
        let bytes = match send(request).await {
            Ok(response) => body(response, bytes_max).await,
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(ledger_error)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| LedgerError::Refused(format!("the answer cannot be read: {error}")))
    }

    async fn signed(
        &self,
        environment: &str,
        path: &str,
        bytes_max: u64,
    ) -> Result<Vec<u8>, SourceError> {
        let bytes_max = usize::try_from(bytes_max)
            .unwrap_or(usize::MAX)
            .min(DOCUMENT_BYTES_MAX);
        self.get(environment, path, bytes_max)
            .await
            .map_err(|error| source_error(path, error))
    }

    async fn fetch_timestamp(
        &self,
        environment: &str,
        unless: Option<&str>,
        wait: Duration,
    ) -> Result<Option<FetchedTimestamp>, CallError> {
        let path = format!("timestamp?wait={}s", wait.as_secs());
        let mut request = self.request(Method::GET, environment, &path, wait);
        if let Some(validator) = unless {
            request = request.header(header::IF_NONE_MATCH, validator);
        }
        let response = send(request).await?;
        self.heard(&response);
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let validator = response.headers().get(header::ETAG);
        let validator = validator.and_then(|etag| etag.to_str().ok());
        let validator = validator.map(ToOwned::to_owned);
        let file = body(response, DOCUMENT_BYTES_MAX).await?;
        Ok(Some(FetchedTimestamp { file, validator }))
    }

    async fn fetch_parts(&self, environment: &str, wanted: &[Blob]) -> Result<Blobs, SourceError> {
        let mut blobs = Blobs::new();
        let mut open: Vec<&Blob> = wanted.iter().collect();
        while !open.is_empty() {
            let some = &open[..open.len().min(PARTS_PER_REQUEST_MAX)];
            for (sha256, bytes) in self.fetch_some(environment, some).await? {
                blobs.insert(sha256, bytes);
            }
            let before = open.len();
            open.retain(|blob| !blobs.contains_key(&blob.sha256));
            if open.len() == before {
                let first = open.first().map_or("", |blob| blob.sha256.as_str());
                let text = format!("part {first} was asked for and not sent");
                return Err(SourceError::Refused(text));
            }
        }
        Ok(blobs)
    }

    /// One call: upstream answers with as many as fit, at least one.
    async fn fetch_some(
        &self,
        environment: &str,
        some: &[&Blob],
    ) -> Result<Vec<(String, Vec<u8>)>, SourceError> {
        let refused = |text: String| SourceError::Refused(format!("parts: {text}"));
        let names: Vec<&str> = some.iter().map(|blob| blob.sha256.as_str()).collect();
        let text = serde_json::to_vec(&names).map_err(|error| refused(error.to_string()))?;
        let request = self
            .request(Method::POST, environment, "parts", Duration::ZERO)
            .header(header::CONTENT_TYPE, "application/json")
            .body(text);
        let bytes = match send(request).await {
            Ok(response) => body(response, PARTS_ANSWER_BYTES_MAX + PART_BYTES_MAX).await,
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|error| source_error("parts", error))?;
        let framed = frame::frames(&bytes).map_err(|error| refused(error.to_string()))?;
        let owned = framed.into_iter();
        Ok(owned.map(|(hash, bytes)| (hash, bytes.to_vec())).collect())
    }
}

impl SnapshotSource for HttpUpstream {
    fn root<'a>(&'a self, environment: &'a str, version: u64) -> SourceFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let path = format!("root/{version}");
            match self.get(environment, &path, DOCUMENT_BYTES_MAX).await {
                Ok(file) => Ok(Some(file)),
                Err(CallError::Refused(StatusCode::NOT_FOUND, _)) => Ok(None),
                Err(error) => Err(source_error(&path, error)),
            }
        })
    }

    fn timestamp<'a>(
        &'a self,
        environment: &'a str,
        unless: Option<&'a str>,
        wait: Duration,
    ) -> SourceFuture<'a, Option<FetchedTimestamp>> {
        Box::pin(async move {
            self.fetch_timestamp(environment, unless, wait)
                .await
                .map_err(|error| source_error("timestamp", error))
        })
    }

    fn release<'a>(
        &'a self,
        environment: &'a str,
        version: u64,
        bytes_max: u64,
    ) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(async move {
            self.signed(environment, &format!("releases/{version}"), bytes_max)
                .await
        })
    }

    fn control<'a>(
        &'a self,
        environment: &'a str,
        version: u64,
        bytes_max: u64,
    ) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(async move {
            self.signed(environment, &format!("control/{version}"), bytes_max)
                .await
        })
    }

    fn parts<'a>(&'a self, environment: &'a str, wanted: &'a [Blob]) -> SourceFuture<'a, Blobs> {
        Box::pin(self.fetch_parts(environment, wanted))
    }
}

/// A record of two ids and some numbers.
const MEMBERSHIP_BYTES_MAX: usize = 64 * 1024;

/// What the store puts into one answer, with room to spare.
const CHANGES_BYTES_MAX: usize = 4 * 1024 * 1024;

impl ProgressLedger for HttpUpstream {
    fn user<'a>(&'a self, environment: &'a str, user: &'a str) -> LedgerFuture<'a, UserDocument> {
        let path = format!("users/{}", segment(user));
        let request = self.request(Method::GET, environment, &path, Duration::ZERO);
        Box::pin(self.json(request, USER_BYTES_MAX))
    }

    fn users<'a>(
        &'a self,
        environment: &'a str,
        users: &'a [String],
    ) -> LedgerFuture<'a, Option<UsersAnswer>> {
        Box::pin(self.read_users(environment, users))
    }

    fn user_after<'a>(
        &'a self,
        environment: &'a str,
        user: &'a str,
        after: (&'a str, u64),
        wait: Duration,
    ) -> LedgerFuture<'a, UserAfter> {
        Box::pin(self.read_after(environment, user, after, wait))
    }

    fn group<'a>(&'a self, environment: &'a str, group: &'a str) -> LedgerFuture<'a, GroupRecord> {
        let path = format!("groups/{}", segment(group));
        let request = self.request(Method::GET, environment, &path, Duration::ZERO);
        Box::pin(self.json(request, USER_BYTES_MAX))
    }

    fn membership<'a>(
        &'a self,
        environment: &'a str,
        deployment: &'a str,
        id: &'a str,
        conversation: Option<&'a str>,
    ) -> LedgerFuture<'a, MembershipRecord> {
        let mut path = format!("memberships/{}/{}", segment(deployment), segment(id));
        if let Some(conversation) = conversation {
            path.push_str("?conversation=");
            path.push_str(&segment(conversation));
        }
        let request = self.request(Method::GET, environment, &path, Duration::ZERO);
        Box::pin(self.json(request, MEMBERSHIP_BYTES_MAX))
    }

    fn changes<'a>(
        &'a self,
        environment: &'a str,
        cursor: Option<&'a str>,
        wait: Duration,
    ) -> LedgerFuture<'a, Changes> {
        let mut path = format!("changes?wait={}s", wait.as_secs());
        if let Some(cursor) = cursor {
            path.push_str("&cursor=");
            path.push_str(&segment(cursor));
        }
        let request = self.request(Method::GET, environment, &path, wait);
        Box::pin(self.json(request, CHANGES_BYTES_MAX))
    }

    fn ship<'a>(&'a self, environment: &'a str, batch: &'a Batch) -> LedgerFuture<'a, BatchAnswer> {
        Box::pin(async move {
            let text = serde_json::to_vec(batch)
                .map_err(|error| LedgerError::Refused(error.to_string()))?;
            let request = self
                .request(Method::POST, environment, "progress", Duration::ZERO)
                .header(header::CONTENT_TYPE, "application/json")
                .body(text);
            self.json(request, SHIP_BYTES_MAX).await
        })
    }

    fn close<'a>(
        &'a self,
        environment: &'a str,
        journal: &'a str,
        hash: &'a str,
    ) -> LedgerFuture<'a, ()> {
        Box::pin(async move {
            let path = format!("journals/{}/close?hash={}", segment(journal), segment(hash));
            let request = self.request(Method::POST, environment, &path, Duration::ZERO);
            send(request).await.map(drop).map_err(ledger_error)
        })
    }
}

pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Sends and sorts by status; 304 passes as an answer.
pub(super) async fn send(request: RequestBuilder) -> Result<Response, CallError> {
    let response = request
        .send()
        .await
        .map_err(|error| match is_untrusted(&error) {
            true => CallError::Untrusted(chain(error)),
            false => CallError::Away(chain(error)),
        })?;
    let status = response.status();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(response);
    }
    let text = body(response, 64 * 1024).await.unwrap_or_default();
    let text = detail(&text);
    let busy = status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT;
    if status.is_server_error() || busy {
        return Err(CallError::Away(format!("status {status}: {text}")));
    }
    Err(CallError::Refused(status, text))
}

/// What a problem document says went wrong. Other bodies, and its `found`, may
/// repeat anything that was sent.
fn detail(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Problem {
        detail: String,
    }
    serde_json::from_slice(body).map_or_else(
        |_| "no problem document came with it".to_owned(),
        |Problem { detail }| detail.chars().take(512).collect(),
    )
}

/// Reads a body within a cap.
pub(super) async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, CallError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > bytes_max as u64 {
        return Err(CallError::TooLarge(bytes_max));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| CallError::Away(chain(error)))?
    {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(CallError::TooLarge(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn source_error(what: &str, error: CallError) -> SourceError {
    match error {
        CallError::Away(text) => SourceError::Away(text),
        CallError::Untrusted(text) => SourceError::Untrusted(text),
        CallError::Refused(status, text) => {
            SourceError::Refused(format!("{what}: status {status}: {text}"))
        }
        CallError::TooLarge(bytes_max) => SourceError::TooLarge {
            what: what.to_owned(),
            bytes_max: bytes_max as u64,
        },
    }
}

pub(super) fn ledger_error(error: CallError) -> LedgerError {
    match error {
        CallError::Away(text) | CallError::Untrusted(text) => LedgerError::Away(text),
        // The environment was deleted: who is served goes on being served.
        CallError::Refused(StatusCode::GONE, text) => LedgerError::Away(text),
        CallError::Refused(StatusCode::CONFLICT, text) => LedgerError::Fork(text),
        CallError::Refused(status, text) => {
            LedgerError::Refused(format!("status {status}: {text}"))
        }
        CallError::TooLarge(bytes_max) => {
            LedgerError::Refused(format!("the answer has more than {bytes_max} bytes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_upstream_repeats_of_a_request_is_not_repeated() {
        let body = br#"{"status":400,"detail":"a path segment is not a name","found":"ada@x"}"#;
        assert_eq!(detail(body), "a path segment is not a name");
        assert!(!detail(b"cannot GET /users/ada@x").contains("ada"));
        let long = serde_json::json!({"detail": "\u{e9}".repeat(5_000)}).to_string();
        assert_eq!(detail(long.as_bytes()).chars().count(), 512);
    }

    #[test]
    fn an_error_of_the_client_names_no_user() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let upstream = HttpUpstream::new(HttpUpstreamOptions {
            tls: None,
            // Nobody listens there.
            url: "http://127.0.0.1:1".to_owned(),
            keys: HashMap::new(),
            timeout: Duration::from_secs(5),
        });
        let upstream = upstream.expect("a client");
        let asked = runtime.block_on(upstream.user("development", "ada-lovelace"));
        let error = asked.expect_err("nobody answers").to_string();
        assert!(!error.contains("ada-lovelace"), "{error}");
    }
}

//! How does a simulated edge reach the store?
//!
//! The two traits towards upstream, over hyper and the simulated network: a
//! connection for each call, which is lost with whatever befalls it. Bodies
//! are the program's own. What the real client does beside that (its pool, its
//! paths, TLS) is tried with real processes.

use std::{future::Future, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::store;
use crate::{
    progress::{
        LedgerError, LedgerFuture, ProgressLedger,
        event::{
            Batch, BatchAnswer, Changes, GroupRecord, MembershipRecord, UserAfter, UserDocument,
            UsersAnswer, UsersQuestion,
        },
    },
    refresh::{Blobs, FetchedTimestamp, SnapshotSource, SourceError, SourceFuture},
    snapshot::{frame::frames, wire::Blob},
};

/// How long a call may take beside what it is to wait.
const CALL_WITHIN: Duration = Duration::from_secs(2);

/// The way to the store.
pub(super) struct Upstream;

type Called = Result<(StatusCode, Bytes), String>;

impl Upstream {
    async fn call(method: Method, path: String, body: Vec<u8>, wait: Duration) -> Called {
        let calling = async move {
            let stream = turmoil::net::TcpStream::connect((store::NAME, store::PORT)).await;
            let stream = stream.map_err(|error| error.to_string())?;
            let shaken = http1::handshake(TokioIo::new(stream)).await;
            let (mut sender, connection) = shaken.map_err(|error| error.to_string())?;
            // It ends with the call.
            drop(tokio::spawn(connection));
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", store::NAME)
                .body(Full::new(Bytes::from(body)))
                .map_err(|error| error.to_string())?;
            let response = sender.send_request(request).await;
            let response = response.map_err(|error| error.to_string())?;
            let status = response.status();
            let body = response.into_body().collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        let called = timeout(CALL_WITHIN + wait, calling).await;
        called.unwrap_or_else(|_| Err("too slow".to_owned()))
    }

    async fn get(path: String, wait: Duration) -> Called {
        Self::call(Method::GET, path, Vec::new(), wait).await
    }

    async fn document(path: String, bytes_max: u64) -> Result<Vec<u8>, SourceError> {
        let bytes = source(&path, Self::get(path.clone(), Duration::ZERO).await)?;
        match bytes.len() as u64 > bytes_max {
            true => Err(SourceError::TooLarge {
                what: path,
                bytes_max,
            }),
            false => Ok(bytes.to_vec()),
        }
    }
}

fn source(what: &str, called: Called) -> Result<Bytes, SourceError> {
    match called {
        Ok((StatusCode::OK, bytes)) => Ok(bytes),
        Ok((status, _)) => Err(SourceError::Refused(format!("{what}: status {status}"))),
        Err(text) => Err(SourceError::Away(text)),
    }
}

impl SnapshotSource for Upstream {
    fn root<'a>(&'a self, _: &'a str, version: u64) -> SourceFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let called = Self::get(format!("/root/{version}"), Duration::ZERO).await;
            match called {
                Ok((StatusCode::NOT_FOUND, _)) => Ok(None),
                called => source("root", called).map(|bytes| Some(bytes.to_vec())),
            }
        })
    }

    fn timestamp<'a>(
        &'a self,
        _: &'a str,
        unless: Option<&'a str>,
        wait: Duration,
    ) -> SourceFuture<'a, Option<FetchedTimestamp>> {
        Box::pin(async move {
            let unless = unless.map_or(String::new(), |unless| format!("&unless={unless}"));
            let path = format!("/timestamp?wait={}{unless}", wait.as_millis());
            let called = Self::get(path, wait).await;
            if let Ok((StatusCode::NOT_MODIFIED, _)) = called {
                return Ok(None);
            }
            let bytes = source("timestamp", called)?;
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
            Ok(Some(FetchedTimestamp {
                file: bytes[end + 1..].to_vec(),
                validator: String::from_utf8(bytes[..end].to_vec()).ok(),
            }))
        })
    }

    fn release<'a>(&'a self, _: &'a str, version: u64, max: u64) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(Self::document(format!("/releases/{version}"), max))
    }

    fn control<'a>(&'a self, _: &'a str, version: u64, max: u64) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(Self::document(format!("/control/{version}"), max))
    }

    fn parts<'a>(&'a self, _: &'a str, wanted: &'a [Blob]) -> SourceFuture<'a, Blobs> {
        Box::pin(async move {
            let refused = |text: String| SourceError::Refused(text);
            let names: Vec<&str> = wanted.iter().map(|blob| blob.sha256.as_str()).collect();
            let body = serde_json::to_vec(&names).map_err(|error| refused(error.to_string()))?;
            let called = Self::call(Method::POST, "/parts".to_owned(), body, Duration::ZERO).await;
            let bytes = source("parts", called)?;
            let framed = frames(&bytes).map_err(|error| refused(error.to_string()))?;
            let owned = framed.into_iter();
            Ok(owned.map(|(hash, bytes)| (hash, bytes.to_vec())).collect())
        })
    }
}

fn ledger(called: Called) -> Result<Bytes, LedgerError> {
    match called {
        Ok((StatusCode::OK, bytes)) => Ok(bytes),
        Ok((StatusCode::CONFLICT, text)) => Err(LedgerError::Fork(
            String::from_utf8_lossy(&text).into_owned(),
        )),
        Ok((status, text)) => {
            let text = String::from_utf8_lossy(&text);
            Err(LedgerError::Refused(format!("status {status}: {text}")))
        }
        Err(text) => Err(LedgerError::Away(text)),
    }
}

fn asked<'a, T: DeserializeOwned>(
    called: impl Future<Output = Called> + Send + 'a,
) -> LedgerFuture<'a, T> {
    Box::pin(async move {
        let bytes = ledger(called.await)?;
        serde_json::from_slice(&bytes).map_err(|error| LedgerError::Refused(error.to_string()))
    })
}

impl ProgressLedger for Upstream {
    fn user<'a>(&'a self, _: &'a str, user: &'a str) -> LedgerFuture<'a, UserDocument> {
        asked(Self::get(format!("/users/{user}"), Duration::ZERO))
    }

    fn users<'a>(
        &'a self,
        _: &'a str,
        users: &'a [String],
    ) -> LedgerFuture<'a, Option<UsersAnswer>> {
        Box::pin(async move {
            let users = users.to_vec();
            let body = serde_json::to_vec(&UsersQuestion { users });
            let body = body.map_err(|error| LedgerError::Refused(error.to_string()))?;
            let path = "/users:batch".to_owned();
            asked(Self::call(Method::POST, path, body, Duration::ZERO))
                .await
                .map(Some)
        })
    }

    fn user_after<'a>(
        &'a self,
        _: &'a str,
        user: &'a str,
        (journal, seq): (&'a str, u64),
        wait: Duration,
    ) -> LedgerFuture<'a, UserAfter> {
        let wait_ms = wait.as_millis();
        let path = format!("/users/{user}?after={journal}:{seq}&wait={wait_ms}");
        asked(Self::get(path, wait))
    }

    fn group<'a>(&'a self, _: &'a str, group: &'a str) -> LedgerFuture<'a, GroupRecord> {
        asked(Self::get(format!("/groups/{group}"), Duration::ZERO))
    }

    fn membership<'a>(
        &'a self,
        _: &'a str,
        deployment: &'a str,
        id: &'a str,
        conversation: Option<&'a str>,
    ) -> LedgerFuture<'a, MembershipRecord> {
        let query = conversation.map_or(String::new(), |name| format!("?conversation={name}"));
        let path = format!("/memberships/{deployment}/{id}{query}");
        asked(Self::get(path, Duration::ZERO))
    }

    fn changes<'a>(
        &'a self,
        _: &'a str,
        cursor: Option<&'a str>,
        wait: Duration,
    ) -> LedgerFuture<'a, Changes> {
        let cursor = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let path = format!("/changes?wait={}{cursor}", wait.as_millis());
        asked(Self::get(path, wait))
    }

    fn ship<'a>(&'a self, _: &'a str, batch: &'a Batch) -> LedgerFuture<'a, BatchAnswer> {
        Box::pin(async move {
            let body = serde_json::to_vec(batch);
            let body = body.map_err(|error| LedgerError::Refused(error.to_string()))?;
            let path = "/progress".to_owned();
            asked(Self::call(Method::POST, path, body, Duration::ZERO)).await
        })
    }

    fn close<'a>(&'a self, _: &'a str, journal: &'a str, hash: &'a str) -> LedgerFuture<'a, ()> {
        Box::pin(async move {
            let path = format!("/journals/{journal}/close?hash={hash}");
            let called = Self::call(Method::POST, path, Vec::new(), Duration::ZERO).await;
            ledger(called).map(drop)
        })
    }
}

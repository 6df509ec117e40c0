//! How does an application reach an edge, and what does every answer owe it?
//!
//! One connection at a time, kept until it is lost. The revision never goes
//! back on a connection; nor does it on an edge, whatever it has been through,
//! because what is served was kept before.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::timeout;

use super::{judge::Judge, publisher::KEY, seat};

/// How long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// Who asks, and over what.
pub(super) struct Visit {
    /// Which edge is asked.
    pub(super) edge: usize,
    sender: Option<http1::SendRequest<Full<Bytes>>>,
    /// The revision this connection was answered with last.
    revision: u64,
    judge: Judge,
}

/// A definite answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) revision: Option<u64>,
    /// It may lack what was written before.
    pub(super) stale: bool,
    pub(super) body: Value,
}

impl Visit {
    pub(super) fn new(edge: usize, judge: &Judge) -> Self {
        Self {
            edge,
            sender: None,
            revision: 0,
            judge: judge.clone(),
        }
    }

    pub(super) fn hang_up(&mut self) {
        self.sender = None;
    }

    /// To another edge, if it is another.
    pub(super) fn go(&mut self, edge: usize) {
        if edge != self.edge {
            self.edge = edge;
            self.sender = None;
        }
    }

    /// Asks once. An error means that nobody knows what came of it.
    pub(super) async fn ask(
        &mut self,
        path: &str,
        body: &Value,
        key: Option<&str>,
        token: Option<&str>,
    ) -> Result<Reply, String> {
        let asked = timeout(ANSWER_WITHIN, self.send(path, body, key, token)).await;
        let outcome = asked.unwrap_or_else(|_| Err("too slow".to_owned()));
        let edge = self.edge;
        match &outcome {
            Ok(reply) => {
                self.judge.tell(&format!(
                    "edge-{edge} {path} {key:?} {body} shown {token:?}: {} stale {} {}",
                    reply.status, reply.stale, reply.body
                ));
                self.judge.mix(reply.status.as_str().as_bytes());
                self.judge.mix(reply.body.to_string().as_bytes());
            }
            Err(error) => {
                self.judge
                    .tell(&format!("edge-{edge} {path} {key:?} {body}: {error}"));
                self.sender = None;
            }
        }
        outcome
    }

    async fn send(
        &mut self,
        path: &str,
        body: &Value,
        key: Option<&str>,
        token: Option<&str>,
    ) -> Result<Reply, String> {
        let floor = self.judge.floor(self.edge);
        if self
            .sender
            .as_ref()
            .is_none_or(http1::SendRequest::is_closed)
        {
            self.connect().await?;
        }
        let Some(sender) = &mut self.sender else {
            return Err("no connection".to_owned());
        };
        let mut request = Request::post(path)
            .header("host", "edge")
            .header("content-type", "application/json")
            .header("x-api-key", KEY);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(token) = token {
            request = request.header("flowgate-token", token);
        }
        let request = request.body(Full::new(Bytes::from(body.to_string())));
        let request = request.map_err(|error| error.to_string())?;
        let sent = sender.send_request(request).await;
        let (head, body) = sent.map_err(|error| error.to_string())?.into_parts();
        let bytes = body
            .collect()
            .await
            .map_err(|error| error.to_string())?
            .to_bytes();
        let header = |name: &str| head.headers.get(name)?.to_str().ok();
        let revision =
            header("flowgate-revision").and_then(|text| text.rsplit('.').next()?.parse().ok());
        if let Some(revision) = revision {
            self.hold(revision, floor);
        }
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Reply {
            status: head.status,
            revision,
            stale: header("flowgate-stale").is_some() || body["stale"] == true,
            body,
        })
    }

    async fn connect(&mut self) -> Result<(), String> {
        let place = (seat::name(self.edge), seat::PORT);
        let stream = turmoil::net::TcpStream::connect(place).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| error.to_string())?;
        // It ends when it is lost, or hung up.
        drop(tokio::task::spawn_local(connection));
        self.judge.count("connections");
        self.sender = Some(sender);
        self.revision = 0;
        Ok(())
    }

    fn hold(&mut self, revision: u64, floor: u64) {
        let least = self.revision.max(floor);
        if revision < least {
            let edge = self.edge;
            self.judge.wrong(format!(
                "revision: edge {edge} went from {least} back to {revision}"
            ));
        }
        self.revision = revision;
        self.judge.revision(self.edge, revision);
    }
}

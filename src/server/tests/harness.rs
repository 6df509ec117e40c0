//! A running edge with one environment, and a client that shows what came back.
//! The ledger behind it knows nobody, so every user begins as new.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::installation::snapshot;
use crate::{
    clock::Ambient,
    current::{Current, Freshness, Policies},
    disk::{
        journal::{Durability, Journal, JournalOptions},
        memory::MemoryDisk,
    },
    http::{self, Deadlines, Listener, Options},
    progress::{
        LedgerError, LedgerFuture, OnUnknownSubject, Progress, ProgressLedger, ProgressOptions,
        event::{Batch, BatchAnswer, Changes, GroupRecord, MembershipRecord, UserDocument},
    },
    server::{self, ChangesOptions, Edge, LimitSettings, Limits, Origins},
    snapshot::Snapshot,
    telemetry::metrics::Metrics,
};

pub(in crate::server) struct Harness {
    pub(in crate::server) edge: Edge,
    pub(in crate::server) journal: Journal,
    server: http::Server,
}

impl Harness {
    pub(in crate::server) fn start() -> Self {
        Self::with_drafts(true)
    }

    pub(super) fn with_drafts(drafts: bool) -> Self {
        Self::with(
            snapshot(drafts),
            limits(),
            NobodyKnown { has_records: true },
            Current::default(),
        )
    }

    /// With these limits, for one worker.
    pub(super) fn limited(settings: LimitSettings) -> Self {
        let limits = Limits::new(settings, NonZeroUsize::MIN);
        let nobody = NobodyKnown { has_records: true };
        Self::with(snapshot(true), limits, nobody, Current::default())
    }

    /// With a snapshot of its own.
    pub(super) fn serving(snapshot: Snapshot) -> Self {
        let nobody = NobodyKnown { has_records: true };
        Self::with(snapshot, limits(), nobody, Current::default())
    }

    /// The ledger answers for users, and for nothing else.
    pub(super) fn without_records() -> Self {
        let nobody = NobodyKnown { has_records: false };
        Self::with(snapshot(true), limits(), nobody, Current::default())
    }

    /// Under these policies, with little patience for revisions to come.
    pub(super) fn governed(policies: Policies, patience: Duration) -> Self {
        let current = Current::default().governed("development", policies);
        let nobody = NobodyKnown { has_records: true };
        Self::with(snapshot(true), limits(), nobody, current.patient(patience))
    }

    /// With a shared secret for Segment's webhooks.
    pub(super) fn with_segment(snapshot: Snapshot, secret: &str) -> Self {
        let nobody = NobodyKnown { has_records: true };
        let (mut edge, journal) = parts(snapshot, limits(), nobody, Current::default());
        edge.segment = server::SegmentSecrets::new([("development", secret)].into_iter());
        Self::serve(edge, journal)
    }

    fn with(snapshot: Snapshot, limits: Limits, ledger: NobodyKnown, current: Current) -> Self {
        let (edge, journal) = parts(snapshot, limits, ledger, current);
        Self::serve(edge, journal)
    }

    fn serve(edge: Edge, journal: Journal) -> Self {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let options = Options {
            name: "edge",
            workers: NonZeroUsize::MIN,
            connections_max: 100,
            connections_per_address_max: 100,
            deadlines: Deadlines {
                // Some tests hold requests for as long as they need.
                body: Duration::from_secs(600),
                ..Deadlines::default()
            },
        };
        let making = edge.clone();
        let served = http::serve(listener, options, &edge.metrics, move |_| making.service());
        Self {
            server: served.expect("threads start"),
            edge,
            journal,
        }
    }
    /// Where it listens.
    pub(in crate::server) fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    pub(super) async fn get(&self, key: &str, path: &str) -> Reply {
        self.ask("GET", path, &[("x-api-key", key)], "").await
    }

    pub(super) async fn post(&self, key: &str, path: &str, body: &Value) -> Reply {
        let body = body.to_string();
        self.ask("POST", path, &[("x-api-key", key)], &body).await
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        ask(self.server.address(), method, path, headers, body).await
    }
}

/// An edge that nobody serves yet.
fn parts(
    snapshot: Snapshot,
    limits: Limits,
    ledger: NobodyKnown,
    current: Current,
) -> (Edge, Journal) {
    let ambient = Ambient::system();
    let current = Arc::new(current);
    let freshness = Freshness {
        issued_ms: ambient.now_ms(),
        fresh_until_ms: u64::MAX,
        expires_ms: u64::MAX,
    };
    current.publish(Arc::new(snapshot), freshness);
    let (progress, journal) = progress(&ambient, ledger);
    let edge = Edge {
        samples: None,
        current,
        progress,
        changes: server::Changes::new(
            ChangesOptions {
                streams_max: 3,
                streams_per_key_max: 2,
                ticket_life: Duration::from_secs(60),
                ticket_secret: None,
            },
            &ambient,
        ),
        ambient,
        metrics: Metrics::new(),
        origins: Origins::Any,
        limits,
        distribution: None,
        traces_per_million: None,
        sockets: server::Sockets::new(server::SocketOptions::default()),
        segment: server::SegmentSecrets::default(),
        usage: crate::usage::Intake::closed(),
    };
    (edge, journal)
}

impl Drop for Harness {
    fn drop(&mut self) {
        // Ends the committer's thread.
        self.journal.shutdown();
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    head: String,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Status and `X-Dopt-Intent-Side-Effects` of a step.
    pub(super) fn stepped(&self) -> (u16, Option<&str>) {
        (self.status, self.header("x-dopt-intent-side-effects"))
    }
}

pub(super) async fn ask(
    address: std::net::SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is sent");
    let mut text = String::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut text))
        .await
        .expect("it answers")
        .expect("as text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    Reply {
        status: head[9..12].parse().expect("a status"),
        head: head.to_owned(),
        text: body.to_owned(),
    }
}

fn limits() -> Limits {
    Limits::new(LimitSettings::default(), NonZeroUsize::MIN)
}

/// Real progress; its threads end with the journal and with the last face.
fn progress(ambient: &Ambient, ledger: NobodyKnown) -> (Progress, Journal) {
    let options = JournalOptions {
        folder: PathBuf::from("/data/journal"),
        segment_bytes: 64 * 1024,
        total_bytes_max: 1024 * 1024,
        owners: 1,
        owner_bytes_max: u64::MAX,
        durability: Durability::Disk,
    };
    let disk = Arc::new(MemoryDisk::new(1));
    let (journal, committer, _) = Journal::open(disk, options, ambient).expect("it opens");
    drop(std::thread::spawn(move || committer.run()));
    let (progress, reader) = Progress::new(
        journal.clone(),
        Arc::new(ledger),
        ProgressOptions {
            users_max: 1_000,
            resident_max: 1_000,
            records_max: 1_000,
            on_unknown: OnUnknownSubject::Refuse,
            edge: "edge-test".to_owned(),
            environments: Vec::new(),
        },
    );
    drop(std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(reader.run());
    }));
    (progress, journal)
}

/// A ledger without users that takes nothing.
struct NobodyKnown {
    /// Whether it can be asked what percentages came to.
    has_records: bool,
}

impl ProgressLedger for NobodyKnown {
    fn user<'a>(&'a self, _: &'a str, user: &'a str) -> LedgerFuture<'a, UserDocument> {
        let identifier = user.to_owned();
        Box::pin(async move {
            Ok(UserDocument {
                identifier,
                ..UserDocument::default()
            })
        })
    }

    fn group<'a>(&'a self, _: &'a str, group: &'a str) -> LedgerFuture<'a, GroupRecord> {
        let identifier = group.to_owned();
        Box::pin(async move {
            Ok(GroupRecord {
                identifier,
                ..GroupRecord::default()
            })
        })
    }

    fn membership<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: &'a str,
        _: Option<&'a str>,
    ) -> LedgerFuture<'a, MembershipRecord> {
        let has_records = self.has_records;
        Box::pin(async move {
            match has_records {
                true => Ok(MembershipRecord::default()),
                false => Err(LedgerError::Away("a test".to_owned())),
            }
        })
    }

    fn changes<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a str>,
        _: Duration,
    ) -> LedgerFuture<'a, Changes> {
        Box::pin(async { Err(LedgerError::Away("nothing changes here".to_owned())) })
    }

    fn ship<'a>(&'a self, _: &'a str, _: &'a Batch) -> LedgerFuture<'a, BatchAnswer> {
        Box::pin(async { Err(LedgerError::Away("a test".to_owned())) })
    }

    fn close<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> LedgerFuture<'a, ()> {
        Box::pin(async { Err(LedgerError::Away("a test".to_owned())) })
    }
}

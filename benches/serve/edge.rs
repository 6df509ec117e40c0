//! The edge under measurement.
//!
//! The service, the listener and progress are the real ones, the journal lies
//! on a real disk and syncs; the snapshot is compiled from the document below,
//! and the ledger knows nobody and takes nothing, so that records stay pending.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use flowgate::{
    clock::Ambient,
    current::{Current, Freshness},
    disk::{
        RealDisk,
        journal::{Durability, Journal, JournalOptions},
    },
    http::{self, Deadlines, Listener, Options},
    progress::{
        LedgerError, LedgerFuture, OnUnknownSubject, Progress, ProgressLedger, ProgressOptions,
        event::{Batch, BatchAnswer, Changes, GroupRecord, MembershipRecord, UserDocument},
    },
    server::{self, ChangesOptions, Edge, LimitSettings, Limits, Origins},
    snapshot::{
        Revision, Snapshot, compile::compile, parts::Content, sha256_hex, wire::VersionPart,
    },
    telemetry::metrics::Metrics,
};
use serde_json::{Value, json};

/// The key all requests carry; as long as generated ones are.
pub(crate) const KEY: &str = "blocks-development-3f6c1e0a9b7d4852c1d0e9f8a7b6c5d4";

/// Serves until it is killed.
pub(crate) fn serve() {
    let ambient = Ambient::system();
    let current = Arc::new(Current::default());
    let freshness = Freshness {
        issued_ms: ambient.now_ms(),
        fresh_until_ms: u64::MAX,
        expires_ms: u64::MAX,
    };
    current.publish(Arc::new(snapshot()), freshness);
    // Kept until the process is killed; the folder is under the build's own.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let edge = Edge {
        samples: None,
        current,
        progress: progress(&ambient, folder.path()),
        changes: server::Changes::new(
            ChangesOptions {
                streams_max: 20_000,
                streams_per_key_max: 20_000,
                ticket_life: Duration::ZERO,
                ticket_secret: None,
            },
            &ambient,
        ),
        segment: server::SegmentSecrets::default(),
        sockets: server::Sockets::new(server::SocketOptions::default()),
        ambient,
        metrics: Metrics::new(),
        origins: Origins::Any,
        limits: Limits::new(LimitSettings::default(), NonZeroUsize::MIN),
        distribution: None,
        traces_per_million: None,
    };
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    // One worker, as the floor has one thread: the other core is the client's.
    let options = Options {
        name: "edge",
        workers: NonZeroUsize::MIN,
        connections_max: 20_000,
        connections_per_address_max: 20_000,
        deadlines: Deadlines::default(),
    };
    let metrics = edge.metrics.clone();
    let server = http::serve(listener, options, &metrics, move |_| edge.service());
    let server = server.expect("threads start");
    println!("{}", server.address());
    loop {
        std::thread::park();
    }
}

/// The one place where progress is put together.
fn progress(ambient: &Ambient, folder: &std::path::Path) -> Progress {
    let options = JournalOptions {
        folder: folder.join("journal"),
        segment_bytes: 64 << 20,
        total_bytes_max: 1 << 30,
        owners: 1,
        owner_bytes_max: u64::MAX,
        durability: Durability::Disk,
    };
    let opened = Journal::open(Arc::new(RealDisk), options, ambient);
    let (journal, committer, _) = opened.expect("the journal opens");
    drop(std::thread::spawn(move || committer.run()));
    let (progress, reader) = Progress::new(
        journal,
        Arc::new(NobodyKnown),
        ProgressOptions {
            users_max: 100_000,
            resident_max: 100_000,
            records_max: 1_000_000,
            on_unknown: OnUnknownSubject::Refuse,
            edge: "edge-bench".to_owned(),
            environments: Vec::new(),
        },
    );
    drop(std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(reader.run());
    }));
    progress
}

struct NobodyKnown;

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
        Box::pin(async { Ok(MembershipRecord::default()) })
    }

    fn changes<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a str>,
        _: std::time::Duration,
    ) -> LedgerFuture<'a, Changes> {
        Box::pin(async { Err(LedgerError::Away("nothing changes here".to_owned())) })
    }

    fn ship<'a>(&'a self, _: &'a str, _: &'a Batch) -> LedgerFuture<'a, BatchAnswer> {
        Box::pin(async { Err(LedgerError::Away("a bench".to_owned())) })
    }

    fn close<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> LedgerFuture<'a, ()> {
        Box::pin(async { Err(LedgerError::Away("a bench".to_owned())) })
    }
}

/// One flow of five blocks with the fields a product would give them; the
/// first two lead to each other, so that every transition changes something.
fn snapshot() -> Snapshot {
    let blocks = ["one", "two", "three", "four", "five"].map(|uid| {
        json!({
            "uid": uid, "sid": uid, "kind": "custom",
            "transitions": if uid == "two" { ["back", "complete"] } else { ["next", "complete"] },
            "fields": [
                {"sid": "title", "type": "string", "value": "Welcome to your new workspace"},
                {"sid": "body", "type": "string", "value":
                    "Invite your team, connect your calendar and see what is going on."},
                {"sid": "order", "type": "number", "value": 3},
            ],
        })
    });
    let version: Value = json!({
        "flow_uid": "flow_welcome", "flow_sid": "welcome", "number": 1,
        "entry": "everyone", "blocks": blocks,
        "paths": [
            {"uid": "p0", "to": "one"},
            {"uid": "p1", "from": "one", "on": ["next"], "to": "two"},
            {"uid": "p2", "from": "two", "on": ["back"], "to": "one"},
            {"uid": "p3", "from": "one", "on": ["complete"], "to": "three"},
            {"uid": "p4", "from": "three", "on": ["next"], "to": "four"},
            {"uid": "p5", "from": "four", "on": ["next"], "to": "five"},
        ],
    });
    let version: VersionPart = serde_json::from_value(version).expect("a version");
    let flow = json!({
        "uid": "flow_welcome", "sid": "welcome", "name": "Welcome", "project": "default",
        "enabled": true, "versions": [1],
    });
    let key = json!({"sha256": sha256_hex(KEY.as_bytes()), "kind": "blocks", "name": "bench"});
    let settings = json!({"environment_type": "production", "drafts": false,
        "access": {"unsigned_users": "allow"}});
    let control = json!({
        "environment": "production", "environment_uid": "env_1",
        "epoch": 0, "version": 1, "created_ms": 0,
    });
    let content = Content {
        settings: serde_json::from_value(settings).expect("settings"),
        flows: vec![serde_json::from_value(flow).expect("a flow")],
        versions: vec![(sha256_hex(b"1"), version)],
        deployments: Vec::new(),
        keys: vec![serde_json::from_value(key).expect("a key")],
        broken: Vec::new(),
    };
    let control = serde_json::from_value(control).expect("a control document");
    let revision = Revision {
        epoch: 0,
        number: 17,
    };
    let compiled = compile("production", "env_1", revision, &content, &control);
    let compiled = compiled.expect("it compiles");
    assert_eq!(compiled.set_aside, []);
    compiled
}

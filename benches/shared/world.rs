//! What stands behind the measured requests and steps?
//!
//! One flow of five blocks in a snapshot, and progress as the edge puts it
//! together, with its journal on a real disk that syncs. The ledger takes
//! nothing, so that records stay pending; of users it knows nothing, or that
//! each of them has been through the flow.

use std::{path::Path, sync::Arc, time::Duration};

use flowgate::{
    clock::Ambient,
    disk::{
        RealDisk,
        journal::{Durability, Journal, JournalOptions},
    },
    progress::{
        LedgerError, LedgerFuture, OnUnknownSubject, Progress, ProgressLedger, ProgressOptions,
        event::{
            Batch, BatchAnswer, BlockStateDocument, Changes, EventId, FlowStateDocument,
            GroupRecord, MembershipRecord, UserDocument,
        },
    },
    snapshot::{
        Revision, Snapshot,
        compile::compile,
        parts::Content,
        sha256_hex,
        wire::{FlowPart, VersionPart},
    },
};
use serde_json::{Value, json};

/// The key all requests carry; as long as generated ones are.
pub(crate) const KEY: &str = "blocks-development-3f6c1e0a9b7d4852c1d0e9f8a7b6c5d4";

/// As many bytes as one segment has by default.
pub(crate) const SEGMENT_BYTES: u64 = 64 << 20;

/// The ledger: each user has entered so many of the five blocks, in as many
/// steps; with none, it does not know them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Users {
    pub(crate) blocks: usize,
}

impl Users {
    pub(crate) const UNKNOWN: Self = Self { blocks: 0 };
}

pub(crate) fn journal_options(folder: &Path) -> JournalOptions {
    JournalOptions {
        folder: folder.join("journal"),
        segment_bytes: SEGMENT_BYTES,
        total_bytes_max: 4 << 30,
        owners: 1,
        owner_bytes_max: u64::MAX,
        durability: Durability::Disk,
    }
}

/// The one place where progress is put together.
pub(crate) fn progress(ambient: &Ambient, folder: &Path, users: Users) -> (Progress, Journal) {
    let opened = Journal::open(Arc::new(RealDisk), journal_options(folder), ambient);
    let (journal, committer, _) = opened.expect("the journal opens");
    drop(std::thread::spawn(move || committer.run()));
    let (progress, reader) = Progress::new(
        journal.clone(),
        Arc::new(users),
        ProgressOptions {
            users_max: 200_000,
            resident_max: 100_000,
            records_max: 10_000_000,
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
    (progress, journal)
}

impl ProgressLedger for Users {
    fn user<'a>(&'a self, _: &'a str, user: &'a str) -> LedgerFuture<'a, UserDocument> {
        let mut document = UserDocument::new(user);
        if self.blocks > 0 {
            let state = state_after(self.blocks);
            document.doc_rev = state.recent.len() as u64;
            document.created_ms = state.touched_ms;
            document.flows = vec![state];
        }
        Box::pin(async move { Ok(document) })
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
        _: Duration,
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

/// At the last of so many blocks; those before it were left by a transition.
fn state_after(blocks: usize) -> FlowStateDocument {
    let uids = ["one", "two", "three", "four", "five"];
    let entered = uids[..blocks].iter().enumerate().map(|(at, uid)| {
        let is_last = at + 1 == blocks;
        BlockStateDocument {
            block: (*uid).to_owned(),
            active: is_last,
            exited: !is_last,
            taken: if is_last {
                Vec::new()
            } else {
                vec!["next".to_owned()]
            },
        }
    });
    FlowStateDocument {
        flow: "flow_welcome".to_owned(),
        version: 1,
        started: true,
        touched_ms: Some(1_767_225_600_000),
        blocks: entered.collect(),
        recent: (0..blocks as u64)
            .map(|key| EventId { key, body: 7 })
            .collect(),
        ..FlowStateDocument::default()
    }
}

/// One flow of five blocks with the fields a product would give them, each of
/// which says the revision; the first two lead to each other, so that every
/// transition changes something. With it any others, by their uids before it.
pub(crate) fn snapshot(number: u64, others: Vec<(FlowPart, VersionPart)>) -> Snapshot {
    let (mut flows, mut parts): (Vec<FlowPart>, Vec<VersionPart>) = others.into_iter().unzip();
    let flow = json!({
        "uid": "flow_welcome", "sid": "welcome", "name": "Welcome", "project": "default",
        "enabled": true, "versions": [1],
    });
    flows.push(serde_json::from_value(flow).expect("a flow"));
    parts.push(serde_json::from_value(welcome(number)).expect("a version"));
    let versions = parts.into_iter().enumerate();
    let versions = versions.map(|(at, part)| (sha256_hex(&at.to_le_bytes()), part));
    let key = json!({"sha256": sha256_hex(KEY.as_bytes()), "kind": "blocks", "name": "bench"});
    let settings = json!({"environment_type": "production", "drafts": false,
        "access": {"unsigned_users": "allow"}});
    let content = Content {
        settings: serde_json::from_value(settings).expect("settings"),
        flows,
        versions: versions.collect(),
        deployments: Vec::new(),
        keys: vec![serde_json::from_value(key).expect("a key")],
        flags: Default::default(),
        broken: Vec::new(),
    };
    let control = json!({
        "environment": "production", "environment_uid": "env_1",
        "epoch": 0, "version": 1, "created_ms": 0,
    });
    let control = serde_json::from_value(control).expect("a control document");
    let revision = Revision { epoch: 0, number };
    let compiled = compile("production", "env_1", revision, &content, &control);
    let compiled = compiled.expect("it compiles");
    assert_eq!(compiled.set_aside, []);
    compiled
}

fn welcome(number: u64) -> Value {
    let title = format!("Welcome to your workspace 0.{number}");
    let blocks = ["one", "two", "three", "four", "five"].map(|uid| {
        json!({
            "uid": uid, "sid": uid, "kind": "custom",
            "transitions": if uid == "two" { ["back", "complete"] } else { ["next", "complete"] },
            "fields": [
                {"sid": "title", "type": "string", "value": title},
                {"sid": "body", "type": "string", "value":
                    "Invite your team, connect your calendar and see what is going on."},
                {"sid": "order", "type": "number", "value": 3},
            ],
        })
    });
    json!({
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
    })
}

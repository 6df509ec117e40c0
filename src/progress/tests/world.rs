//! The flows that the tests of progress step through.
//!
//! `tour` goes in a circle through a branch and has two versions; `deal`
//! starts only for users with a group that pays, and `draft` has a draft. `trip`
//! carries over from its first version to its second, and `relay` starts
//! `side` on the way.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    current::{Current, EnvironmentSlot, Freshness},
    progress::{Action, Place, StepRequest, event::EventId},
    snapshot::{
        BlockKey, Flow, NameKey, Revision, Snapshot, Version, compile::compile, parts::Content,
    },
    store::LedgerVersions,
};

/// Name of the environment.
pub(super) const ENVIRONMENT: &str = "production";
/// Its uid.
pub(super) const UID: &str = "env_1";

/// A compiled snapshot, in force.
#[derive(Clone)]
pub(super) struct World {
    pub(super) current: Arc<Current>,
    pub(super) snapshot: Arc<Snapshot>,
}

impl World {
    pub(super) fn new() -> Self {
        let snapshot = Arc::new(snapshot(true));
        let current = Arc::new(Current::default());
        current.publish(snapshot.clone(), Freshness::default());
        Self { current, snapshot }
    }

    /// The same after an edit of the draft that took its only block away.
    pub(super) fn edited(&self) -> Self {
        Self {
            current: self.current.clone(),
            snapshot: Arc::new(snapshot(false)),
        }
    }

    pub(super) fn slot(&self) -> EnvironmentSlot {
        self.current.slot(UID)
    }

    pub(super) fn place(&self) -> Place {
        Place {
            asker: crate::progress::Asker::default(),
            slot: self.slot(),
            snapshot: self.snapshot.clone(),
        }
    }

    pub(super) fn flow(&self, sid: &str, number: u32) -> (&Arc<Flow>, &Arc<Version>) {
        let flow = &self.snapshot.flows[sid];
        let slot = flow.version(number).expect("the version is there");
        (flow, slot.version.as_ref().expect("it compiles"))
    }

    /// A step in a flow.
    pub(super) fn request<'a>(
        &'a self,
        user: &'a str,
        (sid, number): (&str, u32),
        action: Action<'a>,
        id: Option<EventId>,
    ) -> StepRequest<'a> {
        let (flow, version) = self.flow(sid, number);
        StepRequest {
            membership: None,
            place: self.place(),
            user,
            group: None,
            conversation: None,
            attributes: None,
            flow,
            version,
            action,
            id,
            now: 1_000,
        }
    }

    /// Leaving a block.
    pub(super) fn leave<'a>(
        &self,
        (sid, number): (&str, u32),
        block: &str,
        names: &'a [NameKey],
    ) -> Action<'a> {
        let (_, version) = self.flow(sid, number);
        let block = version
            .find(BlockKey::of(block))
            .expect("the block is there");
        Action::Transition { block, names }
    }
}

impl LedgerVersions for World {
    fn version(&self, flow_uid: &str, number: u32) -> Option<Arc<Version>> {
        let flow = self.snapshot.flows.get(flow_uid)?;
        flow.version(number)?.version.clone()
    }
}

fn snapshot(with_first: bool) -> Snapshot {
    let everyone = json!("everyone");
    let pays = json!({"expression": "group.properties.plan = 'pro'"});
    let parts = [
        tour(1, &everyone),
        tour(2, &everyone),
        single("deal", 1, &pays, "offer"),
        single(
            "draft",
            0,
            &everyone,
            if with_first { "sketch" } else { "redrawn" },
        ),
    ];
    let more: Vec<Value> = serde_json::from_str(TRIP_AND_RELAY).expect("parts");
    let flow = |sid: &str, versions: &[u32]| {
        let flow = json!({
            "uid": sid, "sid": sid, "name": sid, "project": "default", "enabled": true,
            "versions": versions,
        });
        serde_json::from_value(flow).expect("a flow")
    };
    let settings = json!({"environment_type": "production", "drafts": true});
    let content = Content {
        deployments: Vec::new(),
        settings: serde_json::from_value(settings).expect("settings"),
        flows: vec![
            flow("deal", &[1]),
            flow("draft", &[0]),
            flow("relay", &[1]),
            flow("side", &[1]),
            flow("tour", &[1, 2]),
            flow("trip", &[1, 2]),
        ],
        versions: parts
            .into_iter()
            .chain(more)
            .enumerate()
            .map(|(n, part)| {
                (
                    format!("{n}"),
                    serde_json::from_value(part).expect("a version"),
                )
            })
            .collect(),
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    };
    let control = json!({
        "environment": ENVIRONMENT, "environment_uid": UID, "epoch": 0, "version": 1,
        "created_ms": 0,
    });
    let control = serde_json::from_value(control).expect("a control document");
    let revision = Revision::default();
    let compiled = compile(ENVIRONMENT, UID, revision, &content, &control).expect("it compiles");
    assert_eq!(compiled.set_aside, []);
    compiled
}

const TRIP_AND_RELAY: &str = r#"[
{"flow_uid": "trip", "flow_sid": "trip", "number": 1, "entry": "everyone",
 "blocks": [{"uid": "x", "sid": "x", "kind": "card"}, {"uid": "y", "sid": "y", "kind": "card"}],
 "paths": [{"uid": "t1", "to": "x"}, {"uid": "t2", "from": "x", "on": ["complete"], "to": "y"}]},
{"flow_uid": "trip", "flow_sid": "trip", "number": 2, "entry": "everyone",
 "migration": "carry-over",
 "blocks": [{"uid": "x", "sid": "x", "kind": "card"}, {"uid": "y", "sid": "y", "kind": "card"}],
 "paths": [{"uid": "t1", "to": "x"}, {"uid": "t2", "from": "x", "on": ["complete"], "to": "y"}]},
{"flow_uid": "relay", "flow_sid": "relay", "number": 1, "entry": "everyone",
 "blocks": [{"uid": "c", "sid": "c", "kind": "card"},
   {"uid": "t", "sid": "t", "kind": "flowTrigger",
    "trigger": {"flow_sid": "side", "version": 1, "action": "reset"}},
   {"uid": "last", "sid": "last", "kind": "card"}],
 "paths": [{"uid": "r1", "to": "c"}, {"uid": "r2", "from": "c", "on": ["complete"], "to": "t"},
   {"uid": "r3", "from": "t", "on": ["done"], "to": "last"},
   {"uid": "r4", "from": "last", "on": ["complete"], "to": "c"}]},
{"flow_uid": "side", "flow_sid": "side", "number": 1, "entry": "api-only",
 "blocks": [{"uid": "o", "sid": "o", "kind": "card"}],
 "paths": [{"uid": "s1", "to": "o"}]}
]"#;

/// first → rich ? gold : plain → first; gold → end.
fn tour(number: u32, entry: &Value) -> Value {
    json!({
        "flow_uid": "tour", "flow_sid": "tour", "number": number, "entry": entry,
        "blocks": [
            {"uid": "first", "sid": "first", "kind": "custom", "transitions": ["next", "skip"]},
            {"uid": "rich", "sid": "rich", "kind": "boolean",
             "expression": "user.properties.rich = true"},
            {"uid": "gold", "sid": "gold", "kind": "custom", "transitions": ["again", "done"]},
            {"uid": "plain", "sid": "plain", "kind": "custom", "transitions": ["again"]},
            {"uid": "end", "sid": "end", "kind": "finish"},
        ],
        "paths": [
            {"uid": "p0", "to": "first"},
            {"uid": "p1", "from": "first", "on": ["next", "skip"], "to": "rich"},
            {"uid": "p2", "from": "rich", "on": ["true"], "to": "gold"},
            {"uid": "p3", "from": "rich", "on": ["false"], "to": "plain"},
            {"uid": "p4", "from": "gold", "on": ["again"], "to": "first"},
            {"uid": "p5", "from": "plain", "on": ["again"], "to": "first"},
            {"uid": "p6", "from": "gold", "on": ["done"], "to": "end"},
        ],
    })
}

fn single(sid: &str, number: u32, entry: &Value, block: &str) -> Value {
    json!({
        "flow_uid": sid, "flow_sid": sid, "number": number, "entry": entry,
        "blocks": [{"uid": block, "sid": block, "kind": "custom", "transitions": ["done"]}],
        "paths": [{"uid": "p0", "to": block}],
    })
}

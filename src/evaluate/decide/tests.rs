//! Do decisions hold together?
//!
//! What vectors cannot say one by one: what holds for every subject, record
//! and percentage, and that a receipt never tells another story.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Ask, Decision, Tag, VersionSource, decide};
use crate::{
    evaluate::{
        BlockState, FlowState, Membership, Profile, Reason, Receipt, Standing, Subject,
        SubjectView, explain,
    },
    snapshot::{
        BlockKey, FlowKey, Revision, Snapshot,
        compile::compile,
        parts::Content,
        wire::{ControlDocument, EnvironmentType, SettingsPart},
    },
};

const CHANNELS: [&str; 9] = [
    "plain",
    "by-user",
    "by-talk",
    "full",
    "none",
    "stay",
    "move",
    "off",
    "by-attribute",
];
const PERCENTAGES: [u16; 7] = [0, 1, 1000, 2500, 5000, 9999, 10_000];
const STATES: [&str; 5] = ["new", "running", "finished", "stopped", "retired"];

/// One flow of every strategy, a disabled one and one for deployments only; on
/// `at-N-REMEMBER` the first is deployed at N basis points.
fn snapshot() -> Snapshot {
    let version = |flow: &str, number: u32, migration: &str, second: &str| {
        json!({"flow_uid": flow, "flow_sid": flow, "number": number, "migration": migration,
            "entry": if number == 3 {
                json!({"expression": "user.properties.plan = 'pro'"})
            } else {
                json!("everyone")
            },
            "blocks": [{"uid": format!("{flow}-a"), "sid": "a", "kind": "card"},
                {"uid": format!("{flow}-b"), "sid": "b", "kind": second}],
            "paths": [{"uid": "p", "to": format!("{flow}-a")}]})
    };
    let flow = |uid: &str, versions: &[u32]| {
        json!({"uid": uid, "sid": uid, "name": uid, "project": "web", "enabled": true,
            "versions": versions, "deployments_only": uid == "h"})
    };
    let audience = json!([{"name": "payers", "rules": [
            {"attribute": "plan", "operator": "equals", "value": "pro"},
            {"attribute": "age", "operator": "greater_than", "value": 17}]},
        {"rules": [{"attribute": "role", "operator": "is_not_empty"}]}]);
    let deployment = |channel: &str, points: u16, remember: &str, more: Value| {
        let mut rollout = json!({"basis_points": points, "salt": "s", "remember": remember});
        let mut part = json!({"uid": channel, "name": channel, "flow_uid": "f",
            "channel": channel, "policy": "latest"});
        for (name, value) in more.as_object().unwrap() {
            let place = if name == "on_version_change" || name == "policy" {
                &mut part
            } else {
                &mut rollout
            };
            place[name] = value.clone();
        }
        part["rollout"] = rollout;
        serde_json::from_value(part).unwrap()
    };
    let schedule = json!([{"at_ms": 10, "basis_points": 10_000}, {"at_ms": 20, "basis_points": 0}]);
    let mut deployments = vec![
        deployment("plain", 5000, "nothing", json!({"alternatives": audience})),
        deployment("by-user", 5000, "user", json!({"schedule": schedule})),
        deployment(
            "by-talk",
            2500,
            "conversation",
            json!({"alternatives": audience}),
        ),
        deployment("full", 10_000, "user", json!({"alternatives": audience})),
        deployment("none", 0, "user", json!({})),
        deployment("stay", 5000, "user", json!({"on_version_change": "stay"})),
        deployment(
            "move",
            5000,
            "user",
            json!({"on_version_change": "migrate", "policy": {"pinned": 2}}),
        ),
        deployment("off", 5000, "user", json!({})),
        deployment(
            "by-attribute",
            5000,
            "user",
            json!({"id": {"attribute": "team"}}),
        ),
    ];
    for points in PERCENTAGES {
        for remember in ["nothing", "user"] {
            let channel = format!("at-{points}-{remember}");
            deployments.push(deployment(&channel, points, remember, json!({})));
        }
    }
    let versions = [
        version("f", 0, "carry-over", "card"),
        version("f", 1, "carry-over", "card"),
        version("f", 2, "carry-over", "card"),
        version("f", 3, "stop-in-progress", "card"),
        version("f", 5, "carry-over", "modal"),
        version("g", 1, "restart-all", "card"),
        version("h", 1, "restart-all", "card"),
    ];
    let content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: true,
            deprecated: false,
            channels: Vec::new(),
            access: Default::default(),
        },
        flows: [
            flow("f", &[0, 1, 2, 3, 5]),
            flow("g", &[1]),
            flow("h", &[1]),
        ]
        .map(|part| serde_json::from_value(part).unwrap())
        .into(),
        versions: versions
            .map(|part| (String::new(), serde_json::from_value(part).unwrap()))
            .into(),
        deployments,
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    };
    let control = ControlDocument {
        disabled_flows: vec!["g".to_owned()],
        inactive_deployments: vec!["off".to_owned()],
        ..ControlDocument::default()
    };
    let snapshot = compile("test", "e1", Revision::default(), &content, &control).unwrap();
    assert!(snapshot.set_aside.is_empty(), "{:?}", snapshot.set_aside);
    snapshot
}

fn view<'a>(user: &'a Subject, conversation: Option<&'a str>) -> SubjectView<'a> {
    SubjectView {
        user,
        group: None,
        attributes: None,
        conversation,
    }
}

/// Whether the id is in at this percentage, and what is to be recorded.
fn at(
    snapshot: &Snapshot,
    id: &str,
    points: u16,
    remember: &str,
    membership: Option<Membership>,
) -> (bool, Option<Membership>) {
    let channel = format!("at-{points}-{remember}");
    let ask = Ask {
        sid: "f",
        channel: Some(&channel),
        membership,
        ..Ask::default()
    };
    let user = Subject::unseen(id);
    let decision = decide(snapshot, &view(&user, None), &ask, |_| true, 0);
    let enrolled = decision.enrolled.unwrap();
    (enrolled.is_in, enrolled.to_record)
}

#[test]
fn raising_a_percentage_under_plain_hashing_throws_nobody_out() {
    let snapshot = snapshot();
    let mut moved = 0;
    for id in 0..2_000 {
        let id = format!("user-{id}");
        let answers = PERCENTAGES.map(|points| at(&snapshot, &id, points, "nothing", None).0);
        assert!(answers.is_sorted(), "{id}: {answers:?}");
        assert!(!answers[0] && answers[PERCENTAGES.len() - 1], "{id}");
        moved += usize::from(answers[3] != answers[4]);
    }
    // A quarter of them enters between 25 and 50 per cent.
    assert!((400..600).contains(&moved), "{moved}");
}

/// Follows every order of three percentages, keeping what is to be recorded.
#[test]
fn a_record_flips_only_from_out_to_in_and_only_at_the_whole() {
    let snapshot = snapshot();
    let (mut flips, mut kept_out, mut kept_in) = (0, 0, 0);
    for id in (0..60).map(|id| format!("user-{id}")) {
        for way in 0..PERCENTAGES.len().pow(3) {
            let mut record: Option<Membership> = None;
            for turn in 0..3 {
                let points = PERCENTAGES[way / PERCENTAGES.len().pow(turn) % PERCENTAGES.len()];
                let (is_in, to_record) = at(&snapshot, &id, points, "user", record);
                let hashed = at(&snapshot, &id, points, "nothing", None).0;
                match (record, to_record) {
                    (Some(before), Some(after)) => {
                        assert!(
                            !before.is_in && after.is_in && points == 10_000,
                            "{before:?}"
                        );
                        assert_eq!(after.basis_points, 10_000);
                        flips += 1;
                    }
                    (Some(before), None) => {
                        assert_eq!(is_in, before.is_in);
                        kept_in += usize::from(is_in && !hashed);
                        kept_out += usize::from(!is_in && hashed);
                    }
                    (None, Some(after)) => {
                        assert_eq!((is_in, points), (after.is_in, after.basis_points));
                        assert_eq!(is_in, hashed);
                    }
                    (None, None) => assert_eq!((points, is_in), (0, false)),
                }
                record = to_record.or(record);
            }
        }
    }
    // Each of them came up.
    assert!(flips > 0 && kept_out > 0 && kept_in > 0);
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
        Just(json!("pro")),
        Just(json!(18)),
        Just(json!(["pro", null, {"a": []}])),
        Just(json!({})),
    ]
}

fn any_properties() -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![Just("plan"), Just("age"), Just("role"), Just("team")];
    proptest::collection::vec((name, any_value()), 0..5)
        .prop_map(|pairs| pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())
}

fn any_state() -> impl Strategy<Value = FlowState> {
    let blocks = proptest::collection::vec((0..3usize, any::<bool>()), 0..3);
    (0..STATES.len(), blocks).prop_map(|(kind, blocks)| {
        let name = STATES[kind];
        let mut blocks: Vec<BlockState> = blocks
            .into_iter()
            .map(|(block, active)| BlockState {
                key: BlockKey::of(["f-a", "f-b", "f-gone"][block]),
                active,
                entered: true,
                exited: !active,
                taken: Box::default(),
            })
            .collect();
        blocks.sort_unstable_by_key(|block| block.key);
        blocks.dedup_by_key(|block| block.key);
        FlowState {
            started: name != "new",
            stopped: name == "stopped" || name == "retired",
            finished: name == "finished",
            retired: name == "retired",
            generation: 0,
            blocks: blocks.into(),
        }
    })
}

fn any_subject() -> impl Strategy<Value = Subject> {
    let state = (0..3usize, 0..7u32, any::<bool>(), any_state());
    let states = proptest::collection::vec(state, 0..4);
    ("[a-z]{1,4}", any_properties(), states).prop_map(|(id, properties, states)| {
        let mut subject = Subject::unseen(&id);
        subject.profile = std::sync::Arc::new(Profile {
            identifier: id.into(),
            properties,
            ..Profile::default()
        });
        for (flow, version, talks, state) in states {
            let flow = FlowKey::of(["f", "g", "h"][flow]);
            subject.set_state(flow, version, talks.then_some("talk"), state);
        }
        subject
    })
}

#[test]
fn a_receipt_tells_the_story_of_its_decision() {
    let snapshot = snapshot();
    let config = ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let sid = prop_oneof![4 => Just("f"), 1 => Just("g"), 1 => Just("h"), 1 => Just("nowhere")];
    let number = proptest::option::of(0..7u32);
    let channel = proptest::option::of(0..CHANNELS.len());
    let record = proptest::option::of((any::<bool>(), 0..=10_000u16));
    let asked = (sid, number, channel, record);
    proptest!(config, |(user in any_subject(), asked in asked, talks: bool, now in 0..30u64)| {
        let (sid, number, channel, record) = asked;
        let view = view(&user, talks.then_some("talk"));
        let ask = Ask {
            sid,
            tag: number.map_or(Tag::Latest, Tag::Number),
            channel: channel.map(|own| CHANNELS[own]),
            membership: record.map(|(is_in, basis_points)| Membership { is_in, basis_points }),
        };
        let decision = decide(&snapshot, &view, &ask, |_| true, now);
        let receipt = explain(&snapshot, &view, &ask, |_| true, now);
        agrees(&decision, &receipt.decision);
        holds_together(&decision);
        leads_there(&receipt);
    });
}

fn agrees(one: &Decision<'_, '_>, other: &Decision<'_, '_>) {
    assert_eq!(one.reason, other.reason);
    assert_eq!(one.number, other.number);
    assert_eq!(one.version_source, other.version_source);
    assert_eq!(one.enrolled, other.enrolled);
    assert_eq!(one.served, other.served);
    assert_eq!(one.state, other.state);
    assert_eq!(one.migrated, other.migrated);
    assert_eq!(one.may_start, other.may_start);
    let uid = |own: &Decision<'_, '_>| own.deployment.map(|own| own.uid.clone());
    assert_eq!(uid(one), uid(other));
    assert_eq!(one.version.is_some(), other.version.is_some());
}

/// What holds for every decision.
fn holds_together(decision: &Decision<'_, '_>) {
    use Reason::{EntryCondition, Finished, Member, Percentage, Pinned, Started, Stopped};
    let reason = decision.reason;
    let served = match reason {
        Started | Finished | Stopped | Pinned | Member => true,
        EntryCondition => decision.may_start,
        Percentage => decision.enrolled.is_some_and(|own| own.is_in),
        _ => false,
    };
    assert_eq!(decision.served, served, "{reason:?}");
    assert!(decision.served || !decision.may_start);
    let is_migrated = decision.version_source == VersionSource::Migration;
    assert_eq!(decision.migrated.is_some(), is_migrated);
    assert!(decision.served || !is_migrated);
    let running = decision.state.as_ref().is_some_and(|own| own.is_running());
    assert!(reason != Started || running);
    if let Some(enrolled) = decision.enrolled {
        assert!(!(enrolled.recorded && enrolled.to_record.is_some()));
        assert!(decision.deployment.is_some_and(|own| own.active));
    }
}

/// What was kept on the way leads to the decision.
fn leads_there(receipt: &Receipt<'_, '_>) {
    let decision = &receipt.decision;
    let is_pinned = decision.version_source == VersionSource::Pin;
    assert_eq!(receipt.pin.is_some(), is_pinned);
    if let Some(pin) = receipt.pin {
        assert_eq!(pin.version, decision.number);
    }
    if let Some(audience) = &receipt.audience {
        for alternative in audience {
            assert!(!alternative.rules.is_empty());
            let all = alternative.rules.iter().all(|rule| rule.holds);
            assert_eq!(alternative.holds, all);
        }
        let fits = audience.is_empty() || audience.iter().any(|own| own.holds);
        assert_eq!(!fits, decision.reason == Reason::AudienceMismatch);
    }
    if let Some(enrolled) = decision.enrolled {
        let rollout = receipt.rollout.as_ref().unwrap();
        assert_eq!(rollout.bucket, Some(enrolled.bucket));
        if enrolled.recorded {
            assert_eq!(rollout.record.map(|own| own.is_in), Some(enrolled.is_in));
            assert_eq!(receipt.audience, None);
        } else {
            assert_eq!(enrolled.is_in, enrolled.bucket < rollout.basis_points);
        }
    }
    if let Some(migration) = &receipt.migration {
        let mut standing = migration.before;
        for step in &migration.steps {
            assert_eq!(step.before, standing);
            standing = step.after;
        }
        let is_fresh = migration.after == Standing::Fresh;
        assert_eq!(is_fresh, decision.migrated.is_none());
        assert!(is_fresh || !migration.incompatible);
    } else {
        assert_eq!(decision.migrated, None);
    }
    if let Some(entry) = receipt.entry {
        assert_eq!(entry.holds, decision.may_start);
    }
}

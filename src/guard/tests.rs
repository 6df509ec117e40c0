//! What counts as a change, and which contexts are kept?

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Context, FlowChange, Reservoir, Sampler, Verdict, judge};
use crate::{
    current::EnvironmentSlot,
    evaluate::{Profile, Subject, Tag},
    limits::GUARD_DECISIONS_MIN,
    snapshot::{
        Revision, Snapshot,
        compile::compile,
        parts::Content,
        wire::{ControlDocument, EnvironmentType, FlowPart, SettingsPart},
    },
};

/// One flow with these versions, each open to whoever its entry lets in.
fn snapshot(entries: &[Value]) -> Snapshot {
    let numbers = 1..=u32::try_from(entries.len()).expect("few");
    let versions = entries.iter().zip(numbers.clone()).map(|(entry, number)| {
        let part = json!({"flow_uid": "f", "flow_sid": "tour", "number": number, "entry": entry,
            "blocks": [{"uid": "b", "sid": "card", "kind": "card"}],
            "paths": [{"uid": "p", "to": "b"}]});
        (
            String::new(),
            serde_json::from_value(part).expect("a version"),
        )
    });
    let content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: false,
            deprecated: false,
            channels: Vec::new(),
            access: Default::default(),
        },
        flows: vec![FlowPart {
            uid: "f".into(),
            sid: "tour".into(),
            name: "Tour".into(),
            project: "web".into(),
            enabled: true,
            versions: numbers.collect(),
            refuse_public_force: false,
            deployments_only: false,
        }],
        versions: versions.collect(),
        deployments: Vec::new(),
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    };
    let control = ControlDocument::default();
    compile("test", "e1", Revision::default(), &content, &control).expect("it compiles")
}

fn context(user: &str, plan: &str) -> Context {
    let properties = Map::from_iter([("plan".to_owned(), json!(plan))]);
    Context {
        slot: EnvironmentSlot(0),
        sid: "tour".into(),
        tag: Tag::Latest,
        channel: None,
        membership: None,
        user: Arc::new(Subject {
            profile: Arc::new(Profile {
                identifier: user.into(),
                properties,
                ..Profile::default()
            }),
            flows: Vec::new(),
        }),
        group: None,
        attributes: None,
        conversation: None,
    }
}

/// Ten users of each plan.
fn users() -> Vec<Context> {
    let plans = ["free", "pro"].into_iter();
    plans
        .flat_map(|plan| (0..10).map(move |user| context(&format!("{plan}-{user}"), plan)))
        .collect()
}

fn only(plan: &str) -> Value {
    json!({"expression": format!("user.properties.plan = '{plan}'")})
}

#[test]
fn an_audience_turned_around_changes_everybody() {
    let users = users();
    let before = snapshot(&[only("free")]);
    let after = snapshot(&[only("free"), only("pro")]);
    let verdict = judge(&before, &after, users.iter(), 0);
    let flow = verdict.exceeds(99).expect("all of them");
    assert_eq!((flow.judged, flow.changed, flow.percent()), (20, 20, 100));
    assert!(verdict.exceeds(100).is_none(), "100 holds nothing");
}

#[test]
fn another_version_for_the_same_users_is_what_releases_are_for() {
    let users = users();
    let before = snapshot(&[only("free")]);
    let after = snapshot(&[only("free"), only("free")]);
    let verdict = judge(&before, &after, users.iter(), 0);
    let flow = verdict.worst().expect("the flow");
    assert_eq!((flow.changed, flow.moved), (0, 10));
    assert!(verdict.exceeds(0).is_none());
    let same = judge(&before, &before, users.iter(), 0);
    assert_eq!(same.worst().map(|flow| flow.moved), Some(0));
}

#[test]
fn half_is_fifty_percent_and_not_more() {
    let users = users();
    let before = snapshot(&[only("free")]);
    let after = snapshot(&[only("free"), json!("everyone")]);
    let verdict = judge(&before, &after, users.iter(), 0);
    assert!(verdict.exceeds(50).is_none());
    assert_eq!(verdict.exceeds(49).map(FlowChange::percent), Some(50));
}

#[test]
fn a_handful_of_users_holds_nothing() {
    let few = FlowChange {
        judged: GUARD_DECISIONS_MIN - 1,
        changed: GUARD_DECISIONS_MIN - 1,
        ..FlowChange::default()
    };
    let verdict = Verdict { flows: vec![few] };
    assert!(verdict.exceeds(0).is_none());
}

#[test]
fn a_reservoir_keeps_the_newest_of_each_subject() {
    let mut reservoir = Reservoir::new(3);
    for (user, plan) in [("a", "x"), ("b", "x"), ("a", "y"), ("c", "x"), ("d", "x")] {
        reservoir.add(context(user, plan));
    }
    let kept: Vec<&str> = reservoir
        .contexts()
        .map(|own| &*own.user.profile.identifier)
        .collect();
    assert_eq!(kept, ["b", "c", "d"], "the oldest made room");
    reservoir.add(context("b", "z"));
    let newest = reservoir
        .contexts()
        .find(|own| &*own.user.profile.identifier == "b");
    let plan = &newest.expect("b").user.profile.properties["plan"];
    assert_eq!(plan, "z");
    let mut none = Reservoir::new(0);
    none.add(context("a", "x"));
    assert_eq!(none.contexts().count(), 0);
}

#[test]
fn what_is_written_is_read_back_and_rubbish_is_left_out() {
    let snapshot = snapshot(&[json!("everyone")]);
    let mut reservoir = Reservoir::new(10);
    let mut with_more = context("ann", "pro");
    with_more.channel = Some("web".into());
    with_more.conversation = Some("c1".into());
    with_more.attributes = Some(Map::from_iter([("zip".to_owned(), json!(1500))]));
    with_more.tag = Tag::Number(1);
    reservoir.add(with_more);
    reservoir.add(context("ben", "free"));
    let mut bytes = reservoir.written(&snapshot);
    bytes.extend_from_slice(b"rubbish\n{}\n");
    let mut again = Reservoir::new(10);
    again.read(&bytes, EnvironmentSlot(0), &snapshot);
    let before: Vec<&Context> = reservoir.contexts().collect();
    assert_eq!(again.contexts().collect::<Vec<_>>(), before);
}

#[test]
fn one_in_many_decisions_is_handed_over_and_none_waits() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
    let sampler = Sampler::new(Some(sender));
    let mut made = 0;
    for _ in 0..1000 {
        sampler.offer(|| {
            made += 1;
            context("a", "x")
        });
    }
    assert_eq!(made, 2, "a full channel makes no context");
    assert!(receiver.try_recv().is_ok() && receiver.try_recv().is_ok());
    assert!(receiver.try_recv().is_err());
    Sampler::new(None).offer(|| unreachable!("nothing is guarded"));
}

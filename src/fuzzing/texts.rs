//! What must hold of the small texts and documents that travel?
//!
//! Conditions are total and have opposites; tokens and records have one
//! spelling; a receipt is made again from its own inputs, byte for byte.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use crate::{
    evaluate::{BlockState, Profile, Subject, SubjectView, Tag, predicate::Predicate},
    progress::{Token, event::Event},
    receipt::{Inputs, receipt},
    snapshot::{
        BlockKey, Revision, Snapshot,
        compile::compile,
        parts::Content,
        wire::{ControlDocument, RulePart},
    },
};

const NOW: u64 = 1_700_000_000_000;

/// Somebody with properties of every type.
static SUBJECT: LazyLock<(Subject, Profile, Map<String, Value>)> = LazyLock::new(|| {
    let object = |value: Value| match value {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let profile = |identifier: &str| Profile {
        identifier: identifier.into(),
        created_ms: Some(NOW - 1_000_000),
        updated_ms: None,
        properties: object(json!({
            "a": {"b": [1, "x", null]}, "b": "Ünder_%score", "plan": "pro", "age": 41.5,
            "tags": ["vip", "beta"], "on": true, "none": null, "version": "1.2.3-rc.1",
            "at": "2026-01-02T03:04:05Z", "ip": "10.0.0.7", "big": 9_007_199_254_740_993_i64,
        })),
    };
    let mut user = Subject::unseen("ann");
    user.profile = Arc::new(profile("ann"));
    let attributes = object(json!({"browser": "firefox", "share": 0.1}));
    (user, profile("acme"), attributes)
});

fn views() -> [SubjectView<'static>; 2] {
    let (user, group, attributes) = &*SUBJECT;
    let full = SubjectView {
        user,
        group: Some(group),
        attributes: Some(attributes),
        conversation: Some("c-1"),
    };
    let bare = SubjectView {
        group: None,
        attributes: None,
        conversation: None,
        ..full
    };
    [full, bare]
}

/// An expression: a fault has a place inside of it, and `NOT` is the opposite.
pub(super) fn expression(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else {
        return;
    };
    let block = |sid: &str| (sid == "card").then(|| BlockKey::of(sid));
    match Predicate::parse_branch(source, &block) {
        Err(error) => assert!(source.is_char_boundary(error.position), "{error}"),
        Ok(predicate) => {
            let stands = [BlockState {
                key: BlockKey::of("card"),
                active: true,
                entered: true,
                exited: false,
                taken: Box::default(),
            }];
            for view in views() {
                predicate.holds_in(&view, NOW, Some(&stands));
            }
        }
    }
    let Ok(predicate) = Predicate::parse(source) else {
        return;
    };
    // Nesting has a limit, which the parentheses may be above.
    if let Ok(opposite) = Predicate::parse(&format!("NOT ({source})")) {
        for view in views() {
            assert_ne!(predicate.holds(&view, NOW), opposite.holds(&view, NOW));
        }
    }
}

/// A rule of an audience, JSON: it has an answer for everybody, or a reason
/// why it is none.
pub(super) fn rule(bytes: &[u8]) {
    let Ok(rule) = serde_json::from_slice::<RulePart>(bytes) else {
        return;
    };
    match Predicate::rule(&rule) {
        Ok(predicate) => {
            for view in views() {
                let holds = predicate.holds(&view, NOW);
                assert_eq!(holds, predicate.holds(&view, NOW));
            }
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
}

/// What clients carry from answer to answer: tokens, revisions, tags.
pub(super) fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(token) = text.parse::<Token>() {
        let again = token.to_string().parse();
        assert_eq!(again, Ok(token), "{text:?}");
    }
    if let Ok(revision) = text.parse::<Revision>() {
        assert_eq!(revision.to_string().parse(), Ok(revision), "{text:?}");
    }
    if let Ok(Tag::Number(number)) = text.parse::<Tag>() {
        assert_eq!(number.to_string().parse(), Ok(Tag::Number(number)));
    }
}

/// A snapshot with a flow that is deployed to half of some.
static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let content = Content {
        settings: part(json!({"environment_type": "test", "drafts": false})),
        flows: vec![part(
            json!({"uid": "f1", "sid": "support", "name": "Support", "project": "web",
            "enabled": true, "versions": [1]}),
        )],
        versions: vec![(
            String::new(),
            part(
                json!({"flow_uid": "f1", "flow_sid": "support", "number": 1, "entry": "everyone",
            "blocks": [{"uid": "u-card", "sid": "card", "kind": "custom", "transitions": ["done"]}],
            "paths": [{"uid": "p0", "to": "u-card"}]}),
            ),
        )],
        deployments: vec![part(
            json!({"uid": "d1", "name": "on-web", "flow_uid": "f1", "channel": "web",
            "policy": "latest", "rollout": {"basis_points": 5000, "salt": "s1", "alternatives": [
                {"name": "vips", "rules": [
                    {"attribute": "tags", "operator": "contains", "value": "vip"}]}]}}),
        )],
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    };
    let revision = Revision {
        epoch: 0,
        number: 17,
    };
    let control = ControlDocument::default();
    compile("test", "env-1", revision, &content, &control).expect("a snapshot")
});

fn part<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a part")
}

/// The inputs of a decision, JSON: written and read again they lead to the
/// same receipt.
pub(super) fn inputs(bytes: &[u8]) {
    let Ok(inputs) = serde_json::from_slice::<Inputs>(bytes) else {
        return;
    };
    let Ok(first) = receipt(&SNAPSHOT, &inputs) else {
        return;
    };
    let written = serde_json::to_string(&inputs).expect("inputs are written");
    let again: Inputs = serde_json::from_str(&written).expect("and read");
    let second = receipt(&SNAPSHOT, &again).expect("they make a receipt");
    assert_eq!(first.to_string(), second.to_string());
}

/// A record of the journal, JSON: what is written says what was read.
pub(super) fn event(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Event>(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&event).expect("a record is written");
    let again: Event = serde_json::from_slice(&written).expect("and read");
    assert_eq!(serde_json::to_vec(&again).ok(), Some(written));
    for state in &event.states {
        state.to_state();
    }
    for outcome in &event.outcomes {
        outcome.to_outcome();
    }
}

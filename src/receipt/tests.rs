//! Is a receipt a function of its inputs, and does it say what was decided?

use serde_json::{Map, Value, json};

use super::*;
use crate::{
    evaluate::{Ask, FlowState, Membership, Subject, Tag, decide},
    snapshot::{
        FlowKey, Revision,
        compile::compile,
        parts::Content,
        wire::{ControlDocument, DeploymentPart, EnvironmentType, FlowPart, SettingsPart},
    },
};

fn part<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a part")
}

/// One flow, deployed on `web` to half of the VIPs.
fn snapshot() -> Snapshot {
    let flow: FlowPart = part(
        json!({"uid": "f1", "sid": "support", "name": "Support", "project": "web",
        "enabled": true, "versions": [1]}),
    );
    let version = json!({"flow_uid": "f1", "flow_sid": "support", "number": 1, "entry": "everyone",
        "blocks": [{"uid": "u-card", "sid": "card", "kind": "custom", "transitions": ["done"]}],
        "paths": [{"uid": "p0", "to": "u-card"}]});
    let deployment: DeploymentPart = part(json!({"uid": "d1", "name": "on-web", "flow_uid": "f1",
        "channel": "web", "policy": "latest", "rollout": {"basis_points": 5000, "salt": "s1",
        "alternatives": [{"name": "vips", "rules": [
            {"attribute": "tags", "operator": "contains", "value": "vip"}]}]}}));
    let content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: false,
            deprecated: false,
            channels: Vec::new(),
            access: Default::default(),
        },
        flows: vec![flow],
        versions: vec![(String::new(), part(version))],
        deployments: vec![deployment],
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
}

fn vip() -> Map<String, Value> {
    part(json!({"tags": ["vip"], "share": 0.1}))
}

/// The inputs of a user on `web`.
fn inputs(snapshot: &Snapshot, user: &Subject, membership: Option<Membership>) -> Inputs {
    let attributes = vip();
    let view = SubjectView {
        user,
        group: None,
        attributes: Some(&attributes),
        conversation: Some("c-1"),
    };
    let question = Question {
        ask: Ask {
            sid: "support",
            tag: Tag::Latest,
            channel: Some("web"),
            membership,
        },
        projects: &[],
        now: 1_700_000_000_000,
        assumed: false,
    };
    Inputs::of(snapshot, &view, &question)
}

#[test]
fn a_receipt_says_what_was_decided() {
    let snapshot = snapshot();
    let attributes = vip();
    for number in 0..50 {
        let user = Subject::unseen(&format!("user-{number}"));
        let view = SubjectView {
            user: &user,
            group: None,
            attributes: Some(&attributes),
            conversation: Some("c-1"),
        };
        let ask = Ask {
            sid: "support",
            channel: Some("web"),
            ..Ask::default()
        };
        let decision = decide(&snapshot, &view, &ask, |_| true, 1_700_000_000_000);
        let receipt = receipt(&snapshot, &inputs(&snapshot, &user, None)).expect("a receipt");
        assert_eq!(receipt["reason"], decision.reason.name());
        assert_eq!(receipt["served"], decision.served);
        let enrolled = decision.enrolled.expect("a percentage");
        assert_eq!(receipt["membership"]["in"], enrolled.is_in);
        assert_eq!(receipt["rollout"]["bucket"], enrolled.bucket);
        assert_eq!(
            receipt["audience"]["alternatives"][0]["rules"][0]["holds"],
            true
        );
        assert_eq!(receipt["deployment"]["uid"], "d1");
    }
}

#[test]
fn inputs_that_were_written_and_read_give_the_same_receipt() {
    let snapshot = snapshot();
    let mut user = Subject::unseen("ada");
    let running = FlowState {
        started: true,
        generation: 2,
        ..FlowState::default()
    };
    user.set_state(FlowKey::of("f1"), 1, Some("c-1"), running);
    let record = Membership {
        is_in: true,
        basis_points: 1000,
    };
    let inputs = inputs(&snapshot, &user, Some(record));
    let first = document(&snapshot, &inputs).expect("a receipt");
    assert_eq!(first["receipt"]["reason"], "started");
    assert_eq!(first["receipt"]["state"]["generation"], 2);
    assert_eq!(first["receipt"]["pin"]["version"], 1);
    let read: Inputs = part(first["inputs"].clone());
    assert_eq!(read, inputs);
    let again = receipt(&snapshot, &read).expect("a receipt");
    assert_eq!(again.to_string(), first["receipt"].to_string());
}

#[test]
fn a_change_of_any_input_changes_the_receipt() {
    let snapshot = snapshot();
    let inputs = inputs(&snapshot, &Subject::unseen("ada"), None);
    let before = receipt(&snapshot, &inputs).expect("a receipt");
    let changes: [fn(&mut Inputs); 6] = [
        |inputs| inputs.subject.identifier.push('x'),
        |inputs| inputs.now_ms += 1,
        |inputs| inputs.assumed = true,
        |inputs| inputs.conversation = None,
        // Nothing looks at it, and still it is told.
        |inputs| {
            drop(
                inputs
                    .subject
                    .properties
                    .insert("plan".into(), "pro".into()),
            )
        },
        |inputs| inputs.projects.push("web".into()),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut changed = inputs.clone();
        change(&mut changed);
        let after = receipt(&snapshot, &changed).expect("a receipt");
        assert_ne!(after, before, "change {at}");
    }
}

#[test]
fn inputs_of_another_snapshot_or_format_are_refused() {
    let snapshot = snapshot();
    let good = inputs(&snapshot, &Subject::unseen("ada"), None);
    let refusal = |change: fn(&mut Inputs)| {
        let mut changed = good.clone();
        change(&mut changed);
        let error = receipt(&snapshot, &changed).expect_err("a refusal");
        error.to_string()
    };
    let refusals = [
        (refusal(|inputs| inputs.format = 2), "format 2"),
        (refusal(|inputs| inputs.revision = "0.16".into()), "0.16"),
        (refusal(|inputs| inputs.revision = "new".into()), "0.17"),
        (refusal(|inputs| inputs.environment = "prod".into()), "prod"),
        (refusal(|inputs| inputs.environment_uid.push('x')), "env-1"),
        (refusal(|inputs| inputs.tag = "newest".into()), "newest"),
        (
            refusal(|inputs| {
                inputs
                    .states
                    .push(crate::progress::event::FlowStateDocument {
                        flow: "f2".into(),
                        ..Default::default()
                    });
            }),
            "f2",
        ),
    ];
    for (said, expected) in refusals {
        assert!(said.contains(expected), "{expected} in {said}");
    }
}

#[test]
fn nothing_is_told_of_a_flow_the_key_does_not_see() {
    let snapshot = snapshot();
    let mut user = Subject::unseen("ada");
    let running = FlowState {
        started: true,
        ..FlowState::default()
    };
    user.set_state(FlowKey::of("f1"), 1, None, running);
    let view = SubjectView {
        user: &user,
        group: None,
        attributes: None,
        conversation: None,
    };
    let question = Question {
        ask: Ask {
            sid: "support",
            ..Ask::default()
        },
        projects: &["other".into()],
        now: 0,
        assumed: false,
    };
    let inputs = Inputs::of(&snapshot, &view, &question);
    assert!(inputs.states.is_empty());
    let receipt = receipt(&snapshot, &inputs).expect("a receipt");
    assert_eq!(receipt["reason"], "unknown_flow");
    assert_eq!(receipt["flow"], Value::Null);
    assert_eq!(receipt["served"], false);
}

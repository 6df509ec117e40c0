//! Which version does a trigger mean that names none?

use serde_json::json;

use super::super::{LiveJudge, Step, transition};
use crate::{
    evaluate::{FlowState, Subject, SubjectView},
    snapshot::{
        FlowKey, Revision, Snapshot,
        compile::compile,
        parts::Content,
        wire::{ControlDocument, EnvironmentType, SettingsPart},
    },
};

/// Flows that start, stop, reset and finish `target`, which has two versions.
fn snapshot() -> Snapshot {
    let flow = |uid: &str, versions: &[u32]| {
        let part = json!({"uid": uid, "sid": uid, "name": uid, "project": "web",
            "enabled": true, "versions": versions});
        serde_json::from_value(part).unwrap()
    };
    let version = |uid: &str, number: u32, action: Option<&str>| {
        let block = match action {
            None => json!({"uid": format!("{uid}-b"), "sid": "b", "kind": "card"}),
            Some(action) => json!({"uid": format!("{uid}-b"), "sid": "b", "kind": "flowTrigger",
                "trigger": {"flow_sid": "target", "action": action}}),
        };
        let part = json!({"flow_uid": uid, "flow_sid": uid, "number": number,
            "entry": "everyone", "blocks": [block],
            "paths": [{"uid": "p", "to": format!("{uid}-b")}]});
        (String::new(), serde_json::from_value(part).unwrap())
    };
    let actions = ["start", "stop", "reset", "finish"];
    let mut flows = vec![flow("target", &[1, 2])];
    flows.extend(actions.iter().map(|action| flow(action, &[1])));
    let mut versions = vec![version("target", 1, None), version("target", 2, None)];
    versions.extend(
        actions
            .iter()
            .map(|action| version(action, 1, Some(action))),
    );
    let content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: false,
            deprecated: false,
            channels: Vec::new(),
            access: Default::default(),
        },
        flows,
        versions,
        deployments: Vec::new(),
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    };
    let control = ControlDocument::default();
    compile("test", "uid", Revision::default(), &content, &control).unwrap()
}

/// The versions of `target` that the trigger changed for somebody who runs
/// through its first version, in this conversation or in none.
fn touched(action: &str, conversation: Option<&str>) -> Vec<(u32, FlowState)> {
    let snapshot = snapshot();
    let mut user = Subject::unseen("ann");
    let running = FlowState {
        started: true,
        ..FlowState::default()
    };
    user.set_state(FlowKey::of("target"), 1, conversation, running);
    let mut judge = LiveJudge {
        snapshot: &snapshot,
        view: SubjectView {
            user: &user,
            group: None,
            attributes: None,
            conversation,
        },
        now: 0,
    };
    let version = snapshot.flows[action].version(1).unwrap();
    let version = version.version.as_ref().unwrap();
    let start = Step::Start { force: false };
    let effect = transition(version, &FlowState::default(), &start, &mut judge).unwrap();
    let others = effect.others.into_iter();
    others
        .map(|other| (other.version.number, other.state))
        .collect()
}

#[test]
fn in_a_conversation_a_trigger_acts_on_the_version_that_was_begun() {
    let talk = Some("talk");
    assert_eq!(touched("start", talk), [], "it runs already");
    let [(1, stopped)] = &touched("stop", talk)[..] else {
        panic!("the version that runs is stopped");
    };
    assert!(stopped.stopped);
    let [(1, finished)] = &touched("finish", talk)[..] else {
        panic!("the version that runs is finished");
    };
    assert!(finished.finished);
    let [(1, reset)] = &touched("reset", talk)[..] else {
        panic!("the version that runs is reset");
    };
    assert_eq!((reset.generation, reset.is_running()), (1, true));
}

#[test]
fn without_a_conversation_a_trigger_acts_on_the_newest_version() {
    let [(2, begun)] = &touched("start", None)[..] else {
        panic!("the newest one is started");
    };
    assert!(begun.is_running());
    assert_eq!(touched("stop", None), [], "nothing runs there");
}

//! Does a record lead where it says, and nowhere when it does not fit?

use serde_json::{Value, json};

use super::super::{
    Effect, Other, Outcome, RecordedJudge, Side, Step, StepError, Targets, reconcile, transition,
};
use crate::{
    evaluate::FlowState,
    snapshot::{BlockKey, NameKey, Version, compile::compile_version},
};

/// Two cards before a gate, and a trigger and a webhook behind it.
fn version() -> Version {
    let block = |uid: &str, kind: &str| json!({"uid": uid, "sid": uid, "kind": kind});
    let path = |uid: &str, from: &str, on: &str, to: &str| json!({"uid": uid, "from": from, "on": [on], "to": to});
    let mut trigger = block("t", "flowTrigger");
    trigger["trigger"] = json!({"flow_sid": "other", "action": "start"});
    let document: Value = json!({
        "flow_uid": "f", "flow_sid": "f", "number": 1, "entry": "everyone",
        "blocks": [block("x", "card"), block("y", "card"), block("g", "gate"), trigger, block("w", "webhook")],
        "paths": [{"uid": "p0", "to": "x"}, {"uid": "p1", "to": "y"},
            path("gx", "x", "complete", "g"), path("gy", "y", "complete", "g"),
            path("p2", "g", "done", "t"), path("p3", "t", "done", "w")],
    });
    compile_version(&serde_json::from_value(document).unwrap()).unwrap()
}

fn leave(
    version: &Version,
    before: &FlowState,
    block: &str,
    outcomes: &[Outcome],
    gates_by_state: bool,
    targets: &dyn Targets,
) -> Result<(Effect, usize), StepError> {
    let mut judge = RecordedJudge {
        entry: true,
        outcomes,
        gates_by_state,
        targets,
    };
    let names = [NameKey::of("complete")];
    let block = version.find(BlockKey::of(block)).unwrap();
    let step = Step::Transition {
        block,
        names: &names,
    };
    let effect = transition(version, before, &step, &mut judge)?;
    Ok((effect, judge.outcomes.len()))
}

fn begun(version: &Version) -> FlowState {
    let mut judge = RecordedJudge {
        entry: true,
        outcomes: &[],
        gates_by_state: false,
        targets: &(),
    };
    let start = Step::Start { force: false };
    let effect = transition(version, &FlowState::default(), &start, &mut judge);
    effect.unwrap().state
}

fn gate(passed: bool) -> Outcome {
    let block = "g".into();
    Outcome::Gate { block, passed }
}

fn webhook() -> Outcome {
    Outcome::Webhook { block: "w".into() }
}

fn trigger(target: Option<(&str, u32)>) -> Outcome {
    Outcome::Trigger {
        block: "t".into(),
        target: target.map(|(flow, version)| (flow.into(), version)),
    }
}

#[test]
fn a_gate_goes_by_the_state_or_by_the_record() {
    let version = version();
    let shut = [gate(false)];
    // One edge has seen x left, another one y: neither saw the gate pass.
    let half = leave(&version, &begun(&version), "x", &shut, true, &()).unwrap();
    let half = half.0.state;
    // The state holds both halves, and what lies behind was not recorded.
    let by_state = leave(&version, &half, "y", &shut, true, &());
    assert_eq!(by_state.unwrap_err(), StepError::NotRecorded);
    let (by_record, left) = leave(&version, &half, "y", &shut, false, &()).unwrap();
    let waits = by_record.state.block(BlockKey::of("g")).unwrap();
    assert!(!waits.exited && waits.taken.len() == 2 && left == 0);
    // And the other way round: what the record says has passed is passed.
    let open = [gate(true), trigger(None), webhook()];
    let (passed, left) = leave(&version, &begun(&version), "x", &open, false, &()).unwrap();
    let behind = passed.state.block(BlockKey::of("w")).unwrap();
    assert!(behind.exited && left == 0);
    // By the state it is not, and the rest of the record is left over.
    let (waits, left) = leave(&version, &begun(&version), "x", &open, true, &()).unwrap();
    assert_eq!(waits.outcomes, shut);
    assert_eq!(left, 2);
}

#[test]
fn a_gate_that_was_left_shut_and_complete_is_asked_by_the_next_start() {
    let version = version();
    let shut = [gate(false)];
    let half = leave(&version, &begun(&version), "x", &shut, true, &()).unwrap();
    let stuck = leave(&version, &half.0.state, "y", &shut, false, &()).unwrap();
    let stuck = stuck.0.state;
    assert!(stuck.is_running() && stuck.blocks.iter().all(|block| !block.active));
    let answers = [gate(true), trigger(None), webhook()];
    let mut judge = RecordedJudge {
        entry: true,
        outcomes: &answers,
        gates_by_state: false,
        targets: &(),
    };
    let (step, repaired) = reconcile(&version, &stuck, &mut judge).unwrap();
    assert_eq!(step, Step::Start { force: false });
    assert!(judge.outcomes.is_empty() && repaired.changed);
    assert!(repaired.state.block(BlockKey::of("w")).unwrap().exited);
    // Once, and not where the flow is over.
    assert_eq!(reconcile(&version, &repaired.state, &mut judge), None);
    let stopped = FlowState {
        stopped: true,
        ..stuck
    };
    assert_eq!(reconcile(&version, &stopped, &mut judge), None);
}

#[test]
fn a_record_of_other_blocks_or_kinds_does_not_fit() {
    let version = version();
    let half = leave(&version, &begun(&version), "x", &[gate(false)], false, &());
    let half = half.unwrap().0.state;
    let elsewhere = Outcome::Webhook { block: "t".into() };
    let side = Outcome::Branch {
        block: "g".into(),
        side: Side::True,
    };
    // Webhooks and gates need no record when gates go by the state.
    let short = [
        vec![gate(true), trigger(None), gate(true)],
        vec![gate(true), trigger(None)],
    ];
    for outcomes in &short {
        let (played, _) = leave(&version, &half, "y", outcomes, true, &()).unwrap();
        assert!(played.state.block(BlockKey::of("w")).unwrap().exited);
        let played = leave(&version, &half, "y", outcomes, false, &());
        assert_eq!(played.unwrap_err(), StepError::NotRecorded, "{outcomes:?}");
    }
    for outcomes in [
        vec![side],
        vec![webhook()],
        vec![gate(true), webhook()],
        vec![gate(true), elsewhere],
        // Nobody knows this flow.
        vec![gate(true), trigger(Some(("o", 1))), webhook()],
    ] {
        let played = leave(&version, &half, "y", &outcomes, true, &());
        assert_eq!(played.unwrap_err(), StepError::NotRecorded, "{outcomes:?}");
    }
}

/// One flow, wherever the subject stands in it.
struct Only(FlowState);

impl Targets for Only {
    fn target(&self, flow_uid: &str, number: u32) -> Option<Other> {
        let document = json!({"flow_uid": flow_uid, "flow_sid": "o", "number": number,
            "entry": "api-only", "blocks": [], "paths": []});
        let version = compile_version(&serde_json::from_value(document).unwrap()).unwrap();
        let before = self.0.clone();
        (flow_uid == "o").then(|| Other {
            version: version.into(),
            before,
        })
    }
}

#[test]
fn a_recorded_trigger_acts_on_where_its_target_stands_now() {
    let version = version();
    let half = leave(&version, &begun(&version), "x", &[gate(false)], false, &());
    let half = half.unwrap().0.state;
    let outcomes = [gate(true), trigger(Some(("o", 3))), webhook()];
    let fresh = Only(FlowState::default());
    let (effect, left) = leave(&version, &half, "y", &outcomes, true, &fresh).unwrap();
    assert_eq!((left, effect.others.len()), (0, 1));
    assert_eq!(effect.others[0].version.number, 3);
    assert!(effect.others[0].state.is_running());
    // Another edge has started it meanwhile: the same record changes nothing.
    let running = Only(effect.others[0].state.clone());
    let (effect, left) = leave(&version, &half, "y", &outcomes, true, &running).unwrap();
    assert_eq!((left, effect.others.len()), (0, 0));
    assert_eq!(effect.outcomes, outcomes);
}

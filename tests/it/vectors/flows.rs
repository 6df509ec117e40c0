//! Do flows move as the vectors say?

use flowgate::{
    evaluate::{
        BlockState, Effect, FlowState, Judge, LiveJudge, Outcome, RecordedJudge, Side, Step,
        StepError, Subject, reconcile, transition,
    },
    snapshot::{
        BlockKey, NameKey, Revision, Snapshot, Version,
        compile::{compile, compile_version},
        parts::Content,
        wire::{ControlDocument, EnvironmentType, SettingsPart},
    },
};
use serde_json::{Map, Value};

use super::{Report, list, read, subject, view};

pub(super) fn run(document: &Value, report: &mut Report) {
    for case in list(&document["cases"]) {
        let name = case["name"].as_str().unwrap();
        let subject = subject(case.get("properties"));
        let mut version = graph(document, &case["graph"]);
        let mut state = FlowState::default();
        for (place, step) in list(&case["steps"]).iter().enumerate() {
            let place = format!("{name}, step {}", place + 1);
            if step["do"] == "edit" {
                version = graph(document, &step["to"]);
            }
            let effect = match take(&version, &state, step, &subject) {
                Ok(effect) => effect,
                Err(error) => {
                    let expected = step["error"].as_str().unwrap_or("no error");
                    report.same(&place, error_name(error), expected);
                    continue;
                }
            };
            report.same(&place, None, step["error"].as_str());
            compare(&place, &version, &state, step, &effect, report);
            state = effect.state;
        }
    }
}

/// A snapshot without flows, where triggers find nothing.
fn empty() -> Snapshot {
    let content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: true,
            channels: Vec::new(),
        },
        flows: Vec::new(),
        versions: Vec::new(),
        deployments: Vec::new(),
        keys: Vec::new(),
        broken: Vec::new(),
    };
    let control = ControlDocument::default();
    compile("test", "uid", Revision::default(), &content, &control).unwrap()
}

/// Takes a step live and again from the record of its branches.
fn take(
    version: &Version,
    state: &FlowState,
    step: &Value,
    subject: &Subject,
) -> Result<Effect, StepError> {
    let nothing = empty();
    let mut live = LiveJudge {
        snapshot: &nothing,
        view: view(subject),
        now: 0,
    };
    let entry = live.entry(version);
    let effect = step_of(version, state, step, &mut live)?;
    let mut recorded = RecordedJudge {
        entry,
        outcomes: &effect.outcomes,
        gates_by_state: false,
        targets: &(),
    };
    assert_eq!(
        step_of(version, state, step, &mut recorded).as_ref(),
        Ok(&effect)
    );
    assert!(recorded.outcomes.is_empty());
    Ok(effect)
}

fn step_of(
    version: &Version,
    state: &FlowState,
    step: &Value,
    judge: &mut dyn Judge,
) -> Result<Effect, StepError> {
    let force = step["force"].as_bool().unwrap_or(false);
    let names: Vec<NameKey>;
    let step = match step["do"].as_str().unwrap() {
        "start" => Step::Start { force },
        "reset" => Step::Reset { force },
        "stop" => Step::Stop,
        "finish" => Step::Finish,
        "take" => {
            names = list(&step["names"])
                .iter()
                .map(|name| NameKey::of(name.as_str().unwrap()))
                .collect();
            let sid = step["block"].as_str().unwrap();
            let block = version.blocks.iter().find(|block| &*block.sid == sid);
            Step::Transition {
                block: version.find(block.unwrap().key).unwrap(),
                names: &names,
            }
        }
        "edit" => {
            return Ok(reconcile(version, state, judge).unwrap_or_else(|| Effect {
                changed: false,
                state: state.clone(),
                outcomes: Vec::new(),
                others: Vec::new(),
                capped: false,
            }));
        }
        other => panic!("unknown step {other:?}"),
    };
    transition(version, state, &step, judge)
}

fn compare(
    place: &str,
    version: &Version,
    before: &FlowState,
    step: &Value,
    effect: &Effect,
    report: &mut Report,
) {
    report.same(place, Some(effect.changed), step["changed"].as_bool());
    report.same(
        place,
        effect.capped,
        step["capped"].as_bool().unwrap_or(false),
    );
    if let Some(expected) = step.get("branches") {
        let branch = |outcome: &Outcome| match outcome {
            Outcome::Branch { block, side } => {
                let block = version.find(BlockKey::of(block)).unwrap();
                let sid = &version.block(block).sid;
                Some(serde_json::json!([**sid, *side == Side::True]))
            }
            _ => None,
        };
        let taken: Vec<Value> = effect.outcomes.iter().filter_map(branch).collect();
        report.same(place, &Value::Array(taken), expected);
    }
    let Some(flow) = step["flow"].as_str() else {
        report.same(place, &effect.state, before);
        return;
    };
    report.same(place, flow_name(&effect.state), flow);
    let generation = step["generation"].as_u64().unwrap_or(0);
    report.same(place, u64::from(effect.state.generation), generation);
    let blocks = |state: &BlockState| {
        let block = version.block(version.find(state.key)?);
        Some((block.sid.to_string(), block_name(version, state).into()))
    };
    let found: Map<String, Value> = effect.state.blocks.iter().filter_map(blocks).collect();
    if let Some(expected) = step["blocks"].as_object() {
        report.same(place, &found, expected);
    }
    for (sid, expected) in step["has"].as_object().into_iter().flatten() {
        report.same(place, found.get(sid), Some(expected));
    }
    for sid in step["lacks"].as_array().into_iter().flatten() {
        report.same(place, found.get(sid.as_str().unwrap()), None);
    }
}

fn flow_name(state: &FlowState) -> &'static str {
    match (state.started, state.stopped, state.finished) {
        (false, false, false) => "new",
        (true, false, false) => "running",
        (true, true, false) => "stopped",
        (true, false, true) => "finished",
        _ => "impossible",
    }
}

fn block_name(version: &Version, state: &BlockState) -> String {
    let block = version.block(version.find(state.key).unwrap());
    let mut words = vec![match (state.active, state.entered, state.exited) {
        (true, true, false) => "active",
        (false, true, false) => "entered",
        (false, true, true) => "exited",
        _ => "impossible",
    }];
    let transitions = block.transitions.iter();
    let mut taken: Vec<&str> = transitions
        .filter(|own| state.has_taken(own.key))
        .map(|own| &*own.name)
        .collect();
    taken.sort_unstable();
    words.append(&mut taken);
    words.join(" ")
}

fn error_name(error: StepError) -> &'static str {
    match error {
        StepError::UnknownTransition => "unknown_transition",
        StepError::NextAndPrevious => "next_and_previous",
        StepError::NotRecorded => "not_recorded",
    }
}

fn graph(document: &Value, name: &Value) -> Version {
    let part = &document["graphs"][name.as_str().unwrap()];
    compile_version(&read(part)).unwrap_or_else(|faults| panic!("graph {name}: {faults:?}"))
}

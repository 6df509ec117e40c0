//! Does evaluation come to what the vectors say?
//!
//! The cases are data in `tests/vectors/*.json`, readable by any language.
//! [`check`] runs one file and names every case that differs.

use std::{fmt::Debug, fs, path::Path};

use flowgate::{
    evaluate::{
        BlockState, Effect, FlowState, Judge, LiveJudge, Profile, RecordedJudge, Side, Step,
        StepError, Subject, SubjectView, Tag, decide, predicate::Predicate, reconcile, transition,
    },
    snapshot::{
        FlowKey, NameKey, Revision, Snapshot, Version,
        compile::{compile, compile_version},
        parts::Content,
        wire::{ControlDocument, EnvironmentType, SettingsPart},
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

#[test]
fn expressions_come_to_what_the_vectors_say() {
    check("expressions.json");
}

#[test]
fn flows_move_as_the_vectors_say() {
    check("flows.json");
}

#[test]
fn decisions_are_what_the_vectors_say() {
    check("decisions.json");
}

/// Runs one file of vectors.
fn check(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut report = Report::default();
    match document["kind"].as_str() {
        Some("expressions") => expressions(&document, &mut report),
        Some("flows") => flows(&document, &mut report),
        Some("decisions") => decisions(&document, &mut report),
        other => panic!("{file}: found the kind {other:?}"),
    }
    let Report { cases, faults } = report;
    assert!(cases > 0, "{file} has no cases");
    assert!(
        faults.is_empty(),
        "{file}: {} of {cases} comparisons failed:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[derive(Default)]
struct Report {
    cases: usize,
    faults: Vec<String>,
}

impl Report {
    fn same<T: PartialEq + Debug>(&mut self, place: &str, found: T, expected: T) {
        self.cases += 1;
        if found != expected {
            self.faults
                .push(format!("{place}: found {found:?}, expected {expected:?}"));
        }
    }
}

// ---- Expressions -----------------------------------------------------------

fn expressions(document: &Value, report: &mut Report) {
    let now = document["now"].as_u64().unwrap();
    let user = Subject {
        profile: profile(&document["subject"]["user"]).unwrap().into(),
        flows: Vec::new(),
    };
    for group in list(&document["groups"]) {
        let company = profile(group.get("group").unwrap_or(&document["subject"]["group"]));
        let view = SubjectView {
            user: &user,
            group: company.as_ref(),
            attributes: group.get("attributes").and_then(Value::as_object),
            conversation: None,
        };
        for case in list(&group["cases"]) {
            let source = case["expression"].as_str().unwrap();
            match (Predicate::parse(source), case["holds"].as_bool()) {
                (Ok(predicate), Some(expected)) => {
                    report.same(source, predicate.holds(&view, now), expected);
                }
                (Err(error), None) => {
                    if let Some(position) = case["position"].as_u64() {
                        report.same(source, error.position as u64, position);
                    }
                    for part in list(&case["message"]) {
                        let part = part.as_str().unwrap();
                        let place = format!("{source}: {error}: contains {part}");
                        report.same(&place, error.message.contains(part), true);
                    }
                }
                (parsed, _) => report.same(source, parsed.is_ok(), case["holds"].is_boolean()),
            }
        }
    }
}

fn profile(value: &Value) -> Option<Profile> {
    Some(Profile {
        identifier: value["identifier"].as_str()?.into(),
        created_ms: value["createdAt"].as_u64(),
        updated_ms: value["updatedAt"].as_u64(),
        properties: value["properties"].as_object().cloned().unwrap_or_default(),
    })
}

// ---- Flows -----------------------------------------------------------------

fn flows(document: &Value, report: &mut Report) {
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

/// Takes a step live and again from the record of its branches.
fn take(
    version: &Version,
    state: &FlowState,
    step: &Value,
    subject: &Subject,
) -> Result<Effect, StepError> {
    let mut live = LiveJudge {
        view: view(subject),
        now: 0,
    };
    let entry = live.entry(version);
    let effect = run(version, state, step, &mut live)?;
    let branches: Vec<(Box<str>, Side)> = effect
        .branches
        .iter()
        .map(|outcome| (version.block(outcome.block).uid.clone(), outcome.side))
        .collect();
    let mut recorded = RecordedJudge {
        entry,
        branches: &branches,
    };
    assert_eq!(
        run(version, state, step, &mut recorded).as_ref(),
        Ok(&effect)
    );
    assert!(recorded.branches.is_empty());
    Ok(effect)
}

fn run(
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
                branches: Vec::new(),
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
        let taken: Vec<Value> = effect
            .branches
            .iter()
            .map(|outcome| {
                let sid = &version.block(outcome.block).sid;
                serde_json::json!([**sid, outcome.side == Side::True])
            })
            .collect();
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

// ---- Decisions -------------------------------------------------------------

fn decisions(document: &Value, report: &mut Report) {
    let environment = &document["environment"];
    let snapshot = environment_snapshot(environment);
    let projects: Vec<String> = read(&environment["projects"]);
    for case in list(&document["cases"]) {
        let mut subject = subject(case.get("properties"));
        for stored in case["states"].as_array().into_iter().flatten() {
            subject.set_state(
                FlowKey::of(stored["flow"].as_str().unwrap()),
                stored["version"].as_u64().unwrap() as u32,
                stored["conversation"].as_str(),
                state_named(stored["is"].as_str().unwrap()),
            );
        }
        let view = SubjectView {
            attributes: case.get("attributes").and_then(Value::as_object),
            conversation: case["conversation"].as_str(),
            ..view(&subject)
        };
        let tag: Tag = case["tag"].as_str().unwrap().parse().unwrap();
        let sees = |project: &str| projects.iter().any(|own| own == project);
        let sid = case["flow"].as_str().unwrap();
        let decision = decide(&snapshot, &view, sid, tag, sees, 0);
        let place = case.to_string();
        report.same(
            &place,
            Some(decision.reason.name()),
            case["reason"].as_str(),
        );
        report.same(
            &place,
            Some(u64::from(decision.number)),
            case["number"].as_u64(),
        );
        report.same(
            &place,
            Some(decision.may_start),
            case["may_start"].as_bool(),
        );
        let has_version = ![
            "unknown_flow",
            "unknown_version",
            "empty_version",
            "set_aside",
        ]
        .contains(&decision.reason.name());
        report.same(&place, decision.version.is_some(), has_version);
    }
}

fn environment_snapshot(environment: &Value) -> Snapshot {
    let content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: true,
        },
        flows: read(&environment["flows"]),
        versions: list(&environment["versions"])
            .iter()
            .map(|part| (String::new(), read(part)))
            .collect(),
        keys: Vec::new(),
        broken: Vec::new(),
    };
    let control = ControlDocument {
        disabled_flows: read(&environment["disabled"]),
        ..ControlDocument::default()
    };
    compile("test", "env-1", Revision::default(), &content, &control).unwrap()
}

fn state_named(name: &str) -> FlowState {
    FlowState {
        started: name != "new",
        stopped: name == "stopped",
        finished: name == "finished",
        ..FlowState::default()
    }
}

// ---- Reading ---------------------------------------------------------------

fn subject(properties: Option<&Value>) -> Subject {
    let mut subject = Subject::unseen("ann");
    if let Some(Value::Object(properties)) = properties {
        std::sync::Arc::make_mut(&mut subject.profile).properties = properties.clone();
    }
    subject
}

fn view(subject: &Subject) -> SubjectView<'_> {
    SubjectView {
        user: subject,
        group: None,
        attributes: None,
        conversation: None,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

//! Do flows move as the vectors say?
//!
//! Every step is taken live and again from its record; both must come to the
//! same. A case may have other flows, which triggers find in the snapshot.

use flowgate::{
    evaluate::{
        BlockState, Effect, FlowState, Judge, LiveJudge, Other, Outcome, RecordedJudge, Side, Step,
        StepError, Subject, SubjectView, Targets, reconcile, transition,
    },
    snapshot::{
        FlowKey, NameKey, Revision, Snapshot, Version,
        compile::{compile, compile_version},
        parts::Content,
        wire::{ControlDocument, EnvironmentType, FlowPart, SettingsPart, VersionPart},
    },
};
use serde_json::{Map, Value, json};

use super::{Report, list, read, subject, view};

pub(super) fn run(document: &Value, report: &mut Report) {
    for case in list(&document["cases"]) {
        let name = case["name"].as_str().unwrap();
        let why = case["why"].as_str().unwrap_or_default();
        report.same(name, why.is_empty(), false);
        let mut world = World {
            snapshot: snapshot(document, case),
            subject: subject(case.get("properties")),
            conversation: None,
        };
        let mut own = graph(document, &case["graph"]);
        for (place, step) in list(&case["steps"]).iter().enumerate() {
            let place = format!("{name}, step {}", place + 1);
            if step["do"] == "edit" {
                own = graph(document, &step["to"]);
            }
            let other = step.get("in").map(|name| graph(document, name));
            let version = other.as_ref().unwrap_or(&own);
            world.conversation = step["conversation"].as_str().map(Into::into);
            let before = world.state(version);
            let effect = match world.take(&place, version, &before, step, report) {
                Ok(effect) => effect,
                Err(error) => {
                    let expected = step["error"].as_str().unwrap_or("no error");
                    report.same(&place, error_name(error), expected);
                    continue;
                }
            };
            report.same(&place, None, step["error"].as_str());
            compare(&place, version, &before, step, &effect, report);
            world.compare_others(&place, step, &effect, report);
            for touched in effect.others {
                world.store(&touched.version, touched.state);
            }
            world.store(version, effect.state);
        }
    }
}

/// The flows of a case and one user in them.
struct World {
    snapshot: Snapshot,
    subject: Subject,
    conversation: Option<String>,
}

impl World {
    fn view(&self) -> SubjectView<'_> {
        SubjectView {
            conversation: self.conversation.as_deref(),
            ..view(&self.subject)
        }
    }

    fn state(&self, version: &Version) -> FlowState {
        let state = self.subject.state(
            version.flow_key,
            version.number,
            self.conversation.as_deref(),
        );
        state.cloned().unwrap_or_default()
    }

    fn store(&mut self, version: &Version, state: FlowState) {
        let (flow, number) = (version.flow_key, version.number);
        let conversation = self.conversation.as_deref();
        self.subject.set_state(flow, number, conversation, state);
    }

    fn sid(&self, flow: FlowKey) -> &str {
        let mut flows = self.snapshot.flows.values();
        &flows.find(|own| own.key == flow).unwrap().sid
    }

    /// Takes a step live and again from the record of its outcomes.
    fn take(
        &self,
        place: &str,
        version: &Version,
        before: &FlowState,
        step: &Value,
        report: &mut Report,
    ) -> Result<Effect, StepError> {
        let mut live = LiveJudge {
            snapshot: &self.snapshot,
            view: self.view(),
            now: 0,
        };
        let entry = live.entry(version);
        let effect = step_of(version, before, step, &mut live)?;
        for gates_by_state in [false, true] {
            let mut recorded = RecordedJudge {
                entry,
                outcomes: &effect.outcomes,
                gates_by_state,
                targets: self,
            };
            let again = step_of(version, before, step, &mut recorded);
            report.same(place, again.as_ref(), Ok(&effect));
            report.same(place, recorded.outcomes.len(), 0);
        }
        Ok(effect)
    }

    fn compare_others(&self, place: &str, step: &Value, effect: &Effect, report: &mut Report) {
        let others = effect.others.iter().map(|touched| {
            let sid = self.sid(touched.version.flow_key);
            let mut about = json!({
                "flow": flow_name(&touched.state),
                "blocks": blocks_of(&touched.version, &touched.state),
            });
            if touched.state.generation > 0 {
                about["generation"] = json!(touched.state.generation);
            }
            json!([format!("{sid}@{}", touched.version.number), about])
        });
        let expected = step.get("others").cloned().unwrap_or_else(|| json!([]));
        report.same(place, Value::Array(others.collect()), expected);
        let Some(expected) = step.get("outcomes") else {
            return;
        };
        let sid = |uid: &str| uid.trim_start_matches("u-").to_owned();
        let outcomes = effect.outcomes.iter().map(|outcome| match outcome {
            Outcome::Branch { block, side } => json!(["branch", sid(block), *side == Side::True]),
            Outcome::Gate { block, passed } => json!(["gate", sid(block), passed]),
            Outcome::Webhook { block } => json!(["webhook", sid(block)]),
            Outcome::Trigger { block, target } => {
                let target = target
                    .as_ref()
                    .map(|(flow, version)| format!("{}@{version}", self.sid(FlowKey::of(flow))));
                json!(["trigger", sid(block), target])
            }
        });
        report.same(place, &Value::Array(outcomes.collect()), expected);
    }
}

impl Targets for World {
    fn target(&self, flow_uid: &str, version: u32) -> Option<Other> {
        let flow = self.snapshot.flows.get(self.sid(FlowKey::of(flow_uid)))?;
        let version = flow.version(version)?.version.clone()?;
        let before = self.state(&version);
        Some(Other { version, before })
    }
}

/// What triggers find: the `flows` of a case.
fn snapshot(document: &Value, case: &Value) -> Snapshot {
    let mut content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: true,
            deprecated: false,
            channels: Vec::new(),
            access: Default::default(),
        },
        flows: Vec::new(),
        versions: Vec::new(),
        deployments: Vec::new(),
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    };
    let mut control = ControlDocument::default();
    for flow in case["flows"].as_array().into_iter().flatten() {
        let names = list(&flow["graphs"]).iter();
        let parts: Vec<VersionPart> = names.map(|name| read(part(document, name))).collect();
        let mut versions: Vec<u32> = parts.iter().map(|part| part.number).collect();
        // Listed, and not there: set aside.
        versions.extend(flow["lost"].as_u64().map(|number| number as u32));
        versions.sort_unstable();
        let uid = flow["uid"].as_str().unwrap().to_owned();
        if flow["disabled"] == true {
            control.disabled_flows.push(uid.clone());
        }
        content.flows.push(FlowPart {
            uid,
            sid: flow["sid"].as_str().unwrap().to_owned(),
            name: String::new(),
            project: flow["project"].as_str().unwrap_or("default").to_owned(),
            enabled: true,
            versions,
            refuse_public_force: false,
            deployments_only: false,
        });
        let parts = parts.into_iter().map(|part| (String::new(), part));
        content.versions.extend(parts);
    }
    compile("test", "uid", Revision::default(), &content, &control).unwrap()
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
            let repaired = reconcile(version, state, judge).map(|(_, effect)| effect);
            return Ok(repaired.unwrap_or_else(|| Effect {
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
    let capped = step["capped"].as_bool().unwrap_or(false);
    report.same(place, effect.capped, capped);
    let Some(flow) = step["flow"].as_str() else {
        report.same(place, &effect.state, before);
        return;
    };
    report.same(place, flow_name(&effect.state), flow);
    let generation = step["generation"].as_u64().unwrap_or(0);
    report.same(place, u64::from(effect.state.generation), generation);
    let found = blocks_of(version, &effect.state);
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

fn blocks_of(version: &Version, state: &FlowState) -> Map<String, Value> {
    let blocks = state.blocks.iter().filter_map(|stored| {
        let block = version.block(version.find(stored.key)?);
        Some((block.sid.to_string(), block_name(version, stored).into()))
    });
    blocks.collect()
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
    let transitions = block.transitions.iter().map(|own| (own.key, own.name()));
    let paths = block.incoming().iter().map(|own| (own.key, &*own.uid));
    let mut taken: Vec<&str> = transitions
        .chain(paths)
        .filter(|(key, _)| state.has_taken(*key))
        .map(|(_, name)| name)
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

fn part<'d>(document: &'d Value, name: &Value) -> &'d Value {
    &document["graphs"][name.as_str().unwrap()]
}

fn graph(document: &Value, name: &Value) -> Version {
    let part = part(document, name);
    compile_version(&read(part)).unwrap_or_else(|faults| panic!("graph {name}: {faults:?}"))
}

//! Is decided what the vectors say?

use flowgate::{
    evaluate::{Ask, FlowState, SubjectView, Tag, decide},
    snapshot::{
        FlowKey, Revision, Snapshot,
        compile::compile,
        parts::Content,
        wire::{ControlDocument, EnvironmentType, SettingsPart},
    },
};
use serde_json::Value;

use super::{Report, list, read, subject, view};

pub(super) fn run(document: &Value, report: &mut Report) {
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
        let ask = Ask {
            sid,
            tag,
            ..Ask::default()
        };
        let decision = decide(&snapshot, &view, &ask, sees, 0);
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
            channels: Vec::new(),
        },
        flows: read(&environment["flows"]),
        versions: list(&environment["versions"])
            .iter()
            .map(|part| (String::new(), read(part)))
            .collect(),
        deployments: Vec::new(),
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

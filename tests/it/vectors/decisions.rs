//! Is decided what the vectors say?
//!
//! Every case is decided and explained; both have to agree. `reason`, `number`
//! and `may_start` stand in each case, the rest is compared where it is named.

use flowgate::{
    evaluate::{
        Ask, BlockState, Decision, FlowState, Membership, Profile, SubjectView, Tag, decide,
        deployment_of, enrolment, explain,
    },
    snapshot::{
        BlockKey, FlowKey, NameKey, Revision, Snapshot,
        compile::compile,
        parts::Content,
        wire::{ControlDocument, EnvironmentType, SettingsPart},
    },
};
use serde_json::{Value, json};

use super::{Report, list, read, subject, view};

pub(super) fn run(document: &Value, report: &mut Report) {
    let environment = &document["environment"];
    let snapshot = environment_snapshot(environment);
    let projects: Vec<String> = read(&environment["projects"]);
    let sees = |project: &str| projects.iter().any(|own| own == project);
    for case in list(&document["cases"]) {
        let mut user = subject(case.get("properties"));
        if let Some(id) = case["user"].as_str() {
            std::sync::Arc::make_mut(&mut user.profile).identifier = id.into();
        }
        for stored in case["states"].as_array().into_iter().flatten() {
            user.set_state(
                FlowKey::of(stored["flow"].as_str().unwrap()),
                stored["version"].as_u64().unwrap() as u32,
                stored["conversation"].as_str(),
                stored_state(stored),
            );
        }
        let group = case.get("group").map(|group| Profile {
            identifier: group["identifier"].as_str().unwrap().into(),
            properties: read(&group["properties"]),
            ..Profile::default()
        });
        let view = SubjectView {
            group: group.as_ref(),
            attributes: case.get("attributes").and_then(Value::as_object),
            conversation: case["conversation"].as_str(),
            ..view(&user)
        };
        let ask = Ask {
            sid: case["flow"].as_str().unwrap(),
            tag: case["tag"].as_str().unwrap().parse::<Tag>().unwrap(),
            channel: case["channel"].as_str(),
            membership: case.get("record").map(membership),
        };
        let now = case["now"].as_u64().unwrap_or(0);
        let place = case.to_string();
        let decision = decide(&snapshot, &view, &ask, sees, now);
        let receipt = explain(&snapshot, &view, &ask, sees, now);
        report.same(&place, told(&receipt.decision), told(&decision));
        compare(&place, case, &decision, report);
        if let Some(key) = case.get("key") {
            let deployment = deployment_of(&snapshot, ask.sid, ask.channel);
            let found = deployment.and_then(|own| enrolment(own, &view));
            let found = found.map(|own| json!([own.deployment, own.id, own.conversation]));
            report.same(&place, &found.unwrap_or(Value::Null), key);
        }
    }
}

/// What the case names, against what was decided.
fn compare(place: &str, case: &Value, decision: &Decision<'_, '_>, report: &mut Report) {
    let told = told(decision);
    for name in ["reason", "number", "may_start"] {
        report.same(place, &told[name], &case[name]);
    }
    for name in ["source", "served", "deployment", "migrated"] {
        if let Some(expected) = case.get(name) {
            report.same(place, &told[name], expected);
        }
    }
    match case.get("enrolled") {
        Some(Value::Object(expected)) => {
            for (name, expected) in expected {
                report.same(place, &told["enrolled"][name], expected);
            }
        }
        Some(nothing) => report.same(place, &told["enrolled"], nothing),
        None => {}
    }
    if let Some(expected) = case.get("state") {
        let expected = (!expected.is_null()).then(|| whole_state(expected));
        report.same(place, decision.state.as_deref(), expected.as_ref());
    }
    let has_version = ![
        "unknown_flow",
        "unknown_version",
        "empty_version",
        "deployment_required",
        "set_aside",
    ]
    .contains(&decision.reason.name());
    // A disabled flow may have none: then the case says so.
    let has_version = has_version && case.get("version") != Some(&Value::Null);
    report.same(place, decision.version.is_some(), has_version);
}

/// A decision as the vectors write it.
fn told(decision: &Decision<'_, '_>) -> Value {
    let record = |own: Membership| json!({"in": own.is_in, "at": own.basis_points});
    json!({
        "reason": decision.reason.name(),
        "number": decision.number,
        "may_start": decision.may_start,
        "source": decision.version_source.name(),
        "served": decision.served,
        "deployment": decision.deployment.map(|own| &own.uid),
        "migrated": decision.migrated.map(|own| json!({"from": own.from, "save": own.save})),
        "enrolled": decision.enrolled.map(|own| json!({
            "in": own.is_in, "bucket": own.bucket, "at": own.basis_points,
            "recorded": own.recorded, "record": own.to_record.map(record),
        })),
        "state": decision.state.as_ref().map(|own| format!("{own:?}")),
    })
}

fn membership(value: &Value) -> Membership {
    Membership {
        is_in: value["in"].as_bool().unwrap(),
        basis_points: read(&value["at"]),
    }
}

fn environment_snapshot(environment: &Value) -> Snapshot {
    let parts = |name: &str| environment.get(name).cloned().unwrap_or(json!([]));
    let content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: true,
            deprecated: false,
            channels: read(&parts("channels")),
            access: Default::default(),
        },
        flows: read(&environment["flows"]),
        versions: list(&environment["versions"])
            .iter()
            .map(|part| (String::new(), read(part)))
            .collect(),
        deployments: read(&parts("deployments")),
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    };
    let control = ControlDocument {
        disabled_flows: read(&environment["disabled"]),
        inactive_deployments: read(&parts("inactive")),
        ..ControlDocument::default()
    };
    let snapshot = compile("test", "env-1", Revision::default(), &content, &control).unwrap();
    // A deployment that was set aside by mistake would make its cases say
    // something else.
    let deployments = snapshot.deployments.len();
    assert_eq!(
        deployments,
        content.deployments.len(),
        "{:?}",
        snapshot.set_aside
    );
    snapshot
}

/// A stored state: what it is, in one word, with its blocks.
fn stored_state(stored: &Value) -> FlowState {
    let name = stored["is"].as_str().unwrap();
    FlowState {
        started: name != "new",
        stopped: name == "stopped" || name == "retired",
        finished: name == "finished",
        retired: name == "retired",
        generation: stored.get("generation").map_or(0, read),
        blocks: blocks(&stored["blocks"]),
    }
}

/// A state with every member.
fn whole_state(value: &Value) -> FlowState {
    FlowState {
        started: read(&value["started"]),
        stopped: read(&value["stopped"]),
        finished: read(&value["finished"]),
        retired: read(&value["retired"]),
        generation: read(&value["generation"]),
        blocks: blocks(&value["blocks"]),
    }
}

fn blocks(listed: &Value) -> Box<[BlockState]> {
    let listed = listed.as_array().into_iter().flatten();
    let mut blocks: Vec<BlockState> = listed
        .map(|block| {
            let flag = |name: &str| block.get(name).is_some_and(|flag| flag == true);
            let taken = block.get("taken").map_or(Vec::new(), read::<Vec<String>>);
            let mut taken: Vec<NameKey> = taken.iter().map(|name| NameKey::of(name)).collect();
            taken.sort_unstable();
            BlockState {
                key: BlockKey::of(block["uid"].as_str().unwrap()),
                active: flag("active"),
                entered: true,
                exited: flag("exited"),
                taken: taken.into(),
            }
        })
        .collect();
    blocks.sort_unstable_by_key(|block| block.key);
    blocks.into()
}

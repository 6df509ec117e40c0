//! What is set aside from a snapshot, and what fails it?

use serde_json::{Value, json};

use super::part;
use crate::snapshot::{
    Revision, Snapshot,
    compile::{CompileError, compile},
    flags::FlagsDocument,
    parts::Content,
    wire::{
        ControlDocument, EnvironmentType, FlowPart, KeyKind, KeyPart, SettingsPart, VersionPart,
    },
    write_empty_flow,
};

fn flow(uid: &str, sid: &str, versions: &[u32]) -> FlowPart {
    FlowPart {
        deployments_only: false,
        uid: uid.into(),
        sid: sid.into(),
        name: sid.into(),
        project: "web".into(),
        enabled: true,
        versions: versions.to_vec(),
        refuse_public_force: false,
    }
}

fn one_block(flow_uid: &str, flow_sid: &str, number: u32, block: &str) -> (String, VersionPart) {
    let value = json!({"flow_uid": flow_uid, "flow_sid": flow_sid, "number": number, "entry": "everyone",
        "blocks": [{"uid": block, "sid": "card", "kind": "card"}], "paths": [{"uid": "p", "to": block}]});
    (String::new(), part(&value))
}

fn content(flows: Vec<FlowPart>, versions: Vec<(String, VersionPart)>) -> Content {
    Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: true,
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
    }
}

fn compiled(content: &Content) -> Snapshot {
    compile(
        "test",
        "e1",
        Revision::default(),
        content,
        &ControlDocument::default(),
    )
    .unwrap()
}

fn aside(snapshot: &Snapshot) -> Vec<(&str, Option<u32>)> {
    let list = snapshot.set_aside.iter();
    list.map(|one| (&*one.flow, one.version)).collect()
}

#[test]
fn a_control_document_switches_flags_off_and_never_on() {
    let flag = |name: &str, on: bool| serde_json::json!({"name": name, "enabled": on});
    let features = vec![flag("a", true), flag("b", true), flag("c", false)];
    let held = Content {
        flags: FlagsDocument::of_parts(features, Vec::new()),
        ..content(Vec::new(), Vec::new())
    };
    let with = |names: &[&str]| {
        let control = ControlDocument {
            disabled_flags: names.iter().map(|name| (*name).to_owned()).collect(),
            ..ControlDocument::default()
        };
        compile("dev", "uid", Revision::default(), &held, &control).unwrap()
    };
    let on = |snapshot: &Snapshot| {
        let flags = snapshot.flags.list().iter().filter(|own| own.enabled);
        flags.map(|own| own.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(on(&with(&[])), ["a", "b"]);
    let narrowed = with(&["a", "c", "gone"]);
    assert_eq!(on(&narrowed), ["b"]);
    // Whoever evaluates for itself hears of it as well.
    let mut told = Vec::new();
    let flags = &narrowed.flags;
    flags.write_feature(&mut told, flags.named("a").unwrap());
    assert!(
        String::from_utf8(told)
            .unwrap()
            .contains("\"enabled\":false")
    );
    assert_ne!(narrowed.flags.fingerprint(), with(&[]).flags.fingerprint());
}

#[test]
fn a_block_of_two_flows_sets_the_later_flow_aside() {
    let content = content(
        vec![
            flow("f1", "first", &[1]),
            flow("f2", "second", &[1]),
            flow("f3", "third", &[1]),
        ],
        vec![
            one_block("f1", "first", 1, "x"),
            one_block("f2", "second", 1, "x"),
            one_block("f3", "third", 1, "y"),
        ],
    );
    let snapshot = compiled(&content);
    assert_eq!(aside(&snapshot), [("second", None)]);
    assert!(snapshot.set_aside[0].why.contains("\"first\""));
    assert_eq!(&*snapshot.block_flows.get("x").unwrap().sid, "first");
    assert_eq!(snapshot.flows.len(), 2);
}

#[test]
fn names_of_flows_are_taken_once() {
    let content = content(
        vec![
            flow("f1", "same", &[]),
            flow("f2", "same", &[]),
            flow("f1", "other", &[]),
            flow("f3", "no sid", &[]),
        ],
        Vec::new(),
    );
    let snapshot = compiled(&content);
    assert_eq!(
        aside(&snapshot),
        [("same", None), ("other", None), ("no sid", None)]
    );
    assert_eq!(&*snapshot.flows["same"].uid, "f1");
}

#[test]
fn faulty_missing_and_broken_versions_are_set_aside_and_the_rest_serves() {
    let mut faulty = one_block("f1", "flow", 2, "x");
    faulty.1.paths.clear();
    let mut content = content(
        vec![flow("f1", "flow", &[4, 1, 2, 3, 5])],
        vec![
            one_block("f1", "flow", 1, "x"),
            faulty,
            one_block("f1", "renamed", 5, "x"),
            one_block("f9", "lost", 1, "z"),
        ],
    );
    content.broken = vec![
        ("version:f1:4".into(), "not an object".into()),
        ("flow:f8".into(), "no sid".into()),
    ];
    let snapshot = compiled(&content);
    assert_eq!(
        aside(&snapshot),
        [
            ("flow", Some(2)),
            ("flow", Some(3)),
            ("flow", Some(4)),
            ("flow", Some(5)),
            ("lost", Some(1)),
            ("flow:f8", None)
        ]
    );
    assert!(snapshot.set_aside[2].why.contains("not an object"));
    let flow = &snapshot.flows["flow"];
    assert!(flow.version(1).unwrap().version.is_some());
    assert!(flow.version(4).unwrap().version.is_none());
    assert_eq!(flow.latest().unwrap().number, 5);
}

#[test]
fn control_disables_flows_and_revokes_keys() {
    let key = |digit: &str| KeyPart {
        channel: None,
        sha256: digit.repeat(64),
        kind: KeyKind::Blocks,
        name: format!("key {digit}"),
        projects: vec!["web".into()],
        origins: Vec::new(),
    };
    let mut content = content(
        vec![flow("f1", "one", &[]), flow("f2", "two", &[])],
        Vec::new(),
    );
    content.keys = vec![key("a"), key("b")];
    let mut control = ControlDocument {
        disabled_flows: vec!["f2".into(), "gone".into()],
        revoked_keys: vec!["b".repeat(64)],
        ..ControlDocument::default()
    };
    let with = |content: &Content, control: &ControlDocument| {
        compile("test", "e1", Revision::default(), content, control)
    };
    let snapshot = with(&content, &control).unwrap();
    assert!(snapshot.flows["one"].enabled && !snapshot.flows["two"].enabled);
    assert_eq!(snapshot.keys.len(), 1);
    assert_eq!(snapshot.keys[0].sha256, [0xaa; 32]);
    control.revoked_keys.push("B".repeat(64));
    assert!(matches!(
        with(&content, &control),
        Err(CompileError::RevokedKey { .. })
    ));
    control.revoked_keys.clear();
    content.keys.push(key("a"));
    assert!(matches!(
        with(&content, &control),
        Err(CompileError::KeyTwice { .. })
    ));
    content.keys[2].sha256 = "a".repeat(63);
    assert!(matches!(
        with(&content, &control),
        Err(CompileError::KeyHash { .. })
    ));
}

#[test]
fn an_empty_flow_has_version_zero_and_no_blocks() {
    let snapshot = compiled(&content(vec![flow("f \"1\"", "flow", &[])], Vec::new()));
    let mut out = Vec::new();
    write_empty_flow(&mut out, &snapshot.flows["flow"], true);
    let flow: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        flow,
        json!({"kind": "flow", "type": "flow", "uid": "f \"1\"", "sid": "flow", "version": 0,
        "state": {"started": false, "stopped": false, "finished": false}, "blocks": []})
    );
}

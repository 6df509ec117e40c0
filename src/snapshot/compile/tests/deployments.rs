//! Which deployments are served, which are set aside, and why?

use serde_json::{Value, json};

use crate::{
    evaluate::{Subject, SubjectView},
    limits::{
        ALTERNATIVES_MAX, CHANNEL_BYTES_MAX, RULES_PER_ALTERNATIVE_MAX, SALT_BYTES_MAX,
        SCHEDULE_ENTRIES_MAX, SID_BYTES_MAX,
    },
    snapshot::{
        Deployment, FlowKey, Revision, Snapshot,
        compile::{channel_fault, compile, compile_deployment},
        parts::Content,
        wire::{ChannelPart, ControlDocument, DeploymentPart, EnvironmentType, SettingsPart},
    },
};

/// A sound deployment of the flow `f1` with one of everything.
fn sound() -> Value {
    json!({
        "uid": "d1", "name": "vips", "flow_uid": "f1", "channel": "intercom:acme",
        "policy": {"pinned": 2},
        "rollout": {
            "alternatives": [
                {"name": "vip", "rules": [
                    {"attribute": "tags", "operator": "contains", "value": "vip"},
                    {"attribute": "plan", "operator": "equals", "value": "Pro", "ignore_case": true}
                ]},
                {"rules": [{"attribute": "group.name", "operator": "is_not_empty"}]}
            ],
            "basis_points": 1000,
            "schedule": [{"at_ms": 100, "basis_points": 5000}, {"at_ms": 200, "basis_points": 10000}],
            "salt": "s1", "id": {"attribute": "account"}, "remember": "user"
        },
        "on_version_change": "migrate"
    })
}

fn part(value: &Value) -> DeploymentPart {
    serde_json::from_value(value.clone()).unwrap()
}

/// `sound` with one value changed.
fn with(pointer: &str, value: Value) -> DeploymentPart {
    let mut changed = sound();
    *changed.pointer_mut(pointer).unwrap() = value;
    part(&changed)
}

fn faults(part: &DeploymentPart) -> Vec<String> {
    match compile_deployment(part, "flow", true) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// A deployment for everybody.
fn plain(uid: &str, flow_uid: &str, channel: &str) -> DeploymentPart {
    part(&json!({
        "uid": uid, "name": format!("the {uid}"), "flow_uid": flow_uid, "channel": channel,
        "policy": "latest", "rollout": {"basis_points": 10000, "salt": uid}
    }))
}

/// Two flows with one version each, `chat` an exclusive channel.
fn content(deployments: Vec<DeploymentPart>) -> Content {
    let flow = |uid: &str, sid: &str| {
        let value = json!({"uid": uid, "sid": sid, "name": sid, "project": "web", "enabled": true, "versions": [1]});
        serde_json::from_value(value).unwrap()
    };
    let version = |uid: &str, sid: &str| {
        let value = json!({"flow_uid": uid, "flow_sid": sid, "number": 1, "entry": "everyone",
            "blocks": [{"uid": format!("{uid}-b"), "sid": "card", "kind": "card"}],
            "paths": [{"uid": "p", "to": format!("{uid}-b")}]});
        (String::new(), super::part(&value))
    };
    Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: true,
            deprecated: false,
            access: Default::default(),
            channels: vec![ChannelPart {
                name: "chat".to_owned(),
                exclusive: true,
            }],
        },
        flows: vec![flow("f1", "one"), flow("f2", "two")],
        versions: vec![version("f1", "one"), version("f2", "two")],
        deployments,
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    }
}

fn compiled_under(content: &Content, inactive: &[&str]) -> Snapshot {
    let control = ControlDocument {
        inactive_deployments: inactive.iter().map(|uid| (*uid).into()).collect(),
        ..ControlDocument::default()
    };
    compile("test", "e1", Revision::default(), content, &control).unwrap()
}

fn compiled(deployments: Vec<DeploymentPart>) -> Snapshot {
    compiled_under(&content(deployments), &[])
}

/// Uid and activity of the deployment that decides.
fn deciding<'s>(snapshot: &'s Snapshot, channel: &str, flow: &str) -> Option<(&'s str, bool)> {
    let by_flow = &snapshot.channels.get(channel)?.by_flow;
    let own: &Deployment = by_flow.get(&FlowKey::of(flow))?;
    Some((&own.uid, own.active))
}

/// What was set aside, and a word of why.
fn set_aside(snapshot: &Snapshot) -> Vec<(&str, &str)> {
    let list = snapshot.set_aside.iter();
    list.map(|one| (&*one.flow, one.why.as_str())).collect()
}

fn served(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.deployments.iter().map(|own| &*own.uid).collect()
}

#[test]
fn a_sound_deployment_is_ready_to_decide() {
    let compiled = compile_deployment(&part(&sound()), "flow", true).unwrap();
    assert_eq!(&*compiled.flow_sid, "flow");
    assert_eq!(&*compiled.salt, "s1:");
    let texts = compiled.audience.alternatives.iter();
    let texts: Vec<Vec<&str>> = texts
        .map(|one| one.rules.iter().map(|rule| &*rule.text).collect())
        .collect();
    assert_eq!(
        texts,
        [
            vec![
                "tags contains \"vip\"",
                "plan equals \"Pro\" (ignoring case)"
            ],
            vec!["group.name is_not_empty"]
        ]
    );
    let mut user = Subject::unseen("ann");
    std::sync::Arc::make_mut(&mut user.profile)
        .properties
        .insert("plan".to_owned(), json!("PRO"));
    let view = SubjectView {
        user: &user,
        group: None,
        attributes: None,
        conversation: None,
    };
    let rules = compiled.audience.alternatives[0].rules.iter();
    let holds: Vec<bool> = rules.map(|rule| rule.predicate.holds(&view, 0)).collect();
    assert_eq!(holds, [false, true]);
}

#[test]
fn a_schedule_is_in_force_from_its_times_on() {
    let compiled = compile_deployment(&part(&sound()), "flow", true).unwrap();
    let at = [0, 99, 100, 199, 200, u64::MAX].map(|now| compiled.basis_points_at(now));
    assert_eq!(at, [1000, 1000, 5000, 5000, 10000, 10000]);
}

#[test]
fn every_fault_has_its_place() {
    let rule = |rule: Value| with("/rollout/alternatives/0/rules/1", rule);
    let table: Vec<(DeploymentPart, &str)> = vec![
        (with("/uid", json!("")), "uid: expected 1 to 128 bytes"),
        (with("/uid", json!("u".repeat(SID_BYTES_MAX + 1))), "uid: "),
        (with("/channel", json!("web:")), "channel: found \"web:\""),
        (with("/policy", json!({"pinned": 0})), "version: found 0"),
        (
            with("/rollout/basis_points", json!(10_001)),
            "percentage: found 10001 basis points, expected 0 to 10000",
        ),
        (
            with("/rollout/schedule/1/basis_points", json!(u16::MAX)),
            "schedule entry 2: found 65535",
        ),
        (
            with("/rollout/schedule/1/at_ms", json!(100)),
            "schedule: expected ascending times",
        ),
        (
            with("/rollout/schedule/1/at_ms", json!(50)),
            "schedule: expected ascending times",
        ),
        (
            with("/rollout/alternatives/1/rules", json!([])),
            "alternative 2: found no rules",
        ),
        (
            rule(json!({"attribute": "", "operator": "is_empty"})),
            "alternative 1, rule 2: found an attribute of 0 bytes",
        ),
        (
            rule(json!({"attribute": "a", "operator": "equals"})),
            "alternative 1, rule 2: found no value",
        ),
        (
            rule(json!({"attribute": "a", "operator": "is_empty", "value": 1})),
            "alternative 1, rule 2: found a value",
        ),
        (
            with("/rollout/salt", json!("s".repeat(SALT_BYTES_MAX + 1))),
            "salt: expected at most 128 bytes",
        ),
        (
            with("/rollout/id", json!({"attribute": ""})),
            "id: found an attribute of 0 bytes",
        ),
        (
            with("/rollout/id", json!({"attribute": "user.account"})),
            "id: found the attribute \"user.account\"",
        ),
    ];
    for (part, expected) in table {
        let found = faults(&part);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}: {expected}");
    }
}

#[test]
fn limits_are_reached_and_not_passed() {
    let entries = |count: usize| -> Vec<Value> {
        let entry = |at| json!({"at_ms": at, "basis_points": 1});
        (0..count).map(entry).collect()
    };
    let rules = |count: usize| vec![json!({"attribute": "a", "operator": "is_empty"}); count];
    let alternatives = |count: usize| vec![json!({"rules": rules(1)}); count];
    let found = |pointer: &str, list: Vec<Value>| faults(&with(pointer, list.into()));
    let nothing: [String; 0] = [];
    assert_eq!(
        found("/rollout/schedule", entries(SCHEDULE_ENTRIES_MAX)),
        nothing
    );
    assert_eq!(
        found("/rollout/schedule", entries(SCHEDULE_ENTRIES_MAX + 1)),
        ["schedule: found 65 entries, expected at most 64"]
    );
    let of_one = "/rollout/alternatives/1/rules";
    assert_eq!(found(of_one, rules(RULES_PER_ALTERNATIVE_MAX)), nothing);
    assert_eq!(
        found(of_one, rules(RULES_PER_ALTERNATIVE_MAX + 1)),
        ["alternative 2: found 65 rules, expected at most 64"]
    );
    let all = "/rollout/alternatives";
    assert_eq!(found(all, alternatives(ALTERNATIVES_MAX)), nothing);
    assert_eq!(
        found(all, alternatives(ALTERNATIVES_MAX + 1)),
        ["audience: found 65 alternatives, expected at most 64"]
    );
}

#[test]
fn a_deployment_with_many_faults_hears_of_all_of_them() {
    let mut bad = sound();
    bad["channel"] = json!("");
    bad["rollout"]["basis_points"] = json!(20_000);
    bad["rollout"]["alternatives"] = json!([{"rules": []}, {"rules": []}]);
    let found = faults(&part(&bad));
    let places: Vec<&str> = found
        .iter()
        .filter_map(|one| one.split(':').next())
        .collect();
    assert_eq!(
        places,
        ["channel", "percentage", "alternative 1", "alternative 2"]
    );
}

#[test]
fn channels_are_a_platform_or_a_platform_with_a_workspace() {
    let longest = "c".repeat(CHANNEL_BYTES_MAX);
    for sound in ["web", "intercom:acme", "a.b-c_D9:x", longest.as_str()] {
        assert_eq!(channel_fault(sound), None, "{sound}");
    }
    let too_long = format!("{longest}c");
    for bad in [
        "",
        ":",
        "web:",
        ":acme",
        "a:b:c",
        "a b",
        "wéb",
        "a/b",
        too_long.as_str(),
    ] {
        assert!(channel_fault(bad).is_some(), "{bad}");
    }
}

#[test]
fn deployments_find_their_flow_and_their_channel() {
    let snapshot = compiled(vec![
        plain("d1", "f1", "web"),
        plain("d2", "f2", "web"),
        plain("d3", "f1", "chat"),
    ]);
    assert_eq!(served(&snapshot), ["d1", "d2", "d3"]);
    assert_eq!(deciding(&snapshot, "web", "f1"), Some(("d1", true)));
    assert_eq!(deciding(&snapshot, "web", "f2"), Some(("d2", true)));
    assert_eq!(deciding(&snapshot, "chat", "f2"), None);
    assert!(snapshot.channels["web"].sole.is_none());
    let sole = snapshot.channels["chat"].sole.as_deref().unwrap();
    assert_eq!(&*sole.uid, "d3");
    assert_eq!(snapshot.set_aside, []);
}

#[test]
fn a_deployment_of_a_flow_that_is_not_served_is_set_aside() {
    let snapshot = compiled(vec![plain("d1", "f9", "web"), plain("d2", "f1", "web")]);
    assert_eq!(
        set_aside(&snapshot),
        [("deployment the d1", "the flow \"f9\" is not served")]
    );
    assert_eq!(served(&snapshot), ["d2"]);
}

#[test]
fn of_two_active_for_one_flow_and_channel_the_later_is_set_aside() {
    let snapshot = compiled(vec![plain("d1", "f1", "web"), plain("d2", "f1", "web")]);
    assert_eq!(deciding(&snapshot, "web", "f1"), Some(("d1", true)));
    let why = "deployment \"the d1\" is active for the same flow on channel \"web\" already";
    assert_eq!(set_aside(&snapshot), [("deployment the d2", why)]);
}

#[test]
fn of_two_active_on_an_exclusive_channel_the_later_is_set_aside_and_its_flow_is_not_open() {
    let snapshot = compiled(vec![plain("d1", "f1", "chat"), plain("d2", "f2", "chat")]);
    assert_eq!(deciding(&snapshot, "chat", "f1"), Some(("d1", true)));
    assert_eq!(deciding(&snapshot, "chat", "f2"), Some(("d2", false)));
    assert_eq!(served(&snapshot), ["d1"]);
    let why = "deployment \"the d1\" is active on the exclusive channel \"chat\" already";
    assert_eq!(set_aside(&snapshot), [("deployment the d2", why)]);
}

#[test]
fn a_channel_described_twice_is_exclusive_if_once() {
    let mut content = content(vec![plain("d1", "f1", "chat"), plain("d2", "f2", "chat")]);
    content.settings.channels.push(ChannelPart {
        name: "chat".to_owned(),
        exclusive: false,
    });
    let snapshot = compiled_under(&content, &[]);
    assert!(snapshot.channels["chat"].exclusive);
    assert_eq!(served(&snapshot), ["d1"]);
}

#[test]
fn one_uid_is_one_deployment() {
    let snapshot = compiled(vec![plain("d1", "f1", "web"), plain("d1", "f2", "app")]);
    assert_eq!(served(&snapshot), ["d1"]);
    assert_eq!(deciding(&snapshot, "app", "f2"), Some(("d1", false)));
    let why = "another deployment has the uid \"d1\" already";
    assert_eq!(set_aside(&snapshot), [("deployment the d1", why)]);
}

#[test]
fn the_place_of_a_refused_deployment_is_not_open_and_shows_no_draft() {
    let twice = vec![plain("d1", "f1", "web"), plain("d1", "f2", "app")];
    let snapshot = compiled(twice);
    assert_eq!(deciding(&snapshot, "app", "f2"), Some(("d1", false)));
    let mut draft = plain("d1", "f1", "web");
    draft.policy = crate::snapshot::wire::VersionPolicy::Pinned(0);
    let snapshot = compiled(vec![draft]);
    assert_eq!(deciding(&snapshot, "web", "f1"), Some(("d1", false)));
    let held = &snapshot.channels["web"].by_flow[&FlowKey::of("f1")];
    assert_eq!(held.policy, crate::snapshot::wire::VersionPolicy::Latest);
}

#[test]
fn an_inactive_deployment_decides_only_where_none_is_active() {
    let content = content(vec![
        plain("d1", "f1", "web"),
        plain("d2", "f1", "web"),
        plain("d3", "f1", "chat"),
        plain("d4", "f2", "chat"),
    ]);
    let snapshot = compiled_under(&content, &["d1", "d3"]);
    assert_eq!(deciding(&snapshot, "web", "f1"), Some(("d2", true)));
    assert_eq!(deciding(&snapshot, "chat", "f1"), Some(("d3", false)));
    let sole = snapshot.channels["chat"].sole.as_deref().unwrap();
    assert_eq!(&*sole.uid, "d4");
    assert_eq!(served(&snapshot), ["d1", "d2", "d3", "d4"]);
    assert_eq!(snapshot.set_aside, []);
    let snapshot = compiled_under(&content, &["d1", "d2", "d3", "d4"]);
    assert_eq!(deciding(&snapshot, "web", "f1"), Some(("d1", false)));
    assert!(snapshot.channels["chat"].sole.is_none());
}

#[test]
fn a_control_document_may_name_deployments_nobody_knows() {
    let snapshot = compiled_under(&content(vec![plain("d1", "f1", "web")]), &["d9", ""]);
    assert_eq!(deciding(&snapshot, "web", "f1"), Some(("d1", true)));
    assert_eq!(snapshot.set_aside, []);
}

#[test]
fn a_pinned_version_that_is_not_there_is_no_reason_to_set_aside() {
    let mut pinned = plain("d1", "f1", "web");
    pinned.policy = crate::snapshot::wire::VersionPolicy::Pinned(7);
    let snapshot = compiled(vec![pinned]);
    assert_eq!(deciding(&snapshot, "web", "f1"), Some(("d1", true)));
    assert_eq!(snapshot.set_aside, []);
}

#[test]
fn a_faulty_deployment_is_set_aside_and_does_not_open_its_flow() {
    let mut faulty = plain("d1", "f1", "web");
    faulty.rollout.alternatives = vec![Default::default(); 10];
    faulty.name = String::new();
    let snapshot = compiled(vec![faulty.clone()]);
    assert_eq!(served(&snapshot), [] as [&str; 0]);
    assert_eq!(deciding(&snapshot, "web", "f1"), Some(("d1", false)));
    let [(name, why)] = set_aside(&snapshot)[..] else {
        panic!("{:?}", snapshot.set_aside);
    };
    assert_eq!(name, "deployment d1");
    assert!(why.starts_with("alternative 1: found no rules, expected at least one; "));
    assert!(why.ends_with("; and 2 more"), "{why}");
    // A sound one of the same flow takes the place.
    let snapshot = compiled(vec![faulty, plain("d2", "f1", "web")]);
    assert_eq!(deciding(&snapshot, "web", "f1"), Some(("d2", true)));
}

//! Importing what was exported changes nothing, whatever was authored.

use proptest::prelude::*;

use super::*;
use std::collections::BTreeMap;

use crate::{
    snapshot::wire::{OnVersionChange, VersionPolicy},
    store::{
        called::{is_blank, is_name_for_people},
        export,
        workspace::{AuthoredVersion, Channel, Deployment, Project, WebhookSettings},
    },
};

#[test]
fn the_demo_exports_and_imports_into_itself_and_into_an_empty_store() {
    let first = import(&workspace(), read_files(&demo()), &Ambient::system()).unwrap();
    let text = export::export(&first.workspace, None).unwrap();
    let again = take(&first.workspace, &text).unwrap();
    assert!(again.writes.is_empty(), "{:?}", again.report);
    let elsewhere = take(&workspace(), &text).unwrap().workspace;
    assert_eq!(export::export(&elsewhere, None).unwrap(), text);
    let json: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    let json = serde_json::to_string(&json).unwrap();
    assert_eq!(
        export::export(&take(&workspace(), &json).unwrap().workspace, None).unwrap(),
        text
    );
}

#[test]
fn an_export_of_one_environment_holds_what_it_sees() {
    let first = import(&workspace(), read_files(&demo()), &Ambient::system()).unwrap();
    let production = first.workspace.environment("production");
    let text = export::export(&first.workspace, production).unwrap();
    assert!(!text.contains("draft:") && !text.contains("development:"));
    assert!(text.contains("production: enabled"));
    assert!(text.contains("environment: production"));
    assert!(!text.contains("environment: development"));
}

/// With names, messages and authors that earlier releases took.
fn of_an_earlier_release(blank: &str, author: &str, named: &str) -> Workspace {
    let file = format!(
        "{ONE}    deployments: [{{name: d, environment: production, channel: web, audience: [{{name: a, \
         rules: [{{attribute: x, operator: is_empty}}]}}]}}]\nsegments: [{{name: s, constraints: []}}]\n"
    );
    let mut workspace = take(&workspace(), &file).unwrap().workspace;
    let mut project = workspace.projects["shop"].clone();
    project.name = blank.to_owned();
    workspace.projects.insert(project.sid.clone(), project);
    let mut flow = workspace.flows["hello"].clone();
    flow.name = blank.to_owned();
    let version = Arc::make_mut(flow.versions.get_mut(&1).unwrap());
    version.message = blank.to_owned();
    version.author = author.to_owned();
    workspace.flows.insert(flow.sid.clone(), flow);
    for own in workspace.deployments.values_mut() {
        own.rollout.alternatives[0].name = Some(blank.to_owned());
    }
    let segment = workspace.segment("s").unwrap();
    let mut segment = crate::store::flags::Segment::clone(segment);
    segment.name = named.to_owned();
    workspace.segments.insert(segment.id, Arc::new(segment));
    workspace
}

/// Their exports were refused, also by the store that had written them.
#[test]
fn what_an_earlier_release_took_is_exported_and_imported() {
    let long = "x".repeat(200);
    for (blank, author, named) in [("", "", "s"), ("  ", "  ", "s"), (&long, "a\nb", "  ")] {
        let authored = of_an_earlier_release(blank, author, named);
        let text = export::export(&authored, None).unwrap();
        let again = take(&authored, &text).unwrap();
        assert!(again.writes.is_empty(), "{:?}", again.report);
        // Earlier releases wrote what nobody had said as well.
        let text = match blank {
            "" => text.replace(
                "- number: 1\n",
                "- number: 1\n    message: ''\n    author: ''\n",
            ),
            _ => text,
        };
        let elsewhere = take(&workspace(), &text);
        if blank == long {
            let told = elsewhere.unwrap_err().faults;
            let told: Vec<String> = told.iter().map(ToString::to_string).collect();
            let told = told.join("\n");
            for place in [
                "flow \"hello\": name",
                "version 1: author",
                "segment",
                "of alternative 1 of",
            ] {
                assert!(told.contains(place), "{place} not in: {told}");
            }
            continue;
        }
        let elsewhere = elsewhere.unwrap().workspace;
        assert_eq!(elsewhere.projects["shop"].name, "shop");
        assert_eq!(elsewhere.flows["hello"].name, "hello");
        assert_eq!(elsewhere.flows["hello"].versions[&1].message, "");
        let mut deployments = elsewhere.deployments.values();
        let alternatives = &deployments.next().unwrap().rollout.alternatives;
        assert_eq!(alternatives[0].name, None);
    }
}

/// Any project that compiles: chains of blocks with all kinds of fields.
fn any_workspace() -> impl Strategy<Value = Workspace> {
    let text = prop_oneof![
        "\\PC{0,12}",
        Just("true".to_owned()),
        Just("1_000".to_owned()),
        Just("0x1F".to_owned()),
        Just("~".to_owned()),
        Just("a: b\n- c # d".to_owned()),
        Just("  spaces  ".to_owned()),
        Just("12e3".to_owned()),
    ];
    let value = prop_oneof![
        text.clone()
            .prop_map(|text| ("string", serde_json::json!(text))),
        any::<i64>().prop_map(|n| ("number", serde_json::json!(n))),
        (-1e9..1e9).prop_map(|n: f64| ("number", serde_json::json!(n))),
        any::<bool>().prop_map(|b| ("boolean", serde_json::json!(b))),
        text.clone().prop_map(|text| (
            "richText",
            serde_json::json!([{"type": "paragraph", "children": [{"text": text}]}])
        )),
        Just(("string", serde_json::Value::Null)),
    ];
    let block = (0..6_u8, prop::collection::vec(value, 0..4));
    let version = (prop::collection::vec(block, 1..5), 0..3_u8, any::<bool>());
    let flow = (
        prop::collection::vec(version, 1..4),
        any::<bool>(),
        any::<bool>(),
        text,
        prop::collection::vec(any_deployment(), 0..4),
    );
    prop::collection::vec(flow, 1..4).prop_map(|flows| {
        let mut workspace = workspace();
        for (ordinal, (versions, has_draft, enabled, text, deployments)) in
            flows.into_iter().enumerate()
        {
            let name = match is_name_for_people(&text) {
                true => text.clone(),
                false => format!("name {ordinal}"),
            };
            let project = format!("p{}", ordinal % 2);
            workspace.projects.insert(
                project.clone(),
                Project {
                    sid: project.clone(),
                    name: name.clone(),
                    environments: enabled.then(|| ["uid-production".to_owned()].into()),
                },
            );
            let mut flow = Flow {
                uid: format!("flow{ordinal}"),
                sid: format!("f{ordinal}"),
                name: name.clone(),
                project,
                refuse_public_force: enabled,
                deployments_only: enabled,
                status: [("uid-production".to_owned(), enabled)].into(),
                versions: Default::default(),
                content: Default::default(),
            };
            for (number, version) in (u32::from(!has_draft)..).zip(versions) {
                let part = part(&flow, number, version);
                let history = |text: &str| {
                    if number == 0 {
                        String::new()
                    } else {
                        text.to_owned()
                    }
                };
                let version = AuthoredVersion {
                    part,
                    message: history(if is_blank(&text) { "" } else { &text }),
                    author: history("ann"),
                    created_ms: 1_700_000_000_123 + u64::from(number),
                    webhooks: webhooks(&flow.uid, number, &text),
                };
                flow.versions.insert(number, Arc::new(version));
            }
            for (at, mut deployment) in deployments.into_iter().enumerate() {
                deployment.uid = format!("{}d{at}", flow.uid);
                deployment.name = format!("{name}{ordinal}{at}");
                deployment.flow_uid.clone_from(&flow.uid);
                deployment.channel = format!("c{ordinal}:{at}");
                if flow.latest() == 0 {
                    deployment.policy = VersionPolicy::Latest;
                }
                let channel = Channel {
                    name: deployment.channel.clone(),
                    exclusive: enabled,
                    attributes: vec![text.clone()],
                };
                workspace.channels.insert(channel.name.clone(), channel);
                workspace
                    .deployments
                    .insert(deployment.uid.clone(), deployment);
            }
            workspace.flows.insert(flow.sid.clone(), flow);
        }
        workspace
    })
}

/// The version's one webhook, when it has one.
fn webhooks(flow: &str, number: u32, text: &str) -> BTreeMap<String, WebhookSettings> {
    let settings = WebhookSettings {
        url: format!("https://example.com/{number}"),
        headers: [("x-text".to_owned(), text.escape_debug().to_string())]
            .into_iter()
            .filter(|(_, value)| value.is_ascii() && value.trim() == value)
            .filter(|(_, value)| !value.contains("${"))
            .collect(),
        body: number
            .is_multiple_of(2)
            .then(|| serde_json::json!({"n": [number, null, "${timestamp}"]})),
    };
    [(format!("{flow}call"), settings)].into()
}

/// Any sound rollout; what it is called and where it stands comes later.
fn any_deployment() -> impl Strategy<Value = Deployment> {
    let value = prop_oneof![
        "\\PC{0,8}".prop_map(|text| serde_json::json!(text)),
        any::<i32>().prop_map(|number| serde_json::json!(number)),
    ];
    let rule = ("[a-z]{1,8}", value, any::<bool>()).prop_map(|(attribute, value, case)| {
        serde_json::json!({
            "attribute": attribute, "operator": "equals", "value": value, "ignore_case": case,
        })
    });
    let alternative = (
        prop::option::of("\\PC{0,8}"),
        prop::collection::vec(rule, 1..3),
    )
        .prop_map(|(name, rules)| (name.filter(|name| is_name_for_people(name)), rules))
        .prop_map(|(name, rules)| serde_json::json!({"name": name, "rules": rules}));
    (
        prop::collection::vec(alternative, 0..3),
        0..=10_000_u16,
        prop::collection::btree_map(0..4_000_000_000_000_u64, 0..=10_000_u16, 0..3),
        "\\PC{1,8}",
        0..4_u8,
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(alternatives, points, schedule, salt, kind, (production, active))| {
                let schedule: Vec<_> = schedule
                    .into_iter()
                    .map(|(at, points)| serde_json::json!({"at_ms": at, "basis_points": points}))
                    .collect();
                let id = [
                    serde_json::json!("user"),
                    serde_json::json!("group"),
                    serde_json::json!({"attribute": "account"}),
                    serde_json::json!("user"),
                ];
                let id = &id[usize::from(kind)];
                let remember = ["conversation", "user", "nothing", "user"][usize::from(kind)];
                let rollout = serde_json::json!({
                    "alternatives": alternatives, "basis_points": points, "schedule": schedule,
                    "salt": salt, "id": id, "remember": remember,
                });
                let environment = if production {
                    "production"
                } else {
                    "development"
                };
                Deployment {
                    uid: String::new(),
                    name: String::new(),
                    environment_uid: format!("uid-{environment}"),
                    flow_uid: String::new(),
                    channel: String::new(),
                    policy: if kind == 0 {
                        VersionPolicy::Pinned(1)
                    } else {
                        VersionPolicy::Latest
                    },
                    rollout: serde_json::from_value(rollout).unwrap(),
                    on_version_change: [
                        None,
                        Some(OnVersionChange::Stay),
                        Some(OnVersionChange::Migrate),
                        None,
                    ][usize::from(kind)],
                    active,
                }
            },
        )
}

type AnyVersion = (Vec<(u8, Vec<(&'static str, serde_json::Value)>)>, u8, bool);

fn part(flow: &Flow, number: u32, (blocks, entry, migrates): AnyVersion) -> VersionPart {
    let mut json = serde_json::json!({
        "flow_uid": flow.uid, "flow_sid": flow.sid, "number": number, "blocks": [], "paths": [],
        "entry": match entry {
            0 => serde_json::json!("everyone"),
            1 => serde_json::json!("api-only"),
            _ => serde_json::json!({"expression": "user.properties.a = 'it''s'"}),
        },
    });
    if migrates {
        json["migration"] = "carry-over".into();
    }
    let mut made = Vec::new();
    let mut paths = Vec::new();
    for (at, (kind, fields)) in blocks.into_iter().enumerate() {
        let uid = |what: &str| format!("{}{what}{at}", flow.uid);
        let fields: Vec<_> = (0..)
            .zip(fields)
            .map(|(n, (kind, value))| serde_json::json!({"sid": format!("x{n}"), "type": kind, "value": value}))
            .collect();
        let kind = ["card", "modal", "custom", "tour", "checklist", "hints"][usize::from(kind)];
        let mut block = serde_json::json!({
            "uid": uid("b"), "sid": format!("s{at}"), "kind": kind, "fields": fields,
        });
        if kind == "custom" {
            block["transitions"] = serde_json::json!(["complete", "true"]);
        }
        made.push(block);
        if ["tour", "checklist", "hints"].contains(&kind) {
            let item_kind = match kind {
                "hints" => "hintsItem".to_owned(),
                kind => format!("{kind}Item"),
            };
            for item in 0..2 {
                made.push(serde_json::json!({
                    "uid": format!("{}-{item}", uid("b")), "sid": format!("s{at}-{item}"),
                    "kind": item_kind, "container": uid("b"), "fields": fields,
                }));
            }
        }
        let mut path = serde_json::json!({"uid": uid("p"), "to": uid("b")});
        if at > 0 {
            path["from"] = format!("{}b{}", flow.uid, at - 1).into();
            path["on"] = serde_json::json!(["complete"]);
        }
        paths.push(path);
    }
    let own = |sid: &str| format!("{}{sid}", flow.uid);
    made.push(serde_json::json!({"uid": own("call"), "sid": "call", "kind": "webhook"}));
    made.push(serde_json::json!({
        "uid": own("stop"), "sid": "stop", "kind": "flowTrigger",
        "trigger": {"flow_sid": "nowhere", "version": number, "action": "stop"},
    }));
    paths.push(serde_json::json!({"uid": own("p-call"), "to": own("call")}));
    paths.push(serde_json::json!({
        "uid": own("p-stop"), "from": own("call"), "on": ["done"], "to": own("stop"),
    }));
    if number == 0 {
        // A trigger names committed versions.
        made.pop();
        paths.pop();
    }
    json["blocks"] = made.into();
    json["paths"] = paths.into();
    serde_json::from_value(json).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn importing_an_export_is_the_identity(authored in any_workspace()) {
        let text = export::export(&authored, None).unwrap();
        let into_itself = take(&authored, &text).map_err(|error| {
            TestCaseError::fail(format!("{:#?}\n{text}", error.faults))
        })?;
        prop_assert!(into_itself.writes.is_empty(), "{:?}\n{text}", into_itself.report);
        let elsewhere = take(&workspace(), &text).unwrap().workspace;
        prop_assert_eq!(&elsewhere.projects, &authored.projects);
        prop_assert_eq!(&elsewhere.channels, &authored.channels);
        prop_assert_eq!(&elsewhere.deployments, &authored.deployments);
        for (sid, flow) in authored.flows.iter() {
            let other = &elsewhere.flows[sid];
            prop_assert_eq!(&other.uid, &flow.uid);
            prop_assert_eq!(&other.name, &flow.name);
            for (number, version) in &flow.versions {
                prop_assert_eq!(&other.versions[number].part, &version.part);
                prop_assert_eq!(&other.versions[number].webhooks, &version.webhooks);
                if *number > 0 {
                    prop_assert_eq!(&other.versions[number], version);
                }
            }
        }
        prop_assert_eq!(export::export(&elsewhere, None).unwrap(), text);
    }
}

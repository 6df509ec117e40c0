//! What does the environment of these tests hold?
//!
//! Flows that are all alike inside: block `one` leads by `next` to `two`, which
//! leads by `done` to the end. What differs is who starts, and how they are
//! deployed.

use serde_json::{Value, json};

use crate::snapshot::{
    Revision, Snapshot, compile::compile, parts::Content, sha256_hex, wire::VersionPart,
};

pub(in crate::server) const BLOCKS: &str = "blocks-development-1";
pub(in crate::server) const USERS: &str = "users-development-1";
pub(in crate::server) const SERVER: &str = "server-development-1";
/// Sees nothing but another project.
pub(in crate::server) const ELSEWHERE: &str = "blocks-development-2";

/// Bound to the channel `web`.
pub(in crate::server) const WEB: &str = "blocks-development-web";

/// Sids and versions. `welcome` is for everyone, `pro` goes by a
/// property, `api` takes force only (and none from public keys), `off` is
/// disabled, `sketch` is only a draft, `lead` starts `welcome` on the way from
/// `one` to `two`, as `lure` starts `vip` and `bait` `gated`. The others are
/// deployed.
const FLOWS: [(&str, &[u32]); 15] = [
    ("welcome", &[1]),
    ("pro", &[1]),
    ("api", &[1]),
    ("off", &[1]),
    ("sketch", &[0]),
    ("chat", &[1, 2]),
    ("half", &[1]),
    ("vip", &[1]),
    ("paused", &[1]),
    ("gated", &[1]),
    ("none", &[1]),
    ("picky", &[1]),
    ("lead", &[1]),
    ("lure", &[1]),
    ("bait", &[1]),
];

/// Flow, channel, policy and rollout. Everybody is in on `chat`, nobody on
/// `none`, half of all on `half` and, by their own choice, on `picky`; `vip`
/// has an audience, `paused` is switched off, `gated` is served nowhere else,
/// and an older deployment of `chat` is out of use.
fn deployments() -> Vec<Value> {
    let of = |flow: &str, channel: &str, policy: Value, rollout: Value| {
        json!({"uid": format!("d_{flow}_{}", channel.replace(':', "_")), "name": format!("{flow} on {channel}"),
            "flow_uid": format!("flow_{flow}"), "channel": channel, "policy": policy, "rollout": rollout})
    };
    let share = |basis_points: u16| json!({"basis_points": basis_points, "salt": "s"});
    let vip = json!([{"rules": [{"attribute": "tags", "operator": "contains", "value": "vip"}]}]);
    let mut by_team = share(10_000);
    by_team["id"] = json!("group");
    let mut old = of("chat", "web", json!({"pinned": 1}), share(0));
    old["uid"] = json!("d_chat_web_old");
    old["name"] = json!("chat until spring");
    vec![
        of("chat", "web", json!("latest"), share(10_000)),
        old,
        of("off", "web", json!("latest"), share(10_000)),
        of("chat", "intercom:acme", json!({"pinned": 1}), share(10_000)),
        of("half", "web", json!("latest"), share(5_000)),
        of("none", "web", json!("latest"), share(0)),
        of(
            "vip",
            "web",
            json!("latest"),
            json!({"basis_points": 10_000, "salt": "s", "alternatives": vip}),
        ),
        of("paused", "web", json!("latest"), share(10_000)),
        of("paused", "intercom:quiet", json!("latest"), share(10_000)),
        of("gated", "web", json!("latest"), share(10_000)),
        of("pro", "web", json!("latest"), share(10_000)),
        of("picky", "web", json!("latest"), by_team),
    ]
}

pub(in crate::server) fn snapshot(drafts: bool) -> Snapshot {
    let revision = Revision {
        epoch: 0,
        number: 17,
    };
    snapshot_at(revision, drafts)
}

/// The same under another revision.
pub(super) fn snapshot_at(revision: Revision, drafts: bool) -> Snapshot {
    let mut flows = Vec::new();
    let mut versions = Vec::new();
    for (sid, numbers) in FLOWS {
        let numbers: Vec<u32> = numbers
            .iter()
            .copied()
            .filter(|n| *n > 0 || drafts)
            .collect();
        for number in &numbers {
            let id = format!("{sid}:{number}");
            versions.push((sha256_hex(id.as_bytes()), version(sid, *number)));
        }
        let flow = json!({
            "uid": format!("flow_{sid}"), "sid": sid, "name": sid, "project": "default",
            "enabled": sid != "off", "versions": numbers, "refuse_public_force": sid == "api",
            "deployments_only": sid == "gated",
        });
        flows.push(serde_json::from_value(flow).expect("a flow"));
    }
    let key = |text: &str, kind: &str, project: Option<&str>, channel: Option<&str>| {
        let key = json!({
            "sha256": sha256_hex(text.as_bytes()), "kind": kind, "name": text,
            "projects": project.into_iter().collect::<Vec<_>>(), "channel": channel,
        });
        serde_json::from_value(key).expect("a key")
    };
    let settings = json!({"environment_type": "development", "drafts": drafts, "channels": [
        {"name": "intercom:acme", "exclusive": true},
        {"name": "intercom:quiet", "exclusive": true},
        {"name": "intercom:empty", "exclusive": true},
    ]});
    let mut deployments: Vec<_> = deployments()
        .into_iter()
        .map(|part| serde_json::from_value(part).expect("a deployment"))
        .collect();
    deployments.sort_by(|a: &crate::snapshot::wire::DeploymentPart, b| a.uid.cmp(&b.uid));
    let content = Content {
        settings: serde_json::from_value(settings).expect("settings"),
        flows,
        versions,
        deployments,
        keys: vec![
            key(BLOCKS, "blocks", None, None),
            key(USERS, "users", None, None),
            key(SERVER, "server", None, None),
            key(ELSEWHERE, "blocks", Some("other"), None),
            key(WEB, "blocks", None, Some("web")),
        ],
        flags: Default::default(),
        broken: Vec::new(),
    };
    let control = json!({
        "environment": "development", "environment_uid": "env_1",
        "epoch": 0, "version": 1, "created_ms": 0,
        "inactive_deployments": ["d_paused_web", "d_paused_intercom_quiet", "d_chat_web_old"],
    });
    let control = serde_json::from_value(control).expect("a control document");
    let compiled = compile("development", "env_1", revision, &content, &control);
    let compiled = compiled.expect("it compiles");
    assert_eq!(compiled.set_aside, []);
    compiled
}

/// Only the first version of `chat` has the block `old`.
fn version(sid: &str, number: u32) -> VersionPart {
    let uid = |block: &str| format!("{sid}_{block}");
    let entry = match sid {
        "pro" => json!({"expression": "user.properties.plan = 'pro'"}),
        "api" => json!("api-only"),
        _ => json!("everyone"),
    };
    let mut part = json!({
        "flow_uid": format!("flow_{sid}"), "flow_sid": sid, "number": number, "entry": entry,
        "migration": "carry-over",
        "blocks": [
            {"uid": uid("one"), "sid": "one", "kind": "custom", "transitions": ["next", "skip"],
             "fields": [{"sid": "title", "type": "string", "value": "Hello"}]},
            {"uid": uid("two"), "sid": "two", "kind": "custom", "transitions": ["done"]},
            {"uid": uid("end"), "sid": "end", "kind": "finish"},
        ],
        "paths": [
            {"uid": uid("p0"), "to": uid("one")},
            {"uid": uid("p1"), "from": uid("one"), "on": ["next"], "to": uid("two")},
            {"uid": uid("p2"), "from": uid("two"), "on": ["done"], "to": uid("end")},
        ],
    });
    if (sid, number) == ("chat", 1) {
        let old = json!({"uid": uid("old"), "sid": "old", "kind": "card"});
        part["blocks"].as_array_mut().expect("blocks").push(old);
        let path = json!({"uid": uid("p3"), "from": uid("one"), "on": ["skip"], "to": uid("old")});
        part["paths"].as_array_mut().expect("paths").push(path);
    }
    let moves = match sid {
        "lead" => Some("welcome"),
        "lure" => Some("vip"),
        "bait" => Some("gated"),
        _ => None,
    };
    if let Some(moved) = moves {
        let blocks = part["blocks"].as_array_mut().expect("blocks");
        blocks.push(
            json!({"uid": uid("kick"), "sid": "kick", "kind": "flowTrigger",
            "trigger": {"flow_sid": moved, "action": "start"}}),
        );
        part["paths"][1]["to"] = json!(uid("kick"));
        let on = json!({"uid": uid("p4"), "from": uid("kick"), "on": ["done"], "to": uid("two")});
        part["paths"].as_array_mut().expect("paths").push(on);
    }
    serde_json::from_value(part).expect("a version")
}

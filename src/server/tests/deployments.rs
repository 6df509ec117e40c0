//! What do channels and deployments decide, as a client sees it?
//!
//! Who gets which version, what is remembered of it, and which steps are taken.

use serde_json::{Value, json};

use super::{
    harness::{Harness, Reply},
    installation::{BLOCKS, SERVER, WEB},
};

/// One decision over a channel, with blocks, by the server's key.
pub(super) async fn decision(
    edge: &Harness,
    channel: Option<&str>,
    flow: &str,
    more: Value,
) -> Value {
    let mut ask = json!({
        "subject": {"user": "u1"}, "flows": {flow: null}, "include": ["blocks"],
    });
    if let Some(channel) = channel {
        ask["channel"] = json!(channel);
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        ask[name] = value.clone();
    }
    let reply = edge.post(SERVER, "/v1/evaluate", &ask).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["decisions"][flow].clone()
}

#[tokio::test]
async fn a_request_over_a_channel_is_decided_by_the_deployment_there() {
    let edge = Harness::start();
    let by_tag = decision(&edge, None, "chat", json!({"flows": {"chat": 1}})).await;
    assert_eq!(by_tag["version"], 1);
    assert_eq!(by_tag["version_source"], "tag");
    assert_eq!(by_tag.get("membership"), None);
    let deployed = decision(&edge, Some("web"), "chat", json!({"flows": {"chat": 1}})).await;
    assert_eq!(deployed["version"], 2, "the deployment resolves it");
    assert_eq!(deployed["version_source"], "policy");
    let membership = &deployed["membership"];
    assert_eq!(membership["deployment"], "d_chat_web");
    assert_eq!(membership["name"], "chat on web");
    assert_eq!(membership["in"], true);
    assert_eq!(membership["basis_points"], 10_000);
    assert_eq!(membership["recorded"], true);
    assert!(
        membership["bucket"]
            .as_u64()
            .is_some_and(|bucket| bucket < 10_000)
    );
    // A channel on which it is not deployed decides nothing.
    let elsewhere = decision(&edge, Some("ios"), "chat", json!({"flows": {"chat": 1}})).await;
    assert_eq!(elsewhere["version"], 1);
    // A browser does not read what people call their deployments.
    let ask = json!({"subject": {"user": "u1"}, "channel": "web", "flows": {"chat": 1}});
    let public = edge.post(BLOCKS, "/v1/evaluate", &ask).await.json();
    let public = &public["decisions"]["chat"]["membership"];
    assert_eq!((&public["in"], public.get("name")), (&json!(true), None));
}

#[tokio::test]
async fn an_exclusive_channel_needs_no_flow_by_name() {
    let edge = Harness::start();
    let ask = async |channel: &str| {
        let body = json!({"subject": {"user": "u1"}, "channel": channel});
        edge.post(BLOCKS, "/v1/evaluate", &body).await
    };
    let chat = ask("intercom:acme").await.json();
    assert_eq!(chat["decisions"]["chat"]["version"], 1, "{chat}");
    let quiet = ask("intercom:quiet").await.json();
    assert_eq!(
        quiet["decisions"]["paused"]["reason"], "inactive",
        "{quiet}"
    );
    for channel in ["web", "intercom:empty", "ios"] {
        let refused = ask(channel).await;
        assert_eq!(refused.status, 400, "{channel}");
        let problem = refused.json();
        assert_eq!(problem["found"], "nothing");
        assert!(
            problem["expected"]
                .to_string()
                .contains("exclusive channel")
        );
    }
}

#[tokio::test]
async fn whoever_is_not_let_in_gets_no_content() {
    let edge = Harness::start();
    let cases = [
        ("vip", Some("web"), "audience_mismatch", 1),
        ("none", Some("web"), "percentage", 1),
        ("picky", Some("web"), "no_rollout_id", 1),
        ("paused", Some("web"), "inactive", 1),
        ("gated", None, "deployment_required", 0),
        ("off", None, "disabled", 1),
    ];
    for (flow, channel, reason, version) in cases {
        let decision = decision(&edge, channel, flow, json!({"start": true})).await;
        assert_eq!(decision["served"], false, "{decision}");
        assert_eq!(decision["reason"], reason, "{decision}");
        assert_eq!(decision["version"], version, "{decision}");
        assert_eq!(decision["blocks"], json!([]), "{decision}");
        assert_eq!(decision["state"]["started"], false, "{decision}");
    }
    let none = decision(&edge, Some("web"), "none", json!({})).await;
    let membership = &none["membership"];
    assert_eq!(
        (&membership["in"], &membership["recorded"]),
        (&json!(false), &json!(false))
    );
    let subject = json!({"user": "u1", "attributes": {"tags": ["vip"]}});
    let vip = decision(&edge, Some("web"), "vip", json!({"subject": subject})).await;
    assert_eq!(
        (&vip["served"], &vip["membership"]["in"]),
        (&json!(true), &json!(true))
    );
    let gated = decision(&edge, Some("web"), "gated", json!({})).await;
    assert_eq!(
        (&gated["served"], &gated["version"]),
        (&json!(true), &json!(1))
    );
}

/// A user for whom `half` decides so.
async fn by_half(edge: &Harness, is_in: bool) -> String {
    for number in 0..64 {
        let user = format!("half-{number}");
        let subject = json!({"subject": {"user": user}});
        let decision = decision(edge, Some("web"), "half", subject).await;
        if decision["membership"]["in"] == is_in {
            return user;
        }
    }
    panic!("half of them are in");
}

#[tokio::test]
async fn exclusions_are_recorded_and_stand() {
    let edge = Harness::start();
    let out = by_half(&edge, false).await;
    let subject = json!({"subject": {"user": out}, "start": true});
    let again = decision(&edge, Some("web"), "half", subject).await;
    assert_eq!(again["reason"], "excluded", "a record decides now: {again}");
    assert_eq!(again["membership"]["recorded"], true);
    assert_eq!(again["state"]["started"], false);
    let start = json!({"subject": {"user": out}, "version": 1, "channel": "web", "force": true});
    let start = edge
        .post(SERVER, "/v1/flows/half/start", &start)
        .await
        .json();
    assert_eq!(
        (&start["changed"], &start["reason"]),
        (&json!(false), &json!("excluded"))
    );
    // A new conversation is judged for itself: every one has its own record.
    let subject = json!({"subject": {"user": out, "conversation": "c1"}});
    let judged = decision(&edge, Some("web"), "half", subject).await;
    assert_eq!(judged["reason"], "percentage", "{judged}");
}

#[tokio::test]
async fn whoever_is_in_is_remembered_with_the_start() {
    let edge = Harness::start();
    let user = by_half(&edge, true).await;
    let subject = json!({"subject": {"user": user, "conversation": "c1"}, "start": true});
    let begun = decision(&edge, Some("web"), "half", subject.clone()).await;
    assert_eq!(begun["reason"], "started", "{begun}");
    assert_eq!(begun["membership"]["recorded"], true, "{begun}");
    assert_eq!(begun["blocks"][0]["state"]["active"], true);
    let again = decision(&edge, Some("web"), "half", subject).await;
    assert_eq!(
        (&again["reason"], &again["version_source"]),
        (&json!("started"), &json!("pin"))
    );
}

#[tokio::test]
async fn a_bound_key_speaks_for_its_channel_only() {
    let edge = Harness::start();
    let ask = |channel: Value| json!({"subject": {"user": "u1"}, "flows": {"chat": 1}, "channel": channel});
    for channel in [Value::Null, json!("web")] {
        let body = edge.post(WEB, "/v1/evaluate", &ask(channel)).await.json();
        assert_eq!(body["decisions"]["chat"]["version"], 2, "{body}");
    }
    let step = |channel: &str| json!({"subject": {"user": "u1"}, "version": 1, "channel": channel});
    let mut transition = step("intercom:acme");
    transition["transitions"] = json!(["next"]);
    for (path, body) in [
        ("/v1/evaluate", ask(json!("intercom:acme"))),
        ("/v1/flows/chat/start", step("intercom:acme")),
        ("/v1/blocks/chat_one/transition", transition),
    ] {
        let refused = edge.post(WEB, path, &body).await;
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
        let problem = refused.json();
        assert_eq!(problem["type"], "urn:flowgate:problem:channel");
        assert_eq!(problem["found"], "intercom:acme");
        assert_eq!(problem["expected"], "web");
    }
    let metrics = edge.edge.metrics.encode().expect("it encodes");
    assert!(
        metrics.contains("flowgate_auth_failures_total{why=\"forbidden\"} 3"),
        "{metrics}"
    );
}

fn uids(flow: &Value) -> Vec<&str> {
    let blocks = flow["blocks"].as_array().into_iter().flatten();
    blocks.filter_map(|block| block["uid"].as_str()).collect()
}

#[tokio::test]
async fn dopts_routes_step_in_the_version_of_the_deployment() {
    let edge = Harness::start();
    let read = "/v2/flow/chat?version=1&include=block&userIdentifier=u1";
    let flow = edge.get(WEB, read).await.json();
    assert_eq!(flow["version"], 2, "{flow}");
    assert_eq!(flow["state"]["started"], true);
    assert_eq!(uids(&flow), ["chat_one", "chat_two"]);
    let next = "/v2/block/chat_one/transition?version=1&userIdentifier=u1&transitions=next";
    assert_eq!(
        edge.post(WEB, next, &json!({})).await.stepped(),
        (204, Some("true"))
    );
    let block = edge
        .get(WEB, "/v2/block/chat_two?version=1&userIdentifier=u1")
        .await
        .json();
    assert_eq!(
        (&block["version"], &block["state"]["active"]),
        (&json!(2), &json!(true))
    );
    // A block that only another version has leads nowhere.
    let old = "/v2/block/chat_old/transition?version=1&userIdentifier=u1&transitions=complete";
    assert_eq!(
        edge.post(WEB, old, &json!({})).await.stepped(),
        (204, Some("false"))
    );
    let ours = json!({"subject": {"user": "u1"}, "version": 1, "transitions": ["complete"]});
    let missing = edge
        .post(WEB, "/v1/blocks/chat_old/transition", &ours)
        .await;
    assert_eq!(missing.status, 404, "{missing:?}");
    // Whoever goes by the tag should know the version.
    let misuse = old.replace("version=1", "version=2");
    assert_eq!(edge.post(BLOCKS, &misuse, &json!({})).await.status, 404);
    assert_eq!(
        edge.post(BLOCKS, old, &json!({})).await.stepped(),
        (204, Some("false"))
    );
}

#[tokio::test]
async fn dopts_steps_of_those_who_are_not_let_in_are_successes_without_effect() {
    let edge = Harness::start();
    let step = async |key: &str, path: String| {
        let reply: Reply = edge.post(key, &path, &json!({})).await;
        assert_eq!(reply.stepped(), (204, Some("false")), "{path}");
    };
    for (flow, key) in [
        ("vip", WEB),
        ("none", WEB),
        ("paused", WEB),
        ("gated", BLOCKS),
    ] {
        for intent in ["start", "reset", "stop", "finish"] {
            step(
                key,
                format!("/v2/flow/{flow}/{intent}?version=1&userIdentifier=u1"),
            )
            .await;
        }
        step(
            key,
            format!("/v2/flow/{flow}/start?version=1&userIdentifier=u1&force=true"),
        )
        .await;
        let next =
            format!("/v2/block/{flow}_one/transition?version=1&userIdentifier=u1&transitions=next");
        step(key, next).await;
    }
    let read = async |key: &str, flow: &str| {
        let path = format!("/v2/flow/{flow}?tag=latest&include=block&userIdentifier=u1");
        let flow = edge.get(key, &path).await.json();
        assert_eq!(flow["state"]["started"], false, "{flow}");
        flow
    };
    for flow in ["vip", "none", "paused", "off"] {
        assert_eq!(read(WEB, flow).await["blocks"], json!([]), "{flow}");
        let block = format!("/v2/block/{flow}_one?version=1&userIdentifier=u1");
        assert_eq!(
            edge.get(WEB, &block).await.status,
            404,
            "no content of {flow}"
        );
    }
    let gated = read(BLOCKS, "gated").await;
    assert_eq!(
        (&gated["version"], &gated["blocks"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(read_started(&edge, "gated").await, json!(true));
}

#[tokio::test]
async fn switching_off_shows_content_to_those_who_have_begun() {
    let edge = Harness::start();
    let start = json!({"subject": {"user": "u1"}, "version": 1});
    let start = edge.post(BLOCKS, "/v1/flows/paused/start", &start).await;
    assert_eq!(start.json()["changed"], true, "by the tag: {start:?}");
    let path = "/v2/flow/paused?tag=latest&include=block&userIdentifier=u1";
    let paused = edge.get(WEB, path).await.json();
    assert_eq!(paused["state"]["started"], true, "{paused}");
    assert_eq!(uids(&paused), ["paused_one", "paused_two"]);
    assert_eq!(paused["blocks"][0]["state"]["active"], false, "{paused}");
    let block = "/v2/block/paused_one?version=1&userIdentifier=u1";
    let block = edge.get(WEB, block).await.json();
    assert_eq!(block["state"]["active"], false, "{block}");
    // By the tag a disabled flow is Dopt's: everybody sees it, inactive.
    let path = "/v2/flow/off?tag=latest&include=block&userIdentifier=u2";
    let off = edge.get(BLOCKS, path).await.json();
    assert_eq!(uids(&off), ["off_one", "off_two"]);
    assert_eq!(off["blocks"][0]["state"]["active"], false, "{off}");
}

async fn read_started(edge: &Harness, flow: &str) -> Value {
    let path = format!("/v2/flow/{flow}?tag=latest&userIdentifier=u1");
    edge.get(WEB, &path).await.json()["state"]["started"].clone()
}

#[tokio::test]
async fn a_step_that_changes_nothing_says_why() {
    let edge = Harness::start();
    let step = async |flow: &str, intent: &str, channel: &str, force: bool| {
        let mut body = json!({"subject": {"user": "u1"}, "version": 1, "channel": channel});
        if force {
            body["force"] = json!(true);
        }
        let path = format!("/v1/flows/{flow}/{intent}");
        let reply = edge.post(SERVER, &path, &body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let body = reply.json();
        (
            body["changed"] == true,
            body["reason"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let no = |reason: &str| (false, reason.to_owned());
    let yes = (true, String::new());
    assert_eq!(
        step("pro", "start", "web", false).await,
        no("entry_condition")
    );
    assert_eq!(
        step("pro", "stop", "web", false).await,
        no("entry_condition")
    );
    assert_eq!(step("pro", "start", "web", true).await, yes);
    assert_eq!(step("pro", "start", "web", true).await, no("started"));
    assert_eq!(
        step("vip", "start", "web", true).await,
        no("audience_mismatch")
    );
    assert_eq!(step("none", "start", "web", true).await, no("percentage"));
    assert_eq!(step("paused", "reset", "web", true).await, no("inactive"));
    assert_eq!(
        step("gated", "start", "ios", true).await,
        no("deployment_required")
    );
    assert_eq!(step("off", "start", "web", true).await, no("disabled"));
    assert_eq!(step("pro", "finish", "web", false).await, yes);
}

#[tokio::test]
async fn a_conversation_keeps_the_version_it_began() {
    let edge = Harness::start();
    let talk = |conversation: &str| json!({"subject": {"user": "u1", "conversation": conversation}, "start": true});
    let begun = decision(&edge, Some("intercom:acme"), "chat", talk("c1")).await;
    assert_eq!(
        (&begun["version"], &begun["reason"]),
        (&json!(1), &json!("started"))
    );
    let pinned = decision(&edge, Some("web"), "chat", talk("c1")).await;
    assert_eq!(
        (&pinned["version"], &pinned["version_source"]),
        (&json!(1), &json!("pin"))
    );
    let step = json!({"subject": {"user": "u1", "conversation": "c1"}, "channel": "web",
        "version": "latest", "transitions": ["skip"]});
    let step = edge
        .post(SERVER, "/v1/blocks/chat_one/transition", &step)
        .await
        .json();
    assert_eq!(step["flow"]["version"], 1, "{step}");
    assert_eq!(step["blocks"][1]["uid"], "chat_old", "{step}");
    let fresh = decision(&edge, Some("web"), "chat", talk("c2")).await;
    assert_eq!(
        (&fresh["version"], &fresh["version_source"]),
        (&json!(2), &json!("policy"))
    );
}

#[tokio::test]
async fn a_newer_version_carries_over_what_was_begun() {
    let edge = Harness::start();
    let start = json!({"subject": {"user": "u1"}, "version": 1});
    let next = json!({"subject": {"user": "u1"}, "version": 1, "transitions": ["next"]});
    edge.post(BLOCKS, "/v1/flows/chat/start", &start).await;
    edge.post(BLOCKS, "/v1/blocks/chat_one/transition", &next)
        .await;
    let made = decision(&edge, None, "chat", json!({})).await;
    assert_eq!(
        (&made["version"], &made["version_source"]),
        (&json!(2), &json!("migration"))
    );
    assert_eq!(made["reason"], "started");
    assert_eq!(made["blocks"][1]["state"]["active"], true, "{made}");
    let kept = decision(&edge, None, "chat", json!({})).await;
    assert_eq!(kept["version_source"], "tag", "it is stored: {kept}");
    assert_eq!(kept["blocks"], made["blocks"]);
}

#[tokio::test]
async fn a_receipt_is_given_for_the_deployment_that_decides() {
    let edge = Harness::start();
    let explain = async |deployment: &str| {
        let ask = json!({"subject": {"user": "u1"}, "deployment": deployment});
        edge.post(SERVER, "/v1/explain", &ask).await
    };
    for old in ["chat until spring", "d_chat_web_old"] {
        let refused = explain(old).await;
        assert_eq!(refused.status, 409, "{refused:?}");
        let problem = refused.json();
        assert_eq!(
            problem["type"],
            "urn:flowgate:problem:deployment-not-in-force"
        );
        assert_eq!(problem["found"], "chat until spring (d_chat_web_old)");
        assert_eq!(problem["expected"], "chat on web (d_chat_web)");
    }
    // Being switched off is an answer where nothing else decides.
    for (deployment, reason) in [("chat on web", "percentage"), ("d_paused_web", "inactive")] {
        let told = explain(deployment).await;
        assert_eq!(told.status, 200, "{told:?}");
        let told = told.json().to_string();
        assert!(told.contains(&format!("\"{reason}\"")), "{told}");
    }
}

//! What does `/v1/evaluate` decide, and on what?

use serde_json::{Value, json};

use super::{Desk, check_token, uid_in};
use crate::harness::{Site, body_of, check_problem, eventually};

const UNSTARTED: &str = r#"{"finished":false,"started":false,"stopped":false}"#;

#[test]
fn several_flows_are_decided_at_one_revision() {
    let desk = Desk::open();
    let body = json!({"subject": {"user": "ada"}, "include": ["blocks"], "flows": {
        "plain": "latest", "guarded": 1, "off": 1, "welcome-modal": "latest",
        "nothing": "latest", "for-teams": 9, "onboarding-tour": null}});
    let answer = desk.server.post("/v1/evaluate", &body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let revision = answer.header("flowgate-revision").to_owned();
    let answer = body_of(&answer, 200);
    assert_eq!(answer["revision"], revision.as_str());
    let decisions = &answer["decisions"];
    assert_eq!(decisions.as_object().map(serde_json::Map::len), Some(7));
    for (flow, served, reason, version) in [
        ("plain", true, "entry_condition", json!(2)),
        ("guarded", false, "entry_condition", json!(1)),
        ("off", false, "disabled", json!(1)),
        ("welcome-modal", false, "empty_version", json!(0)),
        ("nothing", false, "unknown_flow", json!(null)),
        ("for-teams", false, "unknown_version", json!(null)),
        ("onboarding-tour", true, "entry_condition", json!(1)),
    ] {
        let decision = &decisions[flow];
        assert_eq!(decision["served"], served, "{flow}: {decision}");
        assert_eq!(decision["reason"], reason, "{flow}: {decision}");
        assert_eq!(decision["version"], version, "{flow}: {decision}");
        if version.is_null() {
            assert!(decision["state"].is_null(), "{flow}: {decision}");
        } else {
            assert_eq!(decision["version_source"], "tag", "{flow}: {decision}");
            assert_eq!(decision["state"].to_string(), UNSTARTED, "{flow}");
            assert!(decision["blocks"].is_array(), "{flow}: {decision}");
        }
    }
    // Nothing was started, however often it is asked.
    let again = body_of(&desk.server.post("/v1/evaluate", &body), 200);
    assert_eq!(again["decisions"], *decisions);
    assert!(again["token"].is_null(), "{again}");
}

#[test]
fn start_true_starts_what_qualifies() {
    let desk = Desk::open();
    let body = json!({"subject": {"user": "ada"}, "start": true, "include": ["blocks"],
        "flows": {"plain": 1, "guarded": 1, "off": 1}});
    let answer = body_of(&desk.server.post("/v1/evaluate", &body), 200);
    check_token(&answer);
    let plain = &answer["decisions"]["plain"];
    assert_eq!(plain["reason"], "started", "{plain}");
    assert_eq!(plain["state"]["started"], true, "{plain}");
    let first = plain["blocks"].as_array().and_then(|list| list.first());
    assert_eq!(first.expect("a block")["state"]["active"], true);
    for flow in ["guarded", "off"] {
        assert_eq!(answer["decisions"][flow]["state"]["started"], false);
    }
    let later = desk.decision("plain", json!({"subject": {"user": "ada"}}));
    assert_eq!(later["reason"], "started", "{later}");
    assert!(later["blocks"].is_null(), "only on request: {later}");
}

/// Whether the decision lets the subject in.
fn served(desk: &Desk, subject: &Value) -> bool {
    let decision = desk.decision("for-teams", json!({"subject": subject}));
    decision["served"] == true
}

#[test]
fn expressions_see_user_and_group_and_identify_at_once() {
    let desk = Desk::open();
    let ada = json!({"user": "ada", "group": "acme"});
    assert!(!served(&desk, &ada));
    desk.identify(
        &json!({"identifier": "ada", "properties": {"tags": ["vip", "beta"]},
        "groups": [{"identifier": "acme", "properties": {"seats": 5}}]}),
    );
    assert!(served(&desk, &ada), "visible at once");
    assert!(!served(&desk, &json!({"user": "ada"})), "no group, no seat");
    assert!(!served(&desk, &json!({"user": "bea", "group": "acme"})));
    // A group's properties hold for every member, and are merged.
    desk.identify(
        &json!({"identifier": "bea", "properties": {"tags": ["vip"]},
        "groups": [{"identifier": "acme", "properties": {"city": "Malmö"}}]}),
    );
    assert!(served(&desk, &json!({"user": "bea", "group": "acme"})));
    desk.identify(&json!({"identifier": "bea",
        "groups": [{"identifier": "acme", "properties": {"seats": 4}}]}));
    assert!(!served(&desk, &ada), "the group shrank for everybody");
}

#[test]
fn attributes_lie_over_stored_properties_and_come_from_servers_only() {
    let desk = Desk::open();
    desk.identify(&json!({"identifier": "ada", "properties": {"tags": []},
        "groups": [{"identifier": "acme", "properties": {"seats": 9}}]}));
    let with = json!({"user": "ada", "group": "acme", "attributes": {"tags": ["vip"]}});
    let without = json!({"user": "ada", "group": "acme"});
    assert!(!served(&desk, &without));
    assert!(served(&desk, &with));
    assert!(!served(&desk, &without), "nothing of them is stored");
    let body = json!({"subject": with, "flows": {"for-teams": 1}});
    let refused = desk.blocks.post("/v1/evaluate", &body);
    check_problem(&refused, 403, "attributes");
    // A branch sees them as well.
    let with = json!({"user": "ada", "group": "acme",
        "attributes": {"tags": ["vip"], "budget": 5000}});
    let body = json!({"subject": with, "version": 1});
    let started = body_of(&desk.server.post("/v1/flows/for-teams/start", &body), 200);
    assert_eq!(started["changed"], true, "{started}");
    let uid = uid_in(&started["blocks"], "for-teams", "greet");
    let body = json!({"subject": with, "version": 1, "transitions": ["next"]});
    let path = format!("/v1/blocks/{uid}/transition");
    let stepped = body_of(&desk.server.post(&path, &body), 200);
    uid_in(&stepped["blocks"], "for-teams", "rich");
    assert_eq!(stepped["blocks"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_conversation_has_its_own_progress() {
    let desk = Desk::open();
    let subject = json!({"user": "ada", "conversation": "c-1"});
    let body = json!({"subject": subject, "version": 1});
    let answer = desk.server.post("/v1/flows/plain/start", &body);
    assert_eq!(body_of(&answer, 200)["changed"], true);
    let reason =
        |subject: Value| desk.decision("plain", json!({"subject": subject}))["reason"].clone();
    assert_eq!(reason(subject), "started");
    assert_eq!(reason(json!({"user": "ada"})), "entry_condition");
    let other = json!({"user": "ada", "conversation": "c-2"});
    assert_eq!(reason(other), "entry_condition");
}

#[test]
fn answers_say_when_they_are_stale() {
    // Fresh for two seconds only; a store that is gone signs no further.
    let mut site = Site::start_fresh_for("2");
    let server = site.edge.client("server");
    let body = json!({"subject": {"user": "ada"}, "flows": {"announcement": 1}});
    site.store.program.kill();
    eventually("the answers are stale", || {
        let answer = server.post("/v1/evaluate", &body);
        let flag = answer.header("flowgate-stale").to_owned();
        let json = body_of(&answer, 200);
        // An unknown subject is assumed new, which is marked from the start.
        assert_eq!(json["decisions"]["announcement"]["served"], true);
        (flag == "true").then(|| assert_eq!(json["stale"], true, "{json}"))
    });
    assert_eq!(site.edge.admin().get("/ready").status, 200, "it serves on");
    site.store.restart();
    eventually("the answers are fresh again", || {
        let answer = server.post("/v1/evaluate", &body);
        answer.header("flowgate-stale").is_empty().then_some(())
    });
}

//! What do reads of flows and blocks answer?

use serde_json::json;

use super::{Shop, block_of, look, project, uid_of};
use crate::harness::{body_of, check_dopt_error, check_flow};

#[test]
fn a_flow_is_read_with_and_without_its_blocks() {
    let shop = Shop::open();
    let answer = shop.get("/v2/flow/checkout?version=1&userIdentifier=ada");
    check_flow(&body_of(&answer, 200), false);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("flowgate-revision").starts_with("0."));
    let age: Result<u64, _> = answer.header("flowgate-snapshot-age").parse();
    assert!(age.is_ok(), "{:?}", answer.headers);
    assert_eq!(answer.header("flowgate-stale"), "");

    let flow = shop.flow("checkout", "version=1", "ada");
    assert_eq!(
        flow["state"],
        json!({"started": true, "stopped": false, "finished": false})
    );
    let blocks = flow["blocks"].as_array().expect("blocks");
    assert_eq!(blocks.len(), 4, "no logic block is shown: {flow}");
    let pick = block_of(&flow, "pick");
    assert_eq!(pick["type"], "custom");
    assert_eq!(look(pick), "ae");
    assert_eq!(
        pick["transitioned"],
        json!({"left": false, "right": false, "onward": false})
    );
    let fields = pick["fields"].as_array().expect("fields");
    let field = |sid: &str| fields.iter().find(|field| field["sid"] == sid);
    for (sid, kind, value) in [
        ("title", "string", json!("Pick a side")),
        ("price", "number", json!(9.5)),
        ("hot", "boolean", json!(true)),
        ("unset", "string", json!(null)),
        (
            "body",
            "richText",
            json!([{"type": "paragraph", "children": [{"text": "Hello", "bold": true}]}]),
        ),
    ] {
        let field = field(sid).unwrap_or_else(|| panic!("no field {sid}"));
        assert_eq!((&field["type"], &field["value"]), (&json!(kind), &value));
    }
    let card = block_of(&flow, "left-card");
    assert_eq!(
        card["transitioned"],
        json!({"complete": false, "dismiss": false})
    );
    // A validator changes nothing: clients expect a body.
    let again = shop.blocks.send(
        reqwest::Method::GET,
        "/v2/flow/checkout?version=1&userIdentifier=ada",
        &[("if-none-match", "*")],
        None,
    );
    assert_eq!(again.expect("an answer").status, 200);
}

#[test]
fn items_of_a_tour_know_their_container() {
    let shop = Shop::open();
    let flow = shop.flow("onboarding-tour", "version=1", "ada");
    let tour = block_of(&flow, "welcome-tour");
    assert_eq!(tour["type"], "tour");
    let item = block_of(&flow, "add-task");
    assert_eq!(item["type"], "tourItem");
    assert_eq!(item["containerUid"], tour["uid"]);
    assert_eq!(
        item["transitioned"],
        json!({"next": false, "previous": false})
    );
}

#[test]
fn versions_and_tags_resolve_to_numbers() {
    let shop = Shop::open();
    for (asked, number) in [
        ("version=1", 1),
        ("version=1.0", 1),
        ("version=2", 2),
        ("version=0", 0),
        ("tag=uncommitted", 0),
        ("tag=latest", 2),
        // What older clients send.
        ("version=latest", 2),
        ("version=uncommitted", 0),
    ] {
        let flow = shop.flow("checkout", asked, "ada");
        assert_eq!(flow["version"], number, "{asked}");
    }
    for asked in [
        "",
        "version=-1",
        "version=NaN",
        "version=1.5",
        "version=",
        "version=1e0",
        "version=%2B1",
        "version=4294967296",
        "tag=newest",
        "version=1&tag=latest",
        "version=1&version=2",
    ] {
        let path = format!("/v2/flow/checkout?userIdentifier=ada&{asked}");
        check_dopt_error(&shop.get(&path), 400, "invalid_request_error");
    }
    let path = "/v2/flow/checkout?userIdentifier=ada&version=3";
    let details = check_dopt_error(&shop.get(path), 404, "not_found_error");
    assert!(
        details.contains("checkout") && details.contains('3'),
        "{details}"
    );
}

#[test]
fn reading_a_block_starts_nothing() {
    let shop = Shop::open();
    let flow = shop.flow("checkout", "version=1", "somebody");
    let uid = uid_of(&flow, "pick");
    assert_eq!(look(&shop.block(&uid, "quiet")), "");
    assert_eq!(look(&shop.block(&uid, "quiet")), "", "still not started");
    assert_eq!(look(&shop.block(&uid, "somebody")), "ae");
    for version in ["version=1.0", "tag=uncommitted"] {
        let path = format!("/v2/block/{uid}?{version}&userIdentifier=quiet");
        assert_eq!(shop.get(&path).status, 200, "{version}");
    }
    let path = format!("/v2/block/{uid}?userIdentifier=quiet");
    check_dopt_error(&shop.get(&path), 400, "invalid_request_error");
    // The block is not in version 2, and logic is in none.
    let path = format!("/v2/block/{uid}?version=2&userIdentifier=quiet");
    let details = check_dopt_error(&shop.get(&path), 404, "not_found_error");
    assert!(details.contains("version 2"), "{details}");
    let path = "/v2/block/nothing?version=1&userIdentifier=quiet";
    check_dopt_error(&shop.get(path), 404, "not_found_error");
}

#[test]
fn every_version_has_its_own_state() {
    let shop = Shop::open();
    let flow = shop.flow("checkout", "version=1", "ada");
    assert!(shop.transition(&uid_of(&flow, "pick"), "transitions=left", "ada"));
    let other = shop.flow("checkout", "version=2", "ada");
    assert_eq!(look(block_of(&other, "alone")), "ae");
    let draft = shop.flow("checkout", "version=0", "ada");
    assert_eq!(look(block_of(&draft, "pick")), "ae");
    let flow = shop.flow("checkout", "version=1", "ada");
    assert_eq!(look(block_of(&flow, "pick")), "ex");
}

#[test]
fn entry_conditions_are_judged_at_every_read() {
    let shop = Shop::open();
    let users = shop.dev.edge("users");
    let started = |sid: &str, query: &str| {
        let path = format!("/v2/flow/{sid}?version=1&{query}");
        body_of(&shop.get(&path), 200)["state"]["started"].clone()
    };
    assert_eq!(started("paying", "userIdentifier=ada"), false);
    assert_eq!(started("manual", "userIdentifier=ada"), false);
    let body = json!({"identifier": "ada", "properties": {"plan": "pro"},
        "groups": [{"identifier": "acme", "properties": {"tier": "gold"}}]});
    assert_eq!(users.post("/identify", &body).status, 204);
    assert_eq!(started("paying", "userIdentifier=ada"), true);
    // Without its group a request knows nothing of it.
    assert_eq!(started("golden", "userIdentifier=ada"), false);
    assert_eq!(
        started("golden", "userIdentifier=ada&groupIdentifier="),
        false
    );
    assert_eq!(
        started("golden", "userIdentifier=ada&groupIdentifier=acme"),
        true
    );
    // The group affects targeting only, and who has started stays.
    assert_eq!(started("golden", "userIdentifier=ada"), true);
    let body = json!({"identifier": "ada", "properties": {"plan": "free"}});
    assert_eq!(users.post("/identify", &body).status, 204);
    assert_eq!(started("paying", "userIdentifier=ada"), true);
    assert_eq!(started("paying", "userIdentifier=bea"), false);
}

#[test]
fn a_disabled_flow_stands_still_and_comes_back() {
    let shop = Shop::open();
    let flow = shop.flow("switchable", "version=1", "ada");
    let uid = uid_of(&flow, "hello");
    shop.dev.import(&project("disabled"));
    let flow = shop.flow("switchable", "version=1", "ada");
    assert_eq!(flow["state"]["started"], true, "stored state is shown");
    assert_eq!(look(block_of(&flow, "hello")), "e", "and nothing is active");
    let fresh = shop.flow("switchable", "version=1", "bea");
    assert_eq!(fresh["state"]["started"], false, "nobody starts");
    for intent in ["start", "reset", "stop", "finish"] {
        let query = "version=1&userIdentifier=ada";
        assert!(!shop.intent("switchable", intent, query), "{intent}");
    }
    assert!(!shop.transition(&uid, "transitions=complete", "ada"));
    // Unknown things stay errors.
    let path = "/v2/flow/switchable?version=7&userIdentifier=ada";
    check_dopt_error(&shop.get(path), 404, "not_found_error");
    shop.dev.import(&project("enabled"));
    let flow = shop.flow("switchable", "version=1", "ada");
    assert_eq!(look(block_of(&flow, "hello")), "ae", "as it was");
    assert!(shop.transition(&uid, "transitions=complete", "ada"));
}

//! What does the users API take, what does it answer, and what comes of it?

use serde_json::{Map, Value, json};

use super::Shop;
use crate::harness::{body_of, check_dopt_error, eventually, raw};

/// The user's document at the store, once it is there.
fn stored(shop: &Shop, user: &str, done: impl Fn(&Value) -> bool) -> Value {
    let store = shop.dev.store();
    let path = format!("/admin/v1/users/{user}?environment=development");
    eventually("the ledger has the user", || {
        let document = body_of(&store.get(&path), 200);
        done(&document).then_some(document)
    })
}

#[test]
fn identify_is_empty_and_merges_by_property() {
    let shop = Shop::open();
    let url = shop.dev.program.text("edge_url");
    let key = shop.dev.key("development", "users");
    let send = |body: &Value| {
        let body = body.to_string();
        let length = body.len().to_string();
        let headers = [
            ("x-api-key", key.as_str()),
            ("content-length", &length),
            ("content-type", "application/json"),
        ];
        let answer = raw(&url, "POST /identify", &headers, body.as_bytes());
        assert_eq!(answer.status, 204, "{answer:?}");
        assert!(answer.body.is_empty(), "{answer:?}");
        assert!(answer.header("content-type").is_none(), "{answer:?}");
    };
    send(
        &json!({"identifier": "ada", "properties": {"plan": "pro", "seats": 3, "nested": {"a": [1]}},
        "groups": [{"identifier": "acme", "properties": {"tier": "gold"}}, {"identifier": "ops"}],
        "unknown": "clients of other generations add members"}),
    );
    send(&json!({"identifier": "ada", "properties": {"seats": 4, "plan": null}}));
    send(&json!({"identifier": "ada"}));
    let document = stored(&shop, "ada", |document| document["doc_rev"] == 3);
    assert_eq!(
        document["properties"],
        json!({"seats": 4, "nested": {"a": [1]}})
    );
    assert_eq!(document["groups"], json!(["acme", "ops"]));
}

#[test]
fn a_malformed_identify_is_refused_and_stores_nothing() {
    let shop = Shop::open();
    let users = shop.dev.edge("users");
    let deep = (0..20).fold(json!(1), |inner, _| json!({"d": inner}));
    let many: Map<String, Value> = (0..300).map(|n| (format!("p{n}"), json!(n))).collect();
    for body in [
        json!({}),
        json!([]),
        json!("ada"),
        json!({"identifier": 7}),
        json!({"identifier": ""}),
        json!({"identifier": "x".repeat(513)}),
        json!({"identifier": "ada", "properties": [1]}),
        json!({"identifier": "ada", "properties": {"deep": deep}}),
        json!({"identifier": "ada", "properties": {"long": "x".repeat(5000)}}),
        json!({"identifier": "ada", "properties": {"array": vec![1; 300]}}),
        json!({"identifier": "ada", "properties": many}),
        json!({"identifier": "ada", "groups": [{"properties": {}}]}),
        json!({"identifier": "ada", "groups": {"identifier": "acme"}}),
    ] {
        let answer = users.post("/identify", &body);
        check_dopt_error(&answer, 400, "invalid_request_error");
    }
    for text in [
        "",
        "{",
        "identifier=ada",
        "{\"identifier\":\"ada\"} x",
        "{\"identifier\":\"a\",\"identifier\":\"b\"}",
    ] {
        let sent = users.send(
            reqwest::Method::POST,
            "/identify",
            &[],
            Some(text.to_owned()),
        );
        check_dopt_error(&sent.expect("an answer"), 400, "invalid_request_error");
    }
    // A later write of the same user shows that nothing came before it.
    let body = json!({"identifier": "ada", "properties": {"last": true}});
    assert_eq!(users.post("/identify", &body).status, 204);
    let document = stored(&shop, "ada", |document| document["doc_rev"] != 0);
    assert_eq!(document["doc_rev"], 1, "{document}");
    assert_eq!(document["properties"], json!({"last": true}));
}

/// The group's line in an export, once it is there.
fn stored_group(shop: &Shop, group: &str, done: impl Fn(&Value) -> bool) -> Value {
    let store = shop.dev.store();
    let path = "/admin/v1/environments/development/users?kind=groups";
    eventually("the ledger has the group", || {
        let page = body_of(&store.get(path), 200);
        let mut lines = page["lines"].as_array()?.iter();
        let line = lines.find(|line| line["group"] == group && done(line));
        line.cloned()
    })
}

#[test]
fn every_form_reaches_the_ledger() {
    let shop = Shop::open();
    let users = shop.dev.edge("users");
    let batch = json!([
        {"identifier": "ada", "properties": {"plan": "pro", "old": 1}},
        {"identifier": "é+ /ü", "properties": {"n": 1}, "groups": [{"identifier": "acme", "properties": {"tier": "gold"}}]},
        {"identifier": "ada", "properties": {"old": null, "last": true}},
    ]);
    let count = |answer| body_of(&answer, 200)["count"].clone();
    assert_eq!(count(users.post("/identify/batch", &batch)), 3);
    let bulk = json!([{"__dopt_identifier": "bob", "plan": "free"}, {"identifier": "cid"}]);
    assert_eq!(count(users.post("/identify/bulk", &bulk)), 2);
    let group = json!({"identifier": "alone", "properties": {"tier": "gold", "gone": null}});
    assert_eq!(users.post("/identify/group", &group).status, 204);
    let answer = users.post("/identify/d%2Fe", &json!({"plan": "pro"}));
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    let message =
        json!({"type": "group", "userId": "eve", "groupId": "acme", "traits": {"seats": 3}});
    assert_eq!(count(users.post("/identify/segment", &message)), 1);

    let ada = stored(&shop, "ada", |document| document["doc_rev"] == 2);
    assert_eq!(ada["properties"], json!({"plan": "pro", "last": true}));
    let odd = stored(&shop, "%C3%A9%2B%20%2F%C3%BC", |document| {
        document["doc_rev"] == 1
    });
    assert_eq!(odd["groups"], json!(["acme"]));
    for (user, properties) in [
        ("bob", json!({"plan": "free"})),
        ("cid", json!({})),
        ("d%2Fe", json!({"plan": "pro"})),
        ("eve", json!({})),
    ] {
        let document = stored(&shop, user, |document| document["doc_rev"] == 1);
        assert_eq!(document["properties"], properties, "{user}");
    }
    let acme = stored_group(&shop, "acme", |line| line["properties"]["seats"] == 3);
    assert_eq!(acme["properties"], json!({"tier": "gold", "seats": 3}));
    let alone = stored_group(&shop, "alone", |_| true);
    assert_eq!(alone["properties"], json!({"tier": "gold"}));
    let nobody = body_of(
        &shop
            .dev
            .store()
            .get("/admin/v1/environments/development/users"),
        200,
    );
    let lines = nobody["lines"].as_array().expect("lines");
    assert!(lines.iter().all(|line| line["user"] != ""), "{nobody}");
    // What was said of the group decides at once who may start.
    let path = "/v2/flow/golden?tag=latest&userIdentifier=zoe&groupIdentifier=alone";
    assert_eq!(body_of(&shop.get(path), 200)["state"]["started"], true);
}

#[test]
fn a_batch_with_one_bad_item_leaves_nothing_behind() {
    let shop = Shop::open();
    let users = shop.dev.edge("users");
    let batch = json!([{"identifier": "ada"}, {"identifier": "bob", "properties": "x"}]);
    let said = check_dopt_error(
        &users.post("/identify/batch", &batch),
        400,
        "invalid_request_error",
    );
    assert!(said.contains("item 1 "), "{said}");
    let many: Value = (0..101)
        .map(|n| json!({"identifier": format!("u{n}")}))
        .collect();
    let said = check_dopt_error(
        &users.post("/identify/batch", &many),
        400,
        "invalid_request_error",
    );
    assert!(said.contains("at most 100"), "{said}");
    assert_eq!(
        users
            .post("/identify", &json!({"identifier": "ada"}))
            .status,
        204
    );
    stored(&shop, "ada", |document| document["doc_rev"] == 1);
    assert_eq!(stored(&shop, "bob", |_| true)["doc_rev"], 0);
}

/// Whoever asks for a flow was never announced: Dopt's clients go on when
/// identify fails.
#[test]
fn a_user_nobody_has_identified_is_made_by_the_first_flow_that_starts() {
    let shop = Shop::open();
    shop.flow("checkout", "version=1", "new");
    let document = stored(&shop, "new", |document| document["doc_rev"] != 0);
    assert!(document["created_ms"].is_u64(), "{document}");
    assert_eq!(document["flows"].as_array().map(Vec::len), Some(1));
    // A look that starts nothing makes nobody.
    let path = "/v2/flow/paying?tag=latest&userIdentifier=visitor";
    assert_eq!(body_of(&shop.get(path), 200)["state"]["started"], false);
    let answer = shop
        .dev
        .edge("users")
        .post("/identify", &json!({"identifier": "after"}));
    assert_eq!(answer.status, 204);
    stored(&shop, "after", |document| document["doc_rev"] == 1);
    assert_eq!(stored(&shop, "visitor", |_| true)["doc_rev"], 0);
}

/// The edge has the user in memory, and hears of it.
#[test]
fn an_import_of_users_is_heard_of_by_edges() {
    let shop = Shop::open();
    let starts = |path: &str| body_of(&shop.get(path), 200)["state"]["started"] == true;
    let own = "/v2/flow/paying?tag=latest&userIdentifier=ada";
    let by_group = "/v2/flow/golden?tag=latest&userIdentifier=ada&groupIdentifier=acme";
    assert!(!starts(own) && !starts(by_group));
    let lines = json!({"lines": [
        {"user": "ada", "properties": {"plan": "pro"}},
        {"group": "acme", "properties": {"tier": "gold"}},
    ]});
    let path = "/admin/v1/environments/development/users";
    let answer = body_of(&shop.dev.store().post(path, &lines), 200);
    assert_eq!(answer["users"]["created"], 1, "{answer}");
    eventually("the edge has heard of the user", || {
        starts(own).then_some(())
    });
    eventually("and of the group", || starts(by_group).then_some(()));
}

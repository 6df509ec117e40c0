//! What does `POST /identify` take, and what does it answer?

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

#[test]
fn forms_that_are_not_built_yet_are_refused_as_json() {
    let shop = Shop::open();
    let users = shop.dev.edge("users");
    for path in ["/identify/batch", "/identify/group", "/identify/ada"] {
        let answer = users.post(path, &json!({}));
        check_dopt_error(&answer, 404, "not_found_error");
    }
}

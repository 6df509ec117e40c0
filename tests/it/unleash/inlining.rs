//! What do clients get that know no segments, and which token opens what?

use reqwest::Method;
use serde_json::{Value, json};

use super::offline::Offline;
use crate::harness::body_of;

const ALL: &str = "*:development.a-secret-of-the-story";
const BACKEND: &str = "*:development.a-backends-secret";
const FRONTEND: &str = "*:development.a-frontends-secret";
const OTHER: &str = "shop:development.another-frontends-secret";

fn document() -> String {
    let constraint = json!({"contextName": "plan", "operator": "IN", "values": ["pro"]});
    json!({"version": 2, "features": [
        {"name": "cart", "project": "shop", "enabled": true,
         "strategies": [{"name": "default", "segments": [1]}]},
        {"name": "chat", "project": "desk", "enabled": true, "strategies": [{"name": "default"}]},
    ], "segments": [{"id": 1, "constraints": [constraint]}]})
    .to_string()
}

#[test]
fn clients_that_know_no_segments_get_their_constraints() {
    let edge = Offline::start(&document(), &[ALL]);
    let path = "/api/client/features";
    let ask = |path: &str, spec: &str| {
        let headers = [("unleash-client-spec", spec)];
        let headers = if spec.is_empty() { &[][..] } else { &headers };
        edge.ask(Method::GET, path, headers)
    };
    let with = ask(path, "4.2.0");
    let body = body_of(&with, 200);
    assert_eq!(body["features"][0]["strategies"][0]["segments"], json!([1]));
    assert_eq!(body["segments"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["query"]["inlineSegmentConstraints"], false);
    for spec in ["", "4.1.9"] {
        let without = ask(path, spec);
        let body = body_of(&without, 200);
        let strategy = &body["features"][0]["strategies"][0];
        assert_eq!(
            strategy["constraints"][0]["values"],
            json!(["pro"]),
            "{spec}"
        );
        assert_eq!(strategy["segments"], Value::Null, "{spec}");
        assert_eq!(body["segments"], json!([]));
        assert_eq!(body["query"]["inlineSegmentConstraints"], true);
        assert_ne!(without.header("etag"), with.header("etag"));
        assert_eq!(
            without.header("vary"),
            "accept-encoding, unleash-client-spec"
        );
        let one = body_of(&ask("/api/client/features/cart", spec), 200);
        assert_eq!(one, body["features"][0]);
    }
    // What one kind of client has is not what the other kind would get.
    let headers = [("if-none-match", with.header("etag"))];
    assert_eq!(edge.ask(Method::GET, path, &headers).status, 200);
    let headers = [headers[0], ("unleash-client-spec", "5.0.0")];
    assert_eq!(edge.ask(Method::GET, path, &headers).status, 304);
}

#[test]
fn tokens_of_one_kind_open_what_this_kind_asks_for() {
    let both = format!("{FRONTEND},{OTHER}");
    let flags = [
        "--client-token",
        BACKEND,
        "--frontend-tokens",
        &both,
        // Said twice, it is of both kinds.
        "--client-tokens",
        OTHER,
    ];
    let edge = Offline::start_with(&document(), &[ALL], &flags);
    for (token, frontend, client) in [
        (ALL, 200, 200),
        (BACKEND, 403, 200),
        (FRONTEND, 200, 403),
        (OTHER, 200, 200),
    ] {
        let with = edge.with(token);
        assert_eq!(with.get("/api/frontend").status, frontend, "{token}");
        for path in ["/api/client/features", "/api/client/delta"] {
            assert_eq!(with.get(path).status, client, "{token} {path}");
        }
    }
    let body = json!({"tokens": [BACKEND, FRONTEND]});
    let answer = body_of(&edge.with("").post("/edge/validate", &body), 200);
    let kinds: Vec<&Value> = answer["tokens"]
        .as_array()
        .expect("tokens")
        .iter()
        .map(|token| &token["type"])
        .collect();
    assert_eq!(kinds, ["client", "frontend"]);
}

//! What is refused, and is every refusal JSON that a client can read?

use reqwest::Method;

use super::Shop;
use crate::harness::{Answer, Client, RawAnswer, check_dopt_error, raw};

const FLOW: &str = "/v2/flow/checkout?version=1&userIdentifier=ada";

#[test]
fn keys_are_asked_for_and_told_apart() {
    let shop = Shop::open();
    let url = shop.dev.program.text("edge_url");
    let with = |key: &str| Client::new(&url, key).get(FLOW);
    check_dopt_error(&with(""), 401, "unauthorized_error");
    for key in [
        "blocks-development-unknown",
        "x",
        &shop.dev.program.text("admin_key"),
    ] {
        check_dopt_error(&with(key), 401, "unauthorized_error");
    }
    // An edge's own key opens nothing here.
    let edge_key = shop.dev.key("development", "edge");
    check_dopt_error(&with(&edge_key), 401, "unauthorized_error");
    for kind in ["users", "client", "frontend", "server"] {
        let answer = with(&shop.dev.key("development", kind));
        let details = check_dopt_error(&answer, 403, "unauthorized_error");
        assert!(
            details.contains(kind) && details.contains("blocks"),
            "{details}"
        );
    }
    let body = serde_json::json!({"identifier": "ada", "properties": {}});
    let answer = shop.blocks.post("/identify", &body);
    check_dopt_error(&answer, 403, "unauthorized_error");
    // Three ways to carry a key.
    let key = shop.dev.key("development", "blocks");
    for value in [key.clone(), format!("Bearer {key}")] {
        let client = Client::new(&url, "");
        let answer = client.send(Method::GET, FLOW, &[("authorization", &value)], None);
        assert_eq!(answer.expect("an answer").status, 200);
    }
}

#[test]
fn unknown_names_are_404_and_wrong_methods_405() {
    let shop = Shop::open();
    for path in [
        "/v2/flow/nothing?version=1&userIdentifier=ada",
        "/v2/flow/Checkout?version=1&userIdentifier=ada",
        "/v2/flow/check%20out%2F?version=1&userIdentifier=ada",
        "/v2/flow",
        "/v2/flow/checkout/?version=1&userIdentifier=ada",
        "/v2/nothing",
        "/v2/flow/checkout/start/now?version=1&userIdentifier=ada",
    ] {
        let answer = shop.get(path);
        let details = check_dopt_error(&answer, 404, "not_found_error");
        assert!(!details.contains("panicked"), "{details}");
    }
    for intent in ["begin", "Start", "exit"] {
        let path = format!("/v2/flow/checkout/{intent}?version=1&userIdentifier=ada");
        check_dopt_error(&shop.post(&path), 404, "not_found_error");
    }
    let path = "/v2/flow/nothing/start?version=1&userIdentifier=ada";
    check_dopt_error(&shop.post(path), 404, "not_found_error");
    for (method, path, allow) in [
        (Method::POST, FLOW, "GET, OPTIONS"),
        (Method::DELETE, FLOW, "GET, OPTIONS"),
        (
            Method::PUT,
            "/v2/block/b?version=1&userIdentifier=a",
            "GET, OPTIONS",
        ),
        (Method::GET, "/v2/flow/checkout/start", "POST, OPTIONS"),
        (Method::GET, "/v2/block/b/transition", "POST, OPTIONS"),
        (Method::GET, "/identify", "POST, OPTIONS"),
    ] {
        let answer = shop.blocks.send(method.clone(), path, &[], None);
        let answer = answer.expect("an answer");
        check_dopt_error(&answer, 405, "invalid_request_error");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

/// A raw refusal as the same kind of answer.
fn json_of(answer: &RawAnswer) -> serde_json::Value {
    // A path of no protocol is answered in our own form.
    let known = ["application/json", "application/problem+json"];
    let content_type = answer.header("content-type").unwrap_or_default();
    assert!(known.contains(&content_type), "{answer:?}");
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[test]
fn a_body_has_its_limit_before_it_is_read() {
    let shop = Shop::open();
    let url = shop.dev.program.text("edge_url");
    let key = shop.dev.key("development", "users");
    let blocks_key = shop.dev.key("development", "blocks");
    let step = "POST /v2/flow/checkout/start?version=1&userIdentifier=ada";
    for (line, key) in [("POST /identify", &key), (step, &blocks_key)] {
        // Announced and never sent: refused at once.
        let headers = [
            ("x-api-key", key.as_str()),
            ("content-length", "999999999999"),
        ];
        let answer = raw(&url, line, &headers, b"");
        assert_eq!(answer.status, 413, "{line}");
        assert_eq!(json_of(&answer)["code"], "invalid_request_error");
        // In chunks nobody announced the whole of.
        let mut chunked = Vec::new();
        for _ in 0..20 {
            chunked.extend_from_slice(b"1000\r\n");
            chunked.extend_from_slice(&[b' '; 0x1000]);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let headers = [
            ("x-api-key", key.as_str()),
            ("transfer-encoding", "chunked"),
        ];
        let answer = raw(&url, line, &headers, &chunked);
        assert_eq!(answer.status, 413, "{line}");
    }
    // Nobody without a key makes us read one.
    let answer = raw(&url, "POST /identify", &[("content-length", "99")], b"");
    assert_eq!(answer.status, 401);
    let headers = [
        ("x-api-key", key.as_str()),
        ("content-encoding", "gzip"),
        ("content-length", "2"),
    ];
    let answer = raw(&url, "POST /identify", &headers, b"{}");
    assert_eq!(answer.status, 415);
}

#[test]
fn odd_paths_are_not_interpreted() {
    let shop = Shop::open();
    let url = shop.dev.program.text("edge_url");
    let key = shop.dev.key("development", "blocks");
    let headers = [("x-api-key", key.as_str())];
    let query = "?version=1&userIdentifier=ada";
    for (path, status) in [
        ("/v2/flow/../flow/checkout", 400),
        ("/v2/flow/checkout;v=1", 400),
        ("/v2//flow/checkout", 404),
        ("/v2/flow/%63heckout", 200),
        ("/v%32/flow/checkout", 404),
        ("/v2/flow/%ff", 400),
        ("/v2/flow/a%2Fb", 404),
    ] {
        let answer = raw(&url, &format!("GET {path}{query}"), &headers, b"");
        assert_eq!(answer.status, status, "{path}");
        json_of(&answer);
    }
    // The edge lives on.
    assert_eq!(shop.get(FLOW).status, 200);
}

#[test]
fn browsers_may_ask_and_read_the_headers_they_need() {
    let shop = Shop::open();
    let client = Client::new(&shop.dev.program.text("edge_url"), "");
    let origin = ("origin", "https://app.example");
    let preflight = |method: &str, names: &str, path: &str| -> Answer {
        let headers = [
            origin,
            ("access-control-request-method", method),
            ("access-control-request-headers", names),
        ];
        let answer = client.send(Method::OPTIONS, path, &headers, None);
        answer.expect("an answer")
    };
    let step = "/v2/flow/checkout/start?version=1&userIdentifier=ada";
    for (method, names, path) in [
        ("GET", "x-api-key,x-pkg-name,x-pkg-version", FLOW),
        (
            "POST",
            "content-type,x-api-key,x-pkg-name,x-pkg-version",
            step,
        ),
        ("POST", "content-type,x-api-key", "/identify"),
    ] {
        let answer = preflight(method, names, path);
        assert_eq!(answer.status, 204, "{}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let methods = answer.header("access-control-allow-methods");
        assert!(methods.contains(method), "{methods}");
        let allowed = answer.header("access-control-allow-headers");
        let allowed: Vec<&str> = allowed.split(',').map(str::trim).collect();
        for name in names.split(',') {
            assert!(allowed.contains(&name), "{name} in {allowed:?}");
        }
    }
    let exposes = |answer: &Answer| {
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let exposed = answer.header("access-control-expose-headers");
        let mut exposed = exposed.split(',').map(str::trim);
        assert!(exposed.any(|name| name == "X-Dopt-Intent-Side-Effects"));
    };
    let read = shop.blocks.send(Method::GET, FLOW, &[origin], None);
    exposes(&read.expect("an answer"));
    let stepped = shop
        .blocks
        .send(Method::POST, step, &[origin], Some("{}".into()));
    exposes(&stepped.expect("an answer"));
    // A refusal can be read as well.
    let refused = client.send(Method::GET, FLOW, &[origin], None);
    let refused = refused.expect("an answer");
    assert_eq!(refused.status, 401);
    exposes(&refused);
}

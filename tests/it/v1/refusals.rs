//! Is everything refused as a problem document that helps?

use reqwest::Method;
use serde_json::{Value, json};

use super::{Desk, keyed};
use crate::harness::{Client, check_problem};

/// A body that would be fine but for what is laid over it.
fn evaluate(over: &Value) -> Value {
    let mut body = json!({"subject": {"user": "ada"}, "flows": {"plain": 1}});
    for (name, value) in over.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

#[test]
fn values_are_refused_with_found_and_expected() {
    let desk = Desk::open();
    let long = "x".repeat(513);
    for (over, found, expected) in [
        (json!({"subject": {"user": ""}}), "0", "1 to 512 bytes"),
        (json!({"subject": {"user": long}}), "513", "1 to 512 bytes"),
        (
            json!({"subject": {"user": "a", "group": long}}),
            "513",
            "1 to 512 bytes",
        ),
        (
            json!({"subject": {"user": "a", "conversation": ""}}),
            "0",
            "1 to 512 bytes",
        ),
        (json!({"include": ["block"]}), "block", "blocks"),
        (
            json!({"flows": {}}),
            "nothing",
            "at least one flow sid with its tag, or an exclusive channel with one flow",
        ),
        (
            json!({"channel": "in the shop"}),
            "in the shop",
            "platform or platform:workspace of the characters A-Z a-z 0-9 _ - . and at most 128 bytes",
        ),
    ] {
        let answer = desk.server.post("/v1/evaluate", &evaluate(&over));
        let problem = check_problem(&answer, 400, "invalid-value");
        assert_eq!(problem["found"], found, "{over}");
        assert_eq!(problem["expected"], expected, "{over}");
    }
    let many = vec![json!({"identifier": "a"}); 101];
    for (body, detail) in [
        (json!(many), "at most 100 items"),
        (json!([{"identifier": "a"}, {"identifier": ""}]), "item 1"),
        (json!([{"identifier": "a"}, {"identifer": "b"}]), "item 1"),
        (json!([{"identifier": "a"}, 7]), "item 1"),
    ] {
        let answer = desk.server.post("/v1/identify", &body);
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.text.contains(detail), "{}", answer.text);
    }
}

#[test]
fn malformed_bodies_are_refused_and_say_where() {
    let desk = Desk::open();
    let deep = (0..20).fold(json!(1), |inner, _| json!({"d": inner}));
    for body in [
        evaluate(&json!({"flow": {"plain": 1}})),
        evaluate(&json!({"subject": {"user": 7}})),
        evaluate(&json!({"subject": {}})),
        evaluate(&json!({"subject": {"user": "a", "channel": "web"}})),
        evaluate(&json!({"flows": ["plain"]})),
        evaluate(&json!({"flows": {"plain": -1}})),
        evaluate(&json!({"flows": {"plain": 1.5}})),
        evaluate(&json!({"flows": {"plain": "newest"}})),
        evaluate(&json!({"start": "yes"})),
        evaluate(&json!({"subject": {"user": "a", "attributes": {"deep": deep}}})),
        evaluate(&json!({"subject": {"user": "a", "attributes": {"long": "x".repeat(5000)}}})),
        json!([]),
        json!(null),
    ] {
        let answer = desk.server.post("/v1/evaluate", &body);
        let problem = check_problem(&answer, 400, "json");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.len() > 40, "it says more than the title: {detail}");
    }
    for text in [
        "",
        "{",
        "{} {}",
        "\u{1}",
        "{\"subject\":{\"user\":\"a\\ud800\"}}",
    ] {
        let sent = desk
            .server
            .send(Method::POST, "/v1/evaluate", &[], Some(text.to_owned()));
        check_problem(&sent.expect("an answer"), 400, "json");
    }
    let huge =
        evaluate(&json!({"subject": {"user": "a", "attributes": {"a": "x".repeat(70_000)}}}));
    let problem = check_problem(
        &desk.server.post("/v1/evaluate", &huge),
        413,
        "body-too-large",
    );
    assert_eq!(problem["expected"], "at most 65536 bytes");
    let found = problem["found"].as_str().unwrap_or_default();
    assert!(found.ends_with(" bytes"), "{problem}");
}

#[test]
fn steps_into_nothing_are_named() {
    let desk = Desk::open();
    let uid = desk.uid("plain", "one");
    let subject = json!({"user": "ada"});
    let body = |version: Value| json!({"subject": subject, "version": version});
    for (path, version, kind) in [
        ("/v1/flows/nothing/start", json!(1), "unknown-flow"),
        ("/v1/flows/plain/start", json!(7), "unknown-version"),
        ("/v1/flows/plain/start", json!(0), "unknown-version"),
    ] {
        let answer = desk.server.post(path, &body(version));
        check_problem(&answer, 404, kind);
    }
    for intent in ["exit", "Start"] {
        let path = format!("/v1/flows/plain/{intent}");
        check_problem(
            &desk.server.post(&path, &body(json!(1))),
            404,
            "no-such-path",
        );
    }
    let step = |uid: &str, version: u32, names: Value| {
        let path = format!("/v1/blocks/{uid}/transition");
        let body = json!({"subject": subject, "version": version, "transitions": names});
        desk.server.post(&path, &body)
    };
    check_problem(&step("nothing", 1, json!(["go"])), 404, "unknown-block");
    check_problem(&step(&uid, 7, json!(["go"])), 404, "unknown-version");
    let start = desk.server.post("/v1/flows/plain/start", &body(json!(1)));
    assert_eq!(start.status, 200);
    check_problem(&step(&uid, 1, json!(["nowhere"])), 400, "step");
    for names in [json!([]), json!(["go", "go"]), json!([""])] {
        let problem = check_problem(&step(&uid, 1, names), 400, "invalid-value");
        assert!(problem["expected"].is_string(), "{problem}");
    }
    check_problem(&step(&uid, 1, json!("go")), 400, "json");
}

#[test]
fn keys_methods_and_paths_are_refused_in_our_own_form() {
    let desk = Desk::open();
    let url = desk.dev.program.text("edge_url");
    let body = evaluate(&json!({}));
    let unknown = Client::new(&url, "server-development-nothing");
    let answer = unknown.post("/v1/evaluate", &body);
    let problem = check_problem(&answer, 401, "key");
    assert!(problem["expected"].is_string(), "{problem}");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    let users = desk.dev.edge("users");
    let problem = check_problem(&users.post("/v1/evaluate", &body), 403, "key-kind");
    assert_eq!(problem["found"], "users");
    assert_eq!(problem["expected"], "blocks or server");
    let identify = json!({"identifier": "ada"});
    let problem = check_problem(
        &desk.blocks.post("/v1/identify", &identify),
        403,
        "key-kind",
    );
    assert_eq!(problem["expected"], "users or server");
    for path in [
        "/v1/evaluate",
        "/v1/flows/plain/start",
        "/v1/blocks/b/transition",
        "/v1/identify",
    ] {
        let answer = desk.server.get(path);
        let problem = check_problem(&answer, 405, "method");
        assert_eq!(answer.header("allow"), "POST, OPTIONS");
        assert_eq!(problem["expected"], "POST, OPTIONS");
    }
    for path in ["/v1/nothing", "/", "/v1/flows/plain", "/v1/explained"] {
        check_problem(&desk.server.post(path, &body), 404, "no-such-path");
    }
}

#[test]
fn an_unusable_idempotency_key_is_refused() {
    let desk = Desk::open();
    let body = json!({"subject": {"user": "ada"}, "version": 1});
    let path = "/v1/flows/plain/start";
    let long = "k".repeat(256);
    for key in ["", long.as_str()] {
        let answer = keyed(&desk.server, path, key, &body);
        let problem = check_problem(&answer, 400, "invalid-value");
        assert_eq!(problem["expected"], "1 to 255 characters");
    }
    let answer = keyed(&desk.server, path, &long[1..], &body);
    assert_eq!(answer.status, 200, "{}", answer.text);
}

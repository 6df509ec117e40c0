//! Dopt's users API beyond one user, over HTTP.

use ring::hmac;
use serde_json::{Map, Value, json};

use super::{
    harness::{Harness, Reply},
    installation::{BLOCKS, SERVER, USERS, snapshot},
};
use crate::{
    limits::{BATCH_BODY_BYTES_MAX, IDENTIFY_BATCH_MAX, PROPERTIES_MAX},
    snapshot::Unsigned,
};

const SECRET: &str = "a secret shared with Segment";

/// What is said of a refusal, which must be in Dopt's form.
#[track_caller]
fn refused(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{reply:?}");
    let body = reply.json();
    assert!(body["code"].is_string(), "{body}");
    body["details"].as_str().expect("details").to_owned()
}

/// Whether `pro`, which is for users with that plan, starts for this user.
async fn pays(edge: &Harness, user: &str) -> bool {
    let path = format!("/v2/flow/pro?tag=latest&userIdentifier={user}");
    let flow = edge.get(BLOCKS, &path).await.json();
    flow["state"]["started"] == true
}

fn pro(user: &str) -> Value {
    json!({"identifier": user, "properties": {"plan": "pro"}})
}

#[tokio::test]
async fn a_batch_is_taken_in_both_forms() {
    let edge = Harness::start();
    let batch = json!([pro("a"), {"identifier": "b", "properties": null, "groups": null},
        {"identifier": "c", "groups": [{"identifier": "g", "properties": {"n": 1}}], "more": 1}]);
    let reply = edge.post(USERS, "/identify/batch", &batch).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"count": 3})));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let bulk =
        json!([{"__dopt_identifier": "d", "plan": "pro", "identifier": "a property"}, pro("é")]);
    let reply = edge.post(USERS, "/identify/bulk", &bulk).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"count": 2})));
    for (user, expected) in [("a", true), ("b", false), ("d", true), ("%C3%A9", true)] {
        assert_eq!(pays(&edge, user).await, expected, "{user}");
    }
    let reply = edge.post(USERS, "/identify/batch", &json!([])).await;
    assert_eq!(reply.json(), json!({"count": 0}));
    // The older form is for the older path.
    let reply = edge.post(USERS, "/identify/batch", &json!([bulk[0]])).await;
    assert_eq!(
        reply.status, 200,
        "its identifier is a member like any: {reply:?}"
    );
}

#[tokio::test]
async fn one_bad_item_is_named_and_nothing_of_its_batch_is_taken() {
    let edge = Harness::start();
    let many: Map<String, Value> = (0..=PROPERTIES_MAX)
        .map(|n| (format!("p{n}"), json!(n)))
        .collect();
    let half = |from: usize| -> Value {
        let names = from..from + PROPERTIES_MAX / 2 + 1;
        let names = names.map(|n| (format!("p{n}"), json!(1)));
        json!({"identifier": "z", "properties": Value::Object(names.collect())})
    };
    for (bad, words) in [
        (json!(7), "expected an object"),
        (json!(["a"]), "expected an object"),
        (json!({}), "identifier"),
        (json!({"identifier": 7}), "integer `7`"),
        (json!({"identifier": ""}), "1 to 512 bytes"),
        (json!({"identifier": "x".repeat(513)}), "513"),
        (json!({"identifier": ".."}), "neither . nor .."),
        (json!({"identifier": "a", "properties": []}), "sequence"),
        (
            json!({"identifier": "a", "groups": [{"identifier": ""}]}),
            "groups[].identifier",
        ),
        (
            json!({"identifier": "a", "properties": {"p": "x".repeat(5_000)}}),
            "4096",
        ),
        (
            json!({"identifier": "a", "properties": {"p": vec![1; 300]}}),
            "256",
        ),
        (
            json!({"identifier": "a", "properties": many}),
            "properties after merging",
        ),
    ] {
        for path in ["/identify/batch", "/identify/bulk"] {
            let batch = json!([pro("u"), pro("v"), bad]);
            let said = refused(&edge.post(USERS, path, &batch).await, 400);
            assert!(
                said.contains("item 2 ") && said.contains(words),
                "{bad}: {said}"
            );
        }
    }
    // Only together are they too many.
    let batch = json!([pro("u"), half(0), half(PROPERTIES_MAX)]);
    let said = refused(&edge.post(USERS, "/identify/batch", &batch).await, 400);
    assert!(said.contains("item 2 "), "{said}");
    let bulk = json!([pro("u"), {"__dopt_identifier": 7}]);
    let said = refused(&edge.post(USERS, "/identify/bulk", &bulk).await, 400);
    assert!(
        said.contains("item 1 ") && said.contains("__dopt_identifier"),
        "{said}"
    );
    assert!(!pays(&edge, "u").await, "nothing was taken");
}

#[tokio::test]
async fn a_batch_has_its_own_bounds() {
    let edge = Harness::start();
    let users = |count: usize| -> Value { (0..count).map(|n| pro(&format!("u{n}"))).collect() };
    let reply = edge
        .post(USERS, "/identify/batch", &users(IDENTIFY_BATCH_MAX))
        .await;
    assert_eq!(reply.json(), json!({"count": 100}));
    for count in [101, 300] {
        let said = refused(
            &edge.post(USERS, "/identify/batch", &users(count)).await,
            400,
        );
        assert!(
            said.contains("at most 100") && said.contains(&count.to_string()),
            "{said}"
        );
    }
    // More bytes than one call may have, and fewer than a batch may.
    let long: Vec<Value> = (0..30)
        .map(|n| json!({"identifier": format!("l{n}"), "properties": {"p": "x".repeat(4_000)}}))
        .collect();
    let reply = edge.post(USERS, "/identify/batch", &json!(long)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let huge = " ".repeat(BATCH_BODY_BYTES_MAX + 1);
    let key = [("x-api-key", USERS)];
    for path in [
        "/identify/batch",
        "/identify/bulk",
        "/identify/group",
        "/identify/u",
    ] {
        let reply = edge.ask("POST", path, &key, &huge).await;
        refused(&reply, 413);
    }
    for body in ["", "{", "{}", "[", "7", "[{}] x", "null"] {
        let reply = edge.ask("POST", "/identify/batch", &key, body).await;
        refused(&reply, 400);
    }
}

#[tokio::test]
async fn a_group_alone_and_a_user_in_the_path_are_merged() {
    let edge = Harness::start();
    let group = json!({"identifier": "g1", "properties": {"size": 3}});
    let reply = edge.post(USERS, "/identify/group", &group).await;
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    for body in [
        json!({}),
        json!([]),
        json!({"identifier": ""}),
        json!({"identifier": "g", "properties": 1}),
    ] {
        let reply = edge.post(USERS, "/identify/group", &body).await;
        refused(&reply, 400);
    }
    let properties = json!({"plan": "pro", "identifier": "is a property here"});
    let reply = edge
        .post(USERS, "/identify/joe%2Ftest%40x.com", &properties)
        .await;
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    assert!(pays(&edge, "joe%2Ftest%40x.com").await);
    // Null removes, here as everywhere.
    let reply = edge
        .post(USERS, "/identify/zoe", &json!({"plan": "pro"}))
        .await;
    assert_eq!(reply.status, 204);
    let reply = edge
        .post(USERS, "/identify/zoe", &json!({"plan": null}))
        .await;
    assert_eq!(reply.status, 204);
    assert!(!pays(&edge, "zoe").await);
    for body in [json!([]), json!("x"), Value::Null] {
        refused(&edge.post(USERS, "/identify/joe", &body).await, 400);
    }
    for id in ["%2E%2E", "%00", "%ff", &"x".repeat(513)] {
        let reply = edge
            .post(USERS, &format!("/identify/{id}"), &json!({}))
            .await;
        refused(&reply, 400);
    }
    // The words win, in any spelling but their own they are users.
    let reply = edge
        .post(USERS, "/identify/GROUP", &json!({"plan": "pro"}))
        .await;
    assert_eq!(reply.status, 204);
    assert!(pays(&edge, "GROUP").await);
}

#[tokio::test]
async fn unsigned_users_are_refused_in_every_form() {
    let mut refusing = snapshot(true);
    refusing.access.unsigned = Unsigned::Refused;
    let edge = Harness::serving(refusing);
    for (path, body) in [
        ("/identify/batch", json!([pro("a")])),
        ("/identify/bulk", json!([pro("a")])),
        ("/identify/group", json!({"identifier": "g"})),
        ("/identify/a", json!({})),
        (
            "/identify/segment",
            json!({"type": "identify", "userId": "a"}),
        ),
        (
            "/identify/segment",
            json!({"type": "group", "groupId": "g"}),
        ),
    ] {
        let said = refused(&edge.post(USERS, path, &body).await, 403);
        assert!(said.contains("unsigned users"), "{path}: {said}");
    }
}

fn segment(kind: &str, more: Value) -> Value {
    let mut message = json!({"type": kind, "messageId": format!("m-{kind}"), "anonymousId": "x",
        "context": {"library": {"name": "analytics.js"}}, "integrations": {}, "version": 2,
        "timestamp": "2026-01-01T00:00:00Z"});
    for (name, value) in more.as_object().expect("an object") {
        message[name] = value.clone();
    }
    message
}

#[tokio::test]
async fn segment_tells_of_users_and_groups_and_is_thanked_for_the_rest() {
    let edge = Harness::start();
    let path = "/identify/segment";
    for (message, count) in [
        (
            segment(
                "identify",
                json!({"userId": "a", "traits": {"plan": "pro", "email": null}}),
            ),
            1,
        ),
        (segment("identify", json!({"userId": "b"})), 1),
        (
            segment("identify", json!({"userId": "b", "traits": null})),
            1,
        ),
        (
            segment(
                "identify",
                json!({"userId": null, "traits": {"plan": "pro"}}),
            ),
            0,
        ),
        (segment("identify", json!({"traits": {"plan": "pro"}})), 0),
        (
            segment(
                "group",
                json!({"groupId": "g", "userId": "a", "traits": {"n": 1}}),
            ),
            1,
        ),
        (
            segment("group", json!({"groupId": "g", "traits": {"n": 2}})),
            1,
        ),
        (segment("track", json!({"event": "x", "userId": 7})), 0),
        (segment("page", json!({})), 0),
        (
            segment("alias", json!({"previousId": "a", "userId": "b"})),
            0,
        ),
    ] {
        let reply = edge.post(USERS, path, &message).await;
        assert_eq!(reply.status, 200, "{message}: {reply:?}");
        assert_eq!(reply.json(), json!({"count": count}), "{message}");
    }
    assert!(pays(&edge, "a").await);
    assert!(!pays(&edge, "b").await);
    for message in [
        json!({}),
        json!([]),
        json!({"type": 7}),
        segment("identify", json!({"userId": 7})),
        segment("identify", json!({"userId": ""})),
        segment("identify", json!({"userId": "a", "traits": [1]})),
        segment("group", json!({"userId": "a"})),
        segment("group", json!({"groupId": "", "userId": "a"})),
    ] {
        refused(&edge.post(USERS, path, &message).await, 400);
    }
}

#[tokio::test]
async fn a_message_that_segment_sends_again_undoes_nothing() {
    let edge = Harness::start();
    let first = segment(
        "identify",
        json!({"userId": "a", "traits": {"plan": "free"}}),
    );
    let second = segment(
        "identify",
        json!({"userId": "a", "messageId": "later", "traits": {"plan": "pro"}}),
    );
    // Sent again, its envelope says so.
    let mut again = first.clone();
    again["sentAt"] = json!("2026-01-01T00:01:00Z");
    for message in [first, second, again] {
        let reply = edge.post(USERS, "/identify/segment", &message).await;
        assert_eq!(reply.json(), json!({"count": 1}));
    }
    assert!(pays(&edge, "a").await);
}

#[tokio::test]
async fn segment_may_send_its_key_as_basic_and_nobody_else() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let edge = Harness::start();
    let body = json!({"type": "track"}).to_string();
    let basic = |credentials: String| format!("Basic {}", STANDARD.encode(credentials));
    let path = "/identify/segment";
    for (credentials, status) in [
        (format!("{USERS}:"), 200),
        (format!(":{USERS}"), 200),
        (format!("segment:{USERS}"), 200),
        (USERS.to_owned(), 401),
        (format!("{USERS}:wrong"), 401),
        (":".to_owned(), 401),
        (format!("{BLOCKS}:"), 403),
        (format!("{SERVER}:"), 403),
    ] {
        let value = basic(credentials.clone());
        let headers = [("authorization", value.as_str())];
        let reply = edge.ask("POST", path, &headers, &body).await;
        assert_eq!(reply.status, status, "{credentials}: {reply:?}");
    }
    let value = basic(format!("{USERS}:"));
    let headers = [("authorization", value.as_str())];
    for path in [
        "/identify",
        "/identify/batch",
        "/identify/group",
        "/identify/u",
        "/v1/identify",
    ] {
        let reply = edge.ask("POST", path, &headers, "{}").await;
        assert_eq!(reply.status, 401, "{path}: {reply:?}");
    }
}

#[tokio::test]
async fn with_a_shared_secret_only_signed_messages_are_taken_and_for_anyone() {
    let mut refusing = snapshot(true);
    refusing.access.unsigned = Unsigned::Refused;
    let edge = Harness::with_segment(refusing, SECRET);
    let body = segment(
        "identify",
        json!({"userId": "a", "traits": {"plan": "pro"}}),
    )
    .to_string();
    let sign = |secret: &str, body: &str| -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let tag = hmac::sign(&key, body.as_bytes());
        tag.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let good = sign(SECRET, &body);
    // RFC 2202, test case 2: this is the function that it should be.
    assert_eq!(
        sign("Jefe", "what do ya want for nothing?"),
        "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
    );
    let path = "/identify/segment";
    for wrong in [
        None,
        Some(String::new()),
        Some("zz".to_owned()),
        Some(good[..20].to_owned()),
        Some(sign("another secret of segment", &body)),
        Some(sign(SECRET, "{}")),
    ] {
        let mut headers = vec![("x-api-key", USERS)];
        headers.extend(wrong.as_deref().map(|sent| ("x-signature", sent)));
        let said = refused(&edge.ask("POST", path, &headers, &body).await, 401);
        assert!(said.contains("x-signature"), "{said}");
    }
    let headers = [("x-api-key", USERS), ("x-signature", good.as_str())];
    let reply = edge.ask("POST", path, &headers, &body).await;
    assert_eq!(reply.json(), json!({"count": 1}), "{reply:?}");
    // What needs no signature elsewhere goes on without one.
    assert_eq!(edge.post(USERS, "/identify", &pro("a")).await.status, 403);
}

#[tokio::test]
async fn a_page_may_call_the_users_api() {
    let edge = Harness::start();
    let origin = ("origin", "https://app.example");
    let asks = [
        origin,
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "content-type,x-api-key,x-fern-language,x-fern-sdk-name,x-fern-sdk-version",
        ),
    ];
    for path in [
        "/identify",
        "/identify/batch",
        "/identify/group",
        "/identify/u",
    ] {
        let reply = edge.ask("OPTIONS", path, &asks, "").await;
        assert_eq!(reply.status, 204, "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        let allowed = reply
            .header("access-control-allow-headers")
            .expect("a list");
        for name in asks[2].1.split(',') {
            assert!(allowed.contains(name), "{name} in {allowed}");
        }
        let headers = [origin, ("x-api-key", USERS)];
        let reply = edge.ask("POST", path, &headers, "nonsense").await;
        assert_eq!(
            reply.header("access-control-allow-origin"),
            Some("*"),
            "{path}"
        );
        refused(&reply, 400);
    }
}

//! What do Unleash's clients get over the wire?
//!
//! Statuses, tags, encodings, tokens and projects of every path.

use reqwest::Method;
use serde_json::{Value, json};

use super::offline::Offline;
use crate::harness::{Answer, Client, body_of};

const ALL: &str = "*:development.a-secret-of-the-story";
const SHOP: &str = "shop:development.another-secret";
const PRODUCTION: &str = "*:production.a-third-secret";

fn edge() -> Offline {
    let document = json!({"version": 2, "features": [
        {"name": "shop.cart", "project": "shop", "enabled": true, "impressionData": true,
         "strategies": [{"name": "default", "segments": [2]}],
         "variants": [{"name": "blue", "weight": 1, "payload": {"type": "string", "value": "b"}}]},
        {"name": "shop.off", "project": "shop", "enabled": false, "description": "kept as it is"},
        {"name": "desk/ä", "project": "desk", "enabled": true,
         "strategies": [{"name": "userWithId", "parameters": {"userIds": "ann, bob"}, "segments": [1]}]},
        {"name": "desk.here", "project": "desk", "enabled": true, "strategies": [{"name": "default",
         "constraints": [{"contextName": "environment", "operator": "IN", "values": ["production"]}]}]},
        {"name": "desk.draw", "project": "desk", "enabled": true, "strategies": [{"name": "flexibleRollout",
         "parameters": {"rollout": "50", "stickiness": "random"}}]},
    ], "segments": [
        {"id": 1, "name": "some", "constraints": []},
        {"id": 2, "constraints": [{"contextName": "plan", "operator": "NOT_IN", "values": ["free"]}]},
        {"id": 3, "constraints": []},
    ]});
    Offline::start(&document.to_string(), &[ALL, SHOP, PRODUCTION])
}

/// What a client sends that knows segments.
const KNOWS_SEGMENTS: &[(&str, &str)] = &[("unleash-client-spec", "5.2.0")];

fn names(answer: &Answer, list: &str) -> Vec<String> {
    let body = body_of(answer, 200);
    let list = body[list].as_array().expect("a list").iter();
    let name = |item: &Value| item["name"].as_str().expect("a name").to_owned();
    list.map(name).filter(|name| name != "desk.draw").collect()
}

fn toggles(client: &Client, path: &str) -> Vec<String> {
    names(&client.get(path), "toggles")
}

#[test]
fn frontends_get_what_is_on_for_their_context_and_their_projects() {
    let edge = edge();
    for path in [
        "/api/frontend",
        "/api/proxy",
        "/api//frontend/",
        "/api/proxy/?appName=x",
    ] {
        assert_eq!(toggles(&edge.client, path), ["shop.cart"], "{path}");
    }
    let path = "/api/frontend?userId=ann&properties[plan]=free";
    assert_eq!(toggles(&edge.client, path), ["desk/ä"]);
    let answer = edge
        .client
        .post("/api/proxy", &json!({"userId": "bob", "plan": "free"}));
    assert_eq!(names(&answer, "toggles"), ["desk/ä"]);
    // The token says which environment is meant, where the context does not.
    let production = edge.with(PRODUCTION);
    assert_eq!(
        toggles(&production, "/api/frontend"),
        ["desk.here", "shop.cart"]
    );
    assert_eq!(
        toggles(&edge.with(SHOP), "/api/frontend/all"),
        ["shop.cart", "shop.off"]
    );
    let answer = edge
        .client
        .post("/api/frontend/all", &json!({"context": {}}));
    let all = ["desk.here", "desk/ä", "shop.cart", "shop.off"];
    assert_eq!(names(&answer, "toggles"), all);

    let cart = body_of(&edge.client.get("/api/frontend/features/shop.cart"), 200);
    let expected = json!({"name": "shop.cart", "enabled": true, "impressionData": true, "impression_data": true,
        "variant": {"name": "blue", "enabled": true, "feature_enabled": true, "featureEnabled": true,
                    "payload": {"type": "string", "value": "b"}}});
    assert_eq!(cart, expected);
    let desk = edge.client.post(
        "/api/proxy/features/desk%2F%C3%A4",
        &json!({"userId": "ann"}),
    );
    assert_eq!(body_of(&desk, 200)["enabled"], true);
    for (client, name) in [(&edge.client, "nothing"), (&edge.with(SHOP), "desk.here")] {
        let answer = client.get(&format!("/api/frontend/features/{name}"));
        assert_eq!((answer.status, answer.text.as_str()), (404, ""), "{name}");
    }
}

#[test]
fn backends_get_flags_as_they_were_written() {
    let edge = edge();
    let answer = edge.ask(Method::GET, "/api/client/features", KNOWS_SEGMENTS);
    assert_eq!(
        names(&answer, "features"),
        ["desk.here", "desk/ä", "shop.cart", "shop.off"]
    );
    let body = answer.json();
    assert_eq!(body["version"], 2);
    assert_eq!(body["features"][4]["description"], "kept as it is");
    assert_eq!(
        body["query"],
        json!({"environment": "development", "projects": ["*"], "inlineSegmentConstraints": false})
    );
    assert_eq!(body["meta"]["etag"], answer.header("etag"));
    // Nobody refers to the third.
    let ids = |body: &Value| {
        let segments = body["segments"].as_array().expect("segments").iter();
        segments.map(|own| own["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&body), [1, 2]);
    assert_eq!(body["segments"][0]["name"], "some");

    let path = "/api/client/features?namePrefix=shop.";
    let answer = edge.ask(Method::GET, path, KNOWS_SEGMENTS);
    assert_eq!(names(&answer, "features"), ["shop.cart", "shop.off"]);
    assert_eq!(answer.json()["query"]["namePrefix"], "shop.");
    assert_eq!(ids(&answer.json()), [2]);
    let asked = "/api/client/features?project=shop&project=other";
    let answer = edge.client.get(asked);
    assert_eq!(names(&answer, "features"), ["shop.cart", "shop.off"]);
    let projects = &answer.json()["query"]["projects"];
    assert_eq!(*projects, json!(["shop", "other"]));
    let answer = edge.with(SHOP).get(&asked.replace("=shop", "=desk"));
    assert_eq!(names(&answer, "features"), [""; 0]);
    assert_eq!(answer.json()["query"]["projects"], json!([]));
    let answer = edge.with(SHOP).post("/api/client/features", &json!({}));
    assert_eq!(names(&answer, "features"), ["shop.cart", "shop.off"]);
    assert_eq!(answer.json()["query"]["projects"], json!(["shop"]));
    let delta = body_of(&edge.with(SHOP).get("/api/client/delta"), 200);
    let event = &delta["events"][0];
    assert_eq!(event["type"], "hydration");
    assert!(
        event["eventId"].as_u64().is_some_and(|own| own < 1 << 31),
        "{event}"
    );
    assert_eq!(event["features"].as_array().map(Vec::len), Some(2));
    assert_eq!(ids(event), [2]);
    let one = body_of(&edge.client.get("/api/client/features/shop.off"), 200);
    assert_eq!(one["description"], "kept as it is");
    assert_eq!(
        edge.with(SHOP).get("/api/client/features/desk.here").status,
        404
    );
}

#[test]
fn a_client_that_has_the_answer_gets_none_and_two_edges_agree_on_it() {
    let (edge, other) = (edge(), edge());
    let get =
        |edge: &Offline, path: &str, headers: &[(&str, &str)]| edge.ask(Method::GET, path, headers);
    // Without the project of the flag that is drawn for.
    let shop = |edge: &Offline, path: &str, headers: &[(&str, &str)]| {
        let client = edge.with(SHOP);
        client
            .send(Method::GET, path, headers, None)
            .expect("an answer")
    };
    for path in [
        "/api/client/features",
        "/api/client/delta",
        "/api/client/features?namePrefix=d",
        "/api/client/features/shop.off",
    ] {
        let first = get(&edge, path, &[]);
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag}");
        assert_eq!(get(&other, path, &[]).header("etag"), tag, "{path}");
        let weak = format!("W/{tag}, \"another\"");
        for sent in [&tag, &weak, "*"] {
            let again = get(&edge, path, &[("if-none-match", sent)]);
            assert_eq!(
                (again.status, again.text.as_str()),
                (304, ""),
                "{path} {sent}"
            );
            assert_eq!(again.header("etag"), tag);
        }
        let again = get(&edge, path, &[("if-none-match", "\"another\"")]);
        assert_eq!((again.status, again.text), (200, first.text), "{path}");
    }
    // Chance decides about a flag of this file: nobody has the answer.
    let drawn = get(&edge, "/api/frontend?userId=ann", &[("if-none-match", "*")]);
    assert_eq!((drawn.status, drawn.header("etag")), (200, ""));
    assert_eq!(shop(&edge, "/api/frontend", &[]).header("etag"), "");
}

#[test]
fn tags_of_evaluated_flags_follow_what_the_flags_look_at() {
    let document = json!({"features": [
        {"name": "pro", "enabled": true, "strategies": [{"name": "default",
         "constraints": [{"contextName": "plan", "operator": "IN", "values": ["pro"]}]}]},
    ]});
    let edges = [0; 2].map(|_| Offline::start(&document.to_string(), &[ALL, PRODUCTION]));
    let tag = |edge: &Offline, path: &str| {
        let answer = edge.client.get(path);
        assert_eq!(answer.status, 200);
        answer.header("etag").to_owned()
    };
    let [one, other] = &edges;
    let pro = tag(one, "/api/frontend?plan=pro");
    assert!(!pro.is_empty());
    for same in [
        "/api/proxy?properties[plan]=pro",
        // No flag looks at these.
        "/api/frontend?plan=pro&userId=ann&sessionId=7&currentTime=2026-01-01T00:00:00Z",
    ] {
        assert_eq!(tag(other, same), pro, "{same}");
    }
    let body = json!({"context": {"properties": {"plan": "pro"}}});
    assert_eq!(one.client.post("/api/frontend", &body).header("etag"), pro);
    for different in [
        "/api/frontend",
        "/api/frontend?plan=free",
        "/api/frontend/all?plan=pro",
        "/api/frontend/features/pro?plan=pro",
    ] {
        assert_ne!(tag(one, different), pro, "{different}");
    }
    let headers = [("if-none-match", &*pro)];
    assert_eq!(
        one.ask(Method::GET, "/api/frontend?plan=pro", &headers)
            .status,
        304
    );
    assert_eq!(
        one.ask(Method::GET, "/api/frontend?plan=free", &headers)
            .status,
        200
    );
    // Compressed it would be other bytes.
    let zipped = one.ask(
        Method::GET,
        "/api/frontend?plan=pro",
        &[("accept-encoding", "gzip")],
    );
    assert_ne!(zipped.header("etag"), pro);
    assert_eq!(zipped.header("vary"), "accept-encoding");
}

#[test]
fn large_answers_are_compressed_for_those_who_take_it() {
    let features: Vec<Value> = (0..100)
        .map(|at| json!({"name": format!("flag-{at}"), "enabled": true}))
        .collect();
    let edge = Offline::start(&json!({"features": features}).to_string(), &[ALL]);
    for path in ["/api/frontend", "/api/client/features"] {
        let plain = edge.ask(Method::GET, path, &[]);
        assert_eq!(plain.header("content-encoding"), "");
        let zipped = edge.ask(Method::GET, path, &[("accept-encoding", "br, gzip")]);
        assert_eq!(zipped.header("content-encoding"), "gzip");
        let length = |answer: &Answer| {
            answer
                .header("content-length")
                .parse::<usize>()
                .expect("a length")
        };
        assert!(length(&zipped) * 5 < length(&plain), "{path}");
    }
}

#[test]
fn refusals_have_the_statuses_that_clients_know() {
    let edge = edge();
    for token in ["", "*:development.wrong", "nonsense"] {
        for path in [
            "/api/frontend",
            "/api/client/features",
            "/api/frontend/features/nothing",
        ] {
            let answer = edge.with(token).get(path);
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (403, ""),
                "{token} {path}"
            );
        }
        let answer = edge.with(token).post("/api/client/metrics", &json!({}));
        assert_eq!((answer.status, answer.text.as_str()), (403, ""), "{token}");
    }
    let post = |path: &str, body: &str, kind: &str| {
        let headers = [("authorization", ALL), ("content-type", kind)];
        edge.raw(&format!("POST {path}"), &headers, body).status
    };
    assert_eq!(post("/api/frontend", "{", "application/json"), 400);
    assert_eq!(post("/api/frontend", "[]", "application/json"), 422);
    assert_eq!(post("/api/frontend", "{}", "text/plain"), 415);
    assert_eq!(
        post("/api/frontend", "{}", "application/json; charset=utf-8"),
        200
    );
    assert_eq!(
        post(
            "/api/frontend",
            "{\"context\":{\"userId\":[]}}",
            "application/json"
        ),
        400
    );
    assert_eq!(post("/edge/validate", "{}", "application/json"), 422);
    let many: String = (0..300).map(|at| format!("&p{at}=1")).collect();
    assert_eq!(
        edge.client.get(&format!("/api/frontend?{many}")).status,
        400
    );
    let answer = edge.ask(Method::PUT, "/api/frontend", &[]);
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, "GET, POST, OPTIONS")
    );
    for nowhere in ["/api/nothing", "/api/frontend/all/features/x", "/api"] {
        assert_eq!(edge.client.get(nowhere).status, 404, "{nowhere}");
    }
    // A token of flags opens nothing else.
    assert_eq!(
        edge.client
            .post("/v1/evaluate", &json!({"subject": {"user": "u"}}))
            .status,
        403
    );
}

#[test]
fn what_clients_tell_of_themselves_is_taken() {
    let edge = edge();
    let toggles = json!({"a": {"yes": 1, "no": 2, "variants": {"blue": 1}}});
    let metrics = json!({"appName": "shop", "bucket": {"start": "2026-01-01T00:00:00Z", "stop": "2026-01-01T00:01:00Z", "toggles": toggles}});
    for path in [
        "/api/client/metrics",
        "/api/client/metrics/bulk",
        "/api/client/metrics/edge",
        "/api/client/register",
        "/api/frontend/client/metrics",
        "/api/frontend/client/register",
        "/api/proxy/client/metrics",
        "/api/proxy/all/client/metrics",
        "/api/frontend/all/client/register",
    ] {
        let answer = edge.client.post(path, &metrics);
        assert_eq!((answer.status, answer.text.as_str()), (202, ""), "{path}");
        let answer = edge.client.post(path, &json!([1]));
        assert_eq!(answer.status, 422, "{path}");
    }
}

#[test]
fn tokens_are_validated_and_probes_answered_without_one() {
    let edge = edge();
    let body = json!({"tokens": [ALL, "*:development.wrong", SHOP]});
    let answer = edge.with("").post("/edge/validate", &body);
    let token = |token: &str, project: &str| json!({"token": token, "type": "client", "environment": "development", "projects": [project]});
    assert_eq!(
        body_of(&answer, 200),
        json!({"tokens": [token(ALL, "*"), token(SHOP, "shop")]})
    );
    let many: Vec<&str> = vec!["x"; 300];
    assert_eq!(
        edge.with("")
            .post("/edge/validate", &json!({"tokens": many}))
            .status,
        400
    );
    let nobody = edge.with("");
    assert_eq!(
        body_of(&nobody.get("/internal-backstage/health"), 200),
        json!({"status": "OK"})
    );
    assert_eq!(
        body_of(&nobody.get("/internal-backstage/ready"), 200),
        json!({"status": "READY"})
    );
}

#[test]
fn pages_may_ask_with_a_token_and_read_the_tag() {
    let edge = edge();
    let origin = ("origin", "https://shop.example");
    let asks = "authorization,content-type,if-none-match,unleash-appname,unleash-connection-id,unleash-sdk";
    let headers = [
        origin,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", asks),
    ];
    let answer = edge.ask(Method::OPTIONS, "/api/frontend", &headers);
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let allowed = answer.header("access-control-allow-headers");
    for name in asks.split(',') {
        assert!(
            allowed.split(", ").any(|own| own == name),
            "{name} in {allowed}"
        );
    }
    let answer = edge.ask(Method::GET, "/api/frontend", &[origin]);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(
        answer
            .header("access-control-expose-headers")
            .contains("ETag")
    );
}

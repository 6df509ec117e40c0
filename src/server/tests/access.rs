//! Who may call what, on the wire?
//! One table of every route and every kind of key, and every rule that narrows
//! what a public key may do.

use serde_json::{Value, json};

use super::{
    harness::{Harness, Reply},
    installation::{BLOCKS, SERVER, USERS, snapshot},
};
use crate::{
    server::{LimitSettings, ROUTE_NAMES},
    snapshot::{Key, Snapshot, Unsigned, sha256, wire::KeyKind},
};

pub(super) const CLIENT: &str = "client-development-1";
pub(super) const FRONTEND: &str = "default:development.964a287e1b728cb5f4f3e0120df92cb5";
/// Public keys that are tied to pages of one origin.
const PAGES: &str = "blocks-development-pages";
const PAGES_USERS: &str = "users-development-pages";
const APP: &str = "https://app.example";

fn key(text: &str, kind: KeyKind, origins: &[&str]) -> Key {
    Key {
        also: None,
        sha256: sha256(text.as_bytes()),
        kind,
        name: text.into(),
        projects: [].into(),
        channel: None,
        origins: origins.iter().map(|origin| (*origin).into()).collect(),
    }
}

pub(super) fn with_more_keys() -> Snapshot {
    let mut snapshot = snapshot(true);
    snapshot.keys.extend([
        key(CLIENT, KeyKind::Client, &[]),
        key(FRONTEND, KeyKind::Frontend, &[]),
        key(PAGES, KeyKind::Blocks, &[APP]),
        key(PAGES_USERS, KeyKind::Users, &[APP]),
    ]);
    snapshot
}

fn subject() -> Value {
    json!({"user": "u1"})
}

/// Route by its name in metrics, how it is asked, and the kinds it is for.
fn table() -> Vec<(
    &'static str,
    &'static str,
    &'static str,
    Value,
    &'static [KeyKind],
)> {
    use KeyKind::{Blocks, Server, Users};
    let step = json!({"subject": subject(), "version": 1});
    let transition = json!({"subject": subject(), "version": 1, "transitions": ["next"]});
    let evaluate = json!({"subject": subject(), "flows": {"welcome": null}});
    let explain = json!({"subject": subject(), "flow": "welcome"});
    let user = json!({"identifier": "u1"});
    let query = "version=1&userIdentifier=u1";
    let path = |path: &str| -> &'static str { format!("{path}?{query}").leak() };
    let names = format!("/v2/block/welcome_one/transition?{query}&transitions=next").leak();
    vec![
        (
            "dopt_flow",
            "GET",
            path("/v2/flow/welcome"),
            Value::Null,
            &[Blocks],
        ),
        (
            "dopt_intent",
            "POST",
            path("/v2/flow/welcome/start"),
            Value::Null,
            &[Blocks],
        ),
        (
            "dopt_block",
            "GET",
            path("/v2/block/welcome_one"),
            Value::Null,
            &[Blocks],
        ),
        ("dopt_transition", "POST", names, Value::Null, &[Blocks]),
        ("dopt_identify", "POST", "/identify", user.clone(), &[Users]),
        (
            "dopt_identify_batch",
            "POST",
            "/identify/batch",
            json!([user.clone()]),
            &[Users],
        ),
        (
            "dopt_identify_bulk",
            "POST",
            "/identify/bulk",
            json!([{"__dopt_identifier": "u1"}]),
            &[Users],
        ),
        (
            "dopt_identify_group",
            "POST",
            "/identify/group",
            user.clone(),
            &[Users],
        ),
        (
            "dopt_identify_user",
            "POST",
            "/identify/u1",
            json!({}),
            &[Users],
        ),
        (
            "dopt_segment",
            "POST",
            "/identify/segment",
            json!({"type": "identify", "userId": "u1"}),
            &[Users],
        ),
        (
            "evaluate",
            "POST",
            "/v1/evaluate",
            evaluate,
            &[Blocks, Server],
        ),
        (
            "intent",
            "POST",
            "/v1/flows/welcome/start",
            step,
            &[Blocks, Server],
        ),
        (
            "transition",
            "POST",
            "/v1/blocks/welcome_one/transition",
            transition,
            &[Blocks, Server],
        ),
        ("identify", "POST", "/v1/identify", user, &[Users, Server]),
        ("explain", "POST", "/v1/explain", explain, &[Server]),
        // Without a user, or the stream of whoever may have one never ends.
        (
            "changes",
            "GET",
            "/v1/changes",
            Value::Null,
            &[Blocks, Server],
        ),
        (
            "ticket",
            "POST",
            "/v1/changes/tickets",
            json!({"subject": subject()}),
            &[Blocks, Server],
        ),
    ]
}

fn body(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

/// What an error says, in either form.
fn told(reply: &Reply) -> String {
    let body = reply.json();
    let text = body["detail"].as_str().or(body["details"].as_str());
    text.unwrap_or_else(|| panic!("no text in {body}"))
        .to_owned()
}

#[tokio::test]
async fn every_kind_of_key_opens_its_routes_and_no_other() {
    let edge = Harness::serving(with_more_keys());
    let keys = [
        (BLOCKS, KeyKind::Blocks),
        (USERS, KeyKind::Users),
        (CLIENT, KeyKind::Client),
        (FRONTEND, KeyKind::Frontend),
        (SERVER, KeyKind::Server),
    ];
    let table = table();
    // Whoever adds a route says here who may ask it.
    // What other edges pull is opened by keys that are in no snapshot; how all
    // is asked is told to everybody; a socket shows its key when it is open.
    let apart = ["distribution", "openapi", "dopt_socket"];
    let described = edge.ask("GET", "/v1/openapi.json", &[], "").await;
    assert_eq!(described.status, 200);
    // Flags have a story of their own, with their own form of refusing.
    let is_here = |name: &&&str| !apart.contains(name) && !name.starts_with("unleash_");
    let served = ROUTE_NAMES[2..].iter().filter(is_here);
    let mut served: Vec<&str> = served.copied().collect();
    let mut named: Vec<&str> = table.iter().map(|row| row.0).collect();
    served.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, served);
    for (name, method, path, asked, kinds) in &table {
        let asked = body(asked);
        for (key, kind) in keys {
            let reply = edge.ask(method, path, &[("x-api-key", key)], &asked).await;
            if kinds.contains(&kind) {
                let is_open = ![401, 403].contains(&reply.status) && reply.status < 500;
                assert!(is_open, "{name} with {kind:?}: {reply:?}");
                continue;
            }
            assert_eq!(reply.status, 403, "{name} with {kind:?}: {reply:?}");
            assert!(told(&reply).contains("may not do this"), "{reply:?}");
        }
        for headers in [&[][..], &[("x-api-key", "blocks-development-unknown")]] {
            let reply = edge.ask(method, path, headers, &asked).await;
            assert_eq!(reply.status, 401, "{name}: {reply:?}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_key_of_any_form_comes_in_three_headers() {
    let mut snapshot = with_more_keys();
    // As another product writes them.
    let foreign = "*:development.6c0e7d2a91b34f5d8e02c7a1b9f3d4e5";
    snapshot.keys.push(key(foreign, KeyKind::Blocks, &[]));
    let edge = Harness::serving(snapshot);
    let path = "/v2/flow/welcome?version=1&userIdentifier=u1";
    for key in [BLOCKS, foreign] {
        let bearer = format!("Bearer {key}");
        for header in [
            ("x-api-key", key),
            ("authorization", key),
            ("authorization", &bearer),
        ] {
            let reply = edge.ask("GET", path, &[header], "").await;
            assert_eq!(reply.status, 200, "{header:?}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_key_of_one_origin_is_refused_to_pages_of_another() {
    let edge = Harness::serving(with_more_keys());
    let path = "/v2/flow/welcome?version=1&userIdentifier=u1";
    let ask = async |key, origin| {
        let headers = [("x-api-key", key), ("origin", origin)];
        edge.ask("GET", path, &headers, "").await
    };
    let reply = ask(PAGES, APP).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("access-control-allow-origin").is_some());
    for origin in [
        "https://evil.example",
        "https://app.example.evil",
        "http://app.example",
        "null",
    ] {
        let reply = ask(PAGES, origin).await;
        assert_eq!(reply.status, 403, "{origin}: {reply:?}");
        assert!(told(&reply).contains("origin"), "{reply:?}");
        assert_eq!(
            reply.header("access-control-allow-origin"),
            None,
            "{origin}"
        );
        // A key without origins goes by what the edge welcomes.
        let reply = ask(BLOCKS, origin).await;
        assert_eq!(reply.status, 200, "{origin}: {reply:?}");
    }
    // Whoever sends none is no page of another origin.
    assert_eq!(edge.get(PAGES, path).await.status, 200);
}

#[tokio::test]
async fn unsigned_users_of_public_keys_are_refused_where_nobody_allowed_them() {
    for (unsigned, says) in [
        (Unsigned::NotChosen, "nobody has allowed unsigned users"),
        (Unsigned::Refused, "unsigned users are refused"),
    ] {
        let mut snapshot = with_more_keys();
        snapshot.access.unsigned = unsigned;
        let edge = Harness::serving(snapshot);
        for (name, method, path, asked, kinds) in table() {
            let asked = body(&asked);
            let is_stream = name == "changes";
            let path = if is_stream {
                "/v1/changes?user=u1"
            } else {
                path
            };
            for (key, kind) in [(BLOCKS, KeyKind::Blocks), (USERS, KeyKind::Users)] {
                if !kinds.contains(&kind) {
                    continue;
                }
                let reply = edge.ask(method, path, &[("x-api-key", key)], &asked).await;
                assert_eq!(reply.status, 403, "{name}: {reply:?}");
                let told = told(&reply);
                let mends = "flowgate env set development --unsigned-users allow";
                assert!(
                    told.contains(says) && told.contains(mends),
                    "{name}: {told}"
                );
            }
            if kinds.contains(&KeyKind::Server) && !is_stream {
                let reply = edge
                    .ask(method, path, &[("x-api-key", SERVER)], &asked)
                    .await;
                assert!(reply.status < 300, "{name}: {reply:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_that_counts_for_nothing_is_401_and_says_why() {
    let edge = Harness::serving(with_more_keys());
    let path = "/v2/flow/welcome?version=1&userIdentifier=u1";
    // Also where unsigned users are welcome: a token that is sent counts.
    for (token, says) in [("a.b", "three parts"), ("e30.e30.", "header")] {
        let headers = [("x-api-key", BLOCKS), ("flowgate-user-token", token)];
        let reply = edge.ask("GET", path, &headers, "").await;
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(told(&reply).contains(says), "{reply:?}");
    }
    // A page may send the header.
    let headers = [("origin", APP), ("access-control-request-method", "GET")];
    let reply = edge.ask("OPTIONS", path, &headers, "").await;
    let allowed = reply
        .header("access-control-allow-headers")
        .expect("a list");
    assert!(allowed.contains("flowgate-user-token"), "{allowed}");
}

#[tokio::test]
async fn pages_set_listed_properties_only() {
    let mut snapshot = with_more_keys();
    snapshot.access.browser_properties = Some(["locale".into(), "plan".into()].into());
    let edge = Harness::serving(snapshot);
    let identify = async |key, origin: Option<&str>, asked: Value| {
        let mut headers = vec![("x-api-key", key)];
        headers.extend(origin.map(|origin| ("origin", origin)));
        for path in ["/identify", "/v1/identify"] {
            let reply = edge.ask("POST", path, &headers, &asked.to_string()).await;
            if reply.status != 204 && reply.status != 200 {
                return (reply.status, reply.json().to_string());
            }
        }
        (200, String::new())
    };
    let user = |name: &str| json!({"identifier": "u1", "properties": {"plan": "pro", name: 1}});
    let group = |name: &str| json!({"identifier": "u1", "groups": [{"identifier": "g", "properties": {name: 1}}]});
    for asked in [user, group] {
        assert_eq!(identify(USERS, Some(APP), asked("locale")).await.0, 200);
        let (status, told) = identify(USERS, Some(APP), asked("is_admin")).await;
        assert_eq!(status, 403, "{told}");
        assert!(
            told.contains("is_admin") && told.contains("locale, plan"),
            "{told}"
        );
        // A back end sends no origin; a key that stands in pages is one of them.
        assert_eq!(identify(USERS, None, asked("is_admin")).await.0, 200);
        assert_eq!(identify(PAGES_USERS, None, asked("is_admin")).await.0, 403);
    }
    let reply = edge.post(SERVER, "/v1/identify", &user("is_admin")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn an_environment_may_take_no_force_from_public_keys() {
    let mut snapshot = with_more_keys();
    snapshot.access.refuse_force = true;
    let edge = Harness::serving(snapshot);
    let force = json!({"subject": subject(), "version": 1, "force": true});
    let path = "/v1/flows/pro/start";
    assert_eq!(edge.post(BLOCKS, path, &force).await.status, 403);
    let reply = edge.post(SERVER, path, &force).await;
    assert_eq!(reply.json()["changed"], true, "{reply:?}");
}

#[tokio::test]
async fn a_key_has_its_rate_and_others_theirs() {
    let edge = Harness::limited(LimitSettings {
        requests_per_s_per_key: 1,
        requests_burst: 3,
        ..LimitSettings::default()
    });
    let ask = json!({"subject": subject(), "flows": {"welcome": null}});
    let mut refused = None;
    for _ in 0..50 {
        let reply = edge.post(BLOCKS, "/v1/evaluate", &ask).await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let refused = refused.expect("the burst ends");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(
        told(&refused).contains("limits.requests_per_s_per_key"),
        "{refused:?}"
    );
    assert_eq!(edge.post(SERVER, "/v1/evaluate", &ask).await.status, 200);
    let scrape = edge.edge.metrics.encode().expect("it encodes");
    let line = "flowgate_requests_limited_total{why=\"key_rate\",status=\"429\"} 1";
    assert!(scrape.contains(line), "{scrape}");
}

#[tokio::test]
async fn users_who_are_new_here_have_a_rate_and_known_ones_none() {
    let edge = Harness::limited(LimitSettings {
        unseen_users_per_s: 1,
        unseen_users_burst: 2,
        ..LimitSettings::default()
    });
    let read = async |key, user: &str| {
        let ask = json!({"subject": {"user": user}, "flows": {"welcome": null}, "start": true});
        edge.post(key, "/v1/evaluate", &ask).await
    };
    assert_eq!(read(BLOCKS, "known").await.status, 200);
    let mut refused = None;
    for number in 0..50 {
        let reply = read(BLOCKS, &format!("new-{number}")).await;
        if reply.status != 200 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("the burst ends");
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    for _ in 0..20 {
        assert_eq!(read(BLOCKS, "known").await.status, 200);
    }
    // Trusted keys bring whom they like; each public one has its own bucket.
    for number in 0..20 {
        assert_eq!(read(SERVER, &format!("other-{number}")).await.status, 200);
    }
    let body = json!({"identifier": "made"});
    assert_eq!(edge.post(USERS, "/identify", &body).await.status, 204);
}

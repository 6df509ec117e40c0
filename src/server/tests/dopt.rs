//! Dopt's blocks and identify over HTTP.
//! What is expected here was observed with the published clients.

use serde_json::{Value, json};

use super::{
    harness::Harness,
    installation::{BLOCKS, ELSEWHERE, SERVER, USERS},
};

fn state(started: bool, stopped: bool, finished: bool) -> Value {
    json!({"started": started, "stopped": stopped, "finished": finished})
}

#[tokio::test]
async fn reading_a_flow_starts_it_for_whom_it_may_concern() {
    let edge = Harness::start();
    let path = "/v2/flow/welcome?include=block&version=1&userIdentifier=u1";
    let first = edge.get(BLOCKS, path).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert_eq!(first.header("flowgate-revision"), Some("0.17"));
    assert!(first.header("flowgate-snapshot-age").is_some());
    assert_eq!(first.header("flowgate-stale"), None);
    let flow = first.json();
    assert_eq!(flow["kind"], "flow");
    assert_eq!(flow["version"], 1);
    assert_eq!(flow["state"], state(true, false, false));
    assert_eq!(flow["blocks"].as_array().map(Vec::len), Some(2));
    assert_eq!(flow["blocks"][0]["sid"], "welcome.one");
    assert_eq!(flow["blocks"][0]["state"]["active"], true);
    assert_eq!(
        flow["blocks"][0]["transitioned"],
        json!({"next": false, "skip": false})
    );
    // The second read changes nothing.
    assert_eq!(edge.get(BLOCKS, path).await.json(), flow);
    let short = edge
        .get(BLOCKS, "/v2/flow/welcome?tag=latest&userIdentifier=u1")
        .await
        .json();
    assert_eq!(short["state"], flow["state"]);
    assert_eq!(short.get("blocks"), None);
    // Somebody else's view of another flow: not started.
    let pro = edge
        .get(BLOCKS, "/v2/flow/pro?tag=latest&userIdentifier=u1")
        .await
        .json();
    assert_eq!(pro["state"], state(false, false, false));
}

#[tokio::test]
async fn steps_say_whether_they_changed_anything() {
    let edge = Harness::start();
    let step = async |path: &str| {
        let reply = edge.post(BLOCKS, path, &json!({})).await;
        let (status, changed) = reply.stepped();
        (status, changed.map(ToOwned::to_owned))
    };
    let yes = (204, Some("true".to_owned()));
    let no = (204, Some("false".to_owned()));
    // Whoever does not qualify is not started, and that is no error.
    let pro = "/v2/flow/pro/start?version=1&userIdentifier=u1";
    assert_eq!(step(pro).await, no);
    assert_eq!(step(&format!("{pro}&force=true")).await, yes);
    assert_eq!(step(&format!("{pro}&force=true")).await, no);

    let next = "/v2/block/pro_one/transition?version=1&userIdentifier=u1&transitions=next";
    assert_eq!(step(&format!("{next}&transitions=bogus")).await, yes);
    assert_eq!(step(next).await, no, "the block is not active any more");
    let block = "/v2/block/pro_one?version=1.0&userIdentifier=u1";
    let block = edge.get(BLOCKS, block).await.json();
    let expected = json!({"active": false, "entered": true, "exited": true});
    assert_eq!(block["state"], expected);
    assert_eq!(block["transitioned"], json!({"next": true, "skip": false}));

    let done = "/v2/block/pro_two/transition?version=1&userIdentifier=u1&transitions=done";
    assert_eq!(step(done).await, yes);
    let flow = "/v2/flow/pro?version=1&userIdentifier=u1";
    let flow_state = edge.get(BLOCKS, flow).await.json()["state"].clone();
    assert_eq!(flow_state, state(true, false, true));
    assert_eq!(
        step("/v2/flow/pro/stop?version=1&userIdentifier=u1").await,
        yes
    );
    assert_eq!(
        step("/v2/flow/pro/reset?version=1&userIdentifier=u1").await,
        yes
    );
    let flow_state = edge.get(BLOCKS, flow).await.json()["state"].clone();
    assert_eq!(flow_state, state(false, false, false));
}

#[tokio::test]
async fn a_force_that_a_flow_refuses_counts_as_not_given() {
    let edge = Harness::start();
    let path = "/v2/flow/api/start?version=1&userIdentifier=u1&force=true";
    let reply = edge.post(BLOCKS, path, &json!({})).await;
    assert_eq!(reply.stepped(), (204, Some("false")));
}

#[tokio::test]
async fn a_disabled_flow_answers_and_does_nothing() {
    let edge = Harness::start();
    let path = "/v2/flow/off?version=1&userIdentifier=u1&include=block";
    let flow = edge.get(BLOCKS, path).await.json();
    assert_eq!(flow["state"], state(false, false, false));
    assert_eq!(flow["blocks"][0]["state"]["active"], false);
    let start = "/v2/flow/off/start?version=1&userIdentifier=u1&force=true";
    let reply = edge.post(BLOCKS, start, &json!({})).await;
    assert_eq!(reply.stepped(), (204, Some("false")));
    let next = "/v2/block/off_one/transition?version=1&userIdentifier=u1&transitions=next";
    let reply = edge.post(BLOCKS, next, &json!({})).await;
    assert_eq!(reply.stepped(), (204, Some("false")));
}

#[tokio::test]
async fn drafts_and_empty_flows_have_their_answers() {
    let edge = Harness::start();
    let latest = "/v2/flow/sketch?tag=latest&userIdentifier=u1&include=block";
    let expected = json!({
        "kind": "flow", "type": "flow", "uid": "flow_sketch", "sid": "sketch", "version": 0,
        "state": state(false, false, false), "blocks": [],
    });
    assert_eq!(edge.get(BLOCKS, latest).await.json(), expected);
    let start = "/v2/flow/sketch/start?tag=latest&userIdentifier=u1";
    let reply = edge.post(BLOCKS, start, &json!({})).await;
    assert_eq!(reply.stepped(), (204, Some("false")));
    let draft = "/v2/flow/sketch?tag=uncommitted&userIdentifier=u1";
    let flow = edge.get(BLOCKS, draft).await.json();
    assert_eq!(
        (&flow["version"], &flow["state"]["started"]),
        (&json!(0), &json!(true))
    );

    let edge = Harness::with_drafts(false);
    let reply = edge.get(BLOCKS, draft).await;
    assert_eq!(reply.status, 404);
    let details = reply.json()["details"].to_string();
    assert!(details.contains("drafts"), "the switch is named: {details}");
}

/// Method, key, path and the status that is expected.
const MISUSES: &str = "\
GET blocks /v2/flow/nope?version=1&userIdentifier=u 404
GET blocks /v2/flow/welcome?version=9&userIdentifier=u 404
GET blocks /v2/flow/welcome?version=-1&userIdentifier=u 400
GET blocks /v2/flow/welcome?version=1.5&userIdentifier=u 400
GET blocks /v2/flow/welcome?userIdentifier=u 400
GET blocks /v2/flow/welcome?version=1&tag=latest&userIdentifier=u 400
GET blocks /v2/flow/welcome?version=1 400
GET blocks /v2/flow/welcome?version=1&userIdentifier= 400
GET blocks /v2/flow/welcome?version=1&userIdentifier=u&userIdentifier=v 400
GET elsewhere /v2/flow/welcome?version=1&userIdentifier=u 404
GET elsewhere /v2/block/welcome_one?version=1&userIdentifier=u 404
GET blocks /v2/block/nope?version=1&userIdentifier=u 404
GET blocks /v2/block/welcome_end?version=1&userIdentifier=u 404
GET wrong /v2/flow/welcome?version=1&userIdentifier=u 401
GET users /v2/flow/welcome?version=1&userIdentifier=u 403
GET server /v2/flow/welcome?version=1&userIdentifier=u 403
DELETE blocks /v2/flow/welcome?version=1&userIdentifier=u 405
POST blocks /v2/flow/welcome/exit?version=1&userIdentifier=u 404
POST blocks /v2/flow/nope/start?version=-1&userIdentifier=u 400
POST blocks /v2/flow/welcome/stop?version=1&userIdentifier=u&force=true 400
POST blocks /v2/block/welcome_one/transition?version=1&userIdentifier=u 400
POST blocks /v2/block/welcome_nope/transition?version=1&userIdentifier=u&transitions=a 404
POST blocks /identify 403
POST users /identify 400
POST users /identify/batch 400
POST blocks /identify/batch 403
GET users /identify/group 405
POST users /identify/a/b 404
POST users /identify/ 404";

#[tokio::test]
async fn every_misuse_has_its_json_error() {
    let edge = Harness::start();
    for line in MISUSES.lines() {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("four words");
        let (method, key, path, status) = (word(), word(), word(), word());
        let key = match key {
            "blocks" => BLOCKS,
            "users" => USERS,
            "server" => SERVER,
            "elsewhere" => ELSEWHERE,
            other => other,
        };
        let reply = edge.ask(method, path, &[("x-api-key", key)], "").await;
        assert_eq!(reply.status.to_string(), status, "{line}: {reply:?}");
        let body = reply.json();
        assert!(
            body["code"].is_string() && body["details"].is_string(),
            "{body}"
        );
    }
    let none = edge.ask("GET", "/v2/flow/welcome", &[], "").await;
    assert_eq!(none.status, 401);
    // All names unknown on an active block.
    edge.get(BLOCKS, "/v2/flow/welcome?version=1&userIdentifier=u")
        .await;
    let bogus = "/v2/block/welcome_one/transition?version=1&userIdentifier=u&transitions=bogus";
    let reply = edge.post(BLOCKS, bogus, &json!({})).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["code"], "invalid_request_error");
}

#[tokio::test]
async fn identify_decides_who_starts() {
    let edge = Harness::start();
    let body = json!({
        "identifier": "joe+test@x.com", "properties": {"plan": "pro", "old": null},
        "groups": [{"identifier": "g1", "properties": {"size": 3}}], "traits": "ignored",
    });
    let reply = edge.post(USERS, "/identify", &body).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    // The JavaScript SDK sends the plus sign as it is.
    let path = "/v2/flow/pro?tag=latest&userIdentifier=joe+test@x.com";
    let sdk = [("x-api-key", BLOCKS), ("x-pkg-name", "@dopt/javascript")];
    let flow = edge.ask("GET", path, &sdk, "").await.json();
    assert_eq!(flow["state"], state(true, false, false));
    let other = edge.get(BLOCKS, path).await.json();
    assert_eq!(other["state"], state(false, false, false), "joe test");
}

#[tokio::test]
async fn a_browser_may_ask_and_read_the_headers() {
    let edge = Harness::start();
    let origin = ("origin", "https://app.example");
    let asks = [
        origin,
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-api-key,x-pkg-name"),
    ];
    let reply = edge.ask("OPTIONS", "/v2/flow/welcome", &asks, "").await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let allowed = reply.header("access-control-allow-headers");
    assert!(allowed.is_some_and(|names| names.contains("x-pkg-version")));
    let headers = [origin, ("x-api-key", BLOCKS)];
    let path = "/v2/flow/welcome/start?version=1&userIdentifier=u1";
    let reply = edge.ask("POST", path, &headers, "{}").await;
    assert_eq!(reply.stepped(), (204, Some("true")));
    let exposed = reply.header("access-control-expose-headers");
    assert!(exposed.is_some_and(|names| names.contains("X-Dopt-Intent-Side-Effects")));
    let refused = edge.ask("GET", "/v2/flow/welcome", &[origin], "").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn an_unwritable_journal_never_makes_a_read_fail() {
    let edge = Harness::start();
    edge.journal.shutdown();
    let path = "/v2/flow/welcome?version=1&userIdentifier=u1&include=block";
    let reply = edge.get(BLOCKS, path).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["state"], state(false, false, false));
    let start = "/v2/flow/welcome/start?version=1&userIdentifier=u1";
    let reply = edge.post(BLOCKS, start, &json!({})).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["code"], "internal_server_error");
    let wait = reply.header("retry-after").expect("it says when");
    assert!(wait.parse::<u32>().is_ok());
    let metrics = edge.edge.metrics.encode().expect("it encodes");
    assert!(
        metrics.contains("flowgate_starts_not_stored_total 1"),
        "{metrics}"
    );
}

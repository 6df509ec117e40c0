//! Is what a client reads no older than what it wrote, on any edge?

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Pair, start};
use crate::{
    bad_documents::proxy::{Mood, Proxy},
    harness::{Client, body_of, eventually},
};

/// Evaluates the announcement, showing a token in the body.
#[track_caller]
fn evaluate(client: &Client, user: &str, token: &Value) -> Value {
    let body = json!({"subject": {"user": user}, "flows": {"announcement": 1}, "token": token});
    body_of(&client.post("/v1/evaluate", &body), 200)
}

fn started(answer: &Value) -> &Value {
    &answer["decisions"]["announcement"]["state"]["started"]
}

/// Two edges; what the second one ships is held up by the proxy.
fn held_up() -> (Pair, Proxy) {
    let mut proxy = None;
    let pair = Pair::with(
        |store| {
            let stands = Proxy::before(store.url());
            let url = stands.url.clone();
            proxy = Some(stands);
            url
        },
        &[],
    );
    (pair, proxy.expect("it was put up"))
}

#[test]
fn a_write_on_one_edge_is_seen_on_the_other_by_its_token() {
    let pair = Pair::start();
    let (first, second) = (pair.first.client("blocks"), pair.second.client("blocks"));
    for number in 0..20 {
        let user = format!("user-{number}");
        // The other edge holds an older document already.
        let body = json!({"subject": {"user": user}, "flows": {"announcement": 1}});
        let before = body_of(&first.post("/v1/evaluate", &body), 200);
        assert_eq!(started(&before), false, "{before}");
        let token = start(&second, &user)["token"].clone();
        let answer = evaluate(&first, &user, &token);
        assert_eq!(answer["stale"], false, "{answer}");
        assert_eq!(started(&answer), true, "{answer}");
    }
    let metrics = pair.first.admin().get("/metrics").text;
    assert!(
        !metrics.contains("tokens_shown_total{outcome=\"waited\"} 0\n"),
        "{metrics}"
    );
}

#[test]
fn a_token_of_the_same_edge_costs_nothing() {
    let pair = Pair::start();
    let client = pair.first.client("blocks");
    let token = start(&client, "ann")["token"].clone();
    let answer = evaluate(&client, "ann", &token);
    assert_eq!(answer["stale"], false, "{answer}");
    assert_eq!(started(&answer), true, "{answer}");
    let metrics = pair.first.admin().get("/metrics").text;
    let line = "flowgate_tokens_shown_total{outcome=\"included\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn with_shipping_held_up_the_answer_says_that_it_is_older() {
    let (pair, proxy) = held_up();
    let (first, second) = (pair.first.client("blocks"), pair.second.client("blocks"));
    proxy.set(Mood::Refuses("/progress"));
    let token = start(&second, "ann")["token"].clone();
    let begun = Instant::now();
    let answer = evaluate(&first, "ann", &token);
    let waited = begun.elapsed();
    assert_eq!(answer["stale"], true, "{answer}");
    assert_eq!(started(&answer), false, "{answer}");
    assert!(waited >= Duration::from_millis(900), "{waited:?}");
    assert!(waited < Duration::from_secs(20), "{waited:?}");
    // The same in the header, of every route that reads a user.
    let text = token.as_str().expect("a token");
    let headers = [("flowgate-token", text)];
    let path = "/v2/flow/announcement?version=1&userIdentifier=ann";
    let read = first
        .send(Method::GET, path, &headers, None)
        .expect("an answer");
    assert_eq!(read.status, 200, "{}", read.text);
    assert_eq!(read.header("flowgate-stale"), "true");
    // It comes through while somebody waits for it.
    proxy.set(Mood::Serve);
    eventually("the record is at the ledger", || pair.store.user("ann"));
    let answer = evaluate(&first, "ann", &token);
    assert_eq!(answer["stale"], false, "{answer}");
    assert_eq!(started(&answer), true, "{answer}");
    // And it is remembered: the ledger is not asked again.
    let again = Instant::now();
    let answer = evaluate(&first, "ann", &token);
    assert_eq!(answer["stale"], false, "{answer}");
    println!("a token known to be included took {:?}", again.elapsed());
}

#[test]
fn a_token_nobody_gave_is_answered_as_stale_and_a_malformed_one_is_refused() {
    let pair = Pair::start();
    let client = pair.first.client("blocks");
    let own = start(&client, "ann")["token"].clone();
    let own = own.as_str().expect("a token");
    let (journal, _) = own.split_once('-').expect("journal and seq");
    let ahead = json!(format!("{journal}-999999"));
    let begun = Instant::now();
    assert_eq!(evaluate(&client, "ann", &ahead)["stale"], true);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "it is not waited for"
    );
    let foreign = json!(format!("{}-1", "0".repeat(32)));
    assert_eq!(evaluate(&client, "ann", &foreign)["stale"], true);
    for malformed in [
        "",
        "x",
        "-1",
        &own[1..],
        &format!("{journal}-"),
        &format!("{own}x"),
    ] {
        let body = json!({"subject": {"user": "ann"}, "flows": {"announcement": 1},
            "token": malformed});
        let answer = client.post("/v1/evaluate", &body);
        assert_eq!(answer.status, 400, "{malformed}: {}", answer.text);
        let headers = [("flowgate-token", malformed)];
        let body = json!({"subject": {"user": "ann"}, "version": 1}).to_string();
        let path = "/v1/flows/announcement/stop";
        let answer = client.send(Method::POST, path, &headers, Some(body));
        assert_eq!(answer.expect("an answer").status, 400, "{malformed}");
    }
}

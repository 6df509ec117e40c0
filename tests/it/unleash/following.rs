//! What are clients told that follow flags instead of asking for all of them?
//!
//! By `/api/client/delta`, where a tag is the number of the last event, and by
//! `/api/client/streaming`.

use std::{io::Write, net::TcpStream};

use reqwest::Method;
use serde_json::{Value, json};

use super::offline::Offline;
use crate::harness::{Answer, Events, Site, body_of, eventually};

const ALL: &str = "*:development.a-secret-of-the-story";
const SHOP: &str = "shop:development.another-secret";
const DELTA: &str = "/api/client/delta";
const STREAM: &str = "/api/client/streaming";

/// Flags by name, project and what else is said of them.
fn document(flags: &[(&str, &str, &str)]) -> String {
    let flags = flags.iter().map(|(name, project, note)| {
        json!({"name": name, "project": project, "enabled": true, "description": note,
            "strategies": [{"name": "default", "segments": [1]}]})
    });
    let flags: Vec<Value> = flags.collect();
    let constraint = json!({"contextName": "plan", "operator": "IN", "values": ["pro"]});
    json!({"version": 2, "features": flags, "segments": [{"id": 1, "constraints": [constraint]}]})
        .to_string()
}

fn first() -> String {
    document(&[("cart", "shop", "one"), ("chat", "desk", "one")])
}

/// Kind and flag of each event.
fn told(data: &Value) -> Vec<(String, String)> {
    let events = data["events"].as_array().expect("events").iter();
    let told = events.map(|event| {
        let name = event["feature"]["name"].as_str();
        let name = name.or(event["featureName"].as_str()).unwrap_or_default();
        let kind = event["type"].as_str().expect("a kind");
        (kind.to_owned(), name.to_owned())
    });
    told.collect()
}

fn event(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

/// Names of a hydration.
fn names(event: &Value) -> Vec<&str> {
    assert_eq!(event["type"], "hydration", "{event}");
    let features = event["features"].as_array().expect("features").iter();
    features
        .map(|own| own["name"].as_str().expect("a name"))
        .collect()
}

#[test]
fn a_client_that_asks_for_changes_is_told_these_and_no_others() {
    let edge = Offline::start(&first(), &[ALL, SHOP]);
    let ask = |token: &str, tag: &str| -> Answer {
        let client = edge.with(token);
        let answer = client.send(Method::GET, DELTA, &[("if-none-match", tag)], None);
        answer.expect("an answer")
    };
    let begun = edge.client.get(DELTA);
    let body = body_of(&begun, 200);
    assert_eq!(names(&body["events"][0]), ["cart", "chat"]);
    let number = body["events"][0]["eventId"].to_string();
    assert_eq!(begun.header("etag"), format!("\"{number}\""));
    for tag in [
        begun.header("etag"),
        &number,
        &format!("W/\"{number}\""),
        &format!("\"1\", \"{number}-gzip\""),
    ] {
        let again = ask(ALL, tag);
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{tag}");
    }
    let body = edge.with(SHOP).get(DELTA).json();
    assert_eq!(names(&body["events"][0]), ["cart"]);

    // One project changes; a token of the other one has nothing to hear.
    edge.replace(&document(&[
        ("cart", "shop", "one"),
        ("chat", "desk", "two"),
    ]));
    let changed = eventually("the change is told", || {
        let answer = ask(ALL, &number);
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(told(&changed.json()), [event("feature-updated", "chat")]);
    let second = changed.json()["events"][0]["eventId"].to_string();
    assert_eq!(changed.header("etag"), format!("\"{second}\""));
    assert_eq!(ask(SHOP, &number).status, 304);
    assert_eq!(ask(ALL, &second).status, 304);

    // A flag that moves comes to one and goes from the other.
    edge.replace(&document(&[("cart", "desk", "one")]));
    let moved = eventually("the move is told", || {
        let answer = ask(ALL, &second);
        (answer.status == 200).then_some(answer)
    });
    let expected = [
        event("feature-updated", "cart"),
        event("feature-removed", "chat"),
    ];
    assert_eq!(told(&moved.json()), expected);
    let seen = ask(SHOP, &second);
    let left = [
        event("feature-removed", "cart"),
        event("segment-removed", ""),
    ];
    assert_eq!(told(&seen.json()), left);
    assert_eq!(seen.json()["events"][0]["project"], "shop");
    // From further back it is the sum of both ways.
    let expected = [&[event("feature-updated", "chat")], &expected[..]].concat();
    assert_eq!(told(&ask(ALL, &number).json()), expected);
    assert_eq!(told(&ask(SHOP, &number).json()), told(&seen.json()));
    // Nobody was ever at these.
    for tag in ["\"1\"", "\"nothing\"", "99999999999999999999"] {
        let body = ask(ALL, tag).json();
        assert_eq!(names(&body["events"][0]), ["cart"], "{tag}");
    }
    let zipped = [("accept-encoding", "gzip"), ("if-none-match", &*second)];
    let zipped = edge.ask(Method::GET, DELTA, &zipped);
    assert!(
        zipped.header("etag").ends_with("-gzip\""),
        "{:?}",
        zipped.headers
    );
}

#[test]
fn a_stream_tells_everything_and_then_what_changes() {
    let edge = Offline::start(&first(), &[ALL, SHOP]);
    let mut all = Events::open(&edge.url(), STREAM, ALL);
    assert!(
        all.head.contains("content-type: text/event-stream"),
        "{}",
        all.head
    );
    let mut shop = Events::open(&edge.url(), STREAM, SHOP);
    let mut prefixed = Events::open(&edge.url(), &format!("{STREAM}?namePrefix=ch"), ALL);
    let begun = all.next().expect("the first event");
    assert_eq!(begun.name, "unleash-connected");
    assert_eq!(names(&begun.data["events"][0]), ["cart", "chat"]);
    assert_eq!(begun.data["events"][0]["segments"][0]["id"], 1);
    assert_eq!(begun.id, begun.data["events"][0]["eventId"].to_string());
    let connected = shop.expect("unleash-connected");
    assert_eq!(names(&connected["events"][0]), ["cart"]);
    let connected = prefixed.expect("unleash-connected");
    assert_eq!(names(&connected["events"][0]), ["chat"]);

    edge.replace(&document(&[
        ("cart", "shop", "one"),
        ("chat", "desk", "two"),
    ]));
    let updated = all.next().expect("the change");
    assert_eq!(updated.name, "unleash-updated");
    assert_eq!(told(&updated.data), [event("feature-updated", "chat")]);
    assert_ne!(updated.id, begun.id);
    let expected = [event("feature-updated", "chat")];
    assert_eq!(told(&prefixed.expect("unleash-updated")), expected);
    // The other project's change is told to nobody else: what comes next is
    // the flag that leaves.
    edge.replace(&document(&[
        ("cart", "desk", "one"),
        ("chat", "desk", "two"),
    ]));
    let left = shop.expect("unleash-updated");
    let expected = [
        event("feature-removed", "cart"),
        event("segment-removed", ""),
    ];
    assert_eq!(told(&left), expected);
    all.expect("unleash-updated");

    // A client that comes again is told what it has missed, or that it was
    // nothing, or everything where nobody knows what it has.
    let again = |id: &str| {
        let mut events = Events::ask_after(&edge.url(), STREAM, ALL, id);
        events.next().expect("the first event")
    };
    let missed = again(&updated.id);
    assert_eq!(missed.name, "unleash-connected");
    assert_eq!(told(&missed.data), [event("feature-updated", "cart")]);
    let nothing = again(&missed.id);
    assert_eq!((told(&nothing.data), nothing.id), (vec![], missed.id));
    for unknown in ["1", "", "nonsense"] {
        assert_eq!(names(&again(unknown).data["events"][0]), ["cart", "chat"]);
    }
    let metrics = edge.admin().get("/metrics").text;
    for line in [
        "event=\"hydration\"} 6",
        "event=\"resumed\"} 2",
        "event=\"updated\"} 4",
    ] {
        let line = format!("flowgate_flag_stream_events_total{{{line}");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

#[test]
fn numbers_of_events_mean_the_same_after_a_restart_and_on_other_edges() {
    let mut edge = Offline::start(&first(), &[ALL]);
    let mut events = Events::open(&edge.url(), STREAM, ALL);
    let begun = events.next().expect("an event");
    // What is as it was has the number it had, however often it has changed.
    edge.replace(&document(&[]));
    events.expect("unleash-updated");
    edge.replace(&first());
    assert_eq!(events.next().expect("an event").id, begun.id);
    assert_eq!(edge.terminate(), Some(0));
    let again = |document: &str| {
        let edge = Offline::start(document, &[ALL]);
        let mut events = Events::ask_after(&edge.url(), STREAM, ALL, &begun.id);
        events.next().expect("an event")
    };
    assert_eq!(told(&again(&first()).data), []);
    // The file was another one by then: what the client has is not known.
    let other = document(&[("cart", "shop", "other")]);
    let everything = again(&other);
    assert_eq!(names(&everything.data["events"][0]), ["cart"]);
    assert_ne!(everything.id, begun.id);
}

#[test]
fn there_are_so_many_streams_and_a_stopping_edge_ends_them() {
    let mut edge = Offline::start_with(&first(), &[ALL], &["--streams-max", "1"]);
    let url = edge.url();
    let mut one = Events::open(&url, STREAM, ALL);
    one.expect("unleash-connected");
    // After this status, clients ask from time to time instead.
    let refused = Events::ask(&url, STREAM, ALL);
    assert_eq!(refused.status(), 429);
    drop(one);
    let mut again = eventually("the place is free", || {
        let again = Events::ask(&url, STREAM, ALL);
        (again.status() == 200).then_some(again)
    });
    again.expect("unleash-connected");
    for token in ["", "*:development.wrong"] {
        assert_eq!(Events::ask(&url, STREAM, token).status(), 403);
    }
    assert_eq!(edge.terminate(), Some(0));
    assert_eq!(again.next(), None);
}

#[test]
fn a_revoked_key_ends_its_streams_of_flags() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let doomed = site.store.key_of("development", "client", "doomed");
    let mut heard = eventually("the edge knows the key", || {
        let events = Events::ask(&url, STREAM, &doomed);
        (events.status() == 200).then_some(events)
    });
    heard.expect("unleash-connected");
    site.store.revoke("client", "doomed");
    assert_eq!(heard.next(), None);
    assert_eq!(Events::ask(&url, STREAM, &doomed).status(), 403);
}

#[test]
fn whoever_takes_nothing_is_cut_and_counted() {
    let note = "x".repeat(16 * 1024);
    let flags: Vec<String> = (0..1_000).map(|at| format!("flag-{at}")).collect();
    let flags: Vec<(&str, &str, &str)> =
        flags.iter().map(|name| (&**name, "shop", &*note)).collect();
    let edge = Offline::start(&document(&flags), &[ALL]);
    let address = edge.url().trim_start_matches("http://").to_owned();
    let mut lazy = TcpStream::connect(&address).expect("it listens");
    let head = format!("GET {STREAM} HTTP/1.1\r\nhost: {address}\r\nauthorization: {ALL}\r\n\r\n");
    lazy.write_all(head.as_bytes()).expect("it is sent");
    let line = "flowgate_flag_stream_ends_total{how=\"slow\"} 1";
    eventually("the stream is cut", || {
        let metrics = edge.admin().get("/metrics").text;
        (metrics.contains(line) && metrics.contains("flowgate_streams_open 0")).then_some(())
    });
    // Nobody else waits for it.
    assert_eq!(edge.client.get("/api/client/features").status, 200);
}

//! When is a stream over, and how many may there be?

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;

use super::start;
use crate::harness::{Events, Site, body_of, eventually};

/// Streams that one story opens.
const MANY: usize = 1_000;

#[test]
fn a_revoked_key_ends_its_streams_and_no_others() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let doomed = site.store.key_of("development", "blocks", "doomed");
    let mut heard = eventually("the edge knows the key", || {
        let events = Events::ask(&url, "/v1/changes?user=ann", &doomed);
        (events.status() == 200).then_some(events)
    });
    let mut other = Events::open(&url, "/v1/changes?user=ann", &site.edge.key("blocks"));
    heard.expect("hello");
    other.expect("hello");
    let begun = Instant::now();
    site.store.revoke("blocks", "doomed");
    let closed = heard.until("the end", |event| event.name == "closed");
    assert_eq!(closed.data["reason"], "key", "{closed:?}");
    println!(
        "closed {:?} after the command was begun (goal: 1 s)",
        begun.elapsed()
    );
    assert_eq!(heard.next(), None, "nothing follows");
    start(&site.edge.client("blocks"), "ann");
    other.until("a change", |event| event.name == "change");
    let again = Events::ask(&url, "/v1/changes?user=ann", &doomed);
    assert_eq!(again.status(), 401);
}

#[test]
fn a_stopping_edge_ends_its_streams_and_does_not_wait_for_them() {
    let mut site = Site::start();
    let url = site.edge.program.text("edge_url");
    let mut heard = Events::open(&url, "/v1/changes?user=ann", &site.edge.key("blocks"));
    heard.expect("hello");
    let begun = Instant::now();
    assert_eq!(site.edge.program.terminate(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "below the drain deadline"
    );
    assert_eq!(heard.next(), None);
}

#[test]
fn there_are_so_many_streams_and_no_more() {
    let flags = ["--streams-max", "3", "--streams-per-key-max", "2"];
    let site = Site::start_with(&flags);
    let url = site.edge.program.text("edge_url");
    let open = |kind: &str| Events::ask(&url, "/v1/changes?user=ann", &site.edge.key(kind));
    let (one, two) = (open("blocks"), open("blocks"));
    assert_eq!((one.status(), two.status()), (200, 200));
    let refused = open("blocks");
    assert_eq!(refused.status(), 503);
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    let third = open("server");
    assert_eq!(third.status(), 200);
    assert_eq!(open("server").status(), 503, "three in all");
    drop(one);
    let again = eventually("its place is given back", || {
        let again = open("blocks");
        (again.status() == 200).then_some(again)
    });
    drop(again);
    let metrics = site.edge.admin().get("/metrics").text;
    assert!(metrics.contains("flowgate_streams_open "), "{metrics}");
    assert!(
        metrics.contains("flowgate_stream_events_total{event=\"hello\"}"),
        "{metrics}"
    );
}

#[test]
fn a_thousand_streams_hear_of_their_users() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let key = site.edge.key("blocks");
    let begun = Instant::now();
    let mut streams: Vec<Events> = (0..MANY)
        .map(|user| Events::open(&url, &format!("/v1/changes?user=u{user}"), &key))
        .collect();
    for stream in &mut streams {
        stream.expect("hello");
    }
    println!("{MANY} streams stood after {:?}", begun.elapsed());
    let client = site.edge.client("blocks");
    for user in (0..MANY).step_by(100) {
        start(&client, &format!("u{user}"));
    }
    for user in (0..MANY).step_by(100) {
        streams[user].until("the start", |event| event.name == "change");
    }
    assert!(streams[1].is_silent(Duration::from_millis(50)));
    // A new revision is for everybody.
    let begun = Instant::now();
    site.publish("Second");
    for stream in &mut streams {
        stream.until("the revision", |event| event.name == "revision");
    }
    println!(
        "all heard of the revision {:?} after it was ordered",
        begun.elapsed()
    );
    drop(streams);
    eventually("all places are given back", || {
        let metrics = site.edge.admin().get("/metrics").text;
        metrics.contains("flowgate_streams_open 0").then_some(())
    });
}

#[test]
fn whoever_reads_nothing_costs_nothing_but_their_own_stream() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let address = url.trim_start_matches("http://").to_owned();
    let key = site.edge.key("blocks");
    let mut lazy = TcpStream::connect(&address).expect("it listens");
    let head =
        format!("GET /v1/changes?user=ann HTTP/1.1\r\nhost: {address}\r\nx-api-key: {key}\r\n\r\n");
    lazy.write_all(head.as_bytes()).expect("it is sent");
    let mut eager = Events::open(&url, "/v1/changes?user=ann", &key);
    eager.expect("hello");
    let client = site.edge.client("server");
    for number in 0..200 {
        let body = json!({"identifier": "ann", "properties": {"number": number}});
        body_of(&client.post("/v1/identify", &body), 200);
    }
    // The eager one comes to the end, however many wakes became one.
    start(&client, "ann");
    eager.until("the last change", |event| {
        super::announcement(&event.data)["state"]["started"] == true
    });
    // The lazy one still holds its stream, or was cut; both are fine, and the
    // edge answers.
    drop(lazy);
    eventually("its place is given back", || {
        let metrics = site.edge.admin().get("/metrics").text;
        metrics.contains("flowgate_streams_open 1").then_some(())
    });
}

//! What survives when the machine fails?
//!
//! Disks that are really full ([`full`]), power that is cut under load
//! ([`power`], on a disk of [`device`]), a store that stops answering without
//! being gone ([`paused`]), and one that is away until nothing more fits
//! ([`away`]). File systems are mounted where nobody else sees them
//! ([`ground`]); where the machine does not allow it, the story says so and why.

mod away;
mod device;
mod full;
mod ground;
mod paused;
mod power;

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Site, eventually};

/// Whether stories take as long as they need: `tests/long/run` says so.
fn is_long() -> bool {
    std::env::var_os("FLOWGATE_LONG").is_some()
}

/// Says why a story was not told.
fn skip(story: &str, reason: &str) {
    println!("SKIPPED {story}: {reason}");
}

/// An identify call that sets `n`, with so many bytes beside it.
fn identify(client: &Client, user: &str, n: u64, bytes: usize) -> Result<Answer, String> {
    // A property has at most 4 KiB.
    const PIECE: usize = 4000;
    let pieces = bytes.div_ceil(PIECE);
    let mut properties: serde_json::Map<String, Value> = (0..pieces)
        .map(|piece| (format!("p{piece}"), json!("x".repeat(PIECE))))
        .collect();
    properties.insert("n".to_owned(), json!(n));
    let body = json!({"identifier": user, "properties": properties}).to_string();
    let sent = client.send(reqwest::Method::POST, "/v1/identify", &[], Some(body));
    sent.map_err(|error| error.to_string())
}

/// Whether a user's start is in the edge's memory.
fn is_started(client: &Client, user: &str) -> bool {
    let body = json!({"subject": {"user": user}, "flows": {"announcement": 1}});
    let answer = client.post("/v1/evaluate", &body);
    let answer = crate::harness::body_of(&answer, 200);
    answer["decisions"]["announcement"]["state"]["started"] == true
}

/// Waits until the store has all there is.
#[track_caller]
fn drained(site: &Site) {
    eventually("everything is shipped", || {
        let progress = &site.status()["progress"];
        let done = progress["backlog_records"] == 0 && progress["journals_open"] == 0;
        done.then_some(())
    });
    let shipped = &site.status()["progress"]["shipped"];
    assert_eq!(shipped["dead"], 0, "{shipped}");
}

/// The store has every call of a user that was answered, in order and once.
#[track_caller]
fn check_in_order(site: &Site, user: &str, answered: u64, in_flight: bool) {
    let document = site.store.user(user);
    if answered == 0 && document.is_none() {
        return;
    }
    let document = document.unwrap_or_else(|| panic!("{user} is lost"));
    let records = document["doc_rev"].as_u64().expect("a revision");
    let most = answered + u64::from(in_flight);
    // Each applied record raises the document by one: more would be twice.
    assert!(
        (answered..=most).contains(&records),
        "{user}: {records} of {answered} calls: {document}"
    );
    // The last one stands: none came after one that was answered later.
    assert_eq!(document["properties"]["n"], records, "{user}: {document}");
}

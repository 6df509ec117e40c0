//! What do streams of changes tell while the truth grows old?

use serde_json::json;

use super::*;
use crate::harness::{Events, check_problem};

fn open(scene: &Scene, user: &str) -> Events {
    let url = scene.edge.program.text("edge_url");
    let path = format!("/v1/changes?user={user}");
    let mut events = Events::open(&url, &path, &scene.edge.key("blocks"));
    events.expect("hello");
    events
}

/// Asks for a decision about somebody new each time, until it is refused for
/// this reason.
fn refused_for(scene: &Scene, kind: &str, user: impl Fn(u32) -> String) {
    let (mut asked, expected) = (0, format!("urn:flowgate:problem:{kind}"));
    eventually(kind, || {
        asked += 1;
        let body = json!({"subject": {"user": user(asked)}, "flows": {"announcement": "latest"}});
        let answer = scene.blocks.post("/v1/evaluate", &body);
        (answer.status == 503 && answer.json()["type"] == expected.as_str()).then_some(())
    });
}

#[test]
fn streams_obey_the_policies_as_decisions_do() {
    let flags = [
        ["--upstream-poll-wait-s", "1"],
        ["--environment-on-stale", "development=refuse-new-users"],
        ["--environment-on-expired", "development=refuse"],
    ];
    let scene = Scene::set("120", flags.as_flattened());
    body_of(&scene.read("known"), 200);
    let (mut known, mut stranger) = (open(&scene, "known"), open(&scene, "stranger"));
    let ticket = json!({"subject": {"user": "known"}});
    let ticket = body_of(&scene.blocks.post("/v1/changes/tickets", &ticket), 200);
    let ticket = ticket["url"].as_str().expect("a url").to_owned();
    scene.last_word(1_000, 10_000);

    let told = known.until("what is stale", |event| event.data["stale"] == true);
    assert_eq!(
        (told.name.as_str(), told.data["flows"].clone()),
        ("change", json!([]))
    );
    let last = stranger.until("the end", |event| event.name == "closed");
    assert_eq!(last.data["reason"], "stale", "{last:?}");
    assert_eq!(stranger.next(), None, "nothing follows");
    refused_for(&scene, "snapshot-stale", |at| format!("new-{at}"));
    let refused = scene.blocks.get("/v1/changes?user=newer");
    check_problem(&refused, 503, "snapshot-stale");
    assert_ne!(refused.header("retry-after"), "");
    let url = scene.edge.program.text("edge_url");
    let again = Events::open(&url, "/v1/changes?user=known", &scene.edge.key("blocks"));
    assert!(
        again.head.contains("flowgate-stale: true\r\n"),
        "{}",
        again.head
    );

    let last = known.until("the end", |event| event.name == "closed");
    assert_eq!(last.data["reason"], "expired", "{last:?}");
    refused_for(&scene, "snapshot-expired", |_| "known".to_owned());
    for path in ["/v1/changes?user=known", &ticket] {
        check_problem(&scene.blocks.get(path), 503, "snapshot-expired");
    }
    let metrics = scene.metrics();
    for state in ["stale", "expired"] {
        let none = format!("flowgate_requests_refused_old_total{{state=\"{state}\"}} 0");
        let own = none.trim_end_matches('0');
        assert!(
            metrics.contains(own) && !metrics.contains(&none),
            "{metrics}"
        );
    }
    // With the next word everybody is served again.
    scene.proxy.behave();
    for title in ["Second", "Third"] {
        scene.publish(title);
    }
    eventually("it is opened again", || {
        let events = Events::ask(&url, "/v1/changes?user=newest", &scene.edge.key("blocks"));
        (events.status() == 200).then_some(())
    });
}

#[test]
fn who_is_served_by_what_is_old_hears_that_it_is_and_when_it_is_not() {
    let scene = Scene::set("120", &["--upstream-poll-wait-s", "1"]);
    let mut events = open(&scene, "reader");
    scene.last_word(1_000, 100_000);
    events.until("it is stale", |event| event.data["stale"] == true);
    scene.proxy.behave();
    for title in ["Second", "Third"] {
        scene.publish(title);
    }
    let told = events.until("it is fresh", |event| event.data["stale"] == false);
    assert_eq!(told.name, "change", "{told:?}");
}

//! What do applications and probes get while the truth grows old?

use reqwest::Method;
use serde_json::json;

use super::*;
use crate::harness::{check_problem, flowgate};

fn health(scene: &Scene, words: &[&str]) -> (Option<i32>, String) {
    let url = scene.edge.program.text("edge_admin_url");
    let ended = run(flowgate()
        .args(["health", "--ready", "--url", &url])
        .args(words));
    let text = [ended.stdout, ended.stderr].concat();
    (
        ended.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn policies_hold_from_fresh_to_expired_and_end_with_the_next_word() {
    let flags = [
        // The last word is not held back for long.
        "--upstream-poll-wait-s",
        "1",
        "--environment-on-stale",
        "development=refuse-new-users",
        "--environment-on-expired",
        "development=refuse",
    ];
    let scene = Scene::set("120", &flags);
    let begun = scene.read("known");
    assert_eq!(begun.header("flowgate-stale"), "", "it is fresh");
    let card = body_of(&begun, 200)["blocks"][0]["uid"].clone();
    scene.last_word(1_000, 10_000);

    // Whoever is served is known from then on.
    let mut strangers = 0;
    let refused = eventually("new users are refused", || {
        strangers += 1;
        let answer = scene.read(&format!("stranger-{strangers}"));
        (answer.status == 503).then_some(answer)
    });
    assert!(refused.text.contains("stale"), "{}", refused.text);
    let known = scene.read("known");
    assert_eq!(
        (known.status, known.header("flowgate-stale")),
        (200, "true")
    );
    let step = format!(
        "/v2/block/{}/transition?version=1&transitions=complete&userIdentifier=known",
        card.as_str().expect("a uid")
    );
    let stepped = scene.blocks.send(Method::POST, &step, &[], None);
    let stepped = stepped.expect("an answer");
    assert_eq!(
        (stepped.status, stepped.header("x-dopt-intent-side-effects")),
        (204, "true"),
        "{}",
        stepped.text
    );
    let environment = scene.environment();
    assert_eq!(environment["policy"], "refuse-new-users", "{environment}");
    assert_eq!(scene.edge.admin().get("/ready").status, 200);

    eventually("nobody is served", || {
        (scene.read("known").status == 503).then_some(())
    });
    let server = scene.edge.client("server");
    let ask = json!({"subject": {"user": "known"}, "flows": {"announcement": "latest"}});
    let headers = &[];
    let expired = server
        .send(Method::POST, "/v1/evaluate", headers, Some(ask.to_string()))
        .expect("an answer");
    check_problem(&expired, 503, "snapshot-expired");
    assert!(expired.header("retry-after").parse::<u32>().is_ok());
    let ready = body_of(&scene.edge.admin().get("/ready"), 503);
    assert_eq!(ready["why"][0]["reason"], "snapshot-old", "{ready}");
    let (code, text) = health(&scene, &["--environment", "development", "--for", "read"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("expired"), "{text}");
    let metrics = scene.metrics();
    for line in [
        "flowgate_snapshot_state{environment=\"development\",state=\"expired\"} 1",
        "flowgate_snapshot_state{environment=\"development\",state=\"fresh\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }

    scene.proxy.behave();
    let mut publishes = 0;
    eventually("a newer word is taken", || {
        publishes += 1;
        scene.publish(&format!("Title {publishes}"));
        (scene.read("new").status == 200).then_some(())
    });
    assert_eq!(scene.edge.admin().get("/ready").status, 200);
    assert_eq!(health(&scene, &["--for", "write"]).0, Some(0));
    assert_eq!(health(&scene, &["--environment", "moon"]).0, Some(1));
    for (query, status) in [
        ("environment=development&for=write", 200),
        ("environment=moon", 404),
        ("for=cake", 400),
        ("colour=red", 400),
    ] {
        let answer = scene.edge.admin().get(&format!("/ready?{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
    }
}

#[test]
fn a_frozen_cache_is_told_from_an_upstream_that_is_away() {
    let scene = Scene::set("120", &["--upstream-poll-wait-s", "1"]);
    scene.last_word(500, 3_600_000);
    let environment = eventually("its reason", || {
        let environment = scene.environment();
        (environment["reason"] == "upstream_old").then_some(environment)
    });
    let error = environment["error"].as_str().expect("words");
    assert!(error.contains("frozen"), "{error}");
    // It goes on answering, is asked on and on, and confirms nothing.
    let confirmed = environment["last_success_ms"].clone();
    let failures = environment["failures"].as_u64().expect("a number");
    let later = eventually("more attempts", || {
        let environment = scene.environment();
        (environment["failures"].as_u64() >= Some(failures + 3)).then_some(environment)
    });
    assert_eq!(later["last_success_ms"], confirmed);
    assert!(later["last_attempt_ms"].as_u64() > confirmed.as_u64());
    assert_eq!(later["silent"], false, "{later}");
    assert_eq!(scene.read("anybody").status, 200, "it serves on");
    let metrics = scene.metrics();
    let line =
        "flowgate_refresh_failures_total{environment=\"development\",reason=\"upstream_old\"}";
    assert!(metrics.contains(line), "{metrics}");
    let log = scene.edge.program.log();
    assert_eq!(log.matches("upstream_old").count(), 1, "{log}");
    scene.proxy.set(Mood::Away);
    eventually("another reason", || {
        (scene.environment()["reason"] == "upstream_away").then_some(())
    });
}

#[test]
fn an_upstream_that_says_nothing_shows_within_its_deadline() {
    let flags = [
        "--upstream-poll-wait-s",
        "1",
        "--upstream-timeout-ms",
        "300",
    ];
    let scene = Scene::set("120", &flags);
    scene.proxy.set(Mood::Silent);
    eventually("it is noticed", || {
        let environment = scene.environment();
        let changes = &environment["changes"];
        (environment["reason"] == "upstream_away" && changes["connected"] == false).then_some(())
    });
    scene.proxy.set(Mood::Serve);
    scene.publish("Second");
    eventually("it is heard again", || {
        let flow = body_of(&scene.read("reader"), 200);
        (flow["blocks"][0]["fields"][0]["value"] == "Second").then_some(())
    });
    assert!(scene.environment()["error"].is_null());
}

#[test]
fn who_published_reads_what_was_published() {
    let scene = Scene::set("120", &[]);
    for round in 0..10 {
        let title = format!("Title {round}");
        scene.publish(&title);
        let revision = scene.revision();
        let headers = [("flowgate-min-revision", revision.as_str())];
        let path = format!("{FLOW}reader");
        let answer = scene.blocks.send(Method::GET, &path, &headers, None);
        let answer = answer.expect("an answer");
        let flow = body_of(&answer, 200);
        assert_eq!(flow["blocks"][0]["fields"][0]["value"], title.as_str());
        assert_eq!(answer.header("flowgate-revision"), revision);
    }
    // What is lost on the way does not come.
    scene.proxy.set(Mood::Away);
    scene.publish("Lost");
    let revision = scene.revision();
    let headers = [("flowgate-min-revision", revision.as_str())];
    let path = format!("{FLOW}reader");
    let late = scene.blocks.send(Method::GET, &path, &headers, None);
    let late = late.expect("an answer");
    assert_eq!(late.status, 503, "{}", late.text);
    assert!(late.header("retry-after").parse::<u32>().is_ok());
    scene.proxy.set(Mood::Serve);
    eventually("it comes after all", || {
        let answer = scene.blocks.send(Method::GET, &path, &headers, None);
        (answer.expect("an answer").status == 200).then_some(())
    });
}

//! What a client may not tell, and that it costs nothing.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Place, metrics, usage};
use crate::harness::body_of;

#[test]
fn what_is_no_report_is_answered_as_unleash_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::start(folder.path(), &[]);
    let of = |counts: Value| metrics(&json!({"cart": counts})).to_string();
    let toggles = |toggles: Value| metrics(&toggles).to_string();
    let many: serde_json::Map<String, Value> = (0..10_001)
        .map(|at| (at.to_string(), json!({"yes": 1})))
        .collect();
    let deep = format!(
        "{{\"appName\":\"a\",\"x\":{}{}}}",
        "[".repeat(40),
        "]".repeat(40)
    );
    let long = "x".repeat(256);
    for (path, body, status) in [
        ("metrics", "{\"appName\":".to_owned(), 400),
        ("metrics", "no json".to_owned(), 400),
        ("metrics", "[]".to_owned(), 422),
        ("metrics", "{}".to_owned(), 422),
        ("metrics", json!({"appName": 7}).to_string(), 422),
        (
            "metrics",
            json!({"appName": "a", "bucket": []}).to_string(),
            422,
        ),
        ("metrics", of(json!({"yes": -1})), 422),
        ("metrics", of(json!({"yes": "many"})), 422),
        ("metrics", of(json!({"yes": 1.5})), 422),
        ("metrics", of(json!({"yes": 1, "variants": ["blue"]})), 422),
        ("metrics", of(json!(7)), 422),
        ("metrics", of(json!({"yes": 4_294_967_296_u64})), 400),
        ("metrics", toggles(json!({long.clone(): {"yes": 1}})), 400),
        (
            "metrics",
            of(json!({"yes": 1, "variants": {long.clone(): 1}})),
            400,
        ),
        ("metrics", toggles(many.into()), 400),
        ("metrics", deep, 400),
        (
            "metrics",
            format!("{{\"appName\":\"{}\"}}", "y".repeat(600_000)),
            413,
        ),
        (
            "metrics/bulk",
            json!({"metrics": [{"appName": "a"}]}).to_string(),
            422,
        ),
        ("metrics/bulk", json!({"metrics": {}}).to_string(), 422),
        (
            "register",
            json!({"appName": "a", "strategies": [7]}).to_string(),
            422,
        ),
        ("register", json!({"appName": long}).to_string(), 400),
    ] {
        let path = format!("/api/client/{path}");
        // A body that is not read to its end takes its connection with it.
        let servers = place.at_edge(&place.client);
        let answer = servers.send(Method::POST, &path, &[], Some(body.clone()));
        let answer = answer.expect("an answer");
        let shown: String = body.chars().take(120).collect();
        assert_eq!(answer.status, status, "{path} {shown}: {}", answer.text);
        assert!(!answer.text.is_empty(), "{path} {shown}");
    }
    // Frontends may not speak for backends, and nobody without a key at all.
    let told = metrics(&json!({"cart": {"yes": 1}}));
    for key in [&*place.frontend, "", "nobody"] {
        let answer = place.at_edge(key).post("/api/client/metrics", &told);
        assert_eq!((answer.status, &*answer.text), (403, ""), "{key}");
    }
    // Nothing of all this was counted.
    assert_eq!(place.tell("good", 1, 0), 202);
    place.comes_to("good", 1);
    assert_eq!(
        usage(&place.store, &["flags"]).as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn made_up_names_are_bounded_whoever_tells_them() {
    const REPORTS: usize = 20;
    const NAMES: usize = 1_000;
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::start(folder.path(), &[]);
    let pages = place.at_edge(&place.frontend);
    assert_eq!(place.tell("before", 1, 0), 202);
    place.comes_to("before", 1);
    for report in 0..REPORTS {
        let mut toggles = String::new();
        for name in 0..NAMES {
            write!(
                toggles,
                "\"bomb-{report}-{name}\":{{\"yes\":1,\"variants\":{{\"v{name}\":1}}}},"
            )
            .expect("memory");
        }
        let toggles = toggles.trim_end_matches(',');
        let body = format!(
            "{{\"appName\":\"bomb-{report}\",\"instanceId\":\"{report}\",\"bucket\":{{\"toggles\":{{{toggles}}}}}}}"
        );
        let path = "/api/frontend/client/metrics";
        let answer = pages
            .send(Method::POST, path, &[], Some(body))
            .expect("an answer");
        // When too much waits it is told again.
        assert!([202, 503].contains(&answer.status), "{}", answer.text);
    }
    assert_eq!(place.tell("before", 1, 0), 202);
    place.comes_to("before", 2);
    place.shipped();
    let dropped = place.status()["dropped"]["unknown_flag"]
        .as_u64()
        .expect("a count");
    assert!(dropped >= (NAMES - 256) as u64, "{dropped}");
    // An edge lets in so many in an hour, and perhaps the hour was over.
    let mut kept = 0;
    let mut after = String::new();
    loop {
        let path = format!("/admin/v1/environments/development/usage?limit=500{after}");
        let page = body_of(&place.store.admin().get(&path), 200);
        kept += page["flags"].as_array().expect("a list").len();
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(kept <= 2 * 256 + 1, "{kept} names are kept");
    let text = place.edge.admin().get("/metrics").text;
    assert!(
        text.contains("flowgate_usage_dropped_total{why=\"unknown_flag\"}"),
        "{text}"
    );
}

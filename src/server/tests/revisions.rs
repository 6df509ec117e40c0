//! Is an answer at least as new as its client wants it?

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{
    harness::{Harness, Reply},
    installation::{BLOCKS, SERVER, snapshot_at},
};
use crate::{current::Freshness, current::Policies, snapshot::Revision};

/// Every kind of route that is evaluated, with this wish.
async fn ask(edge: &Harness, route: &str, wanted: &str) -> Reply {
    let subject = json!({"user": "ann"});
    let (method, path, key, body) = match route {
        "flow" => (
            "GET",
            "/v2/flow/welcome?version=1&userIdentifier=ann",
            BLOCKS,
            None,
        ),
        "block" => (
            "GET",
            "/v2/block/welcome_one?version=1&userIdentifier=ann",
            BLOCKS,
            None,
        ),
        "step" => (
            "POST",
            "/v2/flow/welcome/start?version=1&userIdentifier=ann",
            BLOCKS,
            None,
        ),
        "evaluate" => (
            "POST",
            "/v1/evaluate",
            SERVER,
            Some(json!({"subject": subject, "flows": {"welcome": "latest"}})),
        ),
        "intent" => (
            "POST",
            "/v1/flows/welcome/start",
            SERVER,
            Some(json!({"subject": subject, "version": 1})),
        ),
        _ => (
            "POST",
            "/v1/explain",
            SERVER,
            Some(json!({"subject": subject, "flow": "welcome"})),
        ),
    };
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let headers = [("x-api-key", key), ("flowgate-min-revision", wanted)];
    edge.ask(method, path, &headers, &body).await
}

const ROUTES: [&str; 6] = ["flow", "block", "step", "evaluate", "intent", "explain"];

fn publish(edge: &Harness, number: u64) {
    let forever = Freshness {
        fresh_until_ms: u64::MAX,
        expires_ms: u64::MAX,
        ..Freshness::default()
    };
    let snapshot = snapshot_at(Revision { epoch: 0, number }, true);
    drop(edge.edge.current.publish(Arc::new(snapshot), forever));
}

#[tokio::test]
async fn what_is_here_is_answered_at_once_and_what_comes_is_waited_for() {
    let edge = Harness::governed(Policies::default(), Duration::from_secs(600));
    for route in ROUTES {
        for here in ["0.0", "0.17"] {
            let reply = ask(&edge, route, here).await;
            assert!((200..300).contains(&reply.status), "{route}: {reply:?}");
        }
    }
    assert_eq!(edge.edge.current.waits(), [0; 5]);
    let bell = edge.edge.current.asked("development");
    for (at, route) in ROUTES.into_iter().enumerate() {
        let number = 18 + at as u64;
        let wanted = format!("0.{number}");
        let upstream = async {
            // Upstream is asked by whoever waits.
            bell.notified().await;
            publish(&edge, number);
        };
        let (reply, ()) = tokio::join!(ask(&edge, route, &wanted), upstream);
        assert!((200..300).contains(&reply.status), "{route}: {reply:?}");
        assert_eq!(
            reply.header("flowgate-revision"),
            Some(wanted.as_str()),
            "{route}: it is answered by what came"
        );
    }
    assert_eq!(edge.edge.current.waits(), [6, 0, 0, 0, 0]);
}

#[tokio::test]
async fn what_does_not_come_is_told_with_a_time_to_come_again() {
    let edge = Harness::governed(Policies::default(), Duration::from_millis(20));
    for route in ROUTES {
        for (wanted, says) in [
            ("0.18", "did not come in time"),
            ("1.1", "epoch this edge does not know"),
        ] {
            let reply = ask(&edge, route, wanted).await;
            assert_eq!(reply.status, 503, "{route}: {reply:?}");
            assert!(reply.text.contains(says), "{route}: {reply:?}");
            assert!(reply.text.contains("0.17"), "{route}: {reply:?}");
            let retry = reply.header("retry-after").unwrap_or_default();
            assert!(retry.parse::<u32>().is_ok(), "{route}: {retry:?}");
        }
    }
    let problem = ask(&edge, "evaluate", "0.18").await.json();
    assert_eq!(problem["type"], "urn:flowgate:problem:revision-not-here");
}

#[tokio::test]
async fn a_wish_nobody_understands_is_refused_and_strangers_do_not_wait() {
    let edge = Harness::governed(Policies::default(), Duration::from_secs(600));
    for route in ROUTES {
        for bad in [
            "17",
            "0.",
            "0.+17",
            "latest",
            "0.17.1",
            "0.99999999999999999999",
        ] {
            let reply = ask(&edge, route, bad).await;
            assert_eq!(reply.status, 400, "{route} {bad}: {reply:?}");
        }
    }
    let twice = [
        ("x-api-key", BLOCKS),
        ("flowgate-min-revision", "0.17"),
        ("flowgate-min-revision", "0.18"),
    ];
    let path = "/v2/flow/welcome?version=1&userIdentifier=ann";
    assert_eq!(edge.ask("GET", path, &twice, "").await.status, 400);
    let stranger = [("x-api-key", "nobody"), ("flowgate-min-revision", "0.18")];
    assert_eq!(edge.ask("GET", path, &stranger, "").await.status, 401);
    assert_eq!(edge.edge.current.waits(), [0; 5]);
}

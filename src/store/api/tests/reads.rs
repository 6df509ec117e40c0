//! How an edge reads many users, and one after a record.

use std::time::{Duration, Instant};

use super::*;
use crate::limits::{SUBJECT_ID_BYTES_MAX, USERS_PER_READ_MAX};

const BATCH: &str = "/edge/v1/environments/production/users:batch";

async fn read(desk: &Desk, users: &Value) -> Response {
    let asked = json!({"users": users}).to_string();
    desk.send(&desk.edge, "POST", BATCH, &asked).await
}

/// A batch of one start by this user, in this journal.
fn started(desk: &Desk, journal: &str, user: &str) -> String {
    let store = &desk.api.store;
    let workspace = store.workspace();
    let uid = &workspace.environment("production").unwrap().uid;
    json!({"journal": journal, "previous": "", "records": [{"seq": 7, "wall_ms": 1,
        "event": {"environment": "production", "environment_uid": uid, "user": user,
            "revision": "0.1", "decided_ms": 1,
            "operation": {"op": "identify", "properties": {"plan": "pro"}},
            "base": {"document": 0}, "edge": "e"}}]})
    .to_string()
}

#[tokio::test]
async fn users_are_read_in_the_order_asked_and_so_many_at_a_time() {
    let desk = Desk::new();
    let answer = read(&desk, &json!(["bob", "a/b c", "ann", "bob"])).await;
    assert_eq!(answer.status, 200);
    let answer = body(&answer);
    let users = answer["users"].as_array().unwrap();
    let names: Vec<&str> = users
        .iter()
        .map(|user| user["identifier"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["bob", "a/b c", "ann", "bob"]);
    assert_eq!(answer["missing"], json!([]));
    let most = vec!["u"; USERS_PER_READ_MAX];
    assert_eq!(read(&desk, &json!(most)).await.status, 200);
    let many = vec!["u"; USERS_PER_READ_MAX + 1];
    let long = "u".repeat(SUBJECT_ID_BYTES_MAX + 1);
    for refused in [
        json!([]),
        json!(many),
        json!([long]),
        json!([""]),
        json!("u"),
    ] {
        assert_eq!(read(&desk, &refused).await.status, 400, "{refused}");
    }
    let other = "/edge/v1/environments/development/users:batch";
    let asked = json!({"users": ["u"]}).to_string();
    let answer = desk.send(&desk.edge, "POST", other, &asked).await;
    assert_eq!(answer.status, 403, "a key opens its own environment");
}

#[tokio::test]
async fn a_user_is_read_when_the_record_that_was_named_has_its_outcome() {
    let desk = Desk::with(Ambient::system());
    let begun = Instant::now();
    let early = body(&desk.edge("users/ann?after=j1:7&wait=200ms").await);
    assert!(begun.elapsed() >= Duration::from_millis(200), "it waited");
    assert_eq!(early["reached"], false);
    assert_eq!(early["user"]["doc_rev"], 0);

    let batch = started(&desk, "j1", "ann");
    let (held, taken) = tokio::join!(
        desk.edge("users/ann?after=j1:7&wait=30s"),
        desk.send(
            &desk.edge,
            "POST",
            "/edge/v1/environments/production/progress",
            &batch
        )
    );
    assert_eq!(body(&taken)["outcomes"][0]["outcome"], "applied");
    let held = body(&held);
    assert_eq!(held["reached"], true);
    assert_eq!(held["user"]["properties"]["plan"], "pro");
    // Any earlier seq is included; a later one is not.
    let includes = async |record: &str| {
        let path = format!("users/ann?after={record}&wait=0ms");
        body(&desk.edge(&path).await)["reached"].clone()
    };
    assert_eq!(includes("j1:1").await, true);
    assert_eq!(includes("j1:8").await, false);
    assert_eq!(includes("j2:1").await, false);
    for malformed in ["", "j1", "j1:", ":1", "j1:-1", "j1:x"] {
        let path = format!("users/ann?after={malformed}");
        assert_eq!(desk.edge(&path).await.status, 400, "{malformed}");
    }
}

//! What an edge reads besides users: memberships and what changed.

use super::*;

#[tokio::test]
async fn memberships_and_changes_are_read_by_the_edge_of_their_environment() {
    let desk = Desk::new();
    let none = desk.edge("memberships/d%2F1/ann").await;
    assert_eq!(none.status, 200);
    assert_eq!(body(&none)["doc_rev"], 0);
    let inside = "memberships/d/ann?conversation=c%201";
    assert_eq!(desk.edge(inside).await.status, 200);
    for (path, status) in [
        ("memberships/d/ann?conversation=", 400),
        ("memberships/d/ann?chat=c", 400),
        ("memberships/d", 404),
        ("changes?cursor=latest", 400),
        ("changes?wait=1h", 400),
        ("changes?cursor=other-1", 200),
    ] {
        assert_eq!(desk.edge(path).await.status, status, "{path}");
    }
    let begun = body(&desk.edge("changes?wait=30s").await);
    let cursor = begun["cursor"].as_str().unwrap();
    assert_eq!(
        begun["changes"],
        json!([]),
        "without a cursor there is no wait"
    );
    let next = format!("changes?cursor={cursor}&wait=30s");
    let uid = desk
        .api
        .store
        .workspace()
        .environment("production")
        .unwrap()
        .uid
        .clone();
    let batch = json!({"journal": "j", "previous": "", "records": [{"seq": 1, "wall_ms": 1,
        "event": {"environment": "production", "environment_uid": uid, "user": "ann",
            "revision": "0.1", "decided_ms": 1, "operation": {"op": "membership"},
            "membership": {"deployment": "d", "id": "ann", "in": true, "basis_points": 2500,
                "bucket": 7},
            "base": {"document": 0}, "edge": "e"}}]});
    let batch = batch.to_string();
    let (held, taken) = tokio::join!(
        desk.edge(&next),
        desk.send(
            &desk.edge,
            "POST",
            "/edge/v1/environments/production/progress",
            &batch
        )
    );
    assert_eq!(body(&taken)["outcomes"][0]["outcome"], "applied");
    assert_eq!(body(&held)["changes"].as_array().unwrap().len(), 1);
    let stands = body(&desk.edge("memberships/d/ann").await);
    assert_eq!(stands["membership"]["in"], true);
}

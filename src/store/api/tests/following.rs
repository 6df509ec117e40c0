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

#[tokio::test]
async fn an_edge_says_how_it_is_and_authors_read_it() {
    let desk = Desk::new();
    let path = "/edge/v1/environments/production/status";
    let long = "x".repeat(65);
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"edge":""}"#,
        &format!(r#"{{"edge":"{long}"}}"#),
        &format!(r#"{{"edge":"e","reason":"{long}"}}"#),
    ] {
        let refused = desk.send(&desk.edge, "POST", path, bad).await;
        assert_eq!(refused.status, 400, "{bad}");
    }
    let report = r#"{"edge":"e1","version":"0.0.1","revision":"0.1","state":"fresh","newer":7}"#;
    assert_eq!(
        desk.send(&desk.edge, "POST", path, report).await.status,
        204
    );
    assert_eq!(
        desk.send(&desk.admin, "POST", path, report).await.status,
        403
    );
    let listed = body(&desk.admin("GET", "edges?environment=production", "").await);
    let listed = &listed["edges"];
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        (&listed[0]["edge"], &listed[0]["seen_s"]),
        (&json!("e1"), &json!(0))
    );
    // It did not say that it takes steps.
    assert_eq!(listed[0]["why"], json!(["journal"]));
    assert_eq!(
        body(&desk.admin("GET", "edges?environment=development", "").await),
        json!({"edges": [], "next": null})
    );
    assert_eq!(
        desk.admin("GET", "edges?environment=moon", "").await.status,
        404
    );
    let stranger = desk.send(&desk.edge, "GET", "/admin/v1/edges", "").await;
    assert_eq!(stranger.status, 403);
}

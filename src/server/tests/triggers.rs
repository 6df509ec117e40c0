//! What does a client hear of flows that it did not step itself?

use serde_json::{Value, json};

use super::{
    harness::Harness,
    installation::{BLOCKS, SERVER, WEB},
};

/// Starts the flow and takes it from its first block to the second.
async fn stepped(edge: &Harness, key: &str, flow: &str, subject: Value) -> Value {
    let start = json!({"subject": subject, "version": 1});
    let path = format!("/v1/flows/{flow}/start");
    let start = edge.post(key, &path, &start).await.json();
    assert_eq!(start.get("flows"), None, "only its own: {start}");
    let next = json!({"subject": subject, "version": 1, "transitions": ["next"]});
    let path = format!("/v1/blocks/{flow}_one/transition");
    let step = edge.post(key, &path, &next).await.json();
    assert_eq!(step["changed"], true, "{step}");
    assert_eq!(step["flows"].as_array().map(Vec::len), Some(1), "{step}");
    step
}

#[tokio::test]
async fn a_step_tells_which_other_flows_it_moved() {
    let edge = Harness::start();
    let step = stepped(&edge, BLOCKS, "lead", json!({"user": "u1"})).await;
    assert_eq!(step["flow"]["sid"], "lead", "{step}");
    assert_eq!(step["blocks"].as_array().map(Vec::len), Some(2), "{step}");
    let other = &step["flows"][0];
    assert_eq!(
        (&other["sid"], &other["version"]),
        (&json!("welcome"), &json!(1))
    );
    assert_eq!(other["state"]["started"], true);
    assert_eq!(other["blocks"][0]["uid"], "welcome_one", "{step}");
    assert_eq!(
        other["blocks"].as_array().map(Vec::len),
        Some(1),
        "those that changed"
    );
}

#[tokio::test]
async fn a_step_tells_nothing_of_the_content_that_its_user_is_kept_from() {
    let edge = Harness::start();
    let user = || json!({"user": "u1"});
    // The audience of `vip` does not mean this user, and `gated` is served
    // over a channel only.
    for (key, flow, moved) in [(WEB, "lure", "vip"), (BLOCKS, "bait", "gated")] {
        let step = stepped(&edge, key, flow, user()).await;
        let other = &step["flows"][0];
        assert_eq!(
            (&other["sid"], &other["version"], &other["state"]["started"]),
            (&json!(moved), &json!(1), &json!(true)),
            "{step}"
        );
        assert_eq!(other.get("blocks"), None, "{step}");
    }
    // Whoever is let in is told.
    let vip = json!({"user": "u2", "attributes": {"tags": ["vip"]}});
    let lure = json!({"subject": vip, "version": 1, "channel": "web"});
    edge.post(SERVER, "/v1/flows/lure/start", &lure).await;
    let mut next = lure;
    next["transitions"] = json!(["next"]);
    let step = edge
        .post(SERVER, "/v1/blocks/lure_one/transition", &next)
        .await
        .json();
    assert_eq!(step["flows"][0]["blocks"][0]["uid"], "vip_one", "{step}");
    let step = stepped(&edge, WEB, "bait", json!({"user": "u2"})).await;
    assert_eq!(step["flows"][0]["blocks"][0]["uid"], "gated_one", "{step}");
}

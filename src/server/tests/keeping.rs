//! What is answered when something cannot be kept, or cannot be asked?

use serde_json::{Value, json};

use super::{deployments::decision, harness::Harness, installation::SERVER};

#[tokio::test]
async fn what_cannot_be_kept_is_answered_and_counted() {
    let edge = Harness::start();
    edge.journal.shutdown();
    let subject = json!({"user": "u1", "attributes": {"tags": ["vip"]}});
    let asked = decision(&edge, Some("web"), "vip", json!({"subject": subject})).await;
    assert_eq!(asked["served"], true, "{asked}");
    assert_eq!(asked["membership"]["recorded"], false, "{asked}");
    let more = json!({"subject": subject, "start": true});
    let started = decision(&edge, Some("web"), "vip", more).await;
    assert_eq!(started["state"]["started"], false, "{started}");
    assert_eq!(started["membership"]["recorded"], false, "{started}");
    let metrics = edge.edge.metrics.encode().expect("it encodes");
    for line in [
        "flowgate_memberships_not_stored_total 1",
        "flowgate_starts_not_stored_total 1",
        "flowgate_migrations_not_stored_total 0",
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
}

#[tokio::test]
async fn a_known_user_is_served_while_records_cannot_be_read() {
    let edge = Harness::without_records();
    // From here on this user is known; another one would be refused.
    assert_eq!(decision(&edge, None, "chat", json!({})).await["version"], 2);
    let flows = json!({"chat": null, "half": null, "none": null, "welcome": null});
    let ask = json!({"subject": {"user": "u1"}, "channel": "web", "flows": flows});
    let reply = edge.post(SERVER, "/v1/evaluate", &ask).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    assert_eq!(body["stale"], true, "{body}");
    let chat = &body["decisions"]["chat"]["membership"];
    assert_eq!(
        (&chat["in"], &chat["recorded"]),
        (&json!(true), &json!(false)),
        "as hashed: {body}"
    );
    // Starts do not fail by it either.
    let talk = |more: Value| {
        let mut ask = json!({"subject": {"user": "u1", "conversation": "c1"}});
        for (name, value) in more.as_object().into_iter().flatten() {
            ask[name] = value.clone();
        }
        ask
    };
    let begun = decision(&edge, Some("web"), "chat", talk(json!({"start": true}))).await;
    assert_eq!(begun["reason"], "started", "{begun}");
    assert_eq!(begun["membership"]["recorded"], false, "{begun}");
    let reset = json!({"subject": {"user": "u1"}, "version": 1, "channel": "web"});
    let reset = edge.post(SERVER, "/v1/flows/chat/start", &reset).await;
    assert_eq!(
        (reset.status, &reset.json()["changed"]),
        (200, &json!(true)),
        "{reset:?}"
    );
    // Of those who are held to a version no record is wanted.
    let pinned = talk(json!({"channel": "web", "flows": {"chat": null}}));
    let pinned = edge.post(SERVER, "/v1/evaluate", &pinned).await.json();
    assert_eq!(pinned["decisions"]["chat"]["version_source"], "pin");
    assert_eq!(pinned["stale"], false, "{pinned}");
}

/// Found by the simulation of the whole system: only evaluations said so.
#[tokio::test]
async fn a_step_that_rests_on_what_could_not_be_asked_is_marked() {
    let edge = Harness::without_records();
    let plain = json!({"subject": {"user": "u1"}, "version": 1});
    let plain = edge.post(SERVER, "/v1/flows/welcome/start", &plain).await;
    assert_eq!(plain.header("flowgate-stale"), None, "{plain:?}");
    let start = json!({"subject": {"user": "u1"}, "version": 1, "channel": "web"});
    let started = edge.post(SERVER, "/v1/flows/chat/start", &start).await;
    assert_eq!(started.json()["changed"], true, "{started:?}");
    assert_eq!(started.header("flowgate-stale"), Some("true"));
}

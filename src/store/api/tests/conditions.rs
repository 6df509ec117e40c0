//! Is no work lost to whoever read something else?
//!
//! `If-Match` on everything that has a tag: it holds or is refused, with the
//! change that came first.

use super::{
    terms::{ask, everything},
    *,
};

#[tokio::test]
async fn whoever_is_too_late_hears_who_was_first_and_what_they_changed() {
    let desk = Desk::with(Ambient::system());
    let made = json!({"environment": "production", "flow": "customer-support", "name": "d",
        "channel": "kiosk"});
    assert_eq!(
        ask(&desk, "POST", "deployments", &made, None).await.status,
        201
    );
    let status = json!({"environment": "production", "enabled": false});
    let channel = json!({"exclusive": false, "attributes": ["floor"]});
    assert_eq!(
        ask(&desk, "PUT", "channels/kiosk", &channel, None)
            .await
            .status,
        200
    );
    let project = "projects/harbor";
    let cases = [
        (
            project,
            "PATCH",
            project,
            json!({"name": "A"}),
            json!({"name": "B"}),
        ),
        (
            "channels/kiosk",
            "PUT",
            "channels/kiosk",
            json!({"attributes": ["floor", "hall"]}),
            json!({"attributes": ["hall"]}),
        ),
        (
            "deployments/d",
            "PATCH",
            "deployments/d",
            json!({"basisPoints": 10}),
            json!({"basisPoints": 20}),
        ),
        (
            "flows/onboarding-tour",
            "PATCH",
            "flows/onboarding-tour",
            json!({"name": "A"}),
            json!({"name": "B"}),
        ),
        (
            "flows/welcome-modal",
            "POST",
            "flows/welcome-modal/status",
            status.clone(),
            json!({"environment": "development", "enabled": false}),
        ),
        (
            "flags/board-view",
            "PATCH",
            "flags/board-view",
            json!({"description": "A"}),
            json!({"description": "B"}),
        ),
        (
            "segments/staff",
            "PATCH",
            "segments/staff",
            json!({"description": "A"}),
            json!({"description": "B"}),
        ),
    ];
    for (read, method, path, first, second) in cases {
        let tag = ask(&desk, "GET", read, &Value::Null, None)
            .await
            .etag
            .unwrap();
        let one = ask(&desk, method, path, &first, Some(&tag)).await;
        assert_eq!(one.status, 200, "{path}: {:?}", one.body);
        let late = ask(&desk, method, path, &second, Some(&tag)).await;
        assert_eq!(late.status, 412, "{path}: {:?}", late.body);
        let told = body(&late);
        let change = &told["change"];
        assert_eq!(change["who"]["name"], "test", "{told}");
        let own = &change["changes"][0];
        assert_ne!(own["before"], own["after"], "{told}");
        let again = ask(&desk, "GET", read, &Value::Null, None)
            .await
            .etag
            .unwrap();
        assert_ne!(tag, again);
        let now = ask(&desk, method, path, &second, Some(&again)).await;
        assert_eq!(now.status, 200, "{path}: {:?}", now.body);
    }
    // Settings of environments stand in their list.
    let listed = body(&ask(&desk, "GET", "environments", &Value::Null, None).await);
    let tag = listed["environments"][1]["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = "environments/production";
    let (on, off) = (
        json!({"refuse_force": true}),
        json!({"refuse_force": false}),
    );
    assert_eq!(ask(&desk, "POST", path, &on, Some(&tag)).await.status, 200);
    assert_eq!(ask(&desk, "POST", path, &off, Some(&tag)).await.status, 412);
    let malformed = ask(&desk, "POST", path, &off, Some("tag")).await;
    assert_eq!(malformed.status, 400);
}

#[tokio::test]
async fn content_of_an_environment_is_dropped_by_whoever_read_it() {
    let desk = Desk::with(Ambient::system());
    let path = "flows/feature-announcement/versions/1@development";
    let read = ask(&desk, "GET", path, &Value::Null, None).await;
    let text = String::from_utf8(read.body.to_vec()).unwrap();
    let changed = Value::String(text.replace("title: ", "title: Really "));
    let request = Request {
        method: "PUT".to_owned(),
        path: format!("/admin/v1/{path}"),
        key: Some(desk.admin.clone()),
        if_match: read.etag,
        body: changed.as_str().unwrap().to_owned().into(),
        ..Request::default()
    };
    assert_eq!(desk.api.handle(request).await.status, 200);
    let tag = ask(&desk, "GET", path, &Value::Null, None)
        .await
        .etag
        .unwrap();
    let late = ask(&desk, "DELETE", path, &Value::Null, Some("\"0\"")).await;
    assert_eq!(late.status, 412, "{:?}", late.body);
    let done = ask(&desk, "DELETE", path, &Value::Null, Some(&tag)).await;
    assert_eq!(done.status, 200, "{:?}", done.body);
}

/// Found by trying it: a change that writes nothing never looked at its
/// condition, and said 200 to whoever had read something else.
#[tokio::test]
async fn a_condition_that_does_not_hold_is_refused_also_when_nothing_is_to_be_written() {
    let desk = Desk::with(Ambient::system());
    let made = json!({"environment": "production", "flow": "customer-support", "name": "d",
        "channel": "kiosk", "basisPoints": 10});
    let channel = json!({"exclusive": false, "attributes": ["floor"]});
    for (method, path, body) in [
        ("POST", "deployments", &made),
        ("PUT", "channels/kiosk", &channel),
    ] {
        let done = ask(&desk, method, path, body, None).await;
        assert!((200..300).contains(&done.status), "{:?}", done.body);
    }
    let cases = [
        ("PATCH", "deployments/d", json!({"basisPoints": 10})),
        ("POST", "deployments/d/activate", Value::Null),
        ("PUT", "channels/kiosk", channel),
        ("PATCH", "projects/harbor", json!({})),
        ("POST", "environments/production", json!({})),
        (
            "POST",
            "flows/welcome-modal/status",
            json!({"environment": "development", "enabled": true}),
        ),
        (
            "PATCH",
            "flows/welcome-modal",
            json!({"name": "Welcome modal"}),
        ),
        ("PATCH", "flags/board-view", json!({})),
        ("PATCH", "segments/staff", json!({})),
    ];
    for (method, path, said) in cases {
        // First as it is, so that the second time says nothing new.
        let first = ask(&desk, method, path, &said, None).await;
        assert_eq!(first.status, 200, "{path}: {:?}", first.body);
        let before = everything(&desk);
        for query in ["", "?dryRun=true"] {
            let asked = format!("{path}{query}");
            let late = ask(&desk, method, &asked, &said, Some("\"0\"")).await;
            assert_eq!(late.status, 412, "{asked}: {:?}", late.body);
            let expected = body(&late)["expected"].clone();
            let tag = format!("\"{}\"", expected.as_str().unwrap());
            let held = ask(&desk, method, &asked, &said, Some(&tag)).await;
            assert_eq!(held.status, 200, "{asked}: {:?}", held.body);
        }
        assert_eq!(everything(&desk), before, "{path} wrote something");
    }
}

#[tokio::test]
async fn what_nobody_described_has_the_empty_tag_and_what_is_new_none() {
    let desk = Desk::with(Ambient::system());
    let path = "channels/kiosk";
    let unknown = ask(&desk, "GET", path, &Value::Null, None).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(
        body(&unknown)["type"],
        "urn:flowgate:problem:unknown-channel"
    );
    let (one, two) = (json!({"exclusive": true}), json!({"attributes": ["floor"]}));
    assert_eq!(
        ask(&desk, "PUT", path, &one, Some("\"\"")).await.status,
        200
    );
    // Somebody else described it first.
    let late = ask(&desk, "PUT", path, &two, Some("\"\"")).await;
    assert_eq!(late.status, 412, "{:?}", late.body);
    assert_eq!(body(&late)["change"]["changes"][0]["object"], "kiosk");
    let read = ask(&desk, "GET", path, &Value::Null, None).await;
    assert_eq!(body(&read)["exclusive"], true);
    let tag = read.etag.unwrap();
    let put = ask(&desk, "PUT", path, &two, Some(&tag)).await;
    assert_eq!(put.status, 200);
    assert_ne!(put.etag, Some(tag));
    for (path, new) in [
        ("projects", json!({"sid": "new"})),
        ("environments", json!({"name": "new", "type": "test"})),
        ("flows", json!({"sid": "new", "project": "harbor"})),
        ("flags", json!({"name": "new", "project": "harbor"})),
    ] {
        let answer = ask(&desk, "POST", path, &new, Some("\"0\"")).await;
        assert_eq!(answer.status, 412, "{path}: {:?}", answer.body);
        // Nobody changed it: found by asking, "what is new \"\" was changed".
        let told = body(&answer);
        let detail = "what is to be made is not there yet, and so it has no tag";
        assert_eq!(told["detail"], detail, "{told}");
        assert_eq!(told["found"], "0", "{told}");
        assert_eq!(told["expected"], "no If-Match, or \"*\" or \"\" in it");
        for condition in ["*", "\"\""] {
            let dry = format!("{path}?dryRun=true");
            let answer = ask(&desk, "POST", &dry, &new, Some(condition)).await;
            assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        }
    }
}

#[tokio::test]
async fn whoever_read_a_flow_hears_of_a_status_and_of_a_commit_too() {
    let desk = Desk::with(Ambient::system());
    let path = "flows/welcome-modal";
    let name = |name: &str| json!({"name": name});
    let tag = async || {
        let read = ask(&desk, "GET", path, &Value::Null, None).await;
        read.etag.unwrap()
    };
    let late = async |tag: &str| {
        let late = ask(&desk, "PATCH", path, &name("Late"), Some(tag)).await;
        assert_eq!(late.status, 412, "{:?}", late.body);
        body(&late)["change"]["changes"][0].clone()
    };
    assert_eq!(
        ask(&desk, "PATCH", path, &name("A"), None).await.status,
        200
    );
    let read = tag().await;
    let status = json!({"environment": "production", "enabled": false});
    let switched = ask(&desk, "POST", "flows/welcome-modal/status", &status, None).await;
    assert_eq!(switched.status, 200);
    assert_eq!(late(&read).await["kind"], "status");
    let read = tag().await;
    let draft = json!({"entry": "everyone", "blocks": [{"sid": "a", "type": "card"}],
        "paths": [{"from": "entry", "to": "a"}]});
    let put = "flows/welcome-modal/versions/draft";
    assert_eq!(ask(&desk, "PUT", put, &draft, Some("*")).await.status, 200);
    // A draft is nothing that is said of the flow.
    assert_eq!(tag().await, read);
    let message = json!({"message": "next"});
    let commit = ask(&desk, "POST", "flows/welcome-modal/commit", &message, None).await;
    assert_eq!(commit.status, 200, "{:?}", commit.body);
    assert_eq!(ask(&desk, "PUT", put, &draft, Some("*")).await.status, 200);
    assert_eq!(late(&read).await["kind"], "version");
}

#[tokio::test]
async fn a_condition_on_what_has_no_tag_is_refused() {
    let desk = Desk::with(Ambient::system());
    for (method, path) in [
        ("DELETE", "environments/production/users/nobody"),
        ("DELETE", "environments/production/groups/nobody"),
        ("POST", "environments/production/webhooks/none/retry"),
        ("POST", "import"),
        ("POST", "import/unleash"),
        ("POST", "keys"),
        ("POST", "keys/rotate"),
        ("POST", "keys/revoke"),
    ] {
        let answer = ask(&desk, method, path, &Value::Null, Some("\"x\"")).await;
        assert_eq!(answer.status, 400, "{path}: {:?}", answer.body);
        assert_eq!(body(&answer)["type"], "urn:flowgate:problem:no-condition");
    }
}

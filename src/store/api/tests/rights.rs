//! What may a key of each role do, and where?

use super::*;

impl Desk {
    /// A key of this role, made by one that may do everything.
    async fn made(&self, role: &str, environments: &[&str]) -> String {
        let name = format!("{role}-{}", environments.join("-"));
        let body = json!({"kind": "admin", "name": name, "role": role,
            "environments": environments});
        let made = self.admin("POST", "keys", &body.to_string()).await;
        assert_eq!(made.status, 201, "{:?}", made.body);
        body_text(&made, "key")
    }

    async fn ask(&self, key: &str, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let target = format!("/admin/v1/{target}");
        let text = match body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let answer = self.send(key, method, &target, &text).await;
        let told = serde_json::from_slice(&answer.body).unwrap_or_default();
        (answer.status, told)
    }
}

fn body_text(response: &Response, member: &str) -> String {
    body(response)[member].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_operation_refuses_a_role_below_the_one_it_names() {
    let desk = Desk::with(Ambient::system());
    let viewer = desk.made("viewer", &[]).await;
    let editor = desk.made("editor", &[]).await;
    let document = desk.api.document("/admin/v1/openapi.json").unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let mut refused = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let target = path.replace("{version}", "7").replace(['{', '}'], "");
        let target = target.trim_start_matches("/admin/v1/").to_owned();
        for (method, operation) in methods.as_object().unwrap() {
            let role = operation["x-flowgate-role"].as_str().unwrap();
            for (key, name, reach) in [(&viewer, "viewer", 0), (&editor, "editor", 1)] {
                let method = method.to_uppercase();
                let (status, told) = desk.ask(key, &method, &target, &Value::Null).await;
                let needed = ["viewer", "editor", "admin"]
                    .iter()
                    .position(|own| *own == role);
                if needed.unwrap() > reach {
                    assert_eq!(status, 403, "{name} {method} {path}: {told}");
                    assert_eq!(told["found"], name);
                    assert_eq!(told["expected"], format!("role {role}"));
                    refused += 1;
                } else {
                    assert_ne!(status, 403, "{name} {method} {path}: {told}");
                }
            }
        }
    }
    assert!(refused > 20, "{refused} refusals were seen");
}

#[tokio::test]
async fn a_limited_key_sees_no_users_keys_or_edges_of_other_environments() {
    let desk = Desk::new();
    let key = desk.made("viewer", &["development"]).await;
    for (target, status) in [
        ("keys?environment=development", 200),
        ("edges?environment=development", 200),
        ("users/ada?environment=development", 200),
        ("environments/development/users", 200),
        ("environments/development/webhooks", 200),
        ("flows", 200),
        ("deployments", 200),
        ("environments", 200),
        ("export", 200),
        ("keys", 403),
        ("edges", 403),
        ("keys?environment=production", 403),
        ("edges?environment=production", 403),
        ("users/ada?environment=production", 403),
        ("environments/production/users", 403),
        ("environments/production/webhooks", 403),
        // Not even whether there is such an environment.
        ("environments/nowhere/users", 403),
        ("keys?environment=nowhere", 403),
    ] {
        let (found, told) = desk.ask(&key, "GET", target, &Value::Null).await;
        assert_eq!(found, status, "{target}: {told}");
        if status == 403 {
            let expected = told["expected"].as_str().unwrap();
            assert!(expected.ends_with("development"), "{told}");
        }
    }
}

/// It judges stored users and tells some of them, so it takes what reading users
/// takes: a viewer who holds where they are.
#[tokio::test]
async fn a_preview_takes_the_right_to_read_users_of_its_environment() {
    let desk = Desk::with(Ambient::system());
    let workspace = desk.api.store.workspace();
    let uid = &workspace.environment("production").unwrap().uid;
    let own = workspace.deployments_in(uid).next().unwrap();
    let flow = workspace.flow_by_uid(&own.flow_uid).unwrap();
    let there = format!("deployments/{}/preview", own.uid);
    let new = |environment: &str| json!({"environment": environment, "flow": flow.sid, "name": "new", "channel": "new"});
    let nothing = json!({});
    let cases = [
        (&[][..], 200, 200, 200),
        (&["production"], 200, 200, 403),
        (&["development"], 403, 403, 200),
    ];
    for (places, changed, made, elsewhere) in cases {
        let key = desk.made("viewer", places).await;
        let local = new("development");
        for (target, body, status) in [
            (&*there, &nothing, changed),
            ("deployments/preview", &new("production"), made),
            ("deployments/preview", &local, elsewhere),
        ] {
            let (found, told) = desk.ask(&key, "POST", target, body).await;
            assert_eq!(found, status, "{places:?} {target}: {told}");
            if status == 403 {
                let asked = if body == &local {
                    "development"
                } else {
                    "production"
                };
                assert_eq!(told["found"], asked);
                assert_eq!(told["expected"], places.join(", "));
                assert!(told.get("examples").is_none());
            }
            // The same key reads users where it previews, and only there.
            let place = if body == &local {
                "development"
            } else {
                "production"
            };
            let users = format!("environments/{place}/users:find");
            assert_eq!(desk.ask(&key, "GET", &users, &Value::Null).await.0, status);
        }
    }
}

#[tokio::test]
async fn an_editor_changes_what_is_noticed_in_their_environments_only() {
    let desk = Desk::with(Ambient::system());
    let key = desk.made("editor", &["development"]).await;
    let status =
        |environment: &str, enabled: bool| json!({"environment": environment, "enabled": enabled});
    let at = "flows/onboarding-tour/status";
    assert_eq!(
        desk.ask(&key, "POST", at, &status("development", false))
            .await
            .0,
        200
    );
    let (refused, told) = desk
        .ask(&key, "POST", at, &status("production", false))
        .await;
    assert_eq!(
        (refused, &told["found"]),
        (403, &json!("production")),
        "{told}"
    );
    assert_eq!(told["expected"], "development");
    let flow = desk.admin("GET", "flows/onboarding-tour", "").await;
    assert_eq!(
        body(&flow)["status"],
        json!({"development": false, "production": true})
    );

    // A draft is seen where drafts are; a commit wherever the flow is on.
    let new = json!({"sid": "fresh", "project": body(&flow)["project"]});
    assert_eq!(desk.ask(&key, "POST", "flows", &new).await.0, 201);
    let draft = json!({"entry": "everyone", "blocks": [{"sid": "a", "type": "card"}],
        "paths": [{"from": "entry", "to": "a"}]});
    let put = |key: String| {
        let request = Request {
            method: "PUT".to_owned(),
            path: "/admin/v1/flows/fresh/versions/draft".to_owned(),
            key: Some(key),
            if_match: Some("*".to_owned()),
            body: draft.to_string().into(),
            ..Request::default()
        };
        desk.api.handle(request)
    };
    assert_eq!(put(key.clone()).await.status, 200);
    let message = json!({"message": "first"});
    let commit = "flows/fresh/commit";
    // Trying it is refused as well.
    let dry = format!("{commit}?dryRun=true");
    assert_eq!(desk.ask(&key, "POST", &dry, &message).await.0, 403);
    let (refused, told) = desk.ask(&key, "POST", commit, &message).await;
    assert_eq!(
        (refused, &told["found"]),
        (403, &json!("production")),
        "{told}"
    );
    let off = status("production", false).to_string();
    assert_eq!(
        desk.admin("POST", "flows/fresh/status", &off).await.status,
        200
    );
    let (done, told) = desk.ask(&key, "POST", commit, &message).await;
    assert_eq!(done, 200, "{told}");
    // It goes no further than that.
    let (refused, _) = desk
        .ask(
            &key,
            "POST",
            "flows/fresh/status",
            &status("production", true),
        )
        .await;
    assert_eq!(refused, 403);
}

#[tokio::test]
async fn an_import_with_one_change_outside_of_the_list_changes_nothing() {
    let desk = Desk::with(Ambient::system());
    let key = desk.made("editor", &["development"]).await;
    let project = body(&desk.admin("GET", "flows/onboarding-tour", "").await)["project"].clone();
    let deployment = |name: &str, environment: &str| json!({"name": name, "environment": environment, "channel": "kiosk", "active": false});
    let file = |environments: &[&str]| {
        let deployments = environments
            .iter()
            .map(|own| deployment(&format!("in-{own}"), own));
        json!({"flowgate": "project/1", "project": project, "flows": [
            {"sid": "onboarding-tour", "deployments": deployments.collect::<Vec<_>>()}]})
    };
    let before = desk.api.store.workspace();
    let both = file(&["development", "production"]).to_string();
    let (refused, told) = desk.ask(&key, "POST", "import", &json!(both)).await;
    assert_eq!(
        (refused, &told["found"]),
        (403, &json!("production")),
        "{told}"
    );
    let detail = told["detail"].as_str().unwrap();
    assert!(
        detail.contains("in-production") && detail.contains("nothing was done"),
        "{detail}"
    );
    assert_eq!(*desk.api.store.workspace(), *before);
    let one = file(&["development"]).to_string();
    let (done, told) = desk.ask(&key, "POST", "import", &json!(one)).await;
    assert_eq!(done, 200, "{told}");
    // Projects take the role above.
    let project = "flowgate: project/1\nproject: other\n";
    let everywhere = desk.made("editor", &[]).await;
    let (refused, told) = desk
        .ask(&everywhere, "POST", "import", &json!(project))
        .await;
    assert_eq!(
        (refused, &told["expected"]),
        (403, &json!("role admin")),
        "{told}"
    );
}

#[tokio::test]
async fn nobody_makes_a_key_that_may_do_more() {
    let desk = Desk::with(Ambient::system());
    let local = desk.made("admin", &["development"]).await;
    let own = |kind: &str, name: &str, more: Value| {
        let mut body = json!({"kind": kind, "name": name});
        for (member, value) in more.as_object().unwrap() {
            body[member] = value.clone();
        }
        body
    };
    let cases = [
        (own("admin", "a", json!({"role": "admin"})), 403),
        (own("admin", "b", json!({"role": "viewer"})), 403),
        (
            own("admin", "c", json!({"environments": ["production"]})),
            403,
        ),
        (
            own(
                "admin",
                "d",
                json!({"environments": ["development", "production"]}),
            ),
            403,
        ),
        (
            own("server", "e", json!({"environment": "production"})),
            403,
        ),
        (
            own("admin", "f", json!({"environments": ["development"]})),
            201,
        ),
        (
            own("server", "g", json!({"environment": "development"})),
            201,
        ),
        // Rights are for keys of the authoring API.
        (
            own(
                "server",
                "h",
                json!({"environment": "development", "role": "viewer"}),
            ),
            422,
        ),
        (own("admin", "i", json!({"environments": ["nowhere"]})), 404),
        (own("admin", "j", json!({"role": "owner"})), 400),
    ];
    for (body, status) in cases {
        let (found, told) = desk.ask(&local, "POST", "keys", &body).await;
        assert_eq!(found, status, "{body}: {told}");
    }
    // Nor takes over one that may: a rotation would tell the new text.
    let named = |name: &str| json!({"kind": "admin", "name": name});
    for verb in ["keys/rotate", "keys/revoke"] {
        let (found, told) = desk.ask(&local, "POST", verb, &named("test")).await;
        assert_eq!(found, 403, "{verb}: {told}");
    }
    assert_eq!(desk.admin("GET", "keys", "").await.status, 200);
    let (found, told) = desk.ask(&local, "POST", "keys/rotate", &named("f")).await;
    assert_eq!(found, 201, "{told}");
    assert_eq!(
        (&told["role"], &told["environments"]),
        (&json!("admin"), &json!(["development"]))
    );
    let rotated = told["key"].as_str().unwrap();
    let (found, _) = desk.ask(rotated, "GET", "keys", &Value::Null).await;
    assert_eq!(found, 403, "the rights are kept over the rotation");
}

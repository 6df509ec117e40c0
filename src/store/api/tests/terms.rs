//! Does every change take `dryRun`, and does it say what would be?

use super::{
    asked::{Asked, of_environments, of_flags, of_people},
    *,
};
use crate::store::api::permits::OPERATIONS;

/// A good request for each operation that changes something: method, path,
/// body. What comes first makes what the later ones need.
fn requests() -> Vec<Asked> {
    let key = json!({"kind": "server", "environment": "production", "name": "tried"});
    let draft = json!({"entry": "everyone", "blocks": [{"sid": "a", "type": "card"}],
        "paths": [{"from": "entry", "to": "a"}]});
    let deployment = json!({"environment": "production", "flow": "tried", "name": "tried",
        "channel": "kiosk"});
    let own = draft.clone();
    vec![
        (
            "import",
            "POST",
            "import",
            json!({"flowgate": "project/1", "project": "tried"}),
        ),
        ("createKey", "POST", "keys", key.clone()),
        ("rotateKey", "POST", "keys/rotate", key.clone()),
        ("revokeKey", "POST", "keys/revoke", key),
        (
            "setEnvironment",
            "POST",
            "environments/production",
            json!({"refuse_force": true}),
        ),
        (
            "importUsers",
            "POST",
            "environments/production/users",
            json!({"lines": [{"user": "ann"}]}),
        ),
        (
            "createFlow",
            "POST",
            "flows",
            json!({"sid": "tried", "project": "tried"}),
        ),
        (
            "renameFlow",
            "PATCH",
            "flows/tried",
            json!({"name": "Tried"}),
        ),
        (
            "putDraft",
            "PUT",
            "flows/tried/versions/draft",
            draft.clone(),
        ),
        (
            "commitDraft",
            "POST",
            "flows/tried/commit",
            json!({"message": "first"}),
        ),
        ("deployContent", "PUT", "flows/tried/versions/1", {
            let mut content = draft;
            content["entry"] = json!("api-only");
            content
        }),
        (
            "restoreDraft",
            "POST",
            "flows/tried/restore",
            json!({"version": 1, "discard": true}),
        ),
        (
            "setFlowStatus",
            "POST",
            "flows/tried/status",
            json!({"environment": "production", "enabled": false}),
        ),
        (
            "createDeployment",
            "POST",
            "deployments",
            deployment.clone(),
        ),
        ("replaceDeployment", "PUT", "deployments/tried", {
            let mut whole = deployment;
            whole["basisPoints"] = json!(1_000);
            whole
        }),
        (
            "changeDeployment",
            "PATCH",
            "deployments/tried",
            json!({"basisPoints": 2_000}),
        ),
        (
            "deactivateDeployment",
            "POST",
            "deployments/tried/deactivate",
            Value::Null,
        ),
        (
            "activateDeployment",
            "POST",
            "deployments/tried/activate",
            Value::Null,
        ),
        (
            "deleteDeployment",
            "DELETE",
            "deployments/tried",
            Value::Null,
        ),
        (
            "setFlowStatus",
            "POST",
            "flows/tried/status",
            json!({"environment": "development", "enabled": false}),
        ),
        (
            "deployContent",
            "PUT",
            "flows/tried/versions/1@production",
            own,
        ),
        (
            "followContent",
            "DELETE",
            "flows/tried/versions/1@production",
            Value::Null,
        ),
        ("deleteFlow", "DELETE", "flows/tried", Value::Null),
    ]
}

/// What the tables do not do: what needs an edge, a receiver or a file of
/// somebody else before it.
const ELSEWHERE: &[&str] = &["confirmRelease", "retryWebhook", "importUnleash"];

/// Everything that a change could change.
pub(super) fn everything(desk: &Desk) -> String {
    let store = &desk.api.store;
    let audited = crate::store::Audited {
        page: crate::store::PageAsk::first(1),
        ..Default::default()
    };
    format!(
        "{:?} {:?} {:?} {}",
        store.workspace(),
        store.audit(&audited).unwrap(),
        store.user("production", "ann").unwrap(),
        desk.revision(),
    )
}

pub(super) async fn ask(
    desk: &Desk,
    method: &str,
    target: &str,
    body: &Value,
    tag: Option<&str>,
) -> Response {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request {
        method: method.to_owned(),
        path: format!("/admin/v1/{path}"),
        query: query.to_owned(),
        key: Some(desk.admin.clone()),
        if_match: tag.map(ToOwned::to_owned),
        // Deleting an environment is always confirmed.
        confirm: Some("eu".to_owned()),
        body: match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        },
        ..Request::default()
    };
    desk.api.handle(request).await
}

#[tokio::test]
async fn a_dry_run_of_every_change_answers_what_would_be_and_writes_nothing() {
    let desk = Desk::with(Ambient::system());
    let mut tried: Vec<&str> = ELSEWHERE.to_vec();
    let mut all = requests();
    let end = all.len() - 1;
    // Before the flow that they are about goes.
    all.splice(
        end..end,
        of_flags()
            .into_iter()
            .chain(of_people())
            .chain(of_environments()),
    );
    for (operation, method, path, body_sent) in all {
        let before = everything(&desk);
        let dry = format!("{path}?dryRun=true");
        let would = ask(&desk, method, &dry, &body_sent, Some("*")).await;
        assert_eq!(would.status, 200, "{operation}: {:?}", would.body);
        let told = body(&would);
        assert_eq!(told["dryRun"], true, "{operation}: {told}");
        assert!(told.get("key").is_none(), "{operation}: a key that is none");
        for made_up in ["uid", "etag"] {
            let is_told = told.get(made_up).is_some();
            assert!(
                !is_told || !(operation.starts_with("create") || operation.starts_with("clone")),
                "{operation}"
            );
        }
        assert_eq!(everything(&desk), before, "{operation} wrote something");
        let done = ask(&desk, method, path, &body_sent, Some("*")).await;
        assert!(
            (200..300).contains(&done.status),
            "{operation}: {:?}",
            done.body
        );
        assert_ne!(everything(&desk), before, "{operation} does nothing at all");
        tried.push(operation);
    }
    let document = desk.api.document("/admin/v1/openapi.json").unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|own| own.as_object().unwrap().values());
    for own in operations.filter(|own| own["x-flowgate-role"] != "viewer") {
        let name = own["operationId"].as_str().unwrap();
        assert!(OPERATIONS.contains(&name));
        assert!(tried.contains(&name), "{name} is not tried here");
    }
}

#[tokio::test]
async fn a_dry_run_needs_no_confirmation_and_tells_where_the_change_would() {
    let desk = Desk::with(Ambient::system());
    let path = "environments/development";
    let before = everything(&desk);
    let would = ask(
        &desk,
        "DELETE",
        &format!("{path}?dryRun=true"),
        &Value::Null,
        None,
    )
    .await;
    assert_eq!(would.status, 200, "{:?}", would.body);
    assert_eq!(body(&would)["confirm"], json!(["development"]));
    assert_eq!(everything(&desk), before);
    let refused = ask(&desk, "DELETE", path, &Value::Null, None).await;
    assert_eq!(refused.status, 428, "{:?}", refused.body);
}

#[tokio::test]
async fn a_clone_that_is_only_tried_tells_no_text_of_a_key() {
    let desk = Desk::with(Ambient::system());
    let clone = json!({"name": "eu", "keys": true});
    let path = "environments/production/clone?dryRun=true";
    let told = body(&ask(&desk, "POST", path, &clone, None).await);
    let keys = told["keys"].as_array().unwrap();
    assert!(!keys.is_empty(), "{told}");
    assert!(keys.iter().all(|key| key.get("key").is_none()), "{told}");
}

#[tokio::test]
async fn what_would_be_refused_is_refused_in_a_dry_run() {
    let desk = Desk::with(Ambient::system());
    for (method, path, body, status) in [
        ("POST", "keys", json!({"kind": "server", "name": "x"}), 422),
        (
            "POST",
            "flows/nope/status",
            json!({"environment": "production", "enabled": true}),
            404,
        ),
        ("DELETE", "flows/onboarding-tour", Value::Null, 409),
        (
            "POST",
            "environments/production/releases/99/confirm",
            Value::Null,
            409,
        ),
        (
            "POST",
            "environments/production/webhooks/none/retry",
            Value::Null,
            404,
        ),
    ] {
        let dry = format!("{path}?dryRun=true");
        let answer = ask(&desk, method, &dry, &body, None).await;
        assert_eq!(answer.status, status, "{path}: {:?}", answer.body);
    }
    for query in ["dryRun=maybe", "dryRun=true&dryRun=true"] {
        let answer = ask(
            &desk,
            "POST",
            &format!("import?{query}"),
            &Value::Null,
            None,
        )
        .await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test]
async fn two_commits_at_once_are_two_versions_or_one_and_a_conflict() {
    let desk = Desk::with(Ambient::system());
    let draft = |title: &str| {
        json!({"entry": "everyone", "blocks": [{"sid": "a", "type": "card",
            "fields": {"title": title}}], "paths": [{"from": "entry", "to": "a"}]})
    };
    let path = "flows/welcome-modal/versions/draft";
    assert_eq!(
        ask(&desk, "PUT", path, &draft("x"), Some("*")).await.status,
        200
    );
    let message = json!({"message": "both"});
    let commit = || ask(&desk, "POST", "flows/welcome-modal/commit", &message, None);
    let (one, two) = tokio::join!(commit(), commit());
    let mut found = [one.status, two.status];
    found.sort_unstable();
    // Never a fault of an import that nobody wrote.
    assert_eq!(found, [200, 409], "{:?} {:?}", one.body, two.body);
}

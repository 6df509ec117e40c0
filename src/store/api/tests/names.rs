//! Is everything that people name held to one rule?
//!
//! Also what comes in a file. An empty name leaves a hole in every listing.

use super::{
    terms::{ask, everything},
    *,
};

/// Requests with a name, and how they name it.
fn naming(name: &str) -> Vec<(&'static str, &'static str, Value)> {
    let key = json!({"kind": "server", "environment": "production", "name": name});
    let deployment = json!({"environment": "production", "flow": "customer-support",
        "channel": "kiosk", "name": name});
    let mut unnamed = deployment.clone();
    unnamed["name"] = json!("tried");
    unnamed["audience"] = json!([{"name": name,
        "rules": [{"attribute": "plan", "operator": "equals", "value": "pro"}]}]);
    let segment = json!({"project": "harbor", "name": name, "constraints": []});
    vec![
        ("POST", "projects", json!({"sid": "empty", "name": name})),
        ("PATCH", "projects/harbor", json!({"name": name})),
        (
            "POST",
            "flows",
            json!({"sid": "new", "project": "harbor", "name": name}),
        ),
        ("PATCH", "flows/welcome-modal", json!({"name": name})),
        (
            "POST",
            "flows/welcome-modal/commit",
            json!({"message": name}),
        ),
        (
            "POST",
            "flows/welcome-modal/commit",
            json!({"message": "why", "author": name}),
        ),
        ("POST", "deployments", deployment),
        ("POST", "deployments", unnamed),
        ("POST", "segments", segment),
        ("PATCH", "segments/staff", json!({"name": name})),
        ("POST", "keys", key),
    ]
}

/// Files with a name.
fn files(name: &str) -> [Value; 4] {
    let file = |flows: Value, named: &str| json!({"flowgate": "project/1", "project": "harbor", "name": named, "flows": flows});
    let version = |message: &str, author: &str| {
        file(
            json!([{"sid": "new", "versions": [{"number": 1, "message": message, "author": author,
                "blocks": [{"sid": "a", "type": "card"}],
                "paths": [{"from": "entry", "to": "a"}]}]}]),
            "Harbor",
        )
    };
    [
        file(json!([]), name),
        file(json!([{"sid": "new", "name": name}]), "Harbor"),
        version(name, "ada"),
        version("why", name),
    ]
}

/// Found by trying it: `flow rename SID ''` and `flow commit -m ''` were taken,
/// while `project set --name ''` was refused.
#[tokio::test]
async fn an_empty_name_is_refused_wherever_people_give_one() {
    let desk = Desk::with(Ambient::system());
    // Something to commit.
    let draft = json!({"entry": "everyone", "blocks": [{"sid": "a", "type": "card"}],
        "paths": [{"from": "entry", "to": "a"}]});
    let put = "flows/welcome-modal/versions/draft";
    assert_eq!(ask(&desk, "PUT", put, &draft, Some("*")).await.status, 200);
    let before = everything(&desk);
    for name in ["", "  ", "\u{a0}"] {
        for (method, path, said) in naming(name) {
            let answer = ask(&desk, method, path, &said, None).await;
            let told = body(&answer).to_string();
            assert_eq!(answer.status, 422, "{path} {said}: {told}");
            assert!(
                told.contains("expected 1 to 128 bytes of printable text that is not blank")
                    || told.contains("expected a text that is not blank"),
                "{path} {said}: {told}"
            );
        }
    }
    assert_eq!(everything(&desk), before);
    // It is the name alone that was refused.
    for (method, path, said) in naming("Name") {
        let dry = format!("{path}?dryRun=true");
        let answer = ask(&desk, method, &dry, &said, None).await;
        assert_eq!(answer.status, 200, "{path} {said}: {:?}", answer.body);
    }
}

/// Exports of earlier releases have them.
#[tokio::test]
async fn what_is_blank_in_a_file_is_as_if_it_were_left_out() {
    let desk = Desk::with(Ambient::system());
    let dry = "import?dryRun=true";
    for name in ["", "  ", "\u{a0}"] {
        for file in files(name) {
            let answer = ask(&desk, "POST", dry, &file, None).await;
            assert_eq!(answer.status, 200, "{file}: {:?}", answer.body);
        }
    }
    let [_, renamed, _, authored] = files("a\nb");
    for file in [renamed, authored] {
        let answer = ask(&desk, "POST", dry, &file, None).await;
        let told = body(&answer).to_string();
        assert_eq!(answer.status, 422, "{file}: {told}");
        assert!(told.contains("expected 1 to 128 bytes"), "{file}: {told}");
    }
}

#[tokio::test]
async fn a_version_without_a_message_is_exported_without_one() {
    let desk = Desk::with(Ambient::system());
    let file = json!({"flowgate": "project/1", "project": "harbor", "flows": [{"sid": "new",
        "versions": [{"number": 1, "blocks": [{"sid": "a", "type": "card"}],
        "paths": [{"from": "entry", "to": "a"}]}]}]});
    assert_eq!(ask(&desk, "POST", "import", &file, None).await.status, 200);
    let exported = ask(&desk, "GET", "export", &Value::Null, None).await;
    let before = everything(&desk);
    let text = String::from_utf8(exported.body.to_vec()).unwrap();
    let file = json!({"files": [{"name": "all.yaml", "content": text}]});
    let again = ask(&desk, "POST", "import", &file, None).await;
    assert_eq!(again.status, 200, "{:?}", again.body);
    assert_eq!(everything(&desk), before);
}

//! Is a name refused that is none, and one decided that nobody knows?
//!
//! Ids of users, groups and conversations, and channels, wherever a request
//! may carry them.

use serde_json::{Value, json};

use super::{Desk, requests::post};
use crate::harness::{Client, body_of, check_problem, eventually};

/// What no id may be; each must be a 400.
fn bad_ids() -> Vec<Value> {
    vec![
        json!(""),
        json!("x".repeat(513)),
        json!("é".repeat(257)),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!("\u{7f}"),
        json!("\u{85}"),
        json!("."),
        json!(".."),
        json!(7),
        json!(true),
        json!(["a"]),
        json!({"id": "a"}),
    ]
}

#[test]
fn ids_that_are_none_are_refused_everywhere() {
    let (desk, server) = Desk::odd();
    let refused = |path: &str, body: &Value| {
        let answer = post(&server, path, body.to_string());
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text);
        let problem = answer.json();
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(!detail.is_empty(), "{problem}");
    };
    for id in bad_ids() {
        for member in ["user", "group", "conversation"] {
            let mut subject = json!({"user": "ada"});
            subject[member] = id.clone();
            refused(
                "/v1/evaluate",
                &json!({"subject": subject, "flows": {"judged": 1}}),
            );
            refused(
                "/v1/explain",
                &json!({"subject": subject, "flow": "judged"}),
            );
            refused(
                "/v1/flows/judged/start",
                &json!({"subject": subject, "version": 1}),
            );
            refused(
                "/v1/blocks/x/transition",
                &json!({"subject": subject, "version": 1, "transitions": ["complete"]}),
            );
        }
        refused("/v1/identify", &json!({"identifier": id, "properties": {}}));
        refused(
            "/v1/identify",
            &json!({"identifier": "ada", "groups": [{"identifier": id}]}),
        );
    }
    let blocks = desk.dev.edge("blocks");
    for id in [
        "",
        "%00",
        "a%0Ab",
        ".",
        "..",
        "%C2%85",
        "%ff",
        &"x".repeat(513),
    ] {
        for path in [
            format!("/v2/flow/e-9?version=1&userIdentifier={id}"),
            format!("/v2/flow/e-9?version=1&userIdentifier=ada&groupIdentifier={id}"),
        ] {
            let answer = blocks.get(&path);
            // An empty group is none.
            let expected = if path.ends_with('=') && path.contains("group") {
                [200, 400]
            } else {
                [400, 400]
            };
            assert!(expected.contains(&answer.status), "{path}: {}", answer.text);
        }
    }
}

#[test]
fn channels_that_are_none_are_refused_and_unknown_ones_decide_nothing() {
    let (desk, server) = Desk::odd();
    let ask = |client: &Client, over: Value| {
        let mut body = json!({"subject": {"user": "ada"}, "flows": {"judged": 1}});
        for (name, value) in over.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let answer = client.post("/v1/evaluate", &body);
        assert!(answer.status < 500, "{body}: {}", answer.text);
        answer
    };
    for channel in [
        json!(""),
        json!(":"),
        json!("a:"),
        json!(":a"),
        json!("a:b:c"),
        json!("a b"),
        json!("ä"),
        json!("a\u{0}"),
        json!("x".repeat(129)),
        json!(7),
        json!(["web"]),
        json!({"name": "web"}),
    ] {
        let answer = ask(&server, json!({"channel": channel}));
        assert_eq!(answer.status, 400, "{channel}: {}", answer.text);
        let explained = post(
            &server,
            "/v1/explain",
            json!({"subject": {"user": "ada"}, "flow": "judged", "channel": channel}).to_string(),
        );
        assert_eq!(explained.status, 400, "{channel}: {}", explained.text);
    }
    let unknown = body_of(&ask(&server, json!({"channel": "mars:rover"})), 200);
    let decision = &unknown["decisions"]["judged"];
    assert_eq!(
        (&decision["version_source"], &decision["version"]),
        (&json!("tag"), &json!(1)),
        "{unknown}"
    );
    // Without flows only an exclusive channel with one flow is a question.
    for over in [
        json!({"flows": null}),
        json!({"flows": {}}),
        json!({"flows": null, "channel": "desk"}),
        json!({"flows": null, "channel": "quiet"}),
        json!({"flows": null, "channel": "mars:rover"}),
    ] {
        let answer = ask(&server, over.clone());
        let problem = check_problem(&answer, 400, "invalid-value");
        assert!(
            answer.text.contains("exclusive channel with one flow"),
            "{over}: {problem}"
        );
    }
    let sole = body_of(
        &ask(&server, json!({"flows": null, "channel": "talk"})),
        200,
    );
    assert!(sole["decisions"]["talks"].is_object(), "{sole}");
    // A key bound to a channel speaks for no other.
    let made = desk.runs(&[
        "key",
        "create",
        "--kind",
        "server",
        "--environment",
        "development",
        "--name",
        "bound",
        "--channel",
        "talk",
        "--output",
        "json",
    ]);
    assert_eq!(made.code, 0, "{}", made.error);
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    let bound = Client::new(
        &desk.dev.program.text("edge_url"),
        made["key"].as_str().expect("a key"),
    );
    let answer = eventually("the edge knows the key", || {
        let answer = ask(&bound, json!({"channel": "desk"}));
        (answer.status != 401).then_some(answer)
    });
    let problem = check_problem(&answer, 403, "channel");
    assert_eq!(
        (&problem["found"], &problem["expected"]),
        (&json!("desk"), &json!("talk"))
    );
    let step = json!({"subject": {"user": "ada"}, "version": 1, "channel": "desk"});
    check_problem(&bound.post("/v1/flows/talks/start", &step), 403, "channel");
    let own = body_of(&ask(&bound, json!({"flows": null})), 200);
    assert!(own["decisions"]["talks"].is_object(), "{own}");
}

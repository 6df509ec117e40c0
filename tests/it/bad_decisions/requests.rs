//! Is every request answered, whatever stands in it?
//!
//! Values of every JSON type under every operator, ids that are none, channels
//! that do not exist: what fits is decided, what does not is a 4xx that says
//! so, and nothing is ever a 5xx.

use reqwest::Method;
use serde_json::{Value, json};

use super::Desk;
use crate::harness::{Answer, Client, body_of, check_problem};

/// Values nobody would think of, each as it stands in a body.
fn values() -> Vec<String> {
    let mut values: Vec<String> = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0",
        "1",
        "-1",
        "10",
        "1.0",
        "0.1",
        "1e308",
        "-1e308",
        "1e-320",
        "9007199254740993",
        "18446744073709551615",
        "-9223372036854775808",
        "123456789012345678901234567890",
        "\"\"",
        "\" \"",
        "\"vip\"",
        "\"VIP\"",
        "\"10\"",
        "\" 10\"",
        "\"1e1\"",
        "\"0x0A\"",
        "\"NaN\"",
        "\"Infinity\"",
        "\"１０\"",
        "\"true\"",
        "\"null\"",
        "\"2026-01-01T00:00:00Z\"",
        "\"2026-01-01\"",
        "\"-999999999-01-01T00:00:00Z\"",
        "\"9999-12-31T23:59:60Z\"",
        "\"1767225600\"",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\\u202e\"",
        "\"İ\"",
        "\"ß\"",
        "[]",
        "{}",
        "[null]",
        "[\"vip\"]",
        "[[\"vip\"]]",
        "[1,\"1\",true,null,{},[]]",
        "{\"vip\":true}",
        "{\"\":\"\"}",
        "[[[[[[[[]]]]]]]]",
    ]
    .into_iter()
    .map(ToOwned::to_owned)
    .collect();
    values.push(format!("\"{}\"", "x".repeat(4096)));
    values.push(format!("\"{}\"", "9".repeat(4000)));
    values.push(format!("[{}]", vec!["\"vip\""; 256].join(",")));
    values
}

/// One alternative for each operator and kind of value, each of one rule.
fn alternatives() -> String {
    let mut text = String::new();
    for (operator, values) in [
        ("equals", &["vip", "10", "true", "\"10\"", "\"\""][..]),
        (
            "not_equals",
            &["vip", "10", "false", "2026-01-01T00:00:00Z"],
        ),
        ("contains", &["vip", "10", "true", "\"\""]),
        ("starts_with", &["v", "\"1\"", "\"\""]),
        ("ends_with", &["p", "\"0\"", "\"\""]),
        (
            "greater_than",
            &["10", "\"10\"", "2026-01-01T00:00:00Z", "1e300"],
        ),
        (
            "less_than",
            &["10", "\"10\"", "2026-01-01T00:00:00Z", "-1e300"],
        ),
    ] {
        for value in values {
            for more in ["", ", ignoreCase: true"] {
                // Numbers have no case.
                if more.is_empty() || value.contains(['v', 'p']) {
                    text.push_str(&format!(
                        "          - rules: [{{ attribute: x, operator: {operator}, value: {value}{more} }}]\n"
                    ));
                }
            }
        }
    }
    for operator in ["is_empty", "is_not_empty"] {
        text.push_str(&format!(
            "          - rules: [{{ attribute: x, operator: {operator} }}]\n"
        ));
    }
    text
}

/// Flows that look at the property `x` in every way there is.
fn project() -> String {
    let flow = |sid: &str, entry: &str, deployment: &str| {
        format!(
            "  - sid: {sid}\n    versions:\n      - {{ number: 1, entry: {entry}, blocks: [{{ sid: card, type: card }}], paths: [{{ from: entry, to: card }}] }}\n{deployment}"
        )
    };
    let deployment = |name: &str, channel: &str, more: &str| {
        format!(
            "    deployments:\n      - name: {name}\n        environment: development\n        channel: \"{channel}\"\n        salt: s\n{more}"
        )
    };
    let mut text = "flowgate: project/1\nproject: odd\nchannels:\n  - { name: quiet, exclusive: true }\n  - { name: talk, exclusive: true }\nflows:\n".to_owned();
    let audience = format!("        audience:\n{}", alternatives());
    text.push_str(&flow(
        "judged",
        "everyone",
        &deployment("judged", "desk", &audience),
    ));
    for (sid, id) in [("by-group", "group"), ("by-x", "{ attribute: x }")] {
        let more = format!("        percentage: 50\n        id: {id}\n");
        text.push_str(&flow(sid, "everyone", &deployment(sid, "desk", &more)));
    }
    text.push_str(&flow("talks", "everyone", &deployment("talks", "talk", "")));
    for (number, expression) in EXPRESSIONS.iter().enumerate() {
        let entry = format!("{{ expression: {} }}", json!(expression));
        text.push_str(&flow(&format!("e-{number}"), &entry, ""));
    }
    text
}

const EXPRESSIONS: [&str; 12] = [
    "user.properties.x = 10 OR user.properties.x = '10' OR user.properties.x = true",
    "user.properties.x > now() - 7d OR user.createdAt < now() - 9999999d",
    "user.properties.x BETWEEN 1 AND 'b' AND user.properties.x IN (1, 'vip', true, now())",
    "user.properties.x LIKE '%v_p%' OR lower(user.properties.x) LIKE '\\%'",
    "includes(user.properties.x, 'vip') OR contains(user.properties.x, '')",
    "startsWith(user.properties.x, 'v') AND endsWith(user.properties.x, user.properties.x)",
    "length(user.properties.x) >= 0 OR length(lower(user.properties.x)) < 1e308",
    "user.properties.x[0] = 'vip' OR user.properties.x.y.z IS NULL OR user.properties.x[\"\"] = ''",
    "NOT (user.properties.x < user.properties.x) AND user.properties.x >= user.properties.x",
    "user.properties.x",
    "group.properties.x = user.properties.x OR group.createdAt > user.updatedAt",
    "user.properties.x <> '2026-01-01T00:00:00Z' AND user.updatedAt <= '2026-01-01T00:00:00Z'",
];

impl Desk {
    /// With a project that looks at `x`.
    pub(super) fn odd() -> (Self, Client) {
        let desk = Self::open();
        desk.dev.import(&project());
        let server = desk.dev.edge("server");
        (desk, server)
    }
}

#[track_caller]
pub(super) fn post(client: &Client, path: &str, body: String) -> Answer {
    let sent = client.send(Method::POST, path, &[], Some(body));
    let answer = sent.expect("an answer");
    assert!(answer.status < 500, "{path}: {}", answer.text);
    answer
}

#[test]
fn a_property_of_any_type_is_judged_by_every_operator_and_expression() {
    let (desk, server) = Desk::odd();
    let mut sids = vec!["judged".to_owned(), "by-x".to_owned()];
    sids.extend((0..EXPRESSIONS.len()).map(|n| format!("e-{n}")));
    let flows: Vec<String> = sids.iter().map(|sid| format!("\"{sid}\":1")).collect();
    let flows = flows.join(",");
    let mut reasons = std::collections::BTreeSet::new();
    for (number, value) in values().iter().enumerate() {
        // Explained, every alternative is judged, and nothing is recorded.
        let subject = format!("{{\"user\":\"a-{number}\",\"attributes\":{{\"x\":{value}}}}}");
        let body = format!("{{\"subject\":{subject},\"channel\":\"desk\",\"flow\":\"judged\"}}");
        let told = body_of(&post(&server, "/v1/explain", body), 200);
        let judged = told["receipt"]["audience"]["alternatives"].as_array();
        assert!(judged.is_some_and(|judged| judged.len() > 20), "{told}");
        // As an attribute of the request.
        let rest = format!("\"channel\":\"desk\",\"flows\":{{{flows}}}");
        let body = format!("{{\"subject\":{subject},{rest}}}");
        let asked = body_of(&post(&server, "/v1/evaluate", body), 200);
        let reason = &asked["decisions"]["judged"]["reason"];
        assert_eq!(told["receipt"]["reason"], *reason, "{value}");
        // As a stored property.
        let body = format!("{{\"identifier\":\"s-{number}\",\"properties\":{{\"x\":{value}}}}}");
        let stored = post(&server, "/v1/identify", body);
        assert_eq!(stored.status, 200, "{value}: {}", stored.text);
        let body = format!("{{\"subject\":{{\"user\":\"s-{number}\"}},{rest}}}");
        let stored = body_of(&post(&server, "/v1/evaluate", body), 200);
        for sid in &sids {
            let (asked, stored) = (&asked["decisions"][sid], &stored["decisions"][sid]);
            // Whose the property is makes no difference, but for the times of
            // the user (who is known now) and for whom a record is found.
            if !["e-1", "e-11", "by-x"].contains(&sid.as_str()) {
                assert_eq!(asked["reason"], stored["reason"], "{sid} of {value}");
            }
            reasons.insert(asked["reason"].to_string());
        }
    }
    assert!(reasons.len() > 2, "all sorts of ends: {reasons:?}");
    drop(desk);
}

#[test]
fn an_id_that_is_missing_is_no_id_and_nothing_is_recorded() {
    let (desk, server) = Desk::odd();
    let decided = |subject: Value, sid: &str| {
        let body = json!({"subject": subject, "channel": "desk", "flows": {sid: 1}, "start": true});
        let answer = body_of(&server.post("/v1/evaluate", &body), 200);
        assert_eq!(
            answer["stale"], false,
            "upstream was asked in vain: {answer}"
        );
        answer["decisions"][sid].clone()
    };
    let missing = decided(json!({"user": "ada"}), "by-group");
    assert_eq!(missing["reason"], "no_rollout_id", "{missing}");
    assert!(missing["membership"].is_null(), "{missing}");
    assert_eq!(missing["served"], false, "{missing}");
    let grouped = decided(json!({"user": "ada", "group": "acme"}), "by-group");
    assert_eq!(grouped["membership"]["recorded"], true, "{grouped}");
    // Another of the group stands where the group stands.
    let other = decided(json!({"user": "bea", "group": "acme"}), "by-group");
    assert_eq!(
        other["membership"]["in"], grouped["membership"]["in"],
        "{other}"
    );
    for nothing in [
        json!(null),
        json!(true),
        json!([]),
        json!(["a"]),
        json!({}),
        json!(""),
        json!(1.5),
        json!(1e300),
        json!("x".repeat(513)),
        json!("."),
        json!(".."),
        json!("a\u{0}"),
        json!("\u{85}"),
    ] {
        let subject = json!({"user": "ada", "attributes": {"x": nothing}});
        let decision = decided(subject, "by-x");
        assert_eq!(decision["reason"], "no_rollout_id", "{nothing}: {decision}");
    }
    for odd in [
        json!("a/b"),
        json!("..."),
        json!("a b?c#d%"),
        json!("\u{1f600}"),
        json!("x".repeat(512)),
        json!("😀".repeat(128)),
        json!(7),
        json!(-7),
        json!(u64::MAX),
        json!("../admin/v1/export"),
    ] {
        let subject = json!({"user": "ada", "attributes": {"x": odd}});
        let first = decided(subject.clone(), "by-x");
        assert_eq!(first["membership"]["recorded"], true, "{odd}: {first}");
        let again = decided(subject, "by-x");
        assert_eq!(again["membership"], first["membership"], "{odd}");
    }
    // A number is its digits.
    let bucket = |x: Value| {
        decided(json!({"user": "ada", "attributes": {"x": x}}), "by-x")["membership"]["bucket"]
            .clone()
    };
    assert_eq!(bucket(json!(7)), bucket(json!("7")));
    assert_eq!(bucket(json!(7.0)), bucket(json!("7")));
    drop(desk);
}

#[test]
fn attributes_that_are_too_much_are_refused_and_doubled_ones_are_one() {
    let (desk, server) = Desk::odd();
    let ask = |attributes: &str| {
        let body = format!(
            "{{\"subject\":{{\"user\":\"ada\",\"attributes\":{attributes}}},\"channel\":\"desk\",\"flows\":{{\"judged\":1,\"e-0\":1}}}}"
        );
        post(&server, "/v1/evaluate", body)
    };
    let deep = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(ask(&deep(13)).status, 200);
    assert_eq!(ask(&deep(14)).status, 400);
    assert_eq!(ask(&deep(20_000)).status, 400);
    let huge = format!("{{\"x\":\"{}\"}}", "y".repeat(70_000));
    assert_eq!(ask(&huge).status, 413);
    let many: Vec<String> = (0..3_000).map(|n| format!("\"a{n}\":{n}")).collect();
    assert_eq!(ask(&format!("{{{}}}", many.join(","))).status, 200);
    assert_eq!(ask("{\"x\":1e999}").status, 400);
    assert_eq!(ask("{\"x\":\"\\ud800\"}").status, 400);
    for nothing in ["[]", "7", "\"x\"", "true"] {
        assert_eq!(ask(nothing).status, 400, "{nothing}");
    }
    assert_eq!(ask("null").status, 200);
    // The last one counts, everywhere.
    let doubled = body_of(&ask("{\"x\":true,\"x\":\"nobody\"}"), 200);
    assert_eq!(
        doubled["decisions"]["e-0"]["reason"], "entry_condition",
        "{doubled}"
    );
    // What would reach into an object's insides is a name like any other.
    assert_eq!(
        ask("{\"__proto__\":{\"x\":true},\"constructor\":1,\"x.y\":1,\"\":1}").status,
        200
    );
    drop(desk);
}

#[test]
fn what_cannot_be_explained_is_refused_and_any_moment_is_one() {
    let (desk, server) = Desk::odd();
    let explained = |over: Value| {
        let mut body = json!({"subject": {"user": "ada"}, "flow": "judged"});
        for (name, value) in over.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        post(&server, "/v1/explain", body.to_string())
    };
    for bad in [
        json!({"tag": "newest"}),
        json!({"tag": -1}),
        json!({"tag": 4294967296_u64}),
        json!({"tag": 1.5}),
        json!({"tag": true}),
        json!({"tag": []}),
        json!({"now": "yesterday"}),
        json!({"now": -1}),
        json!({"now": 1e30}),
        json!({"now": []}),
        json!({"now": "9999-99-99T00:00:00Z"}),
        json!({"flow": 7}),
        json!({"flow": null}),
        json!({"deployment": "judged"}),
        json!({"flow": null, "deployment": 7}),
        json!({"flow": null, "deployment": "judged", "channel": "desk"}),
        json!({"subject": null}),
        json!({"subject": {}}),
        json!({"more": 1}),
    ] {
        assert_eq!(explained(bad.clone()).status, 400, "{bad}");
    }
    let unknown = explained(json!({"flow": null, "deployment": "nobody"}));
    check_problem(&unknown, 404, "unknown-deployment");
    for (over, reason) in [
        (json!({"flow": ""}), "unknown_flow"),
        (json!({"flow": "../judged"}), "unknown_flow"),
        (json!({"flow": "x".repeat(4000)}), "unknown_flow"),
        (json!({"tag": 4294967295_u64}), "unknown_version"),
        (json!({"tag": "uncommitted"}), "unknown_version"),
    ] {
        let told = body_of(&explained(over.clone()), 200);
        assert_eq!(told["receipt"]["reason"], reason, "{over}");
    }
    // Before and after all calendars: relative times neither wrap nor panic.
    for now in [
        json!(0),
        json!(1),
        json!(u64::MAX),
        json!(i64::MAX),
        json!("9999-12-30T22:00:00Z"),
    ] {
        for number in 0..EXPRESSIONS.len() {
            let told = explained(json!({"flow": format!("e-{number}"), "now": now,
                "subject": {"user": "ada", "attributes": {"x": "2026-01-01T00:00:00Z"}}}));
            assert_eq!(told.status, 200, "{now}: {}", told.text);
        }
        let told = explained(json!({"flow": null, "deployment": "judged", "now": now}));
        assert_eq!(told.status, 200, "{now}: {}", told.text);
    }
    drop(desk);
}

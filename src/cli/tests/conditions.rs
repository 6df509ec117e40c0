//! Does a command that reads first change only what it has read?
//!
//! Against a store that answers as it is told and keeps every request: between
//! the reading and the change anything may have happened.

use super::*;

/// A store that gives these answers in turn (status, entity tag, body) and
/// tells what it was asked.
fn store_in_turn(answers: &[(&str, &str, &str)]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let responses: Vec<String> = answers
        .iter()
        .map(|(status, etag, body)| {
            let length = body.len();
            format!(
                "HTTP/1.1 {status}\r\netag: {etag}\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
        })
        .collect();
    let got = std::thread::spawn(move || {
        let asked = responses.iter().map(|response| {
            let (mut stream, _) = listener.accept().expect("a connection");
            let request = whole_request(&mut stream);
            stream.write_all(response.as_bytes()).expect("an answer");
            request
        });
        asked.collect()
    });
    (url, got)
}

/// Runs a command line against such a store; gives its results and requests.
fn told(words: &[&str], answers: &[(&str, &str, &str)]) -> ((u8, String, String), Vec<String>) {
    let (url, got) = store_in_turn(answers);
    let words = [words, &["--to", &url, "--key", "k", "--yes"]].concat();
    let ended = flowgate(&words);
    (ended, got.join().expect("requests"))
}

/// The tag a request rests on.
fn if_match(request: &str) -> Option<&str> {
    let mut lines = request.lines();
    lines.find_map(|line| line.strip_prefix("if-match: "))
}

fn body(request: &str) -> serde_json::Value {
    let (_, body) = request.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).expect("JSON")
}

const READ: &str = "200 OK";

/// Found by trying it: `channel set` said everything anew, and what was not
/// named was gone.
#[test]
fn a_channel_keeps_what_is_not_named() {
    let before = r#"{"name":"web","exclusive":true,"attributes":["tags","plan"]}"#;
    let cases: [(&[&str], serde_json::Value); 5] = [
        (
            &["--attribute", "locale"],
            serde_json::json!({"exclusive": true, "attributes": ["tags", "plan", "locale"]}),
        ),
        (
            &["--exclusive", "--attribute", "tags"],
            serde_json::json!({"exclusive": true, "attributes": ["tags", "plan"]}),
        ),
        (
            &["--not-exclusive"],
            serde_json::json!({"exclusive": false, "attributes": ["tags", "plan"]}),
        ),
        (
            &["--remove-attribute", "tags", "--attribute", "age"],
            serde_json::json!({"exclusive": true, "attributes": ["plan", "age"]}),
        ),
        (
            &[],
            serde_json::json!({"exclusive": true, "attributes": ["tags", "plan"]}),
        ),
    ];
    for (more, expected) in cases {
        let words = [&["channel", "set", "web"], more].concat();
        let answers = [(READ, "\"one\"", before), (READ, "\"two\"", before)];
        let ((code, _, complaints), asked) = told(&words, &answers);
        assert_eq!(code, 0, "{complaints}");
        assert!(asked[0].starts_with("GET /admin/v1/channels/web "));
        assert!(asked[1].starts_with("PUT /admin/v1/channels/web "));
        assert_eq!(if_match(&asked[1]), Some("\"one\""), "{more:?}");
        assert_eq!(body(&asked[1]), expected, "{more:?}");
    }
    let words = ["channel", "set", "web", "--remove-attribute", "tag"];
    let ((code, _, complaints), _) = told(&words, &[(READ, "\"one\"", before)]);
    assert_eq!(code, 2);
    assert!(complaints.contains("one of tags, plan"), "{complaints}");
}

#[test]
fn a_channel_that_nobody_described_is_made_only_while_nobody_has() {
    let unknown = r#"{"type":"urn:flowgate:problem:unknown-channel","detail":"no"}"#;
    let made = r#"{"name":"web","exclusive":true,"attributes":[]}"#;
    let answers = [("404 Not Found", "", unknown), (READ, "\"one\"", made)];
    let ((code, results, complaints), asked) =
        told(&["channel", "set", "web", "--exclusive"], &answers);
    assert_eq!(code, 0, "{complaints}");
    assert!(results.contains("web"), "{results}");
    assert_eq!(if_match(&asked[1]), Some("\"\""));
    // Nothing but that it is not there is passed over.
    let elsewhere = r#"{"type":"urn:flowgate:problem:unknown-route","detail":"no"}"#;
    let answers = [("404 Not Found", "", elsewhere)];
    let ((code, _, _), _) = told(&["channel", "set", "web", "--exclusive"], &answers);
    assert_eq!(code, 2);
}

#[test]
fn a_list_of_environments_that_was_read_is_changed_only_while_it_is_that() {
    let before = r#"{"sid":"shop","name":"Shop","environments":["development"],"flows":[]}"#;
    let answers = [(READ, "\"one\"", before), (READ, "\"two\"", before)];
    let words = ["project", "set", "shop", "--activate", "production"];
    let ((code, _, complaints), asked) = told(&words, &answers);
    assert_eq!(code, 0, "{complaints}");
    assert_eq!(if_match(&asked[1]), Some("\"one\""));
    assert_eq!(
        body(&asked[1])["environments"],
        serde_json::json!(["development", "production"])
    );
    // What says all of it in one request reads nothing, and takes a tag.
    let words = ["project", "set", "shop", "--name", "Shop"];
    let (_, asked) = told(&words, &[(READ, "\"two\"", before)]);
    assert_eq!(if_match(&asked[0]), None);
    let words = [&words[..], &["--if-match", "mine"]].concat();
    let (_, asked) = told(&words, &[(READ, "\"two\"", before)]);
    assert_eq!(if_match(&asked[0]), Some("\"mine\""));
}

#[test]
fn a_deployment_is_changed_as_it_was_previewed() {
    let own = r#"{"name":"d","basisPoints":10,"notes":[]}"#;
    let dry = r#"{"name":"d","basisPoints":20,"notes":[],"dryRun":true}"#;
    let page = r#"{"users":0,"views":0,"next":null,"counts":{},"reasons":{},"examples":[]}"#;
    let answers = [
        (READ, "\"one\"", own),
        (READ, "", dry),
        (READ, "", page),
        (READ, "\"two\"", own),
    ];
    let words = ["deployment", "set", "d", "--percentage", "20", "--preview"];
    let ((code, _, complaints), asked) = told(&words, &answers);
    assert_eq!(code, 0, "{complaints}");
    assert!(asked[1].starts_with("PATCH /admin/v1/deployments/d?dryRun=true "));
    assert!(asked[2].starts_with("POST /admin/v1/deployments/d/preview?"));
    assert!(asked[3].starts_with("PATCH /admin/v1/deployments/d "));
    for request in [&asked[1], &asked[3]] {
        assert_eq!(if_match(request), Some("\"one\""), "{request}");
    }
}

#[test]
fn a_webhook_that_is_only_tried_would_wait() {
    let dry = r#"{"id":"7","state":"waiting","dryRun":true}"#;
    let words = ["webhook", "retry", "7", "--dry-run"];
    let ((code, results, _), asked) = told(&words, &[(READ, "", dry)]);
    assert_eq!(code, 0);
    assert_eq!(
        results,
        "webhook 7 would wait for its next attempt\nnothing was changed (it was a dry run)\n"
    );
    assert!(asked[0].contains("/webhooks/7/retry?dryRun=true "));
    let done = r#"{"id":"7","state":"waiting"}"#;
    let words = ["webhook", "retry", "7", "--output", "json"];
    let ((_, results, _), _) = told(&words, &[(READ, "", done)]);
    let results: serde_json::Value = serde_json::from_str(&results).expect("JSON");
    assert_eq!(results["state"], "waiting");
}

/// A store of another version might take the change for meant.
#[test]
fn a_store_that_knows_of_no_dry_run_is_not_believed() {
    let done = r#"{"sid":"shop","name":"Shop","environments":[],"flows":[]}"#;
    let words = ["project", "create", "shop", "--dry-run"];
    let ((code, results, complaints), _) = told(&words, &[("201 Created", "", done)]);
    assert_eq!((code, results.as_str()), (2, ""));
    assert!(complaints.contains("flowgate audit list"), "{complaints}");
}

//! What happens when somebody means us harm?
//!
//! Raw bytes on real sockets against the real program, each with the one
//! status it is answered with; then stories of requests that are well-formed
//! and meant badly. After each the program serves the next client as if
//! nothing had been.

mod classes;
mod doors;
mod frames;
mod h2;
mod heads;
mod lengths;
mod meanings;
mod raw;
mod slow;
mod tables;

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use self::raw::Raw;
use crate::harness::{DEADLINE, body_of};
use tables::{FRAMING, IDS, KEYS, PATHS, STORE};

#[test]
fn every_ambiguous_request_has_one_answer() {
    let raw = Raw::start();
    raw.hold("edge_url", FRAMING);
    // The store and the admin listener share the plumbing.
    let health = |written: &str| written.replace("{flow}", "/health");
    for (written, expected) in FRAMING {
        let ambiguous = written.starts_with("GET {flow}") && *expected == 400;
        if ambiguous {
            for listener in ["store_url", "edge_admin_url"] {
                assert_eq!(raw.status(listener, &health(written)), 400, "{written:?}");
            }
        }
    }
    let header = format!("GET {{flow}} HTTP/1.1|a: {}|{{end}}", "x".repeat(20_000));
    let headers = format!("GET {{flow}} HTTP/1.1|{}{{end}}", "a: b|".repeat(120));
    let path = format!("GET /v2/flow/{} HTTP/1.1|{{end}}", "x".repeat(100_000));
    let lines = "|".repeat(40_000);
    for written in [&header, &headers, &path, &lines] {
        assert_eq!(raw.status("edge_url", written), 431);
    }
}

#[test]
fn paths_ids_and_keys_open_what_they_open_and_nothing_else() {
    let raw = Raw::start();
    for cases in [PATHS, IDS, KEYS] {
        raw.hold("edge_url", cases);
    }
    raw.hold("store_url", STORE);
}

#[test]
fn a_body_ends_where_everybody_sees_it_end() {
    let raw = Raw::start();
    raw.hold_rows("edge_url", lengths::LENGTHS);
    raw.hold_rows("edge_url", lengths::CHUNKS);
}

#[test]
fn a_head_is_read_in_one_way_or_not_at_all() {
    let raw = Raw::start();
    for cases in [heads::LINES, heads::HOSTS, heads::HEADERS] {
        raw.hold_rows("edge_url", cases);
    }
}

#[test]
fn every_door_opens_for_what_is_behind_it() {
    let raw = Raw::start();
    raw.hold_rows("edge_url", doors::PUBLIC);
    raw.hold_rows("edge_url", doors::NO_KEYS);
    raw.hold_rows("edge_admin_url", doors::ADMIN);
    raw.hold_rows("store_url", doors::STORE);
}

/// As many raw cases as there must be at the least.
const CASES_MIN: usize = 300;

#[test]
fn there_are_hundreds_of_raw_cases_and_none_is_counted_twice() {
    let plain = [FRAMING, PATHS, IDS, KEYS, STORE].into_iter().flatten();
    let plain = plain.map(|(written, _)| *written);
    let rows = [
        lengths::LENGTHS,
        lengths::CHUNKS,
        heads::LINES,
        heads::HOSTS,
        heads::HEADERS,
        doors::PUBLIC,
        doors::NO_KEYS,
        doors::ADMIN,
        doors::STORE,
    ];
    let rows = rows.into_iter().flatten().map(|(written, _)| *written);
    let different: BTreeSet<&str> = plain.chain(rows).collect();
    let (raw, frames) = (different.len(), frames::count() + meanings::MEANINGS.len());
    println!("{raw} raw cases of HTTP/1 and {frames} of HTTP/2");
    assert!(raw + frames >= CASES_MIN, "{raw} and {frames}");
}

#[test]
fn a_strange_user_does_not_make_upstream_look_away() {
    let raw = Raw::start();
    let edge = raw.dev.edge("blocks");
    let canary = "canary-5f1d";
    for id in ["%2e%2e", ".", "a%00b", "%7F", "%C2%85"] {
        let path = format!("/v2/flow/onboarding-tour?tag=latest&userIdentifier={id}");
        assert_eq!(edge.get(&path).status, 400, "{id}");
        // Nobody has seen this one: upstream is asked, now.
        let body = json!({"subject": {"user": format!("{canary}-{id}")},
                          "flows": {"onboarding-tour": "latest"}});
        let answer = edge.post("/v1/evaluate", &body);
        assert_eq!(
            body_of(&answer, 200)["stale"],
            false,
            "{id}: {}",
            answer.text
        );
    }
    let log = raw.dev.program.log();
    assert!(!log.contains(canary) && !log.contains("a%00b"), "{log}");
}

#[test]
fn json_is_judged_before_it_is_built() {
    let raw = Raw::start();
    let edge = raw.dev.edge("server");
    let with = |attributes: &str| {
        format!(
            r#"{{"subject":{{"user":"u","attributes":{attributes}}},"flows":{{"onboarding-tour":1}}}}"#
        )
    };
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let cases: [(String, u16); 16] = [
        (with("{}"), 200),
        (with(&format!(r#"{{"p":{}}}"#, "9".repeat(300))), 200),
        (with(&format!(r#"{{"p":{}}}"#, nested(13))), 200),
        (with(&format!(r#"{{"p":{}}}"#, nested(14))), 400),
        (with(&format!(r#"{{"p":{}}}"#, "9".repeat(4_000))), 400),
        (with(r#"{"p":1e999}"#), 400),
        (with(r#"{"p":NaN}"#), 400),
        (with(r#"{"p":"\ud800"}"#), 400),
        (with(&format!(r#"{{"p":[{}1]}}"#, "1,".repeat(256))), 400),
        (with(&format!(r#"{{"p":"{}"}}"#, "x".repeat(4_097))), 400),
        ("[".repeat(60_000), 400),
        (
            r#"{"subject":{"user":"a","us\u0065r":"b"},"flows":{"f":1}}"#.to_owned(),
            400,
        ),
        (r#"{"subject":["a"],"flows":{"f":1}}"#.to_owned(), 400),
        (r#"[{"user":"a"},null,{"f":1},false,[]]"#.to_owned(), 400),
        (format!("{}{}", with("{}"), " ".repeat(70_000)), 413),
        (String::new(), 400),
    ];
    for (body, expected) in cases {
        let shown: String = body.chars().take(120).collect();
        let answer = edge.send(Method::POST, "/v1/evaluate", &[], Some(body));
        assert_eq!(answer.expect("an answer").status, expected, "{shown}");
    }
}

#[test]
fn a_hostile_project_file_is_refused_soon_and_keeps_nobody_waiting() {
    let raw = Raw::start();
    let store = raw.dev.store();
    let import = |text: String| {
        let answer = store.send(Method::POST, "/admin/v1/import", &[], Some(text));
        answer.expect("an answer")
    };
    let version = |fields: &str| {
        format!(
            "flowgate: project/1\nproject: hostile\nflows:\n  - sid: hostile\n    versions:\n      \
             - number: 1\n        blocks: [{{sid: a, type: card, fields: {fields}}}]\n        \
             paths: [{{from: entry, to: a}}]\n"
        )
    };
    let many = |what: &str| vec![what; 3_000].join(", ");
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let files = [
        format!("a: {}", "[".repeat(200_000)),
        format!("a: {}", "{a: ".repeat(100_000)),
        format!("a: &a [{}]\nb: [{}]\n", many("x"), many("*a")),
        (0..50_000).map(|n| format!("%TAG !a{n}! x\n")).collect(),
        version(&format!("{{t: {{type: richText, value: {deep}}}}}")),
        version("{t: .nan}"),
        "flowgate: project/1\nproject: a/../b\n".to_owned(),
        "[".repeat(200_000),
    ];
    for text in files {
        let shown: String = text.chars().take(60).collect();
        let begun = Instant::now();
        let answer = import(text);
        assert_eq!(answer.status, 422, "{shown}: {}", answer.text);
        assert!(answer.text.len() < 100_000, "{shown}");
        // Seconds where it was minutes; generous for a loaded machine.
        assert!(begun.elapsed() < Duration::from_secs(30), "{shown}");
    }
    assert_eq!(import(version("{t: fine}")).status, 200);
    let admin = raw.dev.admin();
    let aside: Value = admin.get("/status").json();
    for environment in aside["environments"].as_array().expect("a list") {
        assert_eq!(environment["set_aside"], json!([]));
    }
}

#[test]
fn waiting_clients_take_nothing_from_the_others() {
    let raw = Raw::start();
    let store = raw.dev.program.text("store_url");
    let path = "/edge/v1/environments/development/timestamp";
    let first = raw.exchange(
        "store_url",
        raw.bytes(&format!("GET {path} HTTP/1.1|{{edge}}"))
            .as_bytes(),
    );
    let first = String::from_utf8_lossy(&first).into_owned();
    let etag = first.lines().find_map(|line| line.strip_prefix("etag: "));
    let etag = etag.expect("an entity tag").trim();
    let edge = raw.dev.key("development", "edge");
    let wait = format!(
        "GET {path}?wait=60s HTTP/1.1\r\nhost: x\r\nx-api-key: {edge}\r\nif-none-match: {etag}\r\n\r\n"
    );
    let half = "GET /v2/flow/onboard";
    let connect = |url: &str, bytes: &str| {
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("it listens");
        stream.write_all(bytes.as_bytes()).expect("it is sent");
        stream
    };
    let edge_url = raw.dev.program.text("edge_url");
    let waiting: Vec<TcpStream> = (0..200).map(|_| connect(&store, &wait)).collect();
    let slow: Vec<TcpStream> = (0..300).map(|_| connect(&edge_url, half)).collect();
    assert_eq!(
        raw.status("store_url", "GET /admin/v1/keys HTTP/1.1|{admin}"),
        200
    );
    assert_eq!(raw.status("edge_url", "GET {flow} HTTP/1.1|{end}"), 200);
    // A change wakes all of them.
    let made = raw.dev.store().post(
        "/admin/v1/keys",
        &json!({"kind": "server", "environment": "development", "name": "another"}),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    for mut stream in waiting {
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("an answer");
        assert_eq!(&status, b"HTTP/1.1 200");
    }
    drop(slow);
}

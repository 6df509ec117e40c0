//! Do the holes of comparable programs exist here?
//!
//! One story for each class of them, under the number it was published by.
//! Those of HTTP/2's codec (RUSTSEC-2023-0034, RUSTSEC-2024-0003 and
//! RUSTSEC-2024-0332) are floods in [`super::frames`]; that of a threshold
//! reached by one key (RUSTSEC-2020-0024) is among the attacks on signed
//! documents.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};

use super::raw::Raw;
use crate::harness::{DEADLINE, eventually};

/// flagd, CVE-2026-31866: a body is read however long it is.
#[test]
fn a_body_without_end_is_given_up_at_its_cap() {
    let raw = Raw::start();
    for (listener, head, most) in [
        (
            "edge_url",
            "{post}transfer-encoding: chunked|{open}",
            16 << 20,
        ),
        (
            "store_url",
            "POST /edge/v1/environments/development/progress HTTP/1.1|\
             transfer-encoding: chunked|{edge}",
            64 << 20,
        ),
    ] {
        let url = raw.dev.program.text(listener);
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        let head = raw.bytes(head);
        stream.write_all(head.as_bytes()).expect("it is sent");
        let piece = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
        let mut sent = 0;
        // Until the server does not take any more: then it has answered.
        while stream.write_all(&piece).is_ok() {
            sent += piece.len();
            assert!(sent < most, "{listener} takes all of it");
        }
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        // A reset may take the answer away; what it says is told elsewhere.
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 413");
        assert!(refused, "{listener}: {answer}");
        assert_eq!(raw.status("edge_url", "{next}"), 200);
    }
}

/// Flagr, CVE-2026-0650: a path is permitted as one thing and served as another.
#[test]
fn a_path_is_permitted_as_it_is_served() {
    let raw = Raw::start();
    let open = ["/health", "/edge/v1/openapi.json"];
    let closed = [
        "admin/v1/keys",
        "edge/v1/environments/development/timestamp",
    ];
    let ways = [
        "/../", "/..//", "/%2e%2e/", "/..%2f", "/./../", "/.%2e/", "/..;/", "\\..\\", "//",
    ];
    for before in open {
        for behind in closed {
            for way in ways {
                for end in ["", "/", "?", "#", "%20", "%00", ";.json", "/health"] {
                    let case = format!("GET {before}{way}{behind}{end} HTTP/1.1|{{none}}");
                    let status = raw.status("store_url", &case);
                    assert!([400, 401, 404].contains(&status), "{status}: {case}");
                }
            }
        }
    }
}

/// Vercel Flags, CVE-2025-46332: a public key is shown the definitions.
#[test]
fn a_public_key_sees_results_and_no_definitions() {
    let raw = Raw::start();
    let rules = [
        "projectCount",
        "user.properties",
        "Mara Lindqvist",
        "restart-all",
    ];
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo/feature-announcement.yaml");
    let written = std::fs::read_to_string(demo).expect("the demo project");
    for rule in rules {
        assert!(
            written.contains(rule),
            "{rule} is no word of the definition"
        );
    }
    for kind in ["blocks", "users"] {
        let client = raw.dev.edge(kind);
        for path in [
            "/v2/flow/feature-announcement?version=3&include=block&userIdentifier=ada",
            "/v2/flow/feature-announcement?tag=latest&include=block&userIdentifier=ada",
            "/v1/explain",
            "/v1/flows/feature-announcement",
            "/v1/flows",
            "/edge/v1/environments/development/timestamp",
            "/edge/v1/environments/development/parts/0",
        ] {
            let text = client.get(path).text;
            for rule in rules {
                assert!(!text.contains(rule), "{kind} at {path}: {text}");
            }
        }
        for body in [
            r#"{"subject":{"user":"ada"},"flows":{"feature-announcement":3},"include":["blocks"]}"#,
            r#"{"subject":{"user":"ada"},"flow":"feature-announcement","include":["blocks"]}"#,
        ] {
            for path in ["/v1/evaluate", "/v1/explain"] {
                let sent = client.send(reqwest::Method::POST, path, &[], Some(body.to_owned()));
                let text = sent.expect("an answer").text;
                for rule in rules {
                    assert!(!text.contains(rule), "{kind} at {path}: {text}");
                }
            }
        }
    }
}

/// Pingora, CVE-2025-4366: what is left of a refused request's body is taken
/// for the next request on the connection.
#[test]
fn a_body_nobody_read_is_no_request() {
    let raw = Raw::start();
    let inside = raw.bytes("{smuggled}").replace("\r\n", "|");
    let length = raw.bytes("{smuggled}").len();
    for (head, expected) in [
        ("GET /nowhere HTTP/1.1", 404),
        ("PUT {flow} HTTP/1.1", 405),
        ("GET {flow}&version=1 HTTP/1.1", 400),
        ("POST /identify HTTP/1.1", 403),
        ("GET {flow} HTTP/1.1", 200),
    ] {
        let written = format!("{head}|content-length: {length}|{{open}}{inside}");
        let url = raw.dev.program.text("edge_url");
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("a socket");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let bytes = raw.bytes(&written);
        stream.write_all(bytes.as_bytes()).expect("it is sent");
        // The honest request behind it: answered second, or not at all.
        drop(stream.write_all(raw.bytes("{next}").as_bytes()));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let found = super::raw::statuses(&answer);
        let fits = found == [expected] || found == [expected, 200];
        assert!(fits, "{found:?}: {head}");
    }
    raw.nothing_was_smuggled();
}

/// Pingora, CVE-2026-2833: bytes behind a head that asks for another protocol
/// are passed on before anybody agreed to it.
#[test]
fn an_upgrade_nobody_agreed_to_changes_nothing() {
    let raw = Raw::start();
    for head in [
        "{get}upgrade: websocket|connection: upgrade|",
        "{get}upgrade: h2c|connection: upgrade, http2-settings|http2-settings: AAMAAABk|",
        "{get}upgrade: tls/1.2|connection: upgrade|",
        "GET /v2/socket/ HTTP/1.1|upgrade: websocket|connection: upgrade|",
    ] {
        let statuses = raw.statuses("edge_url", &format!("{head}{{open}}{{next}}"));
        // The next one is a request of its own, with its own answer.
        let (first, last) = (statuses.first(), statuses.get(1));
        assert!(
            first.is_some_and(|status| *status != 101),
            "{statuses:?}: {head}"
        );
        assert!(
            last.is_none_or(|status| *status == 200),
            "{statuses:?}: {head}"
        );
    }
}

/// Pingora, CVE-2026-2836: a cache's key leaves out what the answer depends on.
#[test]
fn no_cache_may_keep_what_is_one_users() {
    let raw = Raw::start();
    for (case, status) in [
        ("{next}", 200),
        ("GET {flow} HTTP/1.1|{none}", 401),
        (
            "GET /v2/flow/nothing?tag=latest&userIdentifier=ada HTTP/1.1|{end}",
            404,
        ),
        ("GET {flow}&version=1 HTTP/1.1|{end}", 400),
        ("{post}content-length: {len}|{end}{json}", 200),
    ] {
        let answer = raw.exchange("edge_url", raw.bytes(case).as_bytes());
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains("cache-control: no-store"), "{answer}");
    }
}

/// moka up to 0.12.12: memory is used after it was freed.
#[test]
fn the_cache_is_none_of_the_broken_versions() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock = std::fs::read_to_string(lock).expect("it is committed");
    let versions: Vec<Vec<u32>> = lock
        .split("[[package]]")
        .filter(|package| package.contains("name = \"moka\""))
        .filter_map(|package| {
            package
                .lines()
                .find_map(|line| line.strip_prefix("version = "))
        })
        .map(|version| {
            let numbers = version.trim_matches('"').split('.');
            numbers.filter_map(|number| number.parse().ok()).collect()
        })
        .collect();
    assert!(!versions.is_empty(), "moka is not there any more");
    for version in versions {
        assert!(version >= vec![0, 12, 16], "{version:?}");
    }
}

/// Everything above leaves a program that counts no panic.
#[test]
fn malformed_requests_are_counted_and_panic_nowhere() {
    let raw = Raw::start();
    for case in [
        "\0\0\0\0||",
        "GET / HTTP/9.9||",
        "{post}content-length: x|{end}",
    ] {
        assert_eq!(raw.status("edge_url", case), 400, "{case:?}");
    }
    let admin = raw.dev.admin();
    eventually("they are counted", || {
        let metrics = admin.get("/metrics").text;
        let name = "flowgate_requests_malformed_total{listener=\"edge\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name))?;
        (line.parse::<u64>().ok()? >= 3).then_some(())
    });
    let metrics = admin.get("/metrics").text;
    let panics = "flowgate_handler_panics_total{listener=\"edge\"} 0";
    assert!(metrics.contains(panics), "{metrics}");
}

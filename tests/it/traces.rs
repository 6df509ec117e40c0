//! What reaches a collector of traces, and what never does?
//!
//! A collector of the story's own: it takes requests of OTLP over HTTP and
//! keeps their bytes. Names and texts stand in them as they are.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use reqwest::Method;
use serde_json::json;

use crate::{
    bad_documents::proxy::Proxy,
    harness::{Edge, Site, Store, eventually, project},
};

/// Listens until the process ends.
fn collector() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let taken = Arc::new(Mutex::new(Vec::new()));
    let keep = taken.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // One connection after another: there is one exporter.
            while let Some(body) = take(&stream) {
                keep.lock().expect("the spans").extend(body);
            }
        }
    });
    (url, taken)
}

/// One request with its body, answered.
fn take(stream: &TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().ok()?;
        }
        if line.starts_with("POST ") {
            assert!(line.starts_with("POST /v1/traces "), "{line}");
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut writer = stream;
    writer
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .ok()?;
    Some(body)
}

fn has(taken: &Arc<Mutex<Vec<u8>>>, text: &str) -> bool {
    let taken = taken.lock().expect("the spans");
    taken
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn a_traced_request_says_what_it_was_and_not_who_asked() {
    let (url, taken) = collector();
    let site = Site::start_with(&["--otlp-url", &url, "--traces-per-million", "0"]);
    let client = site.edge.client("server");
    let body = json!({
        "subject": {"user": "canary-user", "attributes": {"canary-attribute": "canary-value"}},
        "flows": {"announcement": "latest"},
    });
    let ask = |headers: &[(&str, &str)]| {
        let answer = client.send(
            Method::POST,
            "/v1/evaluate",
            headers,
            Some(body.to_string()),
        );
        assert_eq!(answer.expect("an answer").status, 200);
    };
    // Nobody asked for these to be traced.
    for _ in 0..5 {
        ask(&[]);
    }
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    ask(&[("traceparent", trace)]);
    // The trace id is the caller's; it stands in the span as 16 bytes.
    let id = b"\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c";
    eventually("the span has arrived", || {
        let taken = taken.lock().expect("the spans");
        taken.windows(16).any(|window| window == id).then_some(())
    });
    for text in [
        "refresh",
        "evaluate",
        "development",
        "flowgate.revision",
        "service.version",
    ] {
        assert!(has(&taken, text), "{text} is missing");
    }
    let count = {
        let taken = taken.lock().expect("the spans");
        taken
            .windows(10)
            .filter(|window| window == b"http.route")
            .count()
    };
    assert_eq!(count, 1, "only the request whose caller is traced");
    for canary in ["canary-user", "canary-attribute", "canary-value"] {
        assert!(!has(&taken, canary), "{canary} left the edge");
    }
    let key = &site.edge.key("server");
    assert!(!has(&taken, key));
}

/// A `traceparent` of this request, if it has one.
fn parent_of(head: &str) -> Option<&str> {
    let mut lines = head.lines();
    lines.find_map(|line| line.strip_prefix("traceparent: "))
}

#[test]
fn what_is_read_for_a_traced_request_is_in_its_trace() {
    let (url, taken) = collector();
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::start(folder.path());
    store.import(&project(folder.path(), "Hello"));
    let proxy = Proxy::before(store.url());
    let flags = ["--otlp-url", &url, "--traces-per-million", "0"];
    let edge = Edge::start_below(folder.path(), &store, &proxy.url, &flags);
    edge.ready();
    let client = edge.client("server");
    let ask = |user: &str, headers: &[(&str, &str)]| {
        let body = json!({"subject": {"user": user}, "flows": {"announcement": "latest"}});
        let answer = client.send(
            Method::POST,
            "/v1/evaluate",
            headers,
            Some(body.to_string()),
        );
        assert_eq!(answer.expect("an answer").status, 200);
    };
    let (trace, caller) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let parent = format!("00-{trace}-{caller}-01");
    ask("untraced", &[]);
    ask("traced", &[("traceparent", &parent)]);
    // From another edge, by the sound of it: the ledger is asked for that, too.
    let token = format!("{}-1", "7".repeat(32));
    let shown = [("traceparent", parent.as_str()), ("flowgate-token", &token)];
    ask("traced", &shown);
    let heads = proxy.users();
    let of = |end: &str| {
        let mut heads = heads.iter();
        let head = heads.find(|head| head.lines().next().is_some_and(|line| line.contains(end)));
        head.unwrap_or_else(|| panic!("{end} was not asked for: {heads:?}"))
    };
    assert_eq!(parent_of(of("/users/untraced ")), None);
    let mut spans = Vec::new();
    for (path, name) in [
        ("/users/traced ", "read"),
        ("/users/traced?after=", "read after"),
    ] {
        let said = parent_of(of(path)).expect("a traceparent");
        let parts: Vec<&str> = said.split('-').collect();
        let ["00", own, span, "01"] = parts.as_slice() else {
            panic!("no traceparent: {said}");
        };
        assert_eq!(*own, trace, "{path} is asked in the trace of its request");
        assert_ne!(*span, caller, "by a span of ours");
        spans.push((name, (*span).to_owned()));
    }
    // Those spans are exported, each below the one of its request.
    for (name, span) in spans {
        let span = bytes(&span);
        eventually(name, || has(&taken, name).then_some(()));
        eventually("the span is there, and names its parent", || {
            let taken = taken.lock().expect("the spans");
            let at = taken.windows(8).position(|own| own == span)?;
            // Of a span the parent stands next but one: its tag and length.
            let parent = taken.get(at + 10..at + 18)?;
            let times = taken.windows(8).filter(|own| *own == parent).count();
            assert_ne!(parent, bytes(caller), "the request's span lies between");
            (times >= 2).then_some(())
        });
    }
}

/// What hexadecimal digits stand for.
fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| {
        let pair = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(pair, 16).expect("digits")
    });
    bytes.collect()
}

#[test]
fn a_collector_that_is_away_harms_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", port.local_addr().expect("an address"));
    drop(port);
    let mut site = Site::start_with(&["--otlp-url", &url, "--traces-per-million", "1000000"]);
    for _ in 0..20 {
        assert_eq!(site.title(), "Hello");
    }
    assert_eq!(site.edge.program.terminate(), Some(0));
}

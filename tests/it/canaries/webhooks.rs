//! What never stands in a log or an answer when webhooks go wrong?
//!
//! An author's secrets are in urls, headers and, by mistake, at places that
//! are refused; receivers answer with secrets of their own.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use serde_json::json;

use super::{MARK, canary};
use crate::harness::{Edge, Store, body_of, eventually, run};

/// A flow that calls this when it begins.
fn project(sid: &str, webhook: &str) -> String {
    format!(
        r#"
flowgate: project/1
project: {sid}
flows:
  - sid: {sid}
    versions:
      - number: 1
        entry: everyone
        blocks:
          - {{ sid: tell, type: webhook, {webhook} }}
          - {{ sid: card, type: card }}
        paths: [{{ from: entry, to: tell }}, {{ from: tell, on: done, to: card }}]
"#
    )
}

/// Somebody who answers everybody alike, whatever they ask.
fn receiver(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // As much as there is; the rest does not matter to what is said.
            drop(stream.read(&mut [0; 16 * 1024]));
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    address
}

fn status(line: &str, header: &str) -> String {
    receiver(format!(
        "HTTP/1.1 {line}\r\n{header}content-length: 0\r\nconnection: close\r\n\r\n"
    ))
}

#[test]
fn failing_webhooks_tell_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let flags = [
        ["--webhooks-allow-http", "true"],
        ["--webhooks-allow-private", "true"],
        ["--log-level", "trace"],
    ];
    let store = Store::start_with(path, flags.as_flattened());
    let (user, token, header) = (canary("user"), canary("token"), canary("header"));
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = closed.local_addr().expect("an address").to_string();
    drop(closed);
    let location = format!("location: http://127.0.0.1/?{}\r\n", canary("location"));
    let (refuses, moved, mumbles) = (
        status(&format!("500 {}", canary("reason")), ""),
        status("302 Found", &location),
        receiver(format!("{}\r\n\r\n", canary("noise"))),
    );
    // Each with the words its failure is told in.
    let receivers = [
        ("refused", format!("http://{refuses}"), "answered 500"),
        ("moved", format!("http://{moved}"), "answered 302"),
        (
            "mumbled",
            format!("http://{mumbles}"),
            "the exchange failed",
        ),
        ("unheard", format!("http://{nobody}"), "no connection"),
        ("no-tls", format!("https://{mumbles}"), "no connection"),
    ];
    for (sid, url, _) in &receivers {
        let url = format!("{url}/{token}?token={token}");
        let webhook = format!("url: \"{url}\", headers: {{ authorization: Bearer {header} }}");
        let file = path.join(format!("{sid}.yaml"));
        std::fs::write(&file, project(sid, &webhook)).expect("a file");
        store.import(&file);
    }
    let edge = Edge::start_below(path, &store, store.url(), &["--log-level", "trace"]);
    edge.ready();
    let server = edge.client("server");
    for (sid, _, why) in &receivers {
        let body = json!({"subject": {"user": user}, "version": 1});
        let answer = server.post(&format!("/v1/flows/{sid}/start"), &body);
        body_of(&answer, 200);
        assert!(!answer.text.contains(&header), "{sid}: {}", answer.text);
        eventually(sid, || {
            let log = store.program.log();
            let mut lines = log.lines();
            lines
                .find(|line| line.contains("a webhook failed") && line.contains(why))
                .map(drop)
        });
    }
    for words in [
        &["flow", "list"][..],
        &["flow", "show", "refused"],
        &["edges"],
        &["env", "list"],
    ] {
        let output = run(&mut store.command(words));
        let said = format!("{output:?}");
        assert!(output.status.success(), "{said}");
        assert!(!said.contains(MARK), "{words:?}: {said}");
    }
    for log in [store.program.log(), edge.program.log()] {
        for line in log.lines() {
            assert!(!line.contains(MARK), "{line}");
        }
    }
}

#[test]
fn refused_webhooks_are_refused_without_their_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let store = Store::start_with(path, &["--log-level", "trace"]);
    let secret = canary("secret");
    for webhook in [
        format!("url: \"https://example.com/\", headers: {{ authorization: [{secret}] }}"),
        format!("url: \"https://example.com/\", headers: [\"authorization: {secret}\"]"),
        format!("url: \"https://example.com/\", headers: \"authorization: {secret}\""),
        format!("url: \"https://example.com/\", headers: {{ authorization: \"{secret}\\n\" }}"),
        format!("url: \"https://example.com/\", headers: {{ \"not a name\": \"{secret}\" }}"),
        format!("url: \"https://ops:{secret}@/\""),
        format!("url: \"https://ops:{secret}@example.com/\""),
        format!("url: \"ftp://example.com/?token={secret}\""),
        format!("url: \"example.com/?token={secret}\""),
        format!("url: [\"https://example.com/?token={secret}\"]"),
    ] {
        let file = path.join("project.yaml");
        std::fs::write(&file, project("shop", &webhook)).expect("a file");
        let file = file.to_string_lossy();
        let output = run(&mut store.command(&["import", &file]));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(2), "{webhook}: {said}");
        assert!(!said.contains(MARK), "{webhook}: {said}");
    }
    let log = store.program.log();
    assert!(!log.contains(MARK), "{log}");
}

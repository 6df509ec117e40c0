//! Does the command line keep its promises to scripts?
//!
//! Exit codes, what goes to which stream, and what is sent to the store.

mod conditions;
mod leaves;

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    rc::Rc,
    thread::JoinHandle,
};

use clap::CommandFactory;

use super::*;
use crate::{config, snapshot::fixture::World};

/// A stream that can be read afterwards.
#[derive(Clone, Default)]
struct Captured(Rc<RefCell<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Exit code, standard output and standard error of a command line.
fn flowgate(words: &[&str]) -> (u8, String, String) {
    let (results, complaints) = (Captured::default(), Captured::default());
    let mut console = Console::new(Box::new(results.clone()), Box::new(complaints.clone()));
    let code = run(["flowgate"].iter().chain(words), &mut console);
    let text = |captured: &Captured| String::from_utf8_lossy(&captured.0.borrow()).into_owned();
    (code, text(&results), text(&complaints))
}

/// A store that takes one request, gives one answer, and tells what it got.
fn store_that_answers(status: &str, answer: &str) -> (String, JoinHandle<String>) {
    store_that_answers_in_turn(status, &[answer])
}

/// The same with as many requests as there are answers.
fn store_that_answers_in_turn(status: &str, answers: &[&str]) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let response = |answer: &&str| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        )
    };
    let responses: Vec<String> = answers.iter().map(response).collect();
    let got = std::thread::spawn(move || {
        let mut requests = String::new();
        for response in responses {
            let (mut stream, _) = listener.accept().expect("a connection");
            requests.push_str(&whole_request(&mut stream));
            stream.write_all(response.as_bytes()).expect("an answer");
        }
        requests
    });
    (url, got)
}

fn whole_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).expect("a request");
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        let length = text
            .lines()
            .find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        if read == 0 || body.is_some_and(|body| body >= length) {
            return text;
        }
    }
}

#[test]
fn the_parser_accepts_its_own_definition() {
    Arguments::command().debug_assert();
}

#[test]
fn wrong_usage_ends_with_64_and_help_with_0() {
    for words in [
        &["nope"][..],
        &[],
        &["edge", "--nope"],
        &["key", "create", "--kind", "gate"],
        &["import"],
        &["import", "x.json", "--map-environment", "default"],
        &["health", "--url", "ftp://x"],
        // About readiness, which is not asked for.
        &["health", "--for", "write"],
        &["health", "--ready", "--for", "cake"],
        &["edge", "--environment-key", "s3cret"],
    ] {
        let (code, results, complaints) = flowgate(words);
        assert_eq!(code, 64, "{words:?}: {complaints}");
        assert_eq!(results, "", "{words:?}");
        assert!(
            !complaints.is_empty() && !complaints.contains("s3cret"),
            "{words:?}: {complaints}"
        );
    }
    for words in [&["--help"][..], &["--version"], &["edge", "--help"]] {
        let (code, results, complaints) = flowgate(words);
        assert_eq!((code, complaints.as_str()), (0, ""), "{words:?}");
        assert!(!results.is_empty(), "{words:?}");
    }
}

#[test]
fn help_names_every_key_with_its_variable() {
    for surface in [&config::EDGE, &config::STORE, &config::DEV] {
        let (_, help, _) = flowgate(&[surface.name, "--help"]);
        for key in surface.keys() {
            assert!(
                help.contains(&format!("--{}", key.flag)),
                "--{} in {help}",
                key.flag
            );
            let variable = config::variable_name(key.name);
            assert!(help.contains(&variable), "{variable} in {help}");
        }
    }
}

#[test]
fn a_start_with_faulty_settings_names_all_of_them_and_ends_with_64() {
    let (code, _, complaints) = flowgate(&["edge", "--listen", "nonsense", "--workers", "many"]);
    assert_eq!(code, 64);
    for expected in [
        "flag --listen",
        "flag --workers",
        "upstream.url",
        "environment",
    ] {
        assert!(complaints.contains(expected), "{expected} in {complaints}");
    }
}

#[test]
fn config_check_tells_whose_settings_they_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("some.toml");
    let name = file.to_string_lossy();
    std::fs::write(&file, "[publish]\nfresh_for_s = 30\n").expect("a file");
    let (code, results, _) = flowgate(&["config", "check", &name]);
    assert_eq!(code, 0);
    assert!(
        results.contains("settings of store, no faults"),
        "{results}"
    );
    std::fs::write(&file, "[publish]\nfresh_for_s = 0\n").expect("a file");
    let (code, _, complaints) = flowgate(&["config", "check", &name]);
    assert_eq!(code, 64);
    assert!(
        complaints.contains("publish.fresh_for_s = 0"),
        "{complaints}"
    );
}

#[test]
fn an_edge_that_cannot_be_reached_is_not_healthy() {
    // Bound and dropped: nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let (code, _, complaints) = flowgate(&["health", "--url", &url]);
    assert_eq!(code, 1);
    assert!(complaints.contains("cannot be reached"), "{complaints}");
}

#[test]
fn readiness_is_asked_for_and_its_refusal_shown() {
    let (url, got) = store_that_answers("503 Service Unavailable", r#"{"ready":false}"#);
    let (code, _, complaints) = flowgate(&["health", "--ready", "--url", &url]);
    assert_eq!(code, 1);
    assert!(
        complaints.contains("503") && complaints.contains(r#""ready":false"#),
        "{complaints}"
    );
    assert!(got.join().expect("a request").starts_with("GET /ready "));
}

#[test]
fn a_refusal_of_the_store_is_shown_with_a_way_out() {
    let (url, got) = store_that_answers("401 Unauthorized", r#"{"detail":"the key is not known"}"#);
    let (code, _, complaints) = flowgate(&["key", "list", "--to", &url, "--key", "admin-1"]);
    assert_eq!(code, 2);
    assert!(
        complaints.contains("(401): the key is not known"),
        "{complaints}"
    );
    assert!(complaints.contains("FLOWGATE_ADMIN_KEY"), "{complaints}");
    let request = got.join().expect("a request");
    assert!(request.starts_with("GET /admin/v1/keys "), "{request}");
    assert!(
        request.to_lowercase().contains("x-api-key: admin-1"),
        "{request}"
    );
}

#[test]
fn a_list_is_read_page_after_page() {
    let pages = [
        r#"{"projects":[{"sid":"a"},{"sid":"b"}],"next":"n1"}"#,
        r#"{"projects":[],"next":"n2"}"#,
        r#"{"projects":[{"sid":"c"}],"next":null}"#,
    ];
    let (url, got) = store_that_answers_in_turn("200 OK", &pages);
    let words = ["project", "list", "--output", "json"];
    let (code, results, _) = flowgate(&[&words[..], &["--to", &url, "--key", "admin-1"]].concat());
    assert_eq!(code, 0);
    let rows: serde_json::Value = serde_json::from_str(&results).expect("JSON");
    let sids = rows.as_array().expect("a list").iter();
    assert!(sids.map(|row| &row["sid"]).eq(["a", "b", "c"]), "{results}");
    let requests = got.join().expect("requests");
    let asked: Vec<&str> = requests
        .lines()
        .filter_map(|line| line.strip_prefix("GET /admin/v1/projects"))
        .collect();
    let expected = [" HTTP/1.1", "?after=n1 HTTP/1.1", "?after=n2 HTTP/1.1"];
    assert_eq!(asked, expected);
}

#[test]
fn an_answer_that_is_no_page_is_none() {
    let (url, got) = store_that_answers("200 OK", r#"[{"sid":"a"}]"#);
    let words = ["project", "list", "--to", &url, "--key", "admin-1"];
    let (code, _, complaints) = flowgate(&words);
    assert_eq!(code, 2);
    assert!(
        complaints.contains("is not a list of projects"),
        "{complaints}"
    );
    got.join().expect("a request");
}

#[test]
fn a_name_that_no_url_can_say_is_refused_before_anything_is_asked() {
    for name in [".", ".."] {
        let words = [
            "env",
            "show",
            name,
            "--to",
            "http://127.0.0.1:9",
            "--key",
            "k",
        ];
        let (code, _, complaints) = flowgate(&words);
        assert_eq!(code, 64, "{complaints}");
        assert!(complaints.contains(&format!("{name:?}")), "{complaints}");
    }
}

#[test]
fn a_user_nobody_knows_ends_with_1() {
    let (url, got) = store_that_answers("200 OK", r#"{"identifier":"a/b c","doc_rev":0}"#);
    let (code, _, _) = flowgate(&["user", "show", "a/b c", "--to", &url, "--key", "admin-1"]);
    assert_eq!(code, 1);
    let request = got.join().expect("a request");
    assert!(
        request.starts_with("GET /admin/v1/environments/development/users/a%2Fb%20c "),
        "{request}"
    );
}

#[test]
fn an_import_sends_the_files_and_tells_what_changed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("demo.yaml");
    std::fs::write(&file, "flows: []").expect("a file");
    let answer = r#"{"changes":[{"kind":"committed","sid":"tour","version":2}],"revisions":{"development":"0.3"}}"#;
    let (url, got) = store_that_answers("200 OK", answer);
    let name = file.to_string_lossy();
    let (code, results, complaints) = flowgate(&["import", &name, "--to", &url, "--key", "k"]);
    assert_eq!(code, 0, "{complaints}");
    assert!(results.contains("committed  tour  2"), "{results}");
    assert!(results.contains("development 0.3"), "{results}");
    let request = got.join().expect("a request");
    assert!(request.starts_with("POST /admin/v1/import "), "{request}");
    assert!(request.contains(r#""content":"flows: []""#), "{request}");
}

#[test]
fn an_export_is_printed_as_it_came() {
    let (url, got) = store_that_answers("200 OK", "flows:\n- sid: tour\n");
    let words = [
        "export",
        "--environment",
        "production",
        "--to",
        &url,
        "--key",
        "k",
    ];
    let (code, results, complaints) = flowgate(&words);
    assert_eq!((code, complaints.as_str()), (0, ""));
    assert_eq!(results, "flows:\n- sid: tour\n");
    let request = got.join().expect("a request");
    assert!(
        request.starts_with("GET /admin/v1/export?environment=production "),
        "{request}"
    );
}

#[test]
fn a_fresh_key_stands_alone_on_standard_output() {
    let (url, got) = store_that_answers(
        "201 Created",
        r#"{"key":"blocks-development-1","kind":"blocks"}"#,
    );
    let (code, results, _) = flowgate(&[
        "key",
        "create",
        "--kind",
        "blocks",
        "--environment",
        "development",
        "--name",
        "web",
        "--to",
        &url,
        "--key",
        "k",
    ]);
    assert_eq!((code, results.as_str()), (0, "blocks-development-1\n"));
    let request = got.join().expect("a request");
    let (_, body) = request.split_once("\r\n\r\n").expect("a body");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let expected = serde_json::json!({"kind": "blocks", "environment": "development", "name": "web", "projects": []});
    assert_eq!(body, expected);
}

fn verify(pack: &Path, root: &Path, more: &[&str]) -> (u8, String, String) {
    let (pack, root) = (pack.to_string_lossy(), root.to_string_lossy());
    let mut words = vec!["snapshot", "verify", &pack, "--trust-root", &root];
    words.extend(more);
    flowgate(&words)
}

#[test]
fn snapshots_are_judged_as_an_edge_would() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (pack, root) = (
        folder.path().join("x.pack"),
        folder.path().join("root.json"),
    );
    let mut world = World::new();
    std::fs::write(&root, world.root_file()).expect("a root");
    let bytes = world.pack().to_bytes();
    std::fs::write(&pack, &bytes).expect("a pack");

    let (code, results, complaints) = verify(&pack, &root, &[]);
    assert_eq!(code, 0, "{results}{complaints}");
    assert!(
        results.contains("good, environment production"),
        "{results}"
    );

    let (code, results, _) = verify(&pack, &root, &["--environment", "development"]);
    assert_eq!(code, 1, "{results}");
    assert!(results.contains("refused ("), "{results}");

    let mut damaged = bytes;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&pack, damaged).expect("a damaged pack");
    let (code, results, _) = verify(&pack, &root, &["--output", "json"]);
    assert_eq!(code, 1, "{results}");
    let reports: serde_json::Value = serde_json::from_str(&results).expect("JSON");
    assert_eq!(reports[0]["verdict"], "refused");
    assert!(reports[0]["rule"].is_string());
}

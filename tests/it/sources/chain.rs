//! Does an edge pass on what it verified, and nothing else?

use std::process::Command;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Running, done, hash_of, question};
use crate::{
    bad_documents::proxy::Proxy,
    harness::{Answer, Client, Edge, Store, body_of, eventually, flowgate, project},
};

/// A store, an edge below it that passes snapshots on, and the key for that.
struct Chain {
    store: Store,
    above: Edge,
    /// Opens the development environment at the edge above.
    key: String,
    /// Of the applications below.
    server_key: String,
    /// Ships progress to the store.
    ledger_key: String,
    folder: tempfile::TempDir,
}

const TIMESTAMP: &str = "/edge/v1/environments/development/timestamp";

impl Chain {
    #[track_caller]
    fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further flags for the store.
    #[track_caller]
    fn start_with(store_flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::start_with(folder.path(), store_flags);
        store.import(&project(folder.path(), "First"));
        let key = ["--kind", "edge", "--environment", "development"];
        let key = done(&[&["key", "generate"], &key[..]].concat());
        let key = key.trim().to_owned();
        let hashes = format!("development={}", hash_of(folder.path(), &key));
        let flags = [
            "--distribution-serve",
            "true",
            "--environment-downstream-key-hashes",
            &hashes,
        ];
        let above = Edge::start_below(folder.path(), &store, store.url(), &flags);
        above.ready();
        Self {
            server_key: above.key("server"),
            ledger_key: store.key_of("development", "edge", "below"),
            store,
            above,
            key,
            folder,
        }
    }

    /// An edge below the one above, or below whatever stands before it.
    fn command(&self, upstream: &str, data: &str) -> Command {
        let mut command = flowgate();
        command
            .args(["edge", "--json", "--upstream-url", upstream])
            .args(["--ledger-url", self.store.url()])
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--upstream-poll-wait-s", "1", "--journal-segment-mb", "4"])
            .args(["--upstream-backoff-max-ms", "200"])
            .args(["--environment-key", &format!("development={}", self.key)])
            .args([
                "--environment-ledger-key",
                &format!("development={}", self.ledger_key),
            ])
            .arg("--trust-root")
            .arg(self.store.trust_root())
            .arg("--data")
            .arg(self.folder.path().join(data));
        command
    }

    #[track_caller]
    fn below(&self, upstream: &str, data: &str) -> Running {
        let log = self.folder.path().join(format!("{data}.log"));
        Running::start(self.command(upstream, data), &log)
    }

    fn url(&self) -> String {
        self.above.program.text("edge_url")
    }

    #[track_caller]
    fn publish(&self, title: &str) {
        self.store.import(&project(self.folder.path(), title));
    }

    /// Asks the edge above as an edge.
    #[track_caller]
    fn ask(&self, key: &str, method: Method, path: &str, body: Option<&str>) -> Answer {
        let client = Client::new(&self.url(), key);
        let body = body.map(ToOwned::to_owned);
        client.send(method, path, &[], body).expect("an answer")
    }
}

#[test]
fn a_publish_reaches_the_edge_below_and_its_steps_the_store() {
    let chain = Chain::start();
    let below = chain.below(&chain.url(), "below");
    below.serves(&chain.server_key, "First");
    chain.publish("Second");
    below.serves(&chain.server_key, "Second");
    // Whatever happens in between, both say the same of the same revision.
    let revision = |status: Value| status["environments"][0]["revision"].clone();
    let above = body_of(&chain.above.admin().get("/status"), 200);
    assert_eq!(revision(above), revision(below.status()));
    let answer = below
        .client(&chain.server_key)
        .post("/v1/evaluate", &question("ada"));
    body_of(&answer, 200);
    eventually("the step is in the ledger", || {
        let document = chain.store.user("ada")?;
        (document["flows"][0]["started"] == true).then_some(())
    });
}

#[test]
fn with_the_store_away_the_edge_above_supplies_whoever_comes() {
    let mut chain = Chain::start();
    let below = chain.below(&chain.url(), "below");
    below.serves(&chain.server_key, "First");
    chain.store.program.kill();
    let answer = below
        .client(&chain.server_key)
        .post("/v1/evaluate", &question("known"));
    body_of(&answer, 200);
    // One that was never here before.
    let new = chain.below(&chain.url(), "new");
    new.serves(&chain.server_key, "First");
    // And from what the one above kept on its own disk.
    chain.above.program.kill();
    let folder = chain.folder.path().to_owned();
    chain.above.restart(&folder);
    let third = chain.below(&chain.url(), "third");
    third.serves(&chain.server_key, "First");
    chain.store.restart();
    eventually("the step is in the ledger", || {
        let document = chain.store.user("known")?;
        (document["flows"][0]["started"] == true).then_some(())
    });
}

#[test]
fn nobody_below_is_told_that_old_content_is_fresh() {
    let mut chain = Chain::start_with(&["--fresh-for-s", "2"]);
    let below = chain.below(&chain.url(), "below");
    below.serves(&chain.server_key, "First");
    chain.store.program.kill();
    eventually("it is stale below as above", || {
        let status = below.status();
        (status["environments"][0]["stale"] == true).then_some(())
    });
    let answer = below
        .client(&chain.server_key)
        .post("/v1/evaluate", &question("ada"));
    assert_eq!(body_of(&answer, 200)["stale"], true);
}

#[test]
fn an_edge_waits_for_news_and_is_told_at_once() {
    let chain = Chain::start();
    let first = chain.ask(&chain.key, Method::GET, TIMESTAMP, None);
    body_of(&first, 200);
    let etag = first.header("etag").to_owned();
    assert_eq!(etag.len(), 66, "{etag}");
    let client = Client::new(&chain.url(), &chain.key);
    let known = [("if-none-match", etag.as_str())];
    let same = client
        .send(Method::GET, TIMESTAMP, &known, None)
        .expect("an answer");
    assert_eq!((same.status, same.header("etag")), (304, etag.as_str()));
    let waiting = std::thread::spawn({
        let etag = etag.clone();
        move || {
            let known = [("if-none-match", etag.as_str())];
            let path = format!("{TIMESTAMP}?wait=60s");
            client
                .send(Method::GET, &path, &known, None)
                .expect("an answer")
        }
    });
    chain.publish("Second");
    let news = waiting.join().expect("the one who waits");
    assert_eq!(news.status, 200, "{}", news.text);
    assert_ne!(news.header("etag"), etag);
    let store = Client::new(chain.store.url(), &chain.ledger_key);
    let original = store.get(TIMESTAMP).json();
    // Unaltered: nobody but the store has signed anything.
    let keyid = |document: &Value| document["signatures"][0]["keyid"].clone();
    assert_eq!(keyid(&news.json()), keyid(&original));
}

#[test]
fn stopping_does_not_wait_for_those_who_wait() {
    let mut chain = Chain::start();
    let etag = chain.ask(&chain.key, Method::GET, TIMESTAMP, None);
    let etag = etag.header("etag").to_owned();
    let client = Client::new(&chain.url(), &chain.key);
    let waiting = std::thread::spawn(move || {
        let known = [("if-none-match", etag.as_str())];
        let path = format!("{TIMESTAMP}?wait=60s");
        client
            .send(Method::GET, &path, &known, None)
            .map(|answer| answer.status)
    });
    let begun = std::time::Instant::now();
    assert_eq!(chain.above.program.terminate(), Some(0));
    drop(waiting.join().expect("the one who waits"));
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_key_opens_its_environment_and_nothing_else() {
    let chain = Chain::start();
    let get = |key: &str, path: &str| {
        let answer = chain.ask(key, Method::GET, path, None);
        let kind = answer.json()["type"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (answer.status, kind.replace("urn:flowgate:problem:", ""))
    };
    let other = "/edge/v1/environments/production/timestamp";
    for (key, path, expected) in [
        ("", TIMESTAMP, (401, "key")),
        ("edge-development-guessed", TIMESTAMP, (401, "key")),
        // The key that the edge above itself pulls with opens nothing here.
        (&chain.ledger_key, TIMESTAMP, (401, "key")),
        (&chain.server_key, TIMESTAMP, (403, "key-kind")),
        (&chain.key, other, (403, "environment")),
        (
            &chain.key,
            "/edge/v1/environments/Development/timestamp",
            (403, "environment"),
        ),
        (
            &chain.key,
            "/edge/v1/environments/development/releases/99",
            (404, "unknown-document"),
        ),
        (
            &chain.key,
            "/edge/v1/environments/development/releases/x",
            (404, "unknown-document"),
        ),
        (
            &chain.key,
            "/edge/v1/environments/development/root/2",
            (404, "unknown-document"),
        ),
        (
            &chain.key,
            "/edge/v1/environments/development/parts/0",
            (404, "unknown-document"),
        ),
        (
            &chain.key,
            "/edge/v1/environments/development/users/ada",
            (404, "no-ledger"),
        ),
        (
            &chain.key,
            "/edge/v1/environments/development/keys",
            (404, "no-such-path"),
        ),
        (
            &chain.key,
            "/edge/v1/environments/development/../production/timestamp",
            (400, "path"),
        ),
        // Nor is it a key of an application; Dopt has its own form of errors.
        (
            &chain.key,
            "/v2/flow/announcement?version=1&userIdentifier=ada",
            (401, ""),
        ),
        (
            &chain.key,
            &format!("{TIMESTAMP}?wait=soon"),
            (400, "invalid-value"),
        ),
    ] {
        // The client tidies dots up, so that one is another environment's.
        let found = get(key, path);
        if path.contains("..") {
            assert_eq!(found, (403, "environment".to_owned()), "{path}");
        } else {
            assert_eq!(found, (expected.0, expected.1.to_owned()), "{path}");
        }
    }
    let parts = "/edge/v1/environments/development/parts";
    let hash = "0".repeat(64);
    for (body, status) in [
        ("[]".to_owned(), 200),
        (format!("[{hash:?}]"), 200),
        ("[\"..\"]".to_owned(), 400),
        ("{}".to_owned(), 400),
        (json!(vec![&hash; 4_097]).to_string(), 400),
        (" ".repeat(400_000), 413),
    ] {
        let answer = chain.ask(&chain.key, Method::POST, parts, Some(&body));
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    let wrong = chain.ask(&chain.key, Method::POST, TIMESTAMP, Some("{}"));
    assert_eq!(wrong.status, 405, "{}", wrong.text);
}

#[test]
fn switched_off_there_is_nothing() {
    let site = crate::harness::Site::start();
    let edge = Client::new(&site.edge.program.text("edge_url"), "k");
    let answer = edge.get(TIMESTAMP);
    assert_eq!(answer.status, 404, "{}", answer.text);
    assert_eq!(answer.json()["type"], "urn:flowgate:problem:no-such-path");
}

#[test]
fn a_forgotten_ledger_is_named() {
    let chain = Chain::start();
    let mut words: Vec<_> = chain
        .command(&chain.url(), "below")
        .get_args()
        .map(ToOwned::to_owned)
        .collect();
    let at = words
        .iter()
        .position(|word| word == "--ledger-url")
        .expect("it is there");
    words.drain(at..at + 2);
    let at = words
        .iter()
        .position(|word| word == "--environment-ledger-key");
    let at = at.expect("it is there");
    words.drain(at..at + 2);
    let mut command = flowgate();
    command.args(words);
    let below = Running::start(command, &chain.folder.path().join("below.log"));
    eventually("the log says what to set", || {
        below
            .program
            .log()
            .contains("set upstream.ledger_url")
            .then_some(())
    });
}

#[test]
fn whoever_tampers_between_two_edges_is_refused() {
    let chain = Chain::start();
    let proxy = Proxy::before(&chain.url());
    let below = chain.below(&proxy.url, "below");
    below.serves(&chain.server_key, "First");
    // Another content under the same signature.
    proxy.tamper(|path, answer| {
        if !path.contains("/timestamp") || answer.status != 200 {
            return None;
        }
        let mut document: Value = serde_json::from_slice(&answer.body).ok()?;
        let payload = STANDARD.decode(document["payload"].as_str()?).ok()?;
        let payload = String::from_utf8(payload).ok()?;
        document["payload"] =
            json!(STANDARD.encode(payload.replace("\"revision\":", "\"revision\":9")));
        Some(document.to_string().into_bytes())
    });
    chain.publish("Second");
    below.refuses("the timestamp file is not signed");
    proxy.behave();
    below.serves(&chain.server_key, "Second");
    // Parts that are not what their hashes say.
    proxy.tamper(|path, answer| {
        let mut body = answer.body.clone();
        let last = body.last_mut()?;
        *last ^= 1;
        path.ends_with("/parts").then_some(body)
    });
    chain.publish("Third");
    eventually("it is refused", || {
        below.status()["environments"][0]["error"]
            .as_str()
            .map(drop)
    });
    assert_eq!(below.title(&chain.server_key).as_deref(), Some("Second"));
    proxy.behave();
    below.serves(&chain.server_key, "Third");
}

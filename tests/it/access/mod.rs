//! Who may ask a running edge, as whom, and how much?
//!
//! Rules set on the command line reach the edge with the next publish; what
//! they refuse says how to mend it.

mod flood;
mod proxied;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Site, eventually, run};

const FLOW: &str = "/v2/flow/announcement?version=1&userIdentifier=ada";

/// A command with the store's admin key, which must end well.
#[track_caller]
fn said(site: &Site, words: &[&str]) -> String {
    let output = run(&mut site.store.command(words));
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The complaint of a command that must fail.
#[track_caller]
fn complains(site: &Site, words: &[&str]) -> String {
    let output = run(&mut site.store.command(words));
    assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asks until this is the status.
#[track_caller]
fn becomes(what: &str, status: u16, mut ask: impl FnMut() -> Answer) -> Answer {
    eventually(what, || {
        Some(ask()).filter(|answer| answer.status == status)
    })
}

/// A token for a user, as an application's back end makes one.
fn token(key: &SigningKey, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({"alg": "EdDSA"})), part(claims));
    let signature = key.sign(message.as_bytes()).to_bytes();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The end of the year 2099.
const LATE_S: u64 = 4_102_444_799;

#[test]
fn an_environment_takes_signed_users_only() {
    let site = Site::start();
    let edge = site.edge.client("blocks");
    assert_eq!(
        edge.get(FLOW).status,
        200,
        "development allows unsigned users"
    );
    let listed = said(&site, &["env", "list"]);
    assert!(listed.contains("allowed (not chosen)"), "{listed}");
    assert!(
        listed.contains("refused (not chosen)"),
        "production: {listed}"
    );

    let signing = SigningKey::from_bytes(&[9; 32]);
    let public = URL_SAFE_NO_PAD.encode(signing.verifying_key().as_bytes());
    let add = format!("add:login={public}");
    let set = ["env", "set", "development"];
    said(
        &site,
        &[
            &set[..],
            &["--unsigned-users", "refuse", "--user-key", &add],
        ]
        .concat(),
    );
    let refused = becomes("unsigned users are refused", 403, || edge.get(FLOW));
    assert!(
        refused.text.contains("flowgate env set development"),
        "{}",
        refused.text
    );

    let ask = |client: &Client, path: &str, token: &str| {
        let headers = [("flowgate-user-token", token)];
        client
            .send(reqwest::Method::GET, path, &headers, None)
            .expect("an answer")
    };
    let ada = token(
        &signing,
        &json!({"sub": "ada", "aud": "development", "exp": LATE_S}),
    );
    for _ in 0..2 {
        let answer = ask(&edge, FLOW, &ada);
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let other = FLOW.replace("ada", "bob");
    assert_eq!(ask(&edge, &other, &ada).status, 403, "another user");
    let stranger = SigningKey::from_bytes(&[8; 32]);
    let forged = token(
        &stranger,
        &json!({"sub": "ada", "aud": "development", "exp": LATE_S}),
    );
    let answer = ask(&edge, FLOW, &forged);
    assert_eq!(answer.status, 401, "{}", answer.text);
    assert!(answer.text.contains("signature"), "{}", answer.text);
    // Back ends are trusted.
    let step = json!({"subject": {"user": "bob"}, "flows": {"announcement": null}});
    let answer = site.edge.client("server").post("/v1/evaluate", &step);
    assert_eq!(answer.status, 200, "{}", answer.text);

    // A key that is taken back ends what it signed, remembered or not.
    said(&site, &[&set[..], &["--user-key", "remove:login"]].concat());
    becomes("the key counts no longer", 401, || ask(&edge, FLOW, &ada));
    said(
        &site,
        &[&set[..], &["--unsigned-users", "default"]].concat(),
    );
    becomes("unsigned users are allowed again", 200, || edge.get(FLOW));
    let error = complains(&site, &[&set[..], &["--user-key", "remove:login"]].concat());
    assert!(error.contains("login"), "{error}");
}

#[test]
fn a_key_for_one_page_and_a_key_from_elsewhere() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let create = [
        "key",
        "create",
        "--kind",
        "blocks",
        "--environment",
        "development",
    ];
    let origins = [
        "page",
        "--origins",
        "https://app.example,http://localhost:3000",
    ];
    let page = said(&site, &[&create[..], &origins].concat());
    let page = Client::new(&url, page.trim());
    let from = |origin: &str| {
        let headers = [("origin", origin)];
        page.send(reqwest::Method::GET, FLOW, &headers, None)
            .expect("an answer")
    };
    becomes("the page's key works", 200, || from("https://app.example"));
    let refused = from("https://evil.example");
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert_eq!(refused.header("access-control-allow-origin"), "");
    let listed = said(&site, &["key", "list"]);
    assert!(
        listed.contains("http://localhost:3000") && listed.contains("ROTATED"),
        "{listed}"
    );
    let wrong = ["other", "--origins", "app.example/path"];
    let error = complains(&site, &[&create[..], &wrong].concat());
    assert!(error.contains("https://app.example.com"), "{error}");

    let file = site.path().join("token");
    let path = file.display().to_string();
    let foreign = "default:development.6c0e7d2a91b34f5d8e02c7a1b9f3d4e5";
    std::fs::write(&file, format!("{foreign}\n")).expect("a file");
    let made = said(&site, &[&create[..], &["moved", "--from", &path]].concat());
    assert_eq!(made.trim(), foreign);
    let moved = Client::new(&url, foreign);
    becomes("the key from elsewhere works", 200, || moved.get(FLOW));
    std::fs::write(&file, "default:development.unleash-insecure-api-token").expect("a file");
    let error = complains(&site, &[&create[..], &["weak", "--from", &path]].concat());
    assert!(error.contains("can be guessed"), "{error}");

    // A rotation replaces it, for a while beside it.
    let rotate = [
        "key",
        "rotate",
        "moved",
        "--kind",
        "blocks",
        "--environment",
        "development",
    ];
    let next = said(&site, &[&rotate[..], &["--overlap", "2s"]].concat());
    let next = Client::new(&url, next.trim());
    becomes("the new secret works", 200, || next.get(FLOW));
    becomes("the overlap ends", 401, || moved.get(FLOW));
    assert_eq!(next.get(FLOW).status, 200);
}

#[test]
fn pages_set_only_what_an_environment_lists() {
    let site = Site::start();
    let users = site.edge.client("users");
    let body = json!({"identifier": "ada", "properties": {"plan": "pro", "role": "admin"}});
    let from_page = || {
        let headers = [("origin", "https://app.example")];
        let body = Some(body.to_string());
        users
            .send(reqwest::Method::POST, "/identify", &headers, body)
            .expect("an answer")
    };
    assert_eq!(from_page().status, 204);
    let set = ["env", "set", "development"];
    said(
        &site,
        &[&set[..], &["--browser-properties", "plan,locale"]].concat(),
    );
    let refused = becomes("what is not listed is refused", 403, from_page);
    assert!(refused.text.contains("role"), "{}", refused.text);
    assert_eq!(users.post("/identify", &body).status, 204, "a back end");
    said(&site, &[&set[..], &["--any-browser-property"]].concat());
    becomes("everything is allowed again", 204, from_page);
}

//! What if the documents that arrive are not what they should be?
//!
//! Somebody stands between store and edge and serves documents that are
//! unsigned, wrongly signed, older, of another environment, truncated, too
//! large, expired or garbage. Each is refused and named in `/status`, the last
//! good snapshot keeps serving, and a later good update works.

mod planted;
pub(crate) mod proxy;

use std::{
    path::PathBuf,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use flowgate::snapshot::{
    envelope::{Role, SigningKey, seal},
    wire::{EnvelopeFile, TimestampDocument},
};
use serde_json::Value;

use self::proxy::Proxy;
use crate::harness::{Client, Edge, Store, body_of, eventually, project};

/// A store, somebody before it, and an edge that asks there.
struct Scene {
    store: Store,
    proxy: Proxy,
    edge: Edge,
    blocks: Client,
    // Last, so that the processes are gone before it is removed.
    folder: tempfile::TempDir,
}

/// The path of a timestamp begins its query after this.
const TIMESTAMP: &str = "/timestamp";

impl Scene {
    fn set() -> Self {
        Self::set_with("1")
    }

    /// The same with so many seconds of waiting at the store.
    fn set_with(wait: &str) -> Self {
        Self::set_flags(&["--upstream-poll-wait-s", wait])
    }

    /// The same with these flags for the edge.
    fn set_flags(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::start(folder.path());
        store.import(&project(folder.path(), "First"));
        let proxy = Proxy::before(store.url());
        let edge = Edge::start_below(folder.path(), &store, &proxy.url, flags);
        edge.ready();
        Self {
            blocks: edge.client("blocks"),
            store,
            proxy,
            edge,
            folder,
        }
    }

    fn title(&self) -> Value {
        let path = "/v2/flow/announcement?version=1&include=block&userIdentifier=reader";
        let flow = body_of(&self.blocks.get(path), 200);
        flow["blocks"][0]["fields"][0]["value"].clone()
    }

    fn environment(&self) -> Value {
        let status = body_of(&self.edge.admin().get("/status"), 200);
        status["environments"][0].clone()
    }

    /// Every timestamp is answered like this.
    fn serve_timestamp(&self, file: Vec<u8>) {
        self.proxy
            .tamper(move |path, _| path.contains(TIMESTAMP).then(|| file.clone()));
    }

    fn publish(&self, title: &str) {
        self.store.import(&project(self.folder.path(), title));
    }

    /// The refusal is named, nothing changes for applications, and the next
    /// good update gets through.
    #[track_caller]
    fn is_refused(&self, name: &str, words: &str, still: &str, next: &str) {
        eventually(&format!("{name} in the status"), || {
            let error = self.environment()["error"].clone();
            let error = error.as_str()?;
            (error.starts_with(&format!("{name}:")) && error.contains(words)).then_some(())
        });
        assert_eq!(self.title(), still, "{name}");
        let environment = self.environment();
        assert_eq!(environment["live"], true, "{environment}");
        assert!(environment["failures"].as_u64() > Some(0), "{environment}");
        assert_eq!(self.edge.admin().get("/ready").status, 200, "{name}");
        let metrics = self.edge.admin().get("/metrics").text;
        assert!(metrics.contains("refresh_failures"), "{metrics}");
        self.proxy.behave();
        self.publish(next);
        eventually("the next good update", || {
            (self.title() == next && self.environment()["error"].is_null()).then_some(())
        });
    }

    /// The store's own timestamp of an environment.
    fn timestamp(&self, environment: &str) -> Vec<u8> {
        let key = self.store.key_of(environment, "edge", "thief");
        let client = Client::new(self.store.url(), &key);
        let path = format!("/edge/v1/environments/{environment}/timestamp");
        let answer = client.get(&path);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text.into_bytes()
    }

    /// The timestamp in force as a document, to be changed and sealed anew.
    fn document(&self) -> TimestampDocument {
        let file: EnvelopeFile =
            serde_json::from_slice(&self.timestamp("development")).expect("an envelope");
        let payload = STANDARD.decode(file.payload).expect("base64");
        serde_json::from_slice(&payload).expect("a timestamp")
    }

    /// The key that may sign timestamps.
    fn timestamp_key(&self) -> SigningKey {
        let path = self.folder.path().join("signing/keys/timestamp.json");
        signing_key(&path)
    }
}

pub(crate) fn signing_key(path: &PathBuf) -> SigningKey {
    let text = std::fs::read(path).expect("a key file");
    let file: Value = serde_json::from_slice(&text).expect("JSON");
    let seed = file["seed"].as_str().expect("a seed");
    let seed = STANDARD.decode(seed).expect("base64");
    SigningKey::from_seed(&seed.try_into().expect("32 bytes"))
}

pub(crate) fn sealed(document: &TimestampDocument, key: &SigningKey) -> Vec<u8> {
    let payload = serde_json::to_vec(document).expect("it serialises");
    seal(Role::Timestamp, &payload, &[key])
}

#[test]
fn an_unsigned_timestamp_is_refused() {
    let scene = Scene::set();
    let mut file: EnvelopeFile =
        serde_json::from_slice(&scene.timestamp("development")).expect("an envelope");
    file.signatures.clear();
    scene.serve_timestamp(serde_json::to_vec(&file).expect("it serialises"));
    scene.is_refused("signature_count", "timestamp", "First", "Second");
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let scene = Scene::set();
    let mut document = scene.document();
    document.serial += 100;
    let stranger = SigningKey::from_seed(&[7; 32]);
    scene.serve_timestamp(sealed(&document, &stranger));
    scene.is_refused("below_threshold", "timestamp", "First", "Second");
    // A key of ours in a role it does not have is a stranger as well.
    let release = signing_key(&scene.folder.path().join("signing/keys/release.json"));
    scene.serve_timestamp(sealed(&document, &release));
    scene.is_refused("below_threshold", "timestamp", "Second", "Third");
}

#[test]
fn an_older_timestamp_is_refused() {
    let scene = Scene::set();
    let old = scene.timestamp("development");
    scene.publish("Second");
    eventually("the second title", || {
        (scene.title() == "Second").then_some(())
    });
    scene.serve_timestamp(old);
    scene.is_refused("serial_rollback", "accepted before", "Second", "Third");
    // Signed anew by the right key, with a higher serial: still older content.
    let mut document = scene.document();
    document.serial += 1;
    document.revision -= 1;
    scene.serve_timestamp(sealed(&document, &scene.timestamp_key()));
    scene.is_refused("revision_rollback", "accepted before", "Third", "Fourth");
}

#[test]
fn a_timestamp_of_another_environment_is_refused() {
    let scene = Scene::set();
    scene.serve_timestamp(scene.timestamp("production"));
    scene.is_refused("wrong_environment", "production", "First", "Second");
}

#[test]
fn an_expired_timestamp_is_refused() {
    let scene = Scene::set();
    let mut document = scene.document();
    document.serial += 1;
    document.issued_ms -= 120_000;
    document.fresh_until_ms = document.issued_ms + 1_000;
    document.expires_ms = document.issued_ms + 2_000;
    scene.serve_timestamp(sealed(&document, &scene.timestamp_key()));
    scene.is_refused("timestamp_expired", "expired", "First", "Second");
}

#[test]
fn an_oversized_timestamp_is_refused_while_it_is_read() {
    let scene = Scene::set();
    scene.serve_timestamp(vec![b' '; 2 * 1024 * 1024]);
    scene.is_refused("upstream_refused", "more than", "First", "Second");
}

#[test]
fn garbage_with_a_success_status_is_refused() {
    let scene = Scene::set();
    scene.serve_timestamp(b"<html>Sign in to the hotel's network</html>".to_vec());
    scene.is_refused("envelope_malformed", "timestamp", "First", "Second");
    scene.serve_timestamp(Vec::new());
    scene.is_refused("envelope_malformed", "timestamp", "Second", "Third");
    scene
        .proxy
        .tamper(|path, _| path.contains("/root/").then(|| b"{}".to_vec()));
    scene.is_refused("envelope_malformed", "root", "Third", "Fourth");
}

#[test]
fn a_truncated_or_exchanged_release_is_refused() {
    let scene = Scene::set();
    scene.proxy.tamper(|path, answer| {
        let cut = &answer.body[..answer.body.len().saturating_sub(10)];
        path.contains("/releases/").then(|| cut.to_vec())
    });
    scene.publish("Second");
    scene.is_refused("wrong_length", "release", "First", "Third");
    // The same length, other bytes.
    scene.proxy.tamper(|path, answer| {
        if !path.contains("/releases/") {
            return None;
        }
        let mut bytes = answer.body.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x01;
        Some(bytes)
    });
    scene.publish("Fourth");
    scene.is_refused("wrong_hash", "release", "Third", "Fifth");
}

#[test]
fn parts_that_are_not_what_was_asked_for_are_refused() {
    let scene = Scene::set();
    scene.proxy.tamper(|path, answer| {
        if !path.ends_with("/parts") {
            return None;
        }
        let mut bytes = answer.body.clone();
        if let Some(last) = bytes.last_mut() {
            *last ^= 0x01;
        }
        Some(bytes)
    });
    scene.publish("Second");
    scene.is_refused("blob_hash", "expected", "First", "Third");
    // Nothing at all instead of parts.
    scene
        .proxy
        .tamper(|path, _| path.ends_with("/parts").then(Vec::new));
    scene.publish("Fourth");
    scene.is_refused("upstream_refused", "not sent", "Third", "Fifth");
}

#[test]
fn an_upstream_that_does_not_wait_is_not_asked_without_a_breath() {
    let scene = Scene::set_with("0");
    let asked = || scene.proxy.asked.load(Ordering::Relaxed);
    let (begun, before) = (Instant::now(), asked());
    eventually("eleven questions", || {
        (asked() >= before + 11).then_some(())
    });
    // Ten pauses of the shortest backoff lie between them.
    assert!(begun.elapsed() >= Duration::from_millis(1_800));
}

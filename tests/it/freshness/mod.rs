//! How old may the truth be, and who hears of it?
//!
//! Store and edge as two processes with somebody between them who can hang up,
//! fall silent, or repeat for ever what he heard once.

mod edges;
mod reading;
mod streams;

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use flowgate::snapshot::wire::{EnvelopeFile, TimestampDocument};
use serde_json::Value;

use crate::{
    bad_documents::{
        proxy::{Mood, Proxy},
        sealed, signing_key,
    },
    harness::{Answer, Client, Edge, Store, body_of, eventually, project, run},
};

const FLOW: &str = "/v2/flow/announcement?version=1&include=block&userIdentifier=";

/// A store, somebody before it, and an edge that asks there.
struct Scene {
    store: Store,
    proxy: Proxy,
    edge: Edge,
    blocks: Client,
    // Last, so that the processes are gone before it is removed.
    folder: tempfile::TempDir,
}

impl Scene {
    /// With a store that calls its words fresh for so many seconds, and further
    /// flags for the edge.
    #[track_caller]
    fn set(fresh_for_s: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::start_with(folder.path(), &["--fresh-for-s", fresh_for_s]);
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

    fn read(&self, user: &str) -> Answer {
        self.blocks.get(&format!("{FLOW}{user}"))
    }

    fn publish(&self, title: &str) {
        self.store.import(&project(self.folder.path(), title));
    }

    fn status(&self) -> Value {
        body_of(&self.edge.admin().get("/status"), 200)
    }

    fn environment(&self) -> Value {
        self.status()["environments"][0].clone()
    }

    fn metrics(&self) -> String {
        self.edge.admin().get("/metrics").text
    }

    /// The revision the store has in force.
    fn revision(&self) -> String {
        let environments = body_of(&self.store.admin().get("/admin/v1/environments"), 200);
        let environments = environments["environments"].as_array().expect("a list");
        let own = environments.iter().find(|own| own["name"] == "development");
        let own = own.expect("development");
        own["revision"].as_str().expect("a revision").to_owned()
    }

    /// From now on the edge hears nothing but this: fresh for so long, and
    /// accepted for so long.
    fn last_word(&self, fresh_ms: u64, life_ms: u64) {
        let key = self.store.key_of("development", "edge", "thief");
        let client = Client::new(self.store.url(), &key);
        let answer = client.get("/edge/v1/environments/development/timestamp");
        let file: EnvelopeFile = serde_json::from_str(&answer.text).expect("an envelope");
        let payload = STANDARD.decode(file.payload).expect("base64");
        let mut document: TimestampDocument = serde_json::from_slice(&payload).expect("JSON");
        // Two publishes, and the store is past it again.
        document.serial += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("a time after 1970").as_millis();
        document.issued_ms = now.try_into().expect("milliseconds");
        document.fresh_until_ms = document.issued_ms + fresh_ms;
        document.expires_ms = document.issued_ms + life_ms;
        let key = signing_key(&self.folder.path().join("signing/keys/timestamp.json"));
        let word = sealed(&document, &key);
        self.proxy
            .tamper(move |path, _| path.contains("/timestamp").then(|| word.clone()));
    }
}

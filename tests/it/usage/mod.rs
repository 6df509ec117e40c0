//! Does the use of flags that clients tell an edge show up in the store?
//!
//! Real processes: clients post to an edge, which keeps and ships, and the
//! command line asks the store. What is told for an environment is known there
//! exactly once, whatever is killed or away in between.

mod counted;
mod refused;
mod shown;
mod surviving;

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Client, Edge, Store, eventually, run};

/// Store and edge with a key of each kind that may tell of flags.
struct Place {
    store: Store,
    edge: Edge,
    client: String,
    frontend: String,
}

impl Place {
    #[track_caller]
    fn start(folder: &Path, flags: &[&str]) -> Self {
        let store = Store::start(folder);
        let (client, frontend) = (store.key("client"), store.key("frontend"));
        let edge = Edge::start_below(folder, &store, store.url(), flags);
        edge.ready();
        let place = Self {
            store,
            edge,
            client,
            frontend,
        };
        eventually("the edge knows the keys", || {
            let answer = place.at_edge(&place.client).get("/api/client/features");
            (answer.status == 200).then_some(())
        });
        place
    }

    fn at_edge(&self, key: &str) -> Client {
        Client::new(&self.edge.program.text("edge_url"), key)
    }

    /// Tells of one flag and says whether that was taken.
    fn tell(&self, flag: &str, yes: u64, no: u64) -> u16 {
        let body = metrics(&json!({flag: {"yes": yes, "no": no}}));
        let client = self.at_edge(&self.client);
        client.post("/api/client/metrics", &body).status
    }

    /// What the edge says of its keeping.
    fn status(&self) -> Value {
        self.edge.admin().get("/status").json()["usage"].clone()
    }

    /// Waits until everything that was told lies in the journal.
    #[track_caller]
    fn written(&self) {
        // A first look may come before what was told was merged.
        eventually("what was told is written", || {
            let status = self.status();
            (status["pending"] == 0 && status["backlog_records"] != 0).then_some(())
        });
    }

    /// Waits until the store has everything.
    #[track_caller]
    fn shipped(&self) {
        eventually("the use of flags is shipped", || {
            let status = self.status();
            (status["pending"] == 0 && status["backlog_records"] == 0).then_some(())
        });
    }

    /// How often a flag was on, as the command line tells it.
    #[track_caller]
    fn yes(&self, flag: &str) -> u64 {
        let shown = usage(&self.store, &["flag", flag]);
        shown["yes"].as_u64().expect("a sum")
    }

    /// Waits until a flag was on so often.
    #[track_caller]
    fn comes_to(&self, flag: &str, yes: u64) {
        eventually("the store has what was told", || {
            (self.yes(flag) == yes).then_some(())
        });
    }
}

/// `flowgate usage …` as JSON.
#[track_caller]
fn usage(store: &Store, words: &[&str]) -> Value {
    let line = [&["usage"], words, &["--output", "json"]].concat();
    let output = run(&mut store.command(&line));
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A report of a client about these flags.
fn metrics(toggles: &Value) -> Value {
    json!({"appName": "shop", "instanceId": "i1", "sdkVersion": "unleash-client-node:6.1.0",
        "platformName": "node", "platformVersion": "22.1.0",
        "bucket": {"start": "2020-01-01T00:00:00Z", "stop": "2020-01-01T00:01:00Z", "toggles": toggles}})
}

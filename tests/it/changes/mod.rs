//! Does a client hear what changes, and see what it wrote?
//!
//! [`streams`]: server-sent events of real edges over one store. [`endings`]:
//! when a stream is over, and how many there may be. [`tickets`]: addresses
//! that open one. [`tokens`]: read-your-writes over two edges, with shipping
//! held up.

mod endings;
mod streams;
mod tickets;
mod tokens;

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Client, Edge, Store, body_of, project};

/// A store with two edges below it.
pub(crate) struct Pair {
    pub(crate) store: Store,
    pub(crate) first: Edge,
    pub(crate) second: Edge,
    // Last, so that the processes are gone before it is removed.
    folder: tempfile::TempDir,
}

impl Pair {
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::with(|store| store.url().to_owned(), &[])
    }

    /// With this upstream for the second edge, and flags for both.
    #[track_caller]
    fn with(upstream: impl FnOnce(&Store) -> String, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::start(folder.path());
        store.import(&project(folder.path(), "Hello"));
        let first = edge(folder.path(), "first", &store, store.url(), flags);
        let second = edge(folder.path(), "second", &store, &upstream(&store), flags);
        Self {
            store,
            first,
            second,
            folder,
        }
    }
}

#[track_caller]
fn edge(folder: &Path, name: &str, store: &Store, upstream: &str, flags: &[&str]) -> Edge {
    let own = folder.join(name);
    std::fs::create_dir(&own).expect("a folder");
    let edge = Edge::start_below(&own, store, upstream, flags);
    edge.ready();
    edge
}

/// Starts the announcement for a user; what was answered.
#[track_caller]
fn start(client: &Client, user: &str) -> Value {
    let body = json!({"subject": {"user": user}, "version": 1});
    body_of(&client.post("/v1/flows/announcement/start", &body), 200)
}

/// Stops it.
#[track_caller]
fn stop(client: &Client, user: &str) -> Value {
    let body = json!({"subject": {"user": user}, "version": 1});
    body_of(&client.post("/v1/flows/announcement/stop", &body), 200)
}

/// What a `hello` or `change` says of the announcement.
fn announcement(data: &Value) -> &Value {
    let flows = data["flows"].as_array().expect("flows");
    let own = flows.iter().find(|flow| flow["sid"] == "announcement");
    own.unwrap_or(&Value::Null)
}

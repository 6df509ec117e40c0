//! What does a small installation look like?
//!
//! A store and an edge as two processes in one folder, with a project of one
//! card and one modal. Stories that are about failing parts begin here.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Client, Edge, Store, body_of};

/// The project; `TITLE` is content, which may change in place.
const PROJECT: &str = r#"
flowgate: project/1
project: demo
name: Demo
flows:
  - sid: announcement
    name: Announcement
    versions:
      - number: 1
        message: first
        author: ada
        created: 2026-01-01T00:00:00Z
        entry: everyone
        blocks:
          - sid: card
            type: card
            fields: { title: "TITLE" }
          - sid: thanks
            type: modal
          - sid: end
            type: finish
        paths:
          - { from: entry, to: card }
          - { from: card, on: complete, to: thanks }
          - { from: thanks, on: [complete, dismiss], to: end }
"#;

/// Writes the project with this title into the folder.
pub(crate) fn project(folder: &Path, title: &str) -> PathBuf {
    let file = folder.join("project.yaml");
    std::fs::write(&file, PROJECT.replace("TITLE", title)).expect("a project file");
    file
}

/// Store and edge.
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) edge: Edge,
    // Last, so that the processes are gone before it is removed.
    folder: tempfile::TempDir,
}

impl Site {
    /// Starts both; returns when the edge is ready.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further flags for the edge.
    #[track_caller]
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        Self::launch(&[], flags)
    }

    /// The same with a store whose timestamps are fresh for so many seconds.
    #[track_caller]
    pub(crate) fn start_fresh_for(seconds: &str) -> Self {
        Self::launch(&["--fresh-for-s", seconds], &[])
    }

    /// The same with everything logged that there is to say.
    #[track_caller]
    pub(crate) fn start_talkative() -> Self {
        let flags = ["--log-level", "trace"];
        Self::launch(&flags, &flags)
    }

    #[track_caller]
    fn launch(store_flags: &[&str], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::start_with(folder.path(), store_flags);
        store.import(&project(folder.path(), "Hello"));
        let edge = Edge::start_below(folder.path(), &store, store.url(), flags);
        edge.ready();
        Self {
            store,
            edge,
            folder,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Imports the project with this title.
    #[track_caller]
    pub(crate) fn publish(&self, title: &str) {
        self.store.import(&project(self.path(), title));
    }

    /// The title the edge serves now.
    #[track_caller]
    pub(crate) fn title(&self) -> Value {
        let flow = flow_of(&self.edge.client("blocks"), "reader");
        flow["blocks"][0]["fields"][0]["value"].clone()
    }

    /// The uid of the card, which is the same for everybody.
    #[track_caller]
    pub(crate) fn card(&self) -> String {
        let flow = flow_of(&self.edge.client("blocks"), "reader");
        let uid = flow["blocks"][0]["uid"].as_str();
        uid.expect("a block with a uid").to_owned()
    }

    /// `/status` of the edge.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        body_of(&self.edge.admin().get("/status"), 200)
    }
}

/// Reads the flow, which starts it.
#[track_caller]
fn flow_of(edge: &Client, user: &str) -> Value {
    let path = format!("/v2/flow/announcement?version=1&include=block&userIdentifier={user}");
    body_of(&edge.get(&path), 200)
}

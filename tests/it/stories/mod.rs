//! What do the source systems' own documents promise, told on real processes?
//!
//! [`rollout`] is the deployments page of a chatbot service, [`versions`] the
//! versions page of a tour product: each one test, in the order of its page,
//! over one store and two edges.

mod rollout;
mod versions;

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Client, Edge, Store, body_of, eventually};

/// A store with two edges below it.
struct Pair {
    store: Store,
    first: Edge,
    second: Edge,
    folder: tempfile::TempDir,
}

impl Pair {
    /// Imports the project, starts both edges and waits until they are ready.
    #[track_caller]
    fn start(project: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::start(folder.path());
        import(&store, folder.path(), project);
        let edge = |name: &str| {
            let own = folder.path().join(name);
            std::fs::create_dir(&own).expect("a folder");
            let edge = Edge::start_below(&own, &store, store.url(), &[]);
            edge.ready();
            edge
        };
        let (first, second) = (edge("first"), edge("second"));
        Self {
            store,
            first,
            second,
            folder,
        }
    }

    /// Publishes the project as it is now, and waits until both edges have it.
    #[track_caller]
    fn publish(&self, project: &str) {
        import(&self.store, self.folder.path(), project);
        self.settle();
    }

    /// A command of an author, and its effect on both edges.
    #[track_caller]
    fn author(&self, words: &[&str]) {
        let output = crate::harness::run(&mut self.store.command(words));
        assert!(output.status.success(), "{words:?}: {output:?}");
        self.settle();
    }

    /// Waits until both edges serve what the store published last.
    #[track_caller]
    fn settle(&self) {
        let published = || {
            let answer = self.store.admin().get("/admin/v1/environments");
            let environments = body_of(&answer, 200);
            let environments = environments["environments"].as_array();
            let mut own = environments.expect("a list of environments").iter();
            let own = own.find(|own| own["name"] == "development");
            own.expect("development")["revision"].clone()
        };
        for edge in [&self.first, &self.second] {
            let admin = edge.admin();
            eventually("the edge has what was published", || {
                let status = body_of(&admin.get("/status"), 200);
                let environments = status["environments"].as_array()?;
                let mut own = environments.iter();
                let own = own.find(|own| own["name"] == "development")?;
                (own["revision"] == published()).then_some(())
            });
        }
    }

    /// Both edges, as an application server asks them.
    fn servers(&self) -> [Client; 2] {
        [self.first.client("server"), self.second.client("server")]
    }
}

#[track_caller]
fn import(store: &Store, folder: &Path, project: &str) {
    let file = folder.join("project.yaml");
    std::fs::write(&file, project).expect("a project file");
    store.import(&file);
}

/// Merges properties of a user.
#[track_caller]
fn identify(edge: &Client, user: &str, properties: &Value) {
    let body = json!({"identifier": user, "properties": properties});
    let answer = edge.post("/v1/identify", &body);
    assert!(answer.status < 300, "{}", answer.text);
}

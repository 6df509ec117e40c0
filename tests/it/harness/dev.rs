//! How does a story run `flowgate dev`?
//!
//! Store and edge in one process, with the demo project and a key of each
//! kind: enough for every story that is not about failing parts.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{Client, Program, flowgate, run};

/// `flowgate dev` in a folder of its own.
pub(crate) struct Dev {
    pub(crate) program: Program,
    pub(crate) folder: PathBuf,
}

impl Dev {
    #[track_caller]
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = Self::command(folder);
        command.arg("--json");
        Self {
            program: Program::start(command, &folder.join("dev.log")),
            folder: folder.to_owned(),
        }
    }

    /// The command that starts one on this folder, without `--json`.
    pub(crate) fn command(folder: &Path) -> Command {
        let mut command = flowgate();
        command
            .args(["dev", "--edge", "127.0.0.1:0"])
            .args(["--store", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .arg("--data")
            .arg(folder.join("dev"));
        command
    }

    /// Imports a project written as text, and waits until the edge has it.
    #[track_caller]
    pub(crate) fn import(&self, project: &str) {
        let file = self.folder.join("imported.yaml");
        std::fs::write(&file, project).expect("a project file");
        let output = run(flowgate()
            .arg("import")
            .arg(&file)
            .args(["--output", "json", "--data"])
            .arg(self.folder.join("dev")));
        assert!(output.status.success(), "{output:?}");
        let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let revision = made["revisions"]["development"].clone();
        let admin = self.admin();
        super::eventually("the edge has what was imported", || {
            let status = admin.get("/status").json();
            let mut environments = status["environments"].as_array()?.iter();
            environments
                .find(|own| own["name"] == "development" && own["revision"] == revision)
                .map(drop)
        });
    }

    /// A key of an environment.
    #[track_caller]
    pub(crate) fn key(&self, environment: &str, kind: &str) -> String {
        self.program.ready["environments"][environment][kind]
            .as_str()
            .unwrap_or_else(|| panic!("no {kind} key in {}", self.program.ready))
            .to_owned()
    }

    /// A client of the edge with a key of the development environment.
    pub(crate) fn edge(&self, kind: &str) -> Client {
        Client::new(
            &self.program.text("edge_url"),
            &self.key("development", kind),
        )
    }

    /// A client of the edge's admin listener.
    pub(crate) fn admin(&self) -> Client {
        Client::new(&self.program.text("edge_admin_url"), "")
    }

    /// A client of the store with the admin key.
    pub(crate) fn store(&self) -> Client {
        Client::new(
            &self.program.text("store_url"),
            &self.program.text("admin_key"),
        )
    }
}

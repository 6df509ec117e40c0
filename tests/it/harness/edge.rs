//! How does a story run `flowgate edge`?
//!
//! Below a store, or below whatever stands at the address given instead; the
//! same flags serve to start it again on its folder.

use std::{path::Path, process::Command};

use super::{Client, Program, Store, flowgate};

/// `flowgate edge` below a store.
pub(crate) struct Edge {
    pub(crate) program: Program,
    arguments: Vec<String>,
    keys: Vec<(&'static str, String)>,
}

impl Edge {
    /// Makes keys and starts it for the development environment, with this
    /// address for the upstream and further flags, which beat the usual ones.
    #[track_caller]
    pub(crate) fn start_below(
        folder: &Path,
        store: &Store,
        upstream: &str,
        flags: &[&str],
    ) -> Self {
        Self::start_for("development", folder, (store, upstream), flags)
    }

    /// The same for another environment.
    #[track_caller]
    pub(crate) fn start_for(
        environment: &str,
        folder: &Path,
        (store, upstream): (&Store, &str),
        flags: &[&str],
    ) -> Self {
        let key = |kind: &str| store.key_of(environment, kind, kind);
        let keys = ["blocks", "users", "server"].map(|kind| (kind, key(kind)));
        let edge_key = key("edge");
        let trust_root = store.trust_root().to_string_lossy().into_owned();
        let environment_key = format!("{environment}={edge_key}");
        let arguments = [
            "edge",
            "--json",
            "--upstream-url",
            upstream,
            "--trust-root",
            &trust_root,
            "--environment-key",
            &environment_key,
        ];
        let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        for pair in [
            ["--listen", "127.0.0.1:0"],
            ["--admin", "127.0.0.1:0"],
            ["--journal-segment-mb", "4"],
            ["--upstream-backoff-max-ms", "200"],
        ] {
            if !flags.contains(&pair[0]) {
                arguments.extend(pair.map(ToOwned::to_owned));
            }
        }
        arguments.extend(flags.iter().map(ToString::to_string));
        let mut command = flowgate();
        command.args(&arguments);
        command.arg("--data").arg(folder.join("edge"));
        Self {
            program: Program::start(command, &folder.join("edge.log")),
            arguments,
            keys: keys.into(),
        }
    }

    /// The command that starts one on this folder.
    pub(crate) fn command(&self, folder: &Path) -> Command {
        let mut command = self.bare_command();
        command.arg("--data").arg(folder.join("edge"));
        command
    }

    /// The same without a data folder.
    pub(crate) fn bare_command(&self) -> Command {
        let mut command = flowgate();
        command.args(&self.arguments);
        command
    }

    /// The same, trusting another root document.
    pub(crate) fn bare_command_with_root(&self, root: &Path) -> Command {
        let mut arguments = self.arguments.clone();
        let at = arguments.iter().position(|word| word == "--trust-root");
        let at = at.expect("it was given") + 1;
        arguments[at] = root.display().to_string();
        let mut command = flowgate();
        command.args(arguments);
        command
    }

    /// Starts it again on its folder.
    #[track_caller]
    pub(crate) fn restart(&mut self, folder: &Path) {
        self.program = Program::start(self.command(folder), &folder.join("edge.log"));
    }

    /// Starts it again by this command.
    #[track_caller]
    pub(crate) fn restart_as(&mut self, command: Command, folder: &Path) {
        self.program = Program::start(command, &folder.join("edge.log"));
    }

    /// Waits for readiness.
    #[track_caller]
    pub(crate) fn ready(&self) {
        let admin = self.admin();
        super::eventually("the edge is ready", || {
            (admin.get("/ready").status == 200).then_some(())
        });
    }

    /// The key of a kind it was started with.
    #[track_caller]
    pub(crate) fn key(&self, kind: &str) -> String {
        let key = self.keys.iter().find(|(own, _)| *own == kind);
        let (_, key) = key.expect("a key of this kind");
        key.clone()
    }

    /// A client of its public listener.
    #[track_caller]
    pub(crate) fn client(&self, kind: &str) -> Client {
        Client::new(&self.program.text("edge_url"), &self.key(kind))
    }

    pub(crate) fn admin(&self) -> Client {
        Client::new(&self.program.text("edge_admin_url"), "")
    }
}

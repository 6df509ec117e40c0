//! How does a story run an edge that lives from a file of flags?

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use reqwest::Method;

use crate::harness::{Answer, Client, Program, RawAnswer, flowgate, raw};

/// `flowgate edge --features`, with a client of its first token.
pub(super) struct Offline {
    pub(super) client: Client,
    program: Program,
    folder: tempfile::TempDir,
}

/// The command, with tokens and free ports.
pub(super) fn command(features: &Path, tokens: &[&str]) -> Command {
    let mut command = flowgate();
    command.args([
        "edge",
        "--json",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    command.arg("--features").arg(features);
    for token in tokens {
        command.args(["--token", token]);
    }
    command
}

impl Offline {
    #[track_caller]
    pub(super) fn start(document: &str, tokens: &[&str]) -> Self {
        Self::start_with(document, tokens, &[])
    }

    /// The same with further flags.
    #[track_caller]
    pub(super) fn start_with(document: &str, tokens: &[&str], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let features = folder.path().join("features.json");
        fs::write(&features, document).expect("a file");
        let mut command = command(&features, tokens);
        command.args(flags);
        // It keeps nothing: a folder that nobody may write to is enough.
        command.current_dir("/");
        let program = Program::start(command, &folder.path().join("edge.log"));
        let first = tokens.first().copied().unwrap_or_default();
        Self {
            client: Client::new(&program.text("edge_url"), first),
            program,
            folder,
        }
    }

    fn features(&self) -> PathBuf {
        self.folder.path().join("features.json")
    }

    /// Puts another document in the place of the file, at once.
    pub(super) fn replace(&self, document: &str) {
        let beside = self.folder.path().join("features.new");
        fs::write(&beside, document).expect("a file");
        fs::rename(&beside, self.features()).expect("a new file");
    }

    /// Takes the file away.
    pub(super) fn remove(&self) {
        fs::remove_file(self.features()).expect("a file less");
    }

    /// A client with another token.
    pub(super) fn with(&self, token: &str) -> Client {
        Client::new(&self.program.text("edge_url"), token)
    }

    pub(super) fn admin(&self) -> Client {
        Client::new(&self.program.text("edge_admin_url"), "")
    }

    pub(super) fn url(&self) -> String {
        self.program.text("edge_url")
    }

    pub(super) fn log(&self) -> String {
        self.program.log()
    }

    pub(super) fn terminate(&mut self) -> Option<i32> {
        self.program.terminate()
    }

    /// Sends a request with headers of its own.
    #[track_caller]
    pub(super) fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let answer = self.client.send(method, path, headers, None);
        answer.expect("an answer")
    }

    /// Sends exactly these bytes.
    #[track_caller]
    pub(super) fn raw(&self, line: &str, headers: &[(&str, &str)], body: &str) -> RawAnswer {
        let length = body.len().to_string();
        let headers = [headers, &[("content-length", &length)]].concat();
        raw(
            &self.program.text("edge_url"),
            line,
            &headers,
            body.as_bytes(),
        )
    }
}

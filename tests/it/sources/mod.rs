//! From where else do snapshots come than from a store?
//!
//! From a folder that somebody built, signed and copied, and from another edge
//! that passes on what it verified. Real processes each time.

mod ceremony;
mod chain;
mod file;
mod pipeline;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::harness::{Client, Program, body_of, eventually, flowgate, project, run};

/// Runs a command that must succeed; what it printed.
#[track_caller]
fn done(words: &[&str]) -> String {
    let output = run(flowgate().args(words));
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// A path as an argument.
fn word(path: &Path) -> String {
    path.display().to_string()
}

/// The hash of a key, as an operator finds it.
#[track_caller]
fn hash_of(folder: &Path, key: &str) -> String {
    let file = folder.join("a.key");
    std::fs::write(&file, format!("{key}\n")).expect("a file");
    let hash = done(&["key", "hash", &word(&file)]);
    std::fs::remove_file(&file).expect("it was there");
    hash.trim().to_owned()
}

/// A folder of signed files, with the keys that sign and the one that asks.
struct Folder {
    root: tempfile::TempDir,
    key: String,
}

impl Folder {
    /// Builds and signs the small project with this title.
    #[track_caller]
    fn new(title: &str) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let signing = word(&root.path().join("signing"));
        let life = ["--timestamp-life-days", "400"];
        done(
            &[
                &["key", "signing", "create", "--folder", &signing],
                &life[..],
            ]
            .concat(),
        );
        let key = ["--kind", "server", "--environment", "production"];
        let key = done(&[&["key", "generate"], &key[..]].concat());
        let folder = Self {
            root,
            key: key.trim().to_owned(),
        };
        folder.build(title);
        folder.sign();
        folder
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn out(&self) -> PathBuf {
        self.path().join("out")
    }

    fn environment(&self) -> PathBuf {
        self.out().join("environments/production")
    }

    fn trust_root(&self) -> PathBuf {
        self.path().join("signing/root.json")
    }

    #[track_caller]
    fn build(&self, title: &str) {
        self.build_into(&self.out(), title);
    }

    #[track_caller]
    fn build_into(&self, out: &Path, title: &str) {
        let project = word(&project(self.path(), title));
        let key = format!("server:app={}", hash_of(self.path(), &self.key));
        let words = ["snapshot", "build", &project, "--out", &word(out)];
        let more = ["--environment", "production", "--key", &key];
        done(&[&words[..], &more].concat());
    }

    #[track_caller]
    fn sign(&self) -> Value {
        self.sign_in(&self.out())
    }

    #[track_caller]
    fn sign_in(&self, out: &Path) -> Value {
        let signing = word(&self.path().join("signing"));
        let words = ["snapshot", "sign", &word(out), "--signing", &signing];
        let told = done(&[&words[..], &["--output", "json"]].concat());
        let signed: Value = serde_json::from_str(&told).expect("JSON");
        signed[0].clone()
    }

    /// An edge on this folder, with nothing else in the world.
    fn command(&self, data: &str, trust_root: &Path) -> Command {
        let mut command = flowgate();
        command
            .args(["edge", "--json", "--upstream", "file", "--upstream-path"])
            .arg(self.out())
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--environment-required", "production=true"])
            .args(["--upstream-reread-ms", "20", "--journal-segment-mb", "4"])
            .args(["--upstream-backoff-max-ms", "200", "--trust-root"])
            .arg(trust_root)
            .arg("--data")
            .arg(self.path().join(data));
        command
    }

    /// Starts one with an own data folder.
    #[track_caller]
    fn start_on(&self, data: &str) -> Running {
        let command = self.command(data, &self.trust_root());
        Running::start(command, &self.path().join(format!("{data}.log")))
    }

    #[track_caller]
    fn start(&self) -> Running {
        self.start_on("edge")
    }
}

/// An edge however it is supplied.
struct Running {
    program: Program,
}

impl Running {
    #[track_caller]
    fn start(command: Command, log: &Path) -> Self {
        Self {
            program: Program::start(command, log),
        }
    }

    fn client(&self, key: &str) -> Client {
        Client::new(&self.program.text("edge_url"), key)
    }

    #[track_caller]
    fn status(&self) -> Value {
        let admin = Client::new(&self.program.text("edge_admin_url"), "");
        body_of(&admin.get("/status"), 200)
    }

    /// The title a user sees, once there is an answer.
    fn title(&self, key: &str) -> Option<String> {
        let answer = self.client(key).post("/v1/evaluate", &question("reader"));
        let title =
            answer.json()["decisions"]["announcement"]["blocks"][0]["fields"][0]["value"].clone();
        title.as_str().map(ToOwned::to_owned)
    }

    #[track_caller]
    fn serves(&self, key: &str, title: &str) {
        eventually(&format!("{title} is served"), || {
            (self.title(key).as_deref() == Some(title)).then_some(())
        });
    }

    /// Waits until the last attempt failed with such words.
    #[track_caller]
    fn refuses(&self, words: &str) {
        eventually(&format!("it is refused: {words}"), || {
            let status = self.status();
            let error = status["environments"][0]["error"].as_str()?.to_owned();
            error.contains(words).then_some(())
        });
    }
}

/// Asks for the small project's flow and starts it.
fn question(user: &str) -> Value {
    json!({"subject": {"user": user}, "flows": {"announcement": "latest"}, "start": true, "include": ["blocks"]})
}

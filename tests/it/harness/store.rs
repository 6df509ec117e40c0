//! How does a story run `flowgate store`, and speak to it?
//!
//! As an operator does: signing keys first, then the process, then the command
//! line with the admin key of the first start.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{Client, Program, flowgate, run};

/// `flowgate store` with signing keys of its own.
pub(crate) struct Store {
    pub(crate) program: Program,
    folder: PathBuf,
    url: String,
    admin_key: String,
    flags: Vec<String>,
    /// What commands need to believe it.
    trust: Vec<String>,
}

impl Store {
    /// Makes signing keys, starts the store and finds its first admin key.
    #[track_caller]
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same with further flags.
    #[track_caller]
    pub(crate) fn start_with(folder: &Path, flags: &[&str]) -> Self {
        let made = run(flowgate()
            .args(["key", "signing", "create", "--folder"])
            .arg(folder.join("signing")));
        assert!(made.status.success(), "{made:?}");
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let program = Self::launch(folder, "127.0.0.1:0", &flags);
        let admin_key = std::fs::read_to_string(folder.join("store/admin.key"))
            .expect("the first admin key")
            .trim()
            .to_owned();
        Self {
            url: program.text("store_url"),
            program,
            folder: folder.to_owned(),
            admin_key,
            flags,
            trust: Vec::new(),
        }
    }

    /// Commands give these flags, too.
    pub(crate) fn trusted_by(mut self, flags: &[&str]) -> Self {
        self.trust = flags.iter().map(ToString::to_string).collect();
        self
    }

    fn launch(folder: &Path, listen: &str, flags: &[String]) -> Program {
        let mut command = flowgate();
        command
            .args(["store", "--json", "--listen", listen])
            .args(flags)
            .arg("--data")
            .arg(folder.join("store"))
            .arg("--signing")
            .arg(folder.join("signing"));
        Program::start(command, &folder.join("store.log"))
    }

    /// Starts it again on the address it had.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        let (_, address) = self.url.split_once("://").expect("a url");
        let address = address.to_owned();
        self.program = Self::launch(&self.folder, &address, &self.flags);
    }

    /// A command that speaks to this store as its administrator.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = flowgate();
        command
            .args(words)
            .args(["--to", &self.url])
            .args(&self.trust)
            .env("FLOWGATE_ADMIN_KEY", &self.admin_key);
        command
    }

    #[track_caller]
    pub(crate) fn import(&self, file: &Path) {
        let file = file.to_string_lossy();
        let output = run(&mut self.command(&["import", "--yes", &file]));
        assert!(output.status.success(), "{output:?}");
    }

    /// Makes a key of the development environment.
    #[track_caller]
    pub(crate) fn key(&self, kind: &str) -> String {
        self.key_of("development", kind, kind)
    }

    /// Makes a key; a name that is taken is rotated instead.
    #[track_caller]
    pub(crate) fn key_of(&self, environment: &str, kind: &str, name: &str) -> String {
        let key = ["--kind", kind, "--environment", environment, "--name", name];
        let command = |verb| {
            let mut command = self.command(&["key", verb, "--output", "json"]);
            run(command.args(key))
        };
        let mut output = command("create");
        if !output.status.success() {
            output = command("rotate");
        }
        assert!(output.status.success(), "{output:?}");
        let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        made["key"].as_str().expect("a key").to_owned()
    }

    /// Revokes all secrets of a key of the development environment.
    #[track_caller]
    pub(crate) fn revoke(&self, kind: &str, name: &str) {
        let key = [
            "--kind",
            kind,
            "--environment",
            "development",
            "--name",
            name,
        ];
        let output = run(self.command(&["key", "revoke"]).args(key));
        assert!(output.status.success(), "{output:?}");
    }

    /// A client of its authoring API.
    pub(crate) fn admin(&self) -> Client {
        Client::new(&self.url, &self.admin_key)
    }

    /// A user's document, if the store answers.
    pub(crate) fn user(&self, id: &str) -> Option<Value> {
        let client = self.admin();
        let path = format!("/admin/v1/users/{id}?environment=development");
        let answer = client.send(reqwest::Method::GET, &path, &[], None).ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The folder of root documents.
    pub(crate) fn trust_root(&self) -> PathBuf {
        self.folder.join("signing/root.json")
    }
}

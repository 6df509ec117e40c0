//! How is the real binary started, watched and ended?

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
};

use serde_json::Value;

use super::{Client, DEADLINE};

/// The binary under test.
pub fn flowgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    // A developer's own settings must not decide a test.
    for (name, _) in std::env::vars() {
        if name.starts_with("FLOWGATE_") {
            command.env_remove(name);
        }
    }
    command
}

/// A running process; killed when dropped.
pub struct Program {
    child: Child,
    /// The line of JSON it printed when ready.
    pub ready: Value,
    log: PathBuf,
}

impl Program {
    /// Starts it and waits for its line of JSON. Its log goes to a file.
    #[track_caller]
    pub fn start(mut command: Command, log: &Path) -> Self {
        let file = std::fs::File::create(log).expect("a log file");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = String::new();
            drop(reader.read_line(&mut line));
            drop(sender.send(line));
            // Keep reading, so that the program never blocks on its output.
            drop(reader.read_to_end(&mut Vec::new()));
        });
        let line = line.recv_timeout(DEADLINE).unwrap_or_default();
        let Ok(ready) = serde_json::from_str(&line) else {
            drop(child.kill());
            let text = std::fs::read_to_string(log).unwrap_or_default();
            panic!("no line of JSON but {line:?}; its log: {text}");
        };
        Self {
            child,
            ready,
            log: log.to_owned(),
        }
    }

    /// A member of the ready line.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        let value = self.ready[name].as_str();
        value
            .unwrap_or_else(|| panic!("no {name} in {}", self.ready))
            .to_owned()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL: no chance to clean up.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        // The standard library sends SIGKILL only; `kill` by pid is exact.
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `flowgate dev` in a folder of its own.
pub struct Dev {
    pub program: Program,
    pub folder: PathBuf,
}

impl Dev {
    #[track_caller]
    pub fn start(folder: &Path) -> Self {
        let mut command = flowgate();
        command
            .args(["dev", "--json", "--edge", "127.0.0.1:0"])
            .args(["--store", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .arg("--data")
            .arg(folder.join("dev"));
        Self {
            program: Program::start(command, &folder.join("dev.log")),
            folder: folder.to_owned(),
        }
    }

    /// A key of an environment.
    #[track_caller]
    pub fn key(&self, environment: &str, kind: &str) -> String {
        self.program.ready["environments"][environment][kind]
            .as_str()
            .unwrap_or_else(|| panic!("no {kind} key in {}", self.program.ready))
            .to_owned()
    }

    /// A client of the edge with a key of the development environment.
    pub fn edge(&self, kind: &str) -> Client {
        Client::new(
            &self.program.text("edge_url"),
            &self.key("development", kind),
        )
    }

    /// A client of the edge's admin listener.
    pub fn admin(&self) -> Client {
        Client::new(&self.program.text("edge_admin_url"), "")
    }

    /// A client of the store with the admin key.
    pub fn store(&self) -> Client {
        Client::new(
            &self.program.text("store_url"),
            &self.program.text("admin_key"),
        )
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("it runs")
}

/// `flowgate store` with signing keys of its own.
pub struct Store {
    pub program: Program,
    folder: PathBuf,
    url: String,
    admin_key: String,
}

impl Store {
    /// Makes signing keys, starts the store and finds its first admin key.
    #[track_caller]
    pub fn start(folder: &Path) -> Self {
        let made = run(flowgate()
            .args(["key", "signing", "create", "--folder"])
            .arg(folder.join("signing")));
        assert!(made.status.success(), "{made:?}");
        let program = Self::launch(folder, "127.0.0.1:0");
        let admin_key = std::fs::read_to_string(folder.join("store/admin.key"))
            .expect("the first admin key")
            .trim()
            .to_owned();
        Self {
            url: program.text("store_url"),
            program,
            folder: folder.to_owned(),
            admin_key,
        }
    }

    fn launch(folder: &Path, listen: &str) -> Program {
        let mut command = flowgate();
        command
            .args(["store", "--json", "--listen", listen])
            .arg("--data")
            .arg(folder.join("store"))
            .arg("--signing")
            .arg(folder.join("signing"));
        Program::start(command, &folder.join("store.log"))
    }

    /// Starts it again on the address it had.
    #[track_caller]
    pub fn restart(&mut self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        self.program = Self::launch(&self.folder, &address);
    }

    /// A command that speaks to this store as its administrator.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = flowgate();
        command
            .args(words)
            .args(["--to", &self.url])
            .env("FLOWGATE_ADMIN_KEY", &self.admin_key);
        command
    }

    #[track_caller]
    pub fn import(&self, file: &Path) {
        let file = file.to_string_lossy();
        let output = run(&mut self.command(&["import", &file]));
        assert!(output.status.success(), "{output:?}");
    }

    /// Makes a key of the development environment.
    #[track_caller]
    pub fn key(&self, kind: &str) -> String {
        let words = [
            "key",
            "create",
            "--kind",
            kind,
            "--environment",
            "development",
            "--name",
            kind,
            "--output",
            "json",
        ];
        let output = run(&mut self.command(&words));
        assert!(output.status.success(), "{output:?}");
        let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        made["key"].as_str().expect("a key").to_owned()
    }

    /// A user's document, if the store answers.
    pub fn user(&self, id: &str) -> Option<Value> {
        let client = Client::new(&self.url, &self.admin_key);
        let path = format!("/admin/v1/users/{id}?environment=development");
        let answer = client.send(reqwest::Method::GET, &path, &[], None).ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of root documents.
    pub fn trust_root(&self) -> PathBuf {
        self.folder.join("signing/root.json")
    }
}

/// `flowgate edge` below a store.
pub struct Edge {
    pub program: Program,
    arguments: Vec<String>,
    keys: Vec<(&'static str, String)>,
}

impl Edge {
    /// Makes keys and starts it for the development environment.
    #[track_caller]
    pub fn start(folder: &Path, store: &Store) -> Self {
        let keys = ["blocks", "users", "server"].map(|kind| (kind, store.key(kind)));
        let edge_key = store.key("edge");
        let trust_root = store.trust_root().to_string_lossy().into_owned();
        let environment_key = format!("development={edge_key}");
        let arguments = [
            "edge",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--upstream-url",
            store.url(),
            "--trust-root",
            &trust_root,
            "--environment-key",
            &environment_key,
            "--journal-segment-mb",
            "4",
            "--upstream-backoff-max-ms",
            "200",
        ];
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let mut command = flowgate();
        command
            .args(&arguments)
            .arg("--data")
            .arg(folder.join("edge"));
        Self {
            program: Program::start(command, &folder.join("edge.log")),
            arguments,
            keys: keys.into(),
        }
    }

    /// The command that starts one on this folder.
    pub fn command(&self, folder: &Path) -> Command {
        let mut command = flowgate();
        command
            .args(&self.arguments)
            .arg("--data")
            .arg(folder.join("edge"));
        command
    }

    /// Starts it again on its folder.
    #[track_caller]
    pub fn restart(&mut self, folder: &Path) {
        self.program = Program::start(self.command(folder), &folder.join("edge.log"));
    }

    /// Waits for readiness.
    #[track_caller]
    pub fn ready(&self) {
        let admin = self.admin();
        super::eventually("the edge is ready", || {
            (admin.get("/ready").status == 200).then_some(())
        });
    }

    #[track_caller]
    pub fn client(&self, kind: &str) -> Client {
        let key = self.keys.iter().find(|(own, _)| *own == kind);
        let (_, key) = key.expect("a key of this kind");
        Client::new(&self.program.text("edge_url"), key)
    }

    pub fn admin(&self) -> Client {
        Client::new(&self.program.text("edge_admin_url"), "")
    }
}

//! How is the real binary started, watched and ended?

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
};

use serde_json::Value;

use super::DEADLINE;

/// The binary under test.
pub(crate) fn flowgate() -> Command {
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
pub(crate) struct Program {
    child: Child,
    /// The line of JSON it printed when ready.
    pub(crate) ready: Value,
    log: PathBuf,
}

impl Program {
    /// Starts it and waits for its line of JSON. Its log goes to a file.
    #[track_caller]
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
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
    pub(crate) fn text(&self, name: &str) -> String {
        let value = self.ready[name].as_str();
        value
            .unwrap_or_else(|| panic!("no {name} in {}", self.ready))
            .to_owned()
    }

    /// Its process id, for signals.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL: no chance to clean up.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGHUP: read again what can be read again.
    pub(crate) fn hang_up(&self) {
        self.signal("HUP");
    }

    /// Sends a signal: the standard library knows SIGKILL only, and `kill` by
    /// pid is exact.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name}");
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
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

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("it runs")
}

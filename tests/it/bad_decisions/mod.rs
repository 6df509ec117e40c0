//! What if the decisions somebody wants make no sense?
//!
//! Authors who contradict themselves and applications that send nonsense, both
//! against the real program: an import with a fault says file, place, rule,
//! found and expected and changes nothing; a request is total at run time and
//! never ends in a 5xx; a receipt that was damaged is refused with words.

mod imports;
mod names;
mod receipts;
mod requests;
mod sizes;
mod steps;
mod webhooks;

use std::path::{Path, PathBuf};

use crate::harness::{Dev, flowgate, run};

/// A running dev, and the exit codes and words of what authors type.
struct Desk {
    dev: Dev,
    // Last, so that the process is gone before it is removed.
    folder: tempfile::TempDir,
}

/// How a command ended.
struct Ended {
    code: i32,
    out: String,
    error: String,
}

impl Desk {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            dev: Dev::start(folder.path()),
            folder,
        }
    }

    /// Runs a command on the folder of this dev.
    #[track_caller]
    fn runs(&self, words: &[&str]) -> Ended {
        let output = run(flowgate()
            .args(words)
            .arg("--data")
            .arg(self.folder.path().join("dev")));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended = Ended {
            code: output.status.code().expect("it was not killed"),
            out: text(&output.stdout),
            error: text(&output.stderr),
        };
        assert!(!ended.error.contains("panicked"), "{}", ended.error);
        ended
    }

    /// A file in the folder.
    #[track_caller]
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).expect("a file");
        file
    }

    #[track_caller]
    fn imports(&self, file: &Path) -> Ended {
        self.runs(&["import", &file.display().to_string(), "--output", "json"])
    }

    #[track_caller]
    fn export(&self) -> String {
        let ended = self.runs(&["export"]);
        assert_eq!(ended.code, 0, "{}", ended.error);
        ended.out
    }

    /// Imports a text that must be refused, with one line of the complaint
    /// that has all of these words.
    #[track_caller]
    fn refuses(&self, text: &str, words: &[&str]) {
        let file = self.file("bad.yaml", text);
        let ended = self.imports(&file);
        assert_eq!(ended.code, 2, "taken: {words:?}\n{}", ended.out);
        assert!(ended.out.is_empty(), "{}", ended.out);
        let lines: Vec<&str> = ended.error.lines().collect();
        let fits = |line: &&&str| {
            line.contains("bad.yaml") && words.iter().all(|word| line.contains(word))
        };
        assert!(
            lines.iter().any(|line| fits(&line)),
            "no line with {words:?} in:\n{}",
            ended.error
        );
    }
}

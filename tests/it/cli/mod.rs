//! Does the command line do what it says, and end with the right code?
//!
//! One file for each family of commands; results are read from standard
//! output as scripts read them, complaints from standard error.

mod aiming;
mod authoring;
mod deployments;
mod drafts;
mod environments;
mod explaining;
mod keys;
mod loading;
mod people;
mod rollouts;
mod settings;
mod snapshots;
mod terminal;
mod trying;
mod users;

use std::process::Command;

use serde_json::Value;

use crate::harness::{flowgate, run};

/// How a command ended, and what it said.
struct Ended {
    code: i32,
    out: String,
    error: String,
}

#[track_caller]
fn ended(command: &mut Command) -> Ended {
    let output = run(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ended = Ended {
        code: output.status.code().expect("it was not killed"),
        out: text(&output.stdout),
        error: text(&output.stderr),
    };
    assert!(!ended.error.contains("panicked"), "{}", ended.error);
    ended
}

/// A command line without any server.
#[track_caller]
fn said(words: &[&str]) -> Ended {
    ended(flowgate().args(words))
}

impl Ended {
    /// It must have ended with this code.
    #[track_caller]
    fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerror: {}", self.out, self.error);
        // Whoever fails says why, and results are not mixed with complaints.
        if code > 1 {
            assert!(!self.error.is_empty(), "a code without a word");
            assert!(self.out.is_empty(), "{}", self.out);
        }
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.out))
    }

    #[track_caller]
    fn complains_of(&self, words: &[&str]) {
        for word in words {
            assert!(self.error.contains(word), "no {word:?} in: {}", self.error);
        }
    }
}

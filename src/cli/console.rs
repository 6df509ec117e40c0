//! Where do results and complaints go?
//!
//! The two streams of a command as values, so that tests can read them. What a
//! server or a file said may hold control characters; nothing of it reaches a
//! terminal unescaped.

use std::io::{self, Write};

use serde_json::Value;

use super::failure::Failure;

/// Standard output and standard error of one command.
pub struct Console {
    results: Box<dyn Write>,
    complaints: Box<dyn Write>,
}

impl Console {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// Any two writers.
    pub fn new(results: Box<dyn Write>, complaints: Box<dyn Write>) -> Self {
        Self {
            results,
            complaints,
        }
    }

    /// Prints a result as it is, and flushes: whoever waits for the line that
    /// says "ready" reads it at once.
    pub(super) fn print(&mut self, text: &str) -> Result<(), Failure> {
        let mut write = || {
            self.results.write_all(text.as_bytes())?;
            self.results.flush()
        };
        match write() {
            // The reader has seen enough, as `head` does; nothing is wrong.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|error| {
                Failure::undone("standard output cannot be written").because(&error)
            }),
        }
    }

    /// Prints one line with control characters escaped.
    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.print(&format!("{}\n", plain(text)))
    }

    /// Prints what an answer says was taken and may not be meant; each with the
    /// `places` it names.
    pub(super) fn notices(&mut self, answer: &Value, places: &[&str]) -> Result<(), Failure> {
        for notice in answer["notices"].as_array().into_iter().flatten() {
            let parts = places.iter().chain(&["rule"]);
            let parts = parts.filter_map(|name| notice[*name].as_str());
            let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
            self.line(&format!("notice: {}", parts.join(": ")))?;
        }
        Ok(())
    }

    /// Says on standard error what went wrong.
    pub(super) fn complain(&mut self, text: &str) {
        let lines: Vec<String> = text.lines().map(plain).collect();
        self.complain_as_is(&format!("flowgate: {}\n", lines.join("\n")));
    }

    /// Complains in somebody else's words.
    pub(super) fn complain_as_is(&mut self, text: &str) {
        // There is nowhere left to report that standard error is gone; the
        // exit code still tells.
        if self.complaints.write_all(text.as_bytes()).is_ok() {
            self.complaints.flush().unwrap_or_default();
        }
    }
}

/// A text with its control characters escaped.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

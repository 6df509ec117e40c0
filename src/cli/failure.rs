//! Which exit code, and which words, does a command end with?
//!
//! A failure says what was found and expected, where it came from, and how to
//! mend it. Every error below it shows one level of itself; the chain is put
//! together here and printed once.

use std::{error::Error, fmt};

/// Wrong usage or configuration: `EX_USAGE` of sysexits.
pub(super) const USAGE: u8 = 64;

/// How a command that ran to its end ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Done, or so.
    Done,
    /// The thing asked for is not so; the command has said why.
    NotSo,
}

impl Outcome {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotSo => 1,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    text: String,
    mend: Option<String>,
    /// Somebody else was first.
    late: bool,
}

impl Failure {
    /// Could not be done.
    pub(super) fn undone(text: impl Into<String>) -> Self {
        Self {
            code: 2,
            text: text.into(),
            mend: None,
            late: false,
        }
    }

    /// Wrong usage or configuration.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            ..Self::undone(text)
        }
    }

    /// The errors below, each once: some libraries repeat their source in
    /// their own text.
    pub(super) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if !self.text.contains(&text) {
                self.text.push_str(": ");
                self.text.push_str(&text);
            }
            next = error.source();
        }
        self
    }

    /// How to mend it.
    pub(super) fn mend(mut self, how: impl Into<String>) -> Self {
        self.mend = Some(how.into());
        self
    }

    /// The same, because somebody else was first.
    pub(super) fn late(self) -> Self {
        Self { late: true, ..self }
    }

    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// One more thing to do about it.
    pub(super) fn also(self, how: &str) -> Self {
        let how = match &self.mend {
            Some(first) => format!("{first}; {how}"),
            None => how.to_owned(),
        };
        self.mend(how)
    }

    pub(super) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.mend {
            Some(how) => write!(f, "\n  ({how})"),
            None => Ok(()),
        }
    }
}

impl From<crate::config::Faults> for Failure {
    fn from(faults: crate::config::Faults) -> Self {
        Self::usage(faults.to_string())
    }
}

//! Is a condition true for this subject, now?
//!
//! One engine under expressions (and, with later releases, audiences and
//! constraints). Total: whatever the properties are, the answer is a boolean,
//! never an error; and it allocates nothing.

use super::subject::SubjectView;
use crate::clock::UnixMs;

/// A compiled condition.
#[derive(Debug)]
pub struct Predicate {}

/// Why source text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at position {position}: {message}")]
pub struct ExpressionError {
    /// Byte offset into the source, from 0.
    pub position: usize,
    /// What was found and what was expected.
    pub message: String,
}

impl Predicate {
    /// Parses and compiles an expression.
    pub fn parse(source: &str) -> Result<Self, ExpressionError> {
        todo!()
    }

    /// Whether it holds.
    pub fn holds(&self, view: &SubjectView<'_>, now: UnixMs) -> bool {
        todo!()
    }
}

//! Do flags behave as Unleash's clients expect?
//!
//! Its client specification in full, and stories about what the specification
//! says nothing of: statuses, tags, tokens, what clients are told that follow
//! flags, and the file that all comes from.

mod authored;
mod file;
mod following;
mod inlining;
mod offline;
mod signed;
mod specification;
mod wire;

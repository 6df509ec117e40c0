//! How do edges hear of each other's records?
//!
//! By hashes of what changed: ids of users stay at the ledger.

use serde::{Deserialize, Serialize};

/// The answer of `GET environments/{env}/changes`: whose documents changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Where to go on.
    pub cursor: String,
    /// The cursor asked with is too old (or of another ledger): everything may
    /// have changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    /// In the order of the ledger.
    pub changes: Vec<Change>,
}

/// One document changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// [`subject_hash`] of what changed, in 16 hexadecimal digits: ids of
    /// users stay at the ledger.
    pub subject: String,
    /// Its revision now.
    pub doc_rev: u64,
    /// The journal whose record changed it; an edge skips its own.
    pub journal: String,
}

/// What a change names: kind (`user`, `group`, `membership`) and the parts of
/// the key (user id; group id; deployment, id and conversation or nothing).
/// Two subjects with one hash are both read again, and nothing worse.
pub fn subject_hash(kind: &str, parts: &[&str]) -> u64 {
    let mut name = kind.to_owned();
    for part in parts {
        name.push('\n');
        name.push_str(part);
    }
    crate::snapshot::name_hash(&name)
}

/// [`subject_hash`] of a percentage decision.
pub fn membership_hash(deployment: &str, id: &str, conversation: Option<&str>) -> u64 {
    match conversation {
        Some(conversation) => subject_hash("membership", &[deployment, id, conversation]),
        None => subject_hash("membership", &[deployment, id]),
    }
}

//! How is a percentage decision written down?
//!
//! By the edge that made it, and by the ledger under its key.

use serde::{Deserialize, Serialize};

use crate::{clock::UnixMs, evaluate::Membership};

/// A percentage decision under its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipDocument {
    /// Uid of the deployment.
    pub deployment: String,
    /// The id that was hashed.
    pub id: String,
    /// Set when the decision stands for one conversation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// In, or out.
    #[serde(rename = "in")]
    pub is_in: bool,
    /// The percentage it was judged at; 0..=10000.
    pub basis_points: u16,
    /// Where the id fell: 0..10000.
    pub bucket: u16,
}

impl MembershipDocument {
    /// As it is evaluated.
    pub fn to_membership(&self) -> Membership {
        Membership {
            is_in: self.is_in,
            basis_points: self.basis_points,
        }
    }
}

/// What the ledger knows under one membership key: the answer of
/// `GET environments/{env}/memberships/{deployment}/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRecord {
    /// Grows with every change; 0: nothing is recorded.
    pub doc_rev: u64,
    /// The decision that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipDocument>,
    /// When it was decided.
    #[serde(default)]
    pub decided_ms: UnixMs,
    /// A start that rests on it was applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub started: bool,
    /// A run that began on it came to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finished: bool,
    /// (journal, seq) of the last record applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<(String, u64)>,
}

//! With what bounds does progress run?
//!
//! What an operator chooses; ceilings that are the same everywhere stand in
//! [`crate::limits`].

use super::OnUnknownSubject;

/// What an operator chooses of progress.
#[derive(Clone, Debug)]
pub struct ProgressOptions {
    /// Users kept from the ledger.
    pub users_max: u64,
    /// Users with records outstanding whose whole state is pinned in memory;
    /// and as many groups, and percentage decisions.
    pub resident_max: usize,
    /// Records outstanding before a write is refused.
    pub records_max: usize,
    /// What an unknown user gets while upstream is away.
    pub on_unknown: OnUnknownSubject,
    /// Name of this edge in records.
    pub edge: String,
    /// Names of the environments, in the order of the journal's owners.
    pub environments: Vec<String>,
}

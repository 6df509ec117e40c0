//! What becomes of a subject when the version changes under them?
//!
//! Pure and lazy: the state another version left is turned into one for the
//! version asked for. Nothing is stored here; `Migrated::save` says whether a
//! caller that may save does so now.

use super::{Migrated, state::FlowState};
use crate::snapshot::{Version, wire::Migration};

/// Which strategy a version of the flow carries; none for one that does not
/// exist (or could not be compiled).
pub trait Strategies {
    /// Of the version with this number.
    fn strategy(&self, version: u32) -> Option<Migration>;
}

/// The state for `target` made of those of other versions, when the subject has
/// none there; none when they begin anew. `visited` are the subject's states of
/// this flow (and conversation), ascending by version.
pub fn migrate<'u>(
    _strategies: &dyn Strategies,
    _target: &Version,
    _visited: impl DoubleEndedIterator<Item = (u32, &'u FlowState)> + Clone,
) -> Option<(Migrated, FlowState)> {
    None
}

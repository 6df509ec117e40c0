//! What does a decision let a subject see and do?
//!
//! A decision ends at the first step that fixes it, and being switched off is
//! judged before who is meant. So where a deployment decides, nobody but those
//! who have begun is shown anything while it is off: the others may well be
//! those who were never let in.

use crate::evaluate::{Decision, Reason};

/// How far a subject gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Everything: blocks, and steps that may lead somewhere.
    Open,
    /// What is stored, with every block inactive; nothing moves.
    Still,
    /// Nothing of the content; nothing moves.
    Shut,
    /// There is no version to see.
    Nothing,
}

impl Door {
    pub(crate) fn of(decision: &Decision<'_, '_>) -> Self {
        match decision.reason {
            Reason::Disabled | Reason::Inactive => {
                let state = decision.state.as_deref();
                let is_begun = state.is_some_and(|state| state.started);
                match decision.deployment {
                    Some(_) if !is_begun => Self::Shut,
                    _ => Self::Still,
                }
            }
            Reason::Excluded | Reason::AudienceMismatch | Reason::NoRolloutId => Self::Shut,
            Reason::Percentage if decision.enrolled.is_none_or(|enrolled| !enrolled.is_in) => {
                Self::Shut
            }
            Reason::UnknownFlow
            | Reason::UnknownVersion
            | Reason::SetAside
            | Reason::EmptyVersion
            | Reason::DeploymentRequired => Self::Nothing,
            Reason::Percentage
            | Reason::Pinned
            | Reason::Member
            | Reason::EntryCondition
            | Reason::Started
            | Reason::Finished
            | Reason::Stopped => Self::Open,
        }
    }
}

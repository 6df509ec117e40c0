//! Who answers what depends on properties or time?
//!
//! Live, the predicates of the version; at the ledger, the record of what they
//! answered.

use super::Side;
use crate::{
    clock::UnixMs,
    evaluate::{state::BlockState, subject::SubjectView},
    snapshot::{Block, Entry, Version},
};

/// Answers what depends on properties or time.
pub trait Judge {
    /// Whether the entry condition holds. Not asked when `force` is set.
    fn entry(&mut self, version: &Version) -> bool;

    /// Which side of this boolean block is taken, while the flow's blocks
    /// stand like this (sorted by key); none when a recorded run has no further
    /// answer for it (the record does not fit: `StepError::NotRecorded`).
    fn branch(&mut self, version: &Version, block: &Block, blocks: &[BlockState]) -> Option<Side>;
}

/// Evaluates predicates against a subject, now.
#[derive(Clone, Copy, Debug)]
pub struct LiveJudge<'a> {
    /// For whom.
    pub view: SubjectView<'a>,
    /// Fixed for the whole request.
    pub now: UnixMs,
}

impl Judge for LiveJudge<'_> {
    fn entry(&mut self, version: &Version) -> bool {
        version.entry.holds(&self.view, self.now)
    }

    fn branch(&mut self, _version: &Version, block: &Block, blocks: &[BlockState]) -> Option<Side> {
        let holds = block
            .predicate
            .as_ref()
            .is_some_and(|predicate| predicate.holds_in(&self.view, self.now, Some(blocks)));
        Some(if holds { Side::True } else { Side::False })
    }
}

/// Plays recorded answers back, in order.
#[derive(Clone, Debug)]
pub struct RecordedJudge<'a> {
    /// Whether the recorded run had passed the entry condition.
    pub entry: bool,
    /// The branches that are still to come: block uid and side.
    pub branches: &'a [(Box<str>, Side)],
}

impl Judge for RecordedJudge<'_> {
    fn entry(&mut self, _version: &Version) -> bool {
        self.entry
    }

    fn branch(
        &mut self,
        _version: &Version,
        block: &Block,
        _blocks: &[BlockState],
    ) -> Option<Side> {
        let ((uid, side), rest) = self.branches.split_first()?;
        if *uid != block.uid {
            return None;
        }
        self.branches = rest;
        Some(*side)
    }
}

impl Entry {
    /// Whether the subject starts by itself.
    pub(crate) fn holds(&self, view: &SubjectView<'_>, now: UnixMs) -> bool {
        match self {
            Self::Everyone => true,
            Self::Expression(predicate) => predicate.holds(view, now),
            Self::ApiOnly => false,
        }
    }
}

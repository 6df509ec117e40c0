//! How do flags and segments of project files come into the store?
//!
//! Read first, each on its own; put into the workspace when every file was
//! taken, segments before flags, because what a strategy refers to or a flag
//! depends on may stand in a later file. Whatever a file leaves out of a flag
//! stays as it is.

mod apply;
mod by_hand;
mod change;
mod pieces;
mod read;
mod settle;

pub(super) use apply::Flagging;
pub(in crate::store) use change::change;
pub(super) use change::difference;
pub(super) use read::{FlagFile, SegmentFile, flag, segment};

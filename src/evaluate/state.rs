//! Where does one subject stand in one version of a flow?
//!
//! Compact and self-contained: keyed by hashed uids and names, so that it
//! holds no reference into a snapshot and looking it up compares integers.
//! Blocks that were never entered are not stored. The form on disk and on the
//! wire, with names in full, is `progress::event::StateDocument`.

use crate::snapshot::{BlockKey, FlowKey, NameKey};

/// A flow's state for one subject and version. The default is "never seen".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowState {
    /// Stays true after stop and finish.
    pub started: bool,
    /// Excludes `finished`.
    pub stopped: bool,
    /// Excludes `stopped`.
    pub finished: bool,
    /// It was a migration strategy that stopped it: later strategies tell it
    /// from a flow that an intent stopped. Only with `stopped`.
    pub retired: bool,
    /// Grows by every reset and migration.
    pub generation: u32,
    /// Sorted by key; only blocks that were entered in this generation.
    pub blocks: Box<[BlockState]>,
}

/// A block's state. Absent means never entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockState {
    /// Which block.
    pub key: BlockKey,
    /// Reached now.
    pub active: bool,
    /// Reached at least once.
    pub entered: bool,
    /// Left by a transition.
    pub exited: bool,
    /// Names taken since it was entered last, sorted. Of a gate: the paths
    /// (`NameKey::of(path uid)`) taken since it was passed last.
    pub taken: Box<[NameKey]>,
}

impl FlowState {
    /// The state of this block.
    pub fn block(&self, key: BlockKey) -> Option<&BlockState> {
        let at = self.blocks.binary_search_by_key(&key, |b| b.key).ok()?;
        Some(&self.blocks[at])
    }

    /// Started, and neither stopped nor finished.
    pub fn is_running(&self) -> bool {
        self.started && !self.stopped && !self.finished
    }
}

impl BlockState {
    /// Whether this transition was taken since the block was entered last.
    pub fn has_taken(&self, name: NameKey) -> bool {
        self.taken.binary_search(&name).is_ok()
    }
}

/// A flow's state together with what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowProgress {
    /// Which flow.
    pub flow: FlowKey,
    /// Which version; 0 is the draft.
    pub version: u32,
    /// Set when the state belongs to one conversation.
    pub conversation: Option<Box<str>>,
    /// Where the subject stands.
    pub state: FlowState,
}

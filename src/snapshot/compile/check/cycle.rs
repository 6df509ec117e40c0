//! Would logic blocks run in a circle for ever?
//!
//! A cycle that passes a shown block waits there for somebody; one of logic
//! blocks alone has nobody to wait for.

use rustc_hash::FxHashMap;

use super::{Faults, Place};
use crate::snapshot::{
    model::BlockIndex,
    wire::{BlockKind, VersionPart},
};

/// How far the search has come with a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Never,
    UnderWay,
    Done,
}

/// Finds paths that close a cycle of logic blocks that go on by themselves. A
/// gate counts as one: whether it holds the cycle up is a matter of chance.
pub(super) fn check(part: &VersionPart, by_uid: &FxHashMap<&str, BlockIndex>, faults: &mut Faults) {
    if part.blocks.iter().all(|block| !goes_on(block.kind)) {
        return;
    }
    let logic = |uid: &str| {
        let index = by_uid.get(uid)?.0 as usize;
        goes_on(part.blocks.get(index)?.kind).then_some(index)
    };
    let mut targets: Vec<Vec<usize>> = vec![Vec::new(); part.blocks.len()];
    for path in &part.paths {
        let from = path.from.as_deref().and_then(logic);
        if let (Some(from), Some(to)) = (from, logic(&path.to)) {
            targets[from].push(to);
        }
    }
    let mut visits = vec![Visit::Never; part.blocks.len()];
    for first in 0..part.blocks.len() {
        // Depth first with a stack of our own: a chain may be as long as a
        // version is large.
        let mut stack = Vec::new();
        if visits[first] == Visit::Never {
            visits[first] = Visit::UnderWay;
            stack.push((first, 0));
        }
        while let Some((block, taken)) = stack.last_mut() {
            let Some(next) = targets[*block].get(*taken).copied() else {
                visits[*block] = Visit::Done;
                stack.pop();
                continue;
            };
            *taken += 1;
            match visits[next] {
                Visit::Never => {
                    visits[next] = Visit::UnderWay;
                    stack.push((next, 0));
                }
                Visit::UnderWay => faults.add(
                    Place::Block(&part.blocks[next].sid),
                    "closes a cycle of logic blocks alone, expected a shown block in every cycle",
                ),
                Visit::Done => {}
            }
        }
    }
}

/// Whether a block is left by itself (a finish block has nothing behind it).
fn goes_on(kind: BlockKind) -> bool {
    matches!(
        kind,
        BlockKind::Boolean | BlockKind::Gate | BlockKind::Webhook | BlockKind::FlowTrigger
    )
}

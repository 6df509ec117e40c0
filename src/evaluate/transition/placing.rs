//! How does somebody come to stand on given blocks?
//!
//! By nobody's step: an operator puts them there. What they were shown before is
//! cleared, as a reset does it; a container opens as if it had been reached, and
//! the items of a tour before the one that is meant were left by `next`.

use super::standing::Standing;
use crate::{
    evaluate::state::FlowState,
    snapshot::{BlockIndex, NameKey, Version, wire::BlockKind},
};

/// A running state on these shown blocks, in the generation after this one.
pub fn place(version: &Version, generation: u32, blocks: &[BlockIndex]) -> FlowState {
    let before = FlowState {
        generation,
        ..FlowState::default()
    };
    let mut standing = Standing::own(version, &before);
    standing.clear();
    standing.begin();
    for index in blocks {
        let block = version.block(*index);
        let Some(container) = block.container() else {
            standing.enter(&[*index]);
            continue;
        };
        standing.enter(&[container]);
        if block.kind != BlockKind::TourItem {
            continue;
        }
        let items = version.block(container).items();
        let ahead = items.iter().take_while(|item| *item != index);
        for item in ahead {
            let own = version.block(*item);
            standing.leave(own, [NameKey::of("next")].into_iter());
        }
        standing.enter(&[*index]);
    }
    standing.into_state()
}

//! How is a checked version linked?
//!
//! Names become indexes and keys, and everything of an answer that does not
//! depend on the user becomes bytes. Runs only on what passed every check.

use rustc_hash::FxHashMap;

use super::check::{Checked, fixed_names};
use crate::snapshot::{
    fragment,
    model::{Block, BlockIndex, BlockKey, NameKey, Transition, Version},
    wire::{BlockKind, BlockPart, Migration, VersionPart},
};

/// Links one version.
pub(super) fn link(part: &VersionPart, checked: Checked<'_>) -> Version {
    let Checked {
        by_uid,
        entry,
        predicates,
    } = checked;
    let mut targets = targets(part, &by_uid);
    let mut items = items(part, &by_uid);
    let blocks: Box<[Block]> = part
        .blocks
        .iter()
        .zip(predicates)
        .zip((0..).map(BlockIndex))
        .map(|((block, predicate), index)| Block {
            uid: block.uid.as_str().into(),
            key: BlockKey::of(&block.uid),
            sid: block.sid.as_str().into(),
            kind: block.kind,
            container: block
                .container
                .as_deref()
                .and_then(|uid| by_uid.get(uid).copied()),
            items: items.remove(&index).unwrap_or_default().into(),
            transitions: transitions(block, index, &mut targets),
            predicate,
            json_head: fragment::block_head(part, block).into(),
        })
        .collect();
    let indexes = || (0..blocks.len() as u32).map(BlockIndex);
    let at = |index: BlockIndex| &blocks[index.0 as usize];
    let mut by_key: Vec<BlockIndex> = indexes().collect();
    by_key.sort_unstable_by_key(|index| at(*index).key);
    let shown: Box<[BlockIndex]> = indexes().filter(|index| !at(*index).is_logic()).collect();
    let json_bytes = shown
        .iter()
        .map(|index| fragment::block_bytes_max(at(*index)) + 1);
    Version {
        number: part.number,
        migration: part.migration.unwrap_or(Migration::RestartInProgress),
        entry,
        initial: in_order(
            part.paths
                .iter()
                .filter(|path| path.from.is_none())
                .filter_map(|path| by_uid.get(path.to.as_str()).copied())
                .collect(),
        ),
        by_key: by_key.into(),
        json_head: fragment::flow_head(&part.flow_uid, &part.flow_sid, part.number).into(),
        json_bytes: json_bytes.sum(),
        shown,
        blocks,
    }
}

/// Where each name of each block leads.
type Targets<'p> = FxHashMap<(BlockIndex, &'p str), Vec<BlockIndex>>;

fn targets<'p>(part: &'p VersionPart, by_uid: &FxHashMap<&str, BlockIndex>) -> Targets<'p> {
    let mut targets = Targets::default();
    for path in &part.paths {
        let from = path.from.as_deref().and_then(|uid| by_uid.get(uid));
        let (Some(from), Some(to)) = (from, by_uid.get(path.to.as_str())) else {
            continue;
        };
        for name in &path.on {
            targets.entry((*from, name)).or_default().push(*to);
        }
    }
    targets
}

fn transitions<'p>(
    block: &'p BlockPart,
    index: BlockIndex,
    targets: &mut Targets<'p>,
) -> Box<[Transition]> {
    let own: Vec<&str> = match fixed_names(block.kind) {
        Some(fixed) => fixed.to_vec(),
        None => block.transitions.iter().map(String::as_str).collect(),
    };
    own.into_iter()
        .map(|name| Transition {
            name: name.into(),
            key: NameKey::of(name),
            targets: in_order(targets.remove(&(index, name)).unwrap_or_default()),
            json_name: fragment::transition_name(name).into(),
        })
        .collect()
}

/// Document order, without duplicates.
fn in_order(mut indexes: Vec<BlockIndex>) -> Box<[BlockIndex]> {
    indexes.sort_unstable();
    indexes.dedup();
    indexes.into()
}

/// Items by their container: those with a `display-index` first, in its
/// order; ties and the rest in document order.
fn items(
    part: &VersionPart,
    by_uid: &FxHashMap<&str, BlockIndex>,
) -> FxHashMap<BlockIndex, Vec<BlockIndex>> {
    let mut items: FxHashMap<BlockIndex, Vec<(f64, BlockIndex)>> = FxHashMap::default();
    for (place, block) in part.blocks.iter().enumerate() {
        let container = block.container.as_deref().and_then(|uid| by_uid.get(uid));
        if let (Some(container), BlockKind::TourItem) = (container, block.kind) {
            let index = BlockIndex(place as u32);
            let own = items.entry(*container).or_default();
            own.push((display_index(block).unwrap_or(f64::INFINITY), index));
        }
    }
    items
        .into_iter()
        .map(|(container, mut own)| {
            // A stable sort keeps document order among equals.
            own.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            (container, own.into_iter().map(|(_, index)| index).collect())
        })
        .collect()
}

fn display_index(block: &BlockPart) -> Option<f64> {
    let field = block
        .fields
        .iter()
        .find(|field| field.sid == "display-index")?;
    field.value.as_f64()
}

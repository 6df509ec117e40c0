//! How is a checked version linked?
//!
//! Names become indexes and keys, and everything of an answer that does not
//! depend on the user becomes bytes. Runs only on what passed every check.

use rustc_hash::FxHashMap;

use super::check::{Checked, fixed_names};
use crate::snapshot::{
    fragment,
    model::{
        Block, BlockIndex, BlockKey, FlowKey, Incoming, NameKey, Special, Target, Transition,
        Trigger, Version,
    },
    wire::{BlockKind, BlockPart, Migration, PathPart, VersionPart},
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
    let mut incoming = incoming(part, &by_uid);
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
            special: Special {
                container: block
                    .container
                    .as_deref()
                    .and_then(|uid| by_uid.get(uid).copied()),
                items: items.remove(&index).unwrap_or_default().into(),
                predicate,
                incoming: incoming.remove(&index).unwrap_or_default().into(),
                trigger: block.trigger.as_ref().map(|trigger| Trigger {
                    flow_sid: trigger.flow_sid.as_str().into(),
                    version: trigger.version,
                    action: trigger.action,
                }),
            }
            .if_any(),
            transitions: transitions(block, index, &mut targets),
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
        flow_uid: part.flow_uid.as_str().into(),
        flow_key: FlowKey::of(&part.flow_uid),
        flow_sid: part.flow_sid.as_str().into(),
        number: part.number,
        migration: part.migration.unwrap_or(Migration::RestartInProgress),
        entry,
        initial: in_order(
            part.paths
                .iter()
                .filter(|path| path.from.is_none())
                .filter_map(|path| target(path, &by_uid))
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
type Targets<'p> = FxHashMap<(BlockIndex, &'p str), Vec<Target>>;

fn targets<'p>(part: &'p VersionPart, by_uid: &FxHashMap<&str, BlockIndex>) -> Targets<'p> {
    let mut targets = Targets::default();
    for path in &part.paths {
        let from = path.from.as_deref().and_then(|uid| by_uid.get(uid));
        let (Some(from), Some(to)) = (from, target(path, by_uid)) else {
            continue;
        };
        for name in &path.on {
            targets.entry((*from, name)).or_default().push(to);
        }
    }
    targets
}

fn target(path: &PathPart, by_uid: &FxHashMap<&str, BlockIndex>) -> Option<Target> {
    Some(Target {
        block: *by_uid.get(path.to.as_str())?,
        path: NameKey::of(&path.uid),
    })
}

/// The paths that lead to each gate, sorted by key.
fn incoming(
    part: &VersionPart,
    by_uid: &FxHashMap<&str, BlockIndex>,
) -> FxHashMap<BlockIndex, Vec<Incoming>> {
    let mut incoming: FxHashMap<BlockIndex, Vec<Incoming>> = FxHashMap::default();
    for path in &part.paths {
        let Some(to) = by_uid.get(path.to.as_str()) else {
            continue;
        };
        let target = part.blocks.get(to.0 as usize);
        if target.is_some_and(|block| block.kind == BlockKind::Gate) {
            incoming.entry(*to).or_default().push(Incoming {
                uid: path.uid.as_str().into(),
                key: NameKey::of(&path.uid),
            });
        }
    }
    for paths in incoming.values_mut() {
        paths.sort_unstable_by_key(|path| path.key);
    }
    incoming
}

fn transitions<'p>(
    block: &'p BlockPart,
    index: BlockIndex,
    targets: &mut Targets<'p>,
) -> Box<[Transition]> {
    let mut targets = |name: &'p str| in_order(targets.remove(&(index, name)).unwrap_or_default());
    match fixed_names(block.kind) {
        Some(fixed) => {
            let names = fixed.iter();
            names
                .map(|own| Transition::fixed(own, targets(own.name)))
                .collect()
        }
        None => {
            let names = block.transitions.iter();
            names
                .map(|name| Transition::own(name, fragment::transition_name(name), targets(name)))
                .collect()
        }
    }
}

/// Document order, without duplicates.
fn in_order(mut targets: Vec<Target>) -> Box<[Target]> {
    targets.sort_unstable();
    targets.dedup();
    targets.into()
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
        if let Some(container) = container {
            let index = BlockIndex(place as u32);
            let own = items.entry(*container).or_default();
            own.push((display_index(block).unwrap_or(f64::INFINITY), index));
        }
    }
    items
        .into_iter()
        .map(|(container, mut own)| {
            // A stable sort keeps document order among equals, and 0 and -0 are.
            own.sort_by(|(a, _), (b, _)| (a + 0.0).total_cmp(&(b + 0.0)));
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

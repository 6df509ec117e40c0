//! Does a block carry what its kind needs, and nothing else?
//!
//! Transition names belong to custom blocks, containers to items, expressions
//! to booleans, triggers to flow triggers. What is shown of
//! a kind is the matter of `fragment`.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{OwnFaults, collision, sid_fault};
use crate::{
    evaluate::predicate::Predicate,
    limits::{SID_BYTES_MAX, TRANSITIONS_PER_BLOCK_MAX},
    snapshot::{
        model::{BlockIndex, BlockKey, FixedName, NameKey},
        wire::{BlockKind, BlockPart, VersionPart},
    },
};

/// A name of a sort that stands for itself in JSON.
macro_rules! fixed {
    ($($name:literal),*) => {
        Some(&[$(FixedName { name: $name, json: concat!("\"", $name, "\":") }),*])
    };
}

/// The transition names a kind always has; none for `custom`, which names its own.
pub(in crate::snapshot::compile) fn fixed_names(kind: BlockKind) -> Option<&'static [FixedName]> {
    match kind {
        BlockKind::Custom => None,
        BlockKind::Card
        | BlockKind::Modal
        | BlockKind::Tour
        | BlockKind::Checklist
        | BlockKind::Hints
        | BlockKind::HintsItem => fixed!("complete", "dismiss"),
        BlockKind::TourItem => fixed!("next", "previous"),
        BlockKind::ChecklistItem => fixed!("complete", "skip"),
        BlockKind::Boolean => fixed!("true", "false"),
        BlockKind::Gate | BlockKind::Webhook | BlockKind::FlowTrigger => fixed!("done"),
        BlockKind::Finish => fixed!(),
    }
}

pub(super) fn names(block: &BlockPart, faults: &mut OwnFaults<'_>) {
    if block.kind != BlockKind::Custom {
        if !block.transitions.is_empty() {
            faults.add("found transition names, expected them on custom blocks only");
        }
        return;
    }
    let count = block.transitions.len();
    if count > TRANSITIONS_PER_BLOCK_MAX {
        faults.add(format!(
            "found {count} transition names, expected at most {TRANSITIONS_PER_BLOCK_MAX}"
        ));
    }
    let mut seen = FxHashSet::default();
    for name in &block.transitions {
        if name.is_empty() || name.len() > SID_BYTES_MAX || name.contains(char::is_control) {
            faults.add(format!(
                "found the transition name {name:?}, expected 1 to {SID_BYTES_MAX} bytes without control characters"
            ));
        }
        if !seen.insert(name.as_str()) {
            faults.add(format!(
                "found the transition name {name:?} twice, expected it once"
            ));
        }
    }
    let keys = block
        .transitions
        .iter()
        .map(|name| (NameKey::of(name).0, name.as_str()));
    if let Some((one, other)) = collision(keys) {
        faults.add(format!(
            "the transition names {one:?} and {other:?} have the same hash, rename one of them"
        ));
    }
}

/// Of an item: what it is, what it belongs to in words, and that kind.
pub(super) fn item_of(kind: BlockKind) -> Option<(&'static str, &'static str, BlockKind)> {
    match kind {
        BlockKind::TourItem => Some(("tour item", "tour", BlockKind::Tour)),
        BlockKind::ChecklistItem => Some(("checklist item", "checklist", BlockKind::Checklist)),
        BlockKind::HintsItem => Some(("hints item", "hints", BlockKind::Hints)),
        _ => None,
    }
}

/// A container in words.
pub(super) fn items_of(kind: BlockKind) -> Option<&'static str> {
    match kind {
        BlockKind::Tour => Some("a tour"),
        BlockKind::Checklist => Some("a checklist"),
        BlockKind::Hints => Some("hints"),
        _ => None,
    }
}

pub(super) fn container(
    block: &BlockPart,
    part: &VersionPart,
    by_uid: &FxHashMap<&str, BlockIndex>,
    faults: &mut OwnFaults<'_>,
) {
    match (&block.container, item_of(block.kind)) {
        (None, Some((item, container, _))) => faults.add(format!(
            "found a {item} without a container, expected the uid of its {container}"
        )),
        (Some(uid), Some((_, _, expected))) => {
            let kind = by_uid
                .get(uid.as_str())
                .and_then(|index| part.blocks.get(index.0 as usize))
                .map(|container| container.kind);
            if kind != Some(expected) {
                let expected = items_of(expected).unwrap_or_default();
                faults.add(format!(
                    "found the container {uid:?}, expected the uid of {expected}"
                ));
            }
        }
        (Some(_), None) => faults.add("found a container, expected it on items only"),
        (None, None) => {}
    }
}

pub(super) fn trigger(block: &BlockPart, faults: &mut OwnFaults<'_>) {
    match (&block.trigger, block.kind) {
        (Some(trigger), BlockKind::FlowTrigger) => {
            // The flow itself may not exist, or not yet; its name can be one.
            if let Some(fault) = sid_fault(&trigger.flow_sid) {
                faults.add(format!("trigger: {fault}"));
            }
        }
        (None, BlockKind::FlowTrigger) => {
            faults.add("found no trigger, expected one that says what happens to which flow");
        }
        (Some(_), _) => faults.add("found a trigger, expected it on flow triggers only"),
        (None, _) => {}
    }
}

pub(super) fn expression(
    block: &BlockPart,
    by_sid: &FxHashMap<&str, BlockKey>,
    faults: &mut OwnFaults<'_>,
) -> Option<Predicate> {
    match (&block.expression, block.kind) {
        (Some(source), BlockKind::Boolean) => {
            let find = |sid: &str| by_sid.get(sid).copied();
            Predicate::parse_branch(source, &find)
                .map_err(|error| faults.add(format!("expression {error}")))
                .ok()
        }
        (None, BlockKind::Boolean) => {
            faults.add("found no expression, expected one that decides the side");
            None
        }
        (Some(_), _) => {
            faults.add("found an expression, expected it on boolean blocks only");
            None
        }
        (None, _) => None,
    }
}

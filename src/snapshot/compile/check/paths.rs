//! Do the paths lead from and to where they may?
//!
//! One look at each path, then one at what no single path shows: that the
//! version has an entry, every container an item and every gate a path.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Faults, Place, collision,
    kinds::{fixed_names, item_of, items_of},
    uid_fault,
};
use crate::snapshot::{
    model::{BlockIndex, NameKey},
    wire::{BlockKind, BlockPart, PathPart, VersionPart},
};

/// Checks every path, and what needs a look at all of them.
pub(super) fn check(part: &VersionPart, by_uid: &FxHashMap<&str, BlockIndex>, faults: &mut Faults) {
    let block = |uid: &str| {
        let index = by_uid.get(uid)?;
        part.blocks.get(index.0 as usize)
    };
    let mut uids = FxHashSet::default();
    for path in &part.paths {
        let place = Place::Path(&path.uid);
        faults.check(place, uid_fault(&path.uid));
        if !uids.insert(path.uid.as_str()) {
            faults.add(place, "found the uid twice, expected it once in a version");
        }
        target(path, block(&path.to), place, faults);
        match &path.from {
            None if !path.on.is_empty() => {
                faults.add(
                    place,
                    "found transition names, expected none from the entry",
                );
            }
            None => {}
            Some(from) => source(path, from, block(from), place, faults),
        }
    }
    if !part.blocks.is_empty() && part.paths.iter().all(|path| path.from.is_some()) {
        faults.add(
            Place::Entry,
            "found no path from the entry, expected at least one",
        );
    }
    containers_without_items(part, faults);
    gates(part, by_uid, faults);
}

fn target(path: &PathPart, to: Option<&BlockPart>, place: Place<'_>, faults: &mut Faults) {
    let Some(block) = to else {
        let rule = format!("leads to {:?}, expected the uid of a block", path.to);
        return faults.add(place, rule);
    };
    if let Some((item, container, _)) = item_of(block.kind) {
        faults.add(
            place,
            format!(
                "leads to the {item} {:?}, expected its {container}, which enters its items itself",
                path.to
            ),
        );
    }
}

fn source(
    path: &PathPart,
    from: &str,
    block: Option<&BlockPart>,
    place: Place<'_>,
    faults: &mut Faults,
) {
    let Some(block) = block else {
        let rule = format!("comes from {from:?}, expected the uid of a block");
        return faults.add(place, rule);
    };
    if let Some((item, container, _)) = item_of(block.kind) {
        let rule = format!(
            "comes from a {item}, expected its {container}: items move within their container"
        );
        return faults.add(place, rule);
    }
    if block.kind == BlockKind::Finish {
        let rule = "comes from a finish block, expected nothing behind it";
        return faults.add(place, rule);
    }
    if path.on.is_empty() {
        faults.add(place, "found no transition name, expected at least one");
    }
    let mut seen = FxHashSet::default();
    for name in &path.on {
        let known = match fixed_names(block.kind) {
            Some(fixed) => fixed.iter().any(|own| own.name == name),
            None => block.transitions.contains(name),
        };
        if !known {
            let rule = format!(
                "found the transition {name:?}, expected one of {}",
                Place::Block(&block.sid)
            );
            faults.add(place, rule);
        }
        if !seen.insert(name.as_str()) {
            faults.add(
                place,
                format!("found the transition {name:?} twice, expected it once"),
            );
        }
    }
}

fn containers_without_items(part: &VersionPart, faults: &mut Faults) {
    let filled: FxHashSet<&str> = part
        .blocks
        .iter()
        .filter_map(|block| block.container.as_deref())
        .collect();
    for block in &part.blocks {
        let Some(container) = items_of(block.kind) else {
            continue;
        };
        if !filled.contains(block.uid.as_str()) {
            // It could never complete by itself.
            faults.add(
                Place::Block(&block.sid),
                format!("found no item, expected at least one in {container}"),
            );
        }
    }
}

/// A gate counts paths, so it needs some, and needs to tell them apart.
fn gates(part: &VersionPart, by_uid: &FxHashMap<&str, BlockIndex>, faults: &mut Faults) {
    let is_gate = |block: &&BlockPart| block.kind == BlockKind::Gate;
    if !part.blocks.iter().any(|block| is_gate(&block)) {
        return;
    }
    let to_gates = || {
        part.paths.iter().filter(|path| {
            let target = by_uid.get(path.to.as_str());
            let block = target.and_then(|index| part.blocks.get(index.0 as usize));
            block.is_some_and(|block| is_gate(&block))
        })
    };
    let reached: FxHashSet<&str> = to_gates().map(|path| path.to.as_str()).collect();
    for gate in part.blocks.iter().filter(is_gate) {
        if !reached.contains(gate.uid.as_str()) {
            faults.add(
                Place::Block(&gate.sid),
                "found no path that leads here, expected at least one to a gate",
            );
        }
    }
    let keys = to_gates().map(|path| (NameKey::of(&path.uid).0, path.uid.as_str()));
    if let Some((one, other)) = collision(keys) {
        let rule =
            format!("the path uids {one:?} and {other:?} have the same hash, rename one of them");
        faults.add(Place::Version, rule);
    }
}

//! Do the paths lead from and to where they may?
//!
//! One look at each path, then one at what no single path shows: that the
//! version has an entry and every tour an item.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Faults, Place, fixed_names, uid_fault};
use crate::snapshot::{
    model::BlockIndex,
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
    tours_without_items(part, faults);
}

fn target(path: &PathPart, to: Option<&BlockPart>, place: Place<'_>, faults: &mut Faults) {
    match to.map(|block| block.kind) {
        None => faults.add(
            place,
            format!("leads to {:?}, expected the uid of a block", path.to),
        ),
        Some(BlockKind::TourItem) => faults.add(
            place,
            format!(
                "leads to the tour item {:?}, expected its tour: a tour enters its items itself",
                path.to
            ),
        ),
        Some(_) => {}
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
    match block.kind {
        BlockKind::TourItem => {
            let rule =
                "comes from a tour item, expected its tour: next and previous move within it";
            return faults.add(place, rule);
        }
        BlockKind::Finish => {
            return faults.add(
                place,
                "comes from a finish block, expected nothing behind it",
            );
        }
        _ => {}
    }
    if path.on.is_empty() {
        faults.add(place, "found no transition name, expected at least one");
    }
    let mut seen = FxHashSet::default();
    for name in &path.on {
        let known = match fixed_names(block.kind) {
            Some(fixed) => fixed.contains(&name.as_str()),
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

fn tours_without_items(part: &VersionPart, faults: &mut Faults) {
    let filled: FxHashSet<&str> = part
        .blocks
        .iter()
        .filter_map(|block| block.container.as_deref())
        .collect();
    for tour in &part.blocks {
        if tour.kind == BlockKind::Tour && !filled.contains(tour.uid.as_str()) {
            faults.add(
                Place::Block(&tour.sid),
                "found no item, expected at least one in a tour",
            );
        }
    }
}

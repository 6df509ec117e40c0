//! What did an import change of flags and segments?
//!
//! One change for each thing that a person would name: a flag was made, or is
//! said to be otherwise, switched on or off, or serves others in an
//! environment.

use std::sync::Arc;

use super::super::{Change, ChangeKind};
use crate::store::{
    engine::Write,
    flags::{Flag, FlagSettings},
    workspace::Workspace,
};

/// Adds what leads from one workspace to the other.
pub(in crate::store::import) fn difference(
    before: &Workspace,
    after: &Workspace,
    writes: &mut Vec<Write>,
    changes: &mut Vec<Change>,
) {
    for (id, segment) in &after.segments {
        let old = before.segments.get(id);
        if old.is_some_and(|old| Arc::ptr_eq(old, segment) || old == segment) {
            continue;
        }
        writes.push(Write::Segment(Arc::clone(segment)));
        let kind = match old {
            None => ChangeKind::SegmentCreated,
            Some(_) => ChangeKind::SegmentChanged,
        };
        changes.push(change(kind, &segment.name, None));
    }
    for (name, flag) in &after.flags {
        let old = before.flags.get(name);
        if old.is_some_and(|old| Arc::ptr_eq(old, flag) || old == flag) {
            continue;
        }
        writes.push(Write::Flag(Arc::clone(flag)));
        told(after, old.map(|own| &**own), flag, changes);
    }
}

/// The changes of one flag.
fn told(workspace: &Workspace, old: Option<&Flag>, flag: &Flag, changes: &mut Vec<Change>) {
    let plain = |flag: &Flag| Flag {
        archived_ms: None,
        environments: Default::default(),
        ..flag.clone()
    };
    match old {
        None => changes.push(change(ChangeKind::FlagCreated, &flag.name, None)),
        Some(old) if plain(old) != plain(flag) => {
            changes.push(change(ChangeKind::FlagChanged, &flag.name, None));
        }
        Some(_) => {}
    }
    let archived = old.and_then(|own| own.archived_ms);
    match (archived, flag.archived_ms) {
        (None, Some(_)) => changes.push(change(ChangeKind::FlagArchived, &flag.name, None)),
        (Some(_), None) => changes.push(change(ChangeKind::FlagRevived, &flag.name, None)),
        (None, None) | (Some(_), Some(_)) => {}
    }
    for environment in &workspace.environments {
        let was = old.and_then(|own| own.environments.get(&environment.uid));
        // Of what was emptied and never on nothing is kept.
        let nothing = FlagSettings::default();
        let is = flag.environments.get(&environment.uid).unwrap_or(&nothing);
        let place = Some(environment.name.as_str());
        if was.is_some_and(|own| own.enabled) != is.enabled {
            let kind = match is.enabled {
                true => ChangeKind::FlagEnabled,
                false => ChangeKind::FlagDisabled,
            };
            changes.push(change(kind, &flag.name, place));
        }
        // When it was first on comes with being switched on, or of a file alone.
        let first = |own: &FlagSettings| (own.enabled, own.enabled_ms);
        let (had, has) = (was.map(first).unwrap_or_default(), first(is));
        if old.is_some() && had.0 == has.0 && had.1 != has.1 {
            changes.push(change(ChangeKind::FlagChanged, &flag.name, place));
        }
        let rules = |own: &FlagSettings| (own.strategies.clone(), own.variants.clone());
        if was.map(rules).unwrap_or_default() != rules(is) {
            changes.push(change(ChangeKind::FlagStrategies, &flag.name, place));
        }
    }
}

/// One change.
pub(in crate::store) fn change(kind: ChangeKind, name: &str, environment: Option<&str>) -> Change {
    Change {
        kind,
        sid: name.to_owned(),
        version: None,
        environment: environment.map(ToOwned::to_owned),
        deployment: None,
    }
}

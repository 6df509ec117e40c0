//! Do the flags of a workspace go together, after an import?
//!
//! How many there are, what they depend on, and whether an edge could read each
//! as a part. Only what the import touched is looked at, and whatever depends
//! on it.

use super::{super::Faults, apply::Places};
use crate::{
    limits::{FLAGS_AUTHORED_MAX, PART_BYTES_MAX, SEGMENTS_AUTHORED_MAX},
    snapshot::check_part,
    store::{
        flags::{Flag, check::within, depending, part},
        workspace::Workspace,
    },
};

/// Looks at the whole.
pub(super) fn settle(
    workspace: &Workspace,
    flags: &Places,
    segments: &Places,
    faults: &mut Faults,
) {
    let counts = [
        ("flags", workspace.flags.len(), FLAGS_AUTHORED_MAX, flags),
        (
            "segments",
            workspace.segments.len(),
            SEGMENTS_AUTHORED_MAX,
            segments,
        ),
    ];
    for (what, found, expected, places) in counts {
        let Some((file, _)) = places.values().next() else {
            continue;
        };
        if let Some(rule) = within(what, found, expected) {
            faults.add(file, "", format!("the workspace would have {rule}"));
        }
    }
    for (name, (file, position)) in flags {
        let Some(flag) = workspace.flags.get(name) else {
            continue;
        };
        let mut rules = dependencies(workspace, flag);
        rules.extend(readable(workspace, flag));
        for rule in rules {
            faults.add(file, position, rule);
        }
    }
}

/// What is wrong with what a flag depends on, or with what depends on it.
fn dependencies(workspace: &Workspace, flag: &Flag) -> Vec<String> {
    let mut rules = Vec::new();
    for (at, parent) in flag.dependencies.iter().enumerate() {
        let name = &parent.feature;
        let found = workspace.flags.get(name);
        if *name == flag.name {
            rules.push("it depends on itself (expected another flag)".to_owned());
        } else if flag
            .dependencies
            .iter()
            .take(at)
            .any(|other| other.feature == *name)
        {
            rules.push(format!("it depends on flag {name:?} twice (expected once)"));
        } else if let Some(found) = found {
            if !found.dependencies.is_empty() {
                rules.push(format!(
                    "it depends on flag {name:?}, which depends on others itself (expected one \
                     level, since clients look no deeper)"
                ));
            }
            if found.archived_ms.is_some() && flag.archived_ms.is_none() {
                rules.push(format!(
                    "it depends on flag {name:?}, which is archived (revive it first)"
                ));
            }
        } else {
            rules.push(format!("it depends on flag {name:?}, which does not exist"));
        }
    }
    let children = workspace.dependents(&flag.name);
    let children: Vec<&Flag> = children.filter(|own| own.name != flag.name).collect();
    let called = |children: &[&Flag]| {
        let names: Vec<String> = children.iter().map(|own| own.called()).collect();
        depending(&names)
    };
    if !children.is_empty() && !flag.dependencies.is_empty() {
        rules.push(format!(
            "it depends on others, and {} on it (expected one level, since clients look no deeper)",
            called(&children)
        ));
    }
    // Those that are archived themselves go without it.
    let mut live = children;
    live.retain(|own| own.archived_ms.is_none());
    if !live.is_empty() && flag.archived_ms.is_some() {
        rules.push(format!(
            "{} on it, so it cannot be archived (archive those first, or change what they depend on)",
            called(&live)
        ));
    }
    rules
}

/// Whether an edge could read the flag as a part of any environment.
fn readable(workspace: &Workspace, flag: &Flag) -> Option<String> {
    workspace.environments.iter().find_map(|environment| {
        let json = part::flag(flag, &environment.uid).to_string();
        if json.len() > PART_BYTES_MAX {
            return within("bytes as a part", json.len(), PART_BYTES_MAX);
        }
        let fault = check_part(json.as_bytes()).err()?;
        Some(format!("no edge could read it: {fault}"))
    })
}

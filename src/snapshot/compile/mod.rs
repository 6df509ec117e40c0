//! How does parsed content become a [`Snapshot`]?
//!
//! One version at a time, by [`check`] and [`link`]; then flows and versions
//! are put together. What cannot be served is set aside and named, and the
//! rest serves. Keys are different: a key, a revocation or a rule for public keys
//! that cannot be read fails the whole, because leaving it out would open or close a door that
//! somebody meant otherwise.

mod access;
mod check;
mod deployments;
mod flows;
mod input;
mod link;
#[cfg(test)]
mod tests;

pub use deployments::{channel_fault, compile_deployment};

use std::sync::Arc;

use rustc_hash::FxHashSet;
use serde_json::Value;

use self::input::Input;
use super::{
    flags::{FlagMark, Flags},
    model::{Deployment, Flow, Revision, Snapshot, Version},
    parts::{self, Body, Content, Inventory, Outcome, PartsError, Place, Read},
    trust::CheckedRelease,
    wire::{Blob, ControlDocument, VersionPart},
    workers::Workers,
};
use crate::limits::{KEYS_PER_ENVIRONMENT_MAX, USER_KEYS_MAX};

/// What makes a whole document unreadable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A key's hash is not one.
    #[error("key {name:?} has the hash {found:?}, expected 64 lower-case hexadecimal digits")]
    KeyHash {
        /// The key's name.
        name: String,
        /// What stands there.
        found: String,
    },
    /// Two keys with one hash: which of them counts would be a matter of order.
    #[error("key {name:?} has the same hash as another key, expected one key for each hash")]
    KeyTwice {
        /// The second key's name.
        name: String,
    },
    /// A revocation that cannot be read.
    #[error("revoked key {found:?} found, expected 64 lower-case hexadecimal digits")]
    RevokedKey {
        /// What stands there.
        found: String,
    },
    /// An inventory without settings; resolving makes none.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// More keys than an edge holds.
    #[error("{found} keys found, expected at most {KEYS_PER_ENVIRONMENT_MAX}")]
    TooManyKeys {
        /// How many.
        found: usize,
    },
    /// A key for users' tokens that verifies nothing.
    #[error("user key: {0}")]
    UserKey(super::envelope::KeyError),
    /// Two keys for users' tokens with one id: a token could mean either.
    #[error("user key {id:?} is listed twice, expected each id once")]
    UserKeyTwice {
        /// The repeated id.
        id: String,
    },
    /// More keys for users' tokens than a rotation needs.
    #[error("{found} user keys found, expected at most {USER_KEYS_MAX}")]
    TooManyUserKeys {
        /// How many.
        found: usize,
    },
}

/// Why one version cannot be compiled: position and rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {rule}")]
pub struct VersionFault {
    /// Such as `block "welcome"` or `path 3`.
    pub place: String,
    /// What was found and what is allowed.
    pub rule: String,
}

/// Why one deployment cannot be compiled: position and rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {rule}")]
pub struct DeploymentFault {
    /// Such as `alternative 2, rule 1`.
    pub place: String,
    /// What was found and what is allowed.
    pub rule: String,
}

/// Compiles one version, or says everything that is wrong with it. The store
/// validates authored versions by this very function.
pub fn compile_version(part: &VersionPart) -> Result<Version, Vec<VersionFault>> {
    let checked = check::check(part)?;
    Ok(link::link(part, checked))
}

/// What is allowed in a version and yet hardly meant: gates that are never
/// passed because their paths exclude each other. For a version that compiles;
/// the store shows them where versions are authored.
pub fn warnings(part: &VersionPart) -> Vec<VersionFault> {
    check::gates::warnings(part)
}

/// Compiles everything. Faulty flows and versions are set aside and named.
pub fn compile(
    environment: &str,
    environment_uid: &str,
    revision: Revision,
    content: &Content,
    control: &ControlDocument,
) -> Result<Snapshot, CompileError> {
    let name = Name {
        environment,
        environment_uid,
        revision,
    };
    let (snapshot, _) = assemble(&name, &Input::of_content(content), control)?;
    Ok(snapshot)
}

/// Which snapshot of which environment this is.
#[derive(Clone, Copy, Debug)]
pub struct Name<'n> {
    /// The environment's name.
    pub environment: &'n str,
    /// Its uid.
    pub environment_uid: &'n str,
    /// The snapshot's revision.
    pub revision: Revision,
}

/// How much there was to do. What was compiled before is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Versions compiled.
    pub versions: usize,
    /// Deployments compiled.
    pub deployments: usize,
    /// Flows linked.
    pub flows: usize,
    /// Flags compiled: all or none, since they depend on each other.
    pub flags: usize,
}

/// Reads a release beside the inventory of an earlier one, and compiles its
/// versions as they are read: a compiled version depends on its part alone, so
/// this falls into pieces for `workers`, and at no time are all versions there
/// as they were parsed.
pub fn read_beside<'a>(
    release: &CheckedRelease,
    blob: impl Fn(&str) -> Option<&'a [u8]> + Sync,
    last: &Inventory,
    workers: &dyn Workers,
) -> Result<(Inventory, Read), PartsError> {
    read_index_beside(release.index(), blob, last, workers)
}

/// As [`read_beside`], for an index that nobody has signed.
pub(super) fn read_index_beside<'a>(
    index: &Blob,
    blob: impl Fn(&str) -> Option<&'a [u8]> + Sync,
    last: &Inventory,
    workers: &dyn Workers,
) -> Result<(Inventory, Read), PartsError> {
    let compiled = |part: VersionPart| Body::Compiled(Arc::new(flows::outcome(&part)));
    parts::resolve_beside(index, blob, last, &compiled, workers)
}

/// As [`compile`], from an inventory: what was compiled of it before goes into
/// the snapshot by the same `Arc`, and what is compiled now is noted for the
/// next one. The snapshot is the one [`compile`] makes of the same parts.
pub fn compile_inventory(
    name: &Name<'_>,
    inventory: &mut Inventory,
    control: &ControlDocument,
) -> Result<(Snapshot, Work), CompileError> {
    let input = Input::of_inventory(inventory)?;
    let (snapshot, made) = assemble(name, &input, control)?;
    let work = Work {
        versions: made.versions.len(),
        deployments: made.deployments.len(),
        flows: made.flows.len(),
        flags: made.flags.as_ref().map_or(0, |flags| flags.list().len()),
    };
    drop(input);
    note(inventory, made);
    Ok((snapshot, work))
}

/// What was made anew, by the place of its part.
#[derive(Default)]
struct Made {
    versions: Vec<(Option<Place>, Arc<Outcome>)>,
    flows: Vec<(Option<Place>, Arc<Flow>)>,
    deployments: Vec<(Option<Place>, Arc<Deployment>)>,
    /// None: the last ones serve on.
    flags: Option<Arc<Flags>>,
}

fn assemble(
    name: &Name<'_>,
    input: &Input<'_>,
    control: &ControlDocument,
) -> Result<(Snapshot, Made), CompileError> {
    let keys = access::keys(&input.keys, &control.revoked_keys)?;
    let access = access::rules(input.settings)?;
    let mut flows = flows::Assembly::new(input, control);
    for given in &input.flows {
        flows.add(given);
    }
    flows.note_left_over();
    let deployed = deployments::assemble(input, control, &flows.by_sid);
    flows.set_aside.extend(deployed.set_aside);
    let mut made = flows.made;
    made.deployments = deployed.made;
    let flags = match (narrowed(input, control), input.flags) {
        // What a control document takes away is no matter of the release.
        (Some(narrowed), _) => narrowed,
        (None, Some(last)) => Arc::clone(last),
        (None, None) => {
            let (features, segments) = (input.features.iter(), input.segments.iter());
            let flags = Arc::new(Flags::of(features.copied(), segments.copied()));
            made.flags = Some(Arc::clone(&flags));
            flags
        }
    };
    flows.set_aside.extend(flags.set_aside());
    let by_key = flows.by_sid.values();
    let by_key = by_key.map(|flow| (flow.key, Arc::clone(flow))).collect();
    let snapshot = Snapshot {
        environment: name.environment.into(),
        environment_uid: name.environment_uid.into(),
        environment_type: input.settings.environment_type,
        revision: name.revision,
        drafts: input.settings.drafts,
        deprecated: input.settings.deprecated,
        flows: flows.by_sid,
        flows_by_key: by_key,
        block_flows: flows.by_block,
        deployments: deployed.deployments,
        channels: deployed.channels,
        flags,
        flag_mark: FlagMark::of(name.revision),
        takes_environments: false,
        keys,
        access,
        set_aside: flows.set_aside,
    };
    Ok((snapshot, made))
}

/// Flags with those off that the control document switches off, or none where
/// the release says the same. It differs only while an edge holds a release
/// back: publishers say it in both.
fn narrowed(input: &Input<'_>, control: &ControlDocument) -> Option<Arc<Flags>> {
    let off: FxHashSet<&str> = control.disabled_flags.iter().map(String::as_str).collect();
    let narrows = |flag: &Value| {
        let name = flag.get("name").and_then(Value::as_str);
        name.is_some_and(|name| off.contains(name))
            && flag.get("enabled").and_then(Value::as_bool) == Some(true)
    };
    if off.is_empty() || !input.features.iter().any(|flag| narrows(flag)) {
        return None;
    }
    let features = input.features.iter().map(|flag| {
        let mut flag = (*flag).clone();
        if narrows(&flag) {
            flag["enabled"] = Value::Bool(false);
        }
        flag
    });
    let features: Vec<Value> = features.collect();
    Some(Arc::new(Flags::of(
        features.iter(),
        input.segments.iter().copied(),
    )))
}

fn note(inventory: &mut Inventory, made: Made) {
    for (place, outcome) in made.versions {
        if let Some(place) = place {
            inventory.became(place, Body::Compiled(outcome));
        }
    }
    for (place, flow) in made.flows {
        if let Some(place) = place {
            inventory.linked(place, flow);
        }
    }
    for (place, deployment) in made.deployments {
        if let Some(place) = place {
            inventory.deployed(place, deployment);
        }
    }
    if let Some(flags) = made.flags {
        inventory.flags_became(flags);
    }
    inventory.forget_parsed();
}

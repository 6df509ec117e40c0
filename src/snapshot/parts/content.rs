//! What do the parts say?
//!
//! Which parts exist is the index's word and must be consistent; what a part
//! says is its own, and a part that says nothing sensible is set aside.

use std::sync::Arc;

use serde_json::Value;

use super::{
    PartsError,
    inventory::{Body, Part},
    version_id,
};
use crate::snapshot::{
    flags::FlagsDocument,
    json,
    wire::{DeploymentPart, FlowPart, KeyPart, PartEntry, PartKind, SettingsPart, VersionPart},
};

/// Everything a release holds, parsed and not yet compiled.
#[derive(Clone, Debug)]
pub struct Content {
    /// The environment's settings.
    pub settings: SettingsPart,
    /// Ascending by uid.
    pub flows: Vec<FlowPart>,
    /// Each with the hash of its part; ascending by flow uid and number. Only
    /// those of the flows above.
    pub versions: Vec<(String, VersionPart)>,
    /// Ascending by uid.
    pub deployments: Vec<DeploymentPart>,
    /// Ascending by hash.
    pub keys: Vec<KeyPart>,
    /// Flags by name and segments by number, each as it was written.
    pub flags: FlagsDocument,
    /// Parts that are sound but do not parse as what they claim (set aside
    /// later): `kind:id` and why.
    pub broken: Vec<(String, String)>,
}

impl Content {
    /// Smallest reader that understands all of it.
    pub fn min_reader(&self) -> u32 {
        let flags = self.flags.parts().map(|(kind, _, _)| kind.min_reader());
        let is_flag = |name: &str| {
            ["flag:", "segment:"]
                .iter()
                .any(|own| name.starts_with(own))
        };
        let broken = self.broken.iter().filter(|(name, _)| is_flag(name));
        let broken = broken.map(|_| PartKind::Flag.min_reader());
        let always = PartKind::Settings.min_reader();
        flags.chain(broken).max().unwrap_or(always)
    }
}

/// Reads a part whose bytes were checked; a version becomes what `made` makes
/// of it. Only settings may not be broken: nothing can be served without them.
pub(super) fn read(
    entry: Arc<PartEntry>,
    bytes: &[u8],
    made: &dyn Fn(VersionPart) -> Body,
) -> Result<Part, PartsError> {
    let id = entry.id.as_str();
    let body = match entry.kind {
        PartKind::Flow => flow(id, bytes).map(|own| Body::Flow(own.into(), None)),
        PartKind::Version => version(id, bytes).map(made),
        PartKind::Deployment => deployment(id, bytes).map(|own| Body::Deployment(own.into(), None)),
        PartKind::Flag => named("name", id, bytes).map(|own| Body::Flag(own.into())),
        PartKind::Segment => named("id", id, bytes).map(|own| Body::Segment(own.into())),
        PartKind::Key => key(id, bytes).map(|own| Body::Key(own.into())),
        PartKind::Settings => {
            let settings = json::parse::<SettingsPart>(bytes);
            let settings = settings.map_err(|source| PartsError::Settings { source })?;
            Ok(Body::Settings(settings.into()))
        }
    };
    let body = body.unwrap_or_else(|why| Body::Broken(why.into()));
    Ok(Part { entry, body })
}

fn flow(id: &str, bytes: &[u8]) -> Result<FlowPart, String> {
    let part: FlowPart = json::parse(bytes).map_err(|error| error.to_string())?;
    same("uid", &part.uid, id)?;
    let ascending = part.versions.iter().zip(part.versions.iter().skip(1));
    if let Some((a, b)) = ascending.into_iter().find(|(a, b)| a >= b) {
        return Err(format!(
            "version {b} follows version {a}, expected ascending numbers"
        ));
    }
    Ok(part)
}

fn version(id: &str, bytes: &[u8]) -> Result<VersionPart, String> {
    // A shard's ids were checked when it was read.
    let (uid, number) = version_id(id).unwrap_or((id, 0));
    let part: VersionPart = json::parse(bytes).map_err(|error| error.to_string())?;
    same("flow_uid", &part.flow_uid, uid)?;
    same("number", &part.number.to_string(), &number.to_string())?;
    Ok(part)
}

fn deployment(id: &str, bytes: &[u8]) -> Result<DeploymentPart, String> {
    let part: DeploymentPart = json::parse(bytes).map_err(|error| error.to_string())?;
    same("uid", &part.uid, id)?;
    Ok(part)
}

fn key(id: &str, bytes: &[u8]) -> Result<KeyPart, String> {
    let part: KeyPart = json::parse(bytes).map_err(|error| error.to_string())?;
    same("sha256", &part.sha256, id)?;
    Ok(part)
}

/// A flag or a segment. What else it says is looked at when all are compiled.
fn named(member: &str, id: &str, bytes: &[u8]) -> Result<Value, String> {
    let part: Value = json::parse(bytes).map_err(|error| error.to_string())?;
    let found = match part.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    same(member, &found, id)?;
    Ok(part)
}

/// A part is what the index calls it, or it is not to be used under that name.
fn same(member: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "found {member} {found:?}, expected {expected:?} as the index says"
    ))
}

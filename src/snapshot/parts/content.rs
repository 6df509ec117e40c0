//! What do the parts say, and do they fit together?
//!
//! Which parts exist is the index's word and must be consistent; what a part
//! says is its own, and a part that says nothing sensible is set aside.

use std::collections::{BTreeMap, BTreeSet};

use super::{PartsError, decode, part_name, version_id};
use crate::{
    limits::{KEYS_PER_ENVIRONMENT_MAX, PART_BYTES_MAX},
    snapshot::{
        json,
        wire::{DeploymentPart, FlowPart, KeyPart, PartEntry, PartKind, SettingsPart, VersionPart},
    },
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
    /// Parts that are sound but do not parse as what they claim (set aside
    /// later): `kind:id` and why.
    pub broken: Vec<(String, String)>,
}

/// Parses the parts of an index. Their ids are known to be sound and unique.
pub(super) fn read<'a>(
    parts: Vec<PartEntry>,
    find: impl Fn(&str) -> Result<&'a [u8], PartsError>,
) -> Result<Content, PartsError> {
    let mut reading = Reading::default();
    let mut settings = None;
    for part in parts {
        let bytes = decode(&part.blob, find(&part.blob.sha256)?, PART_BYTES_MAX)?;
        if part.kind == PartKind::Settings {
            let parsed = json::parse(&bytes);
            settings = Some(parsed.map_err(|source| PartsError::Settings { source })?);
        } else {
            reading.part(part, &bytes);
        }
    }
    reading.finish(settings.ok_or(PartsError::NoSettings)?)
}

/// What has been read so far. The maps hold every id of the index, with none
/// for a part that is broken.
#[derive(Default)]
struct Reading {
    flows: BTreeMap<String, Option<FlowPart>>,
    versions: BTreeMap<(String, u32), Option<(String, VersionPart)>>,
    deployments: Vec<DeploymentPart>,
    keys: BTreeMap<String, Option<KeyPart>>,
    broken: Vec<(String, String)>,
}

impl Reading {
    fn part(&mut self, part: PartEntry, bytes: &[u8]) {
        let PartEntry { kind, id, blob } = part;
        let name = part_name(kind, &id);
        match kind {
            PartKind::Flow => {
                let flow = self.keep(name, flow(&id, bytes));
                self.flows.insert(id, flow);
            }
            PartKind::Version => {
                let Some((uid, number)) = version_id(&id) else {
                    return;
                };
                let key = (uid.to_owned(), number);
                let version = self.keep(name, version(uid, number, bytes));
                self.versions
                    .insert(key, version.map(|version| (blob.sha256, version)));
            }
            PartKind::Deployment => {
                let deployment = self.keep(name, deployment(&id, bytes));
                self.deployments.extend(deployment);
            }
            PartKind::Key => {
                let key = self.keep(name, key(&id, bytes));
                self.keys.insert(id, key);
            }
            // Read by the caller, who cannot go on without.
            PartKind::Settings => {}
        }
    }

    fn keep<T>(&mut self, name: String, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|why| self.broken.push((name, why))).ok()
    }

    fn finish(mut self, settings: SettingsPart) -> Result<Content, PartsError> {
        if self.keys.len() > KEYS_PER_ENVIRONMENT_MAX {
            return Err(PartsError::TooManyKeys {
                found: self.keys.len(),
                expected: KEYS_PER_ENVIRONMENT_MAX,
            });
        }
        self.check_links()?;
        self.deployments.sort_by(|a, b| a.uid.cmp(&b.uid));
        let flows: Vec<FlowPart> = self.flows.into_values().flatten().collect();
        let served: BTreeSet<&str> = flows.iter().map(|flow| flow.uid.as_str()).collect();
        let versions = self
            .versions
            .into_values()
            .flatten()
            .filter(|(_, version)| served.contains(version.flow_uid.as_str()))
            .collect();
        Ok(Content {
            settings,
            versions,
            deployments: self.deployments,
            keys: self.keys.into_values().flatten().collect(),
            broken: self.broken,
            flows,
        })
    }

    /// Flows and versions name each other completely. A broken flow says
    /// nothing about its versions, so nothing is asked of them.
    fn check_links(&self) -> Result<(), PartsError> {
        for flow in self.flows.values().flatten() {
            for number in &flow.versions {
                let key = (flow.uid.clone(), *number);
                if !self.versions.contains_key(&key) {
                    return Err(PartsError::VersionMissing {
                        flow: key.0,
                        number: *number,
                    });
                }
            }
        }
        for (uid, number) in self.versions.keys() {
            let (flow, number) = (uid.clone(), *number);
            match self.flows.get(uid) {
                None => return Err(PartsError::VersionWithoutFlow { flow, number }),
                Some(Some(part)) if part.versions.binary_search(&number).is_err() => {
                    return Err(PartsError::VersionUnlisted { flow, number });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
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

fn version(uid: &str, number: u32, bytes: &[u8]) -> Result<VersionPart, String> {
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

/// A part is what the index calls it, or it is not to be used under that name.
fn same(member: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "found {member} {found:?}, expected {expected:?} as the index says"
    ))
}

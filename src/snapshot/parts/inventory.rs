//! Which parts does a release have, and what became of each?
//!
//! An [`Inventory`] is what compiling starts from and what it leaves behind:
//! the next release is resolved beside the last one's, and a part under the
//! same address is neither fetched, decoded, parsed nor compiled again. It
//! knows exactly the parts of one release, so it cannot grow beyond that.

use std::{collections::BTreeMap, sync::Arc};

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use super::{PartsError, content::Content, part_name, version_id};
use crate::{
    limits::{FLAGS_MAX, KEYS_PER_ENVIRONMENT_MAX, SEGMENTS_MAX},
    snapshot::{
        flags::{Flags, FlagsDocument},
        model::{Deployment, Flow, Version},
        sha256,
        wire::{
            Blob, DeploymentPart, FlowPart, KeyPart, PartEntry, PartKind, READER, SettingsPart,
            VersionPart,
        },
    },
};

/// The parts of one release, shard by shard.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// None before the first release.
    pub(super) index: Option<Blob>,
    /// By number.
    pub(super) shards: BTreeMap<u8, Shard>,
    /// What flags and segments were compiled to last, and a hash of their
    /// addresses: they depend on each other, so they are made together.
    pub(super) flags: Option<([u8; 32], Arc<Flags>)>,
}

/// One shard: its address, and its parts as the shard lists them.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub(super) blob: Blob,
    pub(super) parts: Vec<Part>,
}

/// One part.
#[derive(Clone, Debug)]
pub(in crate::snapshot) struct Part {
    /// Shared, because every release after this one lists it again.
    pub(in crate::snapshot) entry: Arc<PartEntry>,
    pub(in crate::snapshot) body: Body,
}

/// What became of a part so far. What depends on nothing but the part is kept
/// as it was made; of the rest it is kept what it was made from, too.
#[derive(Clone, Debug)]
pub(in crate::snapshot) enum Body {
    /// Nothing was needed of it: its flow was set aside. It is read again when
    /// a later release asks.
    Unread,
    /// It does not parse as what it claims.
    Broken(Arc<str>),
    /// Of the environment.
    Settings(Arc<SettingsPart>),
    /// A key.
    Key(Arc<KeyPart>),
    /// A flow, and how it was linked last.
    Flow(Arc<FlowPart>, Option<Arc<Flow>>),
    /// A version that was not compiled yet.
    Parsed(Arc<VersionPart>),
    /// A version that was; a compiled one depends on its part alone.
    Compiled(Arc<Outcome>),
    /// A deployment, and how it was compiled last.
    Deployment(Arc<DeploymentPart>, Option<Arc<Deployment>>),
    /// A flag.
    Flag(Arc<Value>),
    /// A segment.
    Segment(Arc<Value>),
}

/// What compiling a version came to.
#[derive(Debug)]
pub(in crate::snapshot) struct Outcome {
    /// The flow it names, which need not be the one that lists it.
    pub(in crate::snapshot) flow_sid: Box<str>,
    /// The version, or its faults in words.
    pub(in crate::snapshot) version: Result<Arc<Version>, Box<str>>,
}

/// Where a part stands: shard number and position.
pub(in crate::snapshot) type Place = (u8, usize);

impl Inventory {
    /// How many parts there are.
    pub fn parts_len(&self) -> usize {
        self.shards.values().map(|shard| shard.parts.len()).sum()
    }

    /// Smallest reader that understands all parts.
    pub fn min_reader(&self) -> u32 {
        let parts = self.shards.values().flat_map(|shard| &shard.parts);
        let readers = parts.map(|part| part.entry.kind.min_reader());
        readers.max().unwrap_or(READER)
    }

    /// Every blob of the release: the index, the shards, the parts. Twice
    /// where two parts have the same bytes.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        let shards = self.shards.values().flat_map(|shard| {
            let parts = shard.parts.iter().map(|part| &part.entry.blob);
            std::iter::once(&shard.blob).chain(parts)
        });
        self.index.iter().chain(shards)
    }

    /// Blobs of the shards that another inventory has not, and of the index if
    /// it differs: at least every blob that is here alone.
    pub fn blobs_beside<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Blob> {
        let shards = self.shards.iter().filter_map(|(number, shard)| {
            let same = other.shard(*number, &shard.blob).is_some();
            (!same).then_some(shard)
        });
        let parts = shards.flat_map(|shard| {
            let parts = shard.parts.iter().map(|part| &part.entry.blob);
            std::iter::once(&shard.blob).chain(parts)
        });
        let index = self
            .index
            .iter()
            .filter(|own| other.index.as_ref() != Some(own));
        index.chain(parts)
    }

    /// Whether there is a part of this kind and id.
    pub fn has(&self, kind: PartKind, id: &str) -> bool {
        self.named(super::shard_of(kind, id), kind, id).is_some()
    }

    /// The shard with this number, if it has this address.
    pub(super) fn shard(&self, number: u8, blob: &Blob) -> Option<&Shard> {
        self.shards.get(&number).filter(|own| own.blob == *blob)
    }

    /// The part in this shard under this entry, bytes and all.
    pub(super) fn part(&self, number: u8, entry: &PartEntry) -> Option<&Part> {
        let part = self.named(number, entry.kind, &entry.id);
        part.filter(|own| *own.entry == *entry)
    }

    /// The part in this shard with this kind and id.
    pub(super) fn named(&self, number: u8, kind: PartKind, id: &str) -> Option<&Part> {
        let parts = &self.shards.get(&number)?.parts;
        let at = parts.binary_search_by(|own| (own.entry.kind, &*own.entry.id).cmp(&(kind, id)));
        parts.get(at.ok()?)
    }

    /// All parts with their places, by shard.
    pub(in crate::snapshot) fn parts(&self) -> impl Iterator<Item = (Place, &Part)> {
        self.shards.iter().flat_map(|(number, shard)| {
            let parts = shard.parts.iter().enumerate();
            parts.map(|(at, part)| ((*number, at), part))
        })
    }

    /// Notes what became of a part.
    pub(in crate::snapshot) fn became(&mut self, place: Place, body: Body) {
        if let Some(own) = self.body(place) {
            *own = body;
        }
    }

    /// Notes how a flow was linked.
    pub(in crate::snapshot) fn linked(&mut self, place: Place, flow: Arc<Flow>) {
        if let Some(Body::Flow(_, last)) = self.body(place) {
            *last = Some(flow);
        }
    }

    /// Notes how a deployment was compiled.
    pub(in crate::snapshot) fn deployed(&mut self, place: Place, deployment: Arc<Deployment>) {
        if let Some(Body::Deployment(_, last)) = self.body(place) {
            *last = Some(deployment);
        }
    }

    /// What the flags of these parts were compiled to, if they were.
    pub(in crate::snapshot) fn flags_made(&self) -> Option<&Arc<Flags>> {
        let (addresses, made) = self.flags.as_ref()?;
        (*addresses == self.addresses_of_flags()).then_some(made)
    }

    /// Notes what the flags were compiled to.
    pub(in crate::snapshot) fn flags_became(&mut self, flags: Arc<Flags>) {
        self.flags = Some((self.addresses_of_flags(), flags));
    }

    fn addresses_of_flags(&self) -> [u8; 32] {
        let mut addresses = Vec::new();
        for (_, part) in self.parts() {
            if let PartKind::Flag | PartKind::Segment = part.entry.kind {
                addresses.extend_from_slice(part.entry.blob.sha256.as_bytes());
                addresses.extend_from_slice(part.entry.id.as_bytes());
            }
        }
        sha256(&addresses)
    }

    fn body(&mut self, (number, at): Place) -> Option<&mut Body> {
        let shard = self.shards.get_mut(&number)?;
        Some(&mut shard.parts.get_mut(at)?.body)
    }

    /// Lets go of parsed versions that nothing was made of.
    pub(in crate::snapshot) fn forget_parsed(&mut self) {
        for shard in self.shards.values_mut() {
            for part in &mut shard.parts {
                if let Body::Parsed(_) = part.body {
                    part.body = Body::Unread;
                }
            }
        }
    }

    /// The environment's settings; a checked inventory has them.
    pub(in crate::snapshot) fn settings(&self) -> Result<&Arc<SettingsPart>, PartsError> {
        let mut settings = self.parts().filter_map(|(_, part)| match &part.body {
            Body::Settings(settings) => Some(settings),
            _ => None,
        });
        settings.next().ok_or(PartsError::NoSettings)
    }

    /// Whether the parts fit together: settings, no more keys than an edge
    /// looks up among, and flows and versions that name each other completely.
    /// A broken flow says nothing about its versions, so nothing is asked of
    /// them.
    pub(super) fn check(&self) -> Result<(), PartsError> {
        self.settings()?;
        let mut flows: FxHashMap<&str, Option<&FlowPart>> = FxHashMap::default();
        let mut versions: FxHashSet<(&str, u32)> = FxHashSet::default();
        let (mut keys, mut count, mut segments) = (0, 0, 0);
        for (_, part) in self.parts() {
            let id = part.entry.id.as_str();
            match part.entry.kind {
                PartKind::Flow => {
                    let flow = match &part.body {
                        Body::Flow(flow, _) => Some(&**flow),
                        _ => None,
                    };
                    flows.insert(id, flow);
                }
                PartKind::Version => versions.extend(version_id(id)),
                PartKind::Key => keys += 1,
                PartKind::Flag => count += 1,
                PartKind::Segment => segments += 1,
                PartKind::Deployment | PartKind::Settings => {}
            }
        }
        for (what, found, expected) in [
            ("flags", count, FLAGS_MAX),
            ("segments", segments, SEGMENTS_MAX),
        ] {
            if found > expected {
                return Err(PartsError::TooManyFlags {
                    what,
                    found,
                    expected,
                });
            }
        }
        if keys > KEYS_PER_ENVIRONMENT_MAX {
            return Err(PartsError::TooManyKeys {
                found: keys,
                expected: KEYS_PER_ENVIRONMENT_MAX,
            });
        }
        for (uid, flow) in &flows {
            let listed = flow.iter().flat_map(|flow| &flow.versions);
            for number in listed {
                if !versions.contains(&(uid, *number)) {
                    return Err(PartsError::VersionMissing {
                        flow: (*uid).to_owned(),
                        number: *number,
                    });
                }
            }
        }
        for (uid, number) in versions {
            let flow = uid.to_owned();
            match flows.get(uid) {
                None => return Err(PartsError::VersionWithoutFlow { flow, number }),
                Some(Some(part)) if part.versions.binary_search(&number).is_err() => {
                    return Err(PartsError::VersionUnlisted { flow, number });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Everything as parsed. For an inventory that nothing was compiled of.
    pub(super) fn into_content(self) -> Result<Content, PartsError> {
        let mut content = Content {
            settings: (**self.settings()?).clone(),
            flows: Vec::new(),
            versions: Vec::new(),
            deployments: Vec::new(),
            keys: Vec::new(),
            flags: FlagsDocument::default(),
            broken: Vec::new(),
        };
        let (mut features, mut segments) = (Vec::new(), Vec::new());
        let mut versions = BTreeMap::new();
        for part in self.shards.into_values().flat_map(|shard| shard.parts) {
            let entry = &part.entry;
            match part.body {
                Body::Flow(flow, _) => content.flows.push(Arc::unwrap_or_clone(flow)),
                Body::Parsed(version) => {
                    let version = Arc::unwrap_or_clone(version);
                    let key = (version.flow_uid.clone(), version.number);
                    versions.insert(key, (entry.blob.sha256.clone(), version));
                }
                Body::Deployment(own, _) => content.deployments.push(Arc::unwrap_or_clone(own)),
                Body::Flag(flag) => features.push((entry.id.clone(), flag)),
                Body::Segment(segment) => segments.push((entry.id.clone(), segment)),
                Body::Key(key) => content.keys.push(Arc::unwrap_or_clone(key)),
                Body::Broken(why) => {
                    let name = part_name(entry.kind, &entry.id);
                    content.broken.push((name, (*why).to_owned()));
                }
                Body::Unread | Body::Settings(_) | Body::Compiled(_) => {}
            }
        }
        content.flows.sort_by(|a, b| a.uid.cmp(&b.uid));
        content.deployments.sort_by(|a, b| a.uid.cmp(&b.uid));
        content.keys.sort_by(|a, b| a.sha256.cmp(&b.sha256));
        content.flags = FlagsDocument::of_parts(in_order(features), in_order(segments));
        let flows = &content.flows;
        let served = |uid: &str| flows.binary_search_by(|flow| (*flow.uid).cmp(uid)).is_ok();
        versions.retain(|(uid, _), _| served(uid));
        content.versions = versions.into_values().collect();
        Ok(content)
    }
}

/// Parts by their ids.
fn in_order(mut parts: Vec<(String, Arc<Value>)>) -> Vec<Value> {
    parts.sort_by(|(one, _), (other, _)| one.cmp(other));
    let parts = parts.into_iter();
    parts.map(|(_, part)| Arc::unwrap_or_clone(part)).collect()
}

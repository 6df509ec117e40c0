//! What is compiled, wherever it comes from?
//!
//! One view of parsed content and of an inventory, in one order, so that both
//! ways to a snapshot are one code and come to the same. What an inventory has
//! compiled before is taken as it is.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use crate::snapshot::{
    flags::Flags,
    model::{Deployment, Flow},
    parts::{Body, Content, Inventory, Outcome, PartsError, Place},
    wire::{DeploymentPart, FlowPart, KeyPart, PartKind, SettingsPart, VersionPart},
};

/// A version as it is found.
#[derive(Clone, Copy)]
pub(super) enum Source<'c> {
    /// To be compiled.
    Parsed(&'c VersionPart),
    /// Compiled before.
    Compiled(&'c Arc<Outcome>),
}

impl Source<'_> {
    /// The flow it names.
    pub(super) fn flow_sid(&self) -> &str {
        match self {
            Self::Parsed(part) => &part.flow_sid,
            Self::Compiled(outcome) => &outcome.flow_sid,
        }
    }
}

/// A part, where it stands in an inventory, and what was made of it last.
#[derive(Clone, Copy)]
pub(super) struct Given<'c, T, M> {
    pub(super) part: &'c T,
    pub(super) place: Option<Place>,
    pub(super) last: Option<&'c Arc<M>>,
}

/// Flow uid and number to the version.
pub(super) type Versions<'c> = FxHashMap<(&'c str, u32), (Source<'c>, Option<Place>)>;

/// Everything that is compiled.
pub(super) struct Input<'c> {
    pub(super) settings: &'c SettingsPart,
    /// Ascending by uid.
    pub(super) flows: Vec<Given<'c, FlowPart, Flow>>,
    /// Of the flows above.
    pub(super) versions: Versions<'c>,
    /// Ascending by uid.
    pub(super) deployments: Vec<Given<'c, DeploymentPart, Deployment>>,
    /// Ascending by hash.
    pub(super) keys: Vec<&'c KeyPart>,
    /// By name.
    pub(super) features: Vec<&'c Value>,
    /// By id.
    pub(super) segments: Vec<&'c Value>,
    /// What both were compiled to before, if they are the same.
    pub(super) flags: Option<&'c Arc<Flags>>,
    /// `kind:id` and why.
    pub(super) broken: Vec<(String, &'c str)>,
}

impl<'c> Input<'c> {
    pub(super) fn of_content(content: &'c Content) -> Self {
        let versions = content.versions.iter().map(|(_, part)| {
            let name = (part.flow_uid.as_str(), part.number);
            (name, (Source::Parsed(part), None))
        });
        let broken = content.broken.iter();
        Self {
            settings: &content.settings,
            flows: content.flows.iter().map(given).collect(),
            versions: versions.collect(),
            deployments: content.deployments.iter().map(given).collect(),
            keys: content.keys.iter().collect(),
            features: content.flags.features().iter().collect(),
            segments: content.flags.segments().iter().collect(),
            flags: None,
            broken: broken
                .map(|(name, why)| (name.clone(), why.as_str()))
                .collect(),
        }
    }

    pub(super) fn of_inventory(inventory: &'c Inventory) -> Result<Self, PartsError> {
        let mut input = Self {
            settings: inventory.settings()?,
            flows: Vec::new(),
            versions: Versions::default(),
            deployments: Vec::new(),
            keys: Vec::new(),
            features: Vec::new(),
            segments: Vec::new(),
            flags: inventory.flags_made(),
            broken: Vec::new(),
        };
        let (mut features, mut segments) = (Vec::new(), Vec::new());
        for (place, part) in inventory.parts() {
            let (kind, id) = (part.entry.kind, part.entry.id.as_str());
            match &part.body {
                Body::Flow(flow, last) => input.flows.push(Given {
                    part: flow,
                    place: Some(place),
                    last: last.as_ref(),
                }),
                Body::Deployment(part, last) => input.deployments.push(Given {
                    part,
                    place: Some(place),
                    last: last.as_ref(),
                }),
                Body::Parsed(part) => {
                    let name = (part.flow_uid.as_str(), part.number);
                    let source = Source::Parsed(part);
                    input.versions.insert(name, (source, Some(place)));
                }
                Body::Compiled(outcome) => {
                    // Ids were checked when their shard was read.
                    if let Some(name) = id_of_version(kind, id) {
                        let source = Source::Compiled(outcome);
                        input.versions.insert(name, (source, Some(place)));
                    }
                }
                Body::Flag(flag) => features.push((id, &**flag)),
                Body::Segment(segment) => segments.push((id, &**segment)),
                Body::Key(key) => input.keys.push(key),
                Body::Broken(why) => input.broken.push((format!("{}:{id}", kind.name()), why)),
                Body::Settings(_) | Body::Unread => {}
            }
        }
        input.flows.sort_by(|a, b| a.part.uid.cmp(&b.part.uid));
        let deployments = &mut input.deployments;
        deployments.sort_by(|a, b| a.part.uid.cmp(&b.part.uid));
        input.keys.sort_by(|a, b| a.sha256.cmp(&b.sha256));
        input.features = in_order(features);
        input.segments = in_order(segments);
        let served: FxHashSet<&str> = input.flows.iter().map(|flow| &*flow.part.uid).collect();
        input.versions.retain(|(uid, _), _| served.contains(uid));
        Ok(input)
    }
}

/// Parts by their ids.
fn in_order<'c>(mut parts: Vec<(&str, &'c Value)>) -> Vec<&'c Value> {
    parts.sort_by_key(|(id, _)| *id);
    parts.into_iter().map(|(_, part)| part).collect()
}

fn given<T, M>(part: &T) -> Given<'_, T, M> {
    Given {
        part,
        place: None,
        last: None,
    }
}

fn id_of_version(kind: PartKind, id: &str) -> Option<(&str, u32)> {
    let (uid, number) = id.rsplit_once(':').filter(|_| kind == PartKind::Version)?;
    Some((uid, number.parse().ok()?))
}

//! What does a compiled deployment look like?
//!
//! Rules are predicates, the schedule is sorted, the salt stands ready to be
//! hashed: a decision only compares.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::names::{DeploymentKey, FlowKey};
use crate::{
    clock::UnixMs,
    evaluate::predicate::{Asked, Predicate},
    snapshot::wire::{OnVersionChange, Remember, VersionPolicy},
};

/// Which version of a flow the subjects of a channel see, and who of them.
#[derive(Debug)]
pub struct Deployment {
    /// Never changes.
    pub uid: Box<str>,
    /// `DeploymentKey::of(uid)`.
    pub key: DeploymentKey,
    /// For people.
    pub name: Box<str>,
    /// The flow.
    pub flow: FlowKey,
    /// The flow's sid.
    pub flow_sid: Box<str>,
    /// `platform` or `platform:workspace`.
    pub channel: Box<str>,
    /// Of the release minus the control document's entries.
    pub active: bool,
    /// Which version.
    pub policy: VersionPolicy,
    /// Whom.
    pub audience: Audience,
    /// Before the first entry of the schedule; 0..=10000.
    pub basis_points: u16,
    /// Ascending by time.
    pub schedule: Box<[Scheduled]>,
    /// Goes before the id that is hashed, with its colon.
    pub salt: Box<str>,
    /// What id is hashed.
    pub id: RolloutSource,
    /// How long a decision stands.
    pub remember: Remember,
    /// What a new version means for those who have begun; none: it depends on
    /// whether the request names a conversation.
    pub on_version_change: Option<OnVersionChange>,
}

/// Who is meant: one alternative suffices, none means everyone.
#[derive(Debug, Default)]
pub struct Audience {
    /// In document order.
    pub alternatives: Box<[Alternative]>,
}

/// Rules that must all hold.
#[derive(Debug)]
pub struct Alternative {
    /// For people.
    pub name: Option<Box<str>>,
    /// At least one, in document order.
    pub rules: Box<[Rule]>,
}

/// One rule of an audience.
#[derive(Debug)]
pub struct Rule {
    /// For receipts: attribute, operator and value as written.
    pub text: Box<str>,
    /// What is judged.
    pub predicate: Predicate,
}

/// From then on, so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// When it begins.
    pub at_ms: UnixMs,
    /// 0..=10000.
    pub basis_points: u16,
}

/// Which id a rollout hashes.
#[derive(Debug)]
pub enum RolloutSource {
    /// The user's.
    User,
    /// The group's.
    Group,
    /// The text or whole number of this attribute, found as rules find theirs.
    Attribute(Asked),
}

/// A channel and what is deployed on it.
#[derive(Debug, Default)]
pub struct Channel {
    /// At most one deployment is active on it.
    pub exclusive: bool,
    /// The deployment that decides, by flow: the active one, or, when all are
    /// inactive, the first by uid.
    pub by_flow: FxHashMap<FlowKey, Arc<Deployment>>,
    /// On an exclusive channel: the one that is active.
    pub sole: Option<Arc<Deployment>>,
}

impl Deployment {
    /// The percentage in force at this time.
    pub fn basis_points_at(&self, now: UnixMs) -> u16 {
        self.scheduled_at(now)
            .map_or(self.basis_points, |entry| entry.basis_points)
    }

    /// The entry of the schedule that is in force; none before the first.
    pub fn scheduled_at(&self, now: UnixMs) -> Option<&Scheduled> {
        let begun = self.schedule.partition_point(|entry| entry.at_ms <= now);
        self.schedule[..begun].last()
    }
}

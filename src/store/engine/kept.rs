//! What does the ledger keep beside documents of users and groups?
//!
//! Keys, marks and rows as engines exchange them; their meaning is the
//! ledger's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    clock::UnixMs,
    progress::event::{
        Change, EnrolledDocument, Event, MembershipDocument, UserDocument, membership_hash,
    },
};

/// Under which key a membership is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MembershipKey {
    /// Uid of the deployment.
    pub deployment: String,
    /// The id that was hashed.
    pub id: String,
    /// Set when the decision stands for one conversation only; never empty.
    pub conversation: Option<String>,
}

/// What a counter is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// A deployment, by its uid.
    Deployment(String),
    /// A version of a flow, by the flow's uid.
    Flow(String, u32),
}

/// One counter; what facts there are is the ledger's matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    /// About what.
    pub of: Counted,
    /// Uid of a block; empty for the whole.
    pub block: String,
    /// What is counted.
    pub fact: String,
}

impl MembershipKey {
    /// As a state keeps it.
    pub(crate) fn enrolled(enrolled: &EnrolledDocument) -> Self {
        Self {
            deployment: enrolled.deployment.clone(),
            id: enrolled.id.clone(),
            conversation: enrolled.conversation.clone(),
        }
    }

    /// The key of a decision.
    pub fn of(membership: &MembershipDocument) -> Self {
        Self {
            deployment: membership.deployment.clone(),
            id: membership.id.clone(),
            conversation: membership.conversation.clone(),
        }
    }

    /// As changes name it.
    pub(crate) fn subject(&self) -> u64 {
        membership_hash(&self.deployment, &self.id, self.conversation.as_deref())
    }
}

/// When each conversation of a user was active last: by the newest of its
/// states, whatever their flow.
pub(crate) fn conversations_active_ms(document: &UserDocument) -> BTreeMap<&str, UnixMs> {
    let mut active = BTreeMap::new();
    for state in &document.flows {
        if let (Some(conversation), Some(at)) = (&state.conversation, state.touched_ms) {
            let newest = active.entry(conversation.as_str()).or_insert(at);
            *newest = at.max(*newest);
        }
    }
    active
}

/// A webhook that is owed: which block was passed, by whom and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEffect {
    /// Environment name.
    pub environment: String,
    /// Environment uid.
    pub environment_uid: String,
    /// User id.
    pub user: String,
    /// The group the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The conversation the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// Flow uid.
    pub flow: String,
    /// Version number.
    pub version: u32,
    /// Uid of the webhook block.
    pub block: String,
    /// When the step was decided, by the edge's clock.
    pub at_ms: UnixMs,
}

/// A webhook on its way, or what is still known of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The same at every attempt.
    pub id: String,
    /// What is owed.
    pub effect: WebhookEffect,
    /// Attempts that failed since it was posted, or tried anew.
    pub attempts: u32,
    /// When it is due; while it waits.
    pub next_ms: UnixMs,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it was put into the outbox, by the store's clock.
    pub posted_ms: UnixMs,
    /// The newest attempts, oldest first.
    pub log: Vec<Attempt>,
}

/// Where a webhook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It will be tried, for the first time or again.
    Waiting,
    /// Its receiver said so.
    Delivered,
    /// Its attempts are used up.
    GivenUp,
}

/// Which webhooks of an environment are meant; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only of this user.
    pub user: Option<String>,
    /// Only of this flow, by its uid.
    pub flow: Option<String>,
}

/// A place among webhooks, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryPlace {
    /// When the webhook there was posted.
    pub posted_ms: UnixMs,
    /// Its id.
    pub id: String,
}

/// A place in the order in which webhooks are due; the default is before all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxPlace {
    /// When the webhook there is due.
    pub next_ms: UnixMs,
    /// Its id.
    pub id: String,
}

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended.
    pub at_ms: UnixMs,
    /// What the receiver answered, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What it failed with, in words; none when it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What follows from an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempted {
    /// Taken.
    Delivered,
    /// Failed, to be tried again.
    Later {
        /// When.
        next_ms: UnixMs,
    },
    /// Given up.
    Dead,
}

/// How much was forgotten because of its age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// States of conversations.
    pub states: usize,
    /// Memberships of conversations.
    pub memberships: usize,
    /// Records that did not fit.
    pub dead_letters: usize,
    /// Webhooks that were given up, or delivered.
    pub webhooks: usize,
    /// Users of journals with assumptions that were wrong.
    pub refuted: usize,
    /// Journals that were closed.
    pub journals: usize,
    /// Users and groups that were erased.
    pub tombstones: usize,
}

/// A stretch of an environment's notes of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeRows {
    /// Which ledger counted the positions; random for every database.
    pub ledger: String,
    /// The oldest position that is still kept; one above `last` when none is.
    pub first: u64,
    /// The newest position; 0 before the first change.
    pub last: u64,
    /// What was asked for, with positions.
    pub rows: Vec<(u64, Change)>,
}

/// How far a journal has come in one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalMark {
    /// Everything up to this seq has its outcome.
    pub watermark: Option<u64>,
    /// Chain hash of the last batch; empty when there was none.
    pub hash: String,
    /// Since when nothing follows; none while something may.
    pub closed_ms: Option<UnixMs>,
}

/// A record that did not fit, with the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Journal id.
    pub journal: String,
    /// Sequence number in it.
    pub seq: u64,
    /// Why it did not fit.
    pub why: String,
    /// When that was found.
    pub at_ms: UnixMs,
    /// The record, complete.
    pub event: Event,
}

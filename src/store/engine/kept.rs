//! What does the ledger keep beside documents of users and groups?
//!
//! Keys, marks and rows as engines exchange them; their meaning is the
//! ledger's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    clock::UnixMs,
    progress::event::{Change, Event, MembershipDocument, UserDocument, membership_hash},
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

impl MembershipKey {
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

/// A webhook on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The same at every attempt.
    pub id: String,
    /// What is owed.
    pub effect: WebhookEffect,
    /// Attempts that failed.
    pub attempts: u32,
    /// When it is due.
    pub next_ms: UnixMs,
    /// When it was given up; none while it is tried.
    pub dead_ms: Option<UnixMs>,
    /// What the last attempt failed with; empty before.
    pub why: String,
}

/// A place in the order in which webhooks are due; the default is before all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxPlace {
    /// When the webhook there is due.
    pub next_ms: UnixMs,
    /// Its id.
    pub id: String,
}

/// What an attempt to deliver came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempted {
    /// Taken; the outbox forgets it.
    Delivered,
    /// Failed, to be tried again.
    Later {
        /// When.
        next_ms: UnixMs,
        /// Why.
        why: String,
    },
    /// Given up.
    Dead {
        /// When.
        at_ms: UnixMs,
        /// Why.
        why: String,
    },
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
    /// Webhooks that were given up.
    pub webhooks: usize,
    /// Users of journals with assumptions that were wrong.
    pub refuted: usize,
    /// Journals that were closed.
    pub journals: usize,
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

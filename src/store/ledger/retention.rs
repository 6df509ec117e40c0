//! What does the ledger forget, and when?
//!
//! A conversation ends some time after its last activity; what could not be
//! used or delivered is kept only so long as somebody may look at it. States go
//! at the next record of their user, and by a sweep that does a bounded amount
//! at a time, so that nobody waits for it.

use std::collections::BTreeSet;

use super::{
    Run,
    counting::{self, Counts},
};
use crate::{
    clock::UnixMs,
    limits,
    progress::event::{Change, FlowStateDocument, UserDocument, subject_hash},
    store::{
        engine::{Ending, Engine, EngineError, Swept, conversations_active_ms},
        workspace::Environment,
    },
};

/// Rows of each kind that one sweep of an environment does.
const SWEEP_MAX: usize = 256;

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// From the last activity of a conversation to its end.
    pub conversation_ms: u64,
    /// Records that did not fit, webhooks given up, journals that were closed,
    /// and notes about those whose assumptions were wrong.
    pub dead_letter_ms: u64,
    /// Hours of the use of flags, and who used them.
    pub usage_ms: u64,
    /// Entries of the audit log.
    pub audit_ms: u64,
    /// That somebody was erased, so that what edges ship late is recognised.
    pub tombstone_ms: u64,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        Self {
            conversation_ms: 90 * DAY_MS,
            dead_letter_ms: 30 * DAY_MS,
            usage_ms: 30 * DAY_MS,
            audit_ms: 400 * DAY_MS,
            tombstone_ms: 400 * DAY_MS,
        }
    }
}

/// Drops states of conversations that ended before this time; says how many.
/// They count as expired. A conversation ends as a whole: one flow that goes on keeps all of them.
fn drop_ended(document: &mut UserDocument, ended_before: UnixMs, counts: &mut Counts) -> usize {
    let active = conversations_active_ms(document).into_iter();
    let over: BTreeSet<String> = active
        .filter(|(_, at)| *at < ended_before)
        .map(|(conversation, _)| conversation.to_owned())
        .collect();
    if over.is_empty() {
        return 0;
    }
    let is_over = |state: &mut FlowStateDocument| {
        let conversation = state.conversation.as_ref();
        conversation.is_some_and(|own| over.contains(own))
    };
    let dropped = document.flows.extract_if(.., is_over);
    dropped
        .map(|state| counting::expired(&state, counts))
        .count()
}

impl Run<'_> {
    /// Ends conversations of a user who is written to anyway; says whether
    /// there were any.
    pub(super) fn end_conversations(&mut self, document: &mut UserDocument) -> bool {
        let ended_before = self.now.saturating_sub(self.retention.conversation_ms);
        let dropped = drop_ended(document, ended_before, &mut self.counts);
        // States from before there was a time in them: from now on.
        for state in &mut document.flows {
            state.touched_ms.get_or_insert(self.now);
        }
        dropped > 0
    }
}

/// Forgets what is over in an environment, up to a bounded amount.
pub(crate) fn sweep(
    engine: &dyn Engine,
    environment: &Environment,
    retention: &Retention,
    now: UnixMs,
) -> Result<Swept, EngineError> {
    let ended_before = now.saturating_sub(retention.conversation_ms);
    let dead_before = now.saturating_sub(retention.dead_letter_ms);
    let delivered_before = now.saturating_sub(limits::WEBHOOKS_DELIVERED_KEPT_MS);
    let uid = &environment.uid;
    let mut swept = engine.sweep(
        uid,
        (ended_before, dead_before, delivered_before),
        SWEEP_MAX,
    )?;
    let erased_before = now.saturating_sub(retention.tombstone_ms);
    swept.tombstones = engine.sweep_tombstones(uid, erased_before, SWEEP_MAX)?;
    let users = engine.users_with_ended(uid, ended_before, SWEEP_MAX)?;
    if users.is_empty() {
        return Ok(swept);
    }
    let mut states = 0;
    engine.ledger(uid, &mut |rows| {
        states = 0;
        for user in &users {
            let mut document = match rows.user(user) {
                Ok(Some(document)) => document,
                Ok(None) => continue,
                // Set aside, it is met and said once, and stops nobody else's.
                Err(error @ EngineError::Row { .. }) => {
                    tracing::error!(%error, "a user's conversations cannot be ended");
                    rows.set_user_aside(user)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut counts = Counts::new();
            let dropped = drop_ended(&mut document, ended_before, &mut counts);
            states += dropped;
            if dropped == 0 {
                // Somebody came back in the meantime, or the row was listed
                // by an older way to count: listed anew, it blocks no sweep.
                rows.put_user(&document)?;
                continue;
            }
            rows.count(&counts)?;
            document.doc_rev = document.doc_rev.max(rows.forgotten_rev()?) + 1;
            rows.put_user(&document)?;
            rows.note(&Change {
                subject: format!("{:016x}", subject_hash("user", &[user])),
                doc_rev: document.doc_rev,
                // Nobody's: every edge reads again.
                journal: String::new(),
            })?;
        }
        Ok(Ending::Commit)
    })?;
    swept.states = states;
    Ok(swept)
}

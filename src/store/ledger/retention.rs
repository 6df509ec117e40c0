//! What does the ledger forget, and when?
//!
//! A conversation ends some time after its last activity; what could not be
//! used or delivered is kept only so long as somebody may look at it. States go
//! at the next record of their user, and by a sweep that does a bounded amount
//! at a time, so that nobody waits for it.

use super::Run;
use crate::{
    clock::UnixMs,
    progress::event::{Change, UserDocument, subject_hash},
    store::{
        engine::{Ending, Engine, EngineError, Swept},
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
    /// Records that did not fit, webhooks given up, and notes about journals
    /// whose assumptions were wrong.
    pub dead_letter_ms: u64,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        Self {
            conversation_ms: 90 * DAY_MS,
            dead_letter_ms: 30 * DAY_MS,
        }
    }
}

/// Drops states of conversations that ended before this time; says how many.
fn drop_ended(document: &mut UserDocument, ended_before: UnixMs) -> usize {
    let before = document.flows.len();
    document.flows.retain(|state| {
        let is_over = state.touched_ms.is_some_and(|at| at < ended_before);
        state.conversation.is_none() || !is_over
    });
    before - document.flows.len()
}

impl Run<'_> {
    /// Ends conversations of a user who is written to anyway.
    pub(super) fn end_conversations(&self, document: &mut UserDocument) {
        let ended_before = self.now.saturating_sub(self.retention.conversation_ms);
        drop_ended(document, ended_before);
        // States from before there was a time in them: from now on.
        for state in &mut document.flows {
            state.touched_ms.get_or_insert(self.now);
        }
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
    let uid = &environment.uid;
    let mut swept = engine.sweep(uid, (ended_before, dead_before), SWEEP_MAX)?;
    let users = engine.users_with_ended(uid, ended_before, SWEEP_MAX)?;
    if users.is_empty() {
        return Ok(swept);
    }
    let mut states = 0;
    engine.ledger(uid, &mut |rows| {
        states = 0;
        for user in &users {
            let Some(mut document) = rows.user(user)? else {
                continue;
            };
            let dropped = drop_ended(&mut document, ended_before);
            states += dropped;
            if dropped == 0 {
                // Somebody came back in the meantime.
                continue;
            }
            document.doc_rev += 1;
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

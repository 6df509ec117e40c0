//! How does an operator act on a user?
//!
//! By a record like those of edges, decided inside of the transaction on the
//! document that stands there, and so judged, counted and told like any other;
//! or, where no record says it, by a document that takes the old one's place.
//! Each record is a journal of its own, which ends with it.

use super::{
    Retention, Versions, apply,
    counting::{self, Counts},
    erasing::{next_rev, note},
    judge, unseen,
};
use crate::{
    clock::UnixMs,
    limits,
    progress::event::{
        Batch, Event, FlowStateDocument, GroupRecord, Outcome, ShippedRecord, UserDocument,
        chain_hash,
    },
    store::{
        AuditEntry, UserError,
        engine::{Ending, Engine, EngineError, LedgerTransaction},
        workspace::Environment,
    },
};

/// Decides a record on the user, and the group they joined first.
pub(crate) type Decide<'a> =
    dyn FnMut(&UserDocument, Option<GroupRecord>) -> Result<Event, UserError> + 'a;

/// Ends a transaction with its entry in the audit log; without one it was only
/// tried.
pub(super) fn end(
    rows: &mut dyn LedgerTransaction,
    entry: Option<&AuditEntry>,
) -> Result<Ending, EngineError> {
    match entry {
        Some(entry) => rows.audit(entry).map(|()| Ending::Commit),
        None => Ok(Ending::RollBack),
    }
}

/// Takes one record; `journal` is a fresh id. Says what is known of the user
/// then, also where it is only tried.
pub(crate) fn act(
    engine: &dyn Engine,
    environment: &Environment,
    versions: &dyn Versions,
    (user, journal): (&str, &str),
    (retention, now): (&Retention, UnixMs),
    (entry, decide): (Option<&AuditEntry>, &mut Decide<'_>),
) -> Result<Result<UserDocument, UserError>, EngineError> {
    let mut done = Ok(unseen(user));
    engine.ledger(&environment.uid, &mut |rows| {
        let document = rows.user(user)?.unwrap_or_else(|| unseen(user));
        let group = document.groups.first();
        let group = group.map(|id| rows.group(id)).transpose()?.flatten();
        done = match decide(&document, group) {
            Ok(event) => {
                let record = (journal, event);
                let taken = take(rows, environment, versions, record, (retention, now))?;
                let document = rows.user(user)?;
                taken.map(|()| document.unwrap_or_else(|| unseen(user)))
            }
            Err(refused) => Err(refused),
        };
        if done.is_err() {
            return Ok(Ending::RollBack);
        }
        end(rows, entry)
    })?;
    Ok(done)
}

fn take(
    rows: &mut dyn LedgerTransaction,
    environment: &Environment,
    versions: &dyn Versions,
    (journal, event): (&str, Event),
    (retention, now): (&Retention, UnixMs),
) -> Result<Result<(), UserError>, EngineError> {
    let batch = Batch {
        journal: journal.to_owned(),
        previous: String::new(),
        records: vec![ShippedRecord {
            seq: 1,
            wall_ms: now,
            event,
        }],
    };
    let hash = chain_hash(&batch).map_err(|error| EngineError::Row {
        what: "record",
        found: error.to_string(),
    })?;
    let shipped = apply(
        rows,
        environment,
        (&batch, &hash),
        versions,
        (retention, now),
    )?;
    let outcome = match shipped {
        Ok(shipped) => shipped.answer.outcomes.into_iter().next(),
        Err(error) => return Ok(Err(UserError::Refused(error.to_string()))),
    };
    let mut mark = rows.mark(journal)?.unwrap_or_default();
    mark.closed_ms = Some(now);
    rows.put_mark(journal, &mark)?;
    Ok(match outcome {
        Some(outcome) if outcome.outcome == Outcome::Applied => Ok(()),
        Some(outcome) => Err(UserError::Refused(outcome.why.unwrap_or_default())),
        None => Err(UserError::Refused("the record has no outcome".to_owned())),
    })
}

/// Decides where a user stands from now on in one version.
pub(crate) type Place<'a> = dyn FnMut(&UserDocument) -> Result<FlowStateDocument, UserError> + 'a;

/// Puts a user into a version. What they have in later versions goes: it would
/// hold them there, and the next request would take them back. Says what is
/// known of the user then.
pub(crate) fn put(
    engine: &dyn Engine,
    environment: &Environment,
    user: &str,
    now: UnixMs,
    (entry, place): (Option<&AuditEntry>, &mut Place<'_>),
) -> Result<Result<UserDocument, UserError>, EngineError> {
    let mut done = Ok(unseen(user));
    engine.ledger(&environment.uid, &mut |rows| {
        let document = rows.user(user)?.unwrap_or_else(|| unseen(user));
        let state = match place(&document) {
            Ok(state) => state,
            Err(refused) => {
                done = Err(refused);
                return Ok(Ending::RollBack);
            }
        };
        let before = document.clone();
        let (document, gone) = placed(document, state, now);
        if document.flows.len() > limits::FLOW_STATES_PER_USER_MAX {
            done = Err(UserError::Refused(format!(
                "the user would have states of {} flow versions (expected at most {})",
                document.flows.len(),
                limits::FLOW_STATES_PER_USER_MAX
            )));
            return Ok(Ending::RollBack);
        }
        let mut counts = Counts::new();
        counting::user(&before, &document, true, &mut counts);
        rows.count(&counts)?;
        let doc_rev = next_rev(rows, document.doc_rev)?;
        let document = UserDocument {
            doc_rev,
            ..document
        };
        rows.put_user(&document)?;
        done = Ok(document);
        // What edges build on a state that is gone builds on nothing.
        for journal in rows.journals()? {
            let mut places = rows.refuted(&journal, user)?;
            let known = places.len();
            places.extend(gone.iter().cloned());
            if places.len() > known {
                rows.put_refuted(&journal, user, &places, now)?;
            }
        }
        note(rows, "user", (user, doc_rev))?;
        end(rows, entry)
    })?;
    Ok(done)
}

/// The document with this state, and the places of states that are gone.
fn placed(
    mut document: UserDocument,
    state: FlowStateDocument,
    now: UnixMs,
) -> (UserDocument, Vec<String>) {
    let mut gone = Vec::new();
    let mut recent = Vec::new();
    let mut enrolled = None;
    document.flows.retain_mut(|own| {
        let same_flow = own.flow == state.flow && own.conversation == state.conversation;
        if same_flow {
            enrolled = enrolled.take().or_else(|| own.enrolled.clone());
        }
        if !same_flow || own.version < state.version {
            return true;
        }
        if own.version > state.version {
            gone.push(judge::place_of(own));
        }
        // What was seen stays seen.
        recent.append(&mut own.recent);
        false
    });
    let surplus = recent.len().saturating_sub(limits::EVENT_RING);
    recent.drain(..surplus);
    document.flows.push(FlowStateDocument {
        touched_ms: Some(now),
        enrolled,
        recent,
        ..state
    });
    document.created_ms.get_or_insert(now);
    // The last record is still the last, but no longer all there is.
    document.mixed |= document.last.is_some();
    (document, gone)
}

//! Does what an edge says follow on what the ledger has of its journal?
//!
//! Batches are chained by hash, and a journal ends with the batch its edge ended
//! it with. Whatever does not fit is a fork: two edges write under one id, or
//! this ledger was put back to an earlier state, which the edge finds out by
//! asking where it stands.

use super::{Ending, Engine, Environment, JournalMark, ShipError};
use crate::{clock::UnixMs, progress::event::Batch};

/// Notes that nothing follows in a journal, which ends with the batch of this
/// hash: an edge that means another end does not know that this ledger was put
/// back to an earlier state, and still has what is missing. Doing it twice is
/// fine.
pub(crate) fn close(
    engine: &dyn Engine,
    environment: &Environment,
    (journal, hash): (&str, Option<&str>),
    now: UnixMs,
) -> Result<(), ShipError> {
    let mut fork = None;
    engine.ledger(&environment.uid, &mut |transaction| {
        let mut mark = transaction.mark(journal)?.unwrap_or_default();
        fork = other_end(journal, hash, &mark);
        if fork.is_some() {
            return Ok(Ending::RollBack);
        }
        mark.closed_ms.get_or_insert(now);
        transaction.put_mark(journal, &mark)?;
        Ok(Ending::Commit)
    })?;
    fork.map_or(Ok(()), Err)
}

/// Whether the journal stands at another batch than the one it is to end with.
pub(super) fn other_end(
    journal: &str,
    hash: Option<&str>,
    mark: &JournalMark,
) -> Option<ShipError> {
    let hash = hash.filter(|hash| *hash != mark.hash)?;
    Some(ShipError::Fork(format!(
        "journal {journal} is to end with batch {hash:?} (expected {:?})",
        mark.hash
    )))
}

/// Whether the batch does not follow on what the ledger has of this journal.
pub(super) fn fork(batch: &Batch, mark: &JournalMark) -> Option<ShipError> {
    if mark.closed_ms.is_some() {
        return Some(ShipError::Fork(format!(
            "journal {} was closed (expected nothing to follow)",
            batch.journal
        )));
    }
    if batch.previous != mark.hash {
        return Some(ShipError::Fork(format!(
            "journal {} continues after batch {:?} (expected {:?})",
            batch.journal, batch.previous, mark.hash
        )));
    }
    None
}

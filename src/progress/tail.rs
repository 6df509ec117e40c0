//! How are records read back that are only on disk?
//!
//! Of a subject that is not pinned in memory only the places of its records
//! are kept. The read-through task reads them from the journal, beside what
//! the ledger says, and whoever asked lays them over it. A record that cannot
//! be read is an error: what the subject had done would be missing.

use std::{future::poll_fn, io, sync::Arc, task::Poll};

use super::{
    event::Event,
    journals::RecordPlace,
    pending::{Entry, RecoveredRecord},
    stepping::Memory,
    subjects::Kept,
};
use crate::disk::journal::{Journal, Lookup};

/// A subject's records, in order.
pub(super) type Tail = Arc<[RecoveredRecord]>;

/// Records read before others have their turn on the control runtime.
const READ_AT_ONCE: usize = 32;

/// Whether this subject's records are only on disk.
pub(super) fn is_on_disk<T: Kept>(memory: &Memory, journal: &Journal, key: &[u8]) -> bool {
    let pending = T::pending(memory);
    !pending.is_clear(key) && places::<T>(memory, journal, key).is_some()
}

/// The records of a subject; none when they are not only on disk.
pub(super) async fn read<T: Kept>(
    memory: &Memory,
    journal: &Journal,
    key: &[u8],
) -> io::Result<Option<Tail>> {
    let Some(mut places) = places::<T>(memory, journal, key) else {
        return Ok(None);
    };
    // A call that names a group twice is here twice.
    places.dedup();
    let mut records = Vec::with_capacity(places.len());
    let mut lookup: Option<(Arc<str>, Lookup)> = None;
    for (at, place) in places.into_iter().enumerate() {
        if at % READ_AT_ONCE == READ_AT_ONCE - 1 {
            give_way().await;
        }
        let name = memory.journals.name(place);
        let name = name.ok_or_else(|| io::Error::other("a record of no journal"))?;
        let (_, open) = match lookup.take().filter(|(open, _)| *open == name) {
            Some(same) => lookup.insert(same),
            None => lookup.insert((name.clone(), journal.lookup(&name)?)),
        };
        let record = open.record(place.seq)?;
        let event: Event = serde_json::from_slice(&record.body)?;
        records.push((name, place.seq, Arc::new(event)));
    }
    Ok(Some(records.into()))
}

fn places<T: Kept>(memory: &Memory, journal: &Journal, key: &[u8]) -> Option<Vec<RecordPlace>> {
    match T::pending(memory).lock(key).entry(key, journal) {
        Some(Entry::OnDisk(own)) => Some(own.records.clone()),
        Some(Entry::Live(_)) | None => None,
    }
}

/// Lets other tasks go on.
async fn give_way() {
    let mut given = false;
    poll_fn(|context| match std::mem::replace(&mut given, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

//! What waits in the journal's queue, and how much of it goes into one commit?
//!
//! As much as fits into the segment and into the limits of a commit, in order.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::{
    AppendError,
    quota::Owner,
    record::{Record, encoded_bytes},
};
use crate::limits::{COMMIT_BYTES_MAX, COMMIT_RECORDS_MAX};

/// Who is told about a commit.
pub(super) type Waiter = oneshot::Sender<Result<(), AppendError>>;
/// How somebody waits for one.
pub(super) type Outcome = oneshot::Receiver<Result<(), AppendError>>;

/// What a place in the queue holds.
pub(super) enum Entry {
    Record(Record, Owner, Option<Waiter>),
    /// Wants to know when everything before it is durable.
    Barrier(Waiter),
}

/// What the committer took for one commit.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    /// Whose each of them is.
    pub(super) owners: Vec<Owner>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) bytes: u64,
}

impl Batch {
    /// Takes what makes up one commit and fits into `room`.
    pub(super) fn take(entries: &mut VecDeque<Entry>, room: u64) -> Self {
        let mut batch = Self::default();
        while let Some(entry) = entries.front() {
            if let Entry::Record(record, ..) = entry {
                let bytes = batch.bytes + encoded_bytes(record.body.len()) as u64;
                let fits = bytes <= room
                    && (bytes <= COMMIT_BYTES_MAX as u64 || batch.records.is_empty())
                    && batch.records.len() < COMMIT_RECORDS_MAX;
                if !fits {
                    break;
                }
                batch.bytes = bytes;
            }
            match entries.pop_front() {
                Some(Entry::Record(record, owner, waiter)) => {
                    batch.records.push(record);
                    batch.owners.push(owner);
                    batch.waiters.extend(waiter);
                }
                Some(Entry::Barrier(waiter)) => batch.waiters.push(waiter),
                None => break,
            }
        }
        batch
    }
}

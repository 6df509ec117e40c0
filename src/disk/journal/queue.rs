//! What waits for the committer?
//!
//! The state that the writing ends and the committer share, behind one short
//! mutex: seqs are given out here, in the order of the file. Nothing in here
//! touches a disk, and the lock is never held while anybody is woken.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{oneshot, watch};

use super::{
    AppendError, JournalOptions, JournalStatus,
    commit::{Batch, Entry, Outcome, Waiter},
    quota::{Accounts, Owner, Pressure, is_worth_thinning},
    record::{Record, encoded_bytes},
    segment::DATA_START,
};
use crate::limits::COMMIT_QUEUE_MAX;

/// Room in files that exist already, as the committer last knew it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    /// Rest of the segment that is being written.
    pub(super) active: u64,
    /// Whether the next one is ready.
    pub(super) next: bool,
}

/// What the committer is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Something is queued.
    Work,
    /// Nothing was queued for a while, and the disk had failed before.
    Probe,
    /// The journal is shut down and empty.
    Finished,
}

/// Shared by all ends.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    synced: watch::Sender<u64>,
    /// Copies of what the queue says, for readers on the request path.
    era: AtomicU64,
    writable: AtomicBool,
    pressure: watch::Sender<Pressure>,
    segment_bytes: u64,
    total_bytes_max: u64,
}

struct Queue {
    entries: VecDeque<Entry>,
    /// Encoded bytes of what is queued or being committed.
    bytes: u64,
    in_flight: bool,
    /// The committer waits and has to be woken. Each record would else cost a
    /// call of the system, most of them to wake somebody who is at work.
    asleep: bool,
    next_seq: u64,
    shutdown: bool,
    room: Room,
    /// The last durable seq of every era that has ended; eight bytes for each
    /// failed commit of one run.
    era_ends: Vec<u64>,
    accounts: Accounts,
    /// Bytes of settled records that the last thinning could not give back.
    left: u64,
    status: JournalStatus,
}

impl Shared {
    /// Nothing queued; not writable until the committer says so.
    pub(super) fn new(options: &JournalOptions, used_bytes: u64) -> Self {
        Self {
            queue: Mutex::new(Queue {
                entries: VecDeque::new(),
                bytes: 0,
                in_flight: false,
                asleep: false,
                next_seq: 1,
                shutdown: false,
                room: Room::default(),
                era_ends: Vec::new(),
                accounts: Accounts::new(options.owners, options.owner_bytes_max),
                left: 0,
                status: JournalStatus {
                    used_bytes,
                    ..JournalStatus::default()
                },
            }),
            changed: Condvar::new(),
            synced: watch::Sender::new(0),
            era: AtomicU64::new(0),
            writable: AtomicBool::new(false),
            pressure: watch::Sender::new(Pressure::Low),
            segment_bytes: options.segment_bytes,
            total_bytes_max: options.total_bytes_max,
        }
    }

    // ---- The writing ends ---------------------------------------------------

    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Where an era ended; none while it lasts.
    pub(super) fn era_end(&self, era: u64) -> Option<u64> {
        if era >= self.era() {
            return None;
        }
        let ended = usize::try_from(era).ok()?;
        self.queue().era_ends.get(ended).copied()
    }

    pub(super) fn writable(&self) -> bool {
        self.writable.load(Ordering::Acquire)
    }

    pub(super) fn synced(&self) -> u64 {
        *self.synced.borrow()
    }

    pub(super) fn watch_synced(&self) -> watch::Receiver<u64> {
        self.synced.subscribe()
    }

    pub(super) fn status(&self) -> JournalStatus {
        let queue = self.queue();
        JournalStatus {
            queued: queue.entries.len(),
            last_seq: queue.next_seq - 1,
            synced: self.synced(),
            occupied_bytes: self.occupied(&queue),
            unsettled_bytes: queue.accounts.all(),
            ..queue.status.clone()
        }
    }

    /// Gives the record its seq and queues it.
    pub(super) fn append(
        &self,
        era: u64,
        (mut record, owner): (Record, Owner),
        waiter: Option<Waiter>,
    ) -> Result<u64, AppendError> {
        let bytes = encoded_bytes(record.body.len()) as u64;
        let mut queue = self.admit(era)?;
        if self.press(&mut queue) == Pressure::Full || queue.bytes + bytes > self.room(&queue) {
            return Err(AppendError::Quota);
        }
        if !queue.accounts.allows(owner, bytes) {
            return Err(AppendError::Share);
        }
        queue.accounts.charge(owner, bytes);
        let seq = queue.next_seq;
        queue.next_seq += 1;
        queue.bytes += bytes;
        record.seq = seq;
        queue
            .entries
            .push_back(Entry::Record(record, owner, waiter));
        self.rouse(queue);
        Ok(seq)
    }

    /// Queues a barrier, unless nothing is under way.
    pub(super) fn barrier(&self, era: u64) -> Result<(u64, Option<Outcome>), AppendError> {
        let mut queue = self.queue();
        if era != queue.status.era {
            return Err(AppendError::Failed);
        }
        let seq = queue.next_seq - 1;
        // Nothing can be under way and failed in an era that still lasts.
        if queue.entries.is_empty() && !queue.in_flight {
            return Ok((seq, None));
        }
        if queue.entries.len() >= COMMIT_QUEUE_MAX {
            return Err(AppendError::Full);
        }
        let (waiter, outcome) = oneshot::channel();
        queue.entries.push_back(Entry::Barrier(waiter));
        self.rouse(queue);
        Ok((seq, Some(outcome)))
    }

    /// Wakes the committer, if it has not been since it went to sleep.
    fn rouse(&self, mut queue: MutexGuard<'_, Queue>) {
        let asleep = std::mem::take(&mut queue.asleep);
        drop(queue);
        if asleep {
            self.changed.notify_one();
        }
    }

    pub(super) fn shutdown(&self) {
        let mut queue = self.queue();
        queue.shutdown = true;
        self.set_writable(&mut queue, false);
        drop(queue);
        self.changed.notify_all();
    }

    /// Segments were removed.
    pub(super) fn freed(&self, bytes: u64) {
        let mut queue = self.queue();
        queue.status.used_bytes = queue.status.used_bytes.saturating_sub(bytes);
        self.press(&mut queue);
    }

    /// Whether segments hold so much that is settled that it is worth the work
    /// to thin them.
    pub(super) fn is_thinning_due(&self) -> bool {
        let mut queue = self.queue();
        let held = self.held(&queue);
        // What was held up then may have gone since.
        queue.left = queue.left.min(held);
        is_worth_thinning(
            held,
            queue.left,
            queue.status.pressure,
            self.total_bytes_max,
        )
    }

    /// Segments were thinned as far as it goes.
    pub(super) fn thinned(&self, bytes: u64) {
        self.freed(bytes);
        let mut queue = self.queue();
        queue.left = self.held(&queue);
    }

    /// Bytes of segments that are no unsettled record.
    fn held(&self, queue: &Queue) -> u64 {
        let unsettled: u64 = queue.accounts.all().iter().sum();
        self.occupied(queue).saturating_sub(unsettled)
    }

    /// Records of an earlier run are this owner's.
    pub(super) fn charge(&self, owner: Owner, bytes: u64) {
        self.queue().accounts.charge(owner, bytes);
    }

    /// Records of this owner have their outcome.
    pub(super) fn discharge(&self, owner: Owner, bytes: u64) {
        self.queue().accounts.discharge(owner, bytes);
    }

    pub(super) fn watch_pressure(&self) -> watch::Receiver<Pressure> {
        self.pressure.subscribe()
    }

    /// Bytes that hold something, or never will again: all files without the
    /// blank rest of those that are still to be written, and what is queued.
    fn occupied(&self, queue: &Queue) -> u64 {
        let next = if queue.room.next {
            self.segment_bytes
        } else {
            0
        };
        let blank = queue.room.active + next;
        queue.status.used_bytes.saturating_sub(blank) + queue.bytes
    }

    /// Looks how full it is.
    fn press(&self, queue: &mut Queue) -> Pressure {
        let before = queue.status.pressure;
        let now = before.next(self.occupied(queue), self.total_bytes_max);
        if now != before {
            queue.status.pressure = now;
            self.pressure.send_replace(now);
        }
        now
    }

    fn admit(&self, era: u64) -> Result<MutexGuard<'_, Queue>, AppendError> {
        let queue = self.queue();
        // The era first: a caller with an old one must decide anew, whatever
        // else is wrong.
        if era != queue.status.era {
            Err(AppendError::Failed)
        } else if !queue.status.writable {
            Err(AppendError::NotWritable)
        } else if queue.entries.len() >= COMMIT_QUEUE_MAX {
            Err(AppendError::Full)
        } else {
            Ok(queue)
        }
    }

    /// Bytes of records that may be under way together: what fits into the
    /// files that exist and into those that the cap still allows.
    fn room(&self, queue: &Queue) -> u64 {
        let free = self.total_bytes_max.saturating_sub(queue.status.used_bytes);
        let segments = free / self.segment_bytes + u64::from(queue.room.next);
        queue.room.active + segments * (self.segment_bytes - DATA_START)
    }

    // ---- The committer ------------------------------------------------------

    /// Waits for something to do; while the disk is failing, not longer than
    /// `probe_after`.
    pub(super) fn wait(&self, probe_after: Duration) -> Wake {
        let mut queue = self.queue();
        loop {
            if !queue.entries.is_empty() {
                return Wake::Work;
            }
            if queue.shutdown {
                return Wake::Finished;
            }
            queue.asleep = true;
            if queue.status.writable {
                queue = self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (again, timeout) = self
                .changed
                .wait_timeout(queue, probe_after)
                .unwrap_or_else(PoisonError::into_inner);
            queue = again;
            if timeout.timed_out() && queue.entries.is_empty() && !queue.shutdown {
                return Wake::Probe;
            }
        }
    }

    /// Whether nothing is queued, and whether nothing more will be.
    pub(super) fn idle(&self) -> Option<bool> {
        let queue = self.queue();
        queue.entries.is_empty().then_some(queue.shutdown)
    }

    /// Seq and encoded bytes of the first queued record.
    pub(super) fn first(&self) -> Option<(u64, u64)> {
        self.queue().entries.iter().find_map(|entry| match entry {
            Entry::Record(record, ..) => {
                Some((record.seq, encoded_bytes(record.body.len()) as u64))
            }
            Entry::Barrier(_) => None,
        })
    }

    /// Takes what makes up one commit and fits into `room`.
    pub(super) fn take(&self, room: u64) -> Batch {
        let mut queue = self.queue();
        let batch = Batch::take(&mut queue.entries, room);
        queue.in_flight = !batch.records.is_empty() || !batch.waiters.is_empty();
        batch
    }

    /// The batch is durable. `synced` is raised before anybody is woken, so
    /// that whoever was acknowledged finds the record below it.
    pub(super) fn committed(&self, batch: &Batch, room: Room) {
        let mut queue = self.queue();
        queue.in_flight = false;
        queue.bytes = queue.bytes.saturating_sub(batch.bytes);
        queue.room = room;
        self.press(&mut queue);
        if let Some(last) = batch.records.last() {
            queue.status.commits += 1;
            queue.status.last_error = None;
            self.synced.send_replace(last.seq);
        }
    }

    /// The commit failed: everything queued is void, because it may have been
    /// decided on what failed. Returns who is to be told.
    pub(super) fn failed(&self, batch: &Batch, error: &io::Error, writable: bool) -> Vec<Waiter> {
        let mut queue = self.queue();
        for (record, owner) in batch.records.iter().zip(&batch.owners) {
            let bytes = encoded_bytes(record.body.len()) as u64;
            queue.accounts.discharge(*owner, bytes);
        }
        queue.in_flight = false;
        queue.bytes = 0;
        queue.room.active = 0;
        queue.status.failed_commits += 1;
        queue.status.last_error = Some(error.to_string());
        let durable = self.synced();
        queue.era_ends.push(durable);
        queue.status.era += 1;
        self.era.store(queue.status.era, Ordering::Release);
        let writable = writable && !queue.shutdown;
        self.set_writable(&mut queue, writable);
        let mut waiters = Vec::new();
        for entry in std::mem::take(&mut queue.entries) {
            match entry {
                Entry::Record(record, owner, waiter) => {
                    let bytes = encoded_bytes(record.body.len()) as u64;
                    queue.accounts.discharge(owner, bytes);
                    waiters.extend(waiter);
                }
                Entry::Barrier(waiter) => waiters.push(waiter),
            }
        }
        self.press(&mut queue);
        waiters
    }

    /// Goes on from the last that is durable.
    #[cfg(test)]
    pub(super) fn reuse_seqs(&self) {
        self.queue().next_seq = self.synced() + 1;
    }

    /// A segment was made.
    pub(super) fn made_segment(&self, bytes: u64, room: Room) {
        let mut queue = self.queue();
        queue.status.used_bytes += bytes;
        queue.status.segment_error = None;
        queue.room = room;
        self.press(&mut queue);
    }

    /// A segment could not be made. Nothing is lost while the present one has
    /// room.
    pub(super) fn no_segment(&self, error: &io::Error) {
        self.queue().status.segment_error = Some(error.to_string());
    }

    /// A record made its segment longer than it was made.
    pub(super) fn grew(&self, bytes: u64) {
        self.queue().status.used_bytes += bytes;
    }

    /// The disk can be written, for the first time or again.
    pub(super) fn recovered(&self) {
        let mut queue = self.queue();
        if !queue.shutdown {
            self.set_writable(&mut queue, true);
        }
    }

    /// The committer is gone: nobody would answer.
    pub(super) fn ended(&self) {
        let mut queue = self.queue();
        queue.shutdown = true;
        self.set_writable(&mut queue, false);
        let abandoned = std::mem::take(&mut queue.entries);
        drop(queue);
        // Whoever waits learns it by the closed channel.
        drop(abandoned);
    }

    /// Whether one more segment stays within the cap.
    pub(super) fn may_grow(&self) -> bool {
        let used = self.queue().status.used_bytes;
        used.saturating_add(self.segment_bytes) <= self.total_bytes_max
    }

    fn set_writable(&self, queue: &mut Queue, writable: bool) {
        queue.status.writable = writable;
        self.writable.store(writable, Ordering::Release);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No code under this lock panics half-way through a change.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

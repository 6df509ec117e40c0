//! Who writes the journal, and what happens when the disk fails?
//!
//! One [`Committer`] per journal, a step function: take what is queued (up to
//! the limits of one commit), write it at once, sync once, wake everybody.
//! [`Committer::run`] drives it on a thread of its own; a simulation calls
//! [`Committer::step`] and [`Committer::probe`] itself. A file on which a
//! write or sync failed is never touched again: the kernel may have dropped
//! the pages and would report the next sync as good.

use std::{io, sync::Arc, time::Duration};

use super::{
    super::{Disk, DiskFile},
    ahead::Ahead,
    commit::{Batch, Waiter},
    index::{Index, Noting, Spot},
    queue::{Room, Shared, Wake},
    record::encode,
    segment::{Blank, DATA_START, Header, Mould},
};
use crate::{disk::journal::AppendError, limits::SYNC_FAILURES_MAX};

/// Waits between two attempts to write again: soon at first, for a full disk
/// that was just cleared; never so often that a dead disk is kept busy.
const PROBE_FIRST: Duration = Duration::from_millis(100);
const PROBE_MAX: Duration = Duration::from_secs(5);

/// A segment that could not be made ahead is tried again after each such part
/// of a segment was written: a full disk is not filled with zeroes over and
/// over, and there are several attempts before the present segment is full.
const RETRY_PART: u64 = 16;

/// Writes what was queued. Dropping it ends the journal.
pub struct Committer {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    index: Arc<Index>,
    mould: Mould,
    ahead: Ahead,
    ordinal: u64,
    active: Option<Active>,
    next: Option<Blank>,
    /// Of the next file that is made; never used twice.
    next_number: u32,
    /// Where in the active segment the next one is tried again.
    retry_at: u64,
    /// Failed commits in a row.
    failures: u32,
    buffer: Vec<u8>,
    #[cfg(test)]
    pub(super) flaw: Option<Flaw>,
}

/// The segment that is being written.
struct Active {
    file: Box<dyn DiskFile>,
    number: u32,
    offset: u64,
    length: u64,
    noting: Noting,
}

/// Mistakes that the tests must notice.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Records are written and never synced.
    SkipDataSync,
    /// The names of new files are not synced.
    SkipFolderSync,
    /// Whoever waits is told before the sync.
    AckEarly,
    /// Going on in the file whose sync failed.
    RetrySync,
    /// What a failed commit gave out is given out again.
    ReuseSeq,
    /// Whatever stands where a record could is taken for one.
    IgnoreChecksum,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// Records that were taken from the queue.
    pub records: usize,
    /// Their bytes in the file.
    pub bytes: u64,
    /// What became of them.
    pub outcome: StepOutcome,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// Nothing was queued.
    Idle,
    /// All of it is durable.
    Committed,
    /// All of it, and everything queued behind it, was answered as failed.
    Failed,
    /// Nothing was queued and nothing will be: the journal is shut down.
    Finished,
}

impl Committer {
    /// Makes the first segment; without one the journal is not writable.
    pub(super) fn start(
        shared: Arc<Shared>,
        disk: Arc<dyn Disk>,
        index: Arc<Index>,
        mould: Mould,
        ordinal: u64,
    ) -> Self {
        let mut committer = Self {
            shared,
            disk,
            index,
            mould,
            ahead: Ahead::Inline,
            ordinal,
            active: None,
            next: None,
            next_number: 0,
            retry_at: 0,
            failures: 0,
            buffer: Vec::new(),
            #[cfg(test)]
            flaw: None,
        };
        if let Err(error) = committer.probe() {
            committer.shared.no_segment(&error);
        }
        committer
    }

    /// Drives the steps until the journal is shut down and everything queued
    /// before was answered. Blocks: give it a thread of its own.
    pub fn run(mut self) {
        self.ahead = Ahead::start(Arc::clone(&self.disk), &self.mould);
        self.prepare_ahead();
        let mut pause = PROBE_FIRST;
        loop {
            match self.shared.wait(pause) {
                Wake::Work => {
                    self.step();
                }
                Wake::Probe => {
                    // The error is in the status; the next attempt comes later.
                    pause = match self.probe() {
                        Ok(()) => PROBE_FIRST,
                        Err(_) => (pause * 2).min(PROBE_MAX),
                    };
                }
                Wake::Finished => return,
            }
        }
    }

    /// One commit, if anything is queued.
    pub fn step(&mut self) -> StepReport {
        self.collect(false);
        match self.shared.idle() {
            Some(true) => return StepReport::without_records(StepOutcome::Finished),
            Some(false) => return StepReport::without_records(StepOutcome::Idle),
            None => {}
        }
        let room = match self.shared.first() {
            Some((seq, bytes)) => match self.make_room(seq, bytes) {
                Ok(room) => room,
                Err(error) => {
                    self.fail(Batch::default(), &error);
                    return StepReport::without_records(StepOutcome::Failed);
                }
            },
            // Only barriers, and everything before them is durable.
            None => 0,
        };
        let batch = self.shared.take(room);
        let mut report = StepReport {
            records: batch.records.len(),
            bytes: batch.bytes,
            outcome: StepOutcome::Committed,
        };
        match self.write(&batch) {
            Ok(()) => self.commit(batch),
            Err(error) => {
                self.fail(batch, &error);
                report.outcome = StepOutcome::Failed;
            }
        }
        self.prepare_ahead();
        report
    }

    /// Tries whether the disk can be written again, by making a segment.
    /// Nothing is done while the journal is writable.
    pub fn probe(&mut self) -> io::Result<()> {
        self.collect(true);
        if self.shared.writable() {
            return Ok(());
        }
        // One that was made before the disk failed proves nothing.
        if let Some(old) = self.next.take() {
            self.remove(&old);
        }
        let number = self.number();
        let made = self.mould.make(self.disk.as_ref(), number);
        self.made(made)?;
        self.failures = 0;
        self.shared.recovered();
        Ok(())
    }

    /// Sees to it that the active segment takes the first record; returns the
    /// bytes it takes.
    fn make_room(&mut self, seq: u64, bytes: u64) -> io::Result<u64> {
        if let Some(active) = &self.active
            && active.room() >= bytes
        {
            return Ok(active.room());
        }
        self.active = None;
        self.collect(true);
        if self.next.is_none() {
            let number = self.number();
            let made = self.mould.make(self.disk.as_ref(), number);
            self.made(made)?;
        }
        let Some(blank) = self.next.take() else {
            return Err(io::Error::other("no segment was made"));
        };
        // A single record that is longer than a segment makes it longer.
        let length = blank.length.max(DATA_START + bytes);
        self.shared.grew(length - blank.length);
        let active = self.begin(blank, seq, length)?;
        let room = active.room();
        self.active = Some(active);
        self.retry_at = 0;
        Ok(room)
    }

    /// Writes the header. It is synced before any record is written: recovery
    /// can then tell a header that was damaged from one that was never there.
    fn begin(&self, blank: Blank, first_seq: u64, length: u64) -> io::Result<Active> {
        let header = Header {
            journal: self.mould.journal,
            number: blank.number,
            ordinal: self.ordinal,
            first_seq,
            durable_before: self.shared.synced(),
        };
        blank.file.write_all_at(&header.encode(), 0)?;
        self.sync(blank.file.as_ref())?;
        Ok(Active {
            number: blank.number,
            file: blank.file,
            offset: DATA_START,
            length,
            noting: Noting::default(),
        })
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        if batch.records.is_empty() {
            return Ok(());
        }
        self.buffer.clear();
        for record in &batch.records {
            encode(&self.mould.journal, record, &mut self.buffer);
        }
        let Some(active) = &self.active else {
            return Err(io::Error::other("no segment is open"));
        };
        active.file.write_all_at(&self.buffer, active.offset)?;
        self.sync(active.file.as_ref())?;
        if let (Some(active), Some(first)) = (&mut self.active, batch.records.first()) {
            let spot = Spot {
                number: active.number,
                offset: active.offset,
            };
            let journal = self.mould.journal;
            active.noting.record(&self.index, journal, first.seq, spot);
            active.offset += self.buffer.len() as u64;
        }
        Ok(())
    }

    fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        #[cfg(test)]
        match self.flaw {
            Some(Flaw::SkipDataSync | Flaw::AckEarly) => return Ok(()),
            Some(Flaw::RetrySync) => return file.sync_data().or_else(|_| file.sync_data()),
            _ => {}
        }
        file.sync_data()
    }

    fn commit(&mut self, batch: Batch) {
        self.failures = 0;
        self.shared.committed(&batch, self.room());
        wake(batch.waiters, Ok(()));
        #[cfg(test)]
        if let (Some(Flaw::AckEarly), Some(active)) = (self.flaw, &self.active) {
            active.file.sync_data().ok();
        }
    }

    /// Abandons the segment and fails everything of this era.
    fn fail(&mut self, batch: Batch, error: &io::Error) {
        self.active = None;
        self.failures = self.failures.saturating_add(1);
        let writable = self.failures < SYNC_FAILURES_MAX;
        let queued = self.shared.failed(&batch, error, writable);
        #[cfg(test)]
        if self.flaw == Some(Flaw::ReuseSeq) {
            self.shared.reuse_seqs();
        }
        wake(batch.waiters, Err(AppendError::Failed));
        wake(queued, Err(AppendError::Failed));
    }

    /// Has the next segment made while this one is written.
    fn prepare_ahead(&mut self) {
        let offset = self.active.as_ref().map_or(0, |active| active.offset);
        let due = offset >= self.retry_at && self.failures == 0;
        if self.next.is_some() || self.ahead.busy() || !due || !self.shared.may_grow() {
            return;
        }
        let number = self.number();
        if !self.ahead.order(number) {
            let made = self.mould.make(self.disk.as_ref(), number);
            // The error is in the status, and there is room for the moment.
            self.made(made).ok();
        }
    }

    /// Takes over what was made ahead, waiting for it if asked to.
    fn collect(&mut self, wait: bool) {
        if let Some(made) = self.ahead.collect(wait) {
            // As above.
            self.made(made).ok();
        }
    }

    fn made(&mut self, made: io::Result<Blank>) -> io::Result<()> {
        match made {
            Ok(blank) => {
                let length = blank.length;
                self.next = Some(blank);
                self.shared.made_segment(length, self.room());
                Ok(())
            }
            Err(error) => {
                let offset = self.active.as_ref().map_or(0, |active| active.offset);
                self.retry_at = offset + self.mould.length / RETRY_PART;
                self.shared.no_segment(&error);
                Err(error)
            }
        }
    }

    /// Removes a prepared segment. One that stays costs space until the next
    /// start, when recovery removes it.
    fn remove(&self, blank: &Blank) {
        let name = super::segment::file_name(&self.mould.journal, blank.number);
        if self.disk.remove(&self.mould.folder.join(name)).is_ok() {
            self.shared.freed(blank.length);
        }
    }

    fn number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    fn room(&self) -> Room {
        Room {
            active: self.active.as_ref().map_or(0, Active::room),
            next: self.next.is_some(),
        }
    }

    /// Makes one mistake from now on. The segments made so far were made well,
    /// so they are made again.
    #[cfg(test)]
    pub(crate) fn be_flawed(&mut self, flaw: Flaw) {
        self.flaw = Some(flaw);
        super::record::ignore_checksums(flaw == Flaw::IgnoreChecksum);
        if flaw == Flaw::SkipFolderSync {
            self.mould.sync_folder = false;
            if let Some(old) = self.next.take() {
                self.remove(&old);
            }
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.ended();
    }
}

impl Active {
    fn room(&self) -> u64 {
        self.length.saturating_sub(self.offset)
    }
}

impl StepReport {
    fn without_records(outcome: StepOutcome) -> Self {
        Self {
            records: 0,
            bytes: 0,
            outcome,
        }
    }
}

/// Tells everybody. Whoever does not wait any more has given up its request,
/// not its record.
fn wake(waiters: Vec<Waiter>, outcome: Result<(), AppendError>) {
    for waiter in waiters {
        waiter.send(outcome).ok();
    }
}

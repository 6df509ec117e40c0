//! How is a step made durable before it is acknowledged?
//!
//! [`Journal`] is the writing end: [`append`](Journal::append) takes the next
//! seq under a short lock and queues the record, so the order of calls is the
//! order in the file. The [`Committer`] writes what is queued, syncs once and
//! wakes everybody who waits. A failed write or sync is never tried again on
//! the same file: everything queued then is failed, the era grows, and the
//! journal goes on in a new segment with seqs never used before. Earlier runs'
//! journals are found at open, read with a [`JournalReader`], and removed when
//! the ledger has applied them.

mod ahead;
mod aliases;
mod commit;
mod committer;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod index;
mod lookup;
mod quarantine;
mod queue;
mod quota;
mod reader;
mod record;
mod recovery;
mod segment;
#[cfg(test)]
mod tests;
mod thinning;

pub use aliases::Alias;
#[cfg(test)]
pub(crate) use committer::Flaw;
pub use committer::{Committer, StepOutcome, StepReport};
pub use lookup::Lookup;
pub use quota::{Owner, Pressure, Quota};
pub use reader::JournalReader;
pub use record::Record;
pub use recovery::Recovered;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{oneshot, watch};

use self::{
    aliases::Aliases,
    index::Index,
    quarantine::Quarantine,
    queue::Shared,
    record::{JournalId, encoded_bytes},
    segment::{DATA_START, Mould},
};
use super::Disk;
use crate::{
    clock::{Ambient, UnixMs},
    limits::RECORD_BYTES_MAX,
    snapshot::hex,
};

/// How much "durable" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Written and synced.
    Disk,
    /// Queued; written and synced behind. A crash loses what was not yet.
    Memory,
}

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Holds nothing but journals; made when it is missing.
    pub folder: PathBuf,
    /// Length of one segment; at least 8 KiB, and half of `total_bytes_max`
    /// at the most.
    pub segment_bytes: u64,
    /// What all segments together may take, those of earlier runs included.
    /// Records that were accepted are never refused afterwards, so a record
    /// that does not fit into the rest of the last segment may take one more.
    pub total_bytes_max: u64,
    /// How many owners records have.
    pub owners: usize,
    /// What the unsettled records of one of them may take.
    pub owner_bytes_max: u64,
    /// When a ticket resolves.
    pub durability: Durability,
}

/// The writing end; cheap to clone.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    index: Arc<Index>,
    aliases: Arc<Aliases>,
    quarantine: Quarantine,
    ambient: Ambient,
    options: Arc<JournalOptions>,
    /// One at a time removes segments or writes them anew.
    upkeep: Arc<Mutex<()>>,
    id: JournalId,
    id_text: Arc<str>,
}

/// A place in the journal, waiting for its sync.
#[derive(Debug)]
pub struct Ticket {
    /// The record's seq; of a barrier, the last one given out before it.
    pub seq: u64,
    /// None: there is nothing to wait for.
    outcome: Option<oneshot::Receiver<Result<(), AppendError>>>,
}

/// Why a record was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too many records wait for the committer.
    #[error("the journal's queue is full")]
    Full,
    /// The segments have reached their cap.
    #[error("the journal has reached its size limit")]
    Quota,
    /// The owner's unsettled records have reached their share of that cap.
    #[error("the journal's share of this environment is used up")]
    Share,
    /// The disk failed several times in a row, or the journal is shut down.
    #[error("the journal cannot be written")]
    NotWritable,
    /// The body is longer than a record may be.
    #[error("the record is larger than a journal record may be")]
    TooLarge,
    /// The commit failed, or one failed since the record was decided. Whether
    /// the record will be found after a crash is not known.
    #[error("the record could not be synced")]
    Failed,
}

/// The journal's health, for status and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalStatus {
    /// Grows with every failed commit.
    pub era: u64,
    /// Whether records are taken.
    pub writable: bool,
    /// Records waiting for the committer.
    pub queued: usize,
    /// The last seq given out.
    pub last_seq: u64,
    /// The highest durable seq.
    pub synced: u64,
    /// Bytes of all segments on disk.
    pub used_bytes: u64,
    /// Of these, bytes that are written or given up.
    pub occupied_bytes: u64,
    /// How full that is.
    pub pressure: Pressure,
    /// Bytes of records that the ledger has not settled, by owner.
    pub unsettled_bytes: Vec<u64>,
    /// Bytes of copies that were put aside; not among `used_bytes`.
    pub quarantined_bytes: u64,
    /// Commits that succeeded.
    pub commits: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Why the last commit failed; None since one succeeded.
    pub last_error: Option<String>,
    /// Why the next segment cannot be made: records will be refused when the
    /// present one is full. None since one could be made.
    pub segment_error: Option<String>,
}

impl Journal {
    /// Recovers what is there and starts a new journal under a fresh id. The
    /// earlier journals are returned oldest first.
    ///
    /// A disk on which no segment can be made does not fail the start: the
    /// journal is then not writable until [`Committer::probe`] succeeds.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: JournalOptions,
        ambient: &Ambient,
    ) -> io::Result<(Journal, Committer, Vec<Recovered>)> {
        let least = 2 * DATA_START;
        if options.segment_bytes < least || options.total_bytes_max / 2 < options.segment_bytes {
            let text = format!(
                "a segment of {} bytes in a journal of {}, at least {least} and at most half of the journal is expected",
                options.segment_bytes, options.total_bytes_max
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        disk.create_dir_all(&options.folder)?;
        let index = Arc::new(Index::default());
        let folder = &options.folder;
        let aliases = Aliases::open(Arc::clone(&disk), folder)?;
        let quarantine = Quarantine::open(Arc::clone(&disk), folder, options.total_bytes_max);
        // One that stays costs space and nothing else.
        thinning::tidy(disk.as_ref(), folder).ok();
        let recovery = recovery::recover(disk.as_ref(), folder, &index, &quarantine)?;
        if recovery.journals.iter().all(|old| old.records == 0) {
            // Kept, they only cost space.
            aliases.clear().ok();
        }
        let id: JournalId = ambient.bytes();
        let mould = Mould {
            folder: options.folder.clone(),
            journal: id,
            length: options.segment_bytes,
            sync_folder: true,
        };
        let shared = Arc::new(Shared::new(&options, recovery.bytes));
        let committer = Committer::start(
            Arc::clone(&shared),
            Arc::clone(&disk),
            Arc::clone(&index),
            mould,
            recovery.next_ordinal,
        );
        let journal = Self {
            shared,
            disk,
            index,
            aliases: Arc::new(aliases),
            quarantine,
            ambient: ambient.clone(),
            options: Arc::new(options),
            upkeep: Arc::default(),
            id,
            id_text: hex(&id).into(),
        };
        Ok((journal, committer, recovery.journals))
    }

    /// 32 hexadecimal digits, fresh at every open.
    pub fn id(&self) -> &str {
        &self.id_text
    }

    /// The id, to be kept in tokens.
    pub fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.id_text)
    }

    /// Where the segments are.
    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// When a ticket resolves.
    pub fn durability(&self) -> Durability {
        self.options.durability
    }

    /// The configured cap of [`JournalStatus::used_bytes`].
    pub fn total_bytes_max(&self) -> u64 {
        self.options.total_bytes_max
    }

    /// Grows with every failed commit: what was decided on records of an older era is void.
    pub fn era(&self) -> u64 {
        self.shared.era()
    }

    /// What the unsettled records of one owner may take.
    pub fn owner_bytes_max(&self) -> u64 {
        self.options.owner_bytes_max
    }

    /// How full it is, and when that changes.
    pub fn watch_pressure(&self) -> watch::Receiver<Pressure> {
        self.shared.watch_pressure()
    }

    /// Counts records of an earlier run among what their owner has not settled;
    /// the lengths are those of the bodies.
    pub fn charge(&self, owner: Owner, bodies: impl Iterator<Item = usize>) {
        self.shared.charge(owner, sum(bodies));
    }

    /// The ledger has settled records of this owner.
    pub fn discharge(&self, owner: Owner, bodies: impl Iterator<Item = usize>) {
        self.shared.discharge(owner, sum(bodies));
    }

    /// Whether records are taken at the moment, as far as the disk is concerned.
    pub fn writable(&self) -> bool {
        self.shared.writable()
    }

    /// The last durable seq of an era: what is synced, or where that era ended.
    pub fn durable_through(&self, era: u64) -> u64 {
        // Read before the end of the era is: if the era ended after this, seqs
        // of the next one would count for records that were voided.
        let synced = self.synced();
        self.shared.era_end(era).unwrap_or(synced)
    }

    /// The highest durable seq; 0 at first. Only records up to here may be
    /// shipped.
    pub fn synced(&self) -> u64 {
        self.shared.synced()
    }

    /// Waits for [`Journal::synced`] to grow.
    pub fn watch_synced(&self) -> watch::Receiver<u64> {
        self.shared.watch_synced()
    }

    /// Bytes of all segments on disk, earlier journals' included.
    pub fn used_bytes(&self) -> u64 {
        self.status().used_bytes
    }

    /// Everything one may want to know at once.
    pub fn status(&self) -> JournalStatus {
        JournalStatus {
            quarantined_bytes: self.quarantine.bytes(),
            ..self.shared.status()
        }
    }

    /// Takes the next seq and queues the record; the order of calls is the order in the file.
    pub fn append(
        &self,
        era: u64,
        (owner, kind): (Owner, u8),
        wall_ms: UnixMs,
        body: Vec<u8>,
    ) -> Result<Ticket, AppendError> {
        if body.len() > RECORD_BYTES_MAX {
            return Err(AppendError::TooLarge);
        }
        let record = Record {
            seq: 0,
            wall_ms,
            kind,
            flags: 0,
            body,
        };
        let (outcome, waiter) = match self.options.durability {
            Durability::Disk => {
                let (waiter, outcome) = oneshot::channel();
                (Some(outcome), Some(waiter))
            }
            Durability::Memory => (None, None),
        };
        let seq = self.shared.append(era, (record, owner), waiter)?;
        Ok(Ticket { seq, outcome })
    }

    /// Resolves when everything queued so far is durable on disk, whatever
    /// [`Durability`] says of single records.
    pub fn barrier(&self, era: u64) -> Result<Ticket, AppendError> {
        let (seq, outcome) = self.shared.barrier(era)?;
        Ok(Ticket { seq, outcome })
    }

    /// Takes no more records; what is queued is still committed, then
    /// [`Committer::run`] returns.
    pub fn shutdown(&self) {
        self.shared.shutdown();
    }

    /// A reader at the beginning of this or an earlier journal.
    pub fn reader(&self, journal: &str) -> io::Result<JournalReader> {
        JournalReader::open(Arc::clone(&self.disk), &self.options.folder, journal)
    }

    /// Finds single durable records of this or an earlier journal.
    pub fn lookup(&self, journal: &str) -> io::Result<Lookup> {
        let (disk, index) = (Arc::clone(&self.disk), Arc::clone(&self.index));
        Lookup::open(disk, &self.options.folder, journal, index)
    }

    /// The names that records of this folder travel under, oldest first.
    pub fn aliases(&self) -> Vec<Alias> {
        self.aliases.all()
    }

    /// Gives an environment's records of a journal above this seq a name of
    /// their own; durable when it returns.
    pub fn rename(&self, environment: &str, journal: &str, after: u64) -> io::Result<Alias> {
        let alias = Alias {
            environment: environment.to_owned(),
            journal: journal.to_owned(),
            after,
            id: self.ambient.hex::<16>(),
        };
        self.aliases.add(alias.clone())?;
        Ok(alias)
    }

    /// Keeps a copy of the segments with records above this seq, for whoever
    /// looks into it.
    pub fn set_aside(&self, journal: &str, after: u64) -> io::Result<()> {
        self.quarantine.copy_after(&known_id(journal)?, after)
    }

    /// Removes those segments of this or an earlier journal whose every record
    /// is at or below `through`: applied by the ledger. The segment that is
    /// being written stays. Returns the bytes that were freed.
    pub fn retire(&self, journal: &str, through: u64) -> io::Result<u64> {
        let journal = known_id(journal)?;
        let folder = &self.options.folder;
        let _upkeep = self.upkeep();
        let freed = recovery::retire(self.disk.as_ref(), folder, (&journal, &self.index), through)?;
        self.shared.freed(freed);
        Ok(freed)
    }

    /// Removes an earlier journal that the ledger has wholly applied and
    /// closed. Returns the bytes that were freed.
    pub fn remove_finished(&self, journal: &str) -> io::Result<u64> {
        let journal = known_id(journal)?;
        if journal == self.id {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the journal in use found, an earlier one is expected",
            ));
        }
        let _upkeep = self.upkeep();
        let freed = recovery::remove_all(
            self.disk.as_ref(),
            &self.options.folder,
            (&journal, &self.index),
        )?;
        self.shared.freed(freed);
        Ok(freed)
    }

    /// Whether so much room is held by settled records, between others that are
    /// not, that [`Self::thin`] is worth its work.
    pub fn is_thinning_due(&self) -> bool {
        self.shared.is_thinning_due()
    }

    /// Gives back the room of records that are not to be kept, from segments
    /// that cannot be removed because they hold others; in these journals, which
    /// come oldest first. Returns the bytes that were freed.
    pub fn thin(
        &self,
        journals: &[String],
        keep: &dyn Fn(&str, &Record) -> bool,
    ) -> io::Result<u64> {
        let _upkeep = self.upkeep();
        let mut freed = 0;
        // Somebody else may have done it while we waited.
        if !self.is_thinning_due() {
            return Ok(freed);
        }
        for name in journals {
            let journal = known_id(name)?;
            freed += thinning::thin(
                self.disk.as_ref(),
                &self.options.folder,
                (&journal, &self.index),
                &|record| keep(name, record),
            )?;
        }
        self.shared.thinned(freed);
        Ok(freed)
    }

    fn upkeep(&self) -> MutexGuard<'_, ()> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Waits until the record is as durable as the journal's options say.
    pub async fn durable(self) -> Result<(), AppendError> {
        match self.outcome {
            None => Ok(()),
            // A committer that is gone answers nobody: the record may be there
            // or not, which is what `Failed` means.
            Some(outcome) => outcome.await.unwrap_or(Err(AppendError::Failed)),
        }
    }
}

/// Bytes that records with these bodies take.
fn sum(bodies: impl Iterator<Item = usize>) -> u64 {
    bodies.map(|bytes| encoded_bytes(bytes) as u64).sum()
}

/// An id in bytes, or a refusal.
fn known_id(journal: &str) -> io::Result<JournalId> {
    segment::parse_id(journal).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("journal id {journal:?} found, 32 hexadecimal digits are expected"),
        )
    })
}

//! Is every acknowledged record found after a crash at any operation?
//!
//! One history per seed: records are appended and committed while operations
//! fail and the power is cut at random, segments are removed and thinned; after
//! each crash the journals are recovered and compared with what was sent and
//! what was acknowledged. The same property must notice each seeded mistake.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
};

use super::{record::ignore_checksums, *};
use crate::disk::DiskFile;

type Pending = Pin<Box<dyn Future<Output = Result<(), AppendError>>>>;

/// What one history knows of one journal.
#[derive(Default)]
struct Known {
    /// Every record ever accepted.
    sent: BTreeMap<u64, Vec<u8>>,
    /// Those that were acknowledged and not given back since.
    acknowledged: Vec<u64>,
    waiting: Vec<(u64, Pending)>,
    /// Which of them are of the quick kind.
    quick: BTreeSet<u64>,
}

struct History {
    disk: MemoryDisk,
    random: Random,
    flaw: Option<Flaw>,
    /// The file that a thinning writes is not synced.
    forgetful: bool,
    known: BTreeMap<String, Known>,
    bodies: u64,
}

/// A disk that forgets to sync what is to replace something.
struct Forgetful(MemoryDisk);

struct Unsynced(Box<dyn DiskFile>);

impl Disk for Forgetful {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.list(path)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        self.0.read(path, bytes_max)
    }
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.0.create_new(path)?;
        let replaces = path.extension().is_some_and(|end| end == "tmp");
        Ok(if replaces {
            Box::new(Unsynced(file))
        } else {
            file
        })
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }
    fn file_system_bytes(&self, path: &Path) -> io::Result<Option<u64>> {
        self.0.file_system_bytes(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }
}

impl DiskFile for Unsynced {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Records of this kind are settled as soon as they are shipped; those of the
/// other wait.
const QUICK: u8 = 2;

/// So small that thinning is often worth it.
fn tight() -> JournalOptions {
    JournalOptions {
        total_bytes_max: 64 * 1024,
        ..options()
    }
}

impl Known {
    fn settle(&mut self) {
        let mut waiting = Vec::new();
        for (seq, mut ticket) in self.waiting.drain(..) {
            match (&mut ticket).now_or_never() {
                Some(Ok(())) => self.acknowledged.push(seq),
                Some(Err(_)) => {}
                None => waiting.push((seq, ticket)),
            }
        }
        self.waiting = waiting;
    }
}

impl History {
    fn new(seed: u64, flaw: Option<Flaw>) -> Self {
        Self {
            disk: MemoryDisk::new(seed),
            random: Random(seed ^ 0xace1),
            flaw,
            forgetful: false,
            known: BTreeMap::new(),
            bodies: 0,
        }
    }

    fn run(mut self) -> Result<(), String> {
        for _ in 0..4 {
            self.plan_faults();
            let seed = self.random.next();
            let disk: Arc<dyn Disk> = match self.forgetful {
                true => Arc::new(Forgetful(self.disk.clone())),
                false => Arc::new(self.disk.clone()),
            };
            let opened = Journal::open(disk, tight(), &ambient(seed));
            // An error is the power failing during recovery.
            if let Ok((journal, mut committer, recovered)) = opened {
                self.check(&recovered)?;
                if let Some(flaw) = self.flaw {
                    committer.be_flawed(flaw);
                }
                self.live(&journal, &mut committer, &recovered)?;
            }
            let seed = self.random.next();
            self.disk.crash(seed);
        }
        let last = Journal::open(Arc::new(self.disk.clone()), tight(), &ambient(u64::MAX));
        let (_, _, recovered) = last.map_err(|error| error.to_string())?;
        self.check(&recovered)
    }

    fn plan_faults(&mut self) {
        let end = self.random.below(120) as u64;
        self.disk.fail_after(end, Fault::PowerLoss);
        for _ in 0..self.random.below(4) {
            let fault = if self.random.chance(2) {
                Fault::Io
            } else {
                Fault::NoSpace
            };
            let at = self.random.below(100) as u64;
            if at != end {
                self.disk.fail_after(at, fault);
            }
        }
    }

    /// Appends and commits until the power fails, or for a while.
    fn live(
        &mut self,
        journal: &Journal,
        committer: &mut Committer,
        recovered: &[Recovered],
    ) -> Result<(), String> {
        let mut reader = journal.reader(journal.id()).unwrap();
        let mut shipped = Vec::new();
        let mut last_seq = 0;
        for _ in 0..60 {
            for _ in 0..self.random.below(5) {
                self.bodies += 1;
                let body = body(self.bodies, self.random.below(900));
                let kind = if self.random.chance(4) { 1 } else { QUICK };
                let known = self.known.entry(journal.id().to_owned()).or_default();
                if let Ok(ticket) = journal.append(journal.era(), (Owner(0), kind), 0, body.clone())
                {
                    if ticket.seq <= last_seq {
                        return Err(format!("seq {} was used twice", ticket.seq));
                    }
                    last_seq = ticket.seq;
                    if kind == QUICK {
                        known.quick.insert(ticket.seq);
                    }
                    known.sent.insert(ticket.seq, body);
                    known.waiting.push((ticket.seq, Box::pin(ticket.durable())));
                }
            }
            committer.step();
            if !journal.writable() {
                // A failing disk, or one without power.
                committer.probe().ok();
            }
            if let Some(known) = self.known.get_mut(journal.id()) {
                known.settle();
            }
            if let Ok(more) = reader.read(journal.synced(), 5, 3000) {
                shipped.extend(more);
            }
            if self.random.chance(12) {
                self.retire(journal.id(), journal, reader.position());
            }
            if self.random.chance(6) {
                self.thin(journal, recovered, reader.position());
            }
        }
        let known = self.known.entry(journal.id().to_owned()).or_default();
        for record in shipped {
            if known.sent.get(&record.seq) != Some(&record.body) {
                return Err(format!("seq {} was read and not sent", record.seq));
            }
        }
        Ok(())
    }

    fn retire(&mut self, id: &str, journal: &Journal, through: u64) {
        // What is below may be gone whether the call succeeds or not.
        journal.retire(id, through).ok();
        if let Some(known) = self.known.get_mut(id) {
            known.acknowledged.retain(|&seq| seq > through);
        }
    }

    /// The quick records of earlier journals are settled, and those of this one
    /// up to here.
    fn thin(&mut self, journal: &Journal, recovered: &[Recovered], through: u64) {
        let live = journal.id().to_owned();
        let all = recovered.iter().map(|one| one.journal.clone());
        let all: Vec<_> = all.chain([live.clone()]).collect();
        let is_settled = |id: &str, seq: u64| id != live || seq <= through;
        let keep = |id: &str, record: &Record| record.kind != QUICK || !is_settled(id, record.seq);
        journal.thin(&all, &keep).ok();
        for (id, known) in &mut self.known {
            let quick = &known.quick;
            let gone = |seq: &u64| quick.contains(seq) && is_settled(id, *seq);
            known.acknowledged.retain(|seq| !gone(seq));
        }
    }

    /// Everything acknowledged is there, and nothing that was not sent.
    fn check(&mut self, recovered: &[Recovered]) -> Result<(), String> {
        if !self.disk.powered() {
            // It failed during recovery: nothing can be compared.
            return Ok(());
        }
        for (id, known) in &self.known {
            let found = recovered.iter().find(|one| one.journal == *id);
            let records = match found {
                None => Vec::new(),
                Some(found) if found.quarantined > 0 => {
                    return Err(format!("damage was found: {:?}", found.problems));
                }
                Some(found) => {
                    let Ok(mut reader) = JournalReader::open(
                        Arc::new(self.disk.clone()),
                        Path::new(FOLDER),
                        &found.journal,
                    ) else {
                        return Err("a recovered journal has no id".to_owned());
                    };
                    let records = reader
                        .read(u64::MAX, usize::MAX, usize::MAX)
                        .map_err(|error| error.to_string())?;
                    if records.len() as u64 != found.records {
                        let read = records.len();
                        return Err(format!("{} recovered, {read} read", found.records));
                    }
                    records
                }
            };
            let read: BTreeMap<u64, Vec<u8>> = records
                .into_iter()
                .map(|record| (record.seq, record.body))
                .collect();
            for (seq, body) in &read {
                if known.sent.get(seq) != Some(body) {
                    return Err(format!("seq {seq} was found and not sent"));
                }
            }
            for seq in &known.acknowledged {
                if !read.contains_key(seq) {
                    return Err(format!("seq {seq} was acknowledged and is lost"));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn every_acknowledged_record_survives() {
    for seed in 0..400 {
        if let Err(broken) = History::new(seed, None).run() {
            panic!("seed {seed}: {broken}");
        }
    }
}

/// Passes when some seed notices the mistake, by the rule that it breaks.
fn is_noticed(flaw: Flaw, rule: &str) {
    let noticed = (0..400).any(|seed| {
        let broken = History::new(seed, Some(flaw)).run().err();
        broken.is_some_and(|broken| broken.contains(rule))
    });
    ignore_checksums(false);
    assert!(noticed, "{flaw:?} goes unnoticed, as far as {rule:?} goes");
}

#[test]
fn records_that_are_never_synced_are_noticed() {
    is_noticed(Flaw::SkipDataSync, "acknowledged and is lost");
}

#[test]
fn names_that_are_never_synced_are_noticed() {
    is_noticed(Flaw::SkipFolderSync, "acknowledged and is lost");
}

#[test]
fn an_answer_before_the_sync_is_noticed() {
    is_noticed(Flaw::AckEarly, "acknowledged and is lost");
}

#[test]
fn a_sync_that_is_tried_again_is_noticed() {
    is_noticed(Flaw::RetrySync, "acknowledged and is lost");
}

#[test]
fn a_seq_that_is_given_out_twice_is_noticed() {
    is_noticed(Flaw::ReuseSeq, "was used twice");
}

#[test]
fn a_checksum_that_is_not_looked_at_is_noticed() {
    is_noticed(Flaw::IgnoreChecksum, "was found and not sent");
}

#[test]
fn an_unsynced_thinning_is_noticed() {
    let noticed = (0..400).any(|seed| {
        let mut history = History::new(seed, None);
        history.forgetful = true;
        history.run().is_err()
    });
    assert!(noticed, "an unsynced thinning was not noticed");
}

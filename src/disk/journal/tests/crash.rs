//! Is every acknowledged record found after a crash at any operation?
//!
//! One history per seed: records are appended and committed while operations
//! fail and the power is cut at random; after each crash the journals are
//! recovered and compared with what was sent and what was acknowledged. The
//! same property must notice each seeded mistake.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use super::*;

type Pending = Pin<Box<dyn Future<Output = Result<(), AppendError>>>>;

/// What one history knows of one journal.
#[derive(Default)]
struct Known {
    /// Every record ever accepted.
    sent: BTreeMap<u64, Vec<u8>>,
    /// Those that were acknowledged and not retired since.
    acknowledged: Vec<u64>,
    waiting: Vec<(u64, Pending)>,
}

struct History {
    disk: MemoryDisk,
    random: Random,
    flaw: Option<Flaw>,
    known: BTreeMap<String, Known>,
    bodies: u64,
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
            known: BTreeMap::new(),
            bodies: 0,
        }
    }

    fn run(mut self) -> Result<(), String> {
        for _ in 0..4 {
            self.plan_faults();
            let seed = self.random.next();
            let opened = Journal::open(Arc::new(self.disk.clone()), options(), &ambient(seed));
            // An error is the power failing during recovery.
            if let Ok((journal, mut committer, recovered)) = opened {
                self.check(&recovered)?;
                if let Some(flaw) = self.flaw {
                    committer.be_flawed(flaw);
                }
                self.live(&journal, &mut committer)?;
            }
            let seed = self.random.next();
            self.disk.crash(seed);
        }
        let last = Journal::open(Arc::new(self.disk.clone()), options(), &ambient(u64::MAX));
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
    fn live(&mut self, journal: &Journal, committer: &mut Committer) -> Result<(), String> {
        let mut reader = journal.reader(journal.id()).unwrap();
        let mut shipped = Vec::new();
        let mut last_seq = 0;
        for _ in 0..60 {
            for _ in 0..self.random.below(5) {
                self.bodies += 1;
                let body = body(self.bodies, self.random.below(900));
                let known = self.known.entry(journal.id().to_owned()).or_default();
                if let Ok(ticket) = journal.append(journal.era(), (Owner(0), 1), 0, body.clone()) {
                    if ticket.seq <= last_seq {
                        return Err(format!("seq {} was used twice", ticket.seq));
                    }
                    last_seq = ticket.seq;
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

#[test]
fn every_seeded_mistake_is_noticed() {
    for flaw in [
        Flaw::SkipDataSync,
        Flaw::SkipFolderSync,
        Flaw::AckEarly,
        Flaw::RetrySync,
    ] {
        let noticed = (0..400).any(|seed| History::new(seed, Some(flaw)).run().is_err());
        assert!(noticed, "{flaw:?} was not noticed");
    }
}

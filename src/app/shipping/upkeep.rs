//! What of the journals goes, now that the ledger has it?
//!
//! Whole journals of earlier runs and whole segments of this one's, once every
//! environment's records in them are settled. Where one environment's are not,
//! the settled records of the others go one by one, when they hold so much room
//! that it is worth the work: an environment whose ledger is away costs the
//! others nothing.

use std::{
    collections::BTreeMap,
    io,
    sync::{PoisonError, atomic::Ordering},
};

use super::Shipping;
use crate::{
    clock::LongWork,
    disk::journal::{Journal, Record},
    progress::event::Event,
};

/// By journal and environment, see [`Shipping`].
type Settled = BTreeMap<(String, String), u64>;

/// One round of it, decided; the rest is work for a thread that may block.
struct Round {
    journal: Journal,
    /// Journals of earlier runs that may go, oldest first.
    finished: Vec<String>,
    /// Through where the live journal's segments may go.
    live_through: u64,
    /// Journals that may stay and be thinned, oldest first.
    staying: Vec<String>,
    settled: Settled,
}

/// What came of it.
#[derive(Default)]
struct Done {
    removed: Vec<String>,
    /// Bytes of settled records between others.
    thinned: u64,
}

impl Shipping {
    /// Takes note of what an environment is done with, and removes what all are.
    pub(super) async fn forget(&self, journal: &str, environment: &str, through: u64) {
        {
            let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
            settled.insert((journal.to_owned(), environment.to_owned()), through);
        }
        self.upkeep(Some(journal)).await;
    }

    /// Removes what may go, after something changed in this journal; without
    /// one only where there is little room.
    pub(super) async fn upkeep(&self, changed: Option<&str>) {
        let thinning = self.journal.is_thinning_due();
        let may_remove = changed.is_some_and(|journal| self.settled_by_all(journal) > 0);
        let may_remove = may_remove || self.is_cluttered();
        if !thinning && !may_remove {
            return;
        }
        let round = self.round();
        let work = move || {
            let mut done = Done::default();
            let result = round.work(&mut done);
            (done, result)
        };
        let worked = match self.ambient.long_work {
            LongWork::OnThreads => tokio::task::spawn_blocking(work).await,
            LongWork::InPlace => Ok(work()),
        };
        let Ok((done, result)) = worked else {
            return;
        };
        if !done.removed.is_empty() {
            let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
            status.journals_open = status.journals_open.saturating_sub(done.removed.len());
            let mut gone = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
            gone.extend(done.removed);
        }
        if done.thinned > 0 {
            tracing::info!(
                bytes = done.thinned,
                "settled records were taken out of journal segments that unsettled ones hold up"
            );
        }
        self.is_cluttered.store(result.is_err(), Ordering::Relaxed);
        if let Err(error) = result {
            // Kept files cost space, not truth.
            tracing::warn!(%error, "the room of shipped records could not be given back");
        }
    }

    /// Whether something is to be removed and could not be so far. It is tried
    /// again also when nothing is shipped: a journal that is full of what could
    /// not be removed takes nothing that could be.
    pub(super) fn is_cluttered(&self) -> bool {
        self.is_cluttered.load(Ordering::Relaxed)
    }

    /// Through which seq of a journal nobody's records are needed any more.
    fn settled_by_all(&self, journal: &str) -> u64 {
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let through = |environment: &String| {
            let key = (journal.to_owned(), environment.clone());
            settled.get(&key).copied().unwrap_or(0)
        };
        self.environments.iter().map(through).min().unwrap_or(0)
    }

    fn settled(&self) -> Settled {
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        settled.clone()
    }

    fn round(&self) -> Round {
        let finished = self.finished();
        let recovered = self.recovered.iter().map(|old| old.journal.clone());
        let live = self.journal.id().to_owned();
        let gone = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        let staying = recovered
            .chain([live.clone()])
            .filter(|journal| !finished.contains(journal) && !gone.contains(journal))
            .collect();
        Round {
            journal: self.journal.clone(),
            live_through: self.settled_by_all(&live),
            finished,
            staying,
            settled: self.settled(),
        }
    }

    /// Journals of earlier runs that may go and have not gone, oldest first.
    fn finished(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        let recovered = self.recovered.iter().map(|old| &old.journal);
        recovered
            .filter(|journal| !kept.contains(*journal) && !removed.contains(*journal))
            .filter(|journal| self.settled_by_all(journal) == u64::MAX)
            .cloned()
            .collect()
    }
}

impl Round {
    /// Finished journals and then what is settled of the live one. In that
    /// order, and not further when one fails: the next start takes a journal
    /// that is gone for older than those it finds.
    fn work(self, done: &mut Done) -> io::Result<()> {
        for journal in &self.finished {
            self.journal.remove_finished(journal)?;
            done.removed.push(journal.clone());
        }
        if self.live_through > 0 {
            let live = self.journal.id().to_owned();
            self.journal.retire(&live, self.live_through)?;
        }
        if self.journal.is_thinning_due() {
            let keep = |journal: &str, record: &Record| is_needed(&self.settled, journal, record);
            done.thinned = self.journal.thin(&self.staying, &keep)?;
        }
        Ok(())
    }
}

/// Whether a record may still have to be shipped. One that this release cannot
/// read another one will ship; one of an environment that is not configured
/// waits until it is again.
fn is_needed(settled: &Settled, journal: &str, record: &Record) -> bool {
    let Ok(event) = serde_json::from_slice::<Event>(&record.body) else {
        return true;
    };
    let through = settled.get(&(journal.to_owned(), event.environment));
    through.is_none_or(|through| record.seq > *through)
}

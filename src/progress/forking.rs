//! What when somebody else ships under the id of a journal of ours?
//!
//! A data folder was copied, a machine restored, or a batch of the run before
//! arrived late. If what the ledger has more than we know of is ours as well,
//! record for record, the lane goes on behind it: the chain hash tells. The
//! same when it has more of an earlier journal than is here: the copy was made
//! of a running edge, which went on in it. Otherwise, or if the journal was
//! closed there, what is not settled is shipped again under an alias.

use super::{
    event::next_hash,
    shipper::{Lane, ShipError, Shipped},
};
use crate::limits::{SHIP_BYTES_MAX, SHIP_RECORDS_MAX};

impl Lane {
    /// The ledger refused a batch as a fork.
    pub(super) async fn forked(&mut self, why: &str) -> Result<Shipped, ShipError> {
        let stands = self.question().await?;
        let watermark = self.found(&stands);
        if watermark < self.watermark {
            self.rewind(watermark);
            self.watermark = watermark;
            self.previous = Some(stands.hash);
            return Ok(Shipped::Moved { outcomes: [0; 4] });
        }
        let refused = self.load.as_ref().map(|load| load.batch.previous.as_str());
        let news = refused != Some(stands.hash.as_str());
        let is_live = *self.journal == *self.progress.journal.id();
        let is_ours = match self.compare(watermark, &stands.hash)? {
            Theirs::Same => true,
            Theirs::Longer => !is_live,
            Theirs::Other => false,
        };
        if news && is_ours {
            self.watermark = watermark;
            self.previous = Some(stands.hash);
            if let Some(load) = &mut self.load {
                load.ready = false;
            }
            return Ok(Shipped::Moved { outcomes: [0; 4] });
        }
        let after = self.settled();
        let (journal, aside) = (self.journal.clone(), &self.progress.journal);
        tracing::error!(
            journal = &*journal,
            environment = &*self.environment,
            after,
            why,
            "somebody else ships under the id of this journal (was its data folder copied?); \
             steps that are not settled are shipped again under another id"
        );
        if let Err(error) = aside.set_aside(&journal, after) {
            tracing::warn!(journal = &*journal, %error, "no copy could be put aside");
        }
        let alias = aside.rename(&self.environment, &journal, after)?;
        let memory = &self.progress.memory;
        memory.journals.rename(alias.clone());
        // What others did under our name was taken for our own doing.
        memory.ticks.raise_all();
        self.alias = Some(alias.clone());
        self.reader.seek_after(self.done_through);
        (self.load, self.previous) = (None, None);
        Ok(Shipped::Forked(alias))
    }

    /// Every record up to this one has its outcome.
    fn settled(&self) -> u64 {
        self.done_through.max(self.watermark)
    }

    /// Compares the chain from where we stand with this hash, which the ledger
    /// has at that seq.
    fn compare(&mut self, watermark: u64, hash: &str) -> Result<Theirs, ShipError> {
        let Some(mut at) = self.previous.clone() else {
            return Ok(Theirs::Other);
        };
        let journal = self.journal.clone();
        let mut reader = self.progress.journal.reader(&journal)?;
        let mut last = self.settled();
        reader.seek_after(last);
        loop {
            let records = reader.read(watermark, SHIP_RECORDS_MAX, SHIP_BYTES_MAX)?;
            if records.is_empty() {
                break;
            }
            for record in &records {
                if let Some(event) = self.own(record) {
                    last = record.seq;
                    let next = next_hash(&at, record.seq, &event);
                    at = next.map_err(std::io::Error::from)?;
                }
            }
        }
        Ok(if at == hash {
            Theirs::Same
        } else if last < watermark {
            Theirs::Longer
        } else {
            Theirs::Other
        })
    }
}

/// What the ledger has of a journal, compared with what is here.
enum Theirs {
    /// The same records, up to there.
    Same,
    /// Records behind the last one here; nobody can say what came before.
    Longer,
    /// Others.
    Other,
}

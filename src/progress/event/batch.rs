//! How do records travel, and what is answered?
//!
//! In hash-chained batches, each record with exactly one terminal outcome.

use serde::{Deserialize, Serialize};

use super::{Event, MembershipRecord};
use crate::clock::UnixMs;

/// A shipped batch: `POST environments/{env}/progress`. An empty list of
/// records asks where the ledger stands with this journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Journal id, 32 hexadecimal digits.
    pub journal: String,
    /// [`chain_hash`] of the batch before; empty for the journal's first.
    pub previous: String,
    /// In order of seq; gaps are allowed.
    pub records: Vec<ShippedRecord>,
}

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShippedRecord {
    /// Sequence number in the journal.
    pub seq: u64,
    /// When it was appended.
    pub wall_ms: UnixMs,
    /// The record.
    pub event: Event,
}

/// The hash a batch is named by in the next one: that of its last record in the
/// chain. It does not depend on where one batch ends and another begins, so
/// that two who send the same records arrive at the same hash.
pub fn chain_hash(batch: &Batch) -> Result<String, serde_json::Error> {
    let mut hash = batch.previous.clone();
    for record in &batch.records {
        hash = next_hash(&hash, record.seq, &record.event)?;
    }
    Ok(hash)
}

/// SHA-256 over the hash of the record before, this one's seq and its compact
/// JSON.
pub fn next_hash(previous: &str, seq: u64, event: &Event) -> Result<String, serde_json::Error> {
    let mut bytes = format!("{previous}\n{seq} ").into_bytes();
    serde_json::to_writer(&mut bytes, event)?;
    Ok(crate::snapshot::sha256_hex(&bytes))
}

/// The ledger's answer to a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// Every record up to this seq has its terminal outcome; none: nothing of
    /// this journal is known.
    pub watermark: Option<u64>,
    /// `chain_hash` of the last batch taken; empty when there was none.
    pub hash: String,
    /// One for each record of the batch, in order.
    pub outcomes: Vec<RecordOutcome>,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordOutcome {
    /// Which record.
    pub seq: u64,
    /// Its terminal outcome.
    pub outcome: Outcome,
    /// The user's document revision afterwards.
    pub doc_rev: u64,
    /// Whether the ledger's document after it is the one the edge decided on,
    /// with this record's effect and nothing else; when not, the edge reads
    /// the user again.
    pub as_recorded: bool,
    /// What stands under the key of the record's membership, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipRecord>,
    /// In words, for `superseded` and `dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Terminal outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its effect is in the ledger now.
    Applied,
    /// Its effect was in the ledger before.
    Already,
    /// Something newer made it meaningless.
    Superseded,
    /// It does not fit; kept as a dead letter.
    Dead,
}

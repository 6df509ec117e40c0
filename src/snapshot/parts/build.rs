//! How does a publisher turn parts into an index and blobs?
//!
//! Deterministic: the same parts give the same bytes whatever their order, so
//! that a commit to one flow changes that flow's blobs, its shard and the
//! index, and nothing else has to be sent again.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{PartsError, blob, encode, part_name, shard_of};
use crate::{
    limits::{INDEX_BYTES_MAX, PART_BYTES_MAX, SHARD_BYTES_MAX, SNAPSHOT_BYTES_MAX},
    snapshot::wire::{Blob, IndexDocument, PartEntry, PartKind, ShardDocument},
};

/// An index and everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What the release document refers to.
    pub index: Blob,
    /// Encoded bytes by their SHA-256: the index, the shards and the parts.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

/// Builds the two-level index over parts given as kind, id and JSON bytes.
/// Refuses what an edge would refuse for its size or its form: the publisher
/// hears of it while somebody can still do something about it.
pub fn build_index(mut parts: Vec<(PartKind, String, Vec<u8>)>) -> Result<Built, PartsError> {
    parts.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut writer = Writer::default();
    let mut shards: BTreeMap<u8, ShardDocument> = BTreeMap::new();
    for (kind, id, bytes) in parts {
        super::check_id(kind, &id)?;
        let shard = &mut shards.entry(shard_of(kind, &id)).or_default().parts;
        // Equal kind and id means equal shard, so the neighbour tells.
        if let Some(last) = shard.last().filter(|l| l.kind == kind && l.id == id) {
            return Err(PartsError::Unsorted {
                part: part_name(kind, &id),
                before: part_name(last.kind, &last.id),
            });
        }
        let blob = writer.put(&bytes, PART_BYTES_MAX)?;
        shard.push(PartEntry { kind, id, blob });
    }
    let mut index = IndexDocument::default();
    for (number, shard) in &shards {
        let blob = writer.put(&json(shard), SHARD_BYTES_MAX)?;
        index.shards.insert(super::shard_name(*number), blob);
    }
    let index = writer.put(&json(&index), INDEX_BYTES_MAX)?;
    Ok(Built {
        index,
        blobs: writer.blobs,
    })
}

/// The blobs so far and their decoded size together.
#[derive(Default)]
struct Writer {
    blobs: BTreeMap<String, Vec<u8>>,
    total: usize,
}

impl Writer {
    fn put(&mut self, bytes: &[u8], bytes_max: usize) -> Result<Blob, PartsError> {
        let (blob, encoded) = encode(bytes);
        blob::check(&blob, bytes_max)?;
        super::add_to_total(&mut self.total, bytes.len(), SNAPSHOT_BYTES_MAX)?;
        self.blobs.insert(blob.sha256.clone(), encoded);
        Ok(blob)
    }
}

fn json(document: &impl Serialize) -> Vec<u8> {
    // Maps with text keys, texts and numbers: nothing that can fail.
    serde_json::to_vec(document).expect("an index document serialises")
}

//! How does a publisher turn parts into an index and blobs?
//!
//! Deterministic: the same parts give the same bytes whatever their order and
//! whatever was built before, so that a commit to one flow changes that flow's
//! blobs, its shard and the index, and nothing else is encoded or sent again.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{
    PartsError, blob, encode,
    inventory::{Body, Inventory, Part, Shard},
    part_name, shard_name, shard_of,
};
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
    /// Beside an earlier build only those it does not have.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

/// A part as a publisher offers it: kind, id and JSON bytes; none when it is
/// what the build before has under this kind and id.
pub type Offer = (PartKind, String, Option<Vec<u8>>);

/// Builds the two-level index over parts given as kind, id and JSON bytes.
/// Refuses what an edge would refuse for its size or its form: the publisher
/// hears of it while somebody can still do something about it.
pub fn build_index(parts: Vec<(PartKind, String, Vec<u8>)>) -> Result<Built, PartsError> {
    let offers = parts
        .into_iter()
        .map(|(kind, id, json)| (kind, id, Some(json)));
    let (built, _) = build_beside(offers.collect(), &Inventory::default())?;
    Ok(built)
}

/// As [`build_index`], beside what was built before. Returns what the next
/// build can stand beside, too: an inventory of addresses only.
pub fn build_beside(
    mut offers: Vec<Offer>,
    last: &Inventory,
) -> Result<(Built, Inventory), PartsError> {
    offers.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut writer = Writer::default();
    let mut shards: BTreeMap<u8, Vec<Part>> = BTreeMap::new();
    for (kind, id, json) in offers {
        super::check_id(kind, &id)?;
        let number = shard_of(kind, &id);
        let shard = shards.entry(number).or_default();
        // Equal kind and id means equal shard, so the neighbour tells.
        let before = shard.last().map(|part| &part.entry);
        if let Some(before) = before.filter(|own| own.kind == kind && own.id == id) {
            return Err(PartsError::Unsorted {
                part: part_name(kind, &id),
                before: part_name(before.kind, &before.id),
            });
        }
        let entry = match json {
            Some(json) => {
                let blob = writer.put(&json, PART_BYTES_MAX)?;
                Arc::new(PartEntry { kind, id, blob })
            }
            None => {
                let known = last.named(number, kind, &id);
                let known = known.ok_or_else(|| PartsError::Missing {
                    sha256: part_name(kind, &id),
                })?;
                writer.keep(&known.entry.blob)?;
                known.entry.clone()
            }
        };
        let body = Body::Unread;
        shard.push(Part { entry, body });
    }
    let mut inventory = Inventory::default();
    let mut index = IndexDocument::default();
    for (number, parts) in shards {
        let blob = match last.shards.get(&number).filter(|own| lists(own, &parts)) {
            Some(known) => {
                writer.keep(&known.blob)?;
                known.blob.clone()
            }
            None => writer.put(&json(&document(&parts)), SHARD_BYTES_MAX)?,
        };
        index.shards.insert(shard_name(number), blob.clone());
        inventory.shards.insert(number, Shard { blob, parts });
    }
    let index = writer.put(&json(&index), INDEX_BYTES_MAX)?;
    inventory.index = Some(index.clone());
    let blobs = writer.blobs;
    Ok((Built { index, blobs }, inventory))
}

/// Whether a shard has exactly these parts.
fn lists(shard: &Shard, parts: &[Part]) -> bool {
    let same = |(one, other): (&Part, &Part)| {
        Arc::ptr_eq(&one.entry, &other.entry) || one.entry == other.entry
    };
    shard.parts.len() == parts.len() && shard.parts.iter().zip(parts).all(same)
}

fn document(parts: &[Part]) -> ShardDocument {
    ShardDocument {
        parts: parts.iter().map(|part| (*part.entry).clone()).collect(),
    }
}

/// The blobs so far and the decoded size of all that is referred to.
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

    fn keep(&mut self, blob: &Blob) -> Result<(), PartsError> {
        super::add_blob(&mut self.total, blob, SNAPSHOT_BYTES_MAX)
    }
}

fn json(document: &impl Serialize) -> Vec<u8> {
    // Maps with text keys, texts and numbers: nothing that can fail.
    serde_json::to_vec(document).expect("an index document serialises")
}

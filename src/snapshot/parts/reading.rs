//! How is a release read from its index down to its parts?
//!
//! First all shards, then, when all they name is within the limit together,
//! all parts. Shards know nothing of each other, so both are spread over
//! [`Workers`], some shards to a piece. A shard or part that the last release
//! had under the same address is not read again.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Decoder, Inventory, PartsError, add_blob, check_shard, content, index,
    inventory::{Body, Part, Shard},
    read_shard, shard_name, shard_number,
};
use crate::{
    limits::PART_BYTES_MAX,
    snapshot::{
        wire::{Blob, PartEntry, VersionPart},
        workers::{self, Workers},
    },
};

/// Pieces that shards are read in: enough for many cores to end together, and
/// few enough that the decoder each piece makes does not count.
const PIECES_MAX: usize = 32;

/// What reading a release took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Parts that the earlier release had not.
    pub parts: usize,
    /// Versions among them that were compiled as they were read.
    pub versions: usize,
}

/// What a release is read from, and beside.
pub(super) struct Reading<'r, F> {
    blob: &'r F,
    last: &'r Inventory,
    /// What a version becomes.
    version: &'r (dyn Fn(VersionPart) -> Body + Sync),
}

/// A shard, its address and its parts.
struct Listed {
    number: u8,
    blob: Blob,
    entries: Vec<Arc<PartEntry>>,
}

impl<'r, 'a, F: Fn(&str) -> Option<&'a [u8]> + Sync> Reading<'r, F> {
    /// Encoded bytes by their hash, the inventory of the release before, and
    /// what a version becomes.
    pub(super) fn of(
        blob: &'r F,
        last: &'r Inventory,
        version: &'r (dyn Fn(VersionPart) -> Body + Sync),
    ) -> Self {
        Self {
            blob,
            last,
            version,
        }
    }

    /// Reads everything below an index.
    pub(super) fn take_stock(
        &self,
        index: &Blob,
        bytes_max: usize,
        workers: &dyn Workers,
    ) -> Result<(Inventory, Read), PartsError> {
        let shards: Vec<(String, Blob)> = self.shards(index)?.into_iter().collect();
        let listed = in_pieces(workers, &shards, |decoder, (name, blob)| {
            self.list(name, blob, decoder)
        })?;
        // Counted once for every reference, so that naming one blob a thousand
        // times is no way around the limit, and before any part is decoded.
        let mut total = 0;
        add_blob(&mut total, index, bytes_max)?;
        for shard in &listed {
            add_blob(&mut total, &shard.blob, bytes_max)?;
            for entry in &shard.entries {
                add_blob(&mut total, &entry.blob, bytes_max)?;
            }
        }
        let read = in_pieces(workers, &listed, |decoder, shard| self.read(shard, decoder))?;
        let mut inventory = Inventory {
            index: Some(index.clone()),
            flags: self.last.flags.clone(),
            ..Inventory::default()
        };
        let mut all = Read::default();
        for (Listed { number, blob, .. }, (parts, read)) in listed.into_iter().zip(read) {
            all.parts += read.parts;
            all.versions += read.versions;
            inventory.shards.insert(number, Shard { blob, parts });
        }
        inventory.check()?;
        Ok((inventory, all))
    }

    /// The shards of an index, which is not read again when it is the last
    /// one's.
    fn shards(&self, own: &Blob) -> Result<BTreeMap<String, Blob>, PartsError> {
        if self.last.index.as_ref() == Some(own) {
            let shards = self.last.shards.iter();
            let named = shards.map(|(number, shard)| (shard_name(*number), shard.blob.clone()));
            return Ok(named.collect());
        }
        Ok(index(own, self.find(own)?)?.shards)
    }

    fn list(&self, name: &str, blob: &Blob, decoder: &mut Decoder) -> Result<Listed, PartsError> {
        let number = shard_number(name)?;
        let entries = match self.last.shard(number, blob) {
            Some(known) => known.parts.iter().map(|part| part.entry.clone()).collect(),
            None => {
                let shard = read_shard(blob, self.find(blob)?, decoder)?;
                check_shard(name, number, &shard)?;
                shard.parts.into_iter().map(Arc::new).collect()
            }
        };
        Ok(Listed {
            number,
            blob: blob.clone(),
            entries,
        })
    }

    fn read(&self, shard: &Listed, decoder: &mut Decoder) -> Result<(Vec<Part>, Read), PartsError> {
        let mut parts = Vec::with_capacity(shard.entries.len());
        let mut read = Read::default();
        for entry in &shard.entries {
            let known = self.last.part(shard.number, entry);
            let part = match known.filter(|known| !matches!(known.body, Body::Unread)) {
                Some(known) => known.clone(),
                None => {
                    let encoded = self.find(&entry.blob)?;
                    let bytes = decoder.decode(&entry.blob, encoded, PART_BYTES_MAX)?;
                    let part = content::read(entry.clone(), bytes, self.version)?;
                    read.parts += 1;
                    read.versions += usize::from(matches!(part.body, Body::Compiled(_)));
                    part
                }
            };
            parts.push(part);
        }
        Ok((parts, read))
    }

    fn find(&self, blob: &Blob) -> Result<&'a [u8], PartsError> {
        (self.blob)(&blob.sha256).ok_or_else(|| PartsError::Missing {
            sha256: blob.sha256.clone(),
        })
    }
}

/// Does something with each item, some in a row with one decoder.
fn in_pieces<T: Sync, U: Send + Sync>(
    workers: &dyn Workers,
    items: &[T],
    work: impl Fn(&mut Decoder, &T) -> Result<U, PartsError> + Sync,
) -> Result<Vec<U>, PartsError> {
    let size = items.len().div_ceil(PIECES_MAX).max(1);
    let pieces: Vec<&[T]> = items.chunks(size).collect();
    let done = workers::collect(workers, pieces.len(), |at| {
        let mut decoder = Decoder::new();
        let each = pieces[at].iter();
        each.map(|item| work(&mut decoder, item))
            .collect::<Result<Vec<U>, PartsError>>()
    })?;
    Ok(done.into_iter().flatten().collect())
}

//! How do a release's index and blobs become its content?
//!
//! Index → shards → parts, each addressed by the SHA-256 of its encoded bytes.
//! Order for every blob: length cap, hash, decode with cap, parse with limits.
//! An index that contradicts itself fails as a whole; a part that is intact
//! but does not parse is set aside, because one bad flow must not hold up the
//! others.

mod blob;
mod build;
mod content;
mod error;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod inventory;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

pub(super) use self::inventory::{Body, Outcome, Place};
use self::{blob::Decoder, reading::Reading};
pub use self::{
    blob::encode,
    build::{Built, Offer, build_beside, build_index},
    content::Content,
    error::PartsError,
    inventory::Inventory,
    reading::Read,
};
use super::{
    is_sha256_hex, json, sha256,
    trust::CheckedRelease,
    wire::{Blob, IndexDocument, PartEntry, PartKind, ShardDocument, VersionPart},
    workers::{InTurn, Workers},
};
use crate::limits::{
    FLAG_NAME_BYTES_MAX, INDEX_BYTES_MAX, PART_BYTES_MAX, SHARD_BYTES_MAX, SNAPSHOT_BYTES_MAX,
};

/// The one id of a settings part.
const SETTINGS_ID: &str = "settings";

/// The index's shards.
pub fn index(blob: &Blob, encoded: &[u8]) -> Result<IndexDocument, PartsError> {
    let mut decoder = Decoder::new();
    let document: IndexDocument = document("index", blob, encoded, INDEX_BYTES_MAX, &mut decoder)?;
    for (name, shard) in &document.shards {
        shard_number(name)?;
        blob::check(shard, SHARD_BYTES_MAX)?;
    }
    Ok(document)
}

/// A shard's parts: in order, each once, with sound ids and blobs. Whether
/// they belong to this shard is only known with its number, see [`resolve`].
pub fn shard(blob: &Blob, encoded: &[u8]) -> Result<ShardDocument, PartsError> {
    read_shard(blob, encoded, &mut Decoder::new())
}

fn read_shard(
    blob: &Blob,
    encoded: &[u8],
    decoder: &mut Decoder,
) -> Result<ShardDocument, PartsError> {
    let document: ShardDocument = document("shard", blob, encoded, SHARD_BYTES_MAX, decoder)?;
    for part in &document.parts {
        check_id(part.kind, &part.id)?;
        blob::check(&part.blob, PART_BYTES_MAX)?;
    }
    for (before, part) in document.parts.iter().zip(document.parts.iter().skip(1)) {
        if (before.kind, &before.id) >= (part.kind, &part.id) {
            return Err(PartsError::Unsorted {
                part: part_name(part.kind, &part.id),
                before: part_name(before.kind, &before.id),
            });
        }
    }
    Ok(document)
}

/// The shard number a part belongs to.
pub fn shard_of(kind: PartKind, id: &str) -> u8 {
    sha256(part_name(kind, id).as_bytes())[0]
}

/// Resolves everything; `blob` finds encoded bytes by hash.
pub fn resolve<'a>(
    release: &CheckedRelease,
    blob: impl Fn(&str) -> Option<&'a [u8]> + Sync,
) -> Result<Content, PartsError> {
    resolve_index(release.index(), blob, SNAPSHOT_BYTES_MAX)
}

/// As [`resolve`], for an index whose release has not been signed yet: the
/// publisher looks at what it is about to sign with the reader's eyes.
pub fn resolve_index<'a>(
    index: &Blob,
    blob: impl Fn(&str) -> Option<&'a [u8]> + Sync,
    bytes_max: usize,
) -> Result<Content, PartsError> {
    let nothing = Inventory::default();
    let parsed = |part: VersionPart| Body::Parsed(part.into());
    let reading = Reading::of(&blob, &nothing, &parsed);
    let (inventory, _) = reading.take_stock(index, bytes_max, &InTurn)?;
    inventory.into_content()
}

/// As [`resolve`], beside the inventory of an earlier release: what it has
/// under the same address is taken as it is. What a version that is read
/// becomes is said by `version`.
pub(super) fn resolve_beside<'a>(
    index: &Blob,
    blob: impl Fn(&str) -> Option<&'a [u8]> + Sync,
    last: &Inventory,
    version: &(dyn Fn(VersionPart) -> Body + Sync),
    workers: &dyn Workers,
) -> Result<(Inventory, Read), PartsError> {
    let reading = Reading::of(&blob, last, version);
    reading.take_stock(index, SNAPSHOT_BYTES_MAX, workers)
}

/// Blobs of the next level that `blob` lacks: the index, then shards, then
/// parts, each once. Empty when complete. All are within their length caps, so
/// a source may fetch as many bytes as they say.
pub fn missing<'a>(
    release: &CheckedRelease,
    blob: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<Vec<Blob>, PartsError> {
    missing_beside(release, blob, &Inventory::default())
}

/// As [`missing`], where whoever asks has every blob of an earlier release.
pub fn missing_beside<'a>(
    release: &CheckedRelease,
    blob: impl Fn(&str) -> Option<&'a [u8]>,
    last: &Inventory,
) -> Result<Vec<Blob>, PartsError> {
    let index = release.index();
    if last.index.as_ref() == Some(index) {
        return Ok(Vec::new());
    }
    let Some(encoded) = blob(&index.sha256) else {
        blob::check(index, INDEX_BYTES_MAX)?;
        return Ok(vec![index.clone()]);
    };
    let document = self::index(index, encoded)?;
    let mut seen = BTreeSet::new();
    let mut lacking = Vec::new();
    let mut shards = Vec::new();
    let mut total = 0;
    for (name, shard) in document.shards {
        let number = shard_number(&name)?;
        if let Some(known) = last.shard(number, &shard) {
            for part in &known.parts {
                add_blob(&mut total, &part.entry.blob, SNAPSHOT_BYTES_MAX)?;
            }
            continue;
        }
        match blob(&shard.sha256) {
            Some(encoded) => shards.push((number, shard, encoded)),
            None if seen.insert(shard.sha256.clone()) => lacking.push(shard),
            None => {}
        }
    }
    if !lacking.is_empty() {
        return Ok(lacking);
    }
    let mut decoder = Decoder::new();
    for (number, shard, encoded) in shards {
        for part in read_shard(&shard, encoded, &mut decoder)?.parts {
            add_blob(&mut total, &part.blob, SNAPSHOT_BYTES_MAX)?;
            let had = last.part(number, &part).is_some() || blob(&part.blob.sha256).is_some();
            if !had && seen.insert(part.blob.sha256.clone()) {
                lacking.push(part.blob);
            }
        }
    }
    Ok(lacking)
}

/// `kind:id`, what a part's shard is computed from and how errors name it.
fn part_name(kind: PartKind, id: &str) -> String {
    format!("{}:{id}", kind.name())
}

/// The flow uid and the number in a version part's id.
fn version_id(id: &str) -> Option<(&str, u32)> {
    let (uid, digits) = id.rsplit_once(':')?;
    let number: u32 = digits.parse().ok()?;
    // One spelling only: `+7` and `07` parse as well.
    (!uid.is_empty() && number.to_string() == digits).then_some((uid, number))
}

/// Whether a text is a number in the one spelling that numbers have.
fn is_number(text: &str) -> bool {
    text.parse::<i64>()
        .is_ok_and(|number| number.to_string() == text)
}

fn check_id(kind: PartKind, id: &str) -> Result<(), PartsError> {
    let (sound, expected) = match kind {
        PartKind::Flow => (!id.is_empty(), "the flow's uid"),
        PartKind::Deployment => (!id.is_empty(), "the deployment's uid"),
        PartKind::Version => (
            version_id(id).is_some(),
            "the flow's uid, a colon, a number",
        ),
        PartKind::Key => (is_sha256_hex(id), "the key's SHA-256"),
        PartKind::Settings => (id == SETTINGS_ID, "settings"),
        PartKind::Flag => (
            (1..=FLAG_NAME_BYTES_MAX).contains(&id.len()),
            "the flag's name",
        ),
        PartKind::Segment => (is_number(id), "the segment's number"),
    };
    if sound {
        return Ok(());
    }
    Err(PartsError::Id {
        part: part_name(kind, id),
        expected,
    })
}

fn check_shard(name: &str, number: u8, shard: &ShardDocument) -> Result<(), PartsError> {
    if shard.parts.is_empty() {
        return Err(PartsError::EmptyShard {
            shard: name.to_owned(),
        });
    }
    for PartEntry { kind, id, .. } in &shard.parts {
        let expected = shard_of(*kind, id);
        if expected != number {
            return Err(PartsError::WrongShard {
                part: part_name(*kind, id),
                found: number,
                expected,
            });
        }
    }
    Ok(())
}

fn shard_name(number: u8) -> String {
    format!("{number:02x}")
}

fn shard_number(name: &str) -> Result<u8, PartsError> {
    let number = u8::from_str_radix(name, 16).ok();
    // One spelling only: `+a` and `0A` parse as well.
    number
        .filter(|number| shard_name(*number) == name)
        .ok_or_else(|| PartsError::ShardName {
            found: name.to_owned(),
        })
}

fn document<T: DeserializeOwned>(
    level: &'static str,
    blob: &Blob,
    encoded: &[u8],
    bytes_max: usize,
    decoder: &mut Decoder,
) -> Result<T, PartsError> {
    let bytes = decoder.decode(blob, encoded, bytes_max)?;
    json::parse(bytes).map_err(|source| PartsError::Malformed { level, source })
}

fn add_blob(total: &mut usize, blob: &Blob, bytes_max: usize) -> Result<(), PartsError> {
    let length = usize::try_from(blob.decoded_length).unwrap_or(usize::MAX);
    add_to_total(total, length, bytes_max)
}

fn add_to_total(total: &mut usize, bytes: usize, bytes_max: usize) -> Result<(), PartsError> {
    *total = total.saturating_add(bytes);
    if *total > bytes_max {
        return Err(PartsError::TotalTooLong {
            expected: bytes_max,
        });
    }
    Ok(())
}

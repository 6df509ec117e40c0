//! How do a release's index and blobs become its content?
//!
//! Index → shards → parts, each addressed by the SHA-256 of its encoded bytes.
//! Order for every blob: length cap, hash, decode with cap, parse with limits.

use super::trust::CheckedRelease;
use super::wire::{
    Blob, FlowPart, IndexDocument, KeyPart, PartEntry, SettingsPart, ShardDocument, VersionPart,
};

/// Everything a release holds, parsed and not yet compiled.
#[derive(Clone, Debug)]
pub struct Content {
    pub settings: SettingsPart,
    pub flows: Vec<FlowPart>,
    /// Each with the hash of its part.
    pub versions: Vec<(String, VersionPart)>,
    pub keys: Vec<KeyPart>,
    /// Parts that are sound but do not parse as what they claim (set aside later): (kind:id, why).
    pub broken: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartsError {}

/// Encodes bytes as a blob (zstd where it helps) and its address.
pub fn encode(bytes: &[u8]) -> (Blob, Vec<u8>) {
    todo!()
}
/// Checks length and hash and decodes, within `bytes_max` decoded bytes.
pub fn decode(blob: &Blob, encoded: &[u8], bytes_max: usize) -> Result<Vec<u8>, PartsError> {
    todo!()
}
/// The index's shards.
pub fn index(blob: &Blob, encoded: &[u8]) -> Result<IndexDocument, PartsError> {
    todo!()
}
/// A shard's parts.
pub fn shard(blob: &Blob, encoded: &[u8]) -> Result<ShardDocument, PartsError> {
    todo!()
}
/// The shard number a part belongs to.
pub fn shard_of(kind: super::wire::PartKind, id: &str) -> u8 {
    todo!()
}
/// Resolves everything; `blob` finds encoded bytes by hash.
pub fn resolve<'a>(
    release: &CheckedRelease,
    blob: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<Content, PartsError> {
    todo!()
}
/// Blobs of the next level that `have` lacks: the index, then shards, then parts. Empty when complete.
pub fn missing<'a>(
    release: &CheckedRelease,
    blob: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<Vec<Blob>, PartsError> {
    todo!()
}

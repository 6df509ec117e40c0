//! Are the parts those the release names, and as large as it says?
//!
//! Whoever holds no key can only serve other bytes under a hash. Whoever holds
//! the release keys can name what cannot be read; that is refused as well, and
//! never decompressed into more than was admitted. In the data folder a part
//! is known by its bytes alone, so a false one is a missing one there.

use super::{
    Aim::{EndlessData, ExtraneousDependencies, MixAndMatch},
    Attack, Lie, Refused, Tell,
};
use crate::{
    limits::{DOCUMENT_DEPTH_MAX, INDEX_BYTES_MAX},
    snapshot::{
        fixture::{self, part},
        parts::{build_index, encode, index},
        wire::{Blob, IndexDocument, PartKind, READER, ShardDocument},
    },
};

pub(super) const ATTACKS: &[Attack] = &[
    false_part("an index of an earlier release", "blob_length", |lie| {
        let (second, _) = super::Ground::Plain.revision(2);
        let old = lie.second.blobs[&second.release.index.sha256].clone();
        other_index(lie, old);
    }),
    false_part("a part of the same length", "blob_hash", |lie| {
        let bytes = own_part(lie);
        let last = bytes.last_mut().expect("it has bytes");
        *last ^= 1;
    }),
    false_part("a part that breaks off", "blob_length", |lie| {
        own_part(lie).pop();
    }),
    false_part(
        "another environment's part under our hash",
        "blob_length",
        |lie| {
            let other = fixture::key_part("blocks-of-staging-which-is-longer").2;
            *own_part(lie) = other;
        },
    ),
    Attack::new(
        EndlessData,
        "a part without end",
        "blob_length",
        Tell::Lie(|lie| own_part(lie).resize(1 << 20, b' ')),
    )
    .at_boot(Refused("blob_missing")),
    Attack::new(
        MixAndMatch,
        "a part left out without a word",
        "blob_missing",
        Tell::Lie(|lie| {
            let sha256 = own_address(lie);
            lie.pack.blobs.remove(&sha256);
        }),
    ),
    Attack::new(
        MixAndMatch,
        "every part left out",
        "blob_missing",
        Tell::Lie(|lie| lie.pack.blobs.clear()),
    ),
    bomb("a bomb that hides its size", "blob_undecodable", |lie| {
        let (mut blob, bytes) = encode(&vec![b' '; 64 << 20]);
        blob.decoded_length = 100;
        named(lie, blob, bytes);
    }),
    bomb("a bomb that tells its size", "blob_too_long", |lie| {
        let (blob, bytes) = encode(&vec![b' '; INDEX_BYTES_MAX + 1]);
        named(lie, blob, bytes);
    }),
    bomb(
        "an index of a size beyond numbers",
        "blob_too_long",
        |lie| {
            let (mut blob, bytes) = encode(b"{}");
            (blob.length, blob.decoded_length) = (u64::MAX, u64::MAX);
            named(lie, blob, bytes);
        },
    ),
    bomb("bytes after the compressed ones", "blob_trailing", |lie| {
        let (_, mut bytes) = encode(&[b' '; 10_000]);
        bytes.extend_from_slice(b"more");
        let (mut blob, _) = encode(&[b' '; 10_000]);
        blob.length = bytes.len() as u64;
        blob.sha256 = crate::snapshot::sha256_hex(&bytes);
        named(lie, blob, bytes);
    }),
    bomb("an index nested without end", "index_malformed", |lie| {
        let depth = DOCUMENT_DEPTH_MAX + 1;
        let deep = format!("{{\"shards\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        indexed(lie, deep.into_bytes());
    }),
    extra("parts that nobody asked for", "", |lie| {
        let (_, _, bytes) = fixture::key_part("a-key-of-somebody");
        let (blob, bytes) = encode(&bytes);
        lie.beside.insert(blob.sha256.clone(), bytes.clone());
        lie.pack.blobs.insert(blob.sha256, bytes);
    })
    .harmless(),
    extra("an index with a member twice", "index_malformed", |lie| {
        indexed(lie, b"{\"shards\":{},\"shards\":{}}".to_vec());
    }),
    extra(
        "an index that leads to an address of its own",
        "blob_address",
        |lie| {
            shards(lie, |index| {
                let shard = index.shards.values_mut().next().expect("a shard");
                shard.sha256 = "https://elsewhere.example/part".to_owned();
            });
        },
    ),
    extra("a shard of a name that there is not", "shard_name", |lie| {
        shards(lie, |index| {
            let (_, shard) = index.shards.pop_first().expect("a shard");
            index.shards.insert("1ff".to_owned(), shard);
        });
    }),
    extra(
        "a shard in another one's place",
        "part_wrong_shard",
        |lie| {
            shards(lie, |index| {
                let (name, shard) = index.shards.pop_first().expect("a shard");
                let other = if name == "00" { "01" } else { "00" };
                index.shards.insert(other.to_owned(), shard);
            });
        },
    ),
    extra("a shard of nothing", "shard_empty", |lie| {
        sharded(lie, |shard| shard.parts.clear());
    }),
    extra("a part listed twice", "part_unsorted", |lie| {
        sharded(lie, |shard| shard.parts.push(shard.parts[0].clone()));
    }),
    extra("a release without settings", "settings_missing", |lie| {
        built(lie, vec![fixture::key_part("blocks-alone")]);
    }),
    extra(
        "settings that cannot be read",
        "settings_malformed",
        |lie| {
            let value = serde_json::json!({"environment_type": 7});
            built(lie, vec![part(PartKind::Settings, "settings", &value)]);
        },
    ),
    extra("a release for readers of tomorrow", "min_reader", |lie| {
        lie.world.release.min_reader = READER + 1;
        lie.reseal();
    }),
];

/// Other bytes than those a hash stands for.
const fn false_part(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(MixAndMatch, name, refused, Tell::Lie(tell)).at_boot(Refused("blob_missing"))
}

const fn bomb(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(EndlessData, name, refused, Tell::Lie(tell))
}

const fn extra(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(ExtraneousDependencies, name, refused, Tell::Lie(tell))
}

/// The part that no earlier revision has, and its bytes as they are served.
fn own_address(lie: &Lie) -> String {
    let (_, _, bytes) = fixture::key_part("blocks-of-revision-3");
    let (blob, _) = encode(&bytes);
    assert!(lie.pack.blobs.contains_key(&blob.sha256), "it is served");
    blob.sha256
}

fn own_part(lie: &mut Lie) -> &mut Vec<u8> {
    let sha256 = own_address(lie);
    lie.pack.blobs.get_mut(&sha256).expect("it is served")
}

fn other_index(lie: &mut Lie, bytes: Vec<u8>) {
    let sha256 = lie.world.release.index.sha256.clone();
    lie.pack.blobs.insert(sha256, bytes);
}

/// A release that names this blob as its index.
fn named(lie: &mut Lie, blob: Blob, bytes: Vec<u8>) {
    lie.world.blobs.insert(blob.sha256.clone(), bytes);
    lie.world.release.index = blob;
    lie.reseal();
}

fn indexed(lie: &mut Lie, document: Vec<u8>) {
    let (blob, bytes) = encode(&document);
    named(lie, blob, bytes);
}

fn own_index(lie: &Lie) -> IndexDocument {
    let blob = &lie.world.release.index;
    index(blob, &lie.world.blobs[&blob.sha256]).expect("an index")
}

/// A release whose index was changed.
fn shards(lie: &mut Lie, change: impl FnOnce(&mut IndexDocument)) {
    let mut document = own_index(lie);
    change(&mut document);
    indexed(lie, serde_json::to_vec(&document).expect("it serialises"));
}

/// A release one of whose shards was changed.
fn sharded(lie: &mut Lie, change: impl FnOnce(&mut ShardDocument)) {
    let document = own_index(lie);
    let (name, blob) = document.shards.into_iter().next().expect("a shard");
    let encoded = &lie.world.blobs[&blob.sha256];
    let mut shard = crate::snapshot::parts::shard(&blob, encoded).expect("a shard");
    change(&mut shard);
    let (blob, bytes) = encode(&serde_json::to_vec(&shard).expect("it serialises"));
    lie.world.blobs.insert(blob.sha256.clone(), bytes);
    shards(lie, |index| {
        index.shards.insert(name, blob);
    });
}

/// A release of these parts.
fn built(lie: &mut Lie, parts: Vec<fixture::Part>) {
    let built = build_index(parts).expect("it is built");
    lie.world.release.index = built.index;
    lie.world.blobs = built.blobs;
    lie.reseal();
}

//! Content that fits together, and every way in which it can fail to.

mod beside;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::snapshot::{
    fixture::{NOW, Part, World, flow_part, key_part, part, parts, settings_part, version_part},
    sha256_hex,
    trust::{Origin, verify_pack},
    wire::Encoding,
};

fn resolved(built: &Built) -> Result<Content, PartsError> {
    resolve_index(
        &built.index,
        |sha256| built.blobs.get(sha256).map(Vec::as_slice),
        SNAPSHOT_BYTES_MAX,
    )
}

fn content(parts: Vec<Part>) -> Result<Content, PartsError> {
    resolved(&build_index(parts).unwrap())
}

fn name<T: std::fmt::Debug>(result: Result<T, PartsError>) -> &'static str {
    result.unwrap_err().name()
}

fn decode(blob: &Blob, encoded: &[u8], bytes_max: usize) -> Result<Vec<u8>, PartsError> {
    let mut decoder = Decoder::new();
    let decoded = decoder.decode(blob, encoded, bytes_max)?;
    Ok(decoded.to_vec())
}

/// Replaces the one shard of a part by what `change` makes of it.
fn reshard(part: Part, change: impl FnOnce(&mut ShardDocument) -> String) -> Built {
    let mut built = build_index(vec![part]).unwrap();
    let index = index(&built.index, &built.blobs[&built.index.sha256]).unwrap();
    let blob = index.shards.values().next().unwrap();
    let mut shard = shard(blob, &built.blobs[&blob.sha256]).unwrap();
    let name = change(&mut shard);
    let (blob, encoded) = encode(&serde_json::to_vec(&shard).unwrap());
    built.blobs.insert(blob.sha256.clone(), encoded);
    let shards = BTreeMap::from([(name, blob)]);
    let (blob, encoded) = encode(&serde_json::to_vec(&IndexDocument { shards }).unwrap());
    built.blobs.insert(blob.sha256.clone(), encoded);
    built.index = blob;
    built
}

fn shard_name(part: &Part) -> String {
    format!("{:02x}", shard_of(part.0, &part.1))
}

#[test]
fn what_is_built_resolves_to_the_same_parts() {
    let content = content(parts()).unwrap();
    assert_eq!(content.flows.len(), 1);
    assert_eq!(content.flows[0].versions, [0, 1]);
    let numbers: Vec<_> = content.versions.iter().map(|(_, v)| v.number).collect();
    assert_eq!(numbers, [0, 1]);
    assert_eq!(content.keys.len(), 1);
    assert!(content.broken.is_empty());
}

#[test]
fn the_order_of_parts_does_not_change_what_is_built() {
    let mut backwards = parts();
    backwards.reverse();
    assert_eq!(build_index(parts()), build_index(backwards));
}

#[test]
fn one_changed_part_changes_its_blob_its_shard_and_the_index_alone() {
    let before = build_index(parts()).unwrap();
    let mut changed = parts();
    changed[1].2.push(b' ');
    let after = build_index(changed).unwrap();
    let new = after
        .blobs
        .keys()
        .filter(|k| !before.blobs.contains_key(*k));
    assert_eq!(new.count(), 3);
}

#[test]
fn missing_names_one_level_after_the_other() {
    let mut world = World::new();
    let pack = world.pack();
    let checked = verify_pack(&mut world.trust(), &pack, NOW, Origin::Fetched).unwrap();
    let mut have: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut levels = Vec::new();
    loop {
        let find = |sha256: &str| have.get(sha256).map(Vec::as_slice);
        let lacking = missing(&checked.release, find).unwrap();
        if lacking.is_empty() {
            break;
        }
        assert_eq!(
            name(resolve(&checked.release, find)),
            "blob_missing",
            "incomplete content never resolves"
        );
        levels.push(lacking.len());
        for blob in lacking {
            have.insert(blob.sha256.clone(), pack.blobs[&blob.sha256].clone());
        }
    }
    assert_eq!(levels, [1, 5, 5]);
    assert_eq!(have, pack.blobs);
}

#[test]
fn large_text_is_compressed_and_comes_back() {
    let bytes = b"Flowgate ".repeat(1000);
    let (blob, encoded) = encode(&bytes);
    assert_eq!(blob.encoding, Encoding::Zstd);
    assert!(encoded.len() < 100);
    assert_eq!(decode(&blob, &encoded, bytes.len()).unwrap(), bytes);
    let (blob, encoded) = encode(b"tiny");
    assert_eq!(blob.encoding, Encoding::Identity);
    assert_eq!(decode(&blob, &encoded, 4).unwrap(), b"tiny");
}

#[test]
fn a_blob_above_its_limit_is_refused_before_it_is_decoded() {
    let (blob, encoded) = encode(&[7; 1001]);
    assert_eq!(name(decode(&blob, &encoded, 1000)), "blob_too_long");
}

#[test]
fn a_bomb_that_hides_its_size_is_refused() {
    let (mut blob, encoded) = encode(&vec![0; 64 * 1024 * 1024]);
    assert!(encoded.len() < 10_000);
    blob.decoded_length = 1000;
    blob.length = encoded.len() as u64;
    let refusal = decode(&blob, &encoded, PART_BYTES_MAX);
    assert_eq!(name(refusal), "blob_undecodable");
}

#[test]
fn a_blob_that_decodes_to_less_is_refused() {
    let (mut blob, encoded) = encode(&[7; 1000]);
    blob.decoded_length += 1;
    assert_eq!(name(decode(&blob, &encoded, 2000)), "blob_decoded_length");
    let (mut blob, encoded) = encode(b"tiny");
    blob.decoded_length += 1;
    assert_eq!(name(decode(&blob, &encoded, 2000)), "blob_decoded_length");
}

#[test]
fn bytes_after_the_frame_are_refused() {
    let (blob, encoded) = encode(&[7; 1000]);
    // A frame with an empty one behind it: a decoder that only looks at its
    // output would not notice the second.
    let empty = zstd::bulk::compress(b"", 3).unwrap();
    for appended in [&encoded[..], &empty, b"x"] {
        let both = [&encoded, appended].concat();
        let blob = Blob {
            sha256: sha256_hex(&both),
            length: both.len() as u64,
            ..blob.clone()
        };
        assert_eq!(name(decode(&blob, &both, 5000)), "blob_trailing");
    }
}

#[test]
fn other_or_truncated_bytes_are_refused() {
    let (blob, mut encoded) = encode(b"content");
    assert_eq!(name(decode(&blob, &encoded[1..], 100)), "blob_length");
    encoded[0] ^= 1;
    assert_eq!(name(decode(&blob, &encoded, 100)), "blob_hash");
    let noise = b"no frame at all";
    let blob = Blob {
        sha256: sha256_hex(noise),
        length: noise.len() as u64,
        encoding: Encoding::Zstd,
        decoded_length: 20,
    };
    assert_eq!(name(decode(&blob, noise, 100)), "blob_undecodable");
}

#[test]
fn all_parts_together_are_capped() {
    let built = build_index(parts()).unwrap();
    let find = |sha256: &str| built.blobs.get(sha256).map(Vec::as_slice);
    let refusal = resolve_index(&built.index, find, 1000);
    assert_eq!(name(refusal), "content_too_long");
}

#[test]
fn a_part_that_does_not_parse_is_set_aside_and_the_rest_serves() {
    let mut parts = parts();
    parts.push(flow_part("flow-b", &[1]));
    parts.push(part(
        PartKind::Version,
        "flow-b:1",
        &json!({"blocks": "none"}),
    ));
    let content = content(parts).unwrap();
    assert_eq!(content.flows.len(), 2);
    assert_eq!(content.versions.len(), 2);
    assert_eq!(content.broken.len(), 1);
    assert_eq!(content.broken[0].0, "version:flow-b:1");
}

#[test]
fn a_broken_flow_takes_its_versions_with_it() {
    let mut parts = parts();
    parts.push(part(PartKind::Flow, "flow-b", &json!({"uid": 1})));
    parts.push(version_part("flow-b", 1));
    let content = content(parts).unwrap();
    assert_eq!(content.flows.len(), 1);
    assert!(content.versions.iter().all(|(_, v)| v.flow_uid == "flow-a"));
    assert_eq!(content.broken[0].0, "flow:flow-b");
}

#[test]
fn a_part_that_is_not_what_the_index_calls_it_is_set_aside() {
    let mut parts = parts();
    let (_, _, other) = flow_part("flow-b", &[]);
    parts.push((PartKind::Flow, "flow-c".to_owned(), other));
    let (_, _, twice) = flow_part("flow-d", &[1, 1]);
    parts.push((PartKind::Flow, "flow-d".to_owned(), twice));
    let doubled = br#"{"sha256":"","sha256":""}"#.to_vec();
    parts.push((PartKind::Key, sha256_hex(b"k"), doubled));
    let content = content(parts).unwrap();
    assert_eq!(content.broken.len(), 3);
    assert_eq!((content.flows.len(), content.keys.len()), (1, 1));
}

#[test]
fn flows_and_versions_must_name_each_other() {
    let listed = vec![settings_part(), flow_part("flow-a", &[1])];
    assert_eq!(name(content(listed)), "version_missing");
    let unlisted = vec![
        settings_part(),
        flow_part("flow-a", &[1]),
        version_part("flow-a", 1),
        version_part("flow-a", 2),
    ];
    assert_eq!(name(content(unlisted)), "version_unlisted");
    let orphan = vec![settings_part(), version_part("flow-a", 1)];
    assert_eq!(name(content(orphan)), "version_without_flow");
}

#[test]
fn settings_are_there_once_and_readable() {
    let none = vec![flow_part("flow-a", &[])];
    assert_eq!(name(content(none)), "settings_missing");
    let broken = vec![part(PartKind::Settings, "settings", &json!({}))];
    assert_eq!(name(content(broken)), "settings_malformed");
    let twice = vec![settings_part(), settings_part()];
    assert_eq!(name(build_index(twice)), "part_unsorted");
}

#[test]
fn more_keys_than_the_limit_are_refused() {
    let keys = (0..=crate::limits::KEYS_PER_ENVIRONMENT_MAX).map(|n| key_part(&n.to_string()));
    let parts = keys.chain([settings_part()]).collect();
    assert_eq!(name(content(parts)), "too_many_keys");
}

#[test]
fn ids_have_the_form_of_their_kind() {
    for (kind, id) in [
        (PartKind::Flow, ""),
        (PartKind::Version, "flow-a"),
        (PartKind::Version, "flow-a:01"),
        (PartKind::Version, "flow-a:+1"),
        (PartKind::Version, ":1"),
        (PartKind::Key, "abc"),
        (PartKind::Settings, "other"),
    ] {
        let refusal = build_index(vec![(kind, id.to_owned(), b"{}".to_vec())]);
        assert_eq!(name(refusal), "part_id", "{id:?}");
    }
}

#[test]
fn a_part_in_another_shard_is_refused() {
    let built = reshard(settings_part(), |_| "00".to_owned());
    assert_ne!(shard_name(&settings_part()), "00");
    assert_eq!(name(resolved(&built)), "part_wrong_shard");
}

#[test]
fn a_shard_has_one_name_and_is_never_empty() {
    let upper = reshard(settings_part(), |_| "0A".to_owned());
    assert_eq!(name(resolved(&upper)), "shard_name");
    let empty = reshard(settings_part(), |shard| {
        shard.parts.clear();
        "00".to_owned()
    });
    assert_eq!(name(resolved(&empty)), "shard_empty");
}

#[test]
fn a_part_listed_twice_is_refused() {
    let twice = reshard(settings_part(), |shard| {
        shard.parts.extend(shard.parts.clone());
        shard_name(&settings_part())
    });
    assert_eq!(name(resolved(&twice)), "part_unsorted");
}

#[test]
fn an_index_with_a_repeated_or_unknown_shape_is_refused() {
    for text in [&br#"{"shards":{},"shards":{}}"#[..], b"[]", b""] {
        let (blob, encoded) = encode(text);
        assert_eq!(name(index(&blob, &encoded)), "index_malformed");
    }
    let part = br#"{"parts":[{"kind":"spell","id":"x","sha256":"","length":0,"encoding":"identity","decoded_length":0}]}"#;
    let (blob, encoded) = encode(part);
    assert_eq!(name(shard(&blob, &encoded)), "index_malformed");
}

#[test]
fn an_address_that_is_no_hash_is_refused() {
    let blob = Blob {
        sha256: "../../etc/passwd".to_owned(),
        length: 1,
        encoding: Encoding::Identity,
        decoded_length: 1,
    };
    assert_eq!(name(decode(&blob, b"x", 10)), "blob_address");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Addressed rightly, so that the decoder and the reader are reached.
    #[test]
    fn damaged_shards_are_read_or_refused(
        at in any::<prop::sample::Index>(),
        to: u8,
        compressed: bool,
    ) {
        let entries = parts().into_iter().map(|(kind, id, bytes)| PartEntry {
            kind,
            id,
            blob: encode(&bytes).0,
        });
        let document = ShardDocument { parts: entries.collect() };
        let json = serde_json::to_vec(&document).unwrap();
        let (mut blob, mut encoded) = encode(&json);
        prop_assert_eq!(blob.encoding, Encoding::Zstd);
        if !compressed {
            blob.encoding = Encoding::Identity;
            encoded = json;
        }
        let at = at.index(encoded.len());
        encoded[at] = to;
        blob.sha256 = sha256_hex(&encoded);
        blob.length = encoded.len() as u64;
        if let Ok(shard) = shard(&blob, &encoded) {
            prop_assert_eq!(shard.parts.len(), document.parts.len());
        }
    }
}

//! Releases and control documents: mix-and-match, rollback, forks.

use super::*;
use crate::{
    limits::CLOCK_SKEW_MS_MAX,
    snapshot::{
        fixture::{key, public, reference},
        sha256_hex,
        wire::READER,
    },
};

#[test]
fn the_next_release_and_the_next_control_are_accepted() {
    let (mut world, mut trust) = accepted();
    world.advance();
    let pack = world.pack();
    accept(&mut trust, &pack);
    world.advance_control();
    let pack = world.pack();
    accept(&mut trust, &pack);
    let marks = trust.marks().unwrap();
    assert_eq!((marks.release_version, marks.control_version), (2, 2));
}

#[test]
fn documents_of_two_revisions_do_not_mix() {
    let (mut world, mut trust) = accepted();
    let old = world.pack();
    world.advance();
    world.control.version += 1;
    let new = world.pack();
    let mixed = Pack {
        release: old.release.clone(),
        ..new.clone()
    };
    // Of another length, because the new one names its predecessor.
    assert_eq!(refusal(&mut trust, &mixed), "wrong_length");
    let mixed = Pack {
        control: old.control,
        ..new
    };
    assert_eq!(refusal(&mut trust, &mixed), "wrong_hash");
}

#[test]
fn a_document_of_another_role_is_refused() {
    let mut world = World::new();
    let mut pack = world.pack();
    pack.release = pack.control.clone();
    world.timestamp.release = reference(1, &pack.release);
    pack.timestamp = world.timestamp_file();
    assert_eq!(refusal(&mut world.trust(), &pack), "wrong_payload_type");
}

#[test]
fn a_truncated_or_lengthened_file_is_refused_before_it_is_parsed() {
    let mut world = World::new();
    let mut pack = world.pack();
    pack.release.pop();
    assert_eq!(refusal(&mut world.trust(), &pack), "wrong_length");
    pack.release.extend_from_slice(b"  ");
    assert_eq!(refusal(&mut world.trust(), &pack), "wrong_length");
    pack.release.truncate(pack.release.len() - 2);
    pack.release.push(b' ');
    assert_eq!(refusal(&mut world.trust(), &pack), "wrong_hash");
}

#[test]
fn a_release_needs_as_many_signatures_as_the_root_says() {
    let mut world = World::new();
    let second = key(22);
    world.root.keys.extend(public([&second]));
    world.root.roles.release[0].keyids.push(second.id());
    world.root.roles.release[0].threshold = 2;
    let pack = world.pack();
    assert_eq!(refusal(&mut world.trust(), &pack), "below_threshold");
    // The timestamp's key is known to the root, but not in this role.
    world.release_keys.push(key(11));
    let pack = world.pack();
    assert_eq!(refusal(&mut world.trust(), &pack), "below_threshold");
    world.release_keys.push(second);
    let pack = world.pack();
    accept(&mut world.trust(), &pack);
}

#[test]
fn documents_are_bound_to_environment_uid_epoch_and_version() {
    type Change = fn(&mut World);
    let cases: [(Change, &str); 8] = [
        (|w| w.release.environment.push('x'), "wrong_environment"),
        (|w| w.control.environment.push('x'), "wrong_environment"),
        (
            |w| w.release.environment_uid.push('x'),
            "wrong_environment_uid",
        ),
        (
            |w| w.control.environment_uid.push('x'),
            "wrong_environment_uid",
        ),
        (|w| w.release.epoch = 1, "wrong_epoch"),
        (|w| w.control.epoch = 1, "wrong_epoch"),
        (|w| w.release.min_reader = READER + 1, "min_reader"),
        (
            |w| w.timestamp.environment_uid.clear(),
            "wrong_environment_uid",
        ),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let mut world = World::new();
        change(&mut world);
        let pack = world.pack();
        assert_eq!(
            refusal(&mut world.trust(), &pack),
            expected,
            "case {number}"
        );
    }
    let mut world = World::new();
    let mut pack = world.pack();
    world.timestamp.control.version = 2;
    pack.timestamp = world.timestamp_file();
    assert_eq!(refusal(&mut world.trust(), &pack), "wrong_version");
}

#[test]
fn an_older_release_under_a_newer_timestamp_is_refused() {
    let (mut world, mut trust) = accepted();
    let first = world.release.clone();
    world.advance();
    let pack = world.pack();
    accept(&mut trust, &pack);
    world.release = first;
    world.timestamp.serial += 1;
    world.timestamp.revision += 1;
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "version_rollback");
}

#[test]
fn an_older_control_cannot_bring_back_what_was_switched_off() {
    let (mut world, mut trust) = accepted();
    let first = world.control.clone();
    world.advance_control();
    world.control.disabled_flows.push("flow-a".to_owned());
    let pack = world.pack();
    accept(&mut trust, &pack);
    world.control = first;
    world.timestamp.serial += 1;
    world.timestamp.revision += 1;
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "version_rollback");
}

#[test]
fn an_equal_version_with_another_hash_is_refused() {
    let (mut world, mut trust) = accepted();
    world.advance();
    world.release.version -= 1;
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "version_reused");
    let (mut world, mut trust) = accepted();
    world.advance_control();
    world.control.version -= 1;
    world.control.created_ms -= 1;
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "version_reused");
}

#[test]
fn a_release_that_follows_another_history_raises_the_alarm() {
    let (mut world, mut trust) = accepted();
    world.advance();
    let honest = world.release.previous_sha256.clone();
    world.release.previous_sha256 = Some(sha256_hex(b"another history"));
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "fork");
    world.release.previous_sha256 = None;
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "fork");
    world.release.previous_sha256 = honest;
    let pack = world.pack();
    accept(&mut trust, &pack);
}

#[test]
fn an_edge_that_was_away_may_skip_releases() {
    let (mut world, mut trust) = accepted();
    world.advance();
    world.advance();
    let pack = world.pack();
    accept(&mut trust, &pack);
    assert_eq!(trust.marks().unwrap().release_version, 3);
}

#[test]
fn a_release_made_after_our_clock_is_a_clock_problem() {
    let mut world = World::new();
    world.release.created_ms = NOW + CLOCK_SKEW_MS_MAX + 1;
    let pack = world.pack();
    let mut trust = world.trust();
    assert_eq!(refusal(&mut trust, &pack), "clock_behind");
    let checked = verify_pack(&mut trust, &pack, NOW, Origin::Disk).unwrap();
    assert!(checked.clock_problem().unwrap().is_clock_problem());
}

#[test]
fn a_repeated_member_in_a_signed_document_is_refused() {
    let mut world = World::new();
    let mut pack = world.pack();
    let text = serde_json::to_string(&world.release).unwrap();
    let text = text.replacen('{', "{\"version\":7,", 1);
    let keys: Vec<_> = world.release_keys.iter().collect();
    pack.release = crate::snapshot::envelope::seal(Role::Release, text.as_bytes(), &keys);
    world.timestamp.release = reference(1, &pack.release);
    pack.timestamp = world.timestamp_file();
    assert_eq!(refusal(&mut world.trust(), &pack), "document_malformed");
}

#[test]
fn content_that_was_swapped_or_left_out_is_refused() {
    let mut world = World::new();
    let mut pack = world.pack();
    let index = world.release.index.sha256.clone();
    let other = pack.control.clone();
    pack.blobs.insert(index.clone(), other);
    assert_eq!(refusal(&mut world.trust(), &pack), "blob_length");
    pack.blobs.remove(&index);
    assert_eq!(refusal(&mut world.trust(), &pack), "blob_missing");
}

#[test]
fn a_later_good_update_works_after_a_refused_one() {
    let (mut world, mut trust) = accepted();
    world.advance();
    let good = world.pack();
    let bad = Pack {
        release: good.control.clone(),
        ..good.clone()
    };
    assert_eq!(refusal(&mut trust, &bad), "wrong_length");
    accept(&mut trust, &good);
}

#[test]
#[should_panic(expected = "checked under")]
fn a_release_is_never_accepted_under_a_timestamp_it_was_not_checked_under() {
    let mut world = World::new();
    let mut trust = world.trust();
    let pack = world.pack();
    let first = verify_pack(&mut trust, &pack, NOW, Origin::Fetched).unwrap();
    world.timestamp.serial += 1;
    let pack = world.pack();
    let second = verify_pack(&mut trust, &pack, NOW, Origin::Fetched).unwrap();
    trust.accept(&second.timestamp, &first.release, &second.control);
}

//! What is current: replay, freeze, epochs, clocks.

use super::*;
use crate::{
    limits::CLOCK_SKEW_MS_MAX,
    snapshot::fixture::{ENVIRONMENT_UID, key},
};

#[test]
fn the_first_revision_is_accepted_and_marked() {
    let (world, trust) = accepted();
    let marks = trust.marks().unwrap();
    assert_eq!(marks.environment_uid, ENVIRONMENT_UID);
    assert_eq!((marks.epoch, marks.revision, marks.serial), (0, 1, 1));
    assert_eq!(marks.release_sha256, world.timestamp.release.sha256);
    assert_eq!(marks.control_sha256, world.timestamp.control.sha256);
}

#[test]
fn the_timestamp_in_force_is_told_from_a_new_one() {
    let (mut world, trust) = accepted();
    let file = world.pack().timestamp;
    assert!(
        trust
            .timestamp(&file, NOW, Origin::Fetched)
            .unwrap()
            .is_none()
    );
    world.timestamp.serial += 1;
    let file = world.pack().timestamp;
    let checked = trust.timestamp(&file, NOW, Origin::Fetched).unwrap();
    assert_eq!(checked.unwrap().revision().to_string(), "0.1");
    // After a restart nothing is in force, and the mark's own content is new.
    let again = Trust::new(ENVIRONMENT, trust.root_file(), trust.marks().cloned()).unwrap();
    world.timestamp.serial -= 1;
    let file = world.pack().timestamp;
    assert!(
        again
            .timestamp(&file, NOW, Origin::Fetched)
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_timestamp_by_another_key_is_refused() {
    let mut world = World::new();
    world.timestamp_keys = vec![key(21)];
    let pack = world.pack();
    assert_eq!(refusal(&mut world.trust(), &pack), "below_threshold");
}

#[test]
fn a_replayed_older_timestamp_is_refused() {
    let (mut world, mut trust) = accepted();
    let old = world.pack();
    world.advance();
    let new = world.pack();
    accept(&mut trust, &new);
    assert_eq!(refusal(&mut trust, &old), "serial_rollback");
    // Also from our own disk.
    let refused = refusal_at(&mut trust, &old, NOW, Origin::Disk);
    assert_eq!(refused, "serial_rollback");
}

#[test]
fn a_newer_timestamp_of_an_older_state_is_refused() {
    let (mut world, mut trust) = accepted();
    world.advance();
    let new = world.pack();
    accept(&mut trust, &new);
    world.timestamp.serial += 1;
    world.timestamp.revision -= 1;
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "revision_rollback");
}

#[test]
fn an_equal_serial_with_other_content_is_refused() {
    let (mut world, mut trust) = accepted();
    world.timestamp.fresh_until_ms += 1;
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "serial_reused");
}

#[test]
fn an_equal_revision_with_another_release_is_refused() {
    let (mut world, mut trust) = accepted();
    world.advance();
    world.timestamp.revision -= 1;
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "revision_reused");
}

#[test]
fn a_renewed_timestamp_of_the_same_revision_is_accepted() {
    let (mut world, mut trust) = accepted();
    world.timestamp.serial += 1;
    world.timestamp.expires_ms += 1;
    world.timestamp.issued_ms += 1;
    let pack = world.pack();
    accept(&mut trust, &pack);
    assert_eq!(trust.marks().unwrap().serial, 2);
}

#[test]
fn a_timestamp_of_another_environment_is_refused() {
    let mut world = World::new();
    world.timestamp.environment = "development".to_owned();
    let pack = world.pack();
    assert_eq!(refusal(&mut world.trust(), &pack), "wrong_environment");
}

#[test]
fn an_environment_created_anew_under_the_same_name_is_refused() {
    let (mut world, mut trust) = accepted();
    world.advance();
    for uid in [
        &mut world.timestamp.environment_uid,
        &mut world.release.environment_uid,
        &mut world.control.environment_uid,
    ] {
        *uid = "env_02".to_owned();
    }
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "wrong_environment_uid");
}

#[test]
fn an_expired_timestamp_is_refused_when_fetched_and_serves_from_disk() {
    let mut world = World::new();
    let pack = world.pack();
    let later = world.timestamp.expires_ms + 1;
    let mut trust = world.trust();
    let refused = refusal_at(&mut trust, &pack, later, Origin::Fetched);
    assert_eq!(refused, "timestamp_expired");
    let checked = verify_pack(&mut trust, &pack, later, Origin::Disk).unwrap();
    assert!(checked.timestamp.document().fresh_until_ms < later);
    assert!(checked.clock_problem().is_none());
    let at_the_end = verify_pack(&mut trust, &pack, later - 1, Origin::Fetched);
    assert!(at_the_end.is_ok());
}

#[test]
fn a_timestamp_from_the_future_is_a_clock_problem() {
    let mut world = World::new();
    let pack = world.pack();
    let mut trust = world.trust();
    let tolerated = NOW - CLOCK_SKEW_MS_MAX;
    assert!(verify_pack(&mut trust, &pack, tolerated, Origin::Fetched).is_ok());
    let behind = tolerated - 1;
    let error = trust
        .timestamp(&pack.timestamp, behind, Origin::Fetched)
        .unwrap_err();
    assert_eq!(error.name(), "issued_in_future");
    assert!(error.is_clock_problem());
    // From disk it serves, and says so.
    let checked = verify_pack(&mut trust, &pack, behind, Origin::Disk).unwrap();
    assert_eq!(checked.clock_problem(), Some(&error));
}

#[test]
fn a_timestamp_that_lives_longer_than_the_root_allows_is_refused() {
    let mut world = World::new();
    world.timestamp.expires_ms = NOW + world.root.timestamp_life_ms_max + 1;
    let pack = world.pack();
    assert_eq!(refusal(&mut world.trust(), &pack), "life_too_long");
}

#[test]
fn times_out_of_order_are_refused() {
    let mut world = World::new();
    world.timestamp.fresh_until_ms = world.timestamp.expires_ms + 1;
    let pack = world.pack();
    assert_eq!(refusal(&mut world.trust(), &pack), "times_disordered");
    world.timestamp.fresh_until_ms = NOW;
    world.timestamp.expires_ms = NOW - 1;
    let pack = world.pack();
    assert_eq!(refusal(&mut world.trust(), &pack), "times_disordered");
}

fn raise_epoch(world: &mut World) -> Vec<u8> {
    world.root.version += 1;
    world.root.epochs.insert(ENVIRONMENT_UID.to_owned(), 1);
    world.timestamp.epoch = 1;
    world.release.epoch = 1;
    world.control.epoch = 1;
    world.root_file()
}

#[test]
fn an_epoch_that_the_root_does_not_name_is_refused() {
    let (mut world, mut trust) = accepted();
    world.advance();
    raise_epoch(&mut world);
    let pack = world.pack();
    assert_eq!(refusal(&mut trust, &pack), "wrong_epoch");
}

#[test]
fn a_raised_epoch_lets_counters_start_again() {
    let (mut world, mut trust) = accepted();
    // A store that lost its mind, or its key: counters far ahead.
    world.timestamp.serial = u64::MAX;
    world.timestamp.revision = u64::MAX;
    let ahead = world.pack();
    accept(&mut trust, &ahead);
    let root = raise_epoch(&mut world);
    world.timestamp.serial = 1;
    world.timestamp.revision = 1;
    let pack = world.pack();
    trust.step_root(&root).unwrap();
    accept(&mut trust, &pack);
    let marks = trust.marks().unwrap();
    assert_eq!((marks.epoch, marks.serial, marks.revision), (1, 1, 1));
    // What was valid in the old epoch is not any more.
    assert_eq!(refusal(&mut trust, &ahead), "wrong_epoch");
}

#[test]
fn a_root_that_lowers_the_epoch_opens_no_way_back() {
    let (mut world, mut trust) = accepted();
    let root = raise_epoch(&mut world);
    trust.step_root(&root).unwrap();
    let pack = world.pack();
    accept(&mut trust, &pack);
    let mut old = World::new();
    old.root.version = 3;
    trust.step_root(&old.root_file()).unwrap();
    let pack = old.pack();
    assert_eq!(refusal(&mut trust, &pack), "epoch_rollback");
}

#[test]
fn the_previous_pack_serves_as_a_fallback_and_lowers_no_mark() {
    let (mut world, mut trust) = accepted();
    let previous = world.pack();
    world.advance();
    let current = world.pack();
    accept(&mut trust, &current);
    let marks = trust.marks().cloned();
    let mut again = Trust::new(ENVIRONMENT, trust.root_file(), marks.clone()).unwrap();
    let checked = verify_pack(&mut again, &previous, NOW, Origin::Fallback).unwrap();
    again.accept(&checked.timestamp, &checked.release, &checked.control);
    assert_eq!(again.marks(), marks.as_ref());
    // Upstream's copy of the damaged one is new again.
    accept(&mut again, &current);
    assert_eq!(again.marks(), marks.as_ref());
}

#[test]
fn a_reference_that_no_file_can_meet_is_refused() {
    let mut world = World::new();
    let mut pack = world.pack();
    world.timestamp.release.sha256 = "../release".to_owned();
    pack.timestamp = world.timestamp_file();
    assert_eq!(refusal(&mut world.trust(), &pack), "reference_malformed");
    world.pack();
    world.timestamp.control.length = u64::MAX;
    pack.timestamp = world.timestamp_file();
    assert_eq!(refusal(&mut world.trust(), &pack), "reference_malformed");
}

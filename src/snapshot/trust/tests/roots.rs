//! Who may sign: roots, their succession, their rules.

use super::*;
use crate::{
    limits::TIMESTAMP_LIFE_MS_MAX,
    snapshot::{
        envelope::{SigningKey, seal},
        fixture::{file, ids, key, public, rule},
    },
};

fn root_refusal(world: &World) -> &'static str {
    Trust::new(ENVIRONMENT, &world.root_file(), None)
        .unwrap_err()
        .name()
}

/// The next root, with these root keys, signed by those.
fn next_root(world: &mut World, keys: &[u8], threshold: u32, signed_by: &[u8]) -> Vec<u8> {
    let keys: Vec<SigningKey> = keys.iter().map(|n| key(*n)).collect();
    let signed_by: Vec<SigningKey> = signed_by.iter().map(|n| key(*n)).collect();
    world.root.version += 1;
    world.root.keys.extend(public(&keys));
    world.root.roles.root.keyids = ids(&keys);
    world.root.roles.root.threshold = threshold;
    file(Role::Root, &world.root, &signed_by)
}

#[test]
fn a_trust_root_that_does_not_sign_itself_is_refused() {
    let mut world = World::new();
    world.root_keys = vec![key(99)];
    assert_eq!(root_refusal(&world), "below_threshold");
}

#[test]
fn a_rotated_root_needs_the_threshold_of_both() {
    let mut world = World::new();
    let mut trust = world.trust();
    let only_old = next_root(&mut world, &[2, 3], 2, &[1]);
    assert_eq!(
        trust.step_root(&only_old).unwrap_err().name(),
        "below_threshold"
    );
    world.root.version -= 1;
    let only_new = next_root(&mut world, &[2, 3], 2, &[2, 3]);
    assert_eq!(
        trust.step_root(&only_new).unwrap_err().name(),
        "below_threshold"
    );
    world.root.version -= 1;
    let half_of_new = next_root(&mut world, &[2, 3], 2, &[1, 2]);
    assert_eq!(
        trust.step_root(&half_of_new).unwrap_err().name(),
        "below_threshold"
    );
    assert_eq!(trust.root().version, 1);
    world.root.version -= 1;
    let both = next_root(&mut world, &[2, 3], 2, &[1, 2, 3]);
    trust.step_root(&both).unwrap();
    assert_eq!(trust.root().version, 2);
    assert_eq!(trust.root_file(), both);
    // From now on the old key means nothing.
    let old = next_root(&mut world, &[1], 1, &[1]);
    assert_eq!(trust.step_root(&old).unwrap_err().name(), "below_threshold");
}

#[test]
fn a_root_version_is_never_skipped_nor_repeated() {
    let mut world = World::new();
    let mut trust = world.trust();
    let same = world.root_file();
    assert_eq!(trust.step_root(&same).unwrap_err().name(), "root_version");
    let second = next_root(&mut world, &[1], 1, &[1]);
    let third = next_root(&mut world, &[1], 1, &[1]);
    assert_eq!(trust.step_root(&third).unwrap_err().name(), "root_version");
    trust.step_root(&second).unwrap();
    trust.step_root(&third).unwrap();
    assert_eq!(trust.root().version, 3);
}

#[test]
fn one_trust_root_leads_to_a_bounded_number_of_roots() {
    let mut world = World::new();
    let mut trust = world.trust();
    for _ in 0..ROOT_STEPS_MAX {
        trust
            .step_root(&next_root(&mut world, &[1], 1, &[1]))
            .unwrap();
    }
    let one_more = next_root(&mut world, &[1], 1, &[1]);
    assert_eq!(trust.step_root(&one_more).unwrap_err().name(), "root_steps");
}

#[test]
fn a_pack_carries_the_chain_from_the_configured_root() {
    let mut world = World::new();
    let configured = world.root_file();
    let mut trust = world.trust();
    let mut pack = world.pack();
    trust
        .step_root(&next_root(&mut world, &[2], 1, &[1, 2]))
        .unwrap();
    trust
        .step_root(&next_root(&mut world, &[3], 1, &[2, 3]))
        .unwrap();
    pack.roots = trust.root_chain().to_vec();
    assert_eq!(pack.roots.len(), 2);
    let newest = pack.roots[1].clone();

    let mut again = Trust::new(ENVIRONMENT, &configured, None).unwrap();
    accept(&mut again, &pack);
    assert_eq!(again.root().version, 3);
    assert_eq!(again.marks().unwrap().root_version, 3);

    // An operator who configures a newer root than the pack's first ones.
    let mut newer = Trust::new(ENVIRONMENT, &newest, None).unwrap();
    accept(&mut newer, &pack);
    assert!(newer.root_chain().is_empty());

    // A chain with a gap leads nowhere.
    pack.roots.remove(0);
    let mut gap = Trust::new(ENVIRONMENT, &configured, None).unwrap();
    assert_eq!(refusal(&mut gap, &pack), "below_threshold");
}

#[test]
fn what_a_newer_root_accepted_is_not_judged_by_an_older_one() {
    let mut world = World::new();
    let configured = world.root_file();
    let mut trust = world.trust();
    trust
        .step_root(&next_root(&mut world, &[1], 1, &[1]))
        .unwrap();
    let pack = world.pack();
    accept(&mut trust, &pack);
    let marks = trust.marks().cloned();
    let mut back = Trust::new(ENVIRONMENT, &configured, marks).unwrap();
    assert_eq!(refusal(&mut back, &pack), "root_rollback");
}

#[test]
fn under_an_expired_root_nothing_new_is_accepted_and_the_old_serves() {
    let (mut world, mut trust) = accepted();
    let old = world.pack();
    let later = world.root.expires_ms + 1;
    world.advance();
    world.timestamp.issued_ms = later;
    world.timestamp.fresh_until_ms = later + HOUR;
    world.timestamp.expires_ms = later + HOUR;
    let new = world.pack();
    assert_eq!(
        refusal_at(&mut trust, &new, later, Origin::Fetched),
        "root_expired"
    );
    assert!(verify_pack(&mut trust, &old, later, Origin::Disk).is_ok());
    // A new root mends it.
    world.root.expires_ms = later + 1000 * HOUR;
    trust
        .step_root(&next_root(&mut world, &[1], 1, &[1]))
        .unwrap();
    assert!(verify_pack(&mut trust, &new, later, Origin::Fetched).is_ok());
}

#[test]
fn a_key_that_the_new_root_dropped_signs_nothing_more() {
    let (mut world, mut trust) = accepted();
    let successor = vec![key(12)];
    world.root.keys.extend(public(&successor));
    world.root.roles.timestamp = vec![rule("*", &successor)];
    trust
        .step_root(&next_root(&mut world, &[1], 1, &[1]))
        .unwrap();
    world.advance();
    let stolen = world.pack();
    assert_eq!(refusal(&mut trust, &stolen), "below_threshold");
    world.timestamp_keys = successor;
    let pack = world.pack();
    accept(&mut trust, &pack);
}

#[test]
fn an_exact_rule_beats_a_pattern() {
    let mut world = World::new();
    let own = vec![key(22)];
    world.root.keys.extend(public(&own));
    world.root.roles.release.push(rule(ENVIRONMENT, &own));
    let mut trust = world.trust();
    let by_pattern = world.pack();
    assert_eq!(refusal(&mut trust, &by_pattern), "below_threshold");
    world.release_keys = own;
    let by_name = world.pack();
    accept(&mut trust, &by_name);
}

#[test]
fn two_patterns_that_both_apply_are_an_error() {
    let mut world = World::new();
    let keys = vec![key(21)];
    world.root.roles.release.push(rule("prod*", &keys));
    let pack = world.pack();
    assert_eq!(refusal(&mut world.trust(), &pack), "ambiguous_rule");
    // Two exact rules are no better than two patterns.
    world.root.roles.release = vec![rule(ENVIRONMENT, &keys), rule(ENVIRONMENT, &keys)];
    assert_eq!(refusal(&mut world.trust(), &pack), "ambiguous_rule");
}

#[test]
fn an_environment_without_a_rule_accepts_nothing() {
    let mut world = World::new();
    world.root.roles.control[0].environment = "dev*".to_owned();
    let pack = world.pack();
    assert_eq!(refusal(&mut world.trust(), &pack), "no_rule");
}

#[test]
fn a_root_that_contradicts_itself_is_refused() {
    let changes: [fn(&mut World); 9] = [
        |w| w.root.version = 0,
        |w| w.root.timestamp_life_ms_max = 0,
        |w| w.root.timestamp_life_ms_max = TIMESTAMP_LIFE_MS_MAX + 1,
        |w| w.root.roles.root.threshold = 0,
        |w| w.root.roles.release[0].threshold = 2,
        |w| w.root.roles.timestamp[0].keyids.push(key(11).id()),
        |w| w.root.roles.control[0].keyids.push(key(77).id()),
        |w| w.root.roles.control[0].environment.clear(),
        |w| {
            w.root.keys.insert(key(5).id(), key(6).public_base64());
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut world = World::new();
        change(&mut world);
        assert_eq!(root_refusal(&world), "root_invalid", "change {number}");
    }
}

#[test]
fn unknown_roles_and_repeated_members_of_a_root_are_refused() {
    let world = World::new();
    let text = serde_json::to_string(&world.root).unwrap();
    for (from, to) in [
        ("\"roles\":{", "\"roles\":{\"mirror\":[],"),
        ("\"version\":1", "\"version\":1,\"version\":1"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let file = seal(Role::Root, changed.as_bytes(), &[&world.root_keys[0]]);
        let refusal = Trust::new(ENVIRONMENT, &file, None).unwrap_err();
        assert_eq!(refusal.name(), "document_malformed");
    }
}

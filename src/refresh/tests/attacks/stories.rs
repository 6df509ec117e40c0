//! What does an operator live through, and how does it end well?
//!
//! Rotation, revocation, a threshold, a root that expires, an online key that
//! was stolen and pushed the marks out of reach, a store restored from its
//! backup. `docs/trust.md` tells the same stories from the outside.

use super::scene::{Ground, Lie, Scene, next_root};
use crate::{
    refresh::Refreshed,
    snapshot::envelope::Role,
    snapshot::fixture::{ENVIRONMENT_UID, HOUR, World, file, ids, key, public},
};

impl Scene {
    /// Tells this and asks once: how it ended.
    async fn told(&mut self, tell: impl FnOnce(&mut Lie)) -> Result<Refreshed, &'static str> {
        let lie = self.lie(tell);
        self.serve(lie);
        self.step().await.map_err(|error| error.name())
    }
}

/// The next root, under which the root key and the release key are others.
fn rotated(world: &mut World) -> Vec<u8> {
    let (root_key, release_key) = (key(2), key(23));
    world.root.version += 1;
    world.root.keys.extend(public([&root_key, &release_key]));
    world.root.roles.root.keyids = ids(std::slice::from_ref(&root_key));
    world.root.roles.release[0].keyids = vec![release_key.id()];
    world.release_keys = vec![release_key];
    let root = file(Role::Root, &world.root, &[key(1), key(2)]);
    world.root_keys = vec![root_key];
    root
}

#[tokio::test]
async fn a_rotation_is_followed_and_what_it_took_away_signs_nothing() {
    let mut scene = Scene::set(Ground::Plain).await;
    let published = scene
        .told(|lie| {
            let root = rotated(&mut lie.world);
            lie.root(root);
            lie.reseal();
        })
        .await;
    assert!(
        matches!(published, Ok(Refreshed::Published(_))),
        "{published:?}"
    );
    assert_eq!(scene.marks().root_version, 2);
    // The release key of before, and the root key of before.
    let old_release = scene
        .told(|lie| {
            let root = rotated(&mut lie.world);
            lie.root(root);
            lie.world.advance();
            lie.world.release_keys = vec![key(21)];
            lie.reseal();
        })
        .await;
    assert_eq!(old_release, Err("below_threshold"));
    let old_root = scene
        .told(|lie| {
            let root = rotated(&mut lie.world);
            lie.root(root);
            lie.world.root_keys = vec![key(1)];
            let root = next_root(&mut lie.world);
            lie.root(root);
        })
        .await;
    assert_eq!(old_root, Err("below_threshold"));
    assert_eq!(scene.serves(), Some(3));
}

#[tokio::test]
async fn a_chain_of_rotations_is_walked_at_once_and_from_disk() {
    let mut scene = Scene::set(Ground::Plain).await;
    let long = |lie: &mut Lie| {
        let root = rotated(&mut lie.world);
        lie.root(root);
        for _ in 0..20 {
            let root = next_root(&mut lie.world);
            lie.root(root);
        }
        lie.reseal();
    };
    assert!(scene.told(long).await.is_ok());
    assert_eq!(scene.marks().root_version, 22);
    let restarted = scene.planted(scene.lie(long));
    assert_eq!((restarted.problem, restarted.serves()), (None, Some(3)));
}

#[tokio::test]
async fn a_revoked_online_key_signs_nothing_more() {
    let mut scene = Scene::set(Ground::Plain).await;
    let revoke = |lie: &mut Lie| {
        let taken_away = std::mem::replace(&mut lie.world.timestamp_keys, vec![key(12)]);
        lie.world.root.keys.extend(public([&key(12)]));
        lie.world.root.roles.timestamp[0].keyids = ids(&lie.world.timestamp_keys);
        let root = next_root(&mut lie.world);
        lie.root(root);
        taken_away
    };
    let by_thief = scene
        .told(|lie| {
            lie.world.timestamp_keys = revoke(lie);
            lie.reseal();
        })
        .await;
    assert_eq!(by_thief, Err("below_threshold"));
    let by_store = scene
        .told(|lie| {
            revoke(lie);
            lie.reseal();
        })
        .await;
    assert!(
        matches!(by_store, Ok(Refreshed::Published(_))),
        "{by_store:?}"
    );
}

#[tokio::test]
async fn a_stolen_online_key_runs_ahead_until_the_epoch_is_raised() {
    let mut scene = Scene::set(Ground::Plain).await;
    // Whoever holds the online key can say that the marks are at their end,
    // and nothing honest is newer than that.
    let ahead = scene
        .told(|lie| {
            lie.world.timestamp.serial = u64::MAX;
            lie.world.timestamp.revision = u64::MAX;
            lie.reseal();
        })
        .await;
    assert!(matches!(ahead, Ok(Refreshed::Published(_))), "{ahead:?}");
    let honest = scene
        .told(|lie| {
            lie.world.advance();
            lie.reseal();
        })
        .await;
    assert_eq!(honest, Err("serial_rollback"));
    let raise = |lie: &mut Lie| {
        lie.world.root.epochs.insert(ENVIRONMENT_UID.to_owned(), 1);
        lie.world.timestamp_keys = vec![key(12)];
        lie.world.root.keys.extend(public([&key(12)]));
        lie.world.root.roles.timestamp[0].keyids = ids(&lie.world.timestamp_keys);
        let root = next_root(&mut lie.world);
        lie.root(root);
        for epoch in [
            &mut lie.world.timestamp.epoch,
            &mut lie.world.release.epoch,
            &mut lie.world.control.epoch,
        ] {
            *epoch = 1;
        }
        lie.reseal();
    };
    let raised = scene.told(raise).await;
    assert!(matches!(raised, Ok(Refreshed::Published(_))), "{raised:?}");
    let marks = scene.marks();
    assert_eq!((marks.epoch, marks.serial, marks.revision), (1, 3, 3));
    // And no root that lowers it again opens a way back.
    let lowered = scene
        .told(|lie| {
            raise(lie);
            lie.world.root.epochs.clear();
            let root = next_root(&mut lie.world);
            lie.root(root);
            for epoch in [
                &mut lie.world.timestamp.epoch,
                &mut lie.world.release.epoch,
                &mut lie.world.control.epoch,
            ] {
                *epoch = 0;
            }
            lie.world.timestamp.serial = u64::MAX;
            lie.reseal();
        })
        .await;
    assert_eq!(lowered, Err("epoch_rollback"));
    assert_eq!(scene.serves(), Some(3));
}

#[tokio::test]
async fn a_threshold_of_two_begins_with_the_root_that_names_it() {
    let mut scene = Scene::set(Ground::Plain).await;
    let two = |lie: &mut Lie| {
        lie.world.root.keys.extend(public([&key(22)]));
        let rule = &mut lie.world.root.roles.release[0];
        rule.keyids.push(key(22).id());
        rule.threshold = 2;
        let root = next_root(&mut lie.world);
        lie.root(root);
    };
    let one_signs = scene
        .told(|lie| {
            two(lie);
            lie.reseal();
        })
        .await;
    assert_eq!(one_signs, Err("below_threshold"));
    let both_sign = scene
        .told(|lie| {
            two(lie);
            lie.world.release_keys.push(key(22));
            lie.reseal();
        })
        .await;
    assert!(
        matches!(both_sign, Ok(Refreshed::Published(_))),
        "{both_sign:?}"
    );
    // A kill switch does not wait for the second key: its release has both
    // signatures already.
    let switched_off = scene
        .told(|lie| {
            two(lie);
            lie.world.release_keys.push(key(22));
            lie.world.advance_control();
            lie.world.control.disabled_flows.push("flow-a".to_owned());
            lie.reseal();
        })
        .await;
    assert!(
        matches!(switched_off, Ok(Refreshed::Published(_))),
        "{switched_off:?}"
    );
    assert_eq!(scene.marks().control_version, 4);
}

#[tokio::test]
async fn a_release_that_both_have_signed_outlives_the_root_that_asks_for_two() {
    let mut scene = Scene::set(Ground::Plain).await;
    let signed = |lie: &mut Lie| {
        lie.world.release_keys.push(key(22));
        lie.reseal();
    };
    let before = scene.told(signed).await;
    assert!(matches!(before, Ok(Refreshed::Published(_))), "{before:?}");
    let after = scene
        .told(|lie| {
            lie.world.root.keys.extend(public([&key(22)]));
            let rule = &mut lie.world.root.roles.release[0];
            rule.keyids.push(key(22).id());
            rule.threshold = 2;
            let root = next_root(&mut lie.world);
            lie.root(root);
            lie.world.timestamp.serial += 1;
            signed(lie);
        })
        .await;
    assert_eq!(after, Ok(Refreshed::Fresher));
}

#[tokio::test]
async fn under_an_expired_root_the_last_good_one_serves_until_a_new_root_comes() {
    let mut scene = Scene::set(Ground::Plain).await;
    let later = |lie: &mut Lie| {
        lie.now = lie.world.root.expires_ms + 1;
        lie.world.timestamp.issued_ms = lie.now;
        lie.world.timestamp.fresh_until_ms = lie.now + HOUR;
        lie.world.timestamp.expires_ms = lie.now + 2 * HOUR;
        lie.reseal();
    };
    assert_eq!(scene.told(later).await, Err("root_expired"));
    assert_eq!(scene.serves(), Some(2));
    assert!(scene.is_marked());
    // A restart changes nothing about it.
    let restarted = scene.planted(scene.lie(|lie| {
        lie.pack = lie.second.clone();
        lie.now = lie.world.root.expires_ms + 1;
    }));
    assert_eq!((restarted.problem, restarted.serves()), (None, Some(2)));
    assert!(restarted.is_marked());
    let renewed = scene
        .told(|lie| {
            later(lie);
            lie.world.root.expires_ms += 1_000 * HOUR;
            let root = next_root(&mut lie.world);
            lie.root(root);
        })
        .await;
    assert!(
        matches!(renewed, Ok(Refreshed::Published(_))),
        "{renewed:?}"
    );
}

#[tokio::test]
async fn a_restored_store_is_believed_again_in_a_raised_epoch() {
    let mut scene = Scene::set(Ground::Plain).await;
    // It remembers the first revision only, and goes on from there.
    let restored = |lie: &mut Lie| {
        let (first, _) = Ground::Plain.revision(1);
        let root = std::mem::replace(&mut lie.world, first).root;
        lie.world.root = root;
        lie.reseal();
    };
    assert_eq!(scene.told(restored).await, Err("serial_rollback"));
    // Counting up to where it was does not help: it is another history.
    let caught_up = scene
        .told(|lie| {
            restored(lie);
            lie.world.timestamp.serial = 3;
            lie.world.timestamp.revision = 2;
            lie.reseal();
        })
        .await;
    assert_eq!(caught_up, Err("revision_reused"));
    assert_eq!(scene.serves(), Some(2));
    let raised = scene
        .told(|lie| {
            restored(lie);
            lie.world.root.epochs.insert(ENVIRONMENT_UID.to_owned(), 1);
            let root = next_root(&mut lie.world);
            lie.root(root);
            for epoch in [
                &mut lie.world.timestamp.epoch,
                &mut lie.world.release.epoch,
                &mut lie.world.control.epoch,
            ] {
                *epoch = 1;
            }
            lie.reseal();
        })
        .await;
    assert!(matches!(raised, Ok(Refreshed::Published(_))), "{raised:?}");
    assert_eq!(scene.serves(), Some(1));
}

#[tokio::test]
async fn a_source_that_leaves_parts_out_is_not_asked_for_ever() {
    let mut scene = Scene::set(Ground::Plain).await;
    // Before, the same question was put again and again within one attempt.
    let silent = scene.told(|lie| lie.pack.blobs.clear()).await;
    assert_eq!(silent, Err("blob_missing"));
    assert_eq!(scene.serves(), Some(2));
}

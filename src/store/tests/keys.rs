//! Keys from their making to their end, as edges see them.

use super::*;
use crate::snapshot::{sha256, wire::KeyKind};

#[test]
fn a_revoked_key_leaves_the_release_and_stays_in_control() {
    let house = House::new();
    let store = house.open();
    let key_name = name(StoredKeyKind::Blocks, "production", "web");
    let made = store.create_key(&key_name, &[]).unwrap();
    assert!(made.key.starts_with("blocks-production-"), "{}", made.key);
    store.publish().unwrap();
    let mut trust = trust(&store, "production");
    let snapshot = pull(&store, "production", &mut trust);
    assert_eq!(snapshot.keys[0].sha256, sha256(made.key.as_bytes()));
    assert_eq!(snapshot.keys[0].kind, KeyKind::Blocks);
    house.wait(1_000);
    store.revoke_key(&key_name, None).unwrap();
    let revisions = store.publish().unwrap();
    assert_eq!(revisions.len(), 1, "one revision in one environment");
    assert!(pull(&store, "production", &mut trust).keys.is_empty());
    let current = store.watch("production").unwrap().borrow().clone();
    let revoked = &current.publication.control_content.revoked_keys;
    assert_eq!(*revoked, [sha256_hex(made.key.as_bytes())]);
    assert!(store.authenticate(&made.key).is_none());
}

#[test]
fn edge_and_admin_keys_never_enter_a_snapshot() {
    let house = House::new();
    let store = house.open();
    let edge = store
        .create_key(&name(StoredKeyKind::Edge, "production", "edge"), &[])
        .unwrap();
    let admin = KeyName {
        kind: StoredKeyKind::Admin,
        environment: None,
        name: "me".to_owned(),
    };
    let admin = store.create_key(&admin, &[]).unwrap();
    assert_eq!(store.publish().unwrap(), BTreeMap::new());
    assert!(store.authenticate(&edge.key).is_some());
    assert!(store.authenticate(&admin.key).is_some());
    assert!(store.authenticate("edge-production-nope").is_none());
}

#[test]
fn a_rotation_overlaps_until_its_time_and_ends_by_itself() {
    let house = House::new();
    let store = house.open();
    let key_name = name(StoredKeyKind::Server, "production", "back");
    let old = store.create_key(&key_name, &[]).unwrap();
    let until = START + 10_000;
    let new = store.rotate_key(&key_name, Some(until)).unwrap();
    assert_ne!(old.key, new.key);
    assert!(store.authenticate(&old.key).is_some());
    assert!(store.authenticate(&new.key).is_some());
    store.publish().unwrap();
    house.wait(10_000);
    assert!(store.authenticate(&old.key).is_none());
    store.refresh_timestamps(until).unwrap();
    let snapshot = pull(&store, "production", &mut trust(&store, "production"));
    assert_eq!(snapshot.keys.len(), 1);
    assert_eq!(snapshot.keys[0].sha256, sha256(new.key.as_bytes()));
}

#[test]
fn one_secret_of_a_name_is_revoked_by_its_last_characters() {
    let house = House::new();
    let store = house.open();
    let key_name = name(StoredKeyKind::Server, "production", "back");
    let old = store.create_key(&key_name, &[]).unwrap();
    let new = store.rotate_key(&key_name, None).unwrap();
    let ended = store
        .revoke_key(&key_name, Some(&old.listing.last))
        .unwrap();
    assert_eq!(ended.len(), 1);
    assert!(store.authenticate(&old.key).is_none());
    assert!(store.authenticate(&new.key).is_some());
    let listed = serde_json::to_string(&store.keys(None).unwrap()).unwrap();
    assert!(!listed.contains(&new.key) && !listed.contains(&sha256_hex(new.key.as_bytes())));
    assert!(matches!(
        store.revoke_key(&key_name, Some("nosuch")),
        Err(StoreError::Key(KeyError::Unknown { .. }))
    ));
}

#[test]
fn a_key_name_with_control_characters_is_refused() {
    let store = House::new().open();
    for text in ["a\nb", "\u{1b}[31mred", "\u{85}", "\0"] {
        let made = store.create_key(&name(StoredKeyKind::Server, "production", text), &[]);
        assert!(
            matches!(made, Err(StoreError::Key(KeyError::NameControl(_)))),
            "{text:?}"
        );
    }
}

#[test]
fn a_later_rotation_gives_no_secret_back_the_time_that_an_earlier_one_took() {
    let house = House::new();
    let store = house.open();
    let key_name = name(StoredKeyKind::Server, "production", "back");
    store.create_key(&key_name, &[]).unwrap();
    store.rotate_key(&key_name, Some(START + 10)).unwrap();
    store.rotate_key(&key_name, Some(START + 1_000)).unwrap();
    let ends: Vec<_> = store
        .workspace()
        .keys
        .iter()
        .map(|own| own.expires_ms)
        .collect();
    assert_eq!(ends, [Some(START + 10), Some(START + 1_000), None]);
}

#[test]
fn the_last_key_that_may_do_everything_is_not_revoked() {
    let house = House::new();
    let store = house.open();
    let named = |name: &str| KeyName {
        kind: StoredKeyKind::Admin,
        environment: None,
        name: name.to_owned(),
    };
    assert!(!store.has_administrator());
    store.create_key(&named("first"), &[]).unwrap();
    let viewer = KeyTerms {
        role: Some(crate::store::Role::Viewer),
        ..KeyTerms::default()
    };
    store
        .create_key_on(&named("viewer"), &viewer, None)
        .unwrap();
    let refused = store.revoke_key(&named("first"), None).unwrap_err();
    assert!(
        refused.to_string().contains("last of role admin"),
        "{refused}"
    );
    store.revoke_key(&named("viewer"), None).unwrap();
    store.create_key(&named("second"), &[]).unwrap();
    store.revoke_key(&named("first"), None).unwrap();
    assert!(store.has_administrator());
    assert!(store.revoke_key(&named("second"), None).is_err());
}

//! What can a root do that contradicts itself?
//!
//! Each is signed by the root key there is: a mistake at the ceremony, or a
//! thief in it. A root that is refused changes nothing, not even which root
//! comes next.

use super::{
    Aim::KeyCompromise,
    Attack, Lie, Tell,
    scene::{encoded, next_root, sign_payload},
};
use crate::snapshot::{
    envelope::Role,
    fixture::{ids, key, public, rule},
    wire::RootDocument,
};

pub(super) const ATTACKS: &[Attack] = &[
    root("a root with a key of small order", "root_invalid", |root| {
        // The neutral element, under the id derived from it.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut id = crate::snapshot::sha256_hex(&neutral);
        id.truncate(16);
        root.roles.timestamp[0].keyids = vec![id.clone()];
        root.keys.insert(id, encoded(&neutral));
    }),
    root(
        "a root with one key under two ids",
        "root_invalid",
        |root| {
            let second = key(22).id();
            root.keys.insert(second.clone(), key(21).public_base64());
            root.roles.release[0].keyids.push(second);
            root.roles.release[0].threshold = 2;
        },
    ),
    root("a root that lists a key twice", "root_invalid", |root| {
        let rule = &mut root.roles.release[0];
        rule.keyids.push(rule.keyids[0].clone());
        rule.threshold = 2;
    }),
    root(
        "a root with a threshold of nobody",
        "root_invalid",
        |root| {
            root.roles.release[0].threshold = 0;
        },
    ),
    root(
        "a root with a threshold out of reach",
        "root_invalid",
        |root| {
            root.roles.release[0].threshold = 2;
        },
    ),
    root(
        "a root that names a key it does not hold",
        "root_invalid",
        |root| {
            root.roles.control[0].keyids = vec![key(77).id()];
        },
    ),
    root("a root with half a key", "root_invalid", |root| {
        root.keys.insert(key(77).id(), encoded(&[7; 16]));
    }),
    root("a root for a pattern of nothing", "root_invalid", |root| {
        root.roles.timestamp[0].environment.clear();
    }),
    root(
        "a root under which timestamps live for ever",
        "root_invalid",
        |root| {
            root.timestamp_life_ms_max = u64::MAX;
        },
    ),
    root(
        "a root that new keys alone have signed",
        "below_threshold",
        |root| {
            // Signed by the old key below, which is not among the new ones.
            root.keys.extend(public([&key(2)]));
            root.roles.root.keyids = ids(&[key(2)]);
        },
    ),
    told(
        "a root that old keys alone have not signed",
        "below_threshold",
        |lie| {
            lie.world.root.keys.extend(public([&key(2)]));
            lie.world.root.roles.root.keyids = ids(&[key(2)]);
            lie.world.root_keys = vec![key(2)];
            let root = next_root(&mut lie.world);
            lie.root(root);
        },
    ),
    told(
        "a root with a role nobody knows",
        "document_malformed",
        |lie| written(lie, "\"roles\":{", "\"roles\":{\"mirror\":[],"),
    ),
    told("a root with a role twice", "document_malformed", |lie| {
        written(lie, "\"roles\":{", "\"roles\":{\"release\":[],")
    }),
    told("a root of version 0", "root_invalid", |lie| {
        written(lie, "\"version\":2", "\"version\":0")
    }),
    root(
        "a root that has a role for others alone",
        "root_invalid",
        |root| {
            root.roles.release = vec![rule(&"x".repeat(1_000), &[key(21)])];
        },
    ),
];

/// Attacks whose root is changed before it is signed.
const fn root(name: &'static str, refused: &'static str, tell: fn(&mut RootDocument)) -> Attack {
    Attack::new(KeyCompromise, name, refused, Tell::Root(tell))
}

const fn told(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(KeyCompromise, name, refused, Tell::Lie(tell))
}

/// A root whose text was changed before it was signed.
fn written(lie: &mut Lie, from: &str, to: &str) {
    let mut root = next_root(&mut lie.world);
    let keys = &lie.world.root_keys;
    sign_payload((Role::Root, &mut root), (from, to), keys);
    lie.root(root);
}

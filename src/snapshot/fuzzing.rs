//! What must hold of signed documents, packs and parts, whatever their bytes?
//!
//! Targets of `crate::fuzzing`. Nobody finds a signature by trying, so most
//! sign what they are given themselves, with the keys of the fixture: what lies
//! behind the signature check must hold on its own, because a key can be
//! stolen.

use std::{collections::BTreeMap, sync::LazyLock};

use super::{
    Revision,
    compile::compile,
    envelope::{PublicKey, Role, Signers, SigningKey, Unverified, seal},
    fixture::{self, ENVIRONMENT, ENVIRONMENT_UID, HOUR, NOW, World},
    frame::{frames, head},
    pack::Pack,
    parts::{self, Built, Content, build_index, resolve_index},
    sha256, sha256_of_hex,
    trust::{Origin, Trust, verify_pack},
    wire::{PartKind, READER},
};
use crate::{
    evaluate::{Ask, Subject, SubjectView, decide, explain},
    limits::{CLOCK_SKEW_MS_MAX, SNAPSHOT_BYTES_MAX},
};

/// The fixture's documents, and trust in the revision they are.
static GROUND: LazyLock<Ground> = LazyLock::new(Ground::new);

struct Ground {
    world: World,
    pack: Pack,
    trust: Trust,
    content: Content,
}

impl Ground {
    fn new() -> Self {
        let mut world = World::new();
        let pack = world.pack();
        let mut trust = world.trust();
        let checked = verify_pack(&mut trust, &pack, NOW, Origin::Fetched).expect("it is sound");
        trust.accept(&checked.timestamp, &checked.release, &checked.control);
        Self {
            world,
            pack,
            trust,
            content: checked.content,
        }
    }

    fn keys(&self, role: Role) -> Vec<&SigningKey> {
        let world = &self.world;
        let keys = match role {
            Role::Root => &world.root_keys,
            Role::Timestamp => &world.timestamp_keys,
            Role::Release => &world.release_keys,
            Role::Control => &world.control_keys,
        };
        keys.iter().collect()
    }

    fn sealed(&self, role: Role, payload: &[u8]) -> Vec<u8> {
        seal(role, payload, &self.keys(role))
    }
}

/// Any one of the keys.
fn signers(keys: &[&SigningKey]) -> Signers {
    let ids: Vec<String> = keys.iter().map(|key| key.id()).collect();
    let public = keys.iter().map(|key| {
        let public = PublicKey::parse(&key.id(), &key.public_base64());
        (key.id(), public.expect("a key is one"))
    });
    let known: BTreeMap<String, PublicKey> = public.collect();
    Signers::new(&known, &ids, 1).expect("a role has keys")
}

/// An envelope that verifies holds the bytes that were signed, for that role.
pub(crate) fn envelope(file: &[u8]) {
    let Ok(envelope) = Unverified::parse(file) else {
        return;
    };
    let ground = &*GROUND;
    let mut trust = ground.world.trust();
    let fixed = [
        (Role::Timestamp, &ground.pack.timestamp),
        (Role::Release, &ground.pack.release),
        (Role::Control, &ground.pack.control),
    ];
    for (role, known) in fixed {
        let signed = Unverified::parse(known).expect("it is an envelope");
        let signers = signers(&ground.keys(role));
        if let Ok(verified) = envelope.verify(role, &signers) {
            assert_eq!(
                verified.payload(),
                signed.unverified_payload(),
                "{role}: nobody signed this"
            );
        }
    }
    // The keys of the root have signed version 1 and nothing else.
    assert!(trust.step_root(file).is_err(), "no root follows the first");
}

/// A root that follows is the next version, and its own keys have signed it.
pub(crate) fn root(payload: &[u8]) {
    let ground = &*GROUND;
    let file = ground.sealed(Role::Root, payload);
    let mut trust = ground.world.trust();
    if trust.step_root(&file).is_ok() {
        let root = trust.root();
        assert_eq!(root.version, 2);
        let own = ground.world.root_keys[0].id();
        assert!(root.roles.root.keyids.contains(&own), "nobody else signed");
        assert!(root.roles.root.threshold <= 1, "one key signed");
        assert_eq!(trust.root_chain(), std::slice::from_ref(&file));
    }
    // As somebody's first root it must stand on its own feet.
    if let Ok(first) = Trust::new(ENVIRONMENT, &file, None) {
        assert_eq!(first.root_file(), file);
    }
}

/// A timestamp that is taken is ours, in force, and not below the marks.
pub(crate) fn timestamp(payload: &[u8]) {
    let ground = &*GROUND;
    let trust = &ground.trust;
    let file = ground.sealed(Role::Timestamp, payload);
    let now = NOW + HOUR;
    for origin in [Origin::Fetched, Origin::Disk, Origin::Fallback] {
        let Ok(Some(checked)) = trust.timestamp(&file, now, origin) else {
            continue;
        };
        let (document, marks) = (checked.document(), trust.marks().expect("it has some"));
        assert_eq!(document.environment, ENVIRONMENT);
        assert_eq!(document.environment_uid, ENVIRONMENT_UID);
        assert!(document.issued_ms <= document.fresh_until_ms);
        assert!(document.fresh_until_ms <= document.expires_ms);
        let of = |epoch, serial, revision| (epoch, serial, revision);
        let found = of(document.epoch, document.serial, document.revision);
        if origin != Origin::Fallback {
            assert!(found >= of(marks.epoch, marks.serial, marks.revision));
        }
        if origin == Origin::Fetched {
            assert!(document.expires_ms >= now);
            assert!(document.issued_ms <= now + CLOCK_SKEW_MS_MAX);
        }
    }
}

/// A release that is taken is the one its timestamp names, and follows ours.
pub(crate) fn release(payload: &[u8]) {
    referred(Role::Release, payload);
}

/// As [`release`], of control documents.
pub(crate) fn control(payload: &[u8]) {
    referred(Role::Control, payload);
}

fn referred(role: Role, payload: &[u8]) {
    let ground = &*GROUND;
    let file = ground.sealed(role, payload);
    for version in [1, 2] {
        let mut stamp = ground.world.timestamp.clone();
        (stamp.serial, stamp.revision) = (2, 2);
        let reference = fixture::reference(version, &file);
        match role {
            Role::Control => stamp.control = reference,
            _ => stamp.release = reference,
        }
        let stamp = serde_json::to_vec(&stamp).expect("it serialises");
        let stamp = ground.sealed(Role::Timestamp, &stamp);
        let checked = ground.trust.timestamp(&stamp, NOW, Origin::Fetched);
        let Ok(Some(stamp)) = checked else {
            panic!("the timestamp is sound: {checked:?}");
        };
        let bound = if role == Role::Control {
            let checked = ground.trust.control(&stamp, &file).ok();
            checked.map(|checked| {
                let control = checked.document();
                let revision = Revision::default();
                // Switches that cannot be read fail the whole, by name.
                compile(
                    ENVIRONMENT,
                    ENVIRONMENT_UID,
                    revision,
                    &ground.content,
                    control,
                )
                .ok();
                (control.environment_uid.clone(), control.version)
            })
        } else {
            let checked = ground.trust.release(&stamp, &file).ok();
            checked.map(|checked| {
                let release = checked.document();
                assert!(release.min_reader <= READER);
                (release.environment_uid.clone(), release.version)
            })
        };
        if let Some((uid, found)) = bound {
            assert_eq!((uid.as_str(), found), (ENVIRONMENT_UID, version));
        }
    }
}

/// What is read as a pack is written as one that says the same.
pub(crate) fn pack(body: &[u8]) {
    // The trailer would keep every change out.
    let whole = [body, &sha256(body)].concat();
    for file in [body, &whole] {
        let Ok(pack) = Pack::parse(file) else {
            continue;
        };
        let written = pack.to_bytes();
        // Blobs may stand in any order, and are written in theirs.
        assert_eq!(written.len(), file.len());
        assert_eq!(Pack::parse(&written), Ok(pack.clone()));
        let mut trust = GROUND.world.trust();
        if let Ok(checked) = verify_pack(&mut trust, &pack, NOW, Origin::Fetched) {
            let signed = &GROUND.world.release;
            assert_eq!(checked.release.document(), signed, "nobody signed another");
        }
    }
}

/// What an edge sends another is taken apart without a byte left over.
pub(crate) fn frame(body: &[u8]) {
    let Ok(found) = frames(body) else {
        return;
    };
    let mut again = Vec::with_capacity(body.len());
    for (hash, bytes) in found {
        let hash = sha256_of_hex(&hash).expect("frames spell hashes as documents do");
        again.extend_from_slice(&head(&hash, bytes.len()));
        again.extend_from_slice(bytes);
    }
    assert_eq!(again, body);
}

/// Compressed bytes decode to as many bytes as were promised, or not at all.
pub(crate) fn blob(bytes: &[u8]) {
    parts::fuzzing::blob(bytes);
}

/// Parts that a publisher takes are parts that an edge reads; what they are
/// compiled into decides for anybody.
///
/// The input is text: for each part a line `kind id`, then its JSON up to a
/// line `---`. Parts of the fixture that are not named are added.
pub(crate) fn part(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let mut all: Vec<fixture::Part> = text.split("\n---\n").filter_map(one_part).collect();
    for own in fixture::parts() {
        if !all.iter().any(|part| (part.0, &part.1) == (own.0, &own.1)) {
            all.push(own);
        }
    }
    let Ok(Built { index, blobs }) = build_index(all) else {
        return;
    };
    let found = |sha256: &str| blobs.get(sha256).map(Vec::as_slice);
    let Ok(content) = resolve_index(&index, found, SNAPSHOT_BYTES_MAX) else {
        return;
    };
    let control = &GROUND.world.control;
    let revision = Revision::default();
    let Ok(snapshot) = compile(ENVIRONMENT, ENVIRONMENT_UID, revision, &content, control) else {
        return;
    };
    let user = Subject::unseen("ann");
    let view = SubjectView {
        user: &user,
        group: None,
        attributes: None,
        conversation: None,
    };
    for sid in snapshot.flows.keys() {
        let ask = Ask {
            sid,
            ..Ask::default()
        };
        let decision = decide(&snapshot, &view, &ask, |_| true, NOW);
        let explained = explain(&snapshot, &view, &ask, |_| true, NOW);
        assert_eq!(decision.reason, explained.decision.reason);
    }
}

fn one_part(text: &str) -> Option<fixture::Part> {
    let (head, json) = text.split_once('\n')?;
    let (kind, id) = head.split_once(' ')?;
    let kind: PartKind = serde_json::from_value(kind.into()).ok()?;
    Some((kind, id.to_owned(), json.as_bytes().to_vec()))
}

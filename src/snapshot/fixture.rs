//! What does a small environment look like, signed by keys a test holds?
//!
//! [`World`] keeps the documents as values. A test changes what it likes and
//! asks for files: references, hashes and signatures are made anew each time,
//! so that only the change it made is wrong.

#![cfg_attr(not(test), allow(dead_code, reason = "fuzzing takes a part of it"))]

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{
    envelope::{Role, SigningKey, seal},
    pack::Pack,
    parts::{Built, build_index},
    sha256_hex,
    trust::Trust,
    wire::{
        ControlDocument, DocumentReference, PartKind, ReleaseDocument, RoleKeys, RoleRule,
        RootDocument, RootRoles, TIMESTAMP_LIFE_DEFAULT_MS, TimestampDocument,
    },
};
use crate::clock::UnixMs;

/// The time in tests; nothing asks what it really is.
pub(crate) const NOW: UnixMs = 1_000_000_000_000;

/// One hour.
pub(crate) const HOUR: UnixMs = 60 * 60 * 1000;

/// The environment's name.
pub(crate) const ENVIRONMENT: &str = "production";

/// The environment's uid.
pub(crate) const ENVIRONMENT_UID: &str = "env_01";

/// Keys and documents of one environment.
pub(crate) struct World {
    pub(crate) root: RootDocument,
    pub(crate) timestamp: TimestampDocument,
    pub(crate) release: ReleaseDocument,
    pub(crate) control: ControlDocument,
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    pub(crate) root_keys: Vec<SigningKey>,
    pub(crate) timestamp_keys: Vec<SigningKey>,
    pub(crate) release_keys: Vec<SigningKey>,
    pub(crate) control_keys: Vec<SigningKey>,
}

impl World {
    /// Root 1, revision 0.1, one flow with a draft and a version.
    pub(crate) fn new() -> Self {
        let (root_keys, timestamp_keys) = (vec![key(1)], vec![key(11)]);
        let (release_keys, control_keys) = (vec![key(21)], vec![key(31)]);
        let all = [&root_keys, &timestamp_keys, &release_keys, &control_keys];
        let Built { index, blobs } = build_index(parts()).unwrap();
        let environment = ENVIRONMENT.to_owned();
        let environment_uid = ENVIRONMENT_UID.to_owned();
        let nothing = DocumentReference {
            version: 0,
            sha256: String::new(),
            length: 0,
        };
        Self {
            root: RootDocument {
                version: 1,
                expires_ms: NOW + 1000 * HOUR,
                keys: public(all.into_iter().flatten()),
                roles: RootRoles {
                    root: RoleKeys {
                        keyids: ids(&root_keys),
                        threshold: 1,
                    },
                    release: vec![rule("*", &release_keys)],
                    timestamp: vec![rule("*", &timestamp_keys)],
                    control: vec![rule("*", &control_keys)],
                },
                epochs: BTreeMap::new(),
                timestamp_life_ms_max: TIMESTAMP_LIFE_DEFAULT_MS,
            },
            timestamp: TimestampDocument {
                environment: environment.clone(),
                environment_uid: environment_uid.clone(),
                epoch: 0,
                revision: 1,
                serial: 1,
                release: nothing.clone(),
                control: nothing,
                issued_ms: NOW,
                fresh_until_ms: NOW + HOUR,
                expires_ms: NOW + 24 * HOUR,
            },
            release: ReleaseDocument {
                environment: environment.clone(),
                environment_uid: environment_uid.clone(),
                epoch: 0,
                version: 1,
                created_ms: NOW,
                previous_sha256: None,
                index,
                // Flows and deployments; that is what it holds.
                min_reader: 3,
            },
            control: ControlDocument {
                environment,
                environment_uid,
                version: 1,
                created_ms: NOW,
                ..ControlDocument::default()
            },
            blobs,
            root_keys,
            timestamp_keys,
            release_keys,
            control_keys,
        }
    }

    /// The root's file, signed by the root keys.
    pub(crate) fn root_file(&self) -> Vec<u8> {
        file(Role::Root, &self.root, &self.root_keys)
    }

    /// The release's file.
    pub(crate) fn release_file(&self) -> Vec<u8> {
        file(Role::Release, &self.release, &self.release_keys)
    }

    /// The control document's file.
    pub(crate) fn control_file(&self) -> Vec<u8> {
        file(Role::Control, &self.control, &self.control_keys)
    }

    /// The timestamp's file, referring to whatever it says.
    pub(crate) fn timestamp_file(&self) -> Vec<u8> {
        file(Role::Timestamp, &self.timestamp, &self.timestamp_keys)
    }

    /// Signs release and control, refers the timestamp to them, signs it.
    pub(crate) fn pack(&mut self) -> Pack {
        let release = self.release_file();
        let control = self.control_file();
        self.timestamp.release = reference(self.release.version, &release);
        self.timestamp.control = reference(self.control.version, &control);
        Pack {
            roots: Vec::new(),
            timestamp: self.timestamp_file(),
            release,
            control,
            blobs: self.blobs.clone(),
        }
    }

    /// The next release, which follows this one.
    pub(crate) fn advance(&mut self) {
        self.release.previous_sha256 = Some(sha256_hex(&self.release_file()));
        self.release.version += 1;
        self.timestamp.revision += 1;
        self.timestamp.serial += 1;
    }

    /// The next control document.
    pub(crate) fn advance_control(&mut self) {
        self.control.version += 1;
        self.timestamp.revision += 1;
        self.timestamp.serial += 1;
    }

    /// Trust in this world's root, with nothing accepted yet.
    pub(crate) fn trust(&self) -> Trust {
        Trust::new(ENVIRONMENT, &self.root_file(), None).unwrap()
    }
}

/// The same key for the same number.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

/// Key ids, as a role lists them.
pub(crate) fn ids(keys: &[SigningKey]) -> Vec<String> {
    keys.iter().map(SigningKey::id).collect()
}

/// A root document's keys.
pub(crate) fn public<'k>(
    keys: impl IntoIterator<Item = &'k SigningKey>,
) -> BTreeMap<String, String> {
    keys.into_iter()
        .map(|key| (key.id(), key.public_base64()))
        .collect()
}

/// A rule with threshold 1.
pub(crate) fn rule(environment: &str, keys: &[SigningKey]) -> RoleRule {
    RoleRule {
        environment: environment.to_owned(),
        keyids: ids(keys),
        threshold: 1,
    }
}

/// An envelope around a document, signed by all of the keys.
pub(crate) fn file(role: Role, document: &impl Serialize, keys: &[SigningKey]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().collect();
    seal(role, &serde_json::to_vec(document).unwrap(), &keys)
}

/// A reference to a file.
pub(crate) fn reference(version: u64, file: &[u8]) -> DocumentReference {
    DocumentReference {
        version,
        sha256: sha256_hex(file),
        length: file.len() as u64,
    }
}

/// One part, as a publisher hands it over.
pub(crate) type Part = (PartKind, String, Vec<u8>);

/// A part around a JSON value.
pub(crate) fn part(kind: PartKind, id: &str, value: &serde_json::Value) -> Part {
    (kind, id.to_owned(), serde_json::to_vec(value).unwrap())
}

/// A flow part that lists these versions.
pub(crate) fn flow_part(uid: &str, versions: &[u32]) -> Part {
    let value = json!({
        "uid": uid, "sid": uid, "name": uid, "project": "default",
        "enabled": true, "versions": versions,
    });
    part(PartKind::Flow, uid, &value)
}

/// A version part without blocks.
pub(crate) fn version_part(uid: &str, number: u32) -> Part {
    let value = json!({
        "flow_uid": uid, "flow_sid": uid, "number": number,
        "entry": "everyone", "blocks": [], "paths": [],
    });
    part(PartKind::Version, &format!("{uid}:{number}"), &value)
}

/// A key part for a key text.
pub(crate) fn key_part(text: &str) -> Part {
    let sha256 = sha256_hex(text.as_bytes());
    let value = json!({"sha256": sha256, "kind": "blocks", "name": text});
    part(PartKind::Key, &sha256, &value)
}

/// The settings part.
pub(crate) fn settings_part() -> Part {
    let value = json!({"environment_type": "production", "drafts": true});
    part(PartKind::Settings, "settings", &value)
}

/// What [`World::new`] contains.
pub(crate) fn parts() -> Vec<Part> {
    vec![
        settings_part(),
        flow_part("flow-a", &[0, 1]),
        version_part("flow-a", 0),
        version_part("flow-a", 1),
        key_part("blocks-production-1"),
    ]
}

//! Where do the signing keys live, and how are they made and replaced?
//!
//! A folder: `root.json` is the root in force, `roots/<n>.json` every root so
//! far, `keys/<role>.json` one secret each, readable by its owner alone. The
//! root's key is needed only to make the next root and may be kept elsewhere;
//! the others sign online. A rotation puts the new secret beside the old one,
//! then the new root in place, then the secret: one that was interrupted is
//! either not begun or finished by the next load.

mod folder;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use folder::{key_file, key_path, read_key, read_root, write_key, write_root};
pub(in crate::store) use folder::{
    private_folder, read, refuse_readable, rename, sync_folder, write_private,
};
use serde::Serialize;

use crate::{
    clock::{Ambient, UnixMs},
    limits,
    snapshot::{
        envelope::{Role, SigningKey, seal},
        wire::{RoleKeys, RoleRule, RootDocument, RootRoles, TIMESTAMP_LIFE_DEFAULT_MS},
    },
};

/// How long a root is valid unless its maker says otherwise: one year.
pub const ROOT_LIFE_DEFAULT_MS: u64 = 365 * 24 * 60 * 60 * 1000;

/// The roles in the order they are made and shown.
const ROLES: [Role; 4] = [Role::Root, Role::Release, Role::Timestamp, Role::Control];

/// What signs a store's documents.
pub struct Signing {
    folder: PathBuf,
    root: RootDocument,
    roots: BTreeMap<u64, Vec<u8>>,
    /// None when the root's key is kept elsewhere.
    root_key: Option<SigningKey>,
    release: SigningKey,
    timestamp: SigningKey,
    control: SigningKey,
}

/// What may be known of a signing folder by anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SigningSummary {
    /// The folder.
    pub folder: String,
    /// Version of the root in force.
    pub root_version: u64,
    /// When it expires.
    pub expires_ms: UnixMs,
    /// Role to the id of the key that acts in it here.
    pub keys: BTreeMap<String, String>,
    /// Whether the root's key is in the folder.
    pub root_key_present: bool,
}

/// Why a signing folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// There is one already.
    #[error("{0} holds signing keys already (rotate them, or choose another folder)")]
    Exists(String),
    /// There is none.
    #[error(
        "{0} holds no signing keys (expected root.json; run: flowgate key signing create --folder {0})"
    )]
    Missing(String),
    /// A secret that others can read is none.
    #[error("the key file {path} has mode {mode:o} (expected 600; run: chmod 600 {path})")]
    Readable {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// A file cannot be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} cannot be used: {why}")]
    Content {
        /// The file.
        path: String,
        /// What was found and what was expected.
        why: String,
    },
    /// Rotation without the root's key.
    #[error("the key of the root is not in {0} (expected keys/root.json to make a new root)")]
    RootKeyMissing(String),
    /// Not a role.
    #[error("unknown role {0:?} (expected root, release, timestamp or control)")]
    UnknownRole(String),
}

impl Signing {
    /// Makes a folder with fresh keys and their first root. Refuses to touch
    /// one that holds a root or keys.
    pub fn create(folder: &Path, ambient: &Ambient) -> Result<Self, SigningError> {
        Self::create_living(folder, TIMESTAMP_LIFE_DEFAULT_MS, ambient)
    }

    /// The same with a root that lets timestamps live this long.
    pub fn create_living(
        folder: &Path,
        timestamp_life_ms: u64,
        ambient: &Ambient,
    ) -> Result<Self, SigningError> {
        if folder.join("root.json").exists() || folder.join("keys").exists() {
            return Err(SigningError::Exists(folder.display().to_string()));
        }
        private_folder(folder)?;
        private_folder(&folder.join("keys"))?;
        private_folder(&folder.join("roots"))?;
        let keys = ROLES.map(|_| SigningKey::from_seed(&ambient.bytes::<32>()));
        let rule = |key: &SigningKey| {
            vec![RoleRule {
                environment: "*".to_owned(),
                keyids: vec![key.id()],
                threshold: 1,
            }]
        };
        let [root_key, release, timestamp, control] = &keys;
        let root = RootDocument {
            version: 1,
            expires_ms: ambient.now_ms().saturating_add(ROOT_LIFE_DEFAULT_MS),
            keys: keys.iter().map(|k| (k.id(), k.public_base64())).collect(),
            roles: RootRoles {
                root: RoleKeys {
                    keyids: vec![root_key.id()],
                    threshold: 1,
                },
                release: rule(release),
                timestamp: rule(timestamp),
                control: rule(control),
            },
            epochs: BTreeMap::new(),
            timestamp_life_ms_max: timestamp_life_ms,
        };
        for (role, key) in ROLES.into_iter().zip(&keys) {
            write_key(folder, role, key)?;
        }
        write_root(folder, &root, &[root_key])?;
        Self::load(folder)
    }

    /// Reads a folder and checks that its keys are those the root names.
    pub fn load(folder: &Path) -> Result<Self, SigningError> {
        let path = folder.join("root.json");
        if !path.exists() {
            return Err(SigningError::Missing(folder.display().to_string()));
        }
        let root = read_root(&path)?;
        let mut roots = BTreeMap::new();
        for number in 1..=root.version {
            let path = folder.join("roots").join(format!("{number}.json"));
            // Early roots may have been cleared away; edges that start from a
            // later one never ask for them.
            if path.exists() {
                roots.insert(number, read(&path, limits::DOCUMENT_BYTES_MAX)?);
            }
        }
        roots.insert(root.version, read(&path, limits::DOCUMENT_BYTES_MAX)?);
        let root_path = key_path(folder, Role::Root);
        let root_key = if root_path.exists() {
            Some(read_key(folder, Role::Root, &root)?)
        } else {
            None
        };
        Ok(Self {
            folder: folder.to_owned(),
            root_key,
            release: read_key(folder, Role::Release, &root)?,
            timestamp: read_key(folder, Role::Timestamp, &root)?,
            control: read_key(folder, Role::Control, &root)?,
            root,
            roots,
        })
    }

    /// Gives a role a fresh key under a new root, signed by the root's old key
    /// and (when it is the root's own) its new one. The old key loses its role
    /// at once; a store signs everything again when it starts next.
    pub fn rotate(folder: &Path, role: Role, ambient: &Ambient) -> Result<Self, SigningError> {
        Self::rotate_living(folder, role, None, ambient)
    }

    /// The same; the new root lets timestamps live this long, if it is said.
    pub fn rotate_living(
        folder: &Path,
        role: Role,
        timestamp_life_ms: Option<u64>,
        ambient: &Ambient,
    ) -> Result<Self, SigningError> {
        let old = Self::load(folder)?;
        let Some(root_key) = &old.root_key else {
            return Err(SigningError::RootKeyMissing(folder.display().to_string()));
        };
        let fresh = SigningKey::from_seed(&ambient.bytes::<32>());
        let before = old.key(role).map_or_else(String::new, SigningKey::id);
        let mut root = old.root.clone();
        root.version += 1;
        root.expires_ms = ambient.now_ms().saturating_add(ROOT_LIFE_DEFAULT_MS);
        root.timestamp_life_ms_max = timestamp_life_ms.unwrap_or(root.timestamp_life_ms_max);
        root.keys.insert(fresh.id(), fresh.public_base64());
        replace_key(&mut root, role, &before, &fresh.id());
        let named = named_keys(&root);
        root.keys.retain(|id, _| named.contains(id));
        let signers: Vec<&SigningKey> = if role == Role::Root {
            vec![root_key, &fresh]
        } else {
            vec![root_key]
        };
        // Beside the old one until the root that names it is in place.
        let waiting = key_path(folder, role).with_extension("next");
        write_private(&waiting, &key_file(role, &fresh))?;
        write_root(folder, &root, &signers)?;
        rename(&waiting, &key_path(folder, role))?;
        Self::load(folder)
    }

    /// Lets the counters of these environments (by uid, with an epoch they are
    /// known to be in) begin again under a new root, and accept nothing from
    /// before: for a store that was restored, or whose counters were driven to
    /// their end. A store signs everything again when it starts next.
    pub fn raise_epochs(
        folder: &Path,
        environments: &BTreeMap<String, u32>,
        ambient: &Ambient,
    ) -> Result<Self, SigningError> {
        let old = Self::load(folder)?;
        let Some(root_key) = &old.root_key else {
            return Err(SigningError::RootKeyMissing(folder.display().to_string()));
        };
        let mut root = old.root.clone();
        root.version += 1;
        root.expires_ms = ambient.now_ms().saturating_add(ROOT_LIFE_DEFAULT_MS);
        for (uid, known) in environments {
            let epoch = root.epochs.entry(uid.clone()).or_insert(0);
            *epoch = (*epoch).max(*known).saturating_add(1);
        }
        write_root(folder, &root, &[root_key])?;
        Self::load(folder)
    }

    /// The root in force.
    pub fn root(&self) -> &RootDocument {
        &self.root
    }

    /// The file of a root.
    pub fn root_file(&self, version: u64) -> Option<&[u8]> {
        self.roots.get(&version).map(Vec::as_slice)
    }

    /// The files of all roots that are here, by version.
    pub(crate) fn roots(&self) -> &BTreeMap<u64, Vec<u8>> {
        &self.roots
    }

    /// The file of the root in force: what an edge is given to trust.
    pub fn current_root_file(&self) -> &[u8] {
        self.root_file(self.root.version).unwrap_or_default()
    }

    /// Signs a document with the key of its role; roots are made by rotation
    /// alone.
    pub(crate) fn seal(&self, role: Role, payload: &[u8]) -> Vec<u8> {
        self.key(role)
            .map_or_else(Vec::new, |key| seal(role, payload, &[key]))
    }

    /// Id of the key that acts in a role here.
    pub(crate) fn keyid(&self, role: Role) -> String {
        self.key(role).map_or_else(String::new, SigningKey::id)
    }

    /// What may be shown.
    pub fn show(&self) -> SigningSummary {
        let ids = ROLES.into_iter().filter_map(|role| {
            let key = self.key(role)?;
            Some((name(role).to_owned(), key.id()))
        });
        SigningSummary {
            folder: self.folder.display().to_string(),
            root_version: self.root.version,
            expires_ms: self.root.expires_ms,
            keys: ids.collect(),
            root_key_present: self.root_key.is_some(),
        }
    }

    fn key(&self, role: Role) -> Option<&SigningKey> {
        match role {
            Role::Root => self.root_key.as_ref(),
            Role::Release => Some(&self.release),
            Role::Timestamp => Some(&self.timestamp),
            Role::Control => Some(&self.control),
        }
    }
}

impl std::fmt::Debug for Signing {
    /// Never the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.show().fmt(f)
    }
}

/// The role with this name.
pub fn role_named(name_given: &str) -> Result<Role, SigningError> {
    ROLES
        .into_iter()
        .find(|role| name(*role) == name_given)
        .ok_or_else(|| SigningError::UnknownRole(name_given.to_owned()))
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Root => "root",
        Role::Release => "release",
        Role::Timestamp => "timestamp",
        Role::Control => "control",
    }
}

fn rules(root: &RootDocument, role: Role) -> Vec<&str> {
    let rules = match role {
        Role::Root => return root.roles.root.keyids.iter().map(String::as_str).collect(),
        Role::Release => &root.roles.release,
        Role::Timestamp => &root.roles.timestamp,
        Role::Control => &root.roles.control,
    };
    let ids = rules.iter().flat_map(|rule| &rule.keyids);
    ids.map(String::as_str).collect()
}

fn named_keys(root: &RootDocument) -> Vec<String> {
    let ids = ROLES.into_iter().flat_map(|role| rules(root, role));
    ids.map(ToOwned::to_owned).collect()
}

fn replace_key(root: &mut RootDocument, role: Role, old: &str, new: &str) {
    let swap = |ids: &mut Vec<String>| {
        for id in ids.iter_mut().filter(|id| *id == old) {
            new.clone_into(id);
        }
    };
    let rules = match role {
        Role::Root => return swap(&mut root.roles.root.keyids),
        Role::Release => &mut root.roles.release,
        Role::Timestamp => &mut root.roles.timestamp,
        Role::Control => &mut root.roles.control,
    };
    rules.iter_mut().for_each(|rule| swap(&mut rule.keyids));
}

#[cfg(test)]
mod tests;

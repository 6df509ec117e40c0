//! How are keys made, listed, replaced and revoked?
//!
//! The text of a key exists once: in the answer that makes it. What is kept is
//! its SHA-256. The kinds that applications use travel inside snapshots by
//! their hash; `edge` and `admin` keys never leave the store.

use serde::Serialize;

use super::{
    Page, PageAsk, StoreError,
    called::{expected_name, is_name_for_people},
    engine::Write,
    key_terms::{KeyTerms, refuse_guessable},
    key_text::key_text,
    paging::KEYS,
    rights::{Rights, Role},
    workspace::{StoredKey, StoredKeyKind, Workspace},
};
use crate::{
    clock::{Ambient, UnixMs},
    limits,
    snapshot::sha256_hex,
};

/// Hexadecimal digits that tell secrets of one name and moment apart.
const SEAT_DIGITS: usize = 16;

/// Characters of a key that listings show.
const SHOWN_CHARACTERS: usize = 6;

/// A key that was made: the only place its text ever stands.
#[derive(Clone, Serialize)]
pub struct NewKey {
    /// The whole text.
    pub key: String,
    /// As it will be listed.
    #[serde(flatten)]
    pub listing: KeyListing,
}

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyListing {
    /// What it may do.
    pub kind: StoredKeyKind,
    /// Environment name; none for `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// For people.
    pub name: String,
    /// Project sids it may see; empty means all.
    pub projects: Vec<String>,
    /// The channel every request with it comes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Origins whose pages may use it; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// What an `admin` key may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Where an `admin` key may do that; none means everywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Its last characters.
    pub last: String,
    /// When it was made.
    pub created_ms: UnixMs,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<UnixMs>,
    /// When a rotation replaced it; it works on until it expires or is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotated_ms: Option<UnixMs>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<UnixMs>,
}

/// Which key: all secrets of one name, or one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName {
    /// Kind.
    pub kind: StoredKeyKind,
    /// Environment name; none for `admin`.
    pub environment: Option<String>,
    /// Name.
    pub name: String,
}

/// Why nothing was done with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The environment is not there.
    #[error("environment {found:?} does not exist (expected one of {expected})")]
    UnknownEnvironment {
        /// As asked.
        found: String,
        /// Names there are.
        expected: String,
    },
    /// Nothing new begins in it.
    #[error(
        "environment {0:?} is deprecated and takes no new keys (rotate one that is there, or take \
         the deprecation back)"
    )]
    Deprecated(String),
    /// Nobody could make another one.
    #[error(
        "key {0:?} is the last of role admin in every environment (make another one first: flowgate \
         key create NAME --kind admin)"
    )]
    LastAdmin(String),
    /// Every kind but `admin` belongs to an environment, and `admin` to none.
    #[error("a key of kind {kind} {rule}")]
    Environment {
        /// The kind.
        kind: &'static str,
        /// What it needs.
        rule: &'static str,
    },
    /// Names are for people and stand in listings.
    #[error("the key name {0:?} does not fit (expected {expected})", expected = expected_name())]
    Name(String),
    /// A line break or an escape sequence in a listing is an attack on its
    /// reader.
    #[error("the key name {0:?} has a control character (expected printable text)")]
    NameControl(String),
    /// Only what works on the store has rights in it.
    #[error("a key of kind {kind} has neither role nor a list of environments (expected admin)")]
    NoRights {
        /// The kind.
        kind: &'static str,
    },
    /// A project it should see is not there.
    #[error("project {0:?} does not exist")]
    UnknownProject(String),
    /// Requests with it are never decided by a deployment.
    #[error(
        "a key of kind {kind} is bound to no channel (expected blocks, client, frontend or server)"
    )]
    Unbound {
        /// The kind.
        kind: &'static str,
    },
    /// Not a channel's name.
    #[error("channel: {0}")]
    Channel(String),
    /// Keys of this kind stand in no page.
    #[error("a key of kind {kind} has no origins (expected blocks, users or frontend)")]
    NotInPages {
        /// The kind.
        kind: &'static str,
    },
    /// Not an origin as browsers send it.
    #[error(
        "{0:?} is not an origin (expected such as https://app.example.com, in lower case and \
         without a path)"
    )]
    Origin(String),
    /// More origins than a page has.
    #[error("the key has {0} origins (expected at most {max})", max = limits::ORIGINS_PER_KEY_MAX)]
    TooManyOrigins(usize),
    /// A given text that does not travel in a header.
    #[error("the text of the key does not fit (expected 1 to 512 visible ASCII characters)")]
    Text,
    /// A given text that somebody could try out.
    #[error(
        "the text of the key can be guessed: by the look of it {found} bits (expected at least \
         {expected}; take a random one, or leave the text out and one is made)"
    )]
    Guessable {
        /// An estimate from above.
        found: u32,
        /// What is asked for.
        expected: u32,
    },
    /// A given text that is a key already.
    #[error("there is a key with this text already, also if it was revoked (take another)")]
    TextTaken,
    /// There is a key of this kind and name.
    #[error(
        "a key of kind {kind} named {name:?} exists (rotate it, revoke it, or choose another name)"
    )]
    Taken {
        /// The kind.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// More than a snapshot takes.
    #[error("the environment has {0} keys (expected fewer than {max})", max = limits::KEYS_PER_ENVIRONMENT_MAX)]
    TooMany(usize),
    /// No valid key of this kind and name.
    #[error("no valid {kind} key is named {name:?}{ending}")]
    Unknown {
        /// The kind.
        kind: &'static str,
        /// The name.
        name: String,
        /// The ending that was asked for, in words.
        ending: String,
    },
}

/// A changed key set: the workspace after it, and what to write.
pub(super) struct Changed<T> {
    pub(super) keys: Vec<StoredKey>,
    pub(super) writes: Vec<Write>,
    pub(super) answer: T,
}

/// Makes a key: with a text of its own, or with one that comes from elsewhere.
pub(super) fn create(
    workspace: &Workspace,
    name: &KeyName,
    terms: &KeyTerms,
    text: Option<&str>,
    ambient: &Ambient,
) -> Result<Changed<NewKey>, KeyError> {
    let environment_uid = place(workspace, name)?;
    let now = ambient.now_ms();
    if name.name.chars().any(char::is_control) {
        return Err(KeyError::NameControl(name.name.clone()));
    }
    if !is_name_for_people(&name.name) {
        return Err(KeyError::Name(name.name.clone()));
    }
    if named(workspace, name, &environment_uid, now)
        .next()
        .is_some()
    {
        return Err(KeyError::Taken {
            kind: name.kind.name(),
            name: name.name.clone(),
        });
    }
    refuse_too_many(workspace, &environment_uid, now)?;
    terms.check(workspace, name.kind)?;
    let environment = name.environment.as_deref();
    let environment = environment.and_then(|name| workspace.environment(name));
    if let Some(own) = environment.filter(|own| own.deprecated) {
        return Err(KeyError::Deprecated(own.name.clone()));
    }
    let held = Held {
        environment_uid,
        rights: terms.rights(workspace, name.kind)?,
        terms: terms.clone(),
    };
    let (key, text) = match text {
        None => fresh(name, held, ambient),
        Some(text) => {
            refuse_guessable(text)?;
            let key = kept(name, held, text, ambient);
            if workspace.keys.iter().any(|own| own.sha256 == key.sha256) {
                return Err(KeyError::TextTaken);
            }
            (key, text.to_owned())
        }
    };
    let mut keys = workspace.keys.clone();
    keys.push(key.clone());
    Ok(Changed {
        answer: NewKey {
            key: text,
            listing: listing(workspace, &key),
        },
        keys,
        writes: vec![Write::Key(key)],
    })
}

/// Makes a new secret for a name. The old ones work on until they are revoked,
/// or until `overlap_until`.
pub(super) fn rotate(
    workspace: &Workspace,
    name: &KeyName,
    overlap_until: Option<UnixMs>,
    ambient: &Ambient,
) -> Result<Changed<NewKey>, KeyError> {
    let environment_uid = place(workspace, name)?;
    let now = ambient.now_ms();
    let old: Vec<&StoredKey> = named(workspace, name, &environment_uid, now).collect();
    let Some(newest) = old.last() else {
        return Err(unknown(name, None));
    };
    refuse_too_many(workspace, &environment_uid, now)?;
    let terms = KeyTerms {
        projects: newest.projects.clone(),
        channel: newest.channel.clone(),
        origins: newest.origins.clone(),
        ..KeyTerms::default()
    };
    let held = Held {
        environment_uid: environment_uid.clone(),
        rights: newest.rights.clone(),
        terms,
    };
    let (key, text) = fresh(name, held, ambient);
    let mut keys = workspace.keys.clone();
    let mut writes = Vec::new();
    for own in &mut keys {
        if old.iter().any(|old| old.sha256 == own.sha256) {
            own.rotated_ms.get_or_insert(now);
            // Whoever ended a secret by a rotation before meant it.
            own.expires_ms = match (own.expires_ms, overlap_until) {
                (Some(known), Some(until)) => Some(known.min(until)),
                (known, until) => until.or(known),
            };
            writes.push(Write::Key(own.clone()));
        }
    }
    writes.push(Write::Key(key.clone()));
    keys.push(key.clone());
    Ok(Changed {
        answer: NewKey {
            key: text,
            listing: listing(workspace, &key),
        },
        keys,
        writes,
    })
}

/// All keys, or those of one environment, in the order they were made.
pub(super) fn list(
    workspace: &Workspace,
    environment: Option<&str>,
) -> Result<Vec<KeyListing>, KeyError> {
    let keys = listed(workspace, environment)?;
    Ok(keys.map(|key| listing(workspace, key)).collect())
}

/// A page of them. Of keys that were made in the same moment it is by name.
pub(super) fn page(
    workspace: &Workspace,
    environment: Option<&str>,
    ask: &PageAsk,
) -> Result<Page<KeyListing>, StoreError> {
    let keys = listed(workspace, environment)?;
    let mut places: Vec<_> = keys.map(|key| (seat(key), key)).collect();
    places.sort_by(|(a, _), (b, _)| a.cmp(b));
    let page = KEYS.page(ask, places, |(seat, _)| seat.clone())?;
    Ok(page.map(|(_, key)| listing(workspace, key)))
}

fn listed<'w>(
    workspace: &'w Workspace,
    environment: Option<&str>,
) -> Result<impl Iterator<Item = &'w StoredKey>, KeyError> {
    let uid = environment
        .map(|name| environment_uid(workspace, name))
        .transpose()?;
    // Those of environments that are gone say nothing to anybody.
    let is_gone = |uid: &String| workspace.deleted.contains_key(uid);
    let keys = workspace.keys.iter();
    let keys = keys.filter(move |key| !key.environment_uid.as_ref().is_some_and(is_gone));
    Ok(keys.filter(move |key| uid.is_none() || key.environment_uid == uid))
}

/// The place of a key among all. It stands in cursors, so the hash of the text
/// is not in it: a hash of that tells keys of one name apart as well.
fn seat(key: &StoredKey) -> (UnixMs, String, String) {
    let apart = &sha256_hex(key.sha256.as_bytes())[..SEAT_DIGITS];
    (key.created_ms, key.name.clone(), apart.to_owned())
}

pub(super) fn environment_uid(workspace: &Workspace, name: &str) -> Result<String, KeyError> {
    let found = workspace.environment(name);
    found
        .map(|environment| environment.uid.clone())
        .ok_or_else(|| KeyError::UnknownEnvironment {
            found: name.to_owned(),
            expected: super::environment_names(workspace),
        })
}

/// The environment uid of a key name, after the rule on which kinds have one.
pub(super) fn place(workspace: &Workspace, name: &KeyName) -> Result<Option<String>, KeyError> {
    match (&name.environment, name.kind) {
        (None, StoredKeyKind::Admin) => Ok(None),
        (Some(_), StoredKeyKind::Admin) => Err(KeyError::Environment {
            kind: name.kind.name(),
            rule: "belongs to no environment (leave it out)",
        }),
        (Some(environment), _) => environment_uid(workspace, environment).map(Some),
        (None, _) => Err(KeyError::Environment {
            kind: name.kind.name(),
            rule: "belongs to an environment (name it)",
        }),
    }
}

pub(super) fn named<'a>(
    workspace: &'a Workspace,
    name: &'a KeyName,
    environment_uid: &'a Option<String>,
    now: UnixMs,
) -> impl Iterator<Item = &'a StoredKey> {
    workspace.keys.iter().filter(move |key| {
        key.kind == name.kind
            && key.environment_uid == *environment_uid
            && key.name == name.name
            && key.is_valid(now)
    })
}

fn refuse_too_many(
    workspace: &Workspace,
    environment_uid: &Option<String>,
    now: UnixMs,
) -> Result<(), KeyError> {
    let count = workspace
        .keys
        .iter()
        .filter(|key| key.environment_uid == *environment_uid && key.is_valid(now))
        .count();
    if count >= limits::KEYS_PER_ENVIRONMENT_MAX {
        return Err(KeyError::TooMany(count));
    }
    Ok(())
}

pub(super) fn unknown(name: &KeyName, last: Option<&str>) -> KeyError {
    KeyError::Unknown {
        kind: name.kind.name(),
        name: name.name.clone(),
        ending: last.map_or_else(String::new, |last| format!(" and ends with {last:?}")),
    }
}

/// What a key is held to.
struct Held {
    environment_uid: Option<String>,
    rights: Option<Rights>,
    terms: KeyTerms,
}

fn fresh(name: &KeyName, held: Held, ambient: &Ambient) -> (StoredKey, String) {
    let text = key_text(name.kind, name.environment.as_deref(), ambient);
    let key = kept(name, held, &text, ambient);
    (key, text)
}

/// What is kept of a key text, which is ASCII and long.
fn kept(name: &KeyName, held: Held, text: &str, ambient: &Ambient) -> StoredKey {
    let Held {
        environment_uid,
        rights,
        terms,
    } = held;
    StoredKey {
        sha256: sha256_hex(text.as_bytes()),
        kind: name.kind,
        environment_uid,
        name: name.name.clone(),
        projects: terms.projects,
        channel: terms.channel,
        origins: terms.origins,
        rights,
        last: text[text.len().saturating_sub(SHOWN_CHARACTERS)..].to_owned(),
        created_ms: ambient.now_ms(),
        expires_ms: None,
        rotated_ms: None,
        revoked_ms: None,
    }
}

/// A key as it is told of, in the names that environments have there.
pub(super) fn listing(workspace: &Workspace, key: &StoredKey) -> KeyListing {
    let environment = key.environment_uid.as_ref().and_then(|uid| {
        let mut environments = workspace.environments.iter();
        environments.find(|environment| environment.uid == *uid)
    });
    let rights = key.rights.as_ref();
    let places = rights.map(|own| own.environment_names(workspace));
    KeyListing {
        kind: key.kind,
        environment: environment.map(|environment| environment.name.clone()),
        name: key.name.clone(),
        projects: key.projects.clone(),
        channel: key.channel.clone(),
        origins: key.origins.clone(),
        role: rights.map(|own| own.role),
        environments: places.unwrap_or_default(),
        last: key.last.clone(),
        created_ms: key.created_ms,
        expires_ms: key.expires_ms,
        rotated_ms: key.rotated_ms,
        revoked_ms: key.revoked_ms,
    }
}

//! Who may ask, once revocations and defaults are applied?
//!
//! Nothing here is set aside: what cannot be read fails the whole snapshot.

use rustc_hash::FxHashSet;

use super::CompileError;
use crate::{
    limits::{KEYS_PER_ENVIRONMENT_MAX, USER_KEYS_MAX},
    snapshot::{
        model::{AccessRules, Key, Unsigned, UserKey},
        wire::{EnvironmentType, KeyPart, SettingsPart, UnsignedUsers},
    },
};

/// The rules for public keys. Where nobody chose, a place to try things in
/// takes unsigned users, and a place with real ones does not.
pub(super) fn rules(settings: &SettingsPart) -> Result<AccessRules, CompileError> {
    let Some(access) = &settings.access else {
        // A store that never asked must not be taken for one that got no
        // answer: its users would be locked out by a newer edge.
        return Ok(AccessRules {
            unsigned: Unsigned::Allowed,
            user_keys: Box::default(),
            refuse_force: false,
            browser_properties: None,
        });
    };
    let unsigned = match (access.unsigned_users, settings.environment_type) {
        (Some(UnsignedUsers::Allow), _)
        | (None, EnvironmentType::Development | EnvironmentType::Test) => Unsigned::Allowed,
        (Some(UnsignedUsers::Refuse), _) => Unsigned::Refused,
        (None, EnvironmentType::Preproduction | EnvironmentType::Production) => Unsigned::NotChosen,
    };
    let found = access.user_keys.len();
    if found > USER_KEYS_MAX {
        return Err(CompileError::TooManyUserKeys { found });
    }
    let mut user_keys: Vec<UserKey> = Vec::with_capacity(found);
    for part in &access.user_keys {
        if user_keys.iter().any(|known| known.id() == part.id) {
            return Err(CompileError::UserKeyTwice {
                id: part.id.clone(),
            });
        }
        let key = UserKey::parse(&part.id, &part.public);
        user_keys.push(key.map_err(CompileError::UserKey)?);
    }
    let listed = access.browser_properties.as_ref().map(|listed| {
        let mut names: Vec<Box<str>> = listed.iter().map(|name| name.as_str().into()).collect();
        names.sort_unstable();
        names.into()
    });
    Ok(AccessRules {
        unsigned,
        user_keys: user_keys.into(),
        refuse_force: access.refuse_force,
        browser_properties: listed,
    })
}

/// The keys that are not revoked.
pub(super) fn keys(parts: &[&KeyPart], revoked: &[String]) -> Result<Vec<Key>, CompileError> {
    if parts.len() > KEYS_PER_ENVIRONMENT_MAX {
        return Err(CompileError::TooManyKeys { found: parts.len() });
    }
    let mut gone = FxHashSet::default();
    for text in revoked {
        gone.insert(hash(text).ok_or_else(|| CompileError::RevokedKey {
            found: text.clone(),
        })?);
    }
    let mut seen = FxHashSet::default();
    let mut keys = Vec::with_capacity(parts.len());
    for part in parts {
        let sha256 = hash(&part.sha256).ok_or_else(|| CompileError::KeyHash {
            name: part.name.clone(),
            found: part.sha256.clone(),
        })?;
        if !seen.insert(sha256) {
            return Err(CompileError::KeyTwice {
                name: part.name.clone(),
            });
        }
        if !gone.contains(&sha256) {
            keys.push(Key {
                sha256,
                kind: part.kind,
                also: None,
                name: part.name.as_str().into(),
                projects: part
                    .projects
                    .iter()
                    .map(|sid| sid.as_str().into())
                    .collect(),
                channel: part.channel.as_deref().map(Into::into),
                origins: part.origins.iter().map(|own| own.as_str().into()).collect(),
            });
        }
    }
    Ok(keys)
}

/// The bytes that 64 lower-case hexadecimal digits stand for.
fn hash(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

//! How does a key end?
//!
//! Revoked, or by itself when the overlap of a rotation is over. Never the last
//! one that may do everything: nobody could make another.

use super::{
    keys::{Changed, KeyError, KeyListing, KeyName, listing, named, place, unknown},
    rights::Rights,
    workspace::{StoredKey, Workspace},
};
use crate::{clock::UnixMs, store::engine::Write};

/// Ends every valid secret of a name, or the one that ends with `last`.
pub(super) fn revoke(
    workspace: &Workspace,
    name: &KeyName,
    last: Option<&str>,
    now: UnixMs,
) -> Result<Changed<Vec<KeyListing>>, KeyError> {
    let environment_uid = place(workspace, name)?;
    let ended: Vec<String> = named(workspace, name, &environment_uid, now)
        .filter(|key| last.is_none_or(|last| key.last == last))
        .map(|key| key.sha256.clone())
        .collect();
    if ended.is_empty() {
        return Err(unknown(name, last));
    }
    Ok(end(workspace, &ended, now))
}

/// Refuses a change after which nobody could do everything any more.
pub(super) fn refuse_last(
    before: &Workspace,
    after: &Workspace,
    now: UnixMs,
) -> Result<(), KeyError> {
    let administers = |key: &&StoredKey| administers(key, now);
    let Some(last) = before.keys.iter().rfind(administers) else {
        return Ok(());
    };
    match after.keys.iter().find(administers) {
        Some(_) => Ok(()),
        None => Err(KeyError::LastAdmin(last.name.clone())),
    }
}

/// Whether whoever has the key can do everything, now and until they end it.
pub(super) fn administers(key: &StoredKey, now: UnixMs) -> bool {
    key.is_valid(now) && key.expires_ms.is_none() && key.rights.as_ref() == Some(&Rights::ALL)
}

/// Ends the keys whose overlap is over; none when nothing is due.
pub(super) fn expire(workspace: &Workspace, now: UnixMs) -> Option<Changed<Vec<KeyListing>>> {
    let over: Vec<String> = workspace
        .keys
        .iter()
        .filter(|key| key.revoked_ms.is_none() && !key.is_valid(now))
        .map(|key| key.sha256.clone())
        .collect();
    (!over.is_empty()).then(|| end(workspace, &over, now))
}

fn end(workspace: &Workspace, ended: &[String], now: UnixMs) -> Changed<Vec<KeyListing>> {
    let mut keys = workspace.keys.clone();
    let mut writes = Vec::new();
    let mut answer = Vec::new();
    for key in keys.iter_mut().filter(|key| ended.contains(&key.sha256)) {
        key.revoked_ms = Some(now);
        writes.push(Write::Key(key.clone()));
        answer.push(listing(workspace, key));
    }
    Changed {
        keys,
        writes,
        answer,
    }
}

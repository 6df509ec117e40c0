//! How do many users come into the ledger at once?
//!
//! Not as records of an edge but as lines of a file, merged property by
//! property like identify calls. One transaction takes a list of lines; a line
//! that does not fit is left out as a whole and told of. What is there already
//! is not written again, so that the same file twice changes nothing the second
//! time. Edges hear of what changed as of any other change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    erasing::{next_rev, note},
    identify::{check, merge_group, overlay},
};
use crate::{
    clock::UnixMs,
    limits::GROUPS_PER_USER_MAX,
    progress::event::{GroupDocument, GroupRecord, UserDocument},
    store::{
        AuditEntry,
        engine::{Ending, Engine, EngineError, LedgerTransaction},
        user_line::UserLine,
        workspace::Environment,
    },
};

/// What became of users, or of groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Nobody had heard of them.
    pub created: u64,
    /// Something is otherwise now.
    pub changed: u64,
    /// Everything was there.
    pub unchanged: u64,
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its place among those of the call, from 0.
    pub at: usize,
    /// What was found and what was expected.
    pub why: String,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedUsers {
    /// Mentions of users.
    pub users: Tally,
    /// Mentions of groups.
    pub groups: Tally,
    /// Lines that were left out.
    pub refused: Vec<Refused>,
}

impl Tally {
    fn count(&mut self, is_new: bool, is_changed: bool) {
        match (is_new, is_changed) {
            (true, _) => self.created += 1,
            (false, true) => self.changed += 1,
            (false, false) => self.unchanged += 1,
        }
    }

    fn writes(self) -> bool {
        self.created + self.changed > 0
    }
}

impl ImportedUsers {
    /// Whether anything is otherwise than before.
    pub(crate) fn writes(&self) -> bool {
        self.users.writes() || self.groups.writes()
    }
}

/// What is written down of an import.
pub(crate) type Telling<'a> = dyn Fn(&ImportedUsers) -> AuditEntry + 'a;

/// Takes these lines and writes down who did so; without anybody to tell that
/// of, only says what it would do. Lines that could not even be read are
/// refused with the reason.
pub(crate) fn import(
    engine: &dyn Engine,
    environment: &Environment,
    lines: &[Result<UserLine, String>],
    (told, now): (Option<&Telling<'_>>, UnixMs),
) -> Result<ImportedUsers, EngineError> {
    let mut done = ImportedUsers::default();
    engine.ledger(&environment.uid, &mut |rows| {
        // An engine may begin again.
        done = ImportedUsers::default();
        for (at, line) in lines.iter().enumerate() {
            let taken = match line {
                Ok(line) => take(rows, line, now, &mut done)?,
                Err(why) => Err(why.clone()),
            };
            if let Err(why) = taken {
                done.refused.push(Refused { at, why });
            }
        }
        let told = told.filter(|_| done.writes());
        let Some(told) = told else {
            return Ok(Ending::RollBack);
        };
        rows.audit(&told(&done))?;
        Ok(Ending::Commit)
    })?;
    Ok(done)
}

/// Takes one line, or says why not and has written nothing of it.
fn take(
    rows: &mut dyn LedgerTransaction,
    line: &UserLine,
    now: UnixMs,
    done: &mut ImportedUsers,
) -> Result<Result<(), String>, EngineError> {
    let (user, groups) = match line {
        UserLine::Group(group) => (None, std::slice::from_ref(group)),
        UserLine::User {
            user,
            properties,
            groups,
        } => {
            let known = rows.user(user)?.unwrap_or_else(|| super::unseen(user));
            let mut after = known.clone();
            overlay(&mut after.properties, properties);
            if let Err(why) = check("user", &after.properties) {
                return Ok(Err(why));
            }
            if let Err(why) = join(&mut after, groups) {
                return Ok(Err(why));
            }
            (Some((known, after)), groups.as_slice())
        }
    };
    let mut merged: BTreeMap<&str, (GroupRecord, GroupRecord)> = BTreeMap::new();
    for group in groups {
        let id = group.identifier.as_str();
        let (known, before) = match merged.remove(id) {
            Some(pair) => pair,
            None => {
                let known = rows.group(id)?.unwrap_or_default();
                (known.clone(), known)
            }
        };
        match merge_group(before, group, now) {
            Ok(after) => merged.insert(id, (known, after)),
            Err(why) => return Ok(Err(why)),
        };
    }
    // Everything fits: from here on the line is written.
    if let Some((known, after)) = user {
        put_user(rows, known, after, now, done)?;
    }
    for (known, after) in merged.into_values() {
        put_group(rows, &known, after, done)?;
    }
    Ok(Ok(()))
}

fn join(document: &mut UserDocument, groups: &[GroupDocument]) -> Result<(), String> {
    for group in groups {
        if !document.groups.contains(&group.identifier) {
            document.groups.push(group.identifier.clone());
        }
    }
    if document.groups.len() > GROUPS_PER_USER_MAX {
        return Err(format!(
            "the user would belong to {} groups (expected at most {GROUPS_PER_USER_MAX})",
            document.groups.len()
        ));
    }
    Ok(())
}

fn put_user(
    rows: &mut dyn LedgerTransaction,
    known: UserDocument,
    mut after: UserDocument,
    now: UnixMs,
    done: &mut ImportedUsers,
) -> Result<(), EngineError> {
    let is_new = known.doc_rev == 0;
    let is_changed = known.properties != after.properties || known.groups != after.groups;
    done.users.count(is_new, is_changed);
    if !is_new && !is_changed {
        return Ok(());
    }
    after.doc_rev = next_rev(rows, known.doc_rev)?;
    after.created_ms.get_or_insert(now);
    after.updated_ms = Some(now);
    // The last record is still the last, but no longer all there is: what its
    // edge decides next was not decided on this document.
    after.mixed |= after.last.is_some();
    rows.put_user(&after)?;
    note(rows, "user", (&after.identifier, after.doc_rev))
}

fn put_group(
    rows: &mut dyn LedgerTransaction,
    known: &GroupRecord,
    mut after: GroupRecord,
    done: &mut ImportedUsers,
) -> Result<(), EngineError> {
    let is_new = known.doc_rev == 0;
    let is_changed = known.properties != after.properties;
    done.groups.count(is_new, is_changed);
    if !is_new && !is_changed {
        return Ok(());
    }
    after.doc_rev = next_rev(rows, known.doc_rev)?;
    rows.put_group(&after)?;
    note(rows, "group", (&after.identifier, after.doc_rev))
}

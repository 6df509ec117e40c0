//! What does one line of the audit log say?
//!
//! Who changed what, as a document of its own: names are those of that moment,
//! so that an entry still reads when key, flow and environment are gone.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    clock::UnixMs,
    limits::{AUDIT_CHANGES_MAX, AUDIT_ENTRY_BYTES_MAX, AUDIT_STATE_BYTES_MAX},
    store::{
        rights::{Actor, Role},
        touching::{Places, Touched},
        workspace::Workspace,
    },
};

/// One accepted change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Grows; given by the engine.
    #[serde(default)]
    pub id: u64,
    /// When it was accepted.
    pub at_ms: UnixMs,
    /// In whose name.
    pub who: Who,
    /// What the caller called the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Everything it changed.
    pub changes: Vec<AuditChange>,
    /// How many more it changed than are told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands members to such functions by reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// In whose name something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Name of the key; `store` for what the store does by itself.
    pub name: String,
    /// Its role then.
    pub role: Role,
    /// Its last characters; none for the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditChange {
    /// `created`, `changed`, `deleted`, or what else was done.
    pub action: String,
    /// Which kind of thing.
    pub kind: String,
    /// What people call it.
    pub object: String,
    /// The version of a flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Names of the environments in which it is noticed; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<String>>,
    /// As it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// As it is from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// The environments by uid, for the engine to find it by.
    #[serde(skip)]
    pub(in crate::store) environment_uids: Option<Vec<String>>,
}

impl AuditEntry {
    /// Nothing yet, in somebody's name.
    pub(in crate::store) fn of(actor: &Actor, at_ms: UnixMs) -> Self {
        Self {
            id: 0,
            at_ms,
            who: Who {
                name: actor.name.clone(),
                role: actor.rights.role,
                last: actor.last.clone(),
            },
            request: actor.request.clone(),
            changes: Vec::new(),
            left_out: 0,
        }
    }

    /// The entry of a change between two workspaces.
    pub(in crate::store) fn of_change(
        actor: &Actor,
        at_ms: UnixMs,
        touched: &[Touched],
        (before, after): (&Workspace, &Workspace),
    ) -> Self {
        let mut entry = Self::of(actor, at_ms);
        let mut bytes = 0;
        for own in touched.iter().take(AUDIT_CHANGES_MAX) {
            let full = bytes >= AUDIT_ENTRY_BYTES_MAX;
            let change = AuditChange::between(own, (before, after), full, &mut bytes);
            entry.changes.push(change);
        }
        entry.left_out = touched.len().saturating_sub(AUDIT_CHANGES_MAX) as u64;
        entry
    }

    /// The same with something that is done in one environment and is no part
    /// of what is authored.
    #[must_use]
    pub(in crate::store) fn with(
        mut self,
        (action, kind, object): (&str, &str, &str),
        (environment_uid, environment): (&str, &str),
        after: Option<Value>,
    ) -> Self {
        let mut bytes = 0;
        self.changes.push(AuditChange {
            action: action.to_owned(),
            kind: kind.to_owned(),
            object: object.to_owned(),
            version: None,
            environments: Some(vec![environment.to_owned()]),
            before: None,
            after: after.map(|own| bounded(own, &mut bytes)),
            environment_uids: Some(vec![environment_uid.to_owned()]),
        });
        self
    }
}

impl AuditChange {
    fn between(
        own: &Touched,
        (before, after): (&Workspace, &Workspace),
        full: bool,
        bytes: &mut usize,
    ) -> Self {
        let name = |uid: &String| {
            let known = after.environment_by_uid(uid);
            let known = known.or_else(|| before.environment_by_uid(uid));
            known.map_or_else(|| uid.clone(), |own| own.name.clone())
        };
        let uids = match &own.places {
            Places::Everywhere => None,
            Places::In(uids) => Some(uids.clone()),
        };
        let (old, new) = own.states(before, after);
        let action = match (&old, &new) {
            (None, Some(_)) => "created",
            (Some(_), None) => "deleted",
            _ => "changed",
        };
        let mut kept = |state: Value| match full {
            true => left_out(state.to_string().len()),
            false => bounded(state, bytes),
        };
        Self {
            action: action.to_owned(),
            kind: own.kind().to_owned(),
            object: own.name.clone(),
            version: own.version(),
            environments: uids.as_ref().map(|uids| uids.iter().map(name).collect()),
            before: old.map(&mut kept),
            after: new.map(&mut kept),
            environment_uids: uids,
        }
    }
}

/// A state, or how long it is when it is too long to be kept.
fn bounded(state: Value, bytes: &mut usize) -> Value {
    let length = state.to_string().len();
    if length > AUDIT_STATE_BYTES_MAX {
        return left_out(length);
    }
    *bytes += length;
    state
}

fn left_out(bytes: usize) -> Value {
    json!({"leftOutBytes": bytes})
}

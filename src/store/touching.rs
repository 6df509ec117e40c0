//! What does a change touch?
//!
//! The one table over everything that can be written: what people call the
//! thing, who may write it, in which environments somebody notices, and what
//! it looks like before and after. Rights and the audit log both go by it, so
//! that a new kind of write cannot be forgotten by either.

use std::fmt;

use serde_json::{Value, json};

use super::{
    engine::Write,
    keys,
    outbox::receiver_of,
    rights::Role,
    workspace::{AuthoredVersion, Flow, StoredKey, Workspace},
};

/// Where a change is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// In every environment, also in those that are made later.
    Everywhere,
    /// In these, by uid; nowhere yet when there is none.
    In(Vec<String>),
}

/// One thing that a change touches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Touched {
    /// Which kind of thing.
    pub(super) kind: &'static str,
    /// What people call it.
    pub(super) id: String,
    /// Who may.
    pub(super) role: Role,
    /// Where it is noticed.
    pub(super) places: Places,
    /// As it was; none for what is made.
    pub(super) before: Option<Value>,
    /// As it is from now on; none for what is deleted.
    pub(super) after: Option<Value>,
}

impl fmt::Display for Touched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind, self.id)
    }
}

/// What a write touches between these two states; none for what publishing
/// writes, which changes nothing that anybody authored.
pub(super) fn touched(write: &Write, before: &Workspace, after: &Workspace) -> Option<Touched> {
    let seen = Seen { before, after };
    Some(match write {
        Write::Environment(own) => seen.environment(&own.uid, own.name.clone()),
        Write::Project(own) => seen.project(&own.sid),
        Write::Flow { uid, .. } | Write::DeleteFlow { uid } => seen.flow(uid),
        Write::Status {
            flow_uid,
            environment_uid,
            ..
        } => seen.status(flow_uid, environment_uid),
        Write::Version(own) => seen.version(&own.part.flow_uid, own.part.number),
        Write::Channel(own) => seen.channel(&own.name),
        Write::Deployment(own) => seen.deployment(&own.uid),
        Write::DeleteDeployment { uid } => seen.deployment(uid),
        Write::Key(own) => seen.key(own),
        Write::Document(..)
        | Write::Publication(_)
        | Write::Blob { .. }
        | Write::RetireBlob { .. }
        | Write::PruneBlobs { .. } => return None,
    })
}

/// A look at one thing on both sides of a change.
struct Seen<'w> {
    before: &'w Workspace,
    after: &'w Workspace,
}

impl Seen<'_> {
    fn both(&self, look: impl Fn(&Workspace) -> Option<Value>) -> (Option<Value>, Option<Value>) {
        (look(self.before), look(self.after))
    }

    fn environment(&self, uid: &str, id: String) -> Touched {
        let (before, after) = self.both(|all| Some(json!(all.environment_by_uid(uid)?)));
        Touched {
            kind: "environment",
            id,
            role: Role::Admin,
            places: Places::In(vec![uid.to_owned()]),
            before,
            after,
        }
    }

    /// Flows of every environment are grouped by it.
    fn project(&self, sid: &str) -> Touched {
        let (before, after) = self.both(|all| {
            let own = all.projects.get(sid)?;
            Some(json!({"sid": own.sid, "name": own.name}))
        });
        Touched {
            kind: "project",
            id: sid.to_owned(),
            role: Role::Admin,
            places: Places::Everywhere,
            before,
            after,
        }
    }

    /// Of what is said of a flow only those hear who are served a version.
    fn flow(&self, uid: &str) -> Touched {
        let (before, after) = self.both(|all| {
            let flow = all.flow_by_uid(uid)?;
            Some(json!({
                "sid": flow.sid, "uid": flow.uid, "name": flow.name, "project": flow.project,
                "refusePublicForce": flow.refuse_public_force,
                "deploymentsOnly": flow.deployments_only, "latest": flow.latest(),
            }))
        });
        Touched {
            kind: "flow",
            id: self.sid(uid),
            role: Role::Editor,
            places: Places::In(self.serving(uid, |flow| flow.latest() > 0)),
            before,
            after,
        }
    }

    fn status(&self, flow_uid: &str, environment_uid: &str) -> Touched {
        let (before, after) = self.both(|all| {
            let enabled = all.flow_by_uid(flow_uid)?.enabled_in(environment_uid);
            let environment = all.environment_by_uid(environment_uid);
            let environment = environment.map(|own| &own.name);
            Some(json!({"environment": environment, "enabled": enabled}))
        });
        Touched {
            kind: "status",
            id: self.sid(flow_uid),
            role: Role::Editor,
            places: Places::In(vec![environment_uid.to_owned()]),
            before,
            after,
        }
    }

    /// A draft is noticed where drafts are shown, a committed version where its
    /// flow is on.
    fn version(&self, flow_uid: &str, number: u32) -> Touched {
        let of = |all: &Workspace| {
            let flow = all.flow_by_uid(flow_uid)?;
            flow.versions.get(&number).cloned()
        };
        let (old, new) = (of(self.before), of(self.after));
        let settings_changed = match (&old, &new) {
            (Some(old), Some(new)) => old.webhooks != new.webhooks,
            _ => false,
        };
        let after = new.map(|own| {
            let mut told = version(&own);
            if settings_changed {
                // The settings are secrets; that they differ is none.
                told["webhookSettingsChanged"] = json!(true);
            }
            told
        });
        let sid = self.sid(flow_uid);
        let (id, places) = match number {
            0 => (format!("{sid}@draft"), self.with_drafts()),
            number => (format!("{sid}@{number}"), self.serving(flow_uid, |_| true)),
        };
        Touched {
            kind: "version",
            id,
            role: Role::Editor,
            places: Places::In(places),
            before: old.map(|own| version(&own)),
            after,
        }
    }

    /// What is said of a channel decides which deployments of it may be active.
    fn channel(&self, name: &str) -> Touched {
        let (before, after) = self.both(|all| Some(json!(all.channels.get(name)?)));
        let deployments = self.after.deployments.values();
        let mut places: Vec<String> = deployments
            .filter(|own| own.channel == name)
            .map(|own| own.environment_uid.clone())
            .collect();
        places.sort();
        places.dedup();
        Touched {
            kind: "channel",
            id: name.to_owned(),
            role: Role::Editor,
            places: Places::In(places),
            before,
            after,
        }
    }

    fn deployment(&self, uid: &str) -> Touched {
        let of = |all: &Workspace| all.deployments.get(uid).cloned();
        let (old, new) = (of(self.before), of(self.after));
        let mut places: Vec<String> = Vec::new();
        let mut id = uid.to_owned();
        for own in old.iter().chain(&new) {
            places.push(own.environment_uid.clone());
            id.clone_from(&own.name);
        }
        places.dedup();
        Touched {
            kind: "deployment",
            id,
            role: Role::Editor,
            places: Places::In(places),
            before: old.map(|own| json!(own)),
            after: new.map(|own| json!(own)),
        }
    }

    /// A key of the authoring API is noticed wherever it may do something.
    fn key(&self, own: &StoredKey) -> Touched {
        let listed = |all: &Workspace| {
            let mut keys = all.keys.iter();
            let found = keys.find(|key| key.sha256 == own.sha256)?;
            Some(json!(keys::listing(all, found)))
        };
        let (before, after) = self.both(listed);
        let places = match (&own.environment_uid, &own.rights) {
            (Some(uid), _) => Places::In(vec![uid.clone()]),
            (None, Some(rights)) if !rights.environments.is_empty() => {
                Places::In(rights.environments.clone())
            }
            (None, _) => Places::Everywhere,
        };
        Touched {
            kind: "key",
            id: format!("{} {}", own.kind.name(), own.name),
            role: Role::Admin,
            places,
            before,
            after,
        }
    }

    fn sid(&self, uid: &str) -> String {
        let flow = self.after.flow_by_uid(uid);
        let flow = flow.or_else(|| self.before.flow_by_uid(uid));
        flow.map_or_else(|| uid.to_owned(), |flow| flow.sid.clone())
    }

    /// Environments in which a flow of which this is true was or is on.
    fn serving(&self, uid: &str, counts: impl Fn(&Flow) -> bool) -> Vec<String> {
        let serves = |all: &Workspace, environment: &str| {
            let flow = all.flow_by_uid(uid);
            flow.is_some_and(|flow| counts(flow) && flow.enabled_in(environment))
        };
        let environments = self.after.environments.iter().map(|own| &own.uid);
        environments
            .filter(|own| serves(self.before, own) || serves(self.after, own))
            .cloned()
            .collect()
    }

    fn with_drafts(&self) -> Vec<String> {
        let environments = self.after.environments.iter();
        let showing = environments.filter(|own| own.drafts);
        showing.map(|own| own.uid.clone()).collect()
    }
}

/// A version without what its webhooks are called with.
fn version(own: &AuthoredVersion) -> Value {
    let mut told = json!(own.part);
    told["message"] = json!(own.message);
    told["author"] = json!(own.author);
    let receivers = own.webhooks.iter();
    let receivers = receivers.map(|(uid, own)| (uid.clone(), json!(receiver_of(&own.url))));
    let receivers: serde_json::Map<String, Value> = receivers.collect();
    if !receivers.is_empty() {
        told["receivers"] = Value::Object(receivers);
    }
    told
}

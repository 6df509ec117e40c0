//! Was a change meant where users notice it at once?
//!
//! An environment that real users are in wants such changes confirmed: whoever
//! makes them says its name. One table tells of everything that can be written
//! whom it takes by surprise. Drafts and new versions surprise nobody: they are
//! seen by whoever asks for them, and deployments say where they are served.
//! Nor does what stands in an environment, a flow or a project that is new.

use std::collections::BTreeSet;

use super::{
    Flag, StoreError,
    engine::Write,
    touching::touched,
    workspace::{Environment, Flow, StoredKey, Workspace},
};

/// Names the environments whose change is meant, between commas.
pub const CONFIRM_HEADER: &str = "flowgate-confirm";

/// In which environments changes are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// The store's own, and whatever was decided before it.
    Everywhere,
    /// By name.
    In(Vec<String>),
}

impl Meant {
    /// From the header.
    pub(super) fn read(header: Option<&str>) -> Self {
        let names = header.into_iter().flat_map(|text| text.split(','));
        let names = names.map(str::trim).filter(|name| !name.is_empty());
        Self::In(names.map(ToOwned::to_owned).collect())
    }

    fn names(&self, environment: &Environment) -> bool {
        match self {
            Self::Everywhere => true,
            Self::In(names) => names.contains(&environment.name),
        }
    }
}

/// Whether users notice a write at once, and where.
#[derive(Debug, PartialEq, Eq)]
enum Noticed {
    /// By nobody who was there before.
    Nowhere,
    /// Where changes have to be confirmed, by environment uid.
    In(Vec<String>),
    /// And that is so grave that it is always confirmed.
    Always(String),
}

/// Refuses what somebody may not have meant.
pub(super) fn refuse_unmeant(
    meant: &Meant,
    writes: &[Write],
    before: &Workspace,
    after: &Workspace,
) -> Result<(), StoreError> {
    let mut what = None;
    let mut environments: Vec<String> = Vec::new();
    for write in writes {
        let noticed = noticed(write, before, after);
        let open = before.environments.iter().filter(|own| match &noticed {
            Noticed::Nowhere => false,
            Noticed::In(uids) => own.confirm_changes && uids.contains(&own.uid),
            Noticed::Always(uid) => own.uid == *uid,
        });
        for own in open.filter(|own| !meant.names(own)) {
            what = what.or_else(|| match &noticed {
                Noticed::Always(_) => Some("deletes everything, users included,".to_owned()),
                _ => Some(format!("changes {}", touched(write, before, after)?)),
            });
            if !environments.contains(&own.name) {
                environments.push(own.name.clone());
            }
        }
    }
    if environments.is_empty() {
        return Ok(());
    }
    Err(StoreError::Unconfirmed {
        what: what.unwrap_or_else(|| "changes something".to_owned()),
        environments,
    })
}

/// The table: who is taken by surprise by what.
fn noticed(write: &Write, before: &Workspace, after: &Workspace) -> Noticed {
    let here = |uid: &String| Noticed::In(vec![uid.clone()]);
    // Of a flow that is new it is how it begins.
    let is_known = |flow_uid: &str| before.flow_by_uid(flow_uid).is_some();
    match write {
        Write::Environment(own) => here(&own.uid),
        Write::DeleteEnvironment(own) => Noticed::Always(own.uid.clone()),
        Write::Project(own) => Noticed::In(moved(&own.sid, before, after)),
        Write::Status {
            flow_uid,
            environment_uid,
            ..
        } if is_known(flow_uid) => here(environment_uid),
        // Content of one that was committed.
        Write::Version(own) if own.part.number > 0 => {
            let (flow_uid, number) = (&own.part.flow_uid, own.part.number);
            let flow = before.flow_by_uid(flow_uid);
            let known = flow.filter(|flow| flow.versions.contains_key(&number));
            Noticed::In(shown(known, before))
        }
        Write::Flow { uid, .. } => {
            let (was, is) = (before.flow_by_uid(uid), after.flow_by_uid(uid));
            let acts = |own: &Flow| {
                let rules = (own.deployments_only, own.refuse_public_force);
                (rules, own.project.clone())
            };
            // A name is for people.
            match was.map(acts) == is.map(acts) {
                true => Noticed::Nowhere,
                false => Noticed::In(shown(was, before)),
            }
        }
        Write::Channel(own) => Noticed::In(rerouted(&own.name, before, after)),
        Write::Content {
            environment_uid,
            version,
        } if is_known(&version.part.flow_uid) => here(environment_uid),
        Write::DeleteContent {
            environment_uid, ..
        } => here(environment_uid),
        Write::Deployment(own) if is_known(&own.flow_uid) => here(&own.environment_uid),
        Write::DeleteDeployment { uid } => {
            let known = before.deployments.get(uid);
            known.map_or(Noticed::Nowhere, |own| here(&own.environment_uid))
        }
        Write::Flag(own) => Noticed::In(switched(&own.name, before, after)),
        Write::DeleteFlag { name } => Noticed::In(switched(name, before, after)),
        Write::Segment(own) => Noticed::In(narrowed(own.id, before, after)),
        Write::DeleteSegment { id } => Noticed::In(narrowed(*id, before, after)),
        // Who had it is turned away, now or sooner than they were to be; a new
        // one turns nobody away.
        Write::Key(own) if own.revoked_ms.is_some() || ends_sooner(own, before) => {
            let place = own.environment_uid.as_ref();
            place.map_or(Noticed::Nowhere, here)
        }
        Write::Status { .. }
        | Write::Version(_)
        | Write::Content { .. }
        | Write::Deployment(_)
        | Write::Key(_) => Noticed::Nowhere,
        // What is named here is empty, or refused while it is seen.
        Write::ForgetEnvironment { .. }
        | Write::Audit(_)
        | Write::DeleteProject { .. }
        | Write::DeleteFlow { .. }
        | Write::Document(..)
        | Write::Publication(_)
        | Write::Blob { .. }
        | Write::RetireBlob { .. }
        | Write::PruneBlobs { .. } => Noticed::Nowhere,
    }
}

/// Uids of environments that show a flow; none of one that is new.
fn shown(flow: Option<&Flow>, before: &Workspace) -> Vec<String> {
    let environments = before.environments.iter().map(|own| &own.uid);
    let shown = environments.filter(|uid| flow.is_some_and(|flow| before.is_shown(flow, uid)));
    shown.cloned().collect()
}

/// Uids of environments with a deployment on a channel that serves one flow
/// from now on, or does so no longer: requests that name no flow go by it.
fn rerouted(name: &str, before: &Workspace, after: &Workspace) -> Vec<String> {
    let is_exclusive = |all: &Workspace| all.channels.get(name).is_some_and(|own| own.exclusive);
    if is_exclusive(before) == is_exclusive(after) {
        return Vec::new();
    }
    let on_it = before
        .deployments
        .values()
        .filter(|own| own.channel == name);
    let places: BTreeSet<&String> = on_it.map(|own| &own.environment_uid).collect();
    places.into_iter().cloned().collect()
}

/// Whether a secret that is there ends before the time it was to end.
fn ends_sooner(key: &StoredKey, before: &Workspace) -> bool {
    let mut keys = before.keys.iter();
    let Some(was) = keys.find(|own| own.sha256 == key.sha256) else {
        return false;
    };
    match (was.expires_ms, key.expires_ms) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(was), Some(is)) => is < was,
    }
}

/// Uids of environments that come to show a project's flows, or do no longer.
fn moved(sid: &str, before: &Workspace, after: &Workspace) -> Vec<String> {
    let (Some(was), Some(is)) = (before.projects.get(sid), after.projects.get(sid)) else {
        return Vec::new();
    };
    let environments = before.environments.iter().map(|own| &own.uid);
    let moved = environments.filter(|uid| was.is_active_in(uid) != is.is_active_in(uid));
    moved.cloned().collect()
}

/// Uids of environments where a flag is on for others than before, or would be
/// when it is on. What is only for its authors to read is noticed by nobody.
fn switched(name: &str, before: &Workspace, after: &Workspace) -> Vec<String> {
    let Some(was) = before.flags.get(name) else {
        return Vec::new();
    };
    let is = after.flags.get(name);
    let settings = |flag: &Flag, uid: &str| {
        let own = flag.environments.get(uid);
        own.map(|own| (own.enabled, own.strategies.clone(), own.variants.clone()))
    };
    let shared = |flag: &Flag| {
        (
            flag.archived_ms.is_some(),
            flag.variants.clone(),
            flag.dependencies.clone(),
        )
    };
    let is_shared_changed = is.map(|flag| shared(flag)) != Some(shared(was));
    let environments = before.environments.iter().map(|own| &own.uid);
    let noticed = environments.filter(|uid| {
        let is_on = was.enabled_in(uid) || is.is_some_and(|flag| flag.enabled_in(uid));
        let own_changed = is.is_some_and(|flag| settings(flag, uid) != settings(was, uid));
        own_changed || is_shared_changed && is_on
    });
    noticed.cloned().collect()
}

/// Uids of environments in which flags go by a segment that says something else
/// from now on.
fn narrowed(id: i64, before: &Workspace, after: &Workspace) -> Vec<String> {
    let constraints = |all: &Workspace| all.segments.get(&id).map(|own| own.constraints.clone());
    if constraints(before) == constraints(after) {
        return Vec::new();
    }
    let flags = before.flags.values();
    let used = flags
        .flat_map(|flag| &flag.environments)
        .filter(|(_, own)| {
            let mut segments = own.strategies.iter().flat_map(|own| &own.segments);
            segments.any(|own| *own == id)
        });
    let places: BTreeSet<&String> = used.map(|(uid, _)| uid).collect();
    places.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests;

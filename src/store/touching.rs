//! What does a change touch?
//!
//! The one table over everything that can be written: what people call the
//! thing, who may write it, in which environments somebody notices, and what
//! it looks like before and after. Rights and the audit log both go by it, so
//! that a new kind of write cannot be forgotten by either.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde_json::{Value, json};

use super::{
    engine::Write,
    export,
    flags::{Flag, FlagSettings},
    keys,
    outbox::receiver_of,
    rights::Role,
    workspace::{AuthoredVersion, Flow, StoredKey, Workspace},
};
use crate::snapshot::sha256_hex;

/// Hexadecimal digits of a tag: nobody tries to find two states with one tag.
const TAG_DIGITS: usize = 32;

/// Where a change is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// In every environment, also in those that are made later.
    Everywhere,
    /// In these, by uid; nowhere yet when there is none.
    In(Vec<String>),
}

/// One thing that a change touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    /// Which one.
    thing: Thing,
    /// What people call it.
    pub(super) name: String,
    /// Who may.
    pub(super) role: Role,
    /// Where it is noticed.
    pub(super) places: Places,
}

/// What can be written, by what never changes about it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    /// Uid.
    Environment(String),
    /// Sid.
    Project(String),
    /// Uid.
    Flow(String),
    /// Of a flow in an environment, by their uids.
    Status(String, String),
    /// Of a flow, by its uid, and number.
    Version(String, u32),
    /// The same as one environment sees it, by its uid.
    Content(String, u32, String),
    /// Name.
    Channel(String),
    /// Uid.
    Deployment(String),
    /// Name.
    Flag(String),
    /// Number.
    Segment(i64),
    /// SHA-256.
    Key(String),
}

impl fmt::Display for Touched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.thing {
            Thing::Status(..) => write!(f, "the status of flow {name:?}"),
            Thing::Version(_, 0) => write!(f, "the draft of flow {name:?}"),
            Thing::Version(_, number) => write!(f, "version {number} of flow {name:?}"),
            Thing::Content(_, number, _) => {
                write!(f, "the content of version {number} of flow {name:?}")
            }
            _ => write!(f, "{} {name:?}", self.kind()),
        }
    }
}

impl Touched {
    /// Which kind of thing.
    pub(super) fn kind(&self) -> &'static str {
        match self.thing {
            Thing::Environment(_) => "environment",
            Thing::Project(_) => "project",
            Thing::Flow(_) => "flow",
            Thing::Status(..) => "status",
            Thing::Version(..) => "version",
            Thing::Content(..) => "content",
            Thing::Channel(_) => "channel",
            Thing::Deployment(_) => "deployment",
            Thing::Flag(_) => "flag",
            Thing::Segment(_) => "segment",
            Thing::Key(_) => "key",
        }
    }

    /// The version of a flow, where it is one.
    pub(super) fn version(&self) -> Option<u32> {
        match self.thing {
            Thing::Version(_, number) | Thing::Content(_, number, _) => Some(number),
            _ => None,
        }
    }

    /// As it was and as it is; none where it is not there. Nothing secret is
    /// in it: neither texts nor hashes of keys, nor what webhooks are sent.
    pub(super) fn states(
        &self,
        before: &Workspace,
        after: &Workspace,
    ) -> (Option<Value>, Option<Value>) {
        let (old, mut new) = (self.thing.state(before), self.thing.state(after));
        if let Thing::Version(uid, number) = &self.thing
            && let (Some(was), Some(is)) = (
                authored(before, uid, *number),
                authored(after, uid, *number),
            )
            && was.webhooks != is.webhooks
            && let Some(new) = &mut new
        {
            // The settings are secrets; that they differ is none.
            new["webhookSettingsChanged"] = json!(true);
        }
        (old, new)
    }
}

impl Thing {
    fn state(&self, all: &Workspace) -> Option<Value> {
        Some(match self {
            Self::Environment(uid) => json!(all.environment_by_uid(uid)?),
            Self::Project(sid) => {
                let own = all.projects.get(sid)?;
                let listed = own.environments.as_ref().map(|uids| {
                    let active = all.environments.iter();
                    let active = active.filter(|own| uids.contains(&own.uid));
                    active.map(|own| own.name.clone()).collect::<Vec<_>>()
                });
                json!({"sid": own.sid, "name": own.name, "environments": listed})
            }
            Self::Flow(uid) => {
                let flow = all.flow_by_uid(uid)?;
                json!({
                    "sid": flow.sid, "uid": flow.uid, "name": flow.name, "project": flow.project,
                    "refusePublicForce": flow.refuse_public_force,
                    "deploymentsOnly": flow.deployments_only, "latest": flow.latest(),
                })
            }
            Self::Status(uid, environment_uid) => {
                let enabled = all.flow_by_uid(uid)?.enabled_in(environment_uid);
                let environment = all.environment_by_uid(environment_uid)?;
                json!({"environment": environment.name, "enabled": enabled})
            }
            Self::Version(uid, number) => version(authored(all, uid, *number)?),
            Self::Content(uid, number, environment_uid) => {
                let place = (*number, environment_uid.clone());
                let mut told = version(all.flow_by_uid(uid)?.content.get(&place)?);
                let environment = all.environment_by_uid(environment_uid);
                told["environment"] = json!(environment.map(|own| &own.name));
                told
            }
            Self::Channel(name) => json!(all.channels.get(name)?),
            Self::Deployment(uid) => {
                let own = all.deployments.get(uid)?;
                let mut told = json!(own);
                let environment = all.environment_by_uid(&own.environment_uid);
                told["environment"] = json!(environment.map(|own| &own.name));
                told["flow"] = json!(all.flow_by_uid(&own.flow_uid).map(|own| &own.sid));
                told
            }
            // As project files have them; both can be written as one.
            Self::Flag(name) => export::flag_value(all, all.flags.get(name)?).ok()?,
            Self::Segment(id) => export::segment_value(all.segments.get(id)?).ok()?,
            Self::Key(sha256) => {
                let mut keys = all.keys.iter();
                json!(keys::listing(all, keys.find(|own| own.sha256 == *sha256)?))
            }
        })
    }
}

/// The tag of a project.
pub(super) fn project_tag(all: &Workspace, sid: &str) -> String {
    tag_of(Thing::Project(sid.to_owned()).state(all))
}

/// The tag of what is said of a channel; empty when nothing is.
pub(super) fn channel_tag(all: &Workspace, name: &str) -> String {
    tag_of(Thing::Channel(name.to_owned()).state(all))
}

/// The tag of a deployment.
pub(super) fn deployment_tag(all: &Workspace, uid: &str) -> String {
    tag_of(Thing::Deployment(uid.to_owned()).state(all))
}

/// The tag of an environment.
pub(super) fn environment_tag(all: &Workspace, uid: &str) -> String {
    tag_of(Thing::Environment(uid.to_owned()).state(all))
}

/// The tag of what is said of a flow, and of where it is on.
pub(super) fn flow_tag(all: &Workspace, uid: &str) -> String {
    let state = Thing::Flow(uid.to_owned()).state(all);
    tag_of(state.map(|mut state| {
        let environments = all.environments.iter();
        let on = environments.filter_map(|own| {
            let enabled = all.flow_by_uid(uid)?.enabled_in(&own.uid);
            Some((own.uid.clone(), json!(enabled)))
        });
        state["status"] = Value::Object(on.collect());
        state
    }))
}

/// Empty when there is nothing.
fn tag_of(state: Option<Value>) -> String {
    let Some(state) = state else {
        return String::new();
    };
    let mut tag = sha256_hex(state.to_string().as_bytes());
    tag.truncate(TAG_DIGITS);
    tag
}

/// What a write touches between these two states; none for what publishing
/// writes, which changes nothing that anybody authored.
pub(super) fn touched(write: &Write, before: &Workspace, after: &Workspace) -> Option<Touched> {
    let seen = Seen { before, after };
    Some(match write {
        Write::Environment(own) => environment(&own.uid, &own.name),
        Write::DeleteEnvironment(own) => environment(&own.uid, &own.name),
        Write::Project(own) => project(&own.sid),
        Write::DeleteProject { sid } => project(sid),
        Write::Flow { uid, .. } | Write::DeleteFlow { uid } => seen.flow(uid),
        Write::Status {
            flow_uid,
            environment_uid,
            ..
        } => Touched {
            thing: Thing::Status(flow_uid.clone(), environment_uid.clone()),
            name: seen.sid(flow_uid),
            role: Role::Editor,
            places: Places::In(vec![environment_uid.clone()]),
        },
        Write::Version(own) => seen.version(&own.part.flow_uid, own.part.number),
        Write::Content {
            environment_uid,
            version,
        } => seen.content(
            (&version.part.flow_uid, version.part.number),
            environment_uid,
        ),
        Write::DeleteContent {
            flow_uid,
            number,
            environment_uid,
        } => seen.content((flow_uid, *number), environment_uid),
        Write::Channel(own) => seen.channel(&own.name),
        Write::Deployment(own) => seen.deployment(&own.uid),
        Write::DeleteDeployment { uid } => seen.deployment(uid),
        Write::Flag(own) => seen.flag(&own.name),
        Write::DeleteFlag { name } => seen.flag(name),
        Write::Segment(own) => seen.segment(own.id),
        Write::DeleteSegment { id } => seen.segment(*id),
        Write::Key(own) => key(own),
        // Nobody asks for it any more.
        Write::ForgetEnvironment { .. }
        | Write::Audit(_)
        | Write::Document(..)
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
    /// Of what is said of a flow only those hear who are served a version.
    fn flow(&self, uid: &str) -> Touched {
        Touched {
            thing: Thing::Flow(uid.to_owned()),
            name: self.sid(uid),
            role: Role::Editor,
            places: Places::In(self.serving(uid, |flow| flow.latest() > 0)),
        }
    }

    /// A draft is noticed where drafts are shown, a committed version where its
    /// flow is on.
    fn version(&self, flow_uid: &str, number: u32) -> Touched {
        Touched {
            thing: Thing::Version(flow_uid.to_owned(), number),
            name: self.sid(flow_uid),
            role: Role::Editor,
            places: Places::In(match number {
                0 => self.with_drafts(),
                _ => self.serving(flow_uid, |_| true),
            }),
        }
    }

    fn content(&self, (flow_uid, number): (&str, u32), environment_uid: &str) -> Touched {
        let environment_uid = environment_uid.to_owned();
        Touched {
            thing: Thing::Content(flow_uid.to_owned(), number, environment_uid.clone()),
            name: self.sid(flow_uid),
            role: Role::Editor,
            places: Places::In(vec![environment_uid]),
        }
    }

    /// What is said of a channel decides which deployments of it may be active.
    fn channel(&self, name: &str) -> Touched {
        let deployments = self.after.deployments.values();
        let mut places: Vec<String> = deployments
            .filter(|own| own.channel == name)
            .map(|own| own.environment_uid.clone())
            .collect();
        places.sort();
        places.dedup();
        Touched {
            thing: Thing::Channel(name.to_owned()),
            name: name.to_owned(),
            role: Role::Editor,
            places: Places::In(places),
        }
    }

    fn deployment(&self, uid: &str) -> Touched {
        let mut places: Vec<String> = Vec::new();
        let mut name = uid.to_owned();
        for all in [self.before, self.after] {
            if let Some(own) = all.deployments.get(uid) {
                places.push(own.environment_uid.clone());
                name.clone_from(&own.name);
            }
        }
        places.dedup();
        Touched {
            thing: Thing::Deployment(uid.to_owned()),
            name,
            role: Role::Editor,
            places: Places::In(places),
        }
    }

    /// A flag is noticed where it is on, and by its strategies wherever they are
    /// another's than before.
    fn flag(&self, name: &str) -> Touched {
        let of = |all: &Workspace| all.flags.get(name).cloned();
        let (old, new) = (of(self.before), of(self.after));
        let environments = self.after.environments.iter().map(|own| &own.uid);
        let places = environments.filter(|uid| {
            let settings = |flag: &Option<Arc<Flag>>| {
                let flag = flag.as_ref()?;
                flag.environments.get(*uid).cloned()
            };
            let (was, is) = (settings(&old), settings(&new));
            let is_on = |own: &Option<FlagSettings>| own.as_ref().is_some_and(|own| own.enabled);
            was != is || is_on(&was) || is_on(&is)
        });
        Touched {
            thing: Thing::Flag(name.to_owned()),
            name: name.to_owned(),
            role: Role::Editor,
            places: Places::In(places.cloned().collect()),
        }
    }

    /// A segment is noticed where strategies refer to it.
    fn segment(&self, id: i64) -> Touched {
        let of = |all: &Workspace| all.segments.get(&id).cloned();
        let named = of(self.after).or_else(|| of(self.before));
        let flags = self.after.flags.values();
        let used = flags
            .flat_map(|flag| &flag.environments)
            .filter(|(_, own)| {
                let mut segments = own.strategies.iter().flat_map(|own| &own.segments);
                segments.any(|own| *own == id)
            });
        let places: BTreeSet<&String> = used.map(|(uid, _)| uid).collect();
        Touched {
            thing: Thing::Segment(id),
            name: named.map_or_else(|| id.to_string(), |own| own.name.clone()),
            role: Role::Editor,
            places: Places::In(places.into_iter().cloned().collect()),
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

fn environment(uid: &str, name: &str) -> Touched {
    Touched {
        thing: Thing::Environment(uid.to_owned()),
        name: name.to_owned(),
        role: Role::Admin,
        places: Places::In(vec![uid.to_owned()]),
    }
}

/// Flows of every environment are grouped by it.
fn project(sid: &str) -> Touched {
    Touched {
        thing: Thing::Project(sid.to_owned()),
        name: sid.to_owned(),
        role: Role::Admin,
        places: Places::Everywhere,
    }
}

/// A key of the authoring API is noticed wherever it may do something.
fn key(own: &StoredKey) -> Touched {
    let places = match (&own.environment_uid, &own.rights) {
        (Some(uid), _) => Places::In(vec![uid.clone()]),
        (None, Some(rights)) if !rights.environments.is_empty() => {
            Places::In(rights.environments.clone())
        }
        (None, _) => Places::Everywhere,
    };
    Touched {
        thing: Thing::Key(own.sha256.clone()),
        name: own.name.clone(),
        role: Role::Admin,
        places,
    }
}

fn authored<'w>(all: &'w Workspace, flow_uid: &str, number: u32) -> Option<&'w AuthoredVersion> {
    let version = all.flow_by_uid(flow_uid)?.versions.get(&number)?;
    Some(version)
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

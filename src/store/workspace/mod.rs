//! What has been authored?
//!
//! The store's picture of everything people write: environments, projects,
//! flows with their versions and status, channels, deployments, and keys. It
//! is loaded from the engine once and changed only together with it. Versions
//! are behind `Arc`s, so that trying a change out on a copy costs little.

mod environment;

pub use environment::{DeletedEnvironment, Environment, Project};

use std::{
    collections::{BTreeMap, HashMap},
    ops::Deref,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    flags::{Flags, Segments},
    rights::Rights,
};
use crate::{
    clock::UnixMs,
    snapshot::wire::{
        DeploymentPart, KeyKind, OnVersionChange, RolloutPart, VersionPart, VersionPolicy,
    },
};

/// Everything authored in this store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workspace {
    /// In the order in which they were created.
    pub environments: Vec<Environment>,
    /// By sid.
    pub projects: BTreeMap<String, Project>,
    /// By sid; sids are unique over all projects, because a snapshot finds
    /// flows by sid alone.
    pub flows: Flows,
    /// Channels that somebody described, by name.
    pub channels: BTreeMap<String, Channel>,
    /// Of all environments, by uid.
    pub deployments: BTreeMap<String, Deployment>,
    /// Of all projects, by name; archived ones stay.
    pub flags: Flags,
    /// Of all projects, by number.
    pub segments: Segments,
    /// In the order in which they were created; revoked ones stay.
    pub keys: Vec<StoredKey>,
    /// By uid: those whose edges are still told what happened.
    pub deleted: BTreeMap<String, DeletedEnvironment>,
}

impl Workspace {
    /// The environment with this name.
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|own| own.name == name)
    }

    /// The flow with this uid.
    pub(crate) fn flow_by_uid(&self, uid: &str) -> Option<&Flow> {
        self.flows.by_uid(uid)
    }

    /// The environment with this uid.
    pub(crate) fn environment_by_uid(&self, uid: &str) -> Option<&Environment> {
        self.environments.iter().find(|own| own.uid == uid)
    }

    /// The environment that went by this name until it was deleted.
    pub(crate) fn deleted(&self, name: &str) -> Option<&DeletedEnvironment> {
        let mut named = self.deleted.values().filter(|own| own.name == name);
        named.next().filter(|_| self.environment(name).is_none())
    }

    /// Whether an environment shows the flow at all.
    pub(crate) fn is_shown(&self, flow: &Flow, environment_uid: &str) -> bool {
        self.shows(&flow.project, environment_uid)
    }

    /// Whether an environment shows what is of a project.
    pub(super) fn shows(&self, project: &str, environment_uid: &str) -> bool {
        let project = self.projects.get(project);
        project.is_none_or(|project| project.is_active_in(environment_uid))
    }

    /// The deployment that people call so in an environment.
    pub(crate) fn deployment(&self, environment_uid: &str, name: &str) -> Option<&Deployment> {
        self.deployments_in(environment_uid)
            .find(|own| own.name == name)
    }

    /// Those of flows that the environment shows.
    pub(crate) fn shown_deployments(
        &self,
        environment_uid: &str,
    ) -> impl Iterator<Item = &Deployment> {
        let all = self.deployments_in(environment_uid);
        all.filter(move |own| {
            let flow = self.flow_by_uid(&own.flow_uid);
            flow.is_none_or(|flow| self.is_shown(flow, environment_uid))
        })
    }

    /// The deployments of an environment, ascending by uid.
    pub(crate) fn deployments_in(
        &self,
        environment_uid: &str,
    ) -> impl Iterator<Item = &Deployment> {
        self.deployments
            .values()
            .filter(move |own| own.environment_uid == environment_uid)
    }
}

/// Flows by sid, and found by uid as fast: every record names its flow so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flows {
    by_sid: BTreeMap<String, Flow>,
    /// By uid.
    sids: HashMap<String, String>,
}

impl Flows {
    /// Adds a flow, or puts it in the place of the one with this sid.
    pub(crate) fn insert(&mut self, sid: String, flow: Flow) {
        let uid = flow.uid.clone();
        let before = self.by_sid.insert(sid.clone(), flow);
        if let Some(before) = before {
            self.sids.remove(&before.uid);
        }
        self.sids.insert(uid, sid);
    }

    /// Takes a flow out.
    pub(crate) fn remove(&mut self, sid: &str) {
        if let Some(flow) = self.by_sid.remove(sid) {
            self.sids.remove(&flow.uid);
        }
    }

    /// Sets a flow's status in an environment.
    pub(crate) fn set_status(&mut self, sid: &str, environment_uid: &str, enabled: bool) {
        if let Some(flow) = self.by_sid.get_mut(sid) {
            flow.status.insert(environment_uid.to_owned(), enabled);
        }
    }

    /// Puts content of its own onto a version in an environment, or takes it away.
    pub(crate) fn set_content(
        &mut self,
        sid: &str,
        (number, environment_uid): (u32, &str),
        content: Option<Arc<AuthoredVersion>>,
    ) {
        let Some(flow) = self.by_sid.get_mut(sid) else {
            return;
        };
        let place = (number, environment_uid.to_owned());
        match content {
            Some(content) => flow.content.insert(place, content),
            None => flow.content.remove(&place),
        };
    }

    /// Forgets what flows have of their own in an environment.
    pub(crate) fn forget_environment(&mut self, environment_uid: &str) {
        for flow in self.by_sid.values_mut() {
            flow.status.remove(environment_uid);
            flow.content.retain(|(_, own), _| own != environment_uid);
        }
    }

    fn by_uid(&self, uid: &str) -> Option<&Flow> {
        self.by_sid.get(self.sids.get(uid)?)
    }
}

impl Deref for Flows {
    type Target = BTreeMap<String, Flow>;

    fn deref(&self) -> &Self::Target {
        &self.by_sid
    }
}

impl FromIterator<Flow> for Flows {
    fn from_iter<T: IntoIterator<Item = Flow>>(flows: T) -> Self {
        let mut all = Self::default();
        for flow in flows {
            all.insert(flow.sid.clone(), flow);
        }
        all
    }
}

/// A flow with everything known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Never changes, never reused.
    pub uid: String,
    /// What client code says.
    pub sid: String,
    /// For people.
    pub name: String,
    /// Project sid.
    pub project: String,
    /// Whether public keys may not `force` a start.
    pub refuse_public_force: bool,
    /// Whether it answers as empty without a deployment.
    pub deployments_only: bool,
    /// Environment uid to status; an environment that is missing has it enabled.
    pub status: BTreeMap<String, bool>,
    /// By number; 0 is the draft.
    pub versions: BTreeMap<u32, Arc<AuthoredVersion>>,
    /// Versions that have content of their own in an environment, by number and
    /// environment uid.
    pub content: BTreeMap<(u32, String), Arc<AuthoredVersion>>,
}

impl Flow {
    /// Status in one environment.
    pub fn enabled_in(&self, environment_uid: &str) -> bool {
        self.status.get(environment_uid).copied().unwrap_or(true)
    }

    /// A version as an environment sees it.
    pub(crate) fn version_in(
        &self,
        number: u32,
        environment_uid: &str,
    ) -> Option<&Arc<AuthoredVersion>> {
        let own = self.content.get(&(number, environment_uid.to_owned()));
        own.or_else(|| self.versions.get(&number))
    }

    /// Number of the newest committed version; 0 when nothing is committed.
    pub fn latest(&self) -> u32 {
        self.versions.keys().next_back().copied().unwrap_or(0)
    }
}

/// A version with its history.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthoredVersion {
    /// As it is published.
    pub part: VersionPart,
    /// Why it was committed; empty for drafts.
    pub message: String,
    /// Who committed it; empty for drafts.
    pub author: String,
    /// When it was committed (or the draft first written).
    pub created_ms: UnixMs,
    /// Webhook block uid to what is called; never published.
    pub webhooks: BTreeMap<String, WebhookSettings>,
}

/// Whom a webhook block calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSettings {
    /// `http` or `https`.
    pub url: String,
    /// Sent along; may hold secrets of whoever is called.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is sent, as JSON; without it a message of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

/// What somebody said of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// `platform` or `platform:workspace`.
    pub name: String,
    /// Conversational: at most one deployment is active on it.
    pub exclusive: bool,
    /// Attributes its requests are known to carry; empty when nobody said.
    pub attributes: Vec<String>,
}

/// Which version of a flow the subjects of a channel see in an environment,
/// and who of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// Never changes, never reused.
    pub uid: String,
    /// For people; unique within the environment.
    pub name: String,
    /// Where.
    pub environment_uid: String,
    /// Which flow; the project is the flow's.
    pub flow_uid: String,
    /// `platform` or `platform:workspace`.
    pub channel: String,
    /// Which version.
    pub policy: VersionPolicy,
    /// Whom.
    pub rollout: RolloutPart,
    /// What a new version means for those who have begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_version_change: Option<OnVersionChange>,
    /// Whether it processes anything.
    pub active: bool,
}

impl Deployment {
    /// As it is published; activity stands in the control document.
    pub fn part(&self) -> DeploymentPart {
        DeploymentPart {
            uid: self.uid.clone(),
            name: self.name.clone(),
            flow_uid: self.flow_uid.clone(),
            channel: self.channel.clone(),
            policy: self.policy,
            rollout: self.rollout.clone(),
            on_version_change: self.on_version_change,
        }
    }
}

/// What a key may do; the kinds that travel in snapshots and the two that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredKeyKind {
    /// Public, front ends.
    Blocks,
    /// Identify only.
    Users,
    /// Back-end SDKs.
    Client,
    /// Evaluated flags.
    Frontend,
    /// Trusted.
    Server,
    /// A proxy that pulls snapshots and ships progress.
    Edge,
    /// Authoring; belongs to no environment.
    Admin,
}

impl StoredKeyKind {
    /// Every kind, in the order they are shown.
    pub const ALL: [Self; 7] = [
        Self::Blocks,
        Self::Users,
        Self::Client,
        Self::Frontend,
        Self::Server,
        Self::Edge,
        Self::Admin,
    ];

    /// As it stands in key texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Admin => "admin",
            Self::Blocks | Self::Users | Self::Client | Self::Frontend | Self::Server => {
                self.published().map_or("", KeyKind::name)
            }
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind inside a snapshot; none for those that stay in the store.
    pub fn published(self) -> Option<KeyKind> {
        match self {
            Self::Blocks => Some(KeyKind::Blocks),
            Self::Users => Some(KeyKind::Users),
            Self::Client => Some(KeyKind::Client),
            Self::Frontend => Some(KeyKind::Frontend),
            Self::Server => Some(KeyKind::Server),
            Self::Edge | Self::Admin => None,
        }
    }
}

/// A key as it is kept: never its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// SHA-256 of the key text, in hexadecimal.
    pub sha256: String,
    /// What it may do.
    pub kind: StoredKeyKind,
    /// Environment uid; none exactly for `admin`.
    pub environment_uid: Option<String>,
    /// For people; shared by the secrets of a rotation.
    pub name: String,
    /// Project sids it may see; empty means all.
    pub projects: Vec<String>,
    /// Every request with it comes over this channel.
    pub channel: Option<String>,
    /// Origins whose pages may use it; empty means all.
    pub origins: Vec<String>,
    /// What it may do, and where; some exactly for `admin`.
    pub rights: Option<Rights>,
    /// The last characters of the text, to tell secrets of one name apart.
    pub last: String,
    /// When it was made.
    pub created_ms: UnixMs,
    /// When it ends by itself (set by a rotation with a time).
    pub expires_ms: Option<UnixMs>,
    /// When a rotation replaced it.
    pub rotated_ms: Option<UnixMs>,
    /// When it was revoked.
    pub revoked_ms: Option<UnixMs>,
}

impl StoredKey {
    /// Whether it may be used at this time.
    pub fn is_valid(&self, now: UnixMs) -> bool {
        self.revoked_ms.is_none() && self.expires_ms.is_none_or(|expires| now < expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(uid: &str, sid: &str) -> Flow {
        Flow {
            uid: uid.to_owned(),
            sid: sid.to_owned(),
            name: String::new(),
            project: String::new(),
            refuse_public_force: false,
            deployments_only: false,
            status: BTreeMap::new(),
            versions: BTreeMap::new(),
            content: BTreeMap::new(),
        }
    }

    #[test]
    fn a_flow_is_found_by_uid_also_after_it_was_replaced() {
        let mut workspace = Workspace {
            flows: Flows::from_iter([flow("f1", "tour"), flow("f2", "chat")]),
            ..Workspace::default()
        };
        let sid = |workspace: &Workspace, uid: &str| {
            let found = workspace.flow_by_uid(uid);
            found.map(|flow| (flow.uid.clone(), flow.sid.clone()))
        };
        let named = |uid: &str, sid: &str| Some((uid.to_owned(), sid.to_owned()));
        assert_eq!(sid(&workspace, "f2"), named("f2", "chat"));
        workspace
            .flows
            .insert("chat".to_owned(), flow("f2", "chat"));
        assert_eq!(sid(&workspace, "f2"), named("f2", "chat"));
        workspace
            .flows
            .insert("chat".to_owned(), flow("f3", "chat"));
        assert_eq!(sid(&workspace, "f2"), None);
        assert_eq!(sid(&workspace, "f3"), named("f3", "chat"));
        assert_eq!(sid(&workspace, "f1"), named("f1", "tour"));
    }
}

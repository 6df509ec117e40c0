//! Is a thing still what its author read?
//!
//! A change may rest on a condition (`If-Match`): the tag of the thing that it
//! is about. It is compared under the lock of authors, before anything is
//! written and also when nothing has to be: whoever asks for what is there
//! already, and has read something else, has read too early.

use super::{touching, workspace::Workspace};

/// What a condition is about, by what never changes about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Name.
    Environment(String),
    /// Sid.
    Project(String),
    /// Sid.
    Flow(String),
    /// Uid, or what was asked for.
    Deployment(String),
    /// Name.
    Channel(String),
    /// What is made; nothing has a tag of it.
    New,
}

/// A thing, and what it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) about: Subject,
    /// The tag that was sent, without its quotes.
    pub(super) tag: String,
}

/// Why a change is not made: the thing is not what its author read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name:?} was changed since it was read")]
pub struct Stale {
    /// Which kind of thing.
    pub kind: &'static str,
    /// What people call it.
    pub name: String,
    /// The tag that was sent.
    pub found: String,
    /// That of what is there; empty when nothing is.
    pub expected: String,
}

impl Subject {
    fn kind(&self) -> &'static str {
        match self {
            Self::Environment(_) => "environment",
            Self::Project(_) => "project",
            Self::Flow(_) => "flow",
            Self::Deployment(_) => "deployment",
            Self::Channel(_) => "channel",
            Self::New => "what is new",
        }
    }

    /// What people call it.
    fn name(&self, all: &Workspace) -> String {
        match self {
            Self::Deployment(uid) => {
                let own = all.deployments.get(uid);
                own.map_or_else(|| uid.clone(), |own| own.name.clone())
            }
            Self::Environment(name)
            | Self::Project(name)
            | Self::Flow(name)
            | Self::Channel(name) => name.clone(),
            Self::New => String::new(),
        }
    }

    /// Its tag; empty when it is not there.
    fn tag(&self, all: &Workspace) -> String {
        match self {
            Self::Environment(name) => {
                let own = all.environment(name);
                own.map(|own| touching::environment_tag(all, &own.uid))
                    .unwrap_or_default()
            }
            Self::Project(sid) => touching::project_tag(all, sid),
            Self::Flow(sid) => {
                let own = all.flows.get(sid);
                own.map(|own| touching::flow_tag(all, &own.uid))
                    .unwrap_or_default()
            }
            Self::Deployment(uid) => touching::deployment_tag(all, uid),
            Self::Channel(name) => touching::channel_tag(all, name),
            Self::New => String::new(),
        }
    }
}

impl Condition {
    /// Refuses what rests on another state than this.
    pub(super) fn check(&self, all: &Workspace) -> Result<(), Stale> {
        let expected = self.about.tag(all);
        if self.tag == expected {
            return Ok(());
        }
        Err(Stale {
            kind: self.about.kind(),
            name: self.about.name(all),
            found: self.tag.clone(),
            expected,
        })
    }
}

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
pub enum Stale {
    /// Somebody was first.
    #[error("{kind} {name:?} was changed since it was read")]
    Changed {
        /// Which kind of thing.
        kind: &'static str,
        /// What people call it.
        name: String,
        /// The tag that was sent.
        found: String,
        /// That of what is there; empty when nothing is.
        expected: String,
    },
    /// What is made cannot have been read.
    #[error("what is to be made is not there yet, and so it has no tag")]
    New {
        /// The tag that was sent.
        found: String,
    },
}

impl Subject {
    /// Which kind of thing, and what people call it; none of what is made.
    fn called(&self, all: &Workspace) -> Option<(&'static str, String)> {
        Some(match self {
            Self::Environment(name) => ("environment", name.clone()),
            Self::Project(sid) => ("project", sid.clone()),
            Self::Flow(sid) => ("flow", sid.clone()),
            Self::Deployment(uid) => {
                let own = all.deployments.get(uid);
                let name = own.map_or_else(|| uid.clone(), |own| own.name.clone());
                ("deployment", name)
            }
            Self::Channel(name) => ("channel", name.clone()),
            Self::New => return None,
        })
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
        let found = self.tag.clone();
        Err(match self.about.called(all) {
            Some((kind, name)) => Stale::Changed {
                kind,
                name,
                found,
                expected,
            },
            None => Stale::New { found },
        })
    }
}

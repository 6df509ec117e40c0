//! Where is the truth about flows, keys and users kept?
//!
//! The control plane: [`Store`] accepts what people author, publishes it as
//! signed documents (it is the only writer of that format) and keeps the
//! ledger of progress. It opens no sockets and spawns no tasks: [`api`] turns
//! requests into answers, [`Store::refresh_timestamps`] wants to be called now
//! and then. Everything durable goes through an [`engine`].

mod access;
pub mod api;
mod audit;
mod authoring;
pub mod backup;
mod called;
mod compiled;
mod condition;
mod confirming;
mod counts;
mod demo;
mod deploying;
mod drafting;
mod edges;
pub mod engine;
mod environments;
mod export;
mod finding;
mod flags;
mod following;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod import;
mod key_ending;
mod key_terms;
mod key_text;
mod keyring;
mod keys;
mod ledger;
mod live;
mod naming;
mod notices;
pub mod offline;
mod outbox;
mod paging;
mod people;
mod preview;
mod project_file;
mod projects;
mod publish;
mod records;
mod rehearse;
mod rights;
mod schedule;
mod shelf;
pub mod signing;
#[cfg(test)]
mod tests;
mod theirs;
mod tokens;
mod touching;
mod usage;
mod user_line;
mod workspace;

pub use access::{AccessChange, AccessError, NewUserKey};
pub use audit::{AuditChange, AuditEntry, AuditError, AuditFilter, AuditPage, Audited, Who};
pub use condition::Stale;
pub use counts::{DeploymentCounts, Funnel, FunnelBlock, FunnelPath};
pub use demo::DEMO;
pub use deploying::DeployError;
pub use drafting::{
    Commit, Difference, FlowError, NewFlow, Pretend, PretendStep, SeenVersion, Sort, Terms, Tried,
    TryError, VersionText, Which, Written,
};
pub use edges::EdgeListing;
pub use environments::{CloneTerms, Cloned, EnvironmentChange, EnvironmentError, NewEnvironment};
pub use finding::{FoundUser, FoundUsers, UserMembership, UserSearch, UserStanding, UserStandings};
pub use flags::{
    Completion, Flag, FlagConstraint, FlagDependency, FlagError, FlagKind, FlagOverride,
    FlagPayload, FlagSettings, FlagStrategy, FlagText, FlagVariant, Flags, Known, Segment,
    Segments, Stage, WeightType,
};
pub use import::{Change, ChangeKind, Fault, ImportError, ImportReport, SourceFile, UnleashTerms};
pub use key_terms::KeyTerms;
pub use key_text::key_text;
pub use keys::{KeyError, KeyListing, KeyName, NewKey};
pub use ledger::{CursorError, ImportedUsers, LocalLedger, Refused, Retention, ShipError, Tally};
#[cfg(any(test, fuzzing))]
pub(crate) use ledger::{Versions as LedgerVersions, memory};
pub use outbox::{
    Deliveries, Delivery, DeliveryError, DeliveryPage, Outbox, OutboxCounts, WebhookKey,
    WebhookRules,
};
pub use paging::{Page, PageAsk};
pub use people::{ErasedTally, UserError, Where};
pub use preview::{Example, Movement, MovementCounts, Preview, PreviewAsk, Seen};
pub use projects::{ProjectChange, ProjectError, ProjectListing};
pub use publish::{Due, PublishError, PublishPlan, Timing};
pub use rights::{Actor, Forbidden, Rights, Role};
pub use usage::{
    AppSums, Application, ApplicationPage, FlagDetail, FlagSums, HourSums, UsageError, UsagePage,
    UsageQuery,
};
pub use user_line::{LineError, UserLine};
pub use workspace::{
    Channel, DeletedEnvironment, Deployment, Environment, Project, StoredKeyKind, WebhookSettings,
    Workspace,
};

use std::{
    ops::Deref,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use bytes::Bytes;
use compiled::Compiled;
use engine::{Engine, EngineError, Publication, SqliteEngine};
use following::Following;
use shelf::Shelves;
use signing::Signing;
use tokio::sync::watch;

use crate::{
    clock::{Ambient, UnixMs},
    snapshot::{Revision, compile::CompileError, sha256_hex},
};

/// The control plane of one workspace: a handle, in whose name things are
/// done with it. All handles work on the same [`Parts`].
#[derive(Clone)]
pub struct Store {
    parts: Arc<Parts>,
    retention: Retention,
    actor: Arc<Actor>,
    /// Where something is only tried.
    trial: Option<Arc<authoring::Trial>>,
    /// What a thing has to be for its change.
    condition: Option<Arc<condition::Condition>>,
}

/// What all handles of one store work on.
pub struct Parts {
    engine: Box<dyn Engine>,
    signing: Signing,
    ambient: Ambient,
    timing: Timing,
    /// What is authored now. Readers take the `Arc` and let go.
    workspace: RwLock<Arc<Workspace>>,
    /// Serialises authors: held from reading the workspace to replacing it.
    authoring: Mutex<()>,
    /// Serialises publishers, and knows what is in force and what of.
    publishing: Mutex<Shelves>,
    plan: Mutex<PublishPlan>,
    /// Counts accepted changes, for whoever publishes them.
    changes: watch::Sender<u64>,
    /// What is published, and who waits for something else to be.
    following: Following,
    compiled: Compiled,
    /// What edges said last about themselves.
    edges: edges::Edges,
}

/// What is published for one environment right now.
#[derive(Clone, Debug, Default)]
pub struct Current {
    /// Environment uid.
    pub environment_uid: String,
    /// Of release and control together; 0.0 before the first publish.
    pub revision: Revision,
    /// Of the timestamp.
    pub serial: u64,
    /// The timestamp file; empty before the first publish.
    pub timestamp: Bytes,
    /// Strong entity tag of the timestamp file, with its quotes.
    pub etag: String,
    publication: Publication,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Storage.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Publishing.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Somebody may not do it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Somebody else was faster.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// Keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What public keys may do.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Status and deployments.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// Versions of a flow, and the flow itself.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A flag or a segment.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// A walk through a version.
    #[error(transparent)]
    Try(#[from] TryError),
    /// A project file.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A batch of progress.
    #[error(transparent)]
    Ship(#[from] ShipError),
    /// The use of flags.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The log of webhooks.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A cursor of the change stream, or of a list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// One user.
    #[error(transparent)]
    User(#[from] UserError),
    /// What is authored makes no snapshot to judge by.
    #[error("nothing can be judged: {0}")]
    Rehearse(#[from] CompileError),
    /// An environment that is not there.
    #[error("environment {found:?} does not exist (expected one of {expected})")]
    UnknownEnvironment {
        /// As asked.
        found: String,
        /// Names there are.
        expected: String,
    },
    /// One that was there.
    #[error(
        "environment {name:?} was deleted on {when} (edges serve what they have; give them a key of \
         another environment, or stop them)"
    )]
    DeletedEnvironment {
        /// The name it had.
        name: String,
        /// The day.
        when: String,
    },
    /// Somebody may not have known whom it concerns.
    #[error(
        "this {what} in environment {} and has to be confirmed",
        .environments.join(" and ")
    )]
    Unconfirmed {
        /// What would be done, as in "changes …".
        what: String,
        /// Names of the environments.
        environments: Vec<String>,
    },
    /// Environments.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Projects.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// What was authored cannot be written as a file.
    #[error("the project cannot be written as YAML: {0}")]
    Export(String),
}

impl Store {
    /// Opens a store on the embedded engine.
    pub fn open(
        database: &Path,
        signing: Signing,
        ambient: Ambient,
        timing: Timing,
    ) -> Result<Self, StoreError> {
        let engine = Box::new(SqliteEngine::open(database)?);
        Self::with_engine(engine, signing, ambient, timing)
    }

    /// Opens a store on any engine. At the first start it creates the default
    /// environments; at every start it publishes what changed and signs again
    /// what an earlier key had signed. With an expired root it opens without
    /// publishing: progress must go on being taken.
    pub fn with_engine(
        engine: Box<dyn Engine>,
        signing: Signing,
        ambient: Ambient,
        timing: Timing,
    ) -> Result<Self, StoreError> {
        let mut workspace = engine.workspace()?;
        if workspace.environments.is_empty() {
            let (first, writes) = environments::begun(&workspace, &ambient);
            engine.commit(&writes)?;
            workspace = first;
        }
        let following = Following::default();
        following.welcome(&workspace.environments);
        for environment in &workspace.environments {
            let publication = engine.publication(&environment.uid)?.unwrap_or_default();
            following.announce(&environment.uid, Current::of(publication));
        }
        let in_force = engine.blobs_in_force()?;
        let parts = Parts {
            engine,
            signing,
            ambient,
            timing,
            workspace: RwLock::new(Arc::new(workspace)),
            authoring: Mutex::default(),
            publishing: Mutex::new(Shelves::new(in_force)),
            plan: Mutex::default(),
            changes: watch::Sender::new(0),
            following,
            compiled: Compiled::default(),
            edges: edges::Edges::default(),
        };
        let store = Self {
            parts: Arc::new(parts),
            retention: Retention::default(),
            actor: Arc::new(Actor::store()),
            trial: None,
            condition: None,
        };
        match store.publish() {
            Ok(_) => {}
            Err(StoreError::Publish(error @ PublishError::RootExpired(_))) => {
                tracing::error!(%error, "nothing can be published");
            }
            Err(error) => return Err(error),
        }
        Ok(store)
    }

    /// The same store with other times to keep things for.
    #[must_use]
    pub fn keeping(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// What is authored now, or would be after what was tried.
    pub fn workspace(&self) -> Arc<Workspace> {
        if let Some(tried) = self.trial.as_deref().and_then(authoring::Trial::workspace) {
            return tried;
        }
        let workspace = self.workspace.read();
        Arc::clone(&workspace.unwrap_or_else(PoisonError::into_inner))
    }

    /// The time here.
    pub(crate) fn now_ms(&self) -> UnixMs {
        self.ambient.now_ms()
    }

    /// What signs here; its root is what edges are given to trust.
    pub fn signing(&self) -> &Signing {
        &self.signing
    }

    /// A signal for every accepted change: then something is due.
    pub fn watch_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Takes project files, all or nothing. What changed is published by the
    /// next [`Self::publish_due`].
    pub fn import(&self, files: &[SourceFile]) -> Result<ImportReport, StoreError> {
        let files = import::read_files(files);
        self.author(|workspace| {
            let imported = import::import(workspace, files, &self.ambient)?;
            Ok((imported.workspace, imported.writes, imported.report))
        })
    }

    /// Takes exports of an Unleash server, likewise.
    pub fn import_unleash(
        &self,
        files: &[SourceFile],
        terms: &UnleashTerms,
    ) -> Result<ImportReport, StoreError> {
        self.author(|workspace| {
            let files = import::read_unleash(workspace, files, terms);
            let imported = import::import(workspace, files, &self.ambient)?;
            Ok((imported.workspace, imported.writes, imported.report))
        })
    }

    /// The projects as YAML; of one environment only what it sees.
    pub fn export(&self, environment: Option<&str>) -> Result<String, StoreError> {
        let workspace = self.workspace();
        let environment = environment
            .map(|name| known_environment(&workspace, name))
            .transpose()?;
        export::export(&workspace, environment)
    }
}

impl Deref for Store {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Current {
    fn of(publication: Publication) -> Self {
        Self {
            environment_uid: publication.environment_uid.clone(),
            revision: Revision {
                epoch: publication.epoch,
                number: publication.revision,
            },
            serial: publication.serial,
            timestamp: Bytes::copy_from_slice(&publication.timestamp),
            etag: format!("\"{}\"", sha256_hex(&publication.timestamp)),
            publication,
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("environments", &environment_names(&self.workspace()))
            .finish_non_exhaustive()
    }
}

/// The environment with this name, or the error that names those there are.
fn known_environment<'a>(
    workspace: &'a Workspace,
    name: &str,
) -> Result<&'a Environment, StoreError> {
    if let Some(found) = workspace.environment(name) {
        return Ok(found);
    }
    Err(match workspace.deleted(name) {
        Some(deleted) => deleted.into(),
        None => StoreError::UnknownEnvironment {
            found: name.to_owned(),
            expected: environment_names(workspace),
        },
    })
}

impl From<&DeletedEnvironment> for StoreError {
    fn from(deleted: &DeletedEnvironment) -> Self {
        let at = i64::try_from(deleted.deleted_ms).ok();
        let at = at.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let when = at.map(|at| at.strftime("%Y-%m-%d").to_string());
        Self::DeletedEnvironment {
            name: deleted.name.clone(),
            when: when.unwrap_or_default(),
        }
    }
}

fn environment_names(workspace: &Workspace) -> String {
    let names = workspace.environments.iter().map(|e| e.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// A panic in one author or publisher leaves the values of the last success in
/// place, so the next may go on.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

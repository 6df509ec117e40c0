//! Where does the store keep what it knows?
//!
//! [`Engine`] is the seam under the whole store: coarse operations that a
//! database, a cluster or a map in memory can all offer. It holds no rules:
//! what may be authored is decided in `import`, what a record means in
//! `ledger`. All calls block; callers keep them off the async workers.

#[cfg(test)]
pub(crate) mod conformance;
mod kept;
mod published;
mod sqlite;
mod usage;

pub(crate) use kept::conversations_active_ms;
pub use kept::{
    Attempt, Attempted, ChangeRows, Counted, Counter, DeadLetter, DeliveryFilter, DeliveryPlace,
    DeliveryState, JournalMark, MembershipKey, OutboxEntry, OutboxPlace, Swept, WebhookEffect,
};
pub use published::{DocumentName, DocumentRole, Publication, PublishedDocument};
pub use sqlite::{Copied, SqliteEngine};
pub use usage::{ApplicationUsage, FlagUsage, UsageAsked, UsageKept, UsageRows};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    audit::{AuditEntry, AuditFilter},
    flags::{Flag, Segment},
    workspace::{
        AuthoredVersion, Channel, DeletedEnvironment, Deployment, Environment, Project, StoredKey,
        Workspace,
    },
};
use crate::{
    clock::UnixMs,
    progress::event::{Change, GroupRecord, MembershipRecord, UserDocument},
};

/// Durable storage of one store.
pub trait Engine: UsageRows + Send + Sync + 'static {
    /// Everything authored.
    fn workspace(&self) -> Result<Workspace, EngineError>;
    /// Does all writes, durably, or none of them.
    fn commit(&self, writes: &[Write]) -> Result<(), EngineError>;

    /// What is published for an environment.
    fn publication(&self, environment_uid: &str) -> Result<Option<Publication>, EngineError>;
    /// A signed document as it was published.
    fn document(&self, name: &DocumentName) -> Result<Option<Vec<u8>>, EngineError>;
    /// Encoded bytes by their SHA-256.
    fn blob(&self, sha256: &str) -> Result<Option<Vec<u8>>, EngineError>;
    /// Hashes of all blobs that have not been retired.
    fn blobs_in_force(&self) -> Result<BTreeSet<String>, EngineError>;

    /// A user's document.
    fn user(&self, environment_uid: &str, user: &str) -> Result<Option<UserDocument>, EngineError>;
    /// A group's record.
    fn group(&self, environment_uid: &str, group: &str)
    -> Result<Option<GroupRecord>, EngineError>;
    /// Users whose ids come after this one, in the order of their ids; without
    /// those who were erased.
    fn users_after(
        &self,
        environment_uid: &str,
        after: &str,
        count_max: usize,
    ) -> Result<Vec<UserDocument>, EngineError>;
    /// The same of groups.
    fn groups_after(
        &self,
        environment_uid: &str,
        after: &str,
        count_max: usize,
    ) -> Result<Vec<GroupRecord>, EngineError>;
    /// What stands under a membership key.
    fn membership(
        &self,
        environment_uid: &str,
        key: &MembershipKey,
    ) -> Result<Option<MembershipRecord>, EngineError>;
    /// Where a journal stands.
    fn mark(
        &self,
        environment_uid: &str,
        journal: &str,
    ) -> Result<Option<JournalMark>, EngineError>;
    /// Noted changes after a position, oldest first, and what is needed to
    /// tell whether some are missing.
    fn changes(
        &self,
        environment_uid: &str,
        after: u64,
        count_max: usize,
    ) -> Result<ChangeRows, EngineError>;
    /// The newest dead letters of an environment, newest first.
    fn dead_letters(
        &self,
        environment_uid: &str,
        count_max: usize,
    ) -> Result<Vec<DeadLetter>, EngineError>;

    /// Webhooks that are due at this time, the longest waiting first, from
    /// behind a place on. One that cannot be read is given up.
    fn outbox_due(
        &self,
        now: UnixMs,
        after: &OutboxPlace,
        count_max: usize,
    ) -> Result<Vec<OutboxEntry>, EngineError>;
    /// Webhooks of an environment, the newest first, from behind a place on;
    /// without what cannot be read.
    fn deliveries(
        &self,
        environment_uid: &str,
        filter: &DeliveryFilter,
        after: Option<&DeliveryPlace>,
        count_max: usize,
    ) -> Result<Vec<OutboxEntry>, EngineError>;
    /// One of them.
    fn delivery(&self, environment_uid: &str, id: &str)
    -> Result<Option<OutboxEntry>, EngineError>;
    /// How many wait, of all environments.
    fn deliveries_waiting(&self) -> Result<u64, EngineError>;
    /// Makes one that was given up due now, with all of its attempts before
    /// it, and notes who did so; anything else stays as it is.
    fn deliver_again(
        &self,
        environment_uid: &str,
        id: &str,
        audit: &AuditEntry,
    ) -> Result<(), EngineError>;
    /// Notes an attempt and what follows from it. Of those delivered and given
    /// up in one environment the oldest go, where there are more than limits say.
    fn attempted(
        &self,
        id: &str,
        attempt: &Attempt,
        attempted: &Attempted,
    ) -> Result<(), EngineError>;

    /// Entries of the audit log before an id that a filter lets through, the
    /// newest first.
    fn audited(
        &self,
        filter: &AuditFilter,
        before: u64,
        count_max: usize,
    ) -> Result<Vec<AuditEntry>, EngineError>;
    /// Forgets entries of the audit log from before a time, the oldest first;
    /// says how many.
    fn sweep_audit(&self, before: UnixMs, count_max: usize) -> Result<usize, EngineError>;
    /// Counters of one deployment, or of one version of a flow; none is 0.
    fn counts(
        &self,
        environment_uid: &str,
        of: &Counted,
    ) -> Result<Vec<(Counter, u64)>, EngineError>;

    /// Users with states of conversations that nobody touched since this time.
    fn users_with_ended(
        &self,
        environment_uid: &str,
        ended_before: UnixMs,
        count_max: usize,
    ) -> Result<Vec<String>, EngineError>;
    /// Forgets memberships of conversations without activity since the first
    /// time, and notes each as a change; dead letters, webhooks given up,
    /// refuted places and closed journals from before the second; webhooks
    /// delivered before the third. At most `count_max` of each.
    fn sweep(
        &self,
        environment_uid: &str,
        before: (UnixMs, UnixMs, UnixMs),
        count_max: usize,
    ) -> Result<Swept, EngineError>;

    /// Forgets what users did in an environment, what was published for it and
    /// what is owed to others because of it: at most `count_max` rows, and says
    /// how many they were.
    fn erase(&self, environment_uid: &str, count_max: usize) -> Result<usize, EngineError>;

    /// Forgets whom nobody has heard of since they were erased before this
    /// time, at most `count_max` users and groups; says how many.
    fn sweep_tombstones(
        &self,
        environment_uid: &str,
        before: UnixMs,
        count_max: usize,
    ) -> Result<usize, EngineError>;

    /// Runs `work` in one transaction over an environment's progress. It is
    /// committed, durably, when `work` says so, and else leaves nothing. An
    /// engine that finds a conflict may call `work` again from the start.
    fn ledger(&self, environment_uid: &str, work: &mut LedgerWork<'_>) -> Result<(), EngineError>;
}

/// What [`Engine::ledger`] runs.
pub type LedgerWork<'a> = dyn FnMut(&mut dyn LedgerTransaction) -> Result<Ending, EngineError> + 'a;

/// How a ledger transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Keep what was written.
    Commit,
    /// Forget it.
    RollBack,
}

/// Reads and writes of one environment's progress inside one transaction.
/// Reads see the transaction's own writes.
pub trait LedgerTransaction {
    /// A user's document.
    fn user(&mut self, user: &str) -> Result<Option<UserDocument>, EngineError>;
    /// Stores a user's document.
    fn put_user(&mut self, document: &UserDocument) -> Result<(), EngineError>;
    /// A group's record.
    fn group(&mut self, group: &str) -> Result<Option<GroupRecord>, EngineError>;
    /// Stores a group's record.
    fn put_group(&mut self, record: &GroupRecord) -> Result<(), EngineError>;
    /// What stands under a membership key.
    fn membership(&mut self, key: &MembershipKey) -> Result<Option<MembershipRecord>, EngineError>;
    /// The highest revision that a document had in this environment of which
    /// nothing is left: a membership that was forgotten, whatever a backup did
    /// not have. 0 when there is none.
    fn forgotten_rev(&mut self) -> Result<u64, EngineError>;
    /// Notes that a conversation goes on, whoever it is of.
    fn touch_conversation(&mut self, conversation: &str, now: UnixMs) -> Result<(), EngineError>;
    /// Takes a user out of those whose conversations may have ended, because
    /// the document cannot be read.
    fn set_user_aside(&mut self, user: &str) -> Result<(), EngineError>;
    /// Stores what stands under a membership key; `now` is when the key was
    /// heard of last.
    fn put_membership(
        &mut self,
        key: &MembershipKey,
        record: &MembershipRecord,
        now: UnixMs,
    ) -> Result<(), EngineError>;
    /// Notes that a document changed, at the environment's next position, and
    /// forgets the oldest notes above `limits::CHANGES_KEPT_MAX`.
    fn note(&mut self, change: &Change) -> Result<(), EngineError>;
    /// Puts a webhook into the outbox; one that is there already stays as it
    /// is.
    fn post(&mut self, id: &str, effect: &WebhookEffect, now: UnixMs) -> Result<(), EngineError>;
    /// How far a journal has come.
    fn mark(&mut self, journal: &str) -> Result<Option<JournalMark>, EngineError>;
    /// Stores how far a journal has come.
    fn put_mark(&mut self, journal: &str, mark: &JournalMark) -> Result<(), EngineError>;
    /// Flow places (see `ledger`) of a user in which a journal's records rest
    /// on an assumption that turned out wrong.
    fn refuted(&mut self, journal: &str, user: &str) -> Result<BTreeSet<String>, EngineError>;
    /// Replaces them, and notes when.
    fn put_refuted(
        &mut self,
        journal: &str,
        user: &str,
        places: &BTreeSet<String>,
        now: UnixMs,
    ) -> Result<(), EngineError>;
    /// Adds to the audit log what an author does to users.
    fn audit(&mut self, entry: &AuditEntry) -> Result<(), EngineError>;
    /// Changes counters by so much.
    fn count(&mut self, counts: &BTreeMap<Counter, i64>) -> Result<(), EngineError>;
    /// Every journal that is known in this environment.
    fn journals(&mut self) -> Result<Vec<String>, EngineError>;
    /// Memberships under this id, of whatever deployment.
    fn memberships_of(
        &mut self,
        id: &str,
    ) -> Result<Vec<(MembershipKey, MembershipRecord)>, EngineError>;
    /// Forgets a membership, and notes it as a change at this revision.
    fn forget_membership(&mut self, key: &MembershipKey, doc_rev: u64) -> Result<(), EngineError>;
    /// Forgets webhooks and records that did not fit of a user; says how many.
    fn forget_traces(&mut self, user: &str) -> Result<usize, EngineError>;
    /// Keeps a record that does not fit.
    fn dead_letter(&mut self, letter: &DeadLetter) -> Result<(), EngineError>;
}

/// One change; a commit does a list of them.
#[derive(Clone, Debug)]
pub enum Write {
    /// Creates or replaces an environment.
    Environment(Environment),
    /// Forgets what was authored in an environment, and notes that it was there.
    DeleteEnvironment(DeletedEnvironment),
    /// Forgets that an environment was there, and its keys.
    ForgetEnvironment {
        /// Which.
        uid: String,
    },
    /// Creates or replaces a project.
    Project(Project),
    /// Forgets a project without flows.
    DeleteProject {
        /// Which.
        sid: String,
    },
    /// Creates a flow or replaces what is said of it, without its versions.
    Flow {
        /// Never changes.
        uid: String,
        /// What client code says.
        sid: String,
        /// For people.
        name: String,
        /// Project sid.
        project: String,
        /// As in `FlowPart`.
        refuse_public_force: bool,
        /// As in `FlowPart`.
        deployments_only: bool,
    },
    /// Forgets a flow with its versions and status.
    DeleteFlow {
        /// Which.
        uid: String,
    },
    /// Sets a flow's status in an environment.
    Status {
        /// Which flow.
        flow_uid: String,
        /// Where.
        environment_uid: String,
        /// The status.
        enabled: bool,
    },
    /// Creates or replaces a version.
    Version(Arc<AuthoredVersion>),
    /// Creates or replaces what an environment has of its own for a version.
    Content {
        /// Where.
        environment_uid: String,
        /// The version with that content.
        version: Arc<AuthoredVersion>,
    },
    /// Takes it away again.
    DeleteContent {
        /// Of which flow.
        flow_uid: String,
        /// Of which version.
        number: u32,
        /// Where.
        environment_uid: String,
    },
    /// Creates a channel or replaces what is said of it.
    Channel(Channel),
    /// Creates or replaces a deployment.
    Deployment(Box<Deployment>),
    /// Forgets a deployment.
    DeleteDeployment {
        /// Which.
        uid: String,
    },
    /// Creates or replaces a flag.
    Flag(Arc<Flag>),
    /// Forgets a flag.
    DeleteFlag {
        /// Which.
        name: String,
    },
    /// Creates or replaces a segment.
    Segment(Arc<Segment>),
    /// Forgets a segment.
    DeleteSegment {
        /// Which.
        id: i64,
    },
    /// Creates a key or replaces what is said of it.
    Key(StoredKey),
    /// Adds to the audit log.
    Audit(Box<AuditEntry>),
    /// Keeps a signed document.
    Document(DocumentName, Vec<u8>),
    /// Replaces what is published for an environment.
    Publication(Box<Publication>),
    /// Keeps a blob, or takes a retired one back.
    Blob {
        /// Of the bytes.
        sha256: String,
        /// As they are sent.
        bytes: Vec<u8>,
    },
    /// No release in force holds this blob any more.
    RetireBlob {
        /// Which.
        sha256: String,
        /// Since when.
        at_ms: UnixMs,
    },
    /// Forgets blobs that were retired before this time.
    PruneBlobs {
        /// Exclusive.
        retired_before_ms: UnixMs,
    },
}

/// Why storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A second process.
    #[error(
        "the database {path} is in use by another process (stop it, or choose another data folder)"
    )]
    Locked {
        /// The database file.
        path: String,
    },
    /// The check after an unclean stop found damage.
    #[error("the database {path} is damaged: {found} (restore a backup)")]
    Damaged {
        /// The database file.
        path: String,
        /// What the check said first.
        found: String,
    },
    /// Written by a later release.
    #[error(
        "the database {path} has schema {found}, this release knows up to {expected} (use the newer release)"
    )]
    Newer {
        /// The database file.
        path: String,
        /// In the file.
        found: i64,
        /// Known here.
        expected: i64,
    },
    /// A row does not hold what it should.
    #[error("a stored {what} cannot be read: {found}")]
    Row {
        /// Which kind of row.
        what: &'static str,
        /// What was found.
        found: String,
    },
    /// A file of the database cannot be created or opened.
    #[error("the file {path} cannot be opened")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the database failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

//! What does the admin listener ask of the other rooms?
//!
//! Only what cannot be read from the live value or counted on the way: how
//! refresh and shipping go, what is required, and whether the process stops.

use crate::clock::UnixMs;

/// What other rooms know about the state of the process.
pub trait StatusSource: Send + Sync + 'static {
    /// The facts now. Called for each scrape and status request; cheap.
    fn facts(&self) -> Facts;
}

/// See [`StatusSource`].
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The process is stopping: not ready, whatever it could answer.
    pub stopping: bool,
    /// Every environment this edge is to serve, live or not.
    pub environments: Vec<EnvironmentFacts>,
    /// How progress is doing.
    pub progress: ProgressFacts,
}

/// One environment as configuration and refresh know it.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentFacts {
    /// Its name.
    pub name: String,
    /// Not ready without it.
    pub required: bool,
    /// How its refresh is doing.
    pub refresh: RefreshFacts,
    /// How it hears of what other edges change.
    pub changes: ChangesFacts,
}

/// How an environment hears of what other edges change.
#[derive(Clone, Debug, Default)]
pub struct ChangesFacts {
    /// The last call was answered.
    pub connected: bool,
    /// When the ledger answered last.
    pub last_answer_ms: Option<UnixMs>,
    /// Changes of others, as far as they were told one by one.
    pub changes: u64,
    /// How often anything may have changed.
    pub gaps: u64,
    /// Why the last call failed; none after an answer.
    pub error: Option<String>,
}

/// How refreshing one environment goes.
#[derive(Clone, Debug, Default)]
pub struct RefreshFacts {
    /// When upstream was asked last.
    pub last_attempt_ms: Option<UnixMs>,
    /// When it answered last with something that was accepted or not newer.
    pub last_success_ms: Option<UnixMs>,
    /// Failures so far.
    pub failures: u64,
    /// What is live came from disk; upstream has not confirmed it yet.
    pub from_disk: bool,
    /// The newest kept snapshot was damaged, and the one before it serves.
    pub fell_back: bool,
    /// Why the last attempt failed; none after a success.
    pub error: Option<String>,
}

/// How progress is doing.
#[derive(Clone, Debug, Default)]
pub struct ProgressFacts {
    /// Why no write is taken; none while writes are.
    pub refuses: Option<&'static str>,
    /// Records that are not applied upstream yet.
    pub backlog_records: u64,
    /// The journal.
    pub journal: JournalFacts,
    /// Journals of earlier runs that are not shipped completely.
    pub journals_open: u64,
    /// Records shipped so far, by outcome: applied, already, superseded, dead.
    pub outcomes: [u64; 4],
    /// How often somebody else shipped under the id of a journal of this edge.
    pub forks: u64,
    /// Users held in memory.
    pub users_cached: u64,
    /// Users with records outstanding whose whole state is pinned in memory.
    pub users_resident: u64,
    /// Those of whom only the places of records are.
    pub users_on_disk: u64,
    /// Steps whose logic blocks were stopped at their limit.
    pub steps_capped: u64,
    /// Background tasks that panicked.
    pub task_panics: u64,
    /// Why the last shipping attempt failed; none after a success.
    pub error: Option<String>,
}

/// How the journal is doing.
#[derive(Clone, Debug, Default)]
pub struct JournalFacts {
    /// Bytes its files take on disk.
    pub bytes: u64,
    /// What they may take.
    pub bytes_max: u64,
    /// Of the files, bytes that are written or given up.
    pub occupied_bytes: u64,
    /// How full that is: `low`, `high` or `full`.
    pub pressure: &'static str,
    /// Bytes of records that upstream does not have, by environment.
    pub unsettled_bytes: Vec<(String, u64)>,
    /// What those of one environment may take.
    pub environment_bytes_max: u64,
    /// Bytes of copies that were put aside.
    pub quarantined_bytes: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Why the last commit failed, or why the next file cannot be made.
    pub error: Option<String>,
}

/// Names of [`ProgressFacts::outcomes`], in their order.
pub(super) const OUTCOMES: [&str; 4] = ["applied", "already", "superseded", "dead"];

/// What [`ProgressFacts::refuses`] may say.
pub(super) const REFUSES: [&str; 3] = ["disk", "quota", "backlog"];

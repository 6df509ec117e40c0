//! What does the admin listener ask of the other rooms?
//!
//! Only what cannot be read from the live value or counted on the way: how
//! refresh and shipping go, what is required, and whether the process stops.

use crate::{clock::UnixMs, usage::UsageFacts};

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
    /// Who is upstream, and whether it hears of us.
    pub upstream: UpstreamFacts,
    /// How the use of flags is kept and shipped.
    pub usage: UsageFacts,
}

/// Who is upstream, and whether it hears of us.
#[derive(Clone, Debug, Default)]
pub struct UpstreamFacts {
    /// The version it said last.
    pub version: Option<String>,
    /// When it took a report of ours last.
    pub reported_ms: Option<UnixMs>,
    /// Why it did not take the last one.
    pub error: Option<String>,
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
    /// After so long without a sign of life a task that asks upstream is
    /// silent: each try ends within it, however it ends. 0 for never.
    pub silent_after_ms: u64,
}

impl EnvironmentFacts {
    /// Whether something that happened at that time last is overdue.
    pub(super) fn is_silent(&self, last_ms: Option<UnixMs>, now: UnixMs) -> bool {
        let since = last_ms.map(|last| now.saturating_sub(last));
        self.silent_after_ms > 0 && since.is_some_and(|since| since > self.silent_after_ms)
    }
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
    /// When it last confirmed or replaced what is live with something fresh.
    pub last_success_ms: Option<UnixMs>,
    /// Failures so far, by name.
    pub failures: Vec<(&'static str, u64)>,
    /// Of them documents that came and were refused.
    pub refused: Vec<(&'static str, u64)>,
    /// Failures since the last success.
    pub failures_in_a_row: u64,
    /// What is live came from disk; upstream has not confirmed it yet.
    pub from_disk: bool,
    /// The newest kept snapshot was damaged, and the one before it serves.
    pub fell_back: bool,
    /// The clock is behind what was signed.
    pub clock_problem: Option<String>,
    /// When the root in force ends.
    pub root_expires_ms: Option<UnixMs>,
    /// Why the last attempt failed, by name and in words; none after a success.
    pub error: Option<(&'static str, String)>,
    /// The newest release, while it is held back.
    pub held: Option<HeldFacts>,
    /// What the release that was judged last changes, by flow.
    pub verdict: Vec<ChangeFacts>,
}

/// A release that is held back.
#[derive(Clone, Debug, Default)]
pub struct HeldFacts {
    /// What has to be confirmed.
    pub release: u64,
    /// The revision that does not come into force by it.
    pub revision: String,
}

/// What a release changes for those who ask for one flow.
#[derive(Clone, Debug, Default)]
pub struct ChangeFacts {
    /// The flow's sid.
    pub flow: String,
    /// Decisions that were made again.
    pub judged: u64,
    /// Of them: somebody is served who was not, or the other way round.
    pub changed: u64,
    /// Of them: another version is served.
    pub moved: u64,
}

impl RefreshFacts {
    /// Failures so far, of every name.
    pub(super) fn failures_in_all(&self) -> u64 {
        self.failures.iter().map(|(_, count)| count).sum()
    }
}

/// How progress is doing.
#[derive(Clone, Debug, Default)]
pub struct ProgressFacts {
    /// Why no write is taken; none while writes are.
    pub refuses: Option<&'static str>,
    /// Whether there is a ledger; without one steps stay in the journal.
    pub has_ledger: bool,
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
    /// Upstream answers for one user at a time only.
    pub reads_singly: bool,
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

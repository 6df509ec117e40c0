//! How does the store hear how this edge is doing?
//!
//! A report for each environment, when it says something new and every ten
//! seconds otherwise. Nothing rests on a report: a store that is away, or so
//! old that it takes none, costs an attempt now and then.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::facts::Watched;
use crate::{
    clock::{Ambient, UnixMs},
    current::Current,
    http::version::VERSION,
    progress::event::EdgeReport,
    server::{EnvironmentFacts, Facts, StatusSource},
    upstream::HttpUpstream,
};

/// Without news.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// How often is looked whether there is news, but for new revisions, which are
/// seen at once.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Between two looks at the least: a burst of publishes is one report.
const BREATH: Duration = Duration::from_millis(500);

/// Between attempts at the most, while none gets through.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The reason of an edge that holds the newest release back and is well
/// otherwise.
const HELD: &str = "release_held";

/// How reporting goes.
#[derive(Clone, Debug, Default)]
pub(super) struct ReportStatus {
    /// When a report was taken last.
    pub(super) taken_ms: Option<UnixMs>,
    /// Why the last one was not; none when it was.
    pub(super) error: Option<String>,
}

/// What reports are made of.
pub(super) struct Reporting {
    pub(super) watched: Arc<Watched>,
    pub(super) current: Arc<Current>,
    pub(super) store: Arc<HttpUpstream>,
    pub(super) ambient: Ambient,
    /// Names the data folder.
    pub(super) edge: String,
    pub(super) status: Arc<Mutex<ReportStatus>>,
}

/// What was told of one environment.
struct Told {
    report: EdgeReport,
    at: Instant,
}

impl Reporting {
    /// Reports until the task is dropped.
    pub(super) async fn run(self) {
        let mut told: BTreeMap<String, Told> = BTreeMap::new();
        let mut published = self.current.watch();
        let mut failures = 0_u32;
        loop {
            published.mark_unchanged();
            let due = self.due(&told);
            if !due.is_empty() {
                let sent = due.into_iter().map(async |(environment, report)| {
                    let taken = self.store.report(&environment, &report).await;
                    (environment, report, taken)
                });
                let sent = join_all(sent).await;
                let mut failed = false;
                for (environment, report, taken) in sent {
                    failed |= taken.is_err();
                    self.note(taken.as_ref().err().map(ToString::to_string));
                    if taken.is_ok() {
                        let at = Instant::now();
                        told.insert(environment, Told { report, at });
                    }
                }
                failures = if failed {
                    failures.saturating_add(1)
                } else {
                    0
                };
            }
            if failures > 0 {
                let pause = self.ambient.backoff(failures, LOOK_EVERY, PAUSE_MAX);
                tokio::time::sleep(pause).await;
            } else {
                tokio::time::sleep(BREATH).await;
                let look = LOOK_EVERY.saturating_sub(BREATH);
                // Either is reason enough to look again.
                drop(tokio::time::timeout(look, published.changed()).await);
            }
        }
    }

    fn note(&self, error: Option<String>) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) => {
                if status.error.is_none() {
                    tracing::info!(error, "the store does not take reports about this edge");
                }
                status.error = Some(error);
            }
            None => {
                status.error = None;
                status.taken_ms = Some(self.ambient.now_ms());
            }
        }
    }

    /// What has to be told now.
    fn due(&self, told: &BTreeMap<String, Told>) -> Vec<(String, EdgeReport)> {
        let facts = self.watched.facts();
        let reports = facts.environments.iter().filter_map(|own| {
            let report = self.report(&facts, own);
            let is_due = told.get(&own.name).is_none_or(|told| {
                report.is_news_after(&told.report) || told.at.elapsed() >= REPORT_EVERY
            });
            is_due.then(|| (own.name.clone(), report))
        });
        reports.collect()
    }

    fn report(&self, facts: &Facts, own: &EnvironmentFacts) -> EdgeReport {
        let live = self.current.load();
        let live = live.named(&own.name);
        let now = self.ambient.now_ms();
        EdgeReport {
            edge: self.edge.clone(),
            version: VERSION.to_owned(),
            revision: live.map(|live| live.snapshot.revision.to_string()),
            state: live
                .map(|live| live.freshness.age(now).name())
                .unwrap_or_default()
                .to_owned(),
            age_s: live.map(|live| now.saturating_sub(live.freshness.issued_ms) / 1_000),
            backlog_records: facts.progress.backlog_records,
            journal_writable: facts.progress.refuses.is_none(),
            held: own.refresh.held.as_ref().map(|held| held.release),
            reason: own
                .refresh
                .error
                .as_ref()
                .map(|(name, _)| (*name).to_owned())
                .or_else(|| own.refresh.held.as_ref().map(|_| HELD.to_owned())),
        }
    }
}

//! How is one environment kept up to date?
//!
//! Boot puts the last good snapshot in force, verified again; each step asks
//! upstream once and takes in what is new, which is told in [`super::taking`].
//! Parsing, compiling and freeing happen on blocking threads, so that the
//! control runtime never waits for them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tracing::Instrument as _;

use super::{
    FetchedTimestamp, Guard, RefreshError, Refreshed, SnapshotSource, SourceError, SupplyStatus,
    holding::Held,
};
use crate::{
    clock::{Ambient, LongWork, UnixMs},
    current::{Age, Current, Freshness},
    disk::keep::Keep,
    distribution::{Roots, Shelf},
    snapshot::{
        Revision, Snapshot,
        parts::{Inventory, PartsError},
        trust::{CheckedTimestamp, Trust},
    },
    telemetry::traces,
};

/// Keeps one environment up to date.
pub struct Refresher {
    pub(super) environment: String,
    pub(super) source: Arc<dyn SnapshotSource>,
    pub(super) current: Arc<Current>,
    /// Rung by who wants something newer than what is here.
    asked: Arc<Notify>,
    pub(super) keep: Arc<Keep>,
    pub(super) ambient: Ambient,
    pub(super) trust: Trust,
    /// Files of the revision in force, for the pack.
    pub(super) files: Files,
    pub(super) live: Option<Arc<Snapshot>>,
    /// What the release in force is made of; the next one is read and compiled
    /// beside it.
    pub(super) inventory: Arc<Inventory>,
    /// The pack on disk has every blob of the inventory, as far as is known.
    pub(super) pack_is_whole: bool,
    /// SHA-256 of the release in force.
    pub(super) serves: String,
    /// The revision that was accepted last, in force or held.
    pub(super) taken: Option<Revision>,
    pub(super) guard: Option<Guard>,
    /// The newest release, while it does not serve.
    pub(super) held: Option<Held>,
    pub(super) contexts_kept_ms: UnixMs,
    pub(super) validator: Option<String>,
    status: Arc<Mutex<SupplyStatus>>,
    /// When the pack on disk was written last.
    pub(super) kept_ms: UnixMs,
    /// Where what was verified is offered to other edges; none when it is not.
    pub(super) shelf: Option<Arc<Shelf>>,
}

/// What an environment's supply has beside it, where configured.
#[derive(Default)]
pub struct Beside {
    /// What a new release is judged by before it serves.
    pub guard: Option<Guard>,
    /// Where what was verified is offered to other edges.
    pub shelf: Option<Arc<Shelf>>,
}

/// The signed files of one revision.
#[derive(Clone, Default)]
pub(super) struct Files {
    pub(super) timestamp: Vec<u8>,
    pub(super) release: Vec<u8>,
    pub(super) control: Vec<u8>,
}

impl Refresher {
    /// Starts from the configured trust root and the marks kept on disk; then
    /// puts the last good snapshot in force, verified again. What is wrong
    /// with it is returned beside the refresher, which can go on without it.
    pub fn boot(
        environment: &str,
        trust_root: &[u8],
        source: Arc<dyn SnapshotSource>,
        current: Arc<Current>,
        keep: Arc<Keep>,
        ambient: Ambient,
        beside: Beside,
    ) -> Result<(Self, Option<RefreshError>), RefreshError> {
        let marks = keep.marks()?;
        let trust = Trust::new(environment, trust_root, marks)?;
        let mut refresher = Self {
            asked: current.asked(environment),
            environment: environment.to_owned(),
            source,
            current,
            keep,
            ambient,
            trust,
            files: Files::default(),
            live: None,
            inventory: Arc::default(),
            pack_is_whole: false,
            serves: String::new(),
            taken: None,
            guard: beside.guard,
            held: None,
            contexts_kept_ms: 0,
            validator: None,
            status: Arc::default(),
            kept_ms: 0,
            shelf: beside.shelf,
        };
        let problem = refresher.boot_from_disk().err();
        refresher.watch_root();
        if let Some(problem) = &problem {
            // Whoever boots tells it.
            refresher.status_mut().failed(problem);
        }
        Ok((refresher, problem))
    }

    /// Makes one mistake in what is trusted from now on.
    #[cfg(test)]
    pub(crate) fn be_flawed(&mut self, flaw: crate::snapshot::trust::Flaw) {
        self.trust.be_flawed(flaw);
    }

    /// Shared with `/status`.
    pub fn status(&self) -> Arc<Mutex<SupplyStatus>> {
        self.status.clone()
    }

    /// Refreshes until the task is dropped.
    pub async fn run(mut self, wait: Duration, pause_first: Duration, pause_max: Duration) {
        let mut failures = 0_u32;
        loop {
            let begun = tokio::time::Instant::now();
            let span = traces::task("refresh", &self.environment);
            match self.step(wait).instrument(span).await {
                Ok(Refreshed::Unchanged) => {
                    failures = 0;
                    // An upstream that does not wait, or is told not to, would
                    // be asked again and again without a breath.
                    tokio::time::sleep_until(begun + pause_first).await;
                }
                Ok(refreshed) => {
                    failures = 0;
                    match refreshed {
                        Refreshed::Published(revision) => {
                            tracing::info!(environment = %self.environment, %revision, "snapshot in force");
                        }
                        Refreshed::Held(revision) => {
                            tracing::info!(environment = %self.environment, %revision, "control in force, release held");
                        }
                        Refreshed::Unchanged | Refreshed::Fresher => {}
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::debug!(environment = %self.environment, reason = error.name(), %error, failures, "refresh failed");
                    let pause = self.pause(failures, pause_first, pause_max);
                    // Who waits for something newer ends the pause, but does
                    // not make us ask without a breath.
                    tokio::time::sleep_until(begun + pause_first).await;
                    drop(tokio::time::timeout(pause, self.asked.notified()).await);
                }
            }
        }
    }

    /// One cycle: asks upstream once and takes in what is new.
    pub async fn step(&mut self, wait: Duration) -> Result<Refreshed, RefreshError> {
        self.status_mut().attempted_ms = Some(self.ambient.now_ms());
        let result = self.fetch_and_publish(wait).await;
        self.watch_root();
        match &result {
            Ok(_) => {
                let now = self.ambient.now_ms();
                let age = self.freshness().map_or(Age::Fresh, |live| live.age(now));
                self.status_mut().succeeded(age, now);
            }
            Err(error) => {
                // What the validator stands for may not have been taken in.
                self.validator = None;
                if let RefreshError::Parts(PartsError::Missing { .. }) = error {
                    // Something was to be on disk and is not.
                    self.pack_is_whole = false;
                }
                self.failed(error);
            }
        }
        self.keep_contexts().await;
        result
    }

    fn failed(&self, error: &RefreshError) {
        // Told once at full voice: an outage of an hour is one fact, not a
        // thousand.
        if self.status_mut().failed(error) {
            tracing::warn!(environment = %self.environment, reason = error.name(), %error, "refresh failed");
        }
    }

    /// The signed times of what is live.
    fn freshness(&self) -> Option<Freshness> {
        let live = self.current.load();
        live.named(&self.environment).map(|live| live.freshness)
    }

    /// Upstream has nothing newer. That confirms what is live as long as it is
    /// fresh; a copy of what was said before confirms nothing.
    pub(super) fn unchanged(&self) -> Result<Refreshed, RefreshError> {
        let now = self.ambient.now_ms();
        match self.freshness() {
            Some(live) if matches!(live.age(now), Age::Stale | Age::Expired) => {
                Err(RefreshError::Old {
                    age_s: now.saturating_sub(live.issued_ms) / 1_000,
                    fresh_s: live.fresh_until_ms.saturating_sub(live.issued_ms) / 1_000,
                })
            }
            _ => Ok(Refreshed::Unchanged),
        }
    }

    /// Tells in time that the root in force ends.
    fn watch_root(&self) {
        let (expires_ms, now) = (self.trust.root().expires_ms, self.ambient.now_ms());
        let told = self.status_mut().root_ends(expires_ms, now);
        let environment = &self.environment;
        match told {
            Some(0) => {
                tracing::error!(%environment, "the root has expired: nothing new is accepted until a new one is published");
            }
            Some(days) => {
                tracing::warn!(%environment, days, "the root expires within so many days; publish a new one");
            }
            None => {}
        }
    }

    /// What upstream has that is newer, waiting for it as long as upstream is
    /// told to; who wants something newer now ends the wait.
    pub(super) async fn fetch_timestamp(
        &self,
        wait: Duration,
    ) -> Result<Option<FetchedTimestamp>, SourceError> {
        let (environment, unless) = (&self.environment, self.validator.as_deref());
        let waiting = self.source.timestamp(environment, unless, wait);
        tokio::select! {
            biased;
            fetched = waiting => fetched,
            () = self.asked.notified() => {
                self.source.timestamp(environment, unless, Duration::ZERO).await
            }
        }
    }

    pub(super) fn status_mut(&self) -> std::sync::MutexGuard<'_, SupplyStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self, failures: u32, first: Duration, longest: Duration) -> Duration {
        self.ambient.backoff(failures, first, longest)
    }
}

pub(super) fn freshness(timestamp: &CheckedTimestamp) -> Freshness {
    let document = timestamp.document();
    Freshness {
        issued_ms: document.issued_ms,
        fresh_until_ms: document.fresh_until_ms,
        expires_ms: document.expires_ms,
    }
}

/// Does what takes long where the program does such work.
pub(super) async fn off_thread<T: Send + 'static>(
    ambient: &Ambient,
    work: impl FnOnce() -> Result<T, RefreshError> + Send + 'static,
) -> Result<T, RefreshError> {
    match ambient.long_work {
        LongWork::OnThreads => tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| RefreshError::Panicked)?,
        LongWork::InPlace => work(),
    }
}

/// The roots as they are offered to other edges.
pub(super) fn roots(trust: &Trust) -> Roots {
    Roots {
        version: trust.root().version,
        files: trust.root_files().to_vec(),
    }
}

/// Of release and control document.
pub(super) fn versions(timestamp: &CheckedTimestamp) -> (u64, u64) {
    let document = timestamp.document();
    (document.release.version, document.control.version)
}

//! How does a published revision reach the evaluators?
//!
//! One [`Refresher`] per environment: fetch from a [`SnapshotSource`] → verify
//! → compile → keep on disk → publish ([`taking`]). Whatever fails, the
//! snapshot in force keeps serving, the failure has a name in `/status` and the
//! metrics, and the next try comes after a jittered pause. Parsing, compiling
//! and freeing happen on blocking threads.

mod error;
mod source;
mod taking;

pub use error::RefreshError;
pub use source::{Blobs, FetchedTimestamp, SnapshotSource, SourceError, SourceFuture};

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    clock::{Ambient, UnixMs},
    current::{Current, Freshness},
    disk::keep::Keep,
    snapshot::{
        Revision, Snapshot, compile,
        pack::Pack,
        trust::{CheckedTimestamp, Origin, Trust, verify_pack},
    },
};

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// Nothing new within the wait.
    Unchanged,
    /// The same revision, signed again.
    Fresher,
    /// A new revision is live.
    Published(Revision),
}

/// What `/status` and the metrics say about one environment's supply.
#[derive(Clone, Debug, Default)]
pub struct SupplyStatus {
    /// Start of the last try.
    pub attempted_ms: Option<UnixMs>,
    /// Last time upstream confirmed or replaced what is live.
    pub confirmed_ms: Option<UnixMs>,
    /// Stable name and text of the last failure, until the next success.
    pub error: Option<(&'static str, String)>,
    /// Failures so far.
    pub failures: u64,
    /// What is live came from our own disk and was not confirmed since.
    pub from_disk: bool,
    /// The current pack was damaged and the one before it is live.
    pub fell_back: bool,
}

/// Keeps one environment up to date.
pub struct Refresher {
    environment: String,
    source: Arc<dyn SnapshotSource>,
    current: Arc<Current>,
    keep: Arc<Keep>,
    ambient: Ambient,
    trust: Trust,
    /// Files of the revision in force, for the pack.
    files: Files,
    live: Option<Arc<Snapshot>>,
    validator: Option<String>,
    status: Arc<Mutex<SupplyStatus>>,
    /// When the pack on disk was written last.
    kept_ms: UnixMs,
}

#[derive(Clone, Default)]
struct Files {
    timestamp: Vec<u8>,
    release: Vec<u8>,
    control: Vec<u8>,
}

/// A pack is written again for a fresher timestamp only this often: restarts
/// then find a timestamp at most this much older than the last confirmed one.
const KEEP_TIMESTAMP_MS: u64 = 60 * 60 * 1000;

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
    ) -> Result<(Self, Option<RefreshError>), RefreshError> {
        let marks = keep.marks()?;
        let trust = Trust::new(environment, trust_root, marks)?;
        let mut refresher = Self {
            environment: environment.to_owned(),
            source,
            current,
            keep,
            ambient,
            trust,
            files: Files::default(),
            live: None,
            validator: None,
            status: Arc::default(),
            kept_ms: 0,
        };
        let problem = refresher.boot_from_disk().err();
        if let Some(problem) = &problem {
            refresher.failed(problem);
        }
        Ok((refresher, problem))
    }

    /// Shared with `/status`.
    pub fn status(&self) -> Arc<Mutex<SupplyStatus>> {
        self.status.clone()
    }

    /// Refreshes until the task is dropped.
    pub async fn run(mut self, wait: Duration, pause_first: Duration, pause_max: Duration) {
        let mut failures = 0_u32;
        loop {
            match self.step(wait).await {
                Ok(refreshed) => {
                    failures = 0;
                    if let Refreshed::Published(revision) = refreshed {
                        tracing::info!(environment = %self.environment, %revision, "snapshot in force");
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    // Told once at full voice and then quietly: an outage of
                    // an hour is one fact, not a thousand.
                    if failures == 1 {
                        tracing::warn!(environment = %self.environment, reason = error.name(), %error, "refresh failed");
                    } else {
                        tracing::debug!(environment = %self.environment, reason = error.name(), %error, failures, "refresh failed");
                    }
                    tokio::time::sleep(self.pause(failures, pause_first, pause_max)).await;
                }
            }
        }
    }

    /// One cycle: asks upstream once and takes in what is new.
    pub async fn step(&mut self, wait: Duration) -> Result<Refreshed, RefreshError> {
        self.status_mut().attempted_ms = Some(self.ambient.now_ms());
        let result = self.fetch_and_publish(wait).await;
        match &result {
            Ok(_) => {
                let now = self.ambient.now_ms();
                let mut status = self.status_mut();
                status.confirmed_ms = Some(now);
                status.error = None;
                status.from_disk = false;
            }
            Err(error) => {
                // What the validator stands for may not have been taken in.
                self.validator = None;
                self.failed(error);
            }
        }
        result
    }

    fn failed(&self, error: &RefreshError) {
        let mut status = self.status_mut();
        status.failures += 1;
        status.error = Some((error.name(), error.to_string()));
    }

    fn status_mut(&self) -> std::sync::MutexGuard<'_, SupplyStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self, failures: u32, first: Duration, longest: Duration) -> Duration {
        let longest = first
            .saturating_mul(1 << failures.saturating_sub(1).min(10))
            .min(longest);
        // Between half and all of it, so that a fleet does not come back in step.
        let jitter = u32::from(self.ambient.bytes::<1>()[0]);
        longest / 2 + longest / 2 * jitter / 255
    }

    fn boot_from_disk(&mut self) -> Result<(), RefreshError> {
        let kept = self.keep.load()?;
        let Some((bytes, fell_back)) = kept.and_then(|kept| Some((kept.pack?, kept.fell_back)))
        else {
            return Ok(());
        };
        let now = self.ambient.now_ms();
        let pack = Pack::parse(&bytes)?;
        let origin = if fell_back {
            Origin::Fallback
        } else {
            Origin::Disk
        };
        let checked = verify_pack(&mut self.trust, &pack, now, origin)?;
        if let Some(problem) = checked.clock_problem() {
            tracing::warn!(environment = %self.environment, %problem, "the clock and the kept snapshot disagree");
        }
        let timestamp = &checked.timestamp;
        let snapshot = compile::compile(
            &self.environment,
            &timestamp.document().environment_uid,
            timestamp.revision(),
            &checked.content,
            checked.control.document(),
        )?;
        let snapshot = Arc::new(snapshot);
        self.current.publish(snapshot.clone(), freshness(timestamp));
        self.live = Some(snapshot);
        self.files = Files {
            timestamp: pack.timestamp,
            release: pack.release,
            control: pack.control,
        };
        self.kept_ms = timestamp.document().issued_ms;
        let mut status = self.status_mut();
        status.from_disk = true;
        status.fell_back = fell_back;
        Ok(())
    }
}

fn freshness(timestamp: &CheckedTimestamp) -> Freshness {
    let document = timestamp.document();
    Freshness {
        issued_ms: document.issued_ms,
        fresh_until_ms: document.fresh_until_ms,
        expires_ms: document.expires_ms,
    }
}

//! How is one environment kept up to date?
//!
//! Boot puts the last good snapshot in force, verified again; each step asks
//! upstream once and takes in what is new. Parsing, compiling and freeing
//! happen on blocking threads, so that the control runtime never waits for
//! them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::{Blobs, RefreshError, Refreshed, SnapshotSource, SupplyStatus};
use crate::{
    clock::{Ambient, UnixMs},
    current::{Age, Current, Freshness},
    disk::keep::Keep,
    distribution::{Roots, Shelf},
    limits::ROOT_STEPS_MAX,
    snapshot::{
        Snapshot, compile,
        pack::Pack,
        parts, sha256_hex,
        trust::{CheckedControl, CheckedRelease, CheckedTimestamp, Origin, Trust, verify_pack},
    },
};

/// Keeps one environment up to date.
pub struct Refresher {
    pub(super) environment: String,
    pub(super) source: Arc<dyn SnapshotSource>,
    pub(super) current: Arc<Current>,
    /// Rung by who wants something newer than what is here.
    pub(super) asked: Arc<Notify>,
    keep: Arc<Keep>,
    pub(super) ambient: Ambient,
    pub(super) trust: Trust,
    /// Files of the revision in force, for the pack.
    files: Files,
    live: Option<Arc<Snapshot>>,
    pub(super) validator: Option<String>,
    status: Arc<Mutex<SupplyStatus>>,
    /// When the pack on disk was written last.
    kept_ms: UnixMs,
    /// Where what was verified is offered to other edges; none when it is not.
    shelf: Option<Arc<Shelf>>,
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
        shelf: Option<Arc<Shelf>>,
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
            validator: None,
            status: Arc::default(),
            kept_ms: 0,
            shelf,
        };
        let problem = refresher.boot_from_disk().err();
        refresher.watch_root();
        if let Some(problem) = &problem {
            // Whoever boots tells it.
            refresher.status_mut().failed(problem);
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
            let begun = tokio::time::Instant::now();
            match self.step(wait).await {
                Ok(Refreshed::Unchanged) => {
                    failures = 0;
                    // An upstream that does not wait, or is told not to, would
                    // be asked again and again without a breath.
                    tokio::time::sleep_until(begun + pause_first).await;
                }
                Ok(refreshed) => {
                    failures = 0;
                    if let Refreshed::Published(revision) = refreshed {
                        tracing::info!(environment = %self.environment, %revision, "snapshot in force");
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
                self.failed(error);
            }
        }
        result
    }

    fn failed(&self, error: &RefreshError) {
        // Told once at full voice: an outage of an hour is one fact, not a
        // thousand.
        if self.status_mut().failed(error) {
            tracing::warn!(environment = %self.environment, reason = error.name(), %error, "refresh failed");
        }
    }

    pub(super) fn status_mut(&self) -> std::sync::MutexGuard<'_, SupplyStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self, failures: u32, first: Duration, longest: Duration) -> Duration {
        self.ambient.backoff(failures, first, longest)
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
            self.status_mut().clock_problem = Some(problem.to_string());
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
            timestamp: pack.timestamp.clone(),
            release: pack.release.clone(),
            control: pack.control.clone(),
        };
        if let Some(shelf) = &self.shelf {
            shelf.put(&roots(&self.trust), versions(timestamp), pack);
        }
        self.kept_ms = timestamp.document().issued_ms;
        let mut status = self.status_mut();
        status.from_disk = true;
        status.fell_back = fell_back;
        Ok(())
    }

    async fn fetch_and_publish(&mut self, wait: Duration) -> Result<Refreshed, RefreshError> {
        self.fetch_roots().await?;
        let Some(fetched) = self.fetch_timestamp(wait).await? else {
            return self.unchanged();
        };
        // A root may have come while we waited for the timestamp it signs.
        self.fetch_roots().await?;
        let now = self.ambient.now_ms();
        let Some(timestamp) = self.trust.timestamp(&fetched.file, now, Origin::Fetched)? else {
            self.validator = fetched.validator;
            return self.unchanged();
        };
        let mut files = self.files.clone();
        files.timestamp = fetched.file;
        let document = timestamp.document();
        if sha256_hex(&files.release) != document.release.sha256 {
            files.release = self
                .source
                .release(
                    &self.environment,
                    document.release.version,
                    document.release.length,
                )
                .await?;
        }
        if sha256_hex(&files.control) != document.control.sha256 {
            files.control = self
                .source
                .control(
                    &self.environment,
                    document.control.version,
                    document.control.length,
                )
                .await?;
        }
        let release = self.trust.release(&timestamp, &files.release)?;
        let control = self.trust.control(&timestamp, &files.control)?;
        let same = self
            .live
            .as_ref()
            .is_some_and(|live| live.revision == timestamp.revision());
        let refreshed = if same {
            self.keep_fresher(&timestamp, &release, &control, &files)
                .await?;
            Refreshed::Fresher
        } else {
            self.take_in(&timestamp, &release, &control, &files).await?;
            Refreshed::Published(timestamp.revision())
        };
        self.files = files;
        self.validator = fetched.validator;
        Ok(refreshed)
    }

    async fn fetch_roots(&mut self) -> Result<(), RefreshError> {
        for _ in 0..ROOT_STEPS_MAX {
            let next = self.trust.root().version + 1;
            let Some(file) = self.source.root(&self.environment, next).await? else {
                return Ok(());
            };
            self.trust.step_root(&file)?;
        }
        Ok(())
    }

    /// The same revision under a newer timestamp.
    async fn keep_fresher(
        &mut self,
        timestamp: &CheckedTimestamp,
        release: &CheckedRelease,
        control: &CheckedControl,
        files: &Files,
    ) -> Result<(), RefreshError> {
        let Some(live) = self.live.clone() else {
            return Ok(());
        };
        let mut trust = self.trust.clone();
        trust.accept(timestamp, release, control);
        if timestamp.document().issued_ms >= self.kept_ms + KEEP_TIMESTAMP_MS {
            let blobs = self.fetch_blobs(release).await?;
            self.keep_pack(&trust, timestamp, files, blobs).await?;
        } else if let Some(shelf) = &self.shelf {
            shelf.fresher(&roots(&trust), &files.timestamp);
        }
        self.trust = trust;
        self.publish(live, timestamp);
        Ok(())
    }

    /// A new revision: blobs, compile, keep, publish.
    async fn take_in(
        &mut self,
        timestamp: &CheckedTimestamp,
        release: &CheckedRelease,
        control: &CheckedControl,
        files: &Files,
    ) -> Result<(), RefreshError> {
        let blobs = self.fetch_blobs(release).await?;
        let environment = self.environment.clone();
        let (checked, narrowed, at) = (release.clone(), control.clone(), timestamp.clone());
        let (snapshot, blobs) = off_thread(move || {
            let content = parts::resolve(&checked, |sha256| blobs.get(sha256).map(Vec::as_slice))?;
            let snapshot = compile::compile(
                &environment,
                &at.document().environment_uid,
                at.revision(),
                &content,
                narrowed.document(),
            )?;
            Ok((snapshot, blobs))
        })
        .await?;
        for aside in &snapshot.set_aside {
            tracing::warn!(environment = %self.environment, flow = %aside.flow, version = ?aside.version, why = %aside.why, "set aside");
        }
        // The marks are raised on a copy first: when the disk refuses, the same
        // timestamp must still count as new at the next try.
        let mut trust = self.trust.clone();
        trust.accept(timestamp, release, control);
        self.keep_pack(&trust, timestamp, files, blobs).await?;
        self.trust = trust;
        let snapshot = Arc::new(snapshot);
        self.live = Some(snapshot.clone());
        self.publish(snapshot, timestamp);
        Ok(())
    }

    fn publish(&self, snapshot: Arc<Snapshot>, timestamp: &CheckedTimestamp) {
        let old = self.current.publish(snapshot, freshness(timestamp));
        // Freeing a large snapshot takes tens of milliseconds; requests that
        // still hold it go on, and whoever is last frees it. This task is
        // usually the last, so it does that off the control runtime.
        drop(tokio::task::spawn_blocking(move || drop(old)));
    }

    /// Everything the release refers to: what the kept pack has is not fetched.
    async fn fetch_blobs(&self, release: &CheckedRelease) -> Result<Blobs, RefreshError> {
        let mut known = self.kept_blobs().await?;
        let mut blobs = Blobs::new();
        loop {
            let checked = release.clone();
            let (missing, kept, rest) = off_thread(move || {
                let missing =
                    parts::missing(&checked, |sha256| blobs.get(sha256).map(Vec::as_slice))?;
                Ok((missing, known, blobs))
            })
            .await?;
            (known, blobs) = (kept, rest);
            if missing.is_empty() {
                return Ok(blobs);
            }
            let mut wanted = Vec::new();
            for blob in missing {
                match known.remove(&blob.sha256) {
                    Some(bytes) => drop(blobs.insert(blob.sha256, bytes)),
                    None => wanted.push(blob),
                }
            }
            if !wanted.is_empty() {
                let fetched = self.source.parts(&self.environment, &wanted).await?;
                blobs.extend(fetched);
            }
        }
    }

    async fn kept_blobs(&self) -> Result<Blobs, RefreshError> {
        let keep = self.keep.clone();
        off_thread(move || {
            // A damaged pack is no reason not to fetch everything anew.
            let kept = keep.load().ok().flatten();
            let pack = kept.and_then(|kept| Pack::parse(&kept.pack?).ok());
            Ok(pack.map(|pack| pack.blobs).unwrap_or_default())
        })
        .await
    }

    async fn keep_pack(
        &mut self,
        trust: &Trust,
        timestamp: &CheckedTimestamp,
        files: &Files,
        blobs: Blobs,
    ) -> Result<(), RefreshError> {
        let Some(marks) = trust.marks().cloned() else {
            return Ok(());
        };
        let keep = self.keep.clone();
        let pack = Pack {
            roots: trust.root_chain().to_vec(),
            timestamp: files.timestamp.clone(),
            release: files.release.clone(),
            control: files.control.clone(),
            blobs,
        };
        let offered = self.shelf.clone();
        let offered = offered.map(|shelf| (shelf, roots(trust), versions(timestamp)));
        off_thread(move || {
            keep.store(&marks, &pack.to_bytes())?;
            if let Some((shelf, roots, versions)) = offered {
                shelf.put(&roots, versions, pack);
            }
            Ok(())
        })
        .await?;
        self.kept_ms = timestamp.document().issued_ms;
        Ok(())
    }
}

/// The roots as they are offered to other edges.
fn roots(trust: &Trust) -> Roots {
    Roots {
        version: trust.root().version,
        files: trust.root_files().to_vec(),
    }
}

/// Of release and control document.
fn versions(timestamp: &CheckedTimestamp) -> (u64, u64) {
    let document = timestamp.document();
    (document.release.version, document.control.version)
}

fn freshness(timestamp: &CheckedTimestamp) -> Freshness {
    let document = timestamp.document();
    Freshness {
        issued_ms: document.issued_ms,
        fresh_until_ms: document.fresh_until_ms,
        expires_ms: document.expires_ms,
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RefreshError> + Send + 'static,
) -> Result<T, RefreshError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| RefreshError::Panicked)?
}

//! How is what a source delivers verified, kept and put in force?
//!
//! From the roots to the blobs: what is known by its hash is not fetched
//! again, marks are raised on a copy until the disk has them, and everything
//! that computes or writes does so on a blocking thread.

use std::{sync::Arc, time::Duration};

use super::{Blobs, Files, KEEP_TIMESTAMP_MS, RefreshError, Refreshed, Refresher, freshness};
use crate::{
    limits::ROOT_STEPS_MAX,
    snapshot::{
        Snapshot, compile,
        pack::Pack,
        parts, sha256_hex,
        trust::{CheckedControl, CheckedRelease, CheckedTimestamp, Origin, Trust},
    },
};

impl Refresher {
    /// One cycle: nothing, the same revision confirmed, or a new one.
    pub(super) async fn fetch_and_publish(
        &mut self,
        wait: Duration,
    ) -> Result<Refreshed, RefreshError> {
        self.fetch_roots().await?;
        let fetched = self
            .source
            .timestamp(&self.environment, self.validator.as_deref(), wait)
            .await?;
        let Some(fetched) = fetched else {
            return Ok(Refreshed::Unchanged);
        };
        // A root may have come while we waited for the timestamp it signs.
        self.fetch_roots().await?;
        let now = self.ambient.now_ms();
        let Some(timestamp) = self.trust.timestamp(&fetched.file, now, Origin::Fetched)? else {
            self.validator = fetched.validator;
            return Ok(Refreshed::Unchanged);
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
        off_thread(move || Ok(keep.store(&marks, &pack.to_bytes())?)).await?;
        self.kept_ms = timestamp.document().issued_ms;
        Ok(())
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RefreshError> + Send + 'static,
) -> Result<T, RefreshError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| RefreshError::Panicked)?
}

//! How is what upstream has taken in?
//!
//! Roots, timestamp, release and control in the order of checks; then blobs,
//! of which only those of changed shards are fetched; then compiled beside the
//! last release, kept on disk, published. Marks are raised on a copy of the
//! trust first: when the disk refuses, the same timestamp must still count as
//! new at the next try.

use std::{sync::Arc, time::Duration};

use super::{
    Blobs, RefreshError, Refreshed,
    cores::Cores,
    holding::Held,
    refresher::{Files, Refresher, freshness, off_thread, roots, versions},
};
use crate::{
    current::{Environment, Environments},
    disk::keep::{HeldRelease, Keep},
    limits::ROOT_STEPS_MAX,
    snapshot::{
        Snapshot,
        compile::{Name, Work, compile_inventory, read_beside},
        pack::Pack,
        parts::{self, Inventory, PartsError, Read},
        sha256_hex,
        trust::{CheckedControl, CheckedRelease, CheckedTimestamp, Origin, Trust},
        wire::Blob,
    },
};

/// A pack is written again for a fresher timestamp only this often: restarts
/// then find a timestamp at most this much older than the last confirmed one.
const KEEP_TIMESTAMP_MS: u64 = 60 * 60 * 1000;

/// Between two looks whether a request still holds what is to be freed.
const FREE_PAUSE: Duration = Duration::from_millis(20);

/// How often it is looked: for half a minute, in which every request ends. A
/// request that hangs for longer frees what it holds itself.
const FREE_LOOKS_MAX: u32 = 1_500;

/// The documents of one revision, checked against each other.
pub(super) struct Revised {
    pub(super) timestamp: CheckedTimestamp,
    pub(super) release: CheckedRelease,
    pub(super) control: CheckedControl,
    files: Files,
}

/// What a release came to.
struct Candidate {
    snapshot: Snapshot,
    inventory: Inventory,
    work: Work,
    read: Read,
}

impl Refresher {
    pub(super) async fn fetch_and_publish(
        &mut self,
        wait: Duration,
    ) -> Result<Refreshed, RefreshError> {
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
        let revised = self.fetch_documents(timestamp, fetched.file).await?;
        let revision = revised.timestamp.revision();
        let refreshed = if self.taken == Some(revision) {
            self.keep_fresher(&revised).await?;
            Refreshed::Fresher
        } else {
            self.take_in(&revised).await?
        };
        self.taken = Some(revision);
        self.files = revised.files;
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

    /// Release and control as the timestamp names them; what is in force is
    /// not fetched again.
    async fn fetch_documents(
        &self,
        timestamp: CheckedTimestamp,
        file: Vec<u8>,
    ) -> Result<Revised, RefreshError> {
        let mut files = Files {
            timestamp: file,
            ..self.files.clone()
        };
        let (source, name) = (&self.source, self.environment.as_str());
        let named = &timestamp.document().release;
        if sha256_hex(&files.release) != named.sha256 {
            files.release = source.release(name, named.version, named.length).await?;
        }
        let named = &timestamp.document().control;
        if sha256_hex(&files.control) != named.sha256 {
            files.control = source.control(name, named.version, named.length).await?;
        }
        Ok(Revised {
            release: self.trust.release(&timestamp, &files.release)?,
            control: self.trust.control(&timestamp, &files.control)?,
            timestamp,
            files,
        })
    }

    /// The same revision under a newer timestamp.
    async fn keep_fresher(&mut self, revised: &Revised) -> Result<(), RefreshError> {
        let Some(live) = self.live.clone() else {
            return Ok(());
        };
        let trust = self.accepted(revised);
        if revised.timestamp.document().issued_ms >= self.kept_ms + KEEP_TIMESTAMP_MS {
            let fetched = Arc::new(self.fetch_blobs(&revised.release).await?);
            let inventory = self.beside(&revised.release);
            let held = self.held.as_ref().map(|held| held.release.clone());
            self.keep(&trust, revised, (&inventory, held), fetched)
                .await?;
        } else if let Some(shelf) = &self.shelf {
            shelf.fresher(&roots(&trust), &revised.files.timestamp);
        }
        self.trust = trust;
        self.publish(live, &revised.timestamp, None);
        Ok(())
    }

    /// A new revision: blobs, compile, guard, keep, publish.
    async fn take_in(&mut self, revised: &Revised) -> Result<Refreshed, RefreshError> {
        let fetched = Arc::new(self.fetch_blobs(&revised.release).await?);
        let candidate = self.compile(revised, fetched.clone()).await?;
        for aside in &candidate.snapshot.set_aside {
            tracing::warn!(environment = %self.environment, flow = %aside.flow, version = ?aside.version, why = %aside.why, "set aside");
        }
        let snapshot = Arc::new(candidate.snapshot);
        let inventory = Arc::new(candidate.inventory);
        let narrowed = self.hold_back(revised, &snapshot).await?;
        let named = &revised.timestamp.document().release;
        let held = narrowed.is_some().then(|| HeldRelease {
            version: named.version,
            sha256: named.sha256.clone(),
        });
        let trust = self.accepted(revised);
        self.keep(&trust, revised, (&inventory, held.clone()), fetched)
            .await?;
        self.trust = trust;
        self.note_work(candidate.work, candidate.read);
        let revision = revised.timestamp.revision();
        let replaced = Some(self.inventory.clone());
        let refreshed = match (narrowed, held) {
            (Some(narrowed), Some(release)) => {
                self.inventory = Arc::new(narrowed.inventory);
                self.live = Some(Arc::new(narrowed.snapshot));
                self.held = Some(Held {
                    release,
                    revision,
                    inventory,
                });
                Refreshed::Held(revision)
            }
            _ => {
                self.inventory = inventory;
                self.live = Some(snapshot);
                self.serves.clone_from(&named.sha256);
                self.held = None;
                Refreshed::Published(revision)
            }
        };
        self.tell_held();
        if let Some(live) = self.live.clone() {
            self.publish(live, &revised.timestamp, replaced);
        }
        Ok(refreshed)
    }

    /// What a release is resolved beside: itself while it is held, else the one
    /// in force. The kept packs have every blob of both.
    fn beside(&self, release: &CheckedRelease) -> Arc<Inventory> {
        let version = release.document().version;
        let held = self.held.as_ref();
        let own = held.filter(|held| held.release.version == version);
        own.map_or(&self.inventory, |held| &held.inventory).clone()
    }

    /// The trust as it is once this revision is accepted.
    fn accepted(&self, revised: &Revised) -> Trust {
        let mut trust = self.trust.clone();
        trust.accept(&revised.timestamp, &revised.release, &revised.control);
        trust
    }

    async fn compile(
        &self,
        revised: &Revised,
        fetched: Arc<Blobs>,
    ) -> Result<Candidate, RefreshError> {
        let environment = self.environment.clone();
        let (release, control) = (revised.release.clone(), revised.control.clone());
        let timestamp = revised.timestamp.clone();
        let (last, keep) = (self.beside(&revised.release), self.keep.clone());
        off_thread(&self.ambient, move || {
            let blob = |sha256: &str| fetched.get(sha256).map(Vec::as_slice);
            let (mut inventory, read) = match read_beside(&release, blob, &last, &Cores) {
                // Something we have was not needed until now.
                Err(PartsError::Missing { .. }) => {
                    let kept = kept_blobs(&keep);
                    let blob = |sha256: &str| {
                        let found = fetched.get(sha256).or_else(|| kept.get(sha256));
                        found.map(Vec::as_slice)
                    };
                    read_beside(&release, blob, &last, &Cores)?
                }
                resolved => resolved?,
            };
            let name = Name {
                environment: &environment,
                environment_uid: &timestamp.document().environment_uid,
                revision: timestamp.revision(),
            };
            let (snapshot, work) = compile_inventory(&name, &mut inventory, control.document())?;
            Ok(Candidate {
                snapshot,
                inventory,
                work,
                read,
            })
        })
        .await
    }

    fn note_work(
        &self,
        Work {
            versions,
            deployments,
            flows,
            flags,
        }: Work,
        read: Read,
    ) {
        let mut status = self.status_mut();
        let versions = read.versions + versions;
        status.parts_read = read.parts as u64;
        status.versions_compiled = versions as u64;
        tracing::debug!(environment = %self.environment, parts_read = read.parts, versions,
            deployments, flows, flags, "a release was compiled");
    }

    /// Puts a snapshot in force; what it replaces is freed elsewhere, together
    /// with the inventory it was made of.
    fn publish(
        &self,
        snapshot: Arc<Snapshot>,
        timestamp: &CheckedTimestamp,
        replaced: Option<Arc<Inventory>>,
    ) {
        let held = self.held.as_ref().map(|held| held.revision);
        let fresh = freshness(timestamp);
        let old = self.current.publish_beside(snapshot, fresh, held);
        // The same snapshot under a newer timestamp lives on.
        if let Some(inventory) = replaced {
            drop(tokio::spawn(free(old, self.environment.clone(), inventory)));
        }
    }

    /// What the release refers to and nothing here has. As long as the kept
    /// pack is whole, it has every blob of the last release.
    async fn fetch_blobs(&self, release: &CheckedRelease) -> Result<Blobs, RefreshError> {
        let had = match self.pack_is_whole {
            true => self.beside(release),
            false => Arc::default(),
        };
        let mut blobs = Blobs::new();
        loop {
            let (checked, had) = (release.clone(), had.clone());
            let (wanted, rest) = off_thread(&self.ambient, move || {
                let blob = |sha256: &str| blobs.get(sha256).map(Vec::as_slice);
                let wanted = parts::missing_beside(&checked, blob, &had)?;
                Ok((wanted, blobs))
            })
            .await?;
            blobs = rest;
            if wanted.is_empty() {
                return Ok(blobs);
            }
            let fetched = self.source.parts(&self.environment, &wanted).await?;
            // A source that leaves something out without a word would be asked
            // for it again and again, without a breath.
            if let Some(left_out) = wanted.iter().find(|b| !fetched.contains_key(&b.sha256)) {
                let sha256 = left_out.sha256.clone();
                return Err(PartsError::Missing { sha256 }.into());
            }
            let bytes: usize = fetched.values().map(Vec::len).sum();
            self.status_mut().fetched_bytes += bytes as u64;
            blobs.extend(fetched);
        }
    }

    /// Writes pack and marks. Finds the kept pack damaged only here: then
    /// everything is fetched anew, once.
    async fn keep(
        &mut self,
        trust: &Trust,
        revised: &Revised,
        (inventory, held): (&Arc<Inventory>, Option<HeldRelease>),
        fetched: Arc<Blobs>,
    ) -> Result<(), RefreshError> {
        let content = (inventory, held.as_ref());
        let mut whole = self.write_pack(trust, revised, content, fetched).await?;
        if !whole {
            self.pack_is_whole = false;
            let everything = Arc::new(self.fetch_blobs(&revised.release).await?);
            whole = self.write_pack(trust, revised, content, everything).await?;
        }
        self.pack_is_whole = whole;
        self.kept_ms = revised.timestamp.document().issued_ms;
        Ok(())
    }

    /// False when a blob is neither fetched nor in the kept pack.
    async fn write_pack(
        &self,
        trust: &Trust,
        revised: &Revised,
        (inventory, held): (&Arc<Inventory>, Option<&HeldRelease>),
        fetched: Arc<Blobs>,
    ) -> Result<bool, RefreshError> {
        let Some(marks) = trust.marks().cloned() else {
            return Ok(true);
        };
        let (keep, inventory, held) = (self.keep.clone(), inventory.clone(), held.cloned());
        let chain = trust.root_chain().to_vec();
        let files = revised.files.clone();
        let offered = self.shelf.clone();
        let offered = offered.map(|shelf| (shelf, roots(trust), versions(&revised.timestamp)));
        off_thread(&self.ambient, move || {
            let mut kept = kept_blobs(&keep);
            let mut blobs = Blobs::new();
            for Blob { sha256, .. } in inventory.blobs() {
                if blobs.contains_key(sha256) {
                    continue;
                }
                let Some(bytes) = kept.remove(sha256).or_else(|| fetched.get(sha256).cloned())
                else {
                    return Ok(false);
                };
                blobs.insert(sha256.clone(), bytes);
            }
            drop(kept);
            let pack = Pack {
                roots: chain,
                timestamp: files.timestamp,
                release: files.release,
                control: files.control,
                blobs,
            };
            match held {
                Some(held) => keep.store_held(&marks, &pack.to_bytes(), &held)?,
                None => keep.store(&marks, &pack.to_bytes())?,
            }
            if let Some((shelf, roots, versions)) = offered {
                shelf.put(&roots, versions, pack);
            }
            Ok(true)
        })
        .await
    }
}

/// Frees what was live once no request holds it any more. Freeing a large
/// snapshot takes tens of milliseconds: the last request would pay for it on
/// its worker, and whoever waits behind it.
async fn free(old: Arc<Environments>, environment: String, inventory: Arc<Inventory>) {
    let is_held = || {
        let own = old.named(&environment);
        let by_request = |own: &Arc<Environment>| {
            Arc::strong_count(own) > 1 || Arc::strong_count(&own.snapshot) > 1
        };
        Arc::strong_count(&old) > 1 || own.is_some_and(by_request)
    };
    for _ in 0..FREE_LOOKS_MAX {
        if !is_held() {
            break;
        }
        tokio::time::sleep(FREE_PAUSE).await;
    }
    drop(tokio::task::spawn_blocking(move || drop((old, inventory))));
}

/// Blobs of the kept packs: of the newest one, and while its release is held
/// also of the one that serves. A damaged pack has none, and is no reason not
/// to fetch everything anew.
fn kept_blobs(keep: &Keep) -> Blobs {
    let blobs = |bytes: Vec<u8>| Pack::parse(&bytes).map(|pack| pack.blobs).ok();
    let kept = keep.load().ok().flatten().and_then(|kept| kept.pack);
    let mut found = kept.and_then(blobs).unwrap_or_default();
    let serves = keep.held().ok().flatten().and_then(|(_, pack)| pack);
    found.extend(serves.and_then(blobs).unwrap_or_default());
    found
}

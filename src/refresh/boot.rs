//! What serves from our own disk, before upstream was asked?
//!
//! The kept pack, verified as if it came from afar. While its release is held
//! back, the pack of the one in force beside it, under the control document of
//! the newer: a kill switch outlives a restart, and so does the hold.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{
    RefreshError,
    cores::Cores,
    holding::{Held, is_confirmed},
    refresher::{Files, Refresher, freshness, roots, versions},
};
use crate::{
    clock::UnixMs,
    disk::keep::HeldRelease,
    snapshot::{
        Revision, Snapshot,
        compile::{Name, compile_inventory, read_beside},
        flags::FlagMark,
        pack::Pack,
        parts::Inventory,
        trust::{CheckedControl, CheckedDocuments, CheckedRelease, Origin, verify_documents},
    },
};

/// What of a pack serves.
struct Booted {
    snapshot: Arc<Snapshot>,
    inventory: Inventory,
    /// SHA-256 of the release.
    serves: String,
    held: Option<Held>,
}

impl Refresher {
    /// Puts the last good snapshot in force, if there is one.
    pub(super) fn boot_from_disk(&mut self) -> Result<(), RefreshError> {
        if self.guard.is_none() {
            self.keep.forget_contexts();
        }
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
        let documents = verify_documents(&mut self.trust, &pack, now, origin)?;
        if let Some(problem) = documents.clock_problem() {
            tracing::warn!(environment = %self.environment, %problem, "the clock and the kept snapshot disagree");
            self.status_mut().clock_problem = Some(problem.to_string());
        }
        let booted = self.boot_pack(&pack, &documents, now)?;
        let timestamp = &documents.timestamp;
        let held = booted.held.as_ref().map(|held| held.revision);
        let (snapshot, fresh) = (booted.snapshot, freshness(timestamp));
        self.current.publish_beside(snapshot.clone(), fresh, held);
        self.live = Some(snapshot);
        self.inventory = Arc::new(booted.inventory);
        self.serves = booted.serves;
        self.held = booted.held;
        self.taken = Some(timestamp.revision());
        self.pack_is_whole = true;
        self.files = Files {
            timestamp: pack.timestamp.clone(),
            release: pack.release.clone(),
            control: pack.control.clone(),
        };
        // Also while it is held here: edges below judge by themselves.
        if let Some(shelf) = &self.shelf {
            shelf.put(&roots(&self.trust), versions(timestamp), pack);
        }
        self.kept_ms = timestamp.document().issued_ms;
        self.tell_held();
        let mut status = self.status_mut();
        status.from_disk = true;
        status.fell_back = fell_back;
        Ok(())
    }

    fn boot_pack(
        &mut self,
        pack: &Pack,
        documents: &CheckedDocuments,
        now: UnixMs,
    ) -> Result<Booted, RefreshError> {
        let named = &documents.timestamp.document().release;
        let held = self.held_on_disk(documents)?;
        if let Some((release, in_force)) = held {
            match self.boot_held(pack, documents, release, &in_force, now) {
                Ok(booted) => return Ok(booted),
                // To serve what is held is better than to serve nothing.
                Err(error) => {
                    tracing::error!(environment = %self.environment, %error,
                        "the release in force was lost while another is held; that one serves");
                }
            }
        }
        let revision = documents.timestamp.revision();
        let nothing = Inventory::default();
        let (release, control) = (&documents.release, &documents.control);
        let (snapshot, inventory) = self.made(pack, (release, control), revision, &nothing)?;
        self.restore_contexts(&snapshot);
        Ok(Booted {
            snapshot: Arc::new(snapshot),
            inventory,
            serves: named.sha256.clone(),
            held: None,
        })
    }

    /// The hold on this very release and the pack of the one that serves. A
    /// hold ends with its confirmation, and with the guard.
    fn held_on_disk(
        &self,
        documents: &CheckedDocuments,
    ) -> Result<Option<(HeldRelease, Vec<u8>)>, RefreshError> {
        let named = &documents.timestamp.document().release;
        if self.guard.is_none() || is_confirmed(&documents.release, &documents.control) {
            return Ok(None);
        }
        let held = self
            .keep
            .held()?
            .filter(|(held, _)| held.sha256 == named.sha256);
        Ok(held.map(|(held, pack)| (held, pack.unwrap_or_default())))
    }

    fn boot_held(
        &mut self,
        pack: &Pack,
        documents: &CheckedDocuments,
        release: HeldRelease,
        in_force: &[u8],
        now: UnixMs,
    ) -> Result<Booted, RefreshError> {
        let older = Pack::parse(in_force)?;
        let before = verify_documents(&mut self.trust, &older, now, Origin::Fallback)?;
        let nothing = Inventory::default();
        let (control, serves) = (&documents.control, before.timestamp.revision());
        let (mut snapshot, inventory) =
            self.made(&older, (&before.release, control), serves, &nothing)?;
        let revision = documents.timestamp.revision();
        snapshot.flag_mark = FlagMark::of_held(serves, revision);
        self.restore_contexts(&snapshot);
        let held = (&documents.release, control);
        let (candidate, beside) = self.made(pack, held, revision, &inventory)?;
        self.judge_held(&snapshot, &candidate, now);
        Ok(Booted {
            snapshot: Arc::new(snapshot),
            inventory,
            serves: before.timestamp.document().release.sha256.clone(),
            held: Some(Held {
                release,
                revision,
                inventory: Arc::new(beside),
            }),
        })
    }

    fn made(
        &self,
        pack: &Pack,
        (release, control): (&CheckedRelease, &CheckedControl),
        revision: Revision,
        last: &Inventory,
    ) -> Result<(Snapshot, Inventory), RefreshError> {
        // Every blob is looked up, and a tree of texts is slow to walk.
        let blobs = pack.blobs.iter();
        let blobs: FxHashMap<&str, &[u8]> =
            blobs.map(|(sha256, bytes)| (&**sha256, &**bytes)).collect();
        let blob = |sha256: &str| blobs.get(sha256).copied();
        let (mut inventory, _) = read_beside(release, blob, last, &Cores)?;
        let name = Name {
            environment: &self.environment,
            environment_uid: &release.document().environment_uid,
            revision,
        };
        let (snapshot, _) = compile_inventory(&name, &mut inventory, control.document())?;
        Ok((snapshot, inventory))
    }
}

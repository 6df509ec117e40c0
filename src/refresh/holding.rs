//! Does a release go into force, or is it held back?
//!
//! A new release is judged on recent contexts against the one in force, both
//! under the new control document, so that a kill switch is no difference. Is
//! the difference too large, the release is *held*: its marks are raised, so
//! that nothing older can come back, its pack is kept as the newest, and the
//! release in force goes on with the newer control document. Only a signed
//! confirmation or a newer release ends it, also over a restart.

use std::sync::{Arc, Mutex};

use super::{
    RefreshError,
    refresher::{Refresher, off_thread},
    taking::Revised,
};
use crate::{
    clock::UnixMs,
    disk::keep::HeldRelease,
    guard::{Context, FlowChange, Reservoir, Verdict, judge, locked},
    limits::GUARD_FLOWS_TOLD_MAX,
    snapshot::{
        Revision, Snapshot,
        compile::{Name, compile_inventory},
        flags::FlagMark,
        parts::Inventory,
        trust::{CheckedControl, CheckedRelease},
    },
};

/// Contexts are written at most this often; a crash loses the last ones.
const KEEP_CONTEXTS_MS: u64 = 60 * 1000;

/// What guards an environment.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Where recent contexts lie.
    pub reservoir: Arc<Mutex<Reservoir>>,
    /// More changed decisions of a flow than this hold a release back; with
    /// 100 none is, and changes are only told.
    pub percent: u8,
}

/// A release that is held back, as `/status` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldStatus {
    /// What has to be confirmed.
    pub release: u64,
    /// The revision that does not come into force by it.
    pub revision: Revision,
}

/// A release that is held back.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) release: HeldRelease,
    pub(super) revision: Revision,
    pub(super) inventory: Arc<Inventory>,
}

/// The release in force under a newer control document.
pub(super) struct Narrowed {
    pub(super) snapshot: Snapshot,
    pub(super) inventory: Inventory,
}

/// Whether control says that this release may come into force.
pub(super) fn is_confirmed(release: &CheckedRelease, control: &CheckedControl) -> bool {
    let version = release.document().version;
    control.document().confirmed_releases.contains(&version)
}

impl Refresher {
    /// What goes on serving when this candidate is held back; none when it may
    /// go into force.
    pub(super) async fn hold_back(
        &self,
        revised: &Revised,
        candidate: &Arc<Snapshot>,
    ) -> Result<Option<Narrowed>, RefreshError> {
        let (Some(guard), Some(live)) = (&self.guard, &self.live) else {
            return Ok(None);
        };
        let named = &revised.timestamp.document().release;
        if named.sha256 == self.serves {
            return Ok(None);
        }
        let reservoir = guard.reservoir.clone();
        let (candidate, mut inventory) = (candidate.clone(), (*self.inventory).clone());
        let control = revised.control.clone();
        let (environment, uid) = (live.environment.clone(), live.environment_uid.clone());
        let (revision, now) = (live.revision, self.ambient.now_ms());
        let flag_mark = FlagMark::of_held(revision, revised.timestamp.revision());
        let (narrowed, verdict) = off_thread(&self.ambient, move || {
            let name = Name {
                environment: &environment,
                environment_uid: &uid,
                revision,
            };
            let (mut snapshot, _) = compile_inventory(&name, &mut inventory, control.document())?;
            // The control document may take flags away under the same revision.
            snapshot.flag_mark = flag_mark;
            // Copied, so that samples go on coming in meanwhile.
            let contexts: Vec<Context> = locked(&reservoir).contexts().cloned().collect();
            let verdict = judge(&snapshot, &candidate, contexts.iter(), now);
            let narrowed = Narrowed {
                snapshot,
                inventory,
            };
            Ok((narrowed, verdict))
        })
        .await?;
        let confirmed = is_confirmed(&revised.release, &revised.control);
        let still = self.held.as_ref().map(|held| &held.release.sha256) == Some(&named.sha256);
        let exceeds = verdict.exceeds(guard.percent).cloned();
        self.tell_verdict(&verdict, named.version);
        if confirmed || (!still && exceeds.is_none()) {
            return Ok(None);
        }
        if let Some(flow) = exceeds.filter(|_| !still) {
            tracing::warn!(environment = %self.environment, release = named.version, flow = %flow.sid,
                judged = flow.judged, changed = flow.changed, limit_percent = guard.percent,
                "a release is held back: it changes too many decisions (confirm it, or publish another)");
        }
        Ok(Some(narrowed))
    }

    fn tell_verdict(&self, verdict: &Verdict, release: u64) {
        if let Some(flow) = verdict.worst() {
            tracing::info!(environment = %self.environment, release, flow = %flow.sid,
                judged = flow.judged, changed = flow.changed, moved = flow.moved,
                "decisions were made again under a new release; this flow changes most");
        }
        self.status_mut().verdict = told(verdict);
    }

    /// Notes in the status what is held.
    pub(super) fn tell_held(&self) {
        self.status_mut().held = self.held.as_ref().map(|held| HeldStatus {
            release: held.release.version,
            revision: held.revision,
        });
    }

    /// Makes the verdict on what is held already, for the status.
    pub(super) fn judge_held(&self, in_force: &Snapshot, candidate: &Snapshot, now: UnixMs) {
        if let Some(guard) = &self.guard {
            let verdict = judge(
                in_force,
                candidate,
                locked(&guard.reservoir).contexts(),
                now,
            );
            self.status_mut().verdict = told(&verdict);
        }
    }

    /// Puts the contexts of an earlier run back, or forgets them where nothing
    /// is guarded any more.
    pub(super) fn restore_contexts(&self, snapshot: &Snapshot) {
        let Some(guard) = &self.guard else {
            return;
        };
        if let Some(bytes) = self.keep.contexts() {
            let slot = self.current.slot(&snapshot.environment_uid);
            locked(&guard.reservoir).read(&bytes, slot, snapshot);
        }
    }

    /// Writes the contexts now and then.
    pub(super) async fn keep_contexts(&mut self) {
        let now = self.ambient.now_ms();
        let (Some(guard), Some(live)) = (self.guard.clone(), self.live.clone()) else {
            return;
        };
        let since = now.checked_sub(self.contexts_kept_ms);
        if since.is_some_and(|since| since < KEEP_CONTEXTS_MS) {
            return;
        }
        self.contexts_kept_ms = now;
        let keep = self.keep.clone();
        let kept = off_thread(&self.ambient, move || {
            let bytes = locked(&guard.reservoir).written(&live);
            Ok(keep.store_contexts(&bytes)?)
        });
        if let Err(error) = kept.await {
            tracing::debug!(environment = %self.environment, %error, "contexts were not kept");
        }
    }
}

/// As much of a verdict as status tells.
fn told(verdict: &Verdict) -> Vec<FlowChange> {
    let flows = verdict.flows.iter().take(GUARD_FLOWS_TOLD_MAX);
    flows.cloned().collect()
}

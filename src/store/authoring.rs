//! How does a change become what is authored?
//!
//! The one way there is: decided on a copy, permitted and confirmed by what it
//! touches, written in one transaction together with its entry in the audit log, then
//! put in place. Nothing is authored past it. Whoever only tries something goes
//! the same way up to the writing, and goes on with what would be.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use super::{
    Actor, AuditEntry, Store, StoreError, confirming,
    engine::Write,
    key_ending, locked,
    touching::{self, Touched},
    workspace::Workspace,
};

/// What would be after everything that was tried so far.
#[derive(Default)]
pub(super) struct Trial {
    /// What would be authored, once something was tried.
    workspace: Mutex<Option<Arc<Workspace>>>,
    /// Names of environments in which it would have to be confirmed.
    unconfirmed: Mutex<BTreeSet<String>>,
}

impl Trial {
    pub(super) fn workspace(&self) -> Option<Arc<Workspace>> {
        locked(&self.workspace).clone()
    }
}

/// Why a change is not made: the thing is not what its author read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name:?} was changed since it was read")]
pub struct Stale {
    /// Which kind of thing.
    pub kind: &'static str,
    /// What people call it.
    pub name: String,
    /// The tag that was sent.
    pub found: String,
    /// That of what is there; empty when nothing is.
    pub expected: String,
}

impl Store {
    /// The same store, with everything done in somebody's name and within
    /// their rights.
    #[must_use]
    pub(super) fn acting(&self, actor: Actor) -> Self {
        Self {
            actor: Arc::new(actor),
            ..self.clone()
        }
    }

    /// The same store, on which everything is tried and nothing is written.
    #[must_use]
    pub(super) fn trying(&self) -> Self {
        Self {
            trial: Some(Arc::default()),
            ..self.clone()
        }
    }

    /// Whether nothing is written.
    pub(super) fn is_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// Names of environments in which what was tried would have to be
    /// confirmed.
    pub(super) fn unconfirmed(&self) -> Vec<String> {
        let trial = self.trial.iter();
        let names = trial.flat_map(|trial| locked(&trial.unconfirmed).clone());
        names.collect()
    }

    /// The same store, on which a thing is changed only while it has this tag.
    #[must_use]
    pub(super) fn expecting(&self, tag: String) -> Self {
        Self {
            expected: Some(tag.into()),
            ..self.clone()
        }
    }

    /// Makes a change to what is authored. Nothing happens when there is
    /// nothing to write.
    pub(super) fn author<T>(
        &self,
        work: impl FnOnce(&Workspace) -> Result<(Workspace, Vec<Write>, T), StoreError>,
    ) -> Result<T, StoreError> {
        let author = locked(&self.authoring);
        let before = self.workspace();
        let (after, mut writes, answer) = work(&before)?;
        if writes.is_empty() {
            return Ok(answer);
        }
        let touched = writes.iter();
        let touched = touched.filter_map(|write| touching::touched(write, &before, &after));
        let touched: Vec<_> = touched.collect();
        self.actor.permit(&touched, &after)?;
        key_ending::refuse_last(&before, &after, self.ambient.now_ms())?;
        self.refuse_stale(&touched, &before)?;
        let meant = confirming::refuse_unmeant(&self.actor.meant, &writes, &before, &after);
        if let Some(trial) = &self.trial {
            if let Err(StoreError::Unconfirmed { environments, .. }) = meant {
                locked(&trial.unconfirmed).extend(environments);
            }
            *locked(&trial.workspace) = Some(Arc::new(after));
            return Ok(answer);
        }
        meant?;
        let now = self.ambient.now_ms();
        let entry = AuditEntry::of_change(&self.actor, now, &touched, (&before, &after));
        writes.push(Write::Audit(Box::new(entry)));
        self.engine.commit(&writes)?;
        // Whoever finds a new environment finds its signals, too.
        let environments = after.environments.clone();
        self.following.welcome(&environments);
        let mut place = self.workspace.write();
        let place = place.as_deref_mut();
        match place {
            Ok(place) => *place = Arc::new(after),
            Err(poisoned) => **poisoned.get_mut() = Arc::new(after),
        }
        self.following.dismiss(&environments);
        locked(&self.plan).changed();
        self.changes.send_modify(|count| *count += 1);
        drop(author);
        Ok(answer)
    }

    /// Compared under the lock of authors: of two who read the same, one wins
    /// and the other hears of it.
    fn refuse_stale(&self, touched: &[Touched], before: &Workspace) -> Result<(), StoreError> {
        let Some(found) = &self.expected else {
            return Ok(());
        };
        let Some((first, expected)) = touched.iter().find_map(|own| Some((own, own.tag(before)?)))
        else {
            return Ok(());
        };
        if **found == *expected {
            return Ok(());
        }
        Err(Stale {
            kind: first.kind(),
            name: first.name.clone(),
            found: found.to_string(),
            expected,
        }
        .into())
    }
}

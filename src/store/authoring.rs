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
    Actor, AuditEntry, Store, StoreError, condition::Condition, confirming, engine::Write,
    key_ending, locked, touching, workspace::Workspace,
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

    /// The same store, on which a thing is changed only while this holds.
    #[must_use]
    pub(super) fn expecting(&self, condition: Condition) -> Self {
        Self {
            condition: Some(Arc::new(condition)),
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
        // Of two who read the same, one wins and the other hears of it.
        let holds = self.condition.as_ref().map(|own| own.check(&before));
        let holds = holds.transpose();
        if writes.is_empty() {
            holds?;
            return Ok(answer);
        }
        let touched = writes.iter();
        let touched = touched.filter_map(|write| touching::touched(write, &before, &after));
        let touched: Vec<_> = touched.collect();
        self.actor.permit(&touched, &after)?;
        key_ending::refuse_last(&before, &after, self.ambient.now_ms())?;
        holds?;
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
}

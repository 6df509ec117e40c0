//! How does a change become what is authored?
//!
//! The one way there is: decided on a copy, permitted by what it touches,
//! written in one transaction together with its entry in the audit log, then
//! put in place. Nothing is authored past it.

use std::sync::Arc;

use super::{
    Actor, AuditEntry, Store, StoreError, engine::Write, locked, touching, workspace::Workspace,
};

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

    /// Makes a change to what is authored. Nothing happens when there is
    /// nothing to write.
    pub(super) fn author<T>(
        &self,
        work: impl FnOnce(&Workspace) -> Result<(Workspace, Vec<Write>, T), StoreError>,
    ) -> Result<T, StoreError> {
        let author = locked(&self.authoring);
        let before = self.workspace();
        let (after, mut writes, answer) = work(&before)?;
        if !writes.is_empty() {
            let touched = writes.iter();
            let touched = touched.filter_map(|write| touching::touched(write, &before, &after));
            let touched: Vec<_> = touched.collect();
            self.actor.permit(&touched, &after)?;
            let now = self.ambient.now_ms();
            let entry = AuditEntry::of_change(&self.actor, now, &touched, (&before, &after));
            writes.push(Write::Audit(Box::new(entry)));
            self.engine.commit(&writes)?;
            let mut place = self.workspace.write();
            let place = place.as_deref_mut();
            match place {
                Ok(place) => *place = Arc::new(after),
                Err(poisoned) => **poisoned.get_mut() = Arc::new(after),
            }
            locked(&self.plan).changed();
            self.changes.send_modify(|count| *count += 1);
        }
        drop(author);
        Ok(answer)
    }
}

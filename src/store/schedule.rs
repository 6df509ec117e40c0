//! What becomes of a step of a schedule whose time has come?
//!
//! Edges judge schedules by themselves, by the list that is signed: a step acts
//! on time also while the store is away. The store then writes it down as what
//! it is by now, the percentage of the deployment, in an ordinary change that is
//! published. Of several steps that were missed the newest counts, as it did at
//! the edges all along; so this changes no decision.

use super::{
    Store, StoreError,
    engine::Write,
    workspace::{Deployment, Workspace},
};
use crate::clock::UnixMs;

impl Store {
    /// Writes steps down whose time has come. To be called every few seconds.
    pub(super) fn carry_out_schedules(&self, now: UnixMs) -> Result<(), StoreError> {
        if due(&self.workspace(), now).next().is_none() {
            return Ok(());
        }
        self.author(|workspace| {
            let mut after = workspace.clone();
            let mut writes = Vec::new();
            for deployment in due(workspace, now) {
                tracing::info!(
                    deployment = deployment.name,
                    basis_points = deployment.rollout.basis_points,
                    "a step of a schedule was carried out"
                );
                writes.push(Write::Deployment(Box::new(deployment.clone())));
                after.deployments.insert(deployment.uid.clone(), deployment);
            }
            Ok((after, writes, ()))
        })
    }
}

/// Deployments with steps whose time has come, as they are from now on.
fn due(workspace: &Workspace, now: UnixMs) -> impl Iterator<Item = Deployment> + '_ {
    let deployments = workspace.deployments.values();
    deployments.filter_map(move |own| {
        let schedule = &own.rollout.schedule;
        let begun = schedule.partition_point(|step| step.at_ms <= now);
        let newest = schedule[..begun].last()?;
        let mut after = own.clone();
        after.rollout.basis_points = newest.basis_points;
        after.rollout.schedule.drain(..begun);
        Some(after)
    })
}

/// The percentage in force at a time.
pub(super) fn basis_points_at(deployment: &Deployment, now: UnixMs) -> u16 {
    let rollout = &deployment.rollout;
    let begun = rollout.schedule.iter().rev();
    let newest = begun.into_iter().find(|step| step.at_ms <= now);
    newest.map_or(rollout.basis_points, |step| step.basis_points)
}

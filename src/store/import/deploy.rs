//! Do the deployments of the files fit the store, and each other?
//!
//! A deployment is matched by its uid, else by its name in the environment.
//! They are looked at when every file was taken: what one of them says of a
//! channel or a version may stand in a later file, and two may change places.

use std::collections::BTreeMap;

use super::{Faults, deployments::DeploymentFile};
use crate::{
    snapshot::wire::{AlternativePart, RolloutPart},
    store::{
        called::is_blank,
        deploying::{BASIS_POINTS, check, refuse_deprecated},
        environment_names,
        naming::Naming,
        notices::{full_launch, undescribed, unknown_attributes},
        workspace::{Channel, Deployment, Workspace},
    },
};

/// Channels and deployments of an import that are not yet in the workspace.
#[derive(Default)]
pub(super) struct Deploy {
    /// Channel name to the file that describes it.
    channels: BTreeMap<String, String>,
    /// File and flow sid of each.
    waiting: Vec<(String, String, DeploymentFile)>,
}

impl Deploy {
    /// Takes what a file says of a channel.
    pub(super) fn channel(
        &mut self,
        workspace: &mut Workspace,
        file: &str,
        channel: Channel,
        faults: &mut Faults,
    ) {
        let position = format!("channel {:?}", channel.name);
        let other = self.channels.insert(channel.name.clone(), file.to_owned());
        if other.is_some() {
            faults.add(file, &position, "the channel appears twice in this import");
        }
        workspace.channels.insert(channel.name.clone(), channel);
    }

    /// Takes a deployment for later.
    pub(super) fn deployment(&mut self, file: &str, flow: &str, given: DeploymentFile) {
        self.waiting.push((file.to_owned(), flow.to_owned(), given));
    }

    /// Puts everything into the workspace and looks at the whole.
    pub(super) fn finish(
        self,
        before: &Workspace,
        workspace: &mut Workspace,
        naming: Naming<'_>,
        faults: &mut Faults,
    ) {
        let mut touched: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (file, flow, given) in self.waiting {
            let position = given.position(&flow);
            let resolved = resolve(workspace, &file, &flow, given, naming, faults);
            let Some(deployment) = resolved else {
                continue;
            };
            let uid = deployment.uid.clone();
            if touched.contains_key(&uid) {
                faults.add(
                    &file,
                    &position,
                    "the deployment appears twice in this import",
                );
            }
            touched.insert(uid.clone(), (file, position));
            workspace.deployments.insert(uid, deployment);
        }
        for (uid, deployment) in &workspace.deployments {
            let stored = before.deployments.get(uid);
            if let Some((file, position)) = touched.get(uid) {
                let place = workspace.environment_by_uid(&deployment.environment_uid);
                let late = place.map(|place| refuse_deprecated(before, deployment, place));
                let late = late.and_then(Result::err);
                for error in check(workspace, stored, deployment).into_iter().chain(late) {
                    faults.add(file, position, error.to_string());
                }
                if stored != Some(deployment) {
                    notices(before, workspace, deployment, |text| {
                        faults.notice(file, position, text);
                    });
                }
            } else if let Some(file) = self.channels.get(&deployment.channel) {
                // What was sound may not be on a channel that is exclusive now.
                let position = format!("channel {:?}", deployment.channel);
                for error in check(workspace, stored, deployment) {
                    let rule = format!("deployment {:?}: {error}", deployment.name);
                    faults.add(file, &position, rule);
                }
            }
        }
    }
}

/// The deployment a file describes; its environment and its uid must fit.
fn resolve(
    workspace: &Workspace,
    file: &str,
    flow: &str,
    given: DeploymentFile,
    naming: Naming<'_>,
    faults: &mut Faults,
) -> Option<Deployment> {
    let position = given.position(flow);
    let flow_uid = workspace.flows.get(flow)?.uid.clone();
    let Some(environment) = workspace.environment(&given.environment) else {
        let rule = format!(
            "environment {:?} does not exist (expected one of {})",
            given.environment,
            environment_names(workspace)
        );
        faults.add(file, &position, rule);
        return None;
    };
    let by_uid = given.uid.as_ref();
    let by_uid = by_uid.and_then(|uid| workspace.deployments.get(uid));
    let by_name = workspace
        .deployment(&environment.uid, &given.name)
        .filter(|known| known.flow_uid == flow_uid);
    let known = by_uid.or(by_name);
    if let Some(known) = known {
        if known.flow_uid != flow_uid || known.environment_uid != environment.uid {
            let rule = format!(
                "uid {:?} belongs to deployment {:?} of another flow or environment",
                known.uid, known.name
            );
            faults.add(file, &position, rule);
            return None;
        }
        if given.uid.as_ref().is_some_and(|uid| *uid != known.uid) {
            let rule = format!(
                "uid is {:?} (expected {:?}, or none)",
                given.uid.unwrap_or_default(),
                known.uid
            );
            faults.add(file, &position, rule);
            return None;
        }
    }
    let old = known.map(|known| &known.rollout);
    // Names of deployments are unique within their environment.
    let names = [environment.uid.as_str(), &given.name];
    let rollout = RolloutPart {
        alternatives: named(given.alternatives, old),
        basis_points: given
            .basis_points
            .or(old.map(|old| old.basis_points))
            .unwrap_or(BASIS_POINTS),
        schedule: given.schedule,
        salt: given
            .salt
            .or_else(|| old.map(|old| old.salt.clone()))
            .unwrap_or_else(|| naming.salt(&names)),
        id: given.id,
        remember: given.remember,
    };
    Some(Deployment {
        uid: known
            .map(|known| known.uid.clone())
            .or(given.uid)
            .unwrap_or_else(|| naming.uid("deployment", &names)),
        name: given.name,
        environment_uid: environment.uid.clone(),
        flow_uid,
        channel: given.channel,
        policy: given.policy,
        rollout,
        on_version_change: given.on_version_change,
        active: given
            .active
            .or(known.map(|known| known.active))
            .unwrap_or(true),
    })
}

/// Blank names say nothing. Exports of earlier releases have them, and only
/// where the deployment has them as well do they stay, as what it is.
fn named(mut given: Vec<AlternativePart>, old: Option<&RolloutPart>) -> Vec<AlternativePart> {
    let stood = old.map_or(&[][..], |old| &old.alternatives);
    for own in &mut given {
        if own.name.as_deref().is_some_and(is_blank) && stood.iter().all(|old| old.name != own.name)
        {
            own.name = None;
        }
    }
    given
}

/// What an author may not have meant.
fn notices(
    before: &Workspace,
    workspace: &Workspace,
    deployment: &Deployment,
    mut tell: impl FnMut(String),
) {
    if let Some(text) = full_launch(before.deployments.get(&deployment.uid), deployment) {
        tell(text.to_owned());
    }
    if let Some(text) = undescribed(workspace, deployment) {
        tell(text);
    }
    for text in unknown_attributes(workspace, deployment) {
        tell(text);
    }
}

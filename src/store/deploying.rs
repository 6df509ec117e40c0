//! Who may see a flow, and how is that changed?
//!
//! Status of flows and everything done to a deployment, as steps from one
//! workspace to the next with what has to be written. The rules stand in
//! [`check`]: imports apply it to every deployment they touch once all files
//! are taken, single changes at once.

use super::{
    Store, StoreError,
    called::{expected_name, is_name_for_people},
    engine::Write,
    environment_names,
    workspace::{Channel, Deployment, Environment, Flow, Workspace},
};
use crate::{
    clock::Ambient,
    snapshot::{
        compile::{DeploymentFault, channel_fault, compile_deployment},
        wire::VersionPolicy,
    },
};

/// All of a percentage.
pub(super) const BASIS_POINTS: u16 = 10_000;

/// Why a flow or a deployment stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// No flow has this sid (or, in a deployment, this uid).
    #[error("flow {0:?} does not exist")]
    UnknownFlow(String),
    /// No environment has this name (or, in a deployment, this uid).
    #[error("environment {found:?} does not exist (expected one of {expected})")]
    UnknownEnvironment {
        /// As asked.
        found: String,
        /// Names there are.
        expected: String,
    },
    /// Nothing new begins in it.
    #[error(
        "environment {0:?} is deprecated and takes no new deployments (choose another, or take the \
         deprecation back)"
    )]
    Deprecated(String),
    /// The environment does not show flows and flags of the project.
    #[error(
        "project {project:?} is not active in environment {environment:?}, which does not show \
         what is of it (flowgate project set {project} --activate {environment})"
    )]
    NotShown {
        /// The project's sid.
        project: String,
        /// The environment's name.
        environment: String,
    },
    /// No deployment has this uid.
    #[error("deployment {0:?} does not exist")]
    UnknownDeployment(String),
    /// A pinned version has to be committed.
    #[error("version {found} of flow {flow:?} does not exist (expected latest or {expected})")]
    UnknownVersion {
        /// The flow's sid.
        flow: String,
        /// Pinned.
        found: u32,
        /// Numbers there are, in words.
        expected: String,
    },
    /// Names are for people and stand in listings.
    #[error("the name {0:?} does not fit (expected {expected})", expected = expected_name())]
    Name(String),
    /// So do those of alternatives.
    #[error(
        "the name {found:?} of alternative {ordinal} of deployment {deployment:?} does not fit \
         (expected {expected}, or none)",
        expected = expected_name()
    )]
    AlternativeName {
        /// The deployment's name.
        deployment: String,
        /// Which alternative, from 1.
        ordinal: usize,
        /// Its name.
        found: String,
    },
    /// Another deployment of the environment is called so.
    #[error("another deployment of environment {environment} is named {name:?} (choose another)")]
    NameTaken {
        /// The environment's name.
        environment: String,
        /// The name.
        name: String,
    },
    /// Deployments without a salt would all pick the same subjects.
    #[error("the salt is empty (expected a text, or none given for a random one)")]
    Salt,
    /// Only one deployment may talk on an exclusive channel.
    #[error(
        "deployment {other:?} is active on the exclusive channel {channel:?} already (deactivate \
         one of the two)"
    )]
    ChannelTaken {
        /// The channel.
        channel: String,
        /// The other one's name.
        other: String,
    },
    /// Only one deployment may decide for a flow on a channel.
    #[error(
        "deployment {other:?} is active for the same flow on channel {channel:?} already \
         (deactivate one of the two)"
    )]
    FlowTaken {
        /// The channel.
        channel: String,
        /// The other one's name.
        other: String,
    },
    /// No edge would take it.
    #[error(transparent)]
    Faulty(#[from] DeploymentFault),
}

/// The workspace after a change, and how to get there.
pub(super) type Edit = (Workspace, Vec<Write>);

impl Store {
    /// Switches a flow on or off in an environment. What changed here and in
    /// the following is published by the next [`Self::publish_due`].
    pub fn set_status(
        &self,
        flow_sid: &str,
        environment: &str,
        enabled: bool,
    ) -> Result<(), StoreError> {
        self.edit(|workspace| set_status(workspace, flow_sid, environment, enabled))
    }

    /// Creates a deployment, or replaces the one with its uid.
    pub fn put_deployment(&self, deployment: Deployment) -> Result<(), StoreError> {
        self.edit(|workspace| put_deployment(workspace, deployment))
    }

    /// Takes a step from the workspace as it is at that moment, so that of two
    /// authors who change different members both are heard. Says where it led.
    pub(super) fn deploy(
        &self,
        step: impl FnOnce(&Workspace) -> Result<Edit, DeployError>,
    ) -> Result<Workspace, StoreError> {
        self.author(|workspace| {
            let (after, writes) = step(workspace)?;
            Ok((after.clone(), writes, after))
        })
    }

    /// Lets a deployment decide again, or stops all it does.
    pub fn set_deployment_active(&self, uid: &str, active: bool) -> Result<(), StoreError> {
        self.edit(|workspace| match active {
            true => activate(workspace, uid),
            false => deactivate(workspace, uid),
        })
    }

    /// Says what a channel is. Whatever is deployed on it has to fit.
    pub fn put_channel(&self, channel: Channel) -> Result<(), StoreError> {
        self.edit(|workspace| put_channel(workspace, channel))
    }

    /// Forgets a deployment.
    pub fn delete_deployment(&self, uid: &str) -> Result<(), StoreError> {
        self.edit(|workspace| delete_deployment(workspace, uid))
    }

    fn edit(
        &self,
        work: impl FnOnce(&Workspace) -> Result<Edit, DeployError>,
    ) -> Result<(), StoreError> {
        self.author(|workspace| {
            let (after, writes) = work(workspace)?;
            Ok((after, writes, ()))
        })
    }
}

/// Switches a flow on or off in an environment.
pub(super) fn set_status(
    workspace: &Workspace,
    flow_sid: &str,
    environment: &str,
    enabled: bool,
) -> Result<Edit, DeployError> {
    let environment =
        workspace
            .environment(environment)
            .ok_or_else(|| DeployError::UnknownEnvironment {
                found: environment.to_owned(),
                expected: environment_names(workspace),
            })?;
    let mut after = workspace.clone();
    let flow = workspace
        .flows
        .get(flow_sid)
        .ok_or_else(|| DeployError::UnknownFlow(flow_sid.to_owned()))?;
    refuse_hidden(workspace, &flow.project, environment)?;
    let mut writes = Vec::new();
    if flow.enabled_in(&environment.uid) != enabled {
        after.flows.set_status(flow_sid, &environment.uid, enabled);
        writes.push(Write::Status {
            flow_uid: flow.uid.clone(),
            environment_uid: environment.uid.clone(),
            enabled,
        });
    }
    Ok((after, writes))
}

/// Creates a deployment, or replaces the one with its uid.
pub(super) fn put_deployment(
    workspace: &Workspace,
    deployment: Deployment,
) -> Result<Edit, DeployError> {
    let mut after = workspace.clone();
    let mut writes = Vec::new();
    if workspace.deployments.get(&deployment.uid) != Some(&deployment) {
        let before = workspace.deployments.get(&deployment.uid);
        if let Some(first) = check(workspace, before, &deployment).into_iter().next() {
            return Err(first);
        }
        let place = workspace.environment_by_uid(&deployment.environment_uid);
        let flow = workspace.flow_by_uid(&deployment.flow_uid);
        if let (Some(place), Some(flow)) = (place, flow) {
            refuse_hidden(workspace, &flow.project, place)?;
            refuse_deprecated(workspace, &deployment, place)?;
        }
        writes.push(Write::Deployment(Box::new(deployment.clone())));
        after.deployments.insert(deployment.uid.clone(), deployment);
    }
    Ok((after, writes))
}

/// Makes a deployment anew from what it is.
pub(super) fn edit_deployment(
    workspace: &Workspace,
    uid: &str,
    change: impl FnOnce(&Deployment) -> Deployment,
) -> Result<Edit, DeployError> {
    put_deployment(workspace, change(known(workspace, uid)?))
}

/// Says what a channel is.
fn put_channel(workspace: &Workspace, channel: Channel) -> Result<Edit, DeployError> {
    if let Some(rule) = channel_fault(&channel.name) {
        let place = "channel".to_owned();
        return Err(DeployError::Faulty(DeploymentFault { place, rule }));
    }
    if workspace.channels.get(&channel.name) == Some(&channel) {
        return Ok((workspace.clone(), Vec::new()));
    }
    let mut after = workspace.clone();
    after.channels.insert(channel.name.clone(), channel.clone());
    let deployments = after.deployments.values();
    let mut on_it = deployments.filter(|own| own.channel == channel.name);
    if let Some(fault) = on_it.find_map(|own| check(&after, Some(own), own).into_iter().next()) {
        return Err(fault);
    }
    Ok((after, vec![Write::Channel(channel)]))
}

/// Lets a deployment decide again; conversations go on where they stood.
pub(super) fn activate(workspace: &Workspace, uid: &str) -> Result<Edit, DeployError> {
    set_active(workspace, uid, true)
}

/// Stops everything a deployment does, running conversations included.
pub(super) fn deactivate(workspace: &Workspace, uid: &str) -> Result<Edit, DeployError> {
    set_active(workspace, uid, false)
}

fn set_active(workspace: &Workspace, uid: &str, active: bool) -> Result<Edit, DeployError> {
    let deployment = known(workspace, uid)?.clone();
    put_deployment(
        workspace,
        Deployment {
            active,
            ..deployment
        },
    )
}

/// Forgets a deployment. What it decided stays recorded and means nothing.
pub(super) fn delete_deployment(workspace: &Workspace, uid: &str) -> Result<Edit, DeployError> {
    known(workspace, uid)?;
    let mut after = workspace.clone();
    after.deployments.remove(uid);
    let uid = uid.to_owned();
    Ok((after, vec![Write::DeleteDeployment { uid }]))
}

fn known<'w>(workspace: &'w Workspace, uid: &str) -> Result<&'w Deployment, DeployError> {
    let found = workspace.deployments.get(uid);
    found.ok_or_else(|| DeployError::UnknownDeployment(uid.to_owned()))
}

/// What nobody would see is not set.
pub(super) fn refuse_hidden(
    workspace: &Workspace,
    project: &str,
    environment: &Environment,
) -> Result<(), DeployError> {
    if workspace.shows(project, &environment.uid) {
        return Ok(());
    }
    Err(DeployError::NotShown {
        project: project.to_owned(),
        environment: environment.name.clone(),
    })
}

/// What is there may change as ever.
pub(super) fn refuse_deprecated(
    workspace: &Workspace,
    deployment: &Deployment,
    environment: &Environment,
) -> Result<(), DeployError> {
    if !environment.deprecated || workspace.deployments.contains_key(&deployment.uid) {
        return Ok(());
    }
    Err(DeployError::Deprecated(environment.name.clone()))
}

/// Everything that is wrong with a deployment among those of a workspace; one
/// with its uid there is what it replaces. `before` is what it was until now.
pub(super) fn check(
    workspace: &Workspace,
    before: Option<&Deployment>,
    own: &Deployment,
) -> Vec<DeployError> {
    let mut errors = unfit_names(before, own);
    let environment = workspace.environment_by_uid(&own.environment_uid);
    if environment.is_none() {
        errors.push(DeployError::UnknownEnvironment {
            found: own.environment_uid.clone(),
            expected: environment_names(workspace),
        });
    }
    if own.rollout.salt.is_empty() {
        errors.push(DeployError::Salt);
    }
    let flow = workspace.flow_by_uid(&own.flow_uid);
    match (flow, own.policy) {
        (None, _) => errors.push(DeployError::UnknownFlow(own.flow_uid.clone())),
        (Some(flow), VersionPolicy::Pinned(number))
            // The compiler has its own word on 0.
            if number > 0 && !flow.versions.contains_key(&number) =>
        {
            errors.push(DeployError::UnknownVersion {
                flow: flow.sid.clone(),
                found: number,
                expected: versions_of(flow),
            });
        }
        (Some(_), _) => {}
    }
    let sid = flow.map_or("", |flow| flow.sid.as_str());
    if let Err(faults) = compile_deployment(&own.part(), sid, own.active) {
        errors.extend(faults.into_iter().map(DeployError::Faulty));
    }
    errors.extend(rival(workspace, own, environment.map(|own| &*own.name)));
    errors
}

/// Names that do not fit and were not there before: what an earlier release
/// took keeps nobody from switching the deployment off.
fn unfit_names(before: Option<&Deployment>, own: &Deployment) -> Vec<DeployError> {
    let mut errors = Vec::new();
    if !is_name_for_people(&own.name) && before.is_none_or(|before| before.name != own.name) {
        errors.push(DeployError::Name(own.name.clone()));
    }
    let stood = before.map_or(&[][..], |before| &before.rollout.alternatives);
    for (ordinal, alternative) in (1..).zip(&own.rollout.alternatives) {
        let name = alternative.name.as_ref();
        let unfit = name.filter(|name| !is_name_for_people(name));
        if let Some(name) = unfit.filter(|_| stood.iter().all(|own| own.name != alternative.name)) {
            errors.push(DeployError::AlternativeName {
                deployment: own.name.clone(),
                ordinal,
                found: name.clone(),
            });
        }
    }
    errors
}

/// The committed versions of a flow, in words.
pub(super) fn versions_of(flow: &Flow) -> String {
    match flow.latest() {
        0 => "a version once one is committed".to_owned(),
        latest => format!("1 to {latest}"),
    }
}

/// What another deployment of the environment leaves no place for.
fn rival(
    workspace: &Workspace,
    own: &Deployment,
    environment: Option<&str>,
) -> Option<DeployError> {
    let channel = workspace.channels.get(&own.channel);
    let exclusive = channel.is_some_and(|channel| channel.exclusive);
    let mut others = workspace
        .deployments_in(&own.environment_uid)
        .filter(|other| other.uid != own.uid);
    others.find_map(|other| {
        if other.name == own.name {
            return Some(DeployError::NameTaken {
                environment: environment.unwrap_or_default().to_owned(),
                name: own.name.clone(),
            });
        }
        if !own.active || !other.active || other.channel != own.channel {
            return None;
        }
        let (channel, other_name) = (own.channel.clone(), other.name.clone());
        if exclusive {
            return Some(DeployError::ChannelTaken {
                channel,
                other: other_name,
            });
        }
        (other.flow_uid == own.flow_uid).then_some(DeployError::FlowTaken {
            channel,
            other: other_name,
        })
    })
}

/// What a new flow, block, path or deployment is known by: ninety-six random
/// bits, unique without asking anybody.
pub(super) fn fresh_uid(ambient: &Ambient) -> String {
    ambient.hex::<12>()
}

/// Whom a new rollout picks is nobody's choice.
pub(super) fn fresh_salt(ambient: &Ambient) -> String {
    ambient.hex::<8>()
}

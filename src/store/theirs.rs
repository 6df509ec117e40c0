//! Which percentage decisions are about a user?
//!
//! Those under the user's own id, and those under what a property of theirs
//! spells where a deployment goes by that. Decisions of a group are the
//! group's.

use super::{
    engine::MembershipKey,
    ledger::Theirs,
    workspace::{Deployment, Environment, Workspace},
};
use crate::{
    evaluate::{SubjectView, enrolment},
    progress::event::UserDocument,
    snapshot::{compile::compile_deployment, wire::RolloutId},
};

/// Under which ids the deployments of an environment file a user.
pub(super) struct OfDeployments<'w> {
    own: Vec<&'w Deployment>,
    environment: &'w Environment,
    workspace: &'w Workspace,
}

impl<'w> OfDeployments<'w> {
    /// All of an environment.
    pub(super) fn new(workspace: &'w Workspace, environment: &'w Environment) -> Self {
        Self {
            own: workspace.deployments_in(&environment.uid).collect(),
            environment,
            workspace,
        }
    }

    /// The id that a property spells, where a deployment goes by one.
    fn by_property(&self, user: &UserDocument, deployment: &Deployment) -> Option<String> {
        let RolloutId::Attribute(name) = &deployment.rollout.id else {
            return None;
        };
        if name.starts_with("group.") {
            return None;
        }
        let compiled = compile_deployment(&deployment.part(), "", true).ok()?;
        let subject = user.to_subject();
        let view = SubjectView {
            user: &subject,
            group: None,
            attributes: None,
            conversation: None,
        };
        enrolment(&compiled, &view).map(|own| own.id.into_owned())
    }
}

impl Theirs for OfDeployments<'_> {
    fn ids(&self, user: &UserDocument) -> Vec<String> {
        let own = self.own.iter();
        own.filter_map(|deployment| self.by_property(user, deployment))
            .collect()
    }

    fn is_theirs(&self, user: &UserDocument, key: &MembershipKey) -> bool {
        let Some(deployment) = self.workspace.deployments.get(&key.deployment) else {
            // Of one that is gone nobody can say by what it went.
            return key.id == user.identifier;
        };
        if deployment.environment_uid != self.environment.uid {
            return false;
        }
        match &deployment.rollout.id {
            RolloutId::User => key.id == user.identifier,
            RolloutId::Group => false,
            RolloutId::Attribute(_) => self.by_property(user, deployment).as_ref() == Some(&key.id),
        }
    }
}

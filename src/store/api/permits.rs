//! Who may call what of `/admin/v1`, and what is it called?
//!
//! One row for each route: its name in the OpenAPI document, the role it takes
//! and the environment it looks into. A route without a row does not compile.
//! Which environments a change touches is known only when it is decided, so
//! rows of changes say `Anywhere` and the store refuses by what is written.

use super::{
    audit, channels, deployments, drafts, environments, flags,
    problem::Problem,
    projects,
    route::{self, Admin},
    subjects, usage,
};
use crate::store::{
    rights::Role,
    workspace::{StoredKey, Workspace},
};

/// Which environment a route looks into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'r> {
    /// What is authored is no secret of one environment; changes are judged
    /// by what they write.
    Anywhere,
    /// The one in the path.
    In(&'r str),
    /// The one that the query names.
    Asked,
}

/// What a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs<'r> {
    /// As in the OpenAPI document.
    pub(super) operation: &'static str,
    pub(super) role: Role,
    pub(super) place: Place<'r>,
}

macro_rules! needs {
    ($($route:pat => $operation:literal, $role:ident, $place:expr;)+) => {
        /// What a route takes.
        pub(super) fn needs(route: &Admin) -> Needs<'_> {
            let (operation, role, place) = match route {
                $($route => ($operation, Role::$role, $place),)+
            };
            Needs { operation, role, place }
        }

        /// Every operation there is.
        #[cfg(test)]
        pub(super) const OPERATIONS: &[&str] = &[$($operation),+];
    };
}

needs! {
    Admin::Import => "import", Editor, Place::Anywhere;
    Admin::ImportUnleash => "importUnleash", Editor, Place::Anywhere;
    Admin::Export => "export", Viewer, Place::Anywhere;

    Admin::Keys => "keys", Viewer, Place::Asked;
    Admin::CreateKey => "createKey", Admin, Place::Anywhere;
    Admin::RotateKey => "rotateKey", Admin, Place::Anywhere;
    Admin::RevokeKey => "revokeKey", Admin, Place::Anywhere;

    Admin::Environments(environments::Asked::List) => "environments", Viewer, Place::Anywhere;
    Admin::Environments(environments::Asked::Show(_)) => "environment", Viewer, Place::Anywhere;
    Admin::Environments(environments::Asked::Create) => "createEnvironment", Admin, Place::Anywhere;
    Admin::Environments(environments::Asked::Set(name)) => "setEnvironment", Admin, Place::In(name);
    Admin::Environments(environments::Asked::Clone(name)) => "cloneEnvironment", Admin, Place::In(name);
    Admin::Environments(environments::Asked::Delete(name)) => "deleteEnvironment", Admin, Place::In(name);
    Admin::ConfirmRelease(name, _) => "confirmRelease", Editor, Place::In(name);
    Admin::Edges => "edges", Viewer, Place::Asked;

    Admin::Projects(projects::Asked::List) => "projects", Viewer, Place::Anywhere;
    Admin::Projects(projects::Asked::Show(_)) => "project", Viewer, Place::Anywhere;
    Admin::Projects(projects::Asked::Create) => "createProject", Admin, Place::Anywhere;
    Admin::Projects(projects::Asked::Change(_)) => "changeProject", Admin, Place::Anywhere;
    Admin::Projects(projects::Asked::Delete(_)) => "deleteProject", Admin, Place::Anywhere;
    Admin::Audit(audit::Asked::List) => "audit", Viewer, Place::Asked;
    Admin::Audit(audit::Asked::Show(_)) => "auditEntry", Viewer, Place::Asked;

    Admin::User(_) => "user", Viewer, Place::Asked;
    Admin::ExportUsers(name) => "exportUsers", Viewer, Place::In(name);
    Admin::ImportUsers(name) => "importUsers", Editor, Place::In(name);

    Admin::Webhooks(name) => "webhooks", Viewer, Place::In(name);
    Admin::RetryWebhook(name, _) => "retryWebhook", Editor, Place::In(name);

    Admin::Usage(usage::Asked::Flags(name)) => "usage", Viewer, Place::In(name);
    Admin::Usage(usage::Asked::Flag(name, _)) => "flagUsage", Viewer, Place::In(name);
    Admin::Usage(usage::Asked::Applications) => "applications", Viewer, Place::Asked;

    Admin::Flows => "flows", Viewer, Place::Anywhere;
    Admin::Flow(_) => "flow", Viewer, Place::Anywhere;
    Admin::FlowVersions(_) => "versions", Viewer, Place::Anywhere;
    Admin::FlowStatus(_) => "setFlowStatus", Editor, Place::Anywhere;
    Admin::Draft(drafts::Asked::Create) => "createFlow", Editor, Place::Anywhere;
    Admin::Draft(drafts::Asked::Rename(_)) => "renameFlow", Editor, Place::Anywhere;
    Admin::Draft(drafts::Asked::Delete(_)) => "deleteFlow", Editor, Place::Anywhere;
    Admin::Draft(drafts::Asked::Version(..)) => "version", Viewer, Place::Anywhere;
    Admin::Draft(drafts::Asked::PutDraft(_)) => "putDraft", Editor, Place::Anywhere;
    Admin::Draft(drafts::Asked::Content(..)) => "deployContent", Editor, Place::Anywhere;
    Admin::Draft(drafts::Asked::Follow(..)) => "followContent", Editor, Place::Anywhere;
    Admin::Draft(drafts::Asked::Commit(_)) => "commitDraft", Editor, Place::Anywhere;
    Admin::Draft(drafts::Asked::Restore(_)) => "restoreDraft", Editor, Place::Anywhere;
    Admin::Draft(drafts::Asked::Compare(_)) => "compareVersions", Viewer, Place::Anywhere;
    Admin::Draft(drafts::Asked::Try(_)) => "tryFlow", Viewer, Place::Anywhere;

    Admin::Flag(flags::Asked::Flags) => "flags", Viewer, Place::Anywhere;
    Admin::Flag(flags::Asked::Create) => "createFlag", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::Flag(_)) => "flag", Viewer, Place::Anywhere;
    Admin::Flag(flags::Asked::Change(_)) => "changeFlag", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::Archive(_)) => "archiveFlag", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::Revive(_)) => "reviveFlag", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::Delete(_)) => "deleteFlag", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::Switch(_, _, true)) => "enableFlag", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::Switch(_, _, false)) => "disableFlag", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::Strategies(..)) => "flagStrategies", Viewer, Place::Anywhere;
    Admin::Flag(flags::Asked::PutStrategies(..)) => "replaceFlagStrategies", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::AddStrategy(..)) => "addFlagStrategy", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::RemoveStrategy(..)) => "removeFlagStrategy", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::Segments) => "segments", Viewer, Place::Anywhere;
    Admin::Flag(flags::Asked::CreateSegment) => "createSegment", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::Segment(_)) => "segment", Viewer, Place::Anywhere;
    Admin::Flag(flags::Asked::ChangeSegment(_)) => "changeSegment", Editor, Place::Anywhere;
    Admin::Flag(flags::Asked::DeleteSegment(_)) => "deleteSegment", Editor, Place::Anywhere;

    Admin::Deployments(deployments::Asked::List) => "deployments", Viewer, Place::Anywhere;
    Admin::Deployments(deployments::Asked::Show(_)) => "deployment", Viewer, Place::Anywhere;
    Admin::Deployments(deployments::Asked::Create) => "createDeployment", Editor, Place::Anywhere;
    Admin::Deployments(deployments::Asked::Replace(_)) => "replaceDeployment", Editor, Place::Anywhere;
    Admin::Deployments(deployments::Asked::Change(_)) => "changeDeployment", Editor, Place::Anywhere;
    Admin::Deployments(deployments::Asked::Activate(_)) => "activateDeployment", Editor, Place::Anywhere;
    Admin::Deployments(deployments::Asked::Deactivate(_)) => "deactivateDeployment", Editor, Place::Anywhere;
    Admin::Deployments(deployments::Asked::Delete(_)) => "deleteDeployment", Editor, Place::Anywhere;
    // Whose users are looked at is known once the deployment is.
    Admin::Deployments(deployments::Asked::Preview(None)) => "previewNewDeployment", Viewer, Place::Anywhere;
    Admin::Deployments(deployments::Asked::Preview(Some(_))) => "previewDeployment", Viewer, Place::Anywhere;

    Admin::Funnel(_) => "funnel", Viewer, Place::Asked;
    Admin::Subject(name, subjects::Asked::Find) => "findUsers", Viewer, Place::In(name);
    Admin::Subject(name, subjects::Asked::Show(_)) => "showUser", Viewer, Place::In(name);
    Admin::Subject(name, subjects::Asked::Reset(_)) => "resetUser", Editor, Place::In(name);
    Admin::Subject(name, subjects::Asked::Move(_)) => "moveUser", Editor, Place::In(name);
    Admin::Subject(name, subjects::Asked::Erase(_)) => "eraseUser", Editor, Place::In(name);
    Admin::Subject(name, subjects::Asked::Group(_)) => "group", Viewer, Place::In(name);
    Admin::Subject(name, subjects::Asked::EraseGroup(_)) => "eraseGroup", Editor, Place::In(name);

    Admin::Channels(channels::Asked::List) => "channels", Viewer, Place::Anywhere;
    Admin::Channels(channels::Asked::Show(_)) => "channel", Viewer, Place::Anywhere;
    Admin::Channels(channels::Asked::Put(_)) => "setChannel", Editor, Place::Anywhere;
}

/// Refuses a request whose key may not call this.
pub(super) fn permit(
    route: &Admin,
    query: &str,
    key: &StoredKey,
    workspace: &Workspace,
) -> Result<(), Problem> {
    let forbidden = |detail: &str, found: &str, expected: &str| {
        Err(Problem::new(403, "forbidden", detail)
            .found(found)
            .expected(expected))
    };
    let Some(rights) = &key.rights else {
        return forbidden(
            "keys of this kind may not do this",
            key.kind.name(),
            "admin",
        );
    };
    let Needs { role, place, .. } = needs(route);
    if rights.role < role {
        let expected = format!("role {}", role.name());
        return forbidden(
            "the key's role may not do this",
            rights.role.name(),
            &expected,
        );
    }
    let allowed = || rights.environment_names(workspace).join(", ");
    let reaches = |name: &str| {
        let own = workspace.environment(name);
        own.is_some_and(|own| rights.reach(&own.uid))
    };
    let unlimited = rights.environments.is_empty();
    match place {
        Place::Anywhere => Ok(()),
        _ if unlimited => Ok(()),
        Place::In(name) if reaches(name) => Ok(()),
        Place::In(name) => forbidden("the key does not hold there", name, &allowed()),
        Place::Asked => match asked(query)? {
            Some(name) if reaches(&name) => Ok(()),
            Some(name) => forbidden("the key does not hold there", &name, &allowed()),
            None => forbidden(
                "the key does not hold in every environment",
                "no ?environment=",
                &format!("?environment= with one of: {}", allowed()),
            ),
        },
    }
}

/// The environment that a query names; the first, since twice is refused later.
fn asked(query: &str) -> Result<Option<String>, Problem> {
    let pairs = route::query(query)?;
    let named = pairs.into_iter().find(|(name, _)| name == "environment");
    Ok(named.map(|(_, value)| value))
}

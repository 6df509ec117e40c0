//! Which status does each failure have, and what is said of it?
//!
//! The one table from the store's errors to problem documents (RFC 9457). What
//! is our own fault goes to the log; the caller only hears that it is.

use serde::Serialize;

use super::Response;
use crate::store::{
    AccessError, AuditEntry, AuditError, DeliveryError, DeployError, EnvironmentError, FlagError,
    FlowError, Forbidden, ImportError, KeyError, ProjectError, PublishError, Stale, StoreError,
    UsageError, UserError, ledger::ShipError,
};

/// A problem document in the making; one word wide, because every step of an
/// answer may return one.
#[derive(Debug)]
pub(super) struct Problem(Box<Document>);

#[derive(Debug, Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<crate::store::Fault>,
    /// Those to be confirmed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    environments: Vec<String>,
    /// What somebody else changed meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<AuditEntry>,
    /// Kind and name of what that was.
    #[serde(skip)]
    late_for: Option<(&'static str, String)>,
    #[serde(skip)]
    allow: Option<&'static str>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

impl Problem {
    pub(super) fn new(status: u16, slug: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Document {
            kind: format!("urn:flowgate:problem:{slug}"),
            title: title(status),
            status,
            detail: detail.into(),
            found: None,
            expected: None,
            faults: Vec::new(),
            environments: Vec::new(),
            change: None,
            late_for: None,
            allow: None,
            retry_after: None,
        }))
    }

    /// Something that is our fault. The cause goes to the log alone.
    pub(super) fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = cause, "a request failed");
        let mut problem = Self::new(503, "unavailable", "the store could not do it now");
        problem.0.retry_after = Some(1);
        problem
    }

    pub(super) fn found(mut self, found: &str) -> Self {
        self.0.found = Some(found.to_owned());
        self
    }

    pub(super) fn expected(mut self, expected: &str) -> Self {
        self.0.expected = Some(expected.to_owned());
        self
    }

    /// Kind and name of what somebody else changed meanwhile.
    pub(super) fn late_for(&self) -> Option<(&'static str, String)> {
        self.0.late_for.clone()
    }

    /// Tells the other change.
    pub(super) fn tell_change(&mut self, change: Option<&AuditEntry>) {
        self.0.change = change.cloned();
    }

    fn late(mut self, kind: &'static str, name: &str) -> Self {
        self.0.late_for = Some((kind, name.to_owned()));
        self
    }

    pub(super) fn allow(mut self, methods: &'static str) -> Self {
        self.0.allow = Some(methods);
        self
    }

    pub(super) fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        Response {
            allow: self.0.allow,
            retry_after: self.0.retry_after,
            ..Response::of(self.0.status, "application/problem+json", body.into())
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Engine(error) | StoreError::Ship(ShipError::Engine(error)) => {
                Self::internal(&error)
            }
            StoreError::Publish(PublishError::NotInForce {
                found, expected, ..
            }) => Self::new(409, "release-not-in-force", error.to_string())
                .found(&found.to_string())
                .expected(&expected.to_string()),
            StoreError::Publish(error) => {
                let mut problem = Self::internal(&error);
                problem.0.detail = format!("accepted, and not published: {error}");
                problem
            }
            StoreError::Export(_) => Self::internal(&error),
            StoreError::Forbidden(error) => error.into(),
            StoreError::Stale(stale) => stale.into(),
            StoreError::Key(error) => error.into(),
            StoreError::Access(error) => error.into(),
            StoreError::Deploy(error) => error.into(),
            StoreError::Import(error) => error.into(),
            StoreError::Flow(error) => error.into(),
            StoreError::Flag(error) => error.into(),
            StoreError::User(error) => error.into(),
            StoreError::Rehearse(ref cause) => {
                Self::new(422, "not-judged", error.to_string()).found(&cause.to_string())
            }
            StoreError::Try(error) => Self::new(422, "step-refused", error.to_string()),
            StoreError::Delivery(error) => error.into(),
            StoreError::Usage(error) => error.into(),
            StoreError::Audit(error) => error.into(),
            StoreError::Ship(ShipError::Fork(why)) => Self::new(409, "fork", why),
            StoreError::Ship(ShipError::Refused(why)) => Self::new(422, "batch-refused", why),
            StoreError::Cursor(ref wrong) => {
                Self::new(400, "malformed-cursor", "the cursor cannot be read")
                    .found(&wrong.0)
                    .expected("a cursor of an earlier answer, or none")
            }
            StoreError::DeletedEnvironment { ref name, .. } => {
                Self::new(410, "environment-deleted", error.to_string()).found(name)
            }
            StoreError::Unconfirmed {
                ref environments, ..
            } => {
                let header = format!("the header Flowgate-Confirm: {}", environments.join(", "));
                let problem = Self::new(428, "confirmation-required", error.to_string());
                let mut problem = problem.expected(&header);
                problem.0.environments.clone_from(environments);
                problem
            }
            StoreError::Environment(error) => error.into(),
            StoreError::Project(error) => error.into(),
            StoreError::UnknownEnvironment {
                ref found,
                ref expected,
            } => Self::new(404, "unknown-environment", error.to_string())
                .found(found)
                .expected(expected),
        }
    }
}

impl From<Forbidden> for Problem {
    fn from(error: Forbidden) -> Self {
        let problem = Self::new(403, "forbidden", error.to_string());
        match error {
            Forbidden::Role {
                found, expected, ..
            } => problem.found(found).expected(&format!("role {expected}")),
            Forbidden::Place {
                found, expected, ..
            } => problem.found(&found).expected(&expected),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        let text = error.to_string();
        match error {
            KeyError::UnknownEnvironment { found, expected } => {
                Self::new(404, "unknown-environment", text)
                    .found(&found)
                    .expected(&expected)
            }
            KeyError::Unknown { .. } => Self::new(404, "unknown-key", text),
            KeyError::Taken { .. } | KeyError::TextTaken => Self::new(409, "key-taken", text),
            KeyError::LastAdmin(_) => Self::new(409, "last-admin-key", text),
            KeyError::Deprecated(_) => Self::new(409, "environment-deprecated", text),
            KeyError::TooMany(_)
            | KeyError::NotInPages { .. }
            | KeyError::Origin(_)
            | KeyError::TooManyOrigins(_)
            | KeyError::Text
            | KeyError::Guessable { .. }
            | KeyError::Environment { .. }
            | KeyError::NoRights { .. }
            | KeyError::Name(_)
            | KeyError::NameControl(_)
            | KeyError::Unbound { .. }
            | KeyError::Channel(_)
            | KeyError::UnknownProject(_) => Self::new(422, "key-refused", text),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let text = error.to_string();
        match error {
            AccessError::Unknown { .. } => Self::new(404, "unknown-user-key", text),
            AccessError::Taken(_) => Self::new(409, "user-key-taken", text),
            AccessError::NotAKey { .. }
            | AccessError::Name { .. }
            | AccessError::TooMany(_)
            | AccessError::TooManyProperties(_) => Self::new(422, "access-refused", text),
        }
    }
}

impl From<EnvironmentError> for Problem {
    fn from(error: EnvironmentError) -> Self {
        let text = error.to_string();
        match error {
            EnvironmentError::Taken(_) => Self::new(409, "environment-taken", text),
            EnvironmentError::Only(_) | EnvironmentError::OnlyOf { .. } => {
                Self::new(409, "last-environment", text)
            }
            EnvironmentError::Served { .. } => Self::new(409, "environment-in-use", text),
            EnvironmentError::Name(_)
            | EnvironmentError::TooMany(_)
            | EnvironmentError::NotActive { .. } => Self::new(422, "environment-refused", text),
        }
    }
}

impl From<ProjectError> for Problem {
    fn from(error: ProjectError) -> Self {
        let text = error.to_string();
        match error {
            ProjectError::Unknown { found, expected } => Self::new(404, "unknown-project", text)
                .found(&found)
                .expected(&expected),
            ProjectError::Taken(_) => Self::new(409, "project-taken", text),
            ProjectError::InUse { .. } => Self::new(409, "project-in-use", text),
            ProjectError::Sid(_) | ProjectError::Name(_) | ProjectError::Nowhere(_) => {
                Self::new(422, "project-refused", text)
            }
        }
    }
}

impl From<Stale> for Problem {
    fn from(error: Stale) -> Self {
        let problem = Self::new(412, "changed", error.to_string());
        match error {
            Stale::Changed {
                kind,
                name,
                found,
                expected,
            } => problem.found(&found).expected(&expected).late(kind, &name),
            Stale::New { found } => problem
                .found(&found)
                .expected("no If-Match, or \"*\" or \"\" in it"),
        }
    }
}

impl From<DeployError> for Problem {
    fn from(error: DeployError) -> Self {
        let text = error.to_string();
        match error {
            DeployError::UnknownFlow(_) => Self::new(404, "unknown-flow", text),
            DeployError::UnknownDeployment(_) => Self::new(404, "unknown-deployment", text),
            DeployError::UnknownEnvironment { found, expected } => {
                Self::new(404, "unknown-environment", text)
                    .found(&found)
                    .expected(&expected)
            }
            DeployError::NameTaken { .. } => Self::new(409, "deployment-taken", text),
            DeployError::ChannelTaken { .. } | DeployError::FlowTaken { .. } => {
                Self::new(409, "channel-taken", text)
            }
            DeployError::Deprecated(_) => Self::new(409, "environment-deprecated", text),
            DeployError::NotShown { .. } => Self::new(409, "project-not-active", text),
            DeployError::UnknownVersion { .. }
            | DeployError::Name(_)
            | DeployError::AlternativeName { .. }
            | DeployError::Salt
            | DeployError::Faulty(_) => Self::new(422, "deployment-refused", text),
        }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        let text = error.to_string();
        match error {
            UserError::NotVisited { expected, .. } => {
                Self::new(404, "unknown-state", text).expected(&expected)
            }
            UserError::UnknownVersion {
                found, expected, ..
            } => Self::new(404, "unknown-version", text)
                .found(&found.to_string())
                .expected(&expected),
            UserError::Block { found, expected } => Self::new(422, "unknown-block", text)
                .found(&found)
                .expected(&expected),
            UserError::Incompatible { .. } => Self::new(409, "incompatible-version", text),
            UserError::NoEntry { .. } => Self::new(409, "no-entry", text),
            UserError::Refused(_) => Self::new(422, "user-refused", text),
        }
    }
}

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Self {
        let text = error.to_string();
        match error {
            FlowError::Unknown(_) => Self::new(404, "unknown-flow", text),
            FlowError::UnknownVersion {
                found, expected, ..
            } => Self::new(404, "unknown-version", text)
                .found(&found)
                .expected(&expected),
            FlowError::UnknownProject { found, expected } => {
                Self::new(404, "unknown-project", text)
                    .found(&found)
                    .expected(&expected)
            }
            FlowError::Taken { .. } => Self::new(409, "flow-taken", text),
            FlowError::NothingToCommit { .. } => Self::new(409, "nothing-to-commit", text),
            FlowError::WouldDiscard { .. } => Self::new(409, "would-discard", text),
            FlowError::InUse { .. } => Self::new(409, "flow-in-use", text),
            FlowError::Changed {
                found,
                expected,
                flow,
                ..
            } => Self::new(412, "changed", text)
                .found(&found)
                .expected(&expected)
                .late("version", &flow),
            FlowError::Text(_) => Self::new(422, "malformed-version-text", text),
        }
    }
}

impl From<FlagError> for Problem {
    fn from(error: FlagError) -> Self {
        let text = error.to_string();
        match error {
            FlagError::Unknown(_) => Self::new(404, "unknown-flag", text),
            FlagError::UnknownSegment { found, expected } => {
                Self::new(404, "unknown-segment", text)
                    .found(&found)
                    .expected(&expected)
            }
            FlagError::UnknownProject { found, expected } => {
                Self::new(404, "unknown-project", text)
                    .found(&found)
                    .expected(&expected)
            }
            FlagError::UnknownStrategy {
                found, expected, ..
            } => Self::new(404, "unknown-strategy", text)
                .found(&found.to_string())
                .expected(&expected),
            FlagError::Taken { .. } => Self::new(409, "name-taken", text),
            FlagError::NotArchived(_) => Self::new(409, "flag-not-archived", text),
            FlagError::DependedOn { .. } => Self::new(409, "flag-in-use", text),
            FlagError::InUse { .. } => Self::new(409, "segment-in-use", text),
            FlagError::Changed {
                what,
                name,
                found,
                expected,
            } => Self::new(412, "changed", text)
                .found(&found)
                .expected(&expected)
                .late(what, &name),
            FlagError::Text(_) => Self::new(422, "malformed-flag-text", text),
        }
    }
}

impl From<DeliveryError> for Problem {
    fn from(error: DeliveryError) -> Self {
        let text = error.to_string();
        match error {
            DeliveryError::Unknown(_) => Self::new(404, "unknown-webhook", text),
            DeliveryError::UnknownFlow(_) => Self::new(404, "unknown-flow", text),
        }
    }
}

impl From<UsageError> for Problem {
    fn from(error: UsageError) -> Self {
        Self::new(422, "usage-refused", error.what)
            .found(&error.found)
            .expected(&error.expected)
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        let text = error.to_string();
        match error {
            AuditError::Unknown(_) => Self::new(404, "unknown-entry", text),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        let mut problem = Self::new(422, "import-refused", error.to_string());
        problem.0.faults = error.faults;
        problem
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        428 => "Precondition Required",
        422 => "Unprocessable Content",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

//! Why was it decided so?
//!
//! The step of a decision that fixed what is seen. Names are stable: they
//! stand in answers, receipts and metrics.

/// The step that fixed what the subject sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No flow with this sid is visible to the key.
    UnknownFlow,
    /// The flow has no such version here.
    UnknownVersion,
    /// The flow is disabled in this environment.
    Disabled,
    /// `latest`, and nothing is committed.
    EmptyVersion,
    /// The flow is served to deployments only, and none applies: it answers as
    /// if nothing were committed.
    DeploymentRequired,
    /// The deployment is switched off: it processes nothing.
    Inactive,
    /// The conversation keeps the version it began, and would start in it.
    Pinned,
    /// A record let the subject in, and the flow would start.
    Member,
    /// A record keeps the subject out.
    Excluded,
    /// No alternative of the audience fits.
    AudienceMismatch,
    /// The id that the percentage goes by is missing.
    NoRolloutId,
    /// The percentage decided: out, or in and the flow would start.
    Percentage,
    /// The flow has not been started: its entry condition decides, and
    /// `Decision::may_start` says how.
    EntryCondition,
    /// Started, and running.
    Started,
    /// Finished.
    Finished,
    /// Stopped.
    Stopped,
    /// The version could not be compiled.
    SetAside,
}

impl Reason {
    /// As it stands in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownFlow => "unknown_flow",
            Self::UnknownVersion => "unknown_version",
            Self::Disabled => "disabled",
            Self::EmptyVersion => "empty_version",
            Self::DeploymentRequired => "deployment_required",
            Self::Inactive => "inactive",
            Self::Pinned => "pinned",
            Self::Member => "member",
            Self::Excluded => "excluded",
            Self::AudienceMismatch => "audience_mismatch",
            Self::NoRolloutId => "no_rollout_id",
            Self::Percentage => "percentage",
            Self::EntryCondition => "entry_condition",
            Self::Started => "started",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::SetAside => "set_aside",
        }
    }
}

//! What is asked for and not served?
//!
//! It is not in the environment of the key, or the environment is too old for
//! this operator to serve it.

use crate::current::Age;

/// What was asked for is not in the environment of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    #[error("flow \"{sid}\" is not in environment {environment}")]
    Flow { sid: String, environment: String },
    #[error("flow \"{sid}\" has no version {number} in environment {environment}")]
    Version {
        sid: String,
        number: u32,
        environment: String,
    },
    #[error(
        "environment {environment} serves no drafts, so flow \"{sid}\" has no version 0 here; \
         the environment's setting `drafts` switches them on"
    )]
    Draft { sid: String, environment: String },
    #[error("block \"{uid}\" is not in environment {environment}")]
    Block { uid: String, environment: String },
    #[error("block \"{uid}\" is not in version {number} of its flow")]
    BlockInVersion { uid: String, number: u32 },
    #[error("flag \"{name}\" is not in environment {environment}")]
    Flag { name: String, environment: String },
    #[error("deployment \"{name}\" is not in environment {environment}")]
    Deployment { name: String, environment: String },
}

/// The environment is older than its operator lets this request be served by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what environment {environment} is evaluated against is {}: signed {age_s} s ago, fresh for {fresh_s} s, {whom}",
    age.name()
)]
pub(crate) struct Old {
    pub(crate) environment: Box<str>,
    pub(crate) age: Age,
    /// Since it was signed.
    pub(crate) age_s: u64,
    /// How long it was to be fresh.
    pub(crate) fresh_s: u64,
    /// Who is refused by that.
    pub(crate) whom: &'static str,
}

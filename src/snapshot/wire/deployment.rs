//! What does a deployment say?
//!
//! Which version of a flow the subjects of a channel see, and who of them: an
//! audience, a percentage of it, and how long the percentage's answer stands.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which version of a flow the subjects of a channel see, and who of them.
/// Always as if active: what is switched off stands in the control document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeploymentPart {
    /// Never changes, never reused.
    pub uid: String,
    /// For people; unique within the environment.
    pub name: String,
    /// The flow's uid.
    pub flow_uid: String,
    /// `platform` or `platform:workspace`.
    pub channel: String,
    /// Which version.
    pub policy: VersionPolicy,
    /// Whom.
    #[serde(default)]
    pub rollout: RolloutPart,
    /// What a new version means for those who have begun; absent: `stay` for
    /// requests that name a conversation, else `migrate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_version_change: Option<OnVersionChange>,
}

/// How a deployment chooses its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionPolicy {
    /// The newest committed one.
    Latest,
    /// This one.
    Pinned(u32),
}

/// What a new version means for those who have begun an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnVersionChange {
    /// They finish what they began.
    Stay,
    /// The migration strategies decide.
    Migrate,
}

/// Audience, then percentage of those who passed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutPart {
    /// One suffices; none means everyone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<AlternativePart>,
    /// 0..=10000.
    pub basis_points: u16,
    /// From these times on, ascending, these basis points hold instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<ScheduledPart>,
    /// Goes before the id that is hashed.
    pub salt: String,
    /// What id is hashed.
    #[serde(default, skip_serializing_if = "RolloutId::is_user")]
    pub id: RolloutId,
    /// How long a decision stands.
    #[serde(default)]
    pub remember: Remember,
}

/// Rules that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlternativePart {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At least one.
    pub rules: Vec<RulePart>,
}

/// One rule of an audience.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RulePart {
    /// An attribute of the request, or else a property of the user;
    /// `group.NAME` is a property of the group, `user.identifier` and
    /// `group.identifier` are the ids. A name counts as a whole: dots in it do
    /// not descend, what lies inside of a property is for expressions to find.
    pub attribute: String,
    /// How.
    pub operator: RuleOperator,
    /// Against what: a text, a number or a boolean; absent for `is_empty` and
    /// `is_not_empty`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// Texts are compared in lower case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_case: bool,
}

/// Operators of audience rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOperator {
    /// Same value; a number and a text that spells it are the same.
    Equals,
    /// Another value, or none.
    NotEquals,
    /// A part of a text, or a whole element of an array.
    Contains,
    /// The beginning of a text.
    StartsWith,
    /// The end of a text.
    EndsWith,
    /// A larger number (texts that spell numbers are some), a later time (full
    /// date-times, or Unix seconds beside one), or a text behind by code points.
    GreaterThan,
    /// The other way round.
    LessThan,
    /// Missing, null, `""`, `[]` or `{}`.
    IsEmpty,
    /// Anything else.
    IsNotEmpty,
}

/// From then on, so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledPart {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// 0..=10000.
    pub basis_points: u16,
}

/// Which id a rollout hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutId {
    /// The user's.
    #[default]
    User,
    /// The group's.
    Group,
    /// The text (or whole number) of this attribute, named as rules name theirs.
    Attribute(String),
}

impl RolloutId {
    fn is_user(&self) -> bool {
        *self == Self::User
    }
}

/// How long a percentage decision stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remember {
    /// For the conversation; without one, for the id.
    #[default]
    Conversation,
    /// For the id, whatever the conversation.
    User,
    /// It is judged anew each time.
    Nothing,
}

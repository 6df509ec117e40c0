//! What is authored of flags and segments?
//!
//! In Unleash's words. A flag is one thing in all environments: what it is, its
//! variants and what it depends on; whether it is on, and for whom, is said for
//! each environment. Flags know segments by their numbers, so that a segment
//! may get another name. What may be said is decided in [`check`], what edges
//! get of it in [`part`].

pub(super) mod check;
pub(super) mod editing;
mod error;
mod lifecycle;
pub(super) mod part;
pub(super) mod segments;

pub use editing::FlagText;
pub use error::FlagError;
pub(super) use error::depending;
pub use lifecycle::{Known, Stage};

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Workspace;
use crate::clock::UnixMs;

/// A flag with everything known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flag {
    /// What applications call it; unique over all projects.
    pub name: String,
    /// Project sid.
    pub project: String,
    /// What it is for.
    pub kind: FlagKind,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Whether somebody said that it may go.
    #[serde(default)]
    pub stale: bool,
    /// Whether clients tell when it was seen.
    #[serde(default)]
    pub impression_data: bool,
    /// For strategies without variants of their own.
    #[serde(default)]
    pub variants: Vec<FlagVariant>,
    /// What other flags have to be.
    #[serde(default)]
    pub dependencies: Vec<FlagDependency>,
    /// When it was made.
    pub created_ms: UnixMs,
    /// How it ended, where somebody said that it did.
    #[serde(default)]
    pub completed: Option<Completion>,
    /// Since when no edge gets it.
    #[serde(default)]
    pub archived_ms: Option<UnixMs>,
    /// By environment uid; where none is, it is off.
    #[serde(default)]
    pub environments: BTreeMap<String, FlagSettings>,
}

impl Flag {
    /// One that is off everywhere and says nothing.
    pub(super) fn new(name: &str, project: &str, now: UnixMs) -> Self {
        Self {
            name: name.to_owned(),
            project: project.to_owned(),
            kind: FlagKind::Release,
            description: String::new(),
            stale: false,
            impression_data: false,
            variants: Vec::new(),
            dependencies: Vec::new(),
            created_ms: now,
            completed: None,
            archived_ms: None,
            environments: BTreeMap::new(),
        }
    }

    /// Whether it is on in an environment, for whomever.
    pub fn enabled_in(&self, environment_uid: &str) -> bool {
        let settings = self.environments.get(environment_uid);
        settings.is_some_and(|own| own.enabled)
    }

    /// Switches it on or off in an environment. One that is switched on and names
    /// nobody is on for everybody, and says so by a strategy of its own. One that
    /// was on already gets none: who took its last one meant fewer, not all.
    pub(super) fn enable(&mut self, environment_uid: &str, enabled: bool, now: UnixMs) {
        let settings = self.environments.entry(environment_uid.to_owned());
        let settings = settings.or_default();
        let was_on = std::mem::replace(&mut settings.enabled, enabled);
        if enabled {
            settings.enabled_ms.get_or_insert(now);
            if !was_on && settings.strategies.is_empty() {
                settings
                    .strategies
                    .push(FlagStrategy::everybody(&self.name));
            }
        }
    }

    /// Its name for people, who may look for it in vain where it is archived.
    pub(super) fn called(&self) -> String {
        match self.archived_ms {
            None => self.name.clone(),
            Some(_) => format!("{} (archived)", self.name),
        }
    }

    /// Segments its strategies refer to, anywhere.
    pub(super) fn segments(&self) -> impl Iterator<Item = i64> {
        let strategies = self.environments.values().flat_map(|own| &own.strategies);
        strategies.flat_map(|own| own.segments.iter().copied())
    }
}

/// What a flag is for: Unleash's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagKind {
    /// Something new is let out bit by bit.
    Release,
    /// Variants are compared.
    Experiment,
    /// How the system works.
    Operational,
    /// Something can be taken away at once.
    KillSwitch,
    /// Some may do something, others not.
    Permission,
}

/// How a flag ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completion {
    /// What it guarded stays.
    Kept,
    /// It is taken out.
    Discarded,
}

/// A flag in one environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlagSettings {
    /// Off for everybody, where it is false.
    pub enabled: bool,
    /// When it was switched on for the first time.
    #[serde(default)]
    pub enabled_ms: Option<UnixMs>,
    /// The first that holds counts.
    #[serde(default)]
    pub strategies: Vec<FlagStrategy>,
    /// In the place of the flag's, if there are any.
    #[serde(default)]
    pub variants: Vec<FlagVariant>,
}

/// One way to be on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlagStrategy {
    /// Such as `flexibleRollout`.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub title: Option<String>,
    /// Passed over, where it is true.
    #[serde(default)]
    pub disabled: bool,
    /// All of them texts.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// All have to hold.
    #[serde(default)]
    pub constraints: Vec<FlagConstraint>,
    /// All have to hold.
    #[serde(default)]
    pub segments: Vec<i64>,
    /// In the place of the flag's, if there are any.
    #[serde(default)]
    pub variants: Vec<FlagVariant>,
}

impl FlagStrategy {
    /// A gradual rollout that has arrived.
    pub(super) fn everybody(flag: &str) -> Self {
        let parameters = [
            ("rollout", "100"),
            ("stickiness", "default"),
            ("groupId", flag),
        ];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            name: GRADUAL_ROLLOUT.to_owned(),
            parameters: parameters.into(),
            ..Self::default()
        }
    }
}

/// What Unleash calls a gradual rollout.
pub(super) const GRADUAL_ROLLOUT: &str = "flexibleRollout";

/// A condition on a field of the context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlagConstraint {
    /// The field.
    pub context_name: String,
    /// Such as `STR_CONTAINS`.
    pub operator: String,
    /// For operators that compare with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// For operators that take several.
    #[serde(default)]
    pub values: Vec<String>,
    /// The opposite is meant.
    #[serde(default)]
    pub inverted: bool,
    /// For operators on texts.
    #[serde(default)]
    pub case_insensitive: bool,
}

/// One of several faces of a flag that is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlagVariant {
    /// What applications call it.
    pub name: String,
    /// Its share, usually in thousandths.
    pub weight: u32,
    /// Whether the share stays when others change.
    #[serde(default)]
    pub weight_type: WeightType,
    /// What the choice goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stickiness: Option<String>,
    /// Handed to applications as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<FlagPayload>,
    /// Who gets it whatever the weights say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<FlagOverride>,
}

/// Whether a weight is somebody's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightType {
    /// It is.
    Fix,
    /// It is what the others leave.
    #[default]
    Variable,
}

/// What comes with a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagPayload {
    /// `string`, `json`, `csv` or `number`.
    #[serde(rename = "type")]
    pub kind: String,
    /// As text.
    pub value: String,
}

/// Who gets a variant in any case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlagOverride {
    /// The field.
    pub context_name: String,
    /// One of these.
    pub values: Vec<String>,
}

/// What another flag has to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagDependency {
    /// The other flag.
    pub feature: String,
    /// Whether it has to be on, or off.
    pub enabled: bool,
    /// Which variants it may have then; empty for any.
    #[serde(default)]
    pub variants: Vec<String>,
}

/// Constraints that several strategies share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// What strategies and clients refer to.
    pub id: i64,
    /// For people; unique.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// In whose files it stands; strategies of every project may use it.
    pub project: String,
    /// All have to hold.
    pub constraints: Vec<FlagConstraint>,
}

/// Flags by name.
pub type Flags = BTreeMap<String, Arc<Flag>>;

/// Segments by number.
pub type Segments = BTreeMap<i64, Arc<Segment>>;

impl Workspace {
    /// The segment with this name.
    pub(super) fn segment(&self, name: &str) -> Option<&Arc<Segment>> {
        self.segments.values().find(|own| own.name == name)
    }

    /// Flags that depend on this one; archived ones too, since they may come
    /// back.
    pub(super) fn dependents(&self, name: &str) -> impl Iterator<Item = &Flag> {
        let flags = self.flags.values().map(|own| &**own);
        flags.filter(move |own| {
            let mut parents = own.dependencies.iter();
            parents.any(|parent| parent.feature == name)
        })
    }
}

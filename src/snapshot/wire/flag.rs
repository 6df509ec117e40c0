//! What does a flag say, in Unleash's words?
//!
//! The members of its client-features document that evaluation needs, read as
//! generously as Unleash's clients read them: what is null counts as left out,
//! and what nobody knows is ignored. Whoever hands a flag on hands on the
//! document it came in, so nothing here is written.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A flag.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlagPart {
    /// What applications call it.
    pub name: String,
    /// Off for everybody, where it is false.
    #[serde(default, deserialize_with = "or_default")]
    pub enabled: bool,
    /// Its project; none counts as `default`.
    #[serde(default)]
    pub project: Option<String>,
    /// Whether clients tell when it was seen.
    #[serde(default, deserialize_with = "or_default")]
    pub impression_data: bool,
    /// One of them has to hold; without any it is on.
    #[serde(default, deserialize_with = "or_default")]
    pub strategies: Vec<StrategyPart>,
    /// For strategies that have none of their own.
    #[serde(default, deserialize_with = "or_default")]
    pub variants: Vec<VariantPart>,
    /// What other flags have to be.
    #[serde(default, deserialize_with = "or_default")]
    pub dependencies: Vec<DependencyPart>,
}

/// One way to be on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StrategyPart {
    /// Such as `flexibleRollout`.
    pub name: String,
    /// Texts; numbers are read as what they are written as.
    #[serde(default, deserialize_with = "or_default")]
    pub parameters: Map<String, Value>,
    /// All have to hold.
    #[serde(default, deserialize_with = "or_default")]
    pub constraints: Vec<ConstraintPart>,
    /// All have to hold; by id.
    #[serde(default, deserialize_with = "or_default")]
    pub segments: Vec<i64>,
    /// In the place of the flag's.
    #[serde(default, deserialize_with = "or_default")]
    pub variants: Vec<VariantPart>,
}

/// A condition on a field of the context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConstraintPart {
    /// The field.
    pub context_name: String,
    /// Such as `STR_CONTAINS`.
    pub operator: String,
    /// For operators that compare with one.
    #[serde(default)]
    pub value: Option<String>,
    /// For operators that take several.
    #[serde(default, deserialize_with = "or_default")]
    pub values: Vec<String>,
    /// The opposite is meant.
    #[serde(default, deserialize_with = "or_default")]
    pub inverted: bool,
    /// For the operators on texts.
    #[serde(default, deserialize_with = "or_default")]
    pub case_insensitive: bool,
}

/// Constraints that several strategies share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SegmentPart {
    /// What strategies refer to.
    pub id: i64,
    /// All have to hold.
    #[serde(default, deserialize_with = "or_default")]
    pub constraints: Vec<ConstraintPart>,
}

/// One of several faces of a flag that is on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct VariantPart {
    /// What applications call it.
    pub name: String,
    /// Its share of the sum of all weights.
    #[serde(default, deserialize_with = "or_default")]
    pub weight: u32,
    /// Handed on as it is.
    #[serde(default)]
    pub payload: Option<Value>,
    /// What the choice goes by; that of the first variant counts.
    #[serde(default)]
    pub stickiness: Option<String>,
    /// Who gets it whatever the weights say.
    #[serde(default, deserialize_with = "or_default")]
    pub overrides: Vec<OverridePart>,
}

/// Who gets a variant in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverridePart {
    /// The field.
    pub context_name: String,
    /// One of these.
    #[serde(default, deserialize_with = "or_default")]
    pub values: Vec<String>,
}

/// What another flag has to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DependencyPart {
    /// The other flag.
    pub feature: String,
    /// Whether it has to be on, or off.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Which variants it may have then; empty for any.
    #[serde(default, deserialize_with = "or_default")]
    pub variants: Vec<String>,
}

/// Documents write what is not given as null as well.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A document of flags: whole, or the events that lead to one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct FlagsPart {
    /// Flags, each to be read on its own.
    #[serde(default)]
    pub features: Option<Vec<Value>>,
    /// Segments, likewise.
    #[serde(default, deserialize_with = "or_default")]
    pub segments: Vec<Value>,
    /// In the place of both.
    #[serde(default)]
    pub events: Option<Vec<FlagEventPart>>,
}

/// One change of a document of flags.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum FlagEventPart {
    /// Everything, in the place of what was before.
    Hydration {
        /// All flags.
        #[serde(deserialize_with = "or_default")]
        features: Vec<Value>,
        /// All segments.
        #[serde(default, deserialize_with = "or_default")]
        segments: Vec<Value>,
    },
    /// A new flag, or in the place of the one of its name.
    FeatureUpdated {
        /// The flag.
        feature: Value,
    },
    /// A flag is gone.
    FeatureRemoved {
        /// Its name.
        feature_name: String,
    },
    /// A new segment, or in the place of the one of its id.
    SegmentUpdated {
        /// The segment.
        segment: Value,
    },
    /// A segment is gone.
    SegmentRemoved {
        /// Its id.
        segment_id: i64,
    },
}

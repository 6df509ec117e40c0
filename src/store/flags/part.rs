//! What do edges get of a flag or a segment?
//!
//! The members that Unleash's clients read, as its server answers them, and
//! nothing that is for authors alone. A strategy that is switched off is left
//! out; where all of them are, the flag is off, because without any it would be
//! on for everybody.

use serde_json::{Map, Value, json};

use super::{
    Flag, FlagConstraint, FlagSettings, FlagStrategy, FlagVariant, GRADUAL_ROLLOUT, Segment,
};

/// A flag as an environment has it.
pub(in crate::store) fn flag(flag: &Flag, environment_uid: &str) -> Value {
    let off = FlagSettings::default();
    let settings = flag.environments.get(environment_uid).unwrap_or(&off);
    let active = || settings.strategies.iter().filter(|own| !own.disabled);
    let all_disabled = !settings.strategies.is_empty() && active().next().is_none();
    let variants = match settings.variants.is_empty() {
        true => &flag.variants,
        false => &settings.variants,
    };
    let mut part = json!({
        "name": flag.name, "type": flag.kind, "project": flag.project,
        "enabled": settings.enabled && !all_disabled && flag.archived_ms.is_none(),
        "stale": flag.stale, "impressionData": flag.impression_data,
        "strategies": active().map(|own| strategy(&flag.name, own)).collect::<Vec<_>>(),
        "variants": written(variants),
    });
    if !flag.description.is_empty() {
        part["description"] = json!(flag.description);
    }
    if !flag.dependencies.is_empty() {
        part["dependencies"] = json!(flag.dependencies);
    }
    part
}

/// A strategy of a flag.
pub(super) fn strategy(flag: &str, own: &FlagStrategy) -> Value {
    let parameters = own.parameters.iter();
    let mut parameters: Map<String, Value> = parameters
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    if own.name == GRADUAL_ROLLOUT {
        // Not every client of Unleash fills these in by itself.
        for (name, value) in [("groupId", flag), ("stickiness", "default")] {
            parameters.entry(name).or_insert_with(|| json!(value));
        }
    }
    let mut part = json!({
        "name": own.name, "parameters": parameters,
        "constraints": constraints(&own.constraints), "segments": own.segments,
        "variants": written(&own.variants),
    });
    if let Some(title) = &own.title {
        part["title"] = json!(title);
    }
    part
}

/// A segment; the same in every environment.
pub(in crate::store) fn segment(own: &Segment) -> Value {
    json!({"id": own.id, "name": own.name, "constraints": constraints(&own.constraints)})
}

fn constraints(list: &[FlagConstraint]) -> Value {
    list.iter().map(|own| json!(own)).collect()
}

fn written(variants: &[FlagVariant]) -> Value {
    variants.iter().map(|own| json!(own)).collect()
}

//! What becomes of the pieces of an export?
//!
//! Members that we know are taken over by name; what is null counts as left
//! out, as it does for Unleash's clients. Members that only Unleash's server
//! has a use for (ids, times, authors) are left behind without a word.

use serde_json::{Map, Value, json};

/// Members of a value that are there and not null.
pub(super) fn picked(value: &Value, members: &[&str]) -> Map<String, Value> {
    let found = members.iter().filter_map(|member| {
        let own = value.get(*member).filter(|own| !own.is_null())?;
        Some(((*member).to_owned(), own.clone()))
    });
    found.collect()
}

/// Items of a member that is a list.
pub(super) fn items<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn constraints(list: &[Value]) -> Value {
    const MEMBERS: [&str; 6] = [
        "contextName",
        "operator",
        "value",
        "values",
        "inverted",
        "caseInsensitive",
    ];
    list.iter()
        .map(|own| {
            let mut constraint = picked(own, &MEMBERS);
            // Servers write an empty text where there is none.
            if constraint.get("value") == Some(&json!("")) {
                constraint.remove("value");
            }
            Value::Object(constraint)
        })
        .collect()
}

pub(super) fn variants(list: &[Value]) -> Value {
    list.iter()
        .map(|own| {
            let mut variant = picked(own, &["name", "weight", "weightType", "stickiness"]);
            let payload = picked(&own["payload"], &["type", "value"]);
            if !payload.is_empty() {
                variant.insert("payload".to_owned(), payload.into());
            }
            let overrides = items(own, "overrides").iter();
            let overrides = overrides.map(|own| picked(own, &["contextName", "values"]).into());
            let overrides: Vec<Value> = overrides.collect();
            if !overrides.is_empty() {
                variant.insert("overrides".to_owned(), overrides.into());
            }
            Value::Object(variant)
        })
        .collect()
}

/// A strategy; its segments stand for what the export calls them by number.
pub(super) fn strategy(own: &Value, segments: Vec<Value>) -> Value {
    let mut strategy = picked(own, &["title", "disabled", "parameters"]);
    let name = own.get("strategyName").or_else(|| own.get("name"));
    strategy.insert("name".to_owned(), name.cloned().unwrap_or_default());
    if strategy.get("title") == Some(&json!("")) {
        strategy.remove("title");
    }
    let constraints = constraints(items(own, "constraints"));
    strategy.insert("constraints".to_owned(), constraints);
    strategy.insert("segments".to_owned(), segments.into());
    strategy.insert("variants".to_owned(), variants(items(own, "variants")));
    Value::Object(strategy)
}

/// What a flag is in all environments.
pub(super) fn feature(own: &Value) -> Map<String, Value> {
    let mut flag = picked(
        own,
        &["name", "type", "description", "stale", "impressionData"],
    );
    let variants = variants(items(own, "variants"));
    if variants.as_array().is_some_and(|list| !list.is_empty()) {
        flag.insert("variants".to_owned(), variants);
    }
    flag
}

pub(super) fn dependencies(list: &[Value]) -> Value {
    let members = ["feature", "enabled", "variants"];
    list.iter()
        .map(|own| Value::Object(picked(own, &members)))
        .collect()
}

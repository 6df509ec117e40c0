//! Does a value fit a schema?
//!
//! The words of JSON Schema that our own documents use; a word that is not
//! known here fails, so that none is passed over.

use serde_json::Value;

/// What is wrong with the value; nothing when it fits.
pub(super) fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut faults = Vec::new();
    check(document, schema, value, at, &mut faults);
    faults
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(Value::String(reference)) = schema.get("$ref") {
        let target = document.pointer(reference.trim_start_matches('#'));
        return check(document, target.expect("a schema"), value, at, faults);
    }
    let mut fault = |what: String| faults.push(format!("{at}: {what}, found {value}"));
    let words = schema.as_object().expect("a schema is an object");
    for (word, rule) in words {
        match word.as_str() {
            "description" | "properties" => {}
            "type" if !is_of(value, rule.as_str().expect("one type")) => {
                fault(format!("expected {rule}"));
            }
            "type" => {}
            "enum" => {
                if !rule.as_array().expect("a list").contains(value) {
                    fault(format!("expected one of {rule}"));
                }
            }
            "required" => {
                for name in rule.as_array().expect("names") {
                    let name = name.as_str().expect("a name");
                    if value.is_object() && value.get(name).is_none() {
                        fault(format!("{name} is missing"));
                    }
                }
            }
            "pattern" => {
                // The one pattern there is: a revision.
                assert_eq!(rule, "^[0-9]+\\.[0-9]+$");
                let parts: Vec<&str> = value.as_str().unwrap_or_default().split('.').collect();
                if parts.len() != 2 || parts.iter().any(|part| part.parse::<u64>().is_err()) {
                    fault("expected epoch.number".to_owned());
                }
            }
            "minimum" | "maximum" | "minLength" | "maxLength" | "minItems" | "maxItems"
            | "maxProperties" => {
                let (size, bound) = (size(value), rule.as_u64().expect("a bound"));
                let fits = if word.starts_with("min") {
                    size >= bound
                } else {
                    size <= bound
                };
                if !fits {
                    fault(format!("{word} is {bound}"));
                }
            }
            "oneOf" | "items" | "additionalProperties" => {}
            other => panic!("{at}: the word {other} is not known to this check"),
        }
    }
    below(document, schema, value, at, faults);
}

fn below(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(Value::Array(choices)) = schema.get("oneOf") {
        let fitting = choices.iter();
        let fitting = fitting.filter(|one| self::faults(document, one, value, at).is_empty());
        if fitting.count() != 1 {
            faults.push(format!("{at}: fits not exactly one choice, found {value}"));
        }
    }
    if let (Some(items), Value::Array(list)) = (schema.get("items"), value) {
        for (number, item) in list.iter().enumerate() {
            check(document, items, item, &format!("{at}[{number}]"), faults);
        }
    }
    let Value::Object(members) = value else {
        return;
    };
    for (name, member) in members {
        let at = format!("{at}.{name}");
        match (
            schema["properties"].get(name),
            schema.get("additionalProperties"),
        ) {
            (Some(known), _) => check(document, known, member, &at, faults),
            (None, Some(Value::Bool(false))) => faults.push(format!("{at}: is not told")),
            (None, Some(further @ Value::Object(_))) => {
                check(document, further, member, &at, faults);
            }
            (None, _) => {}
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known to this check"),
    }
}

fn size(value: &Value) -> u64 {
    match value {
        Value::Number(number) => number.as_u64().unwrap_or(0),
        Value::String(text) => text.chars().count() as u64,
        Value::Array(list) => list.len() as u64,
        Value::Object(members) => members.len() as u64,
        _ => 0,
    }
}

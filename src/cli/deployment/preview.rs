//! Whom would a change let in, put out or move?
//!
//! Asks the store page by page, adds up, and tells it as a table. How many
//! users are looked at is the caller's choice; that there are more is said.

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    super::{
        admin::{Admin, Question},
        console::Console,
        failure::Failure,
        table::{self, Output},
    },
    Which,
};
use crate::limits::{PREVIEW_EXAMPLES, PREVIEW_EXAMPLES_MAX, PREVIEW_USERS_MAX};

/// How a preview looks.
#[derive(Debug, Args)]
pub(super) struct PreviewSettings {
    /// At most so many stored users are looked at, in the order of their ids.
    #[arg(long, value_name = "N", default_value_t = PREVIEW_USERS_MAX)]
    users: usize,
    /// Only users whose ids come after this one.
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Examples of each movement.
    #[arg(long, value_name = "N", default_value_t = PREVIEW_EXAMPLES)]
    examples: usize,
    /// Judged as if it were this time, such as 2026-12-01T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Attributes that every request would carry: an object as JSON.
    #[arg(long, value_name = "JSON")]
    attributes: Option<String>,
}

/// The movements, with what each means.
const MOVEMENTS: [(&str, &str); 5] = [
    ("enter", "get nothing of it now, and would"),
    ("leave", "get something of it now, and would no more"),
    ("change", "would get another version"),
    ("stay", "go on with what they get"),
    ("out", "get nothing, now as then"),
];

/// Asks for pages until enough users were looked at, or all.
pub(super) fn ask(
    admin: &Admin,
    which: Option<&Which>,
    body: &Value,
    how: &PreviewSettings,
) -> Result<Value, Failure> {
    if how.users == 0 || how.examples > PREVIEW_EXAMPLES_MAX {
        return Err(Failure::usage(format!(
            "found --users {} and --examples {}, expected at least one user and at most {PREVIEW_EXAMPLES_MAX} examples",
            how.users, how.examples
        )));
    }
    let mut whole: Option<Value> = None;
    let mut after = how.after.clone();
    loop {
        let looked_at = whole.as_ref().map_or(0, |own| number(&own["users"]));
        let limit = (how.users - looked_at).min(PREVIEW_USERS_MAX).to_string();
        let examples = how.examples.to_string();
        let mut query = vec![("limit", limit.as_str()), ("examples", examples.as_str())];
        let given = [
            ("after", &after),
            ("at", &how.at),
            ("attributes", &how.attributes),
        ];
        for (name, value) in given {
            query.extend(value.as_deref().map(|value| (name, value)));
        }
        let path = match which {
            Some(which) => {
                query.extend(which.query());
                which.path(&[])
            }
            None => vec!["deployments"],
        };
        let page = admin.ask(&path, Question::Preview, &query, body)?;
        let sum = match whole.take() {
            None => page,
            Some(before) => together(before, page, how.examples),
        };
        let whole = whole.insert(sum);
        after = whole["next"].as_str().map(ToOwned::to_owned);
        if after.is_none() || number(&whole["users"]) >= how.users {
            return Ok(whole.take());
        }
    }
}

/// Two pages as one.
fn together(before: Value, page: Value, examples_max: usize) -> Value {
    let mut sum = page;
    for member in ["users", "views"] {
        sum[member] = json!(number(&before[member]) + number(&sum[member]));
    }
    for member in ["counts", "reasons"] {
        let earlier = before[member].as_object().cloned().unwrap_or_default();
        let own = sum[member].as_object().cloned().unwrap_or_default();
        let mut both: Map<String, Value> = own;
        for (name, count) in earlier {
            let here = both.get(&name).map_or(0, number);
            both.insert(name, json!(here + number(&count)));
        }
        sum[member] = Value::Object(both);
    }
    let mut examples = before["examples"].as_array().cloned().unwrap_or_default();
    for example in sum["examples"].as_array().into_iter().flatten() {
        let same = |own: &&Value| own["movement"] == example["movement"];
        if examples.iter().filter(same).count() < examples_max {
            examples.push(example.clone());
        }
    }
    sum["examples"] = Value::Array(examples);
    // What a page alone has not met, another may have.
    let earlier = before["remarks"].as_array().cloned().unwrap_or_default();
    let remarks = sum["remarks"].as_array().cloned().unwrap_or_default();
    let in_both = remarks.into_iter().filter(|own| earlier.contains(own));
    sum["remarks"] = in_both.collect();
    sum
}

fn number(value: &Value) -> usize {
    value
        .as_u64()
        .and_then(|own| usize::try_from(own).ok())
        .unwrap_or(0)
}

/// Tells what was found.
pub(super) fn print(console: &mut Console, output: Output, found: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, found);
    }
    let more = match found["next"].as_str() {
        Some(_) => ", those with the first ids (--users looks at more)",
        None => "",
    };
    console.line(&format!(
        "looked at {} stored users in {} ways{more}",
        found["users"], found["views"]
    ))?;
    let rows: Vec<Value> = MOVEMENTS
        .iter()
        .map(|(name, means)| json!({"movement": name, "count": found["counts"][name], "means": means}))
        .collect();
    let columns = [
        ("movement", "MOVEMENT"),
        ("count", "COUNT"),
        ("means", "MEANS"),
    ];
    table::print(console, output, &columns, &rows)?;
    let examples: Vec<Value> = found["examples"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|own| {
            json!({"movement": own["movement"], "user": own["user"],
                "conversation": own["conversation"],
                "before": seen(&own["before"]), "after": seen(&own["after"])})
        })
        .collect();
    if !examples.is_empty() {
        let columns = [
            ("movement", "EXAMPLE"),
            ("user", "USER"),
            ("conversation", "CONVERSATION"),
            ("before", "NOW"),
            ("after", "THEN"),
        ];
        table::print(console, output, &columns, &examples)?;
    }
    for remark in found["remarks"].as_array().into_iter().flatten() {
        console.line(&format!("note: {}", remark.as_str().unwrap_or_default()))?;
    }
    Ok(())
}

fn seen(seen: &Value) -> String {
    let reason = seen["reason"].as_str().unwrap_or_default();
    if seen["served"] == true {
        return format!("version {} ({reason})", seen["version"]);
    }
    format!("nothing ({reason})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_add_up_and_examples_stay_few() {
        let page = |user: &str, reason: &str| {
            json!({"users": 2, "views": 3, "next": user, "counts": {"enter": 1, "out": 2},
                "reasons": {reason: 3}, "remarks": ["a", user],
                "examples": [{"user": user, "movement": "enter"}]})
        };
        let both = together(page("ann", "member"), page("bob", "percentage"), 1);
        assert_eq!(both["users"], 4);
        assert_eq!(both["counts"], json!({"enter": 2, "out": 4}));
        assert_eq!(both["reasons"], json!({"member": 3, "percentage": 3}));
        assert_eq!(both["next"], "bob", "the later one");
        assert_eq!(both["examples"][0]["user"], "ann");
        assert_eq!(both["examples"].as_array().map(Vec::len), Some(1));
        assert_eq!(both["remarks"], json!(["a"]));
    }
}

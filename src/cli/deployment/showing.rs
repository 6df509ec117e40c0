//! How is a deployment told?
//!
//! As a row among others, or in full.

use serde_json::{Value, json};

use super::super::{
    console::Console,
    failure::Failure,
    table::{self, Output},
    told::percent,
};

/// Columns of a listing.
const COLUMNS: [(&str, &str); 10] = [
    ("environment", "ENVIRONMENT"),
    ("name", "NAME"),
    ("flow", "FLOW"),
    ("channel", "CHANNEL"),
    ("version", "VERSION"),
    ("state", "STATE"),
    ("whom", "WHOM"),
    ("share", "SHARE"),
    ("remember", "REMEMBER"),
    ("judged", "IN/OUT/STARTED/FINISHED"),
];

/// Deployments as rows, or the answer as it came.
pub(super) fn rows(
    console: &mut Console,
    output: Output,
    mut rows: Vec<Value>,
    answer: &Value,
) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, answer);
    }
    for row in &mut rows {
        row["state"] = json!(state(row));
        let alternatives = row["audience"].as_array().map_or(0, Vec::len);
        row["whom"] = match alternatives {
            0 => json!("everyone"),
            1 => json!("1 alternative"),
            count => json!(format!("{count} alternatives")),
        };
        row["share"] = json!(share(row));
        if row["counts"].is_object() {
            let counts = ["in", "out", "started", "finished"];
            let counts = counts.map(|member| row["counts"][member].to_string());
            row["judged"] = json!(counts.join("/"));
        }
    }
    table::print(console, output, &COLUMNS, &rows)
}

/// One in full.
pub(super) fn whole(console: &mut Console, output: Output, own: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, own);
    }
    let text = |member: &str| match &own[member] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    console.line(&format!(
        "deployment {} ({}) in {}: {}",
        text("name"),
        text("uid"),
        text("environment"),
        state(own)
    ))?;
    console.line(&format!(
        "  flow {}, version {}, on channel {}",
        text("flow"),
        text("version"),
        text("channel")
    ))?;
    let alternatives = own["audience"].as_array().cloned().unwrap_or_default();
    if alternatives.is_empty() {
        console.line("  for everyone")?;
    }
    for (place, alternative) in (1..).zip(&alternatives) {
        let rules = alternative["rules"].as_array().into_iter().flatten();
        let rules: Vec<String> = rules.map(rule).collect();
        let name = alternative["name"].as_str().unwrap_or("unnamed");
        let word = if place == 1 { "for" } else { "or" };
        console.line(&format!("  {word} {name}: {}", rules.join(" and ")))?;
    }
    console.line(&format!(
        "  {}, decided by {} and remembered for {}",
        share(own),
        text("id"),
        text("remember")
    ))?;
    let count = |member: &str| own["counts"][member].as_u64().unwrap_or(0);
    console.line(&format!(
        "  so far {} judged: {} in and {} out; {} started, {} finished",
        count("judged"),
        count("in"),
        count("out"),
        count("started"),
        count("finished")
    ))
}

fn rule(rule: &Value) -> String {
    let word = |member: &str| rule[member].as_str().unwrap_or_default().to_owned();
    match &rule["value"] {
        Value::Null => format!("{} {}", word("attribute"), word("operator")),
        value => format!("{} {} {value}", word("attribute"), word("operator")),
    }
}

fn state(own: &Value) -> &'static str {
    match own["active"] == true {
        true => "active",
        false => "inactive",
    }
}

/// The percentage, and what its schedule makes of it.
fn share(own: &Value) -> String {
    let mut share = own["basisPoints"].as_u64().map(percent).unwrap_or_default();
    for entry in own["schedule"].as_array().into_iter().flatten() {
        let at = entry["at"].as_u64().map(table::time).unwrap_or_default();
        let then = entry["basisPoints"].as_u64().map(percent);
        share.push_str(&format!(", {} from {at}", then.unwrap_or_default()));
    }
    share
}

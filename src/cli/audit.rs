//! Who changed what, and what was it before?
//!
//! The store's audit log as people read it: a line for each change, and one
//! entry with everything that differs.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    admin::{Admin, Target},
    console::{Console, plain},
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::config::Variables;

/// `flowgate audit …`.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List changes, the newest first.
    List(Box<ListArguments>),
    /// Show one change with everything that differs.
    Show(ShowArguments),
}

/// Arguments of `flowgate audit list`.
#[derive(Args, Debug)]
pub(super) struct ListArguments {
    /// Only what is noticed in one environment.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// Only in the name of one key.
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only about what is called so: a flow's sid, the name of a deployment.
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// Only about things of one kind, such as deployment, version or key.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only from this time on, such as 2026-11-22T07:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Go on where a list ended.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// How many at the most.
    #[arg(long, value_name = "COUNT", default_value_t = crate::limits::AUDIT_PER_ANSWER)]
    limit: usize,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `flowgate audit show`.
#[derive(Args, Debug)]
pub(super) struct ShowArguments {
    /// Its id, as the list has it.
    id: u64,
    /// Only if it is noticed in this environment; a key that is limited to
    /// environments names one.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Runs one of them.
pub(super) fn run(
    command: AuditCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        AuditCommand::List(arguments) => list(&arguments, variables, console),
        AuditCommand::Show(arguments) => show(&arguments, variables, console),
    }
}

fn list(
    arguments: &ListArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let count = arguments.limit.to_string();
    let given = [
        ("environment", arguments.environment.as_deref()),
        ("who", arguments.who.as_deref()),
        ("object", arguments.object.as_deref()),
        ("kind", arguments.kind.as_deref()),
        ("since", arguments.since.as_deref()),
        ("after", arguments.after.as_deref()),
        ("limit", Some(count.as_str())),
    ];
    let query: Vec<(&str, &str)> = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let mut answer = Admin::find(&arguments.target, variables)?.get(&["audit"], &query)?;
    let Value::Array(entries) = answer["entries"].take() else {
        return Err(Failure::undone("the store's answer is not an audit log"));
    };
    if arguments.output == Output::Json {
        table::json(console, &Value::Array(entries))?;
    } else {
        let rows: Vec<Value> = entries.iter().map(for_people).collect();
        let columns = [
            ("id", "ID"),
            ("time", "TIME"),
            ("who", "WHO"),
            ("role", "ROLE"),
            ("what", "WHAT"),
            ("environments", "ENVIRONMENTS"),
        ];
        table::print(console, arguments.output, &columns, &rows)?;
    }
    if let Some(next) = answer["next"].as_str() {
        console.complain(&format!("there are more: --after {}", plain(next)));
    }
    Ok(Outcome::Done)
}

/// One line for an entry, however much it changed.
fn for_people(entry: &Value) -> Value {
    let changes = entry["changes"].as_array();
    let mut all = changes.into_iter().flatten();
    let first = all.next();
    let more = all.count() as u64 + entry["left_out"].as_u64().unwrap_or(0);
    let mut what = first.map_or_else(String::new, words);
    if more > 0 {
        what.push_str(&format!(", and {more} more"));
    }
    json!({
        "id": entry["id"], "time": table::time(entry["at_ms"].as_u64().unwrap_or_default()),
        "who": who(entry), "role": entry["who"]["role"], "what": what,
        "environments": first.map(places),
    })
}

/// `changed deployment "web"`.
fn words(change: &Value) -> String {
    let word = |member: &str| plain(change[member].as_str().unwrap_or_default());
    let version = match change["version"].as_u64() {
        Some(0) => " draft".to_owned(),
        Some(number) => format!(" {number}"),
        None => String::new(),
    };
    let (action, kind, object) = (word("action"), word("kind"), word("object"));
    format!("{action} {kind} {object}{version}")
}

fn places(change: &Value) -> String {
    let Some(places) = change["environments"].as_array() else {
        return "all".to_owned();
    };
    let places: Vec<String> = places.iter().filter_map(Value::as_str).map(plain).collect();
    places.join(", ")
}

/// Name and last characters of a key.
fn who(entry: &Value) -> String {
    let name = plain(entry["who"]["name"].as_str().unwrap_or_default());
    match entry["who"]["last"].as_str() {
        Some(last) => format!("{name} (…{})", plain(last)),
        None => name,
    }
}

fn show(
    arguments: &ShowArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let id = arguments.id.to_string();
    let environment = arguments.environment.iter();
    let query: Vec<_> = environment
        .map(|own| ("environment", own.as_str()))
        .collect();
    let entry = Admin::find(&arguments.target, variables)?.get(&["audit", &id], &query)?;
    if arguments.output == Output::Json {
        table::json(console, &entry)?;
        return Ok(Outcome::Done);
    }
    let time = table::time(entry["at_ms"].as_u64().unwrap_or_default());
    console.line(&format!("{time}  {}", who(&entry)))?;
    if let Some(request) = entry["request"].as_str() {
        console.line(&format!("request {}", plain(request)))?;
    }
    for change in entry["changes"].as_array().into_iter().flatten() {
        console.line(&format!("{} in {}", words(change), places(change)))?;
        for line in differences("", &change["before"], &change["after"]) {
            console.line(&format!("  {line}"))?;
        }
    }
    if let Some(more) = entry["left_out"].as_u64() {
        console.line(&format!("and {more} more"))?;
    }
    Ok(Outcome::Done)
}

/// Every member that differs, by the path to it.
fn differences(at: &str, before: &Value, after: &Value) -> Vec<String> {
    if before == after {
        return Vec::new();
    }
    let below = |name: &str| match at {
        "" => name.to_owned(),
        at => format!("{at}.{name}"),
    };
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            let lines = names
                .into_iter()
                .flat_map(|name| differences(&below(&plain(name)), &before[name], &after[name]));
            lines.collect()
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            let pairs = old.iter().zip(new).enumerate();
            pairs
                .flat_map(|(number, (old, new))| differences(&below(&number.to_string()), old, new))
                .collect()
        }
        (Value::Null, _) => vec![format!("+ {at} {}", plain(&after.to_string()))],
        (_, Value::Null) => vec![format!("- {at} {}", plain(&before.to_string()))],
        _ => vec![format!(
            "~ {at} {} -> {}",
            plain(&before.to_string()),
            plain(&after.to_string())
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_by_the_path_to_it() {
        let before = json!({"a": 1, "b": {"c": [1, 2], "d": "x"}, "e": true});
        let after = json!({"a": 1, "b": {"c": [1, 3], "d": "x", "f": null}, "g": "\u{1b}"});
        assert_eq!(
            differences("", &before, &after),
            ["~ b.c.1 2 -> 3", "- e true", "+ g \"\\u001b\""]
        );
        assert!(differences("", &before, &before).is_empty());
    }
}

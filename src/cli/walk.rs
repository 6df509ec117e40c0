//! Where would somebody stand in a flow after these steps?
//!
//! A walk through a version for a pretended user, taken by the store on the core
//! that edges use; printed step by step.

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    admin::{Admin, Question, Target},
    console::Console,
    failure::Failure,
    table::{self, Output},
};
use crate::config::Variables;

/// A walk through a version.
#[derive(Debug, Args)]
pub(super) struct Walk {
    /// The flow.
    #[arg(value_name = "SID")]
    flow: String,
    /// draft, latest or a number.
    #[arg(long, value_name = "VERSION", default_value = "draft")]
    version: String,
    /// Properties of the user, a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    user: Option<Value>,
    /// Properties of the group; without them there is none.
    #[arg(long, value_name = "JSON", value_parser = object)]
    group: Option<Value>,
    /// Start whatever the entry condition says.
    #[arg(long)]
    force: bool,
    /// A block that is left, and by which names; may be given several times.
    #[arg(long = "step", value_name = "BLOCK:NAME,…", value_parser = step)]
    steps: Vec<Value>,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

fn object(text: &str) -> Result<Value, String> {
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        format!("{error} (expected a JSON object such as {{\"plan\":\"pro\"}})")
    })?;
    Ok(Value::Object(object))
}

fn step(text: &str) -> Result<Value, String> {
    let expected = "expected BLOCK:NAME, such as welcome:complete";
    let (block, names) = text.split_once(':').ok_or(expected)?;
    let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    if block.is_empty() || names.is_empty() {
        return Err(expected.to_owned());
    }
    Ok(json!({"block": block, "transitions": names}))
}

/// Takes it.
pub(super) fn walk(
    console: &mut Console,
    variables: &Variables,
    walk: &Walk,
) -> Result<(), Failure> {
    let mut body = json!({
        "version": walk.version, "steps": walk.steps, "force": walk.force,
        "user": walk.user.clone().unwrap_or_else(|| json!({})),
    });
    if let Some(group) = &walk.group {
        body["group"] = group.clone();
    }
    let admin = Admin::find(&walk.target, variables)?;
    let answer = admin.ask(&["flows", &walk.flow], Question::Try, &[], &body)?;
    if walk.output == Output::Json {
        return table::json(console, &answer);
    }
    let mut rows = answer["steps"].as_array().cloned().unwrap_or_default();
    for row in &mut rows {
        for member in ["active", "passed"] {
            let words = row[member].as_array().into_iter().flatten();
            let words: Vec<&str> = words.filter_map(Value::as_str).collect();
            row[member] = words.join(", ").into();
        }
        let state = [("finished", "finished"), ("started", "running")];
        let state = state.iter().find(|(member, _)| row[*member] == true);
        row["state"] = state.map_or("not started", |(_, word)| word).into();
    }
    let columns = [
        ("step", "STEP"),
        ("state", "STATE"),
        ("active", "ACTIVE"),
        ("passed", "PASSED"),
    ];
    table::print(console, Output::Table, &columns, &rows)
}

//! Does a receipt say what the snapshot of its revision says?
//!
//! Offline: the archived snapshot is verified as an edge verifies it, the
//! receipt is made again from its inputs by the function that made it, and the
//! two are compared byte for byte. Equal ends with 0, different with 1 and the
//! members that differ; what cannot be compared at all ends with 2.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::{
    archive::{self, Number, Wanted},
    console::Console,
    failure::{Failure, Outcome},
};
use crate::{
    clock::Ambient,
    limits,
    receipt::{Inputs, receipt},
};

/// Arguments of `flowgate replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// What `/v1/explain` or `flowgate explain --output json` answered.
    #[arg(value_name = "RECEIPT-FILE")]
    file: PathBuf,
    /// A pack, an edge's data folder, or a folder of packs.
    #[arg(long, value_name = "DIR|PACK")]
    snapshot: PathBuf,
    /// The root document to trust, as the edge's upstream.trust_root.
    #[arg(long, value_name = "FILE")]
    trust_root: PathBuf,
}

/// A receipt as it was answered.
#[derive(Debug, Deserialize)]
struct Answered {
    inputs: Inputs,
    receipt: Value,
}

/// `flowgate replay`.
pub(super) fn replay(
    arguments: &ReplayArguments,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let answered = read(&arguments.file)?;
    let revision = answered.inputs.revision();
    let revision = revision.map_err(|error| undone(arguments).because(&error))?;
    let wanted = Wanted {
        environment: Some(&answered.inputs.environment),
        revision: Number::Revision(revision),
    };
    let now = Ambient::system().now_ms();
    let snapshot = archive::at_revision(&arguments.snapshot, &arguments.trust_root, wanted, now)?;
    let made = receipt(&snapshot, &answered.inputs);
    let made = made.map_err(|error| undone(arguments).because(&error))?;
    let reason = made["reason"].as_str().unwrap_or_default().to_owned();
    let differences = differences(&answered.receipt, &made);
    if differences.is_empty() {
        console.line(&format!(
            "equal: revision {revision} gives this receipt, reason {reason}"
        ))?;
        return Ok(Outcome::Done);
    }
    console.line(&format!(
        "different: revision {revision} gives another receipt, reason {reason}"
    ))?;
    for difference in differences {
        console.line(&format!("  {difference}"))?;
    }
    Ok(Outcome::NotSo)
}

fn undone(arguments: &ReplayArguments) -> Failure {
    Failure::undone(format!("{} cannot be replayed", arguments.file.display()))
}

fn read(path: &std::path::Path) -> Result<Answered, Failure> {
    let bytes = archive::read(path, limits::RECEIPT_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::undone(format!("{} is not a receipt", path.display()))
            .because(&error)
            .mend("expected the JSON of `flowgate explain --output json`, with inputs and receipt")
    })
}

/// Members that are not the same bytes, each as `path: found …, expected …`.
fn differences(found: &Value, expected: &Value) -> Vec<String> {
    let mut list = Vec::new();
    compare("receipt", Some(found), Some(expected), &mut list);
    list
}

fn compare(place: &str, found: Option<&Value>, expected: Option<&Value>, list: &mut Vec<String>) {
    match (found, expected) {
        (Some(Value::Object(found)), Some(Value::Object(expected))) => {
            let mut names: Vec<&String> = found.keys().chain(expected.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let place = format!("{place}.{name}");
                compare(&place, found.get(name), expected.get(name), list);
            }
        }
        (Some(Value::Array(found)), Some(Value::Array(expected))) => {
            for at in 0..found.len().max(expected.len()) {
                let place = format!("{place}[{at}]");
                compare(&place, found.get(at), expected.get(at), list);
            }
        }
        _ => {
            let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            let (found, expected) = (text(found), text(expected));
            if found != expected {
                list.push(format!("{place}: found {found}, expected {expected}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_member_that_differs_is_named_with_both_sides() {
        let found = json!({"a": 1, "b": [1, {"c": "x"}], "gone": null});
        let expected = json!({"a": 1.0, "b": [1, {"c": "y"}, 3]});
        assert_eq!(
            differences(&found, &expected),
            [
                "receipt.a: found 1, expected 1.0",
                "receipt.b[1].c: found \"x\", expected \"y\"",
                "receipt.b[2]: found nothing, expected 3",
                "receipt.gone: found null, expected nothing",
            ]
        );
        assert!(differences(&found, &found).is_empty());
    }
}

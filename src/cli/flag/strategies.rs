//! How are the strategies of a flag given and shown?
//!
//! As a list in a file, in the words of project files, or in short as one
//! gradual rollout. What is in short changes a rollout that stands alone and
//! keeps its constraints; where there are several, a file has to say which.
//! Whatever is put rests on what was read.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::super::{admin::Author, author::project_file, failure::Failure};

/// What can be said of strategies.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rules {
    /// Where.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    /// File with the list of strategies, JSON or YAML, as in a project file;
    /// - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rollout", "stickiness"])]
    strategies: Option<PathBuf>,
    /// On for so many percent, gradually.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    rollout: Option<u8>,
    /// What the share goes by, such as userId.
    #[arg(long, value_name = "FIELD")]
    stickiness: Option<String>,
}

impl Rules {
    pub(super) fn is_given(&self) -> bool {
        self.strategies.is_some() || self.rollout.is_some() || self.stickiness.is_some()
    }

    /// Replaces the strategies of the environment.
    pub(super) fn put(&self, author: Author, flag: &str) -> Result<Value, Failure> {
        let path = [
            "flags",
            flag,
            "environments",
            &self.environment,
            "strategies",
        ];
        let read = author.store().get_tagged(&path, None)?;
        let (read, tag) = read.unwrap_or_default();
        let text = match &self.strategies {
            Some(file) => list_in(file)?,
            None => self.rolled(&read)?.to_string(),
        };
        author.resting_on(Some(&tag)).put_text(&path, &text)
    }

    /// The strategies that were read, with another rollout.
    fn rolled(&self, read: &str) -> Result<Value, Failure> {
        let mut list: Vec<Value> = serde_json::from_str(read)
            .map_err(|error| Failure::undone("the store's answer is no list").because(&error))?;
        if list.is_empty() {
            list.push(json!({"name": "flexibleRollout", "parameters": {"rollout": "100"}}));
        }
        let found = list.len();
        let [own] = list.as_mut_slice() else {
            return Err(several(found, &self.environment));
        };
        if own["name"] != "flexibleRollout" {
            return Err(several(found, &self.environment));
        }
        if let Some(rollout) = self.rollout {
            own["parameters"]["rollout"] = json!(rollout.to_string());
        }
        if let Some(stickiness) = &self.stickiness {
            own["parameters"]["stickiness"] = json!(stickiness);
        }
        Ok(list.into())
    }
}

fn several(found: usize, environment: &str) -> Failure {
    Failure::usage(format!(
        "found {found} strategies in {environment}, expected one gradual rollout or none"
    ))
    .mend("say all of them with --strategies FILE; `flowgate flag show --output json` has them")
}

/// A list of strategies, alone or under `strategies`.
fn list_in(file: &PathBuf) -> Result<String, Failure> {
    let given = project_file(file)?;
    let found: Value = serde_yaml_ng::from_str(&given.content).map_err(|error| {
        Failure::usage(format!("{} is neither YAML nor JSON", given.name)).because(&error)
    })?;
    let list = match &found {
        Value::Object(members) if members.len() == 1 => &found["strategies"],
        other => other,
    };
    if list.is_array() {
        return Ok(list.to_string());
    }
    Err(Failure::usage(format!(
        "{} holds no list of strategies, expected such as [{{\"name\":\"flexibleRollout\",…}}]",
        given.name
    )))
}

/// One row for each strategy, or for an environment without any.
pub(super) fn rows(flag: &Value) -> Vec<Value> {
    let environments = flag["environments"].as_object().into_iter().flatten();
    let mut rows = Vec::new();
    for (environment, own) in environments {
        let on = if own["enabled"] == true { "on" } else { "off" };
        let strategies = own["strategies"].as_array().into_iter().flatten();
        let before = rows.len();
        rows.extend((1..).zip(strategies).map(|(place, strategy)| {
            json!({
                "environment": environment, "on": on, "place": place,
                "strategy": titled(strategy), "parameters": pairs(&strategy["parameters"]),
                "conditions": conditions(strategy), "variants": weights(&strategy["variants"]),
            })
        }));
        if rows.len() == before {
            rows.push(json!({"environment": environment, "on": on}));
        }
    }
    rows
}

fn titled(strategy: &Value) -> String {
    let name = strategy["name"].as_str().unwrap_or_default();
    let disabled = if strategy["disabled"] == true {
        ", disabled"
    } else {
        ""
    };
    match strategy["title"].as_str() {
        Some(title) => format!("{name} ({title}{disabled})"),
        None if disabled.is_empty() => name.to_owned(),
        None => format!("{name} (disabled)"),
    }
}

fn pairs(parameters: &Value) -> String {
    let pairs = parameters.as_object().into_iter().flatten();
    let pairs = pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    pairs.collect::<Vec<_>>().join(" ")
}

fn conditions(strategy: &Value) -> String {
    let constraints = strategy["constraints"].as_array().into_iter().flatten();
    let mut said: Vec<String> = constraints.map(condition).collect();
    let segments = strategy["segments"].as_array().into_iter().flatten();
    said.extend(segments.map(|own| format!("segment {}", own.as_str().unwrap_or_default())));
    said.join(" and ")
}

/// A constraint in one line.
pub(in crate::cli) fn condition(own: &Value) -> String {
    let text = |member: &str| own[member].as_str().unwrap_or_default();
    let not = if own["inverted"] == true { "not " } else { "" };
    let values = own["values"].as_array().into_iter().flatten();
    let mut values: Vec<&str> = values.filter_map(Value::as_str).collect();
    values.extend(own["value"].as_str());
    let operand = values.join(", ");
    format!(
        "{not}{} {} {operand}",
        text("contextName"),
        text("operator")
    )
}

fn weights(variants: &Value) -> String {
    let variants = variants.as_array().into_iter().flatten();
    let said = variants.map(|own| {
        format!(
            "{}:{}",
            own["name"].as_str().unwrap_or_default(),
            own["weight"]
        )
    });
    said.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rollout: Option<u8>, stickiness: Option<&str>) -> Rules {
        Rules {
            environment: "production".to_owned(),
            strategies: None,
            rollout,
            stickiness: stickiness.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn a_rollout_in_short_keeps_what_it_does_not_name() {
        let read = json!([{"name": "flexibleRollout", "segments": ["testers"],
            "parameters": {"rollout": "10", "stickiness": "userId", "groupId": "g"}}]);
        let rolled = rules(Some(25), None)
            .rolled(&read.to_string())
            .expect("a list");
        let expected = json!([{"name": "flexibleRollout", "segments": ["testers"],
            "parameters": {"rollout": "25", "stickiness": "userId", "groupId": "g"}}]);
        assert_eq!(rolled, expected);
        let fresh = rules(None, Some("sessionId")).rolled("[]").expect("a list");
        assert_eq!(
            fresh[0]["parameters"],
            json!({"rollout": "100", "stickiness": "sessionId"})
        );
    }

    #[test]
    fn several_strategies_have_no_short_form() {
        for read in [
            json!([{"name": "default"}]),
            json!([{"name": "flexibleRollout"}, {"name": "flexibleRollout"}]),
        ] {
            let failure = rules(Some(25), None).rolled(&read.to_string());
            let failure = failure.expect_err("a refusal");
            assert_eq!(failure.code(), 64);
            assert!(failure.to_string().contains("--strategies"), "{failure}");
        }
    }
}

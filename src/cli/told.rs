//! How is a receipt told to people?
//!
//! One line for each step that was met, in the order in which they were met,
//! and the reason last. What is not in the receipt is not told: an earlier step
//! had settled the matter.

use serde_json::Value;

use super::table;

/// The account of an answer of `/v1/explain`.
pub(super) fn sentences(answer: &Value) -> Vec<String> {
    let (inputs, receipt) = (&answer["inputs"], &answer["receipt"]);
    let steps = [
        ("asked", asked(inputs)),
        ("stored", stored(inputs)),
        ("flow", flow(inputs, &receipt["flow"])),
        ("deployment", deployment(&receipt["deployment"])),
        ("pin", pin(&receipt["pin"])),
        ("version", version(receipt)),
        ("record", record(&receipt["rollout"])),
        ("audience", audience(&receipt["audience"])),
    ];
    let mut lines: Vec<String> = Vec::new();
    let mut tell = |label: &str, text: Option<String>| {
        lines.extend(text.map(|text| format!("{label:<11} {text}")));
    };
    for (label, text) in steps {
        tell(label, text);
    }
    for rule in rules(&receipt["audience"]) {
        tell("", Some(rule));
    }
    tell("percentage", percentage(receipt));
    tell("migration", migration(&receipt["migration"]));
    tell("entry", entry(&receipt["entry"]));
    tell("state", state(&receipt["state"]));
    tell("reason", Some(reason(receipt)));
    lines
}

/// A share of ten thousand as people write it: 1000 is `10 %`.
pub(super) fn percent(basis_points: u64) -> String {
    let (whole, rest) = (basis_points / 100, basis_points % 100);
    match rest {
        0 => format!("{whole} %"),
        rest if rest % 10 == 0 => format!("{whole}.{} %", rest / 10),
        rest => format!("{whole}.{rest:02} %"),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn share(value: &Value) -> String {
    value.as_u64().map_or_else(|| text(value), percent)
}

fn yes(value: &Value) -> bool {
    value.as_bool() == Some(true)
}

fn asked(inputs: &Value) -> Option<String> {
    let mut told = format!("user {}", text(&inputs["subject"]["identifier"]));
    let named = [
        ("group", &inputs["group"]["identifier"]),
        ("conversation", &inputs["conversation"]),
        ("channel", &inputs["channel"]),
    ];
    for (name, value) in named.into_iter().filter(|(_, value)| !value.is_null()) {
        told.push_str(&format!(", {name} {}", text(value)));
    }
    told.push_str(&format!(
        ", flow {} ({}), environment {} at revision {}, {}",
        text(&inputs["flow"]),
        text(&inputs["tag"]),
        text(&inputs["environment"]),
        text(&inputs["revision"]),
        inputs["now_ms"]
            .as_u64()
            .map(table::time)
            .unwrap_or_default()
    ));
    Some(told)
}

fn stored(inputs: &Value) -> Option<String> {
    let count = |value: &Value, one: &str, many: &str| {
        let number = match value {
            Value::Array(list) => list.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        };
        format!("{number} {}", if number == 1 { one } else { many })
    };
    let mut told = format!(
        "{}, {} of the request, {} of the flow",
        count(&inputs["subject"]["properties"], "property", "properties"),
        count(&inputs["attributes"], "attribute", "attributes"),
        count(&inputs["states"], "state", "states"),
    );
    if yes(&inputs["assumed"]) {
        told.push_str("; what is stored could not be asked for");
    }
    Some(told)
}

fn flow(inputs: &Value, flow: &Value) -> Option<String> {
    if flow.is_null() {
        return Some(format!("{} is not known to the key", text(&inputs["flow"])));
    }
    let enabled = if yes(&flow["enabled"]) {
        "enabled"
    } else {
        "disabled"
    };
    let newest = match flow["latest"].as_u64() {
        Some(number) => format!("newest version {number}"),
        None => "nothing committed".to_owned(),
    };
    let only = if yes(&flow["deployments_only"]) {
        ", for deployments only"
    } else {
        ""
    };
    Some(format!(
        "{} is {enabled}, {newest}{only}",
        text(&flow["sid"])
    ))
}

fn deployment(deployment: &Value) -> Option<String> {
    if deployment.is_null() {
        return None;
    }
    let policy = match &deployment["policy"]["pinned"] {
        Value::Null => text(&deployment["policy"]),
        number => format!("version {number}"),
    };
    let active = if yes(&deployment["active"]) {
        "active"
    } else {
        "inactive"
    };
    Some(format!(
        "{} on {}, {active}, serves {policy}",
        text(&deployment["name"]),
        text(&deployment["channel"])
    ))
}

fn pin(pin: &Value) -> Option<String> {
    let number = pin["version"].as_u64()?;
    Some(match pin["conversation"].as_str() {
        Some(conversation) => format!("conversation {conversation} began version {number}"),
        None => format!("the user began version {number}"),
    })
}

fn version(receipt: &Value) -> Option<String> {
    let number = receipt["version"].as_u64()?;
    let source = match text(&receipt["version_source"]).as_str() {
        "tag" => "by the tag",
        "policy" => "by the deployment",
        "pin" => "kept from before",
        "migration" => "with a state made from an earlier one",
        _ => "",
    };
    Some(format!("{number} {source}"))
}

fn record(rollout: &Value) -> Option<String> {
    if rollout.is_null() {
        return None;
    }
    let record = &rollout["record"];
    if record.is_null() {
        return Some(match rollout["remember"].as_str() {
            Some("nothing") => "none: this deployment remembers nothing".to_owned(),
            _ => "none".to_owned(),
        });
    }
    let side = if yes(&record["in"]) { "in" } else { "out" };
    Some(format!(
        "{side}, judged at {}",
        share(&record["basis_points"])
    ))
}

fn audience(audience: &Value) -> Option<String> {
    let alternatives = audience["alternatives"].as_array()?;
    Some(match (alternatives.len(), yes(&audience["holds"])) {
        (0, _) => "everyone".to_owned(),
        (count, true) => format!("fits one of {count}"),
        (count, false) => format!("fits none of {count}"),
    })
}

/// Each rule of each alternative.
fn rules(audience: &Value) -> Vec<String> {
    let alternatives = audience["alternatives"].as_array().into_iter().flatten();
    let rules = alternatives.enumerate().flat_map(|(at, alternative)| {
        let name = match alternative["name"].as_str() {
            Some(name) => name.to_owned(),
            None => format!("alternative {}", at + 1),
        };
        let rules = alternative["rules"].as_array().into_iter().flatten();
        rules.map(move |rule| {
            let answer = if yes(&rule["holds"]) { "yes" } else { "no" };
            format!("  {name}: {} → {answer}", text(&rule["rule"]))
        })
    });
    rules.collect()
}

fn percentage(receipt: &Value) -> Option<String> {
    let rollout = &receipt["rollout"];
    if rollout.is_null() {
        return None;
    }
    let scheduled = if yes(&rollout["scheduled"]) {
        " by its schedule"
    } else {
        ""
    };
    let of = format!("{}{scheduled}", share(&rollout["basis_points"]));
    let Some(bucket) = rollout["bucket"].as_u64() else {
        let source = match &rollout["source"]["attribute"] {
            Value::Null => text(&rollout["source"]),
            name => format!("attribute {}", text(name)),
        };
        return Some(format!("{of}; the {source} whose id it goes by is missing"));
    };
    let mut told = format!(
        "{of}; {} falls into bucket {bucket} of 10000",
        text(&rollout["id"])
    );
    let membership = &receipt["membership"];
    if !membership.is_null() {
        let side = if yes(&membership["in"]) { "in" } else { "out" };
        let by = if yes(&membership["recorded"]) {
            "by the record"
        } else {
            "by the bucket"
        };
        told.push_str(&format!(": {side} {by}"));
    }
    Some(told)
}

fn migration(migration: &Value) -> Option<String> {
    let from = migration["from"].as_u64()?;
    let mut told = format!("from version {from}: {}", text(&migration["before"]));
    for step in migration["steps"].as_array().into_iter().flatten() {
        told.push_str(&format!(
            " → {} by {} of version {}",
            text(&step["after"]),
            text(&step["strategy"]),
            step["version"]
        ));
    }
    if yes(&migration["incompatible"]) {
        told.push_str("; the state does not fit the version and begins anew");
    }
    Some(told)
}

fn entry(entry: &Value) -> Option<String> {
    let answer = if yes(&entry["holds"]) { "yes" } else { "no" };
    let condition = entry["condition"].as_str()?;
    Some(format!("{condition} → {answer}"))
}

fn state(state: &Value) -> Option<String> {
    if state.is_null() {
        return None;
    }
    let flags = ["started", "stopped", "finished"];
    let set: Vec<&str> = flags
        .into_iter()
        .filter(|flag| yes(&state[*flag]))
        .collect();
    let set = if set.is_empty() {
        "not started".to_owned()
    } else {
        set.join(", ")
    };
    let blocks = state["blocks"].as_array().into_iter().flatten();
    let active = blocks.filter(|block| yes(&block["active"]));
    let active: Vec<String> = active.map(|block| text(&block["block"])).collect();
    let mut told = set;
    if !active.is_empty() {
        told.push_str(&format!(", at {}", active.join(", ")));
    }
    if let Some(from) = state["migrated_from"].as_u64() {
        told.push_str(&format!(", made from version {from} and not stored yet"));
    }
    Some(told)
}

/// The step that fixed it, in a sentence.
fn reason(receipt: &Value) -> String {
    let name = text(&receipt["reason"]);
    let starts = yes(&receipt["may_start"]);
    let why = match name.as_str() {
        "unknown_flow" => "no flow with this sid is visible to the key",
        "unknown_version" => "the flow has no such version here",
        "disabled" => "the flow is switched off in this environment",
        "empty_version" => "nothing of the flow is committed",
        "deployment_required" => "the flow is for deployments only, and none applies",
        "inactive" => "the deployment is switched off",
        "pinned" => "the version begun before is kept, and would start",
        "member" => "a record lets the user in, and the flow would start",
        "excluded" => "a record keeps the user out",
        "audience_mismatch" => "no alternative of the audience fits",
        "no_rollout_id" => "the id that the percentage goes by is missing",
        "percentage" if starts => "the percentage lets the user in, and the flow would start",
        "percentage" => "the percentage keeps the user out",
        "entry_condition" if starts => "the entry condition holds, and the flow would start",
        "entry_condition" => "the entry condition does not hold",
        "started" => "the flow runs for the user",
        "finished" => "the user has finished the flow",
        "stopped" => "the flow was stopped for the user",
        "set_aside" => "the version could not be compiled by this edge",
        _ => "",
    };
    let served = if yes(&receipt["served"]) {
        "served"
    } else {
        "not served"
    };
    format!("{name}: {why}; {served}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shares_are_written_as_percentages() {
        for (basis_points, expected) in [
            (0, "0 %"),
            (25, "0.25 %"),
            (50, "0.5 %"),
            (1000, "10 %"),
            (10_000, "100 %"),
        ] {
            assert_eq!(percent(basis_points), expected);
        }
    }

    #[test]
    fn a_decision_is_told_step_by_step() {
        let answer = json!({
            "inputs": {"subject": {"identifier": "ada", "properties": {"tags": ["vip"]}}, "group": null,
                "conversation": "c-1", "channel": "web", "flow": "support", "tag": "latest", "states": [],
                "environment": "development", "revision": "0.4", "now_ms": 0, "assumed": false, "attributes": null},
            "receipt": {"flow": {"sid": "support", "enabled": true, "latest": 2},
                "deployment": {"name": "on-web", "channel": "web", "active": true, "policy": {"pinned": 2}},
                "version": 2, "version_source": "policy", "pin": null, "migration": null, "state": null,
                "audience": {"holds": true, "alternatives": [
                    {"name": "vips", "holds": true, "rules": [{"rule": "tags contains \"vip\"", "holds": true}]}]},
                "rollout": {"basis_points": 1000, "scheduled": false, "id": "ada", "bucket": 1234,
                    "source": "user", "remember": "conversation", "record": null},
                "membership": {"in": false, "recorded": false},
                "entry": null, "reason": "percentage", "served": false, "may_start": false}});
        let told = sentences(&answer);
        for expected in [
            "asked       user ada, conversation c-1, channel web, flow support (latest), \
             environment development at revision 0.4, 1970-01-01 00:00:00Z",
            "stored      1 property, 0 attributes of the request, 0 states of the flow",
            "deployment  on-web on web, active, serves version 2",
            "version     2 by the deployment",
            "record      none",
            "audience    fits one of 1",
            "              vips: tags contains \"vip\" → yes",
            "percentage  10 %; ada falls into bucket 1234 of 10000: out by the bucket",
            "reason      percentage: the percentage keeps the user out; not served",
        ] {
            assert!(
                told.iter().any(|line| line == expected),
                "{expected:?} in {told:#?}"
            );
        }
    }

    #[test]
    fn an_answer_without_members_is_told_without_a_panic() {
        assert!(!sentences(&Value::Null).is_empty());
        assert!(!sentences(&json!({"inputs": [], "receipt": 7})).is_empty());
    }
}

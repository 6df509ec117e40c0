//! Do conditions come to what the vectors say?

use flowgate::evaluate::{Profile, Subject, SubjectView, predicate::Predicate};
use serde_json::Value;

use super::{Report, list};

pub(super) fn run(document: &Value, report: &mut Report) {
    let now = document["now"].as_u64().unwrap();
    let user = Subject {
        profile: profile(&document["subject"]["user"]).unwrap().into(),
        flows: Vec::new(),
    };
    for group in list(&document["groups"]) {
        let company = profile(group.get("group").unwrap_or(&document["subject"]["group"]));
        let view = SubjectView {
            user: &user,
            group: company.as_ref(),
            attributes: group.get("attributes").and_then(Value::as_object),
            conversation: None,
        };
        for case in list(&group["cases"]) {
            let source = case["expression"].as_str().unwrap();
            match (Predicate::parse(source), case["holds"].as_bool()) {
                (Ok(predicate), Some(expected)) => {
                    report.same(source, predicate.holds(&view, now), expected);
                }
                (Err(error), None) => {
                    if let Some(position) = case["position"].as_u64() {
                        report.same(source, error.position as u64, position);
                    }
                    for part in list(&case["message"]) {
                        let part = part.as_str().unwrap();
                        let place = format!("{source}: {error}: contains {part}");
                        report.same(&place, error.message.contains(part), true);
                    }
                }
                (parsed, _) => report.same(source, parsed.is_ok(), case["holds"].is_boolean()),
            }
        }
    }
}

fn profile(value: &Value) -> Option<Profile> {
    Some(Profile {
        identifier: value["identifier"].as_str()?.into(),
        created_ms: value["createdAt"].as_u64(),
        updated_ms: value["updatedAt"].as_u64(),
        properties: value["properties"].as_object().cloned().unwrap_or_default(),
    })
}

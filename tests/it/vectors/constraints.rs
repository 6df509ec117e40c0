//! Do Unleash's constraints come to what the vectors say?
//!
//! A context arrives as a subject does: `userId` names the user, everything
//! else lies over the stored properties.

use flowgate::evaluate::{
    Profile, Subject, SubjectView,
    predicate::{Constraint, Found, Predicate},
};
use serde_json::{Map, Value};

use super::{Report, list, read, subject};

pub(super) fn run(document: &Value, report: &mut Report) {
    let now = document["now"].as_u64().unwrap();
    for group in list(&document["groups"]) {
        let context = &group["context"];
        let user = Subject {
            profile: Profile {
                identifier: context["userId"].as_str().unwrap_or_default().into(),
                ..(*subject(group.get("stored")).profile).clone()
            }
            .into(),
            flows: Vec::new(),
        };
        let attributes = attributes(context);
        let view = SubjectView {
            user: &user,
            group: None,
            attributes: Some(&attributes),
            conversation: None,
        };
        for case in list(&group["cases"]) {
            let place = format!("{}: {}", group["name"], case["constraint"]);
            let constraint = constraint(&case["constraint"]);
            let inverted = Constraint {
                inverted: !constraint.inverted,
                ..constraint.clone()
            };
            let names = [constraint.context_name.as_str().into()];
            let found = Found::of(&names, view);
            let holds = |one: &Constraint| Predicate::constraint(one, 0).holds_of(&found, now);
            if let Some(expected) = case["holds"].as_bool() {
                report.same(&place, constraint.fault(), None);
                report.same(&place, holds(&constraint), expected);
                report.same(&format!("not {place}"), holds(&inverted), !expected);
            } else {
                let fault = constraint.fault().unwrap_or_default();
                report.says(&place, &fault, &case["fault"]);
                report.same(&place, holds(&constraint), false);
                report.same(&format!("not {place}"), holds(&inverted), false);
            }
        }
    }
}

/// Fixed fields and properties side by side.
fn attributes(context: &Value) -> Map<String, Value> {
    let mut attributes = context.as_object().unwrap().clone();
    let properties = attributes.remove("properties");
    if let Some(Value::Object(properties)) = properties {
        attributes.extend(properties);
    }
    attributes
}

fn constraint(value: &Value) -> Constraint {
    Constraint {
        context_name: read(&value["contextName"]),
        operator: read(&value["operator"]),
        value: value.get("value").map(read),
        values: value.get("values").map(read).unwrap_or_default(),
        inverted: value["inverted"].as_bool().unwrap_or_default(),
        case_insensitive: value["caseInsensitive"].as_bool().unwrap_or_default(),
    }
}

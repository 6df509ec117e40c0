//! Do rules of audiences come to what the vectors say?

use flowgate::evaluate::predicate::Predicate;
use serde_json::Value;

use super::{Report, expressions::each_case, read};

pub(super) fn run(document: &Value, report: &mut Report) {
    each_case(document, |group, case, view, now| {
        let place = format!("{}: {}", group["name"], case["rule"]);
        match (
            Predicate::rule(&read(&case["rule"])),
            case["holds"].as_bool(),
        ) {
            (Ok(predicate), Some(expected)) => {
                report.same(&place, predicate.holds(&view, now), expected);
            }
            (Err(why), None) => report.says(&place, &why, &case["message"]),
            (compiled, _) => report.same(&place, compiled.err(), None),
        }
    });
}

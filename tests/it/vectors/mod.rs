//! Does evaluation come to what the vectors say?
//!
//! The cases are data in `tests/vectors/*.json`, readable by any language.
//! [`check`] runs one file and names every case that differs.

mod audiences;
mod constraints;
mod decisions;
mod expressions;
mod flows;

use std::{fmt::Debug, fs, path::Path};

use flowgate::evaluate::{Subject, SubjectView};
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn expressions_come_to_what_the_vectors_say() {
    check("expressions.json");
}

#[test]
fn audiences_come_to_what_the_vectors_say() {
    check("audiences.json");
}

#[test]
fn constraints_come_to_what_the_vectors_say() {
    check("constraints.json");
}

#[test]
fn flows_move_as_the_vectors_say() {
    check("flows.json");
}

#[test]
fn logic_over_several_flows_moves_as_the_vectors_say() {
    check("flows_logic.json");
}

#[test]
fn containers_move_as_the_vectors_say() {
    check("flows_containers.json");
}

#[test]
fn decisions_are_what_the_vectors_say() {
    check("decisions.json");
    check("decisions_deployments.json");
    check("decisions_memberships.json");
    check("decisions_migration.json");
}

/// Runs one file of vectors.
fn check(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut report = Report::default();
    match document["kind"].as_str() {
        Some("expressions") => expressions::run(&document, &mut report),
        Some("audiences") => audiences::run(&document, &mut report),
        Some("constraints") => constraints::run(&document, &mut report),
        Some("flows") => flows::run(&document, &mut report),
        Some("decisions") => decisions::run(&document, &mut report),
        other => panic!("{file}: found the kind {other:?}"),
    }
    let Report { cases, faults } = report;
    assert!(cases > 0, "{file} has no cases");
    assert!(
        faults.is_empty(),
        "{file}: {} of {cases} comparisons failed:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[derive(Default)]
pub(super) struct Report {
    pub(super) cases: usize,
    faults: Vec<String>,
}

impl Report {
    pub(super) fn same<T: PartialEq + Debug>(&mut self, place: &str, found: T, expected: T) {
        self.cases += 1;
        if found != expected {
            self.faults
                .push(format!("{place}: found {found:?}, expected {expected:?}"));
        }
    }

    /// The message contains every one of the parts.
    pub(super) fn says(&mut self, place: &str, message: &str, parts: &Value) {
        for part in list(parts) {
            let part = part.as_str().unwrap();
            let place = format!("{place}: {message}: contains {part}");
            self.same(&place, message.contains(part), true);
        }
    }
}

pub(super) fn subject(properties: Option<&Value>) -> Subject {
    let mut subject = Subject::unseen("ann");
    if let Some(Value::Object(properties)) = properties {
        std::sync::Arc::make_mut(&mut subject.profile).properties = properties.clone();
    }
    subject
}

pub(super) fn view(subject: &Subject) -> SubjectView<'_> {
    SubjectView {
        user: subject,
        group: None,
        attributes: None,
        conversation: None,
    }
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

pub(super) fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

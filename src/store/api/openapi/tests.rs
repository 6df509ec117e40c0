//! Do the documents and the tables of routes say the same?

use std::collections::BTreeSet;

use super::*;
use crate::store::api::{
    permits::{OPERATIONS, Place, needs},
    route::{Edge, Route},
    terms::UNTAGGED,
};

/// Every route of edges, by name. A new one does not compile until it is told
/// here.
fn name_of(route: &Edge) -> &'static str {
    match route {
        Edge::Timestamp => "timestamp",
        Edge::Root(_) => "root",
        Edge::Release(_) => "release",
        Edge::Control(_) => "control",
        Edge::Parts => "parts",
        Edge::Part(_) => "part",
        Edge::User(_) => "user",
        Edge::Users => "users",
        Edge::Group(_) => "group",
        Edge::Membership(..) => "membership",
        Edge::Changes => "changes",
        Edge::Progress => "progress",
        Edge::Metrics => "metrics",
        Edge::Status => "status",
        Edge::CloseJournal(_) => "close",
    }
}

const ROUTES: usize = 15;

fn document(path: &str) -> Value {
    let found = Documents::new().at(path).expect("it is served");
    let document: Value = serde_json::from_slice(&found).expect("JSON");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    document
}

/// A path with values that its parameters may have.
fn asked(path: &str, operation: &Value) -> String {
    let digest = "0".repeat(64);
    let mut asked = path.replace("{version}", "7").replace("{sha256}", &digest);
    for own in operation["parameters"].as_array().into_iter().flatten() {
        if own["schema"]["type"] == "integer" && own["in"] == "path" {
            let name = own["name"].as_str().expect("a name");
            asked = asked.replace(&format!("{{{name}}}"), "7");
        }
    }
    asked.replace(['{', '}'], "")
}

/// Method, path, a path to ask for, and what is told of it.
fn operations(document: &Value) -> Vec<(String, String, String, Value)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let asked = asked(path, operation);
            all.push((
                method.to_uppercase(),
                path.clone(),
                asked,
                operation.clone(),
            ));
        }
    }
    all
}

#[test]
fn the_document_for_edges_and_the_routes_say_the_same() {
    let mut told = BTreeSet::new();
    for (method, path, asked, operation) in operations(&document(EDGE_PATH)) {
        let matched = Route::of(&method, &asked);
        let Ok(Route::Edge(_, edge)) = matched else {
            panic!("{method} {path} is told and not served");
        };
        let name = name_of(&edge);
        assert_eq!(operation["operationId"], name, "{method} {path}");
        assert!(told.insert(name), "{name} is told twice");
    }
    assert_eq!(told.len(), ROUTES, "every route is told");
}

#[test]
fn the_document_for_authors_and_the_routes_say_the_same() {
    let mut told = BTreeSet::new();
    for (method, path, asked, operation) in operations(&document(ADMIN_PATH)) {
        let matched = Route::of(&method, &asked);
        let Ok(Route::Admin(route)) = matched else {
            panic!("{method} {path} is told and not served");
        };
        let needs = needs(&route);
        let name = needs.operation;
        assert_eq!(operation["operationId"], name, "{method} {path}");
        assert_eq!(operation["x-flowgate-role"], needs.role.name(), "{name}");
        let by_query = operation["parameters"].as_array().into_iter().flatten();
        let by_query = by_query.filter(|own| {
            own["name"] == "environment" || own["$ref"] == "#/components/parameters/Environment"
        });
        if needs.place == Place::Asked {
            assert_eq!(by_query.count(), 1, "{name} looks into an environment");
        }
        assert!(told.insert(name), "{name} is told twice");
    }
    let expected: BTreeSet<&str> = OPERATIONS.iter().copied().collect();
    assert_eq!(expected.len(), OPERATIONS.len(), "a name stands twice");
    assert_eq!(told, expected, "every route is told");
}

/// Reads that are no lists, and why nothing in them grows without bound.
const NO_LISTS: &[(&str, &str)] = &[
    ("export", "a file"),
    ("environment", "one thing"),
    ("project", "one thing"),
    ("auditEntry", "one thing"),
    ("user", "a document of bounded size"),
    (
        "showUser",
        "a document of bounded size, and so many flows at a time",
    ),
    ("group", "a document of bounded size"),
    (
        "flagUsage",
        "as many hours as are asked for, and applications that are kept",
    ),
    ("flow", "one thing, with the newest of its versions"),
    ("version", "a file"),
    (
        "compareVersions",
        "as many differences as two versions have blocks",
    ),
    ("funnel", "as many rows as a version has blocks"),
    ("flag", "one thing"),
    (
        "flagStrategies",
        "what is replaced as a whole, under one tag",
    ),
    ("segment", "one thing"),
    ("deployment", "one thing"),
    ("channel", "one thing"),
];

/// A schema, behind its reference.
fn schema<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .expect("it leads somewhere"),
        None => schema,
    }
}

#[test]
fn every_list_is_told_in_pages_of_one_form() {
    let document = document(ADMIN_PATH);
    let mut lists = BTreeSet::new();
    for (method, path, _, operation) in operations(&document) {
        let name = operation["operationId"].as_str().expect("a name");
        let list = LISTS.iter().find(|own| own.name == name);
        let Some(list) = list else {
            let is_other = NO_LISTS.iter().any(|(own, _)| *own == name);
            assert!(method != "GET" || is_other, "{name} is a list, or no list?");
            continue;
        };
        assert_eq!(method, "GET", "{path}");
        lists.insert(name.to_owned());
        let parameters = operation["parameters"].as_array().expect("parameters");
        let after = json!({"$ref": "#/components/parameters/After"});
        assert!(parameters.contains(&after), "{name}");
        let mut limit = parameters.iter().filter(|own| own["name"] == "limit");
        let limit = &limit.next().expect("a limit")["schema"];
        assert_eq!(
            (&limit["maximum"], &limit["default"]),
            (&json!(list.max), &json!(list.usual))
        );
        let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let answer = schema(&document, answer);
        assert_eq!(answer["properties"][list.member]["type"], "array", "{name}");
        let next = json!({"$ref": "#/components/schemas/Next"});
        assert_eq!(answer["properties"]["next"], next, "{name}");
        let required = answer["required"].as_array().expect("required");
        for member in [list.member, "next"] {
            assert!(required.iter().any(|own| own == member), "{name}: {member}");
        }
    }
    let expected: BTreeSet<String> = LISTS.iter().map(|own| own.name.to_owned()).collect();
    assert_eq!(lists, expected);
}

#[test]
fn every_family_is_read_and_every_reference_leads_somewhere() {
    for family in FAMILIES {
        let family: Value = serde_json::from_str(family).expect("JSON");
        for path in family["paths"].as_object().expect("paths").keys() {
            assert!(document(ADMIN_PATH)["paths"].get(path).is_some(), "{path}");
        }
    }
    let document = document(ADMIN_PATH);
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    for reference in &used {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let schemas = document["components"]["schemas"].as_object();
    for name in schemas.expect("schemas").keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(used.contains(&reference), "{name} is used nowhere");
    }
}

#[test]
fn what_can_be_read_with_a_tag_takes_a_condition_and_nothing_else_does() {
    let document = document(ADMIN_PATH);
    for name in UNTAGGED {
        assert!(OPERATIONS.contains(name), "{name} is no operation");
    }
    let condition = json!({"$ref": "#/components/parameters/IfMatch"});
    for (method, path, _, operation) in operations(&document) {
        let name = operation["operationId"].as_str().expect("a name");
        let takes = operation["parameters"].as_array().expect("parameters");
        let takes = takes.contains(&condition);
        let changes = operation["x-flowgate-role"] != "viewer";
        assert_eq!(takes, changes && !UNTAGGED.contains(&name), "{name}");
        // What is changed under a path is read there, with its tag; settings of
        // environments have it as a member.
        let read = &document["paths"][&path]["get"]["responses"]["200"];
        let reads = method != "POST" && takes && !read.is_null();
        if reads && !path.starts_with("/admin/v1/environments/") {
            assert!(!read["headers"]["ETag"].is_null(), "{path} has no ETag");
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.insert(reference.clone());
            }
            members.values().for_each(|own| references(own, found));
        }
        Value::Array(items) => items.iter().for_each(|own| references(own, found)),
        _ => {}
    }
}

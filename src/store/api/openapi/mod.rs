//! How are `/edge/v1` and `/admin/v1` told to programs?
//!
//! OpenAPI documents, written by hand beside the code they speak of; the one of
//! authors in a file for each family of routes. What every operation has in
//! common (path parameters, what any key may be refused for) is added here
//! once. The tests hold both against the table of routes, in both directions.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::terms;
use crate::store::paging::{LISTS, List};

/// Where the edge's is served; it takes no key.
const EDGE_PATH: &str = "/edge/v1/openapi.json";

/// Where the authors' is served; it takes no key either.
const ADMIN_PATH: &str = "/admin/v1/openapi.json";

/// As written; `VERSION` stands for the program's.
const EDGE: &str = include_str!("edge.json");

/// What the families of `/admin/v1` share, in the form of a whole document.
const BASE: &str = include_str!("admin/base.json");

/// Paths and schemas of each family.
const FAMILIES: &[&str] = &[
    include_str!("admin/files.json"),
    include_str!("admin/keys.json"),
    include_str!("admin/environments.json"),
    include_str!("admin/projects.json"),
    include_str!("admin/users.json"),
    include_str!("admin/webhooks.json"),
    include_str!("admin/usage.json"),
    include_str!("admin/audit.json"),
    include_str!("admin/flows.json"),
    include_str!("admin/deployments.json"),
    include_str!("admin/flags.json"),
];

/// Both documents, as they are sent.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    edge: Bytes,
    admin: Bytes,
}

impl Documents {
    /// Joins them; done once, since it takes longer than an answer may.
    pub(super) fn new() -> Self {
        Self {
            edge: with_version(EDGE).into(),
            admin: with_version(&admin().to_string()).into(),
        }
    }

    /// The document at a path.
    pub(super) fn at(&self, path: &str) -> Option<Bytes> {
        match path {
            EDGE_PATH => Some(self.edge.clone()),
            ADMIN_PATH => Some(self.admin.clone()),
            _ => None,
        }
    }
}

fn with_version(document: &str) -> String {
    document.replacen("VERSION", env!("CARGO_PKG_VERSION"), 1)
}

/// The authors' document of all its families. A test reads every file, so none
/// can be left out here.
fn admin() -> Value {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let mut document = read(BASE);
    for family in FAMILIES {
        let mut family = read(family);
        if let Value::Object(schemas) = family["schemas"].take() {
            for (name, schema) in schemas {
                document["components"]["schemas"][name] = schema;
            }
        }
        if let Value::Object(paths) = family["paths"].take() {
            for (path, mut operations) in paths {
                for operation in operations.as_object_mut().into_iter().flatten() {
                    complete(&path, operation.1);
                }
                document["paths"][path] = operations;
            }
        }
    }
    document
}

/// How many rows one answer of a list has.
fn limit(list: List) -> Value {
    let schema =
        json!({"type": "integer", "minimum": 1, "maximum": list.max, "default": list.usual});
    json!({"name": "limit", "in": "query", "description": "At most so many.", "schema": schema})
}

/// Adds what every operation has: parameters of its path that say nothing of
/// their own, those of pages where it is a list, and the answers that any of
/// them may give.
fn complete(path: &str, operation: &mut Value) {
    let given = operation["parameters"].take();
    let mut parameters = match given {
        Value::Array(parameters) => parameters,
        _ => Vec::new(),
    };
    let names = path.split('/').filter_map(|segment| {
        let inner = segment.strip_prefix('{')?;
        inner.strip_suffix('}')
    });
    for name in names {
        if !parameters.iter().any(|own| own["name"] == name) {
            let schema = json!({"type": "string", "minLength": 1});
            parameters
                .push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
    }
    let has_body = operation.get("requestBody").is_some();
    let changes = operation["x-flowgate-role"] != "viewer";
    let name = operation["operationId"].as_str().unwrap_or_default();
    let tagged = changes && !terms::UNTAGGED.contains(&name);
    let terms = [
        ("DryRun", changes),
        ("IfMatch", tagged),
        ("Confirm", changes),
    ];
    for (name, _) in terms.into_iter().filter(|(_, holds)| *holds) {
        let reference = json!({"$ref": format!("#/components/parameters/{name}")});
        if !parameters.contains(&reference) {
            parameters.push(reference);
        }
    }
    let list = LISTS
        .iter()
        .find(|own| operation["operationId"] == own.name);
    if let Some(list) = list {
        parameters.push(json!({"$ref": "#/components/parameters/After"}));
        parameters.push(limit(*list));
    }
    operation["parameters"] = Value::Array(parameters);
    let usual = [
        ("400", "BadRequest", true),
        ("401", "Unauthorized", true),
        ("403", "Forbidden", true),
        ("404", "NotFound", true),
        ("410", "Gone", true),
        ("412", "Changed", tagged),
        ("413", "TooLarge", has_body),
        ("422", "Refused", has_body),
        ("428", "Unconfirmed", changes),
        ("503", "Unavailable", true),
    ];
    let mut responses = Map::new();
    if let Value::Object(given) = operation["responses"].take() {
        responses = given;
    }
    if changes && !responses.contains_key("200") {
        let would = json!({"schema": {"$ref": "#/components/schemas/Would"}});
        let would =
            json!({"description": "What would be.", "content": {"application/json": would}});
        responses.insert("200".to_owned(), would);
    }
    for (status, name, _) in usual.into_iter().filter(|(_, _, holds)| *holds) {
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        responses.entry(status).or_insert(reference);
    }
    operation["responses"] = Value::Object(responses);
}

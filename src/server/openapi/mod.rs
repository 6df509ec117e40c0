//! How is `/v1` told to programs?
//!
//! The OpenAPI document, written by hand beside the code it speaks of. The
//! test below holds it against the closed table of routes, in both directions;
//! `tests/it/openapi` holds real answers against its schemas.

use hyper::StatusCode;

use crate::http::{Answer, json_bytes};

/// As written; `VERSION` stands for the program's.
const DOCUMENT: &str = include_str!("v1.json");

/// `GET /v1/openapi.json`.
pub(super) fn document() -> Answer {
    let text = DOCUMENT.replacen("VERSION", env!("CARGO_PKG_VERSION"), 1);
    json_bytes(StatusCode::OK, "application/json", text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hyper::Method;
    use serde_json::Value;

    use super::*;
    use crate::server::route::{ROUTE_NAMES, Route, route};

    /// Routes with documents of their own, or that are no calls.
    fn is_told_elsewhere(name: &str) -> bool {
        matches!(name, "none" | "preflight" | "distribution")
            || name.starts_with("dopt_")
            || name.starts_with("unleash_")
    }

    fn kinds(operation: &Value) -> Vec<&str> {
        let kinds = operation["x-key-kinds"].as_array();
        let kinds = kinds.into_iter().flatten();
        kinds.map(|kind| kind.as_str().expect("a kind")).collect()
    }

    #[test]
    fn the_document_and_the_routes_say_the_same() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let mut told = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            let asked = path.replace("{sid}", "a-flow").replace("{uid}", "a-block");
            for (method, operation) in methods.as_object().expect("methods") {
                let method: Method = method.to_uppercase().parse().expect("a method");
                let matched = route(&method, &asked).unwrap_or_else(|error| {
                    panic!("{method} {path} is told and not served: {error}")
                });
                assert_ne!(matched.route, Route::Preflight);
                let permitted = matched.route.permission();
                let expected = kinds(operation).join(" or ");
                assert_eq!(permitted.describe(), expected, "keys of {method} {path}");
                let has_body = operation.get("requestBody").is_some();
                assert_eq!(
                    has_body,
                    matched.route.body_bytes_max() > 0,
                    "{method} {path}"
                );
                told.insert(ROUTE_NAMES[matched.route.number()]);
            }
        }
        for name in ROUTE_NAMES.iter().filter(|name| !is_told_elsewhere(name)) {
            assert!(told.contains(name), "route {name} is served and not told");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            if let Some(Value::String(reference)) = value.get("$ref") {
                let pointer = reference
                    .strip_prefix('#')
                    .expect("a reference into the document");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            match value {
                Value::Array(list) => open.extend(list),
                Value::Object(members) => open.extend(members.values()),
                _ => {}
            }
        }
    }
}

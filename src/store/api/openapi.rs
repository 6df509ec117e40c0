//! How is `/edge/v1` told to programs?
//!
//! The OpenAPI document, written by hand beside the code it speaks of. The
//! test below holds it against the table of routes, in both directions.

/// Where it is served; it takes no key.
pub const OPENAPI_PATH: &str = "/edge/v1/openapi.json";

/// As written; `VERSION` stands for the program's.
const DOCUMENT: &str = include_str!("openapi.json");

/// The document.
pub fn openapi() -> String {
    DOCUMENT.replacen("VERSION", env!("CARGO_PKG_VERSION"), 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::store::api::route::{Edge, Route};

    /// Every route, by name. A new one does not compile until it is told here.
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

    #[test]
    fn the_document_and_the_routes_say_the_same() {
        let document: Value = serde_json::from_str(&openapi()).expect("JSON");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut told = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            let digest = "0".repeat(64);
            let asked = path.replace("{version}", "7").replace("{sha256}", &digest);
            let asked = asked.replace(['{', '}'], "");
            for (method, operation) in methods.as_object().expect("methods") {
                let matched = Route::of(&method.to_uppercase(), &asked);
                let Ok(Route::Edge(_, edge)) = matched else {
                    panic!("{method} {path} is told and not served");
                };
                let name = name_of(&edge);
                assert_eq!(operation["operationId"], name, "{method} {path}");
                assert!(told.insert(name), "{name} is told twice");
            }
        }
        assert_eq!(told.len(), ROUTES, "every route is told");
    }
}

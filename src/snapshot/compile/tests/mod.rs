//! Is every rule of a version and of a snapshot kept?

mod bytes;
mod content;
mod deployments;
mod kinds;
mod structure;

use serde_json::{Value, json};

use super::compile_version;
use crate::snapshot::{Version, wire::VersionPart};

/// A sound version with one of everything.
fn sound() -> Value {
    json!({
        "flow_uid": "f1", "flow_sid": "flow", "number": 3,
        "entry": {"expression": "user.properties.plan = 'pro'"},
        "blocks": [
            {"uid": "u-a", "sid": "a", "kind": "custom", "transitions": ["go", "say \"hi\""], "fields": [
                {"sid": "title", "type": "string", "value": "Hällo \"you\""},
                {"sid": "count", "type": "number", "value": null},
                {"sid": "body", "type": "richText", "value": [{"type": "paragraph", "children": []}]}
            ]},
            {"uid": "u-q", "sid": "q", "kind": "boolean", "expression": "blocks[\"a\"].exited"},
            {"uid": "u-t", "sid": "t", "kind": "tour"},
            {"uid": "u-i1", "sid": "i1", "kind": "tourItem", "container": "u-t",
             "fields": [{"sid": "display-index", "type": "number", "value": 2}]},
            {"uid": "u-i2", "sid": "i2", "kind": "tourItem", "container": "u-t",
             "fields": [{"sid": "display-index", "type": "number", "value": 1}]},
            {"uid": "u-end", "sid": "end", "kind": "finish"}
        ],
        "paths": [
            {"uid": "p0", "to": "u-a"},
            {"uid": "p1", "from": "u-a", "on": ["go"], "to": "u-q"},
            {"uid": "p2", "from": "u-q", "on": ["true"], "to": "u-t"},
            {"uid": "p3", "from": "u-q", "on": ["false"], "to": "u-a"},
            {"uid": "p4", "from": "u-t", "on": ["complete", "dismiss"], "to": "u-end"}
        ]
    })
}

/// Every container and every kind of logic that goes on by `done`.
fn every_kind() -> Value {
    json!({
        "flow_uid": "f2", "flow_sid": "kinds", "number": 1, "entry": "everyone",
        "blocks": [
            {"uid": "k", "sid": "k", "kind": "checklist", "container": null, "expression": null, "transitions": [], "trigger": null},
            {"uid": "ki", "sid": "ki", "kind": "checklistItem", "container": "k"},
            {"uid": "h", "sid": "h", "kind": "hints"},
            {"uid": "hi", "sid": "hi", "kind": "hintsItem", "container": "h"},
            {"uid": "t", "sid": "t", "kind": "tour"},
            {"uid": "ti", "sid": "ti", "kind": "tourItem", "container": "t"},
            {"uid": "g", "sid": "g", "kind": "gate", "expression": null, "transitions": []},
            {"uid": "w", "sid": "w", "kind": "webhook", "expression": null, "transitions": [], "trigger": null},
            {"uid": "f", "sid": "f", "kind": "flowTrigger", "trigger": {"flow_sid": "other", "action": "start"},
             "expression": null, "transitions": []},
            {"uid": "c", "sid": "c", "kind": "modal", "container": null, "trigger": null}
        ],
        "paths": [
            {"uid": "p0", "to": "k"},
            {"uid": "p1", "from": "k", "on": ["complete"], "to": "h"},
            {"uid": "p2", "from": "k", "on": ["dismiss"], "to": "t"},
            {"uid": "p3", "from": "h", "on": ["complete"], "to": "t"},
            {"uid": "p4", "from": "t", "on": ["complete"], "to": "g"},
            {"uid": "p5", "from": "g", "on": ["done"], "to": "w"},
            {"uid": "p6", "from": "w", "on": ["done"], "to": "f"},
            {"uid": "p7", "from": "f", "on": ["done"], "to": "c"}
        ]
    })
}

fn part(value: &Value) -> VersionPart {
    serde_json::from_value(value.clone()).unwrap()
}

fn version() -> Version {
    compile_version(&part(&sound())).unwrap()
}

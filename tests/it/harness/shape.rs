//! Do answers have the members that generated clients insist on?
//!
//! Dopt's generated clients throw on a missing member or a wrong type. These
//! checks are as strict as they are, and say where they stumbled.

use serde_json::Value;

use super::Answer;

const BLOCK_TYPES: [&str; 9] = [
    "custom",
    "card",
    "modal",
    "checklist",
    "checklistItem",
    "hints",
    "hintsItem",
    "tour",
    "tourItem",
];

#[track_caller]
fn booleans(owner: &Value, member: &str, names: &[&str]) {
    for name in names {
        let value = &owner[member][*name];
        assert!(value.is_boolean(), "{member}.{name} of {owner}");
    }
    let all = owner[member].as_object().map(serde_json::Map::len);
    assert_eq!(all, Some(names.len()), "{member} of {owner}");
}

#[track_caller]
fn texts(owner: &Value, names: &[&str]) {
    for name in names {
        let text = owner[*name].as_str();
        assert!(
            text.is_some_and(|text| !text.is_empty()),
            "{name} of {owner}"
        );
    }
}

/// A flow, with or without blocks.
#[track_caller]
pub(crate) fn check_flow(flow: &Value, blocks: bool) {
    assert_eq!(flow["kind"], "flow", "{flow}");
    assert_eq!(flow["type"], "flow", "{flow}");
    texts(flow, &["uid", "sid"]);
    assert!(flow["version"].is_u64(), "version of {flow}");
    booleans(flow, "state", &["started", "stopped", "finished"]);
    match (blocks, &flow["blocks"]) {
        (true, Value::Array(list)) => {
            for block in list {
                check_block(block);
                let qualified = format!("{}.", flow["sid"].as_str().unwrap_or_default());
                let sid = block["sid"].as_str().unwrap_or_default();
                assert!(sid.starts_with(&qualified), "{sid} in {qualified}");
                assert_eq!(block["version"], flow["version"], "{block}");
            }
        }
        (false, Value::Null) => {}
        (_, found) => panic!("blocks are {found}, asked for: {blocks}"),
    }
}

/// A block.
#[track_caller]
pub(crate) fn check_block(block: &Value) {
    assert_eq!(block["kind"], "block", "{block}");
    texts(block, &["type", "uid", "sid"]);
    let kind = block["type"].as_str().unwrap_or_default();
    assert!(BLOCK_TYPES.contains(&kind), "type {kind} is never shown");
    assert!(block["version"].is_u64(), "version of {block}");
    booleans(block, "state", &["active", "entered", "exited"]);
    let transitioned = block["transitioned"].as_object();
    let transitioned = transitioned.unwrap_or_else(|| panic!("transitioned of {block}"));
    assert!(transitioned.values().all(Value::is_boolean), "{block}");
    let container = &block["containerUid"];
    assert!(container.is_null() || container.is_string(), "{block}");
    let fields = block["fields"].as_array();
    for field in fields.unwrap_or_else(|| panic!("fields of {block}")) {
        texts(field, &["sid", "type"]);
        let value = &field["value"];
        let fits = match field["type"].as_str().unwrap_or_default() {
            "string" => value.is_string(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "richText" => value.is_array(),
            other => panic!("field type {other}"),
        };
        assert!(fits || value.is_null(), "{field}");
    }
}

/// An error as Dopt's clients read it; gives its details.
#[track_caller]
pub(crate) fn check_dopt_error(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body["code"], code, "{body}");
    let details = body["details"].as_str();
    let details = details.unwrap_or_else(|| panic!("details of {body}"));
    assert!(!details.is_empty(), "{body}");
    details.to_owned()
}

/// A problem document of this type; gives it.
#[track_caller]
pub(crate) fn check_problem(answer: &Answer, status: u16, kind: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text);
    let content_type = answer.header("content-type");
    assert_eq!(content_type, "application/problem+json", "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["type"], format!("urn:flowgate:problem:{kind}"));
    texts(&body, &["title", "detail"]);
    body
}

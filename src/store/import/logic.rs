//! What does a file say of a webhook and of a flow trigger?
//!
//! Form only. Whom a webhook calls is kept beside the version, because edges
//! have no business with it; what a trigger acts on is part of its version.

use std::collections::BTreeMap;

use reqwest::Url;
use serde_json::Value;

use super::table::Table;
use crate::{
    limits::{WEBHOOK_BODY_BYTES_MAX, WEBHOOK_HEADERS_MAX, WEBHOOK_TEXT_BYTES_MAX},
    snapshot::wire::{BlockKind, TriggerAction, TriggerPart},
    store::{project_file::Node, tokens, workspace::WebhookSettings},
};

/// Reads `url`, `headers` and `body`, which exactly webhooks have.
pub(super) fn webhook(table: &mut Table<'_>, kind: Option<BlockKind>) -> Option<WebhookSettings> {
    let has = ["url", "headers", "body"].iter().any(|own| table.has(own));
    let url = table.text("url");
    let headers = headers(table);
    let body = body(table);
    match kind {
        Some(BlockKind::Webhook) => {
            let Some(url) = url else {
                table.fault("a webhook has no url (expected whom to call)");
                return None;
            };
            if let Some(fault) = url_fault(&url) {
                table.fault(format!("url {fault}"));
            }
            Some(WebhookSettings { url, headers, body })
        }
        Some(_) if has => {
            table.fault("only a webhook has url, headers and body");
            None
        }
        _ => None,
    }
}

/// Whether it names somebody who can be called. What may be called is the
/// store's setting, and asked when it happens. What is wrong is said without
/// the url where a part of it may be a secret.
fn url_fault(url: &str) -> Option<String> {
    const EXPECTED: &str = "expected http:// or https:// with a host";
    if url.len() > WEBHOOK_TEXT_BYTES_MAX || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(format!(
            "has {} bytes or others than visible ASCII ({EXPECTED}, at most \
             {WEBHOOK_TEXT_BYTES_MAX} bytes of visible ASCII)",
            url.len()
        ));
    }
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let authority = rest.and_then(|rest| rest.split(['/', '\\', '?', '#']).next());
    let Some(authority) = authority.filter(|authority| !authority.is_empty()) else {
        let begin: String = url.chars().take(9).collect();
        return Some(format!("begins with {begin:?} ({EXPECTED})"));
    };
    if authority.contains('@') {
        return Some(format!(
            "names a user ({EXPECTED} and no user name; a secret belongs into a header)"
        ));
    }
    if authority.contains("${") {
        return Some(format!(
            "has a token in its host ({EXPECTED} that no user chooses; tokens belong behind it)"
        ));
    }
    if let Some(fault) = tokens::fault(url) {
        return Some(fault);
    }
    let parsed = Url::parse(url);
    parsed
        .err()
        .map(|error| format!("cannot be read: {error} ({EXPECTED})"))
}

/// Headers that say how a request is framed or where it goes are not for
/// authors: a receiver could be made to read another request than was sent.
const OURS: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

fn headers(table: &mut Table<'_>) -> BTreeMap<String, String> {
    let members = match table.take("headers") {
        None => return BTreeMap::new(),
        Some(Node::Table(members)) => members,
        Some(other) => {
            table.fault_of("headers", &other, "a table of name: text");
            return BTreeMap::new();
        }
    };
    if members.len() > WEBHOOK_HEADERS_MAX {
        table.fault(format!(
            "found {} headers (expected at most {WEBHOOK_HEADERS_MAX})",
            members.len()
        ));
    }
    let mut read = BTreeMap::new();
    for (name, node) in members {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let known = (1..=WEBHOOK_TEXT_BYTES_MAX).contains(&name.len()) && name.bytes().all(token);
        let lower = name.to_ascii_lowercase();
        if OURS.contains(&lower.as_str()) {
            table.fault(format!(
                "header {name:?} is not an author's (expected one that says nothing of the connection)"
            ));
            continue;
        }
        match node {
            Node::Text(value) if known && is_header_value(&value) => {
                if let Some(fault) = tokens::fault(&value) {
                    table.fault(format!("header {name:?} {fault}"));
                }
                if read.insert(lower, value).is_some() {
                    table.fault(format!("header {name:?} appears twice"));
                }
            }
            // The value may be a secret: it is not repeated.
            Node::Text(_) => table.fault(format!(
                "header {name:?} cannot be sent (expected a name of letters, digits and - _ . \
                 and a value of printable ASCII, at most {WEBHOOK_TEXT_BYTES_MAX} bytes)"
            )),
            other => table.fault_of(&format!("header {name:?}"), &other, "text"),
        }
    }
    read
}

/// What is sent instead of our message: any table or list, or the same as a
/// text of JSON.
fn body(table: &mut Table<'_>) -> Option<Value> {
    const EXPECTED: &str = "a table or a list that is sent as JSON";
    let body = match table.take("body")? {
        node @ (Node::Table(_) | Node::List(_)) => node.into_value(),
        Node::Text(text) => match serde_json::from_str(&text) {
            Ok(body @ (Value::Object(_) | Value::Array(_))) => body,
            // Not repeated: a part of it may be a secret.
            Ok(_) | Err(_) => {
                table.fault(format!("body is a text that is none (expected {EXPECTED})"));
                return None;
            }
        },
        other => {
            table.fault_of("body", &other, EXPECTED);
            return None;
        }
    };
    let bytes = body.to_string().len();
    if bytes > WEBHOOK_BODY_BYTES_MAX {
        table.fault(format!(
            "body has {bytes} bytes as JSON (expected at most {WEBHOOK_BODY_BYTES_MAX})"
        ));
    }
    if let Some(fault) = tokens::body_fault(&body) {
        table.fault(format!("body {fault}"));
    }
    Some(body)
}

fn is_header_value(value: &str) -> bool {
    value.len() <= WEBHOOK_TEXT_BYTES_MAX
        && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && value.trim() == value
}

/// Reads `flow`, `version` and `action`, which exactly flow triggers have.
pub(super) fn trigger(table: &mut Table<'_>, kind: Option<BlockKind>) -> Option<TriggerPart> {
    if kind != Some(BlockKind::FlowTrigger) {
        for member in ["flow", "version", "action"] {
            if table.take(member).is_some() && kind.is_some() {
                table.fault(format!("only a flowTrigger has {member}"));
            }
        }
        return None;
    }
    let flow_sid = table.required_sid("flow");
    let version = table.version("version");
    let action = match table.text("action").as_deref() {
        Some("start") => TriggerAction::Start,
        Some("stop") => TriggerAction::Stop,
        Some("reset") => TriggerAction::Reset,
        Some("finish") => TriggerAction::Finish,
        found => {
            let found = found.map_or("missing".to_owned(), |word| format!("{word:?}"));
            table.fault(format!(
                "action is {found} (expected start, stop, reset or finish)"
            ));
            return None;
        }
    };
    Some(TriggerPart {
        flow_sid: flow_sid?,
        version: version?,
        action,
    })
}

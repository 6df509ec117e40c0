//! Are these tokens good, and is there anything to serve them with?
//!
//! Whoever stands between clients and us asks before it passes tokens on. A
//! token that is not good is left out of the answer, without a word why.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    current::Environments,
    http::{
        Answer,
        json::{self, Limits},
        json_bytes,
    },
    limits::VALIDATE_TOKENS_MAX,
    server::error::Fault,
    snapshot::{sha256, wire::KeyKind},
};

/// `POST /edge/validate`.
#[derive(Debug, Deserialize)]
struct ValidateBody {
    tokens: Vec<String>,
}

/// Those of the tokens that are good, with what they open.
pub(super) fn validate(live: &Environments, bytes: &[u8]) -> Result<Answer, Fault> {
    let limits = Limits {
        array: VALIDATE_TOKENS_MAX,
        ..Limits::default()
    };
    let body: ValidateBody = json::parse(bytes, limits)?;
    let good = body
        .tokens
        .iter()
        .filter_map(|token| described(live, token));
    let body = json!({"tokens": good.collect::<Vec<Value>>()});
    Ok(json_bytes(
        StatusCode::OK,
        "application/json",
        body.to_string(),
    ))
}

fn described(live: &Environments, token: &str) -> Option<Value> {
    let opened = live.key(&sha256(token.as_bytes()))?;
    let key = opened.key;
    // Other kinds open nothing of this protocol.
    let kind = match key.kind {
        KeyKind::Client => "client",
        KeyKind::Frontend => "frontend",
        KeyKind::Blocks | KeyKind::Users | KeyKind::Server => return None,
    };
    let projects = match &*key.projects {
        [] => json!(["*"]),
        names => json!(names),
    };
    Some(json!({
        "token": token,
        "type": kind,
        "environment": opened.environment.snapshot.environment,
        "projects": projects,
    }))
}

/// The process answers.
pub(super) fn health() -> Answer {
    json_bytes(StatusCode::OK, "application/json", "{\"status\":\"OK\"}")
}

/// Whether every environment has flags to serve.
pub(super) fn ready(live: &Environments) -> Answer {
    let (status, body) = match live.is_complete() && !live.all().is_empty() {
        true => (StatusCode::OK, "{\"status\":\"READY\"}"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "{\"status\":\"NOT_READY\"}",
        ),
    };
    json_bytes(status, "application/json", body)
}

//! How does a command ask a server something?
//!
//! One request with a key, one bounded answer, and how a refusal becomes words.
//! Stores and edges are asked alike.

use std::{path::Path, time::Duration};

use reqwest::{ClientBuilder, Method, Request};
use serde_json::Value;

use super::{
    archive,
    failure::Failure,
    place::{Place, Trust},
};
use crate::{config::Secret, limits, store::api::CONFIRM_HEADER};

/// An import of many flows compiles and signs all of them before it answers.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest answer that is read: an export of every flow of a large store.
const ANSWER_BYTES_MAX: usize = 512 * 1024 * 1024;

/// A server that can be asked.
#[derive(Clone)]
pub(super) struct Asking {
    /// `store` or `edge`.
    name: &'static str,
    /// The flag that names another one.
    flag: &'static str,
    place: Place,
    key: Secret,
    trust: Trust,
}

impl Asking {
    /// A store at this address.
    pub(super) fn store(url: &str, key: Secret, trust: &Trust) -> Result<Self, Failure> {
        Ok(Self {
            name: "store",
            flag: "--to",
            place: Place::read(url, "http://127.0.0.1:7080")?,
            key,
            trust: trust.clone(),
        })
    }

    /// The public listener of an edge at this address.
    pub(super) fn edge(url: &str, key: Secret, trust: &Trust) -> Result<Self, Failure> {
        Ok(Self {
            name: "edge",
            flag: "--url",
            ..Self::store(url, key, trust)?
        })
    }

    /// Key and address, for tests.
    #[cfg(test)]
    pub(super) fn aims(&self) -> (String, String) {
        (self.key.expose().to_owned(), self.place.to_string())
    }

    /// Sends one request; each segment of the path is percent-encoded, since
    /// a user id may hold anything.
    pub(super) fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), Failure> {
        let body = body.map(|body| body.to_string().into_bytes());
        let sent = Sent {
            body,
            ..Sent::default()
        };
        let answered = self.exchange(method, path, query, &sent)?;
        Ok((answered.status, answered.body))
    }

    /// The same, with everything that may be sent along.
    pub(super) fn exchange(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        sent: &Sent,
    ) -> Result<Answered, Failure> {
        // Urls take these for steps through the path: another thing would be
        // asked for, and perhaps changed.
        if let Some(step) = path.iter().find(|own| matches!(**own, "." | "..")) {
            return Err(Failure::usage(format!(
                "{step:?} names nothing that can be asked for by a url"
            )));
        }
        let mut url = self.place.url().clone();
        url.set_path("");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = Request::new(method, url);
        let key = self.key.expose().parse().map_err(|_| {
            Failure::usage("the key holds characters no key has (was it copied whole?)")
        })?;
        request.headers_mut().insert("x-api-key", key);
        for (name, text) in [
            ("if-match", &sent.if_match),
            (CONFIRM_HEADER, &sent.confirm),
        ] {
            if let Some(value) = text.as_ref().and_then(|text| text.parse().ok()) {
                request.headers_mut().insert(name, value);
            }
        }
        if let Some(body) = sent.body.clone() {
            let json = reqwest::header::HeaderValue::from_static("application/json");
            request.headers_mut().insert("content-type", json);
            *request.body_mut() = Some(body.into());
        }
        let client = self.trust.client(&self.place)?;
        runtime()?
            .block_on(ask_whole(client, request, PATIENCE))
            .map_err(|error| {
                let Self {
                    name, flag, place, ..
                } = self;
                Failure::undone(format!("the {name} at {place} cannot be asked"))
                    .because(&error)
                    .mend(format!("is it running there? {flag} names another one"))
            })
    }
}

/// What a server refused, in words.
pub(super) fn refusal(name: &str, status: u16, answer: &[u8]) -> Failure {
    let problem: Option<Value> = serde_json::from_slice(answer).ok();
    let words = problem.map_or_else(
        || String::from_utf8_lossy(answer).trim().to_owned(),
        |problem| problem_text(&problem),
    );
    Failure::undone(format!("the {name} refused ({status}): {words}"))
}

/// The words of a problem document: what, found and expected, and a list of
/// faults when there is one.
fn problem_text(problem: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut words = match (&problem["detail"], &problem["title"], &problem["error"]) {
        (Value::String(detail), _, _) => detail.clone(),
        (_, Value::String(title), _) => title.clone(),
        (_, _, Value::String(error)) => error.clone(),
        _ => return problem.to_string(),
    };
    for (member, word) in [("found", "found"), ("expected", "expected")] {
        let value = &problem[member];
        if !value.is_null() && !words.contains(&text(value)) {
            words.push_str(&format!(", {word} {}", text(value)));
        }
    }
    for fault in problem["faults"].as_array().into_iter().flatten() {
        let members = ["file", "position", "rule"].map(|member| fault[member].as_str());
        let said: Vec<&str> = members
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        words.push_str("\n  ");
        words.push_str(&said.join(": "));
    }
    words
}

/// What goes with a request.
#[derive(Default)]
pub(super) struct Sent {
    /// The entity tag the thing must still have.
    pub(super) if_match: Option<String>,
    /// Environments whose change is meant.
    pub(super) confirm: Option<String>,
    pub(super) body: Option<Vec<u8>>,
}

/// What a server answered.
pub(super) struct Answered {
    pub(super) status: u16,
    /// With its quotes.
    pub(super) etag: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Sends one request and reads its bounded answer.
pub(super) async fn ask(
    client: ClientBuilder,
    request: Request,
    patience: Duration,
) -> Result<(u16, Vec<u8>), AskError> {
    let answered = ask_whole(client, request, patience).await?;
    Ok((answered.status, answered.body))
}

async fn ask_whole(
    client: ClientBuilder,
    request: Request,
    patience: Duration,
) -> Result<Answered, AskError> {
    // The url is said by the caller, who leaves out what is secret in it.
    let failed = |error: reqwest::Error| AskError::Http(error.without_url());
    let client = client.timeout(patience).build().map_err(failed)?;
    let mut answer = client.execute(request).await.map_err(failed)?;
    let status = answer.status().as_u16();
    let etag = answer.headers().get("etag");
    let etag = etag
        .and_then(|etag| etag.to_str().ok())
        .map(ToOwned::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(AskError::TooLong);
        }
    }
    Ok(Answered { status, etag, body })
}

/// The key that stands alone in a file.
pub(super) fn key_in(file: &Path) -> Result<String, Failure> {
    let bytes = archive::read(file, limits::HEAD_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map(|text| text.trim().to_owned());
    text.ok().filter(|key| !key.is_empty()).ok_or_else(|| {
        Failure::usage(format!(
            "{} holds no key, expected one alone in it",
            file.display()
        ))
    })
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Not reached, too slow, or not HTTP.
    #[error("no answer")]
    Http(#[source] reqwest::Error),
    /// Longer than anything a store has to say.
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

/// A runtime for one call.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::undone("no runtime").because(&error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_says_found_and_expected() {
        let problem = json!({"title": "not imported", "detail": "flow \"x\" is not possible",
            "found": "gate", "expected": "card or modal",
            "faults": [{"file": "a.yaml", "position": "block \"a\"", "rule": "no path"}]});
        assert_eq!(
            problem_text(&problem),
            "flow \"x\" is not possible, found gate, expected card or modal\n  a.yaml: block \"a\": no path"
        );
    }
}

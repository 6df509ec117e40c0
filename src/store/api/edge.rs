//! What does the store answer to an edge?
//!
//! Signed documents and parts as they were published, user documents, and the
//! outcome of shipped records. The key was checked and belongs to the
//! environment; nothing here reads another one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    Api, Request, Response,
    problem::Problem,
    reads,
    route::{Edge, Query, parameters},
    usage,
};
use crate::{
    limits,
    progress::event::{Batch, EdgeReport},
    snapshot::{frame::FrameWriter, sha256_of_hex},
    store::{Current, Store, StoreError, engine::DocumentRole, ledger::changes::until_news},
};

const JSON: &str = "application/json";

/// Answers one request of an edge whose key was checked.
pub(super) async fn answer(
    api: &Api,
    environment: String,
    route: Edge,
    query: &Query,
    request: Request,
) -> Result<Response, Problem> {
    match route {
        Edge::Timestamp => timestamp(api, &environment, query, request.if_none_match).await,
        Edge::Changes => changes(api, &environment, query).await,
        Edge::User(id) => reads::user(api, environment, id, query).await,
        Edge::Membership(deployment, id) => {
            let [conversation] = parameters(query, ["conversation"])?;
            let conversation = conversation.map(conversation_id).transpose()?;
            let found = api
                .blocking(move |store| {
                    store.membership(&environment, &deployment, &id, conversation.as_deref())
                })
                .await?;
            Response::json(200, &found)
        }
        Edge::CloseJournal(id) => {
            let [hash] = parameters(query, ["hash"])?;
            let close =
                move |store: &Store| store.close_journal(&environment, &id, hash.as_deref());
            api.blocking(close).await?;
            Ok(Response::empty(204))
        }
        route => {
            let [] = parameters(query, [])?;
            plain(api, environment, route, request).await
        }
    }
}

/// Answers what takes no parameters.
async fn plain(
    api: &Api,
    environment: String,
    route: Edge,
    Request { body, from, .. }: Request,
) -> Result<Response, Problem> {
    match route {
        // They take parameters.
        Edge::Timestamp
        | Edge::Changes
        | Edge::User(_)
        | Edge::Membership(..)
        | Edge::CloseJournal(_) => Ok(Response::empty(304)),
        Edge::Root(number) => {
            let file = api.store.signing().root_file(number);
            document(file.map(<[u8]>::to_vec), "root", number)
        }
        Edge::Release(version) => {
            let role = DocumentRole::Release;
            let found = api
                .blocking(move |store| store.document(&environment, role, version))
                .await?;
            document(found, role.name(), version)
        }
        Edge::Control(version) => {
            let role = DocumentRole::Control;
            let found = api
                .blocking(move |store| store.document(&environment, role, version))
                .await?;
            document(found, role.name(), version)
        }
        Edge::Parts => {
            let wanted = hashes(&body)?;
            let framed = api.blocking(move |store| framed(store, &wanted)).await?;
            Ok(Response::of(200, "application/octet-stream", framed.into()))
        }
        Edge::Part(sha256) => part(api, sha256).await,
        Edge::Users => reads::users(api, environment, body).await,
        Edge::Group(id) => {
            let found = api
                .blocking(move |store| store.group(&environment, &id))
                .await?;
            Response::json(200, &found)
        }
        Edge::Progress => {
            let taken = api
                .blocking(move |store| {
                    let batch = batch(&body)?;
                    Ok::<_, Problem>(store.ship(&environment, &batch)?)
                })
                .await?;
            Response::json(200, &taken)
        }
        Edge::Metrics => usage::take(api, environment, body).await,
        Edge::Status => {
            let report = report(&body)?;
            api.store.edge_reports(&environment, report, from)?;
            Ok(Response::empty(204))
        }
    }
}

/// The timestamp in force; with `wait`, held back while it is the one the edge
/// has already.
async fn timestamp(
    api: &Api,
    environment: &str,
    query: &Query,
    if_none_match: Option<String>,
) -> Result<Response, Problem> {
    let [wait] = parameters(query, ["wait"])?;
    let wait = wait.as_deref().map_or(Ok(Duration::ZERO), duration)?;
    let mut watch = api.store.watch(environment)?;
    let known = |current: &Current| {
        let tags = if_none_match.as_deref().unwrap_or_default();
        tags.split(',').any(|tag| tag.trim() == current.etag)
    };
    let waiting = watch.wait_for(|current| current.serial > 0 && !known(current));
    let current = match tokio::time::timeout(wait, waiting).await {
        Ok(Ok(current)) => Arc::clone(&current),
        // Timed out, or the store is going away: say where things stand.
        Ok(Err(_)) | Err(_) => Arc::clone(&api.store.watch(environment)?.borrow()),
    };
    if current.serial == 0 {
        let mut problem = Problem::new(404, "unpublished", "nothing is published here yet");
        if let Some(error) = api.store.root_expired() {
            problem = problem.found(&error.to_string());
        }
        return Err(problem);
    }
    if known(&current) {
        return Ok(Response {
            etag: Some(current.etag.clone()),
            ..Response::empty(304)
        });
    }
    Ok(Response {
        etag: Some(current.etag.clone()),
        ..Response::of(200, JSON, current.timestamp.clone())
    })
}

/// What changed since the edge asked last; held back while nothing did.
async fn changes(api: &Api, environment: &str, query: &Query) -> Result<Response, Problem> {
    let [cursor, wait] = parameters(query, ["cursor", "wait"])?;
    let wait = wait.as_deref().map_or(Ok(Duration::ZERO), duration)?;
    let taken = api.store.watch_progress(environment)?;
    let cursor = cursor.as_deref();
    let found = until_news(taken, cursor, wait, || {
        let environment = environment.to_owned();
        let cursor = cursor.map(ToOwned::to_owned);
        api.blocking(move |store| store.changes(&environment, cursor.as_deref()))
    });
    Response::json(200, &found.await?)
}

/// An empty name would find what stands without a conversation.
fn conversation_id(id: String) -> Result<String, Problem> {
    if (1..=limits::SUBJECT_ID_BYTES_MAX).contains(&id.len()) {
        return Ok(id);
    }
    Err(Problem::new(
        400,
        "malformed-conversation",
        "the conversation is empty or too long",
    )
    .found(&format!("{} bytes", id.len()))
    .expected(&format!("1 to {}", limits::SUBJECT_ID_BYTES_MAX)))
}

fn document(found: Option<Vec<u8>>, role: &str, version: u64) -> Result<Response, Problem> {
    let Some(bytes) = found else {
        let detail = format!("there is no {role} document of version {version}");
        return Err(Problem::new(404, "unknown-document", detail));
    };
    Ok(Response {
        immutable: true,
        ..Response::of(200, JSON, bytes.into())
    })
}

async fn part(api: &Api, sha256: String) -> Result<Response, Problem> {
    let name = sha256.clone();
    let found = api.blocking(move |store| store.blob(&name)).await?;
    match found {
        Some(bytes) => Ok(Response {
            immutable: true,
            etag: Some(format!("\"{sha256}\"")),
            ..Response::of(200, "application/octet-stream", bytes.into())
        }),
        None => Err(Problem::new(
            404,
            "unknown-part",
            "no part has this hash (ask for a newer timestamp)",
        )
        .found(&sha256)),
    }
}

fn hashes(body: &Bytes) -> Result<Vec<String>, Problem> {
    let expected = format!(
        "a JSON array of at most {} hashes of 64 hexadecimal digits",
        limits::PARTS_PER_REQUEST_MAX
    );
    let malformed = |found: &str| {
        Problem::new(400, "malformed-body", "the body is not a list of hashes")
            .found(found)
            .expected(&expected)
    };
    let wanted: Vec<String> =
        serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?;
    if wanted.len() > limits::PARTS_PER_REQUEST_MAX {
        return Err(malformed(&format!("{} hashes", wanted.len())));
    }
    if let Some(wrong) = wanted.iter().find(|hash| sha256_of_hex(hash).is_none()) {
        return Err(malformed(wrong));
    }
    Ok(wanted)
}

fn framed(store: &Store, wanted: &[String]) -> Result<Vec<u8>, StoreError> {
    let mut writer = FrameWriter::default();
    for sha256 in wanted {
        let (Some(hash), Some(bytes)) = (sha256_of_hex(sha256), store.blob(sha256)?) else {
            continue;
        };
        if !writer.push(&hash, &bytes) {
            break;
        }
    }
    Ok(writer.finish())
}

fn batch(body: &Bytes) -> Result<Batch, Problem> {
    let malformed = |found: &str, expected: &str| {
        Problem::new(400, "malformed-body", "the body is not a batch of progress")
            .found(found)
            .expected(expected)
    };
    let batch: Batch = serde_json::from_slice(body)
        .map_err(|error| malformed(&error.to_string(), "a batch as JSON"))?;
    if batch.records.len() > limits::SHIP_RECORDS_MAX {
        let found = format!("{} records", batch.records.len());
        let expected = format!("at most {}", limits::SHIP_RECORDS_MAX);
        return Err(malformed(&found, &expected));
    }
    Ok(batch)
}

/// What an edge says about itself. An edge one minor newer may say more.
fn report(body: &Bytes) -> Result<EdgeReport, Problem> {
    let malformed = |found: &str, expected: &str| {
        Problem::new(400, "malformed-body", "the body is not an edge's report")
            .found(found)
            .expected(expected)
    };
    let report: EdgeReport = serde_json::from_slice(body)
        .map_err(|error| malformed(&error.to_string(), "a report as JSON"))?;
    if report.edge.is_empty() {
        return Err(malformed("no edge", "the edge's name"));
    }
    let optional = [&report.revision, &report.reason].into_iter().flatten();
    let words = [&report.edge, &report.version, &report.state].into_iter();
    let longest = words.chain(optional).map(String::len).max();
    if longest > Some(limits::REPORT_WORD_BYTES_MAX) {
        let expected = format!("words of at most {} bytes", limits::REPORT_WORD_BYTES_MAX);
        return Err(malformed("a longer word", &expected));
    }
    Ok(report)
}

/// `30s` or `500ms`, at most what a long poll may take.
pub(super) fn duration(text: &str) -> Result<Duration, Problem> {
    let (digits, unit_ms) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 1000),
        (None, None) => ("", 1),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u64> = is_number.then(|| digits.parse().ok()).flatten();
    let wait_ms = number.and_then(|number| number.checked_mul(unit_ms));
    match wait_ms {
        Some(ms) if ms <= limits::LONG_POLL_MS_MAX => Ok(Duration::from_millis(ms)),
        _ => Err(Problem::new(
            400,
            "malformed-wait",
            "wait is not a time that can be waited for",
        )
        .found(text)
        .expected("such as 30s or 500ms, at most 60s")),
    }
}

//! How does an edge read users?
//!
//! One, many at a time, or one no older than a record that was shipped by
//! whatever edge. The key was checked and belongs to the environment.

use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Api, Response, edge::duration, problem::Problem, route::Query, route::parameters};
use crate::{
    limits::{SUBJECT_ID_BYTES_MAX, USERS_ANSWER_BYTES_MAX, USERS_PER_READ_MAX},
    progress::event::{UserAfter, UsersQuestion},
    store::{Store, StoreError},
};

/// The shortest time between two looks of one who waits.
const BREATH: Duration = Duration::from_millis(20);

/// And the longest: a record that changed no document wakes nobody.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A user's document; with `after`, once that record has its outcome, for
/// which it is waited so long.
pub(super) async fn user(
    api: &Api,
    environment: String,
    id: String,
    query: &Query,
) -> Result<Response, Problem> {
    let [after, wait] = parameters(query, ["after", "wait"])?;
    let wait = wait.as_deref().map_or(Ok(Duration::ZERO), duration)?;
    let Some(after) = after else {
        let found = api
            .blocking(move |store| store.user(&environment, &id))
            .await?;
        return Response::json(200, &found);
    };
    let after = record(&after)?;
    let mut taken = api.store.watch_progress(&environment)?;
    let until = Instant::now() + wait;
    loop {
        taken.mark_unchanged();
        let begun = Instant::now();
        let (environment, id) = (environment.clone(), id.clone());
        let (journal, seq) = after.clone();
        let found = api
            .blocking(move |store| {
                // In this order: the document is no older than the outcome.
                let reached = store.is_settled(&environment, &journal, seq)?;
                let user = store.user(&environment, &id)?;
                Ok::<_, StoreError>(UserAfter { reached, user })
            })
            .await?;
        if found.reached || Instant::now() >= until {
            return Response::json(200, &found);
        }
        let next = (begun + LOOK_EVERY).min(until);
        if let Ok(Ok(())) = timeout_at(next, taken.changed()).await {
            sleep_until((begun + BREATH).min(until)).await;
        }
    }
}

/// `JOURNAL:SEQ`.
fn record(text: &str) -> Result<(String, u64), Problem> {
    let named = text.split_once(':').filter(|(journal, seq)| {
        let is_journal = (1..=64).contains(&journal.len());
        is_journal && seq.bytes().all(|byte| byte.is_ascii_digit())
    });
    let record = named.and_then(|(journal, seq)| Some((journal.to_owned(), seq.parse().ok()?)));
    record.ok_or_else(|| {
        Problem::new(400, "malformed-record", "after does not name a record")
            .found(text)
            .expected("a journal id and a sequence number, such as 65c5…:7")
    })
}

/// Many documents in one answer, in the order asked, as many as fit.
pub(super) async fn users(
    api: &Api,
    environment: String,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked = question(&body)?;
    let answer = api
        .blocking(move |store| documents(store, &environment, asked))
        .await?;
    Response::json(200, &answer)
}

/// `progress::event::UsersAnswer`, with documents that are written once.
#[derive(serde::Serialize)]
struct Written {
    users: Vec<Box<RawValue>>,
    missing: Vec<String>,
}

fn documents(store: &Store, environment: &str, asked: Vec<String>) -> Result<Written, Problem> {
    let mut users = Vec::with_capacity(asked.len());
    let mut bytes = 0;
    let mut asked = asked.into_iter();
    let mut missing = Vec::new();
    for id in asked.by_ref() {
        let document = store.user(environment, &id)?;
        let text = serde_json::value::to_raw_value(&document);
        let text = text.map_err(|error| Problem::internal(&error))?;
        bytes += text.get().len();
        if bytes > USERS_ANSWER_BYTES_MAX && !users.is_empty() {
            missing.push(id);
            break;
        }
        users.push(text);
    }
    missing.extend(asked);
    Ok(Written { users, missing })
}

fn question(body: &Bytes) -> Result<Vec<String>, Problem> {
    let expected = format!(
        "{{\"users\": […]}} with 1 to {USERS_PER_READ_MAX} ids of at most {SUBJECT_ID_BYTES_MAX} bytes"
    );
    let malformed = |found: &str| {
        Problem::new(400, "malformed-body", "the body is not a list of users")
            .found(found)
            .expected(&expected)
    };
    let UsersQuestion { users } =
        serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?;
    if !(1..=USERS_PER_READ_MAX).contains(&users.len()) {
        return Err(malformed(&format!("{} ids", users.len())));
    }
    let fits = |id: &&String| !(1..=SUBJECT_ID_BYTES_MAX).contains(&id.len());
    if let Some(odd) = users.iter().find(fits) {
        return Err(malformed(&format!("an id of {} bytes", odd.len())));
    }
    Ok(users)
}

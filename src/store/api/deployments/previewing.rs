//! How is a change of a deployment tried on stored users?
//!
//! The body is the change: what a PATCH would say, or what a POST would. The
//! query says where among the users to begin and how much to tell.

use std::str::FromStr;

use bytes::Bytes;
use serde_json::json;

use super::{
    super::{
        Api, Response,
        admin::read,
        problem::Problem,
        route::{Query, parameters},
    },
    body::{Body, check_place, create},
    found, notes, written,
};
use crate::{
    clock::UnixMs,
    limits::{PREVIEW_EXAMPLES, PREVIEW_EXAMPLES_MAX, PREVIEW_USERS, PREVIEW_USERS_MAX},
    store::{PreviewAsk, Store},
};

/// `POST /admin/v1/deployments/{which}/preview`, and without `{which}`.
pub(super) async fn answer(
    api: &Api,
    which: Option<String>,
    query: &Query,
    body: Bytes,
) -> Result<Response, Problem> {
    let known = [
        "environment",
        "after",
        "limit",
        "examples",
        "at",
        "attributes",
    ];
    let [environment, after, limit, examples, at, attributes] = parameters(query, known)?;
    let ask = PreviewAsk {
        after: after.unwrap_or_default(),
        users_max: count(limit, PREVIEW_USERS, 1, PREVIEW_USERS_MAX)?,
        examples_max: count(examples, PREVIEW_EXAMPLES, 0, PREVIEW_EXAMPLES_MAX)?,
        at_ms: at.map(|text| time(&text)).transpose()?,
        attributes: attributes.map(|text| object(&text)).transpose()?,
    };
    let work = move |store: &Store| {
        let workspace = store.workspace();
        let body: Body = match body.is_empty() {
            true => Body::default(),
            false => read(&body)?,
        };
        let (before, proposed) = match which {
            None => (None, create(store, &workspace, body)?),
            Some(which) => {
                let own = found(&workspace, environment.as_deref(), &which)?;
                check_place(&workspace, &body, &own.uid)?;
                (Some(own), body.over(own))
            }
        };
        if !store.actor.rights.reach(&proposed.environment_uid) {
            let environment = workspace.environment_by_uid(&proposed.environment_uid);
            return Err(Problem::new(
                403,
                "forbidden",
                "the key does not hold where these users are",
            )
            .found(environment.map_or("", |own| own.name.as_str()))
            .expected(&store.actor.rights.environment_names(&workspace).join(", ")));
        }
        let preview = store.preview_deployment(&proposed, &ask)?;
        let mut answer = json!(preview);
        answer["deployment"] = written(&workspace, &proposed, store.now_ms());
        answer["notes"] = json!(notes(&workspace, (before, &proposed), store.now_ms()));
        Ok::<_, Problem>(answer)
    };
    Response::json(200, &api.blocking(work).await?)
}

fn count(given: Option<String>, usual: usize, least: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = given else {
        return Ok(usual);
    };
    let number = text.parse().ok();
    let number = number.filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        Problem::new(400, "malformed-limit", "so many cannot be told of")
            .found(&text)
            .expected(&format!("{least} to {most}"))
    })
}

/// RFC 3339, or milliseconds.
fn time(text: &str) -> Result<UnixMs, Problem> {
    let spelt = || {
        let time = jiff::Timestamp::from_str(text).ok()?;
        u64::try_from(time.as_millisecond()).ok()
    };
    text.parse().ok().or_else(spelt).ok_or_else(|| {
        Problem::new(400, "malformed-time", "the time cannot be read")
            .found(text)
            .expected("a time such as 2026-11-22T07:00:00Z, or milliseconds since 1970")
    })
}

fn object(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, Problem> {
    serde_json::from_str(text).map_err(|_| {
        Problem::new(400, "malformed-attributes", "the attributes cannot be read")
            .found(text)
            .expected("an object such as {\"tags\":[\"vip\"]}")
    })
}

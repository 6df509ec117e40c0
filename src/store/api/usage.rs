//! What does the store answer about the use of flags?
//!
//! To edges, whether their batch was taken; to operators, sums of hours, flag
//! by flag or in detail, and the applications behind them.

use bytes::Bytes;

use super::{
    Api, Response,
    paging::paged,
    problem::Problem,
    route::{Query, parameters},
};
use crate::{
    limits::USAGE_HOURS_MAX,
    store::{
        Store, UsageQuery,
        paging::{APPLICATIONS, USAGE},
    },
    usage::UsageBatch,
};

/// Hours that are summed unless others are asked for: a day.
const HOURS: u64 = 24;

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `/admin/v1/environments/{env}/usage`.
    Flags(String),
    /// The same of one flag.
    Flag(String, String),
    /// `/admin/v1/applications`.
    Applications,
}

/// `POST /edge/v1/environments/{env}/metrics`.
pub(super) async fn take(api: &Api, environment: String, body: Bytes) -> Result<Response, Problem> {
    let taken = api
        .blocking(move |store| {
            let batch: UsageBatch = serde_json::from_slice(&body).map_err(|error| {
                Problem::new(400, "malformed-body", "the body is not a batch of use")
                    .found(&error.to_string())
                    .expected("a batch as JSON")
            })?;
            Ok::<_, Problem>(store.take_usage(&environment, &batch)?)
        })
        .await?;
    Response::json(200, &taken)
}

/// Answers one request of an operator.
pub(super) async fn answer(api: &Api, asked: Asked, query: &Query) -> Result<Response, Problem> {
    match asked {
        Asked::Flags(environment) => {
            let ([hours, app], page) = paged(query, USAGE, ["hours", "app"])?;
            let asked = UsageQuery {
                hours: read_hours(hours)?,
                app,
                page,
            };
            let work = move |store: &Store| store.usage(&environment, &asked);
            Response::json(200, &api.blocking(work).await?)
        }
        Asked::Flag(environment, flag) => {
            let [hours] = parameters(query, ["hours"])?;
            let hours = read_hours(hours)?;
            let work = move |store: &Store| store.usage_of(&environment, &flag, hours);
            Response::json(200, &api.blocking(work).await?)
        }
        Asked::Applications => {
            let ([environment], page) = paged(query, APPLICATIONS, ["environment"])?;
            let work = move |store: &Store| store.applications(environment.as_deref(), &page);
            Response::json(200, &api.blocking(work).await?)
        }
    }
}

fn read_hours(text: Option<String>) -> Result<u64, Problem> {
    let Some(text) = text else { return Ok(HOURS) };
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=USAGE_HOURS_MAX).contains(number));
    number.ok_or_else(|| {
        Problem::new(400, "malformed-hours", "so many hours cannot be summed")
            .found(&text)
            .expected(&format!("1 to {USAGE_HOURS_MAX}"))
    })
}

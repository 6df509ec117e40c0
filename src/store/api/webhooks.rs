//! How does an operator see what became of webhooks?
//!
//! The log of an environment, a page at a time, and another try of one that
//! was given up.

use serde_json::Value;

use super::{
    Api, Response,
    problem::Problem,
    route::{Query, parameters},
};
use crate::{
    limits::{WEBHOOKS_PER_ANSWER, WEBHOOKS_PER_ANSWER_MAX},
    store::{Deliveries, engine::DeliveryState},
};

/// `GET /admin/v1/environments/{env}/webhooks`.
pub(super) async fn list(
    api: &Api,
    environment: String,
    query: &Query,
) -> Result<Response, Problem> {
    let known = ["state", "user", "flow", "after", "limit"];
    let [state, user, flow, after, count] = parameters(query, known)?;
    let asked = Deliveries {
        state: state.map(read_state).transpose()?,
        user,
        flow,
        after,
        count_max: count.map_or(Ok(WEBHOOKS_PER_ANSWER), |text| read_count(&text))?,
    };
    let work = move |store: &crate::store::Store| store.deliveries(&environment, &asked);
    Response::json(200, &api.blocking(work).await?)
}

/// `POST /admin/v1/environments/{env}/webhooks/{id}/retry`.
pub(super) async fn retry(api: &Api, environment: String, id: String) -> Result<Response, Problem> {
    let work = move |store: &crate::store::Store| store.deliver_again(&environment, &id);
    Response::json(200, &api.blocking(work).await?)
}

fn read_state(word: String) -> Result<DeliveryState, Problem> {
    let read = serde_json::from_value(Value::String(word.clone()));
    read.map_err(|_| {
        Problem::new(400, "malformed-state", "no webhook is in this state")
            .found(&word)
            .expected("waiting, delivered or given-up")
    })
}

fn read_count(text: &str) -> Result<usize, Problem> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=WEBHOOKS_PER_ANSWER_MAX).contains(number));
    number.ok_or_else(|| {
        Problem::new(400, "malformed-limit", "so many webhooks cannot be told of")
            .found(text)
            .expected(&format!("1 to {WEBHOOKS_PER_ANSWER_MAX}"))
    })
}

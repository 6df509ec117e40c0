//! How does an operator see what became of webhooks?
//!
//! The log of an environment, a page at a time, and another try of one that
//! was given up.

use serde_json::Value;

use super::{Api, Response, paging::paged, problem::Problem, route::Query};
use crate::store::{Deliveries, engine::DeliveryState, paging::WEBHOOKS};

/// `GET /admin/v1/environments/{env}/webhooks`.
pub(super) async fn list(
    api: &Api,
    environment: String,
    query: &Query,
) -> Result<Response, Problem> {
    let ([state, user, flow], page) = paged(query, WEBHOOKS, ["state", "user", "flow"])?;
    let asked = Deliveries {
        state: state.map(read_state).transpose()?,
        user,
        flow,
        page,
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

//! How far did the runs of a flow come?
//!
//! Read from counters, so that it costs the same however many users there are.

use super::{
    Api, Response,
    problem::Problem,
    route::{Query, parameters},
};
use crate::store::Store;

/// `GET /admin/v1/flows/{sid}/funnel`.
pub(super) async fn answer(api: &Api, sid: String, query: &Query) -> Result<Response, Problem> {
    let [environment, version] = parameters(query, ["environment", "version"])?;
    let environment = environment.ok_or_else(|| {
        Problem::new(400, "missing-parameter", "the environment is not named")
            .expected("?environment=NAME")
    })?;
    let version = version.map(|text| read(&text)).transpose()?;
    let work = move |store: &Store| store.funnel(&environment, &sid, version);
    Response::json(200, &api.blocking(work).await?)
}

fn read(text: &str) -> Result<u32, Problem> {
    text.parse().map_err(|_| {
        Problem::new(400, "malformed-version", "the version is not a number")
            .found(text)
            .expected("a whole number such as 2; 0 is the draft")
    })
}

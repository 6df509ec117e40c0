//! What does the store tell of who changed what?
//!
//! The audit log, a page at a time with the newest first, and one entry of it.

use super::{
    Api, Response,
    paging::paged,
    problem::Problem,
    route::{Query, parameters},
};
use crate::{
    clock::UnixMs,
    store::{AuditFilter, Audited, Store, paging::AUDIT},
};

/// What is asked of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    List,
    Show(u64),
}

/// Answers what is asked of the log.
pub(super) async fn answer(api: &Api, asked: Asked, query: &Query) -> Result<Response, Problem> {
    match asked {
        Asked::List => list(api, query).await,
        Asked::Show(id) => {
            let [environment] = parameters(query, ["environment"])?;
            let work = move |store: &Store| store.audit_entry(id, environment.as_deref());
            Response::json(200, &api.blocking(work).await?)
        }
    }
}

async fn list(api: &Api, query: &Query) -> Result<Response, Problem> {
    let known = ["environment", "who", "object", "kind", "since"];
    let ([environment, who, object, kind, since], page) = paged(query, AUDIT, known)?;
    let asked = Audited {
        environment,
        filter: AuditFilter {
            who,
            object,
            kind,
            since_ms: since.map_or(Ok(0), |text| time(&text))?,
            ..AuditFilter::default()
        },
        page,
    };
    let work = move |store: &Store| store.audit(&asked);
    Response::json(200, &api.blocking(work).await?)
}

fn time(text: &str) -> Result<UnixMs, Problem> {
    let ms = text.parse::<u64>().ok().or_else(|| {
        let time = text.parse::<jiff::Timestamp>().ok()?;
        u64::try_from(time.as_millisecond()).ok()
    });
    ms.ok_or_else(|| {
        Problem::new(400, "malformed-time", "since cannot be read")
            .found(text)
            .expected("a time such as 2026-11-22T07:00:00Z, or milliseconds since 1970")
    })
}

//! How do files of users come in and go out?
//!
//! A few hundred lines a call, so that neither side holds a whole file. Lines
//! that do not fit are told of in the answer; the others are taken.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Api, Response, admin,
    paging::{paged, told},
    problem::Problem,
    route::Query,
};
use crate::{
    limits::USER_LINES_MAX,
    store::{
        Store, UserLine,
        paging::{EXPORTED_GROUPS, EXPORTED_USERS},
    },
};

/// Lines to take.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportBody {
    lines: Vec<Box<RawValue>>,
    /// Nothing is written.
    #[serde(default, rename = "dryRun")]
    dry_run: bool,
}

/// `POST /admin/v1/environments/{env}/users`.
pub(super) async fn import(
    api: &Api,
    environment: String,
    body: Bytes,
) -> Result<Response, Problem> {
    let work = move |store: &Store| {
        let body: ImportBody = admin::read(&body)?;
        if body.lines.len() > USER_LINES_MAX {
            let detail = "the call has too many lines";
            return Err(Problem::new(400, "too-many-lines", detail)
                .found(&format!("{} lines", body.lines.len()))
                .expected(&format!("at most {USER_LINES_MAX}")));
        }
        let read = |line: &RawValue| UserLine::read(line.get().as_bytes());
        let lines = body.lines.iter();
        let lines: Vec<Result<UserLine, String>> = lines
            .map(|line| read(line).map_err(|error| error.to_string()))
            .collect();
        Ok(store.import_users(&environment, &lines, body.dry_run)?)
    };
    Response::json(200, &api.blocking(work).await?)
}

/// `GET /admin/v1/environments/{env}/users`.
pub(super) async fn export(
    api: &Api,
    environment: String,
    query: &Query,
) -> Result<Response, Problem> {
    // Either takes as many.
    let ([kind], ask) = paged(query, EXPORTED_USERS, ["kind"])?;
    let is_of_groups = match kind.as_deref() {
        None | Some("users") => false,
        Some("groups") => true,
        Some(other) => {
            return Err(
                Problem::new(400, "malformed-kind", "nothing is of this kind")
                    .found(other)
                    .expected("users or groups"),
            );
        }
    };
    let work = move |store: &Store| {
        let (list, page) = match is_of_groups {
            true => (EXPORTED_GROUPS, store.export_groups(&environment, &ask)?),
            false => (EXPORTED_USERS, store.export_users(&environment, &ask)?),
        };
        let page = page.try_map(|line| {
            let text = line.write().and_then(RawValue::from_string);
            text.map_err(|error| Problem::internal(&error))
        })?;
        told(list, &page)
    };
    api.blocking(work).await
}

//! What does the store answer about projects?
//!
//! Which there are and where they are active, making, changing and deleting
//! them. Environments are named; `null` means all there are and will be.

use serde::{Deserialize, Deserializer};

use super::{
    Api, Response,
    admin::read,
    paging::{paged, told},
    problem::Problem,
    route::{Query, allowed, decoded},
};
use crate::store::{ProjectChange, ProjectListing, paging::PROJECTS, touching};

/// What is asked of projects, by sid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    List,
    Create,
    Show(String),
    Change(String),
    Delete(String),
}

/// Finds it behind `projects/`.
pub(super) fn route(method: &str, rest: &[&str]) -> Result<Option<Asked>, Problem> {
    let (expected, asked) = match (rest, method) {
        ([], "POST") => ("POST", Asked::Create),
        ([], "GET") => ("GET", Asked::List),
        ([], _) => ("GET, POST", Asked::List),
        ([sid], "PATCH") => ("PATCH", Asked::Change(decoded(sid)?)),
        ([sid], "DELETE") => ("DELETE", Asked::Delete(decoded(sid)?)),
        ([sid], "GET") => ("GET", Asked::Show(decoded(sid)?)),
        ([sid], _) => ("GET, PATCH, DELETE", Asked::Show(decoded(sid)?)),
        _ => return Ok(None),
    };
    allowed(method, expected).map(|()| Some(asked))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    sid: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    environments: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    #[serde(default)]
    name: Option<String>,
    /// `null` for all.
    #[serde(default, deserialize_with = "given")]
    environments: Option<Option<Vec<String>>>,
}

/// Tells null from absent.
fn given<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<Vec<String>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A page of them, by sid.
pub(super) fn list(api: &Api, query: &Query) -> Result<Response, Problem> {
    let ([], ask) = paged(query, PROJECTS, [])?;
    told(PROJECTS, &api.store.projects(&ask)?)
}

/// Answers one of them.
pub(super) async fn answer(
    api: &Api,
    asked: Asked,
    body: &bytes::Bytes,
) -> Result<Response, Problem> {
    match asked {
        // Answered before.
        Asked::List => Ok(Response::empty(204)),
        Asked::Show(sid) => shown(api, 200, &api.store.project(&sid)?),
        Asked::Create => {
            let CreateBody {
                sid,
                name,
                environments,
            } = read(body)?;
            let change = ProjectChange {
                name,
                environments: Some(environments),
            };
            let made = api
                .blocking(move |store| store.create_project(&sid, &change))
                .await?;
            api.settle().await?;
            shown(api, 201, &made)
        }
        Asked::Change(sid) => {
            let ChangeBody { name, environments } = read(body)?;
            let change = ProjectChange { name, environments };
            let after = api
                .blocking(move |store| store.set_project(&sid, &change))
                .await?;
            api.settle().await?;
            shown(api, 200, &after)
        }
        Asked::Delete(sid) => {
            api.blocking(move |store| store.delete_project(&sid))
                .await?;
            api.settle().await?;
            Ok(Response::empty(204))
        }
    }
}

/// One, with the tag of what is said of it.
fn shown(api: &Api, status: u16, own: &ProjectListing) -> Result<Response, Problem> {
    let tag = touching::project_tag(&api.store.workspace(), &own.sid);
    Ok(Response {
        etag: Some(format!("\"{tag}\"")),
        ..Response::json(status, own)?
    })
}

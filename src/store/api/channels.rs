//! What does the store answer about channels?
//!
//! Those somebody described and those that are only deployed on, with the
//! attributes their requests are known to carry. What is said of one is
//! replaced as a whole.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Api, Response,
    admin::read,
    paging::{paged, told},
    problem::Problem,
    route::{Admin, Query, allowed, decoded},
};
use crate::store::{Channel, Workspace, paging::CHANNELS, touching};

/// What is asked of channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    List,
    Show(String),
    Put(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    exclusive: bool,
    #[serde(default)]
    attributes: Vec<String>,
}

pub(super) fn route(method: &str, rest: &[&str]) -> Result<Option<Admin>, Problem> {
    let (expected, asked) = match (rest, method) {
        ([], _) => ("GET", Asked::List),
        ([name], "PUT") => ("PUT", Asked::Put(decoded(name)?)),
        ([name], "GET") => ("GET", Asked::Show(decoded(name)?)),
        ([name], _) => ("GET, PUT", Asked::Show(decoded(name)?)),
        _ => return Ok(None),
    };
    allowed(method, expected).map(|()| Some(Admin::Channels(asked)))
}

pub(super) async fn answer(
    api: &Api,
    asked: Asked,
    body: &bytes::Bytes,
) -> Result<Response, Problem> {
    let name = match asked {
        // Answered before.
        Asked::List => return Ok(Response::empty(204)),
        Asked::Show(name) => return shown(api, &name),
        Asked::Put(name) => name,
    };
    let Body {
        exclusive,
        attributes,
    } = read(body)?;
    let channel = Channel {
        name: name.clone(),
        exclusive,
        attributes,
    };
    api.blocking(move |store| store.put_channel(channel))
        .await?;
    api.settle().await?;
    shown(api, &name)
}

/// One, with the tag of what is said of it: an empty one when nothing is.
fn shown(api: &Api, name: &str) -> Result<Response, Problem> {
    let workspace = api.store.workspace();
    let names = names(&workspace);
    if !names.contains(name) {
        let detail = format!("channel {name:?} is neither described nor deployed on");
        return Err(Problem::new(404, "unknown-channel", detail)
            .found(name)
            .expected(&match names.is_empty() {
                true => "none: there are no channels yet".to_owned(),
                false => {
                    let names: Vec<&str> = names.into_iter().collect();
                    format!("one of: {}", names.join(", "))
                }
            }));
    }
    let tag = touching::channel_tag(&workspace, name);
    Ok(Response {
        etag: Some(format!("\"{tag}\"")),
        ..Response::json(200, &row(&workspace, name))?
    })
}

/// A page of them, by name.
pub(super) fn list(api: &Api, query: &Query) -> Result<Response, Problem> {
    let ([], ask) = paged(query, CHANNELS, [])?;
    let workspace = api.store.workspace();
    let page = CHANNELS.page(&ask, names(&workspace), |name| (*name).to_owned())?;
    told(CHANNELS, &page.map(|name| row(&workspace, name)))
}

/// Of all that somebody described or deployed on.
fn names(workspace: &Workspace) -> BTreeSet<&str> {
    let deployed = workspace.deployments.values().map(|own| &own.channel);
    let names = workspace.channels.keys().chain(deployed);
    names.map(String::as_str).collect()
}

fn row(workspace: &Workspace, name: &str) -> Value {
    let own = workspace.channels.get(name);
    let deployments = workspace.deployments.values();
    let deployments: Vec<&str> = deployments
        .filter(|deployment| deployment.channel == name)
        .map(|deployment| deployment.name.as_str())
        .collect();
    json!({
        "name": name, "described": own.is_some(),
        "exclusive": own.is_some_and(|own| own.exclusive),
        "attributes": own.map(|own| own.attributes.clone()).unwrap_or_default(),
        "deployments": deployments,
    })
}

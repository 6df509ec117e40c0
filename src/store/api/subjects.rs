//! What does the store answer about one user, or one group?
//!
//! Finding users, showing what one sees and why, and what an operator may do to
//! them: begin a flow anew, move them, erase them. The answer to a change is
//! what they see afterwards.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Api, Response, admin,
    paging::paged,
    problem::Problem,
    route::{Admin, Query, allowed, decoded, parameters, subject},
};
use crate::{
    progress::event::UserDocument,
    store::{Store, UserSearch, Where, paging::FOUND_USERS},
};

/// What is asked, in which environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Find,
    Show(String),
    Reset(String),
    Move(String),
    Erase(String),
    Group(String),
    EraseGroup(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetBody {
    flow: String,
    #[serde(default)]
    version: Option<u32>,
    #[serde(default)]
    conversation: Option<String>,
    /// Whatever the entry condition says.
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveBody {
    flow: String,
    /// Where to.
    to: u32,
    /// The version they stand in now; without it the newest.
    #[serde(default)]
    from: Option<u32>,
    #[serde(default)]
    conversation: Option<String>,
    /// Sids of the blocks they are to stand on; none carries over where they
    /// stand.
    #[serde(default)]
    blocks: Vec<String>,
}

/// Whether a path behind an environment is about users or groups.
pub(super) fn are_asked(rest: &[&str]) -> bool {
    matches!(rest, ["users" | "users:find" | "groups", ..])
}

/// Routes under `environments/{env}/`.
pub(super) fn route(
    method: &str,
    environment: &str,
    rest: &[&str],
) -> Result<Option<Admin>, Problem> {
    let (expected, asked) = match (rest, method) {
        (["users:find"], _) => ("GET", Asked::Find),
        (["users", id], "DELETE") => ("DELETE", Asked::Erase(subject(id)?)),
        (["users", id], "GET") => ("GET", Asked::Show(subject(id)?)),
        (["users", id], _) => ("GET, DELETE", Asked::Show(subject(id)?)),
        (["users", id, "reset"], _) => ("POST", Asked::Reset(subject(id)?)),
        (["users", id, "move"], _) => ("POST", Asked::Move(subject(id)?)),
        (["groups", id], "DELETE") => ("DELETE", Asked::EraseGroup(subject(id)?)),
        (["groups", id], "GET") => ("GET", Asked::Group(subject(id)?)),
        (["groups", id], _) => ("GET, DELETE", Asked::Group(subject(id)?)),
        _ => return Ok(None),
    };
    allowed(method, expected)?;
    Ok(Some(Admin::Subject(decoded(environment)?, asked)))
}

/// Answers what is asked of users and groups.
pub(super) async fn answer(
    api: &Api,
    environment: String,
    asked: Asked,
    query: &Query,
    body: Bytes,
) -> Result<Response, Problem> {
    if asked == Asked::Find {
        return find(api, environment, query).await;
    }
    let [flow, after] = match asked {
        Asked::Show(_) => parameters(query, ["flow", "after"])?,
        _ => {
            let [] = parameters(query, [])?;
            [None, None]
        }
    };
    let work = move |store: &Store| {
        let seen = |document: &UserDocument, only: Option<&str>, after: &str| {
            shown(store, &environment, document, (only, after))
        };
        match asked {
            Asked::Find => Err(Problem::new(404, "unknown-route", "no such question")),
            Asked::Show(id) => {
                let document = store.user(&environment, &id)?;
                seen(&document, flow.as_deref(), &after.unwrap_or_default())
            }
            Asked::Reset(id) => {
                let body: ResetBody = admin::read(&body)?;
                let wanted = Where {
                    flow: body.flow,
                    version: body.version,
                    conversation: body.conversation,
                };
                let document = store.reset_user(&environment, &id, &wanted, body.force)?;
                seen(&document, Some(&wanted.flow), "")
            }
            Asked::Move(id) => {
                let body: MoveBody = admin::read(&body)?;
                let wanted = Where {
                    flow: body.flow,
                    version: body.from,
                    conversation: body.conversation,
                };
                let to = (body.to, &*body.blocks);
                let document = store.move_user(&environment, &id, &wanted, to)?;
                seen(&document, Some(&wanted.flow), "")
            }
            Asked::Erase(id) => Ok(json!(store.erase_user(&environment, &id)?)),
            Asked::Group(id) => Ok(json!(store.group(&environment, &id)?)),
            Asked::EraseGroup(id) => Ok(json!(store.erase_group(&environment, &id)?)),
        }
    };
    Response::json(200, &api.blocking(work).await?)
}

/// A user's document with what they see of flows.
fn shown(
    store: &Store,
    environment: &str,
    document: &UserDocument,
    which: (Option<&str>, &str),
) -> Result<Value, Problem> {
    let standings = store.user_standings(environment, document, which)?;
    let named = admin::with_sids(&store.workspace(), document);
    let mut answer = named.map_err(|error| Problem::internal(&error))?;
    answer["standings"] = json!(standings.standings);
    answer["next_flow"] = json!(standings.next_flow);
    Ok(answer)
}

async fn find(api: &Api, environment: String, query: &Query) -> Result<Response, Problem> {
    let known = ["prefix", "contains", "property", "group"];
    let ([prefix, contains, property, group], page) = paged(query, FOUND_USERS, known)?;
    let property = property.map(|text| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text, None),
    });
    let search = UserSearch {
        prefix,
        contains,
        property,
        group,
        page,
    };
    let work = move |store: &Store| store.find_users(&environment, &search);
    Response::json(200, &api.blocking(work).await?)
}

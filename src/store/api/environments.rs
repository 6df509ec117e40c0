//! What does the store answer about environments?
//!
//! Which there are, making, cloning and deleting them, and everything that is
//! said of one. Members that are left out of a change stay as they are.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::{
    Api, Response,
    admin::{read, revision},
    paging::{self, paged},
    problem::Problem,
    route::{Query, allowed, decoded, parameters},
};
use crate::{
    http::json::Object,
    snapshot::wire::{EnvironmentType, UnsignedUsers},
    store::{
        AccessChange, CloneTerms, Environment, EnvironmentChange, NewEnvironment, NewUserKey,
        Workspace, known_environment, paging::ENVIRONMENTS, touching,
    },
};

/// What is asked of environments, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    List,
    Create,
    Show(String),
    Set(String),
    Clone(String),
    Delete(String),
}

/// Finds it behind `environments/`; what stands deeper is not said here.
pub(super) fn route(method: &str, rest: &[&str]) -> Result<Option<Asked>, Problem> {
    let (expected, asked) = match (rest, method) {
        ([], "POST") => ("POST", Asked::Create),
        ([], "GET") => ("GET", Asked::List),
        ([], _) => ("GET, POST", Asked::List),
        ([name], "POST") => ("POST", Asked::Set(decoded(name)?)),
        ([name], "DELETE") => ("DELETE", Asked::Delete(decoded(name)?)),
        ([name], "GET") => ("GET", Asked::Show(decoded(name)?)),
        ([name], _) => ("GET, POST, DELETE", Asked::Show(decoded(name)?)),
        ([name, "clone"], _) => ("POST", Asked::Clone(decoded(name)?)),
        _ => return Ok(None),
    };
    allowed(method, expected).map(|()| Some(asked))
}

/// An environment as authors read it.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    environment: Environment,
    revision: String,
    /// Edges that reported within a day.
    edges: usize,
    /// With its quotes, for `If-Match`.
    etag: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: String,
    #[serde(rename = "type")]
    kind: EnvironmentType,
    #[serde(default)]
    drafts: Option<bool>,
}

/// A change of an environment; what is left out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBody {
    #[serde(default, rename = "type")]
    kind: Option<EnvironmentType>,
    #[serde(default)]
    drafts: Option<bool>,
    #[serde(default)]
    deprecated: Option<bool>,
    #[serde(default)]
    confirm_changes: Option<bool>,
    /// `null` takes the choice back.
    #[serde(default, deserialize_with = "given")]
    unsigned_users: Option<Option<UnsignedUsers>>,
    #[serde(default)]
    add_user_keys: Vec<Object<UserKeyBody>>,
    #[serde(default)]
    remove_user_keys: Vec<String>,
    #[serde(default)]
    refuse_force: Option<bool>,
    /// `null` lets browsers set every property.
    #[serde(default, deserialize_with = "given")]
    browser_properties: Option<Option<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserKeyBody {
    #[serde(default)]
    id: Option<String>,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloneBody {
    name: String,
    #[serde(default, rename = "type")]
    kind: Option<EnvironmentType>,
    #[serde(default)]
    drafts: Option<bool>,
    /// Left out: all that are active in the one that is cloned.
    #[serde(default)]
    projects: Option<Vec<String>>,
    #[serde(default)]
    access: bool,
    #[serde(default)]
    keys: bool,
}

/// A member that is there, also as `null`.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Answers one of them.
pub(super) async fn answer(
    api: &Api,
    asked: Asked,
    query: &Query,
    body: &bytes::Bytes,
) -> Result<Response, Problem> {
    if let Asked::Delete(name) = asked {
        let [force] = parameters(query, ["force"])?;
        return delete(api, name, force).await;
    }
    if asked == Asked::List {
        return list(api, query);
    }
    let [] = parameters(query, [])?;
    match asked {
        Asked::Show(name) => show(api, 200, &name),
        Asked::Create => {
            let body: CreateBody = read(body)?;
            let new = NewEnvironment {
                name: body.name,
                kind: body.kind,
                drafts: body.drafts,
            };
            let made = api
                .blocking(move |store| store.create_environment(&new))
                .await?;
            api.settle().await?;
            show(api, 201, &made.name)
        }
        Asked::Set(name) => {
            let change = read::<SetBody>(body)?.change();
            let place = name.clone();
            api.blocking(move |store| store.set_environment(&place, &change))
                .await?;
            api.settle().await?;
            show(api, 200, &name)
        }
        Asked::Clone(name) => {
            let body: CloneBody = read(body)?;
            let terms = CloneTerms {
                name: body.name,
                kind: body.kind,
                drafts: body.drafts,
                projects: body.projects,
                access: body.access,
                keys: body.keys,
            };
            let cloned = api
                .blocking(move |store| store.clone_environment(&name, &terms))
                .await?;
            api.settle().await?;
            Response::json(201, &cloned)
        }
        // Answered above.
        Asked::List | Asked::Delete(_) => Ok(Response::empty(204)),
    }
}

impl SetBody {
    fn change(self) -> EnvironmentChange {
        let new_key = |Object(key): Object<UserKeyBody>| NewUserKey {
            id: key.id,
            key: key.key,
        };
        EnvironmentChange {
            kind: self.kind,
            drafts: self.drafts,
            deprecated: self.deprecated,
            confirm_changes: self.confirm_changes,
            access: AccessChange {
                unsigned_users: self.unsigned_users,
                add_user_keys: self.add_user_keys.into_iter().map(new_key).collect(),
                remove_user_keys: self.remove_user_keys,
                refuse_force: self.refuse_force,
                browser_properties: self.browser_properties,
            },
        }
    }
}

async fn delete(api: &Api, name: String, force: Option<String>) -> Result<Response, Problem> {
    let force = match force.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            return Err(Problem::new(
                400,
                "malformed-parameter",
                "force is neither true nor false",
            )
            .found(other)
            .expected("true or false"));
        }
    };
    let deleted = name.clone();
    api.blocking(move |store| store.delete_environment(&deleted, force))
        .await?;
    api.settle().await?;
    Response::json(200, &json!({"deleted": name}))
}

/// By name.
fn list(api: &Api, query: &Query) -> Result<Response, Problem> {
    let ([], ask) = paged(query, ENVIRONMENTS, [])?;
    let workspace = api.store.workspace();
    let mut all: Vec<&Environment> = workspace.environments.iter().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let page = ENVIRONMENTS.page(&ask, all, |own| own.name.clone())?;
    paging::told(ENVIRONMENTS, &page.map(|own| told(api, &workspace, own)))
}

fn show(api: &Api, status: u16, name: &str) -> Result<Response, Problem> {
    let workspace = api.store.workspace();
    let environment = known_environment(&workspace, name)?;
    Response::json(status, &told(api, &workspace, environment))
}

fn told(api: &Api, workspace: &Workspace, environment: &Environment) -> Answer {
    let tag = touching::environment_tag(workspace, &environment.uid);
    Answer {
        environment: environment.clone(),
        revision: revision(api, &environment.name).unwrap_or_default(),
        edges: api.store.edges_heard(&environment.name).len(),
        etag: format!("\"{tag}\""),
    }
}

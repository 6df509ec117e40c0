//! What does the store answer to an author?
//!
//! Imports, exports, keys and the look at one user. Whoever comes here has an
//! `admin` key; a change is answered only when it is published.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Api, Response, audit, channels, deployments, environments, flows, funnel,
    paging::{paged, told},
    problem::Problem,
    projects,
    route::{Admin, Query, parameters},
    subjects, usage, users, webhooks,
};
use crate::{
    clock::UnixMs,
    http::json::Object,
    progress::event::UserDocument,
    store::{
        Change, Fault, ImportReport, KeyName, KeyTerms, Role, SourceFile, StoredKeyKind,
        UnleashTerms, Workspace,
        paging::{EDGES, KEYS},
    },
};

/// The body of an import: several files, or one project file as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportBody {
    files: Vec<SourceFile>,
}

/// Exports of an Unleash server, and where they are to go.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnleashBody {
    files: Vec<SourceFile>,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    environments: BTreeMap<String, String>,
}

/// What an import did, and the revisions in force after it.
#[derive(Serialize)]
struct ImportAnswer {
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<Fault>,
    revisions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    kind: StoredKeyKind,
    #[serde(default)]
    environment: Option<String>,
    name: String,
    #[serde(default)]
    projects: Vec<String>,
    /// Every request with it comes over this channel.
    #[serde(default)]
    channel: Option<String>,
    /// Whose pages may use it.
    #[serde(default)]
    origins: Vec<String>,
    /// What an admin key may do; everything when nothing is said.
    #[serde(default)]
    role: Option<Role>,
    /// Where it may do that; everywhere when nothing is said.
    #[serde(default)]
    environments: Vec<String>,
    /// A text from elsewhere that becomes the key.
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    kind: StoredKeyKind,
    #[serde(default)]
    environment: Option<String>,
    name: String,
    /// When the old secrets end; without it they work until they are revoked.
    #[serde(default)]
    overlap_until_ms: Option<UnixMs>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeBody {
    kind: StoredKeyKind,
    #[serde(default)]
    environment: Option<String>,
    name: String,
    /// Only the secret with these last characters.
    #[serde(default)]
    last: Option<String>,
}

/// Answers one request of an author whose key was checked.
pub(super) async fn answer(
    api: &Api,
    route: Admin,
    query: &Query,
    body: Bytes,
) -> Result<Response, Problem> {
    match route {
        Admin::Export => {
            let [environment] = parameters(query, ["environment"])?;
            let text = api
                .blocking(move |store| store.export(environment.as_deref()))
                .await?;
            return Ok(Response::of(200, "application/yaml", text.into()));
        }
        Admin::Keys => {
            let ([environment], ask) = paged(query, KEYS, ["environment"])?;
            return told(KEYS, &api.store.keys_page(environment.as_deref(), &ask)?);
        }
        Admin::Edges => {
            let ([environment], ask) = paged(query, EDGES, ["environment"])?;
            return told(EDGES, &api.store.edges(environment.as_deref(), &ask)?);
        }
        Admin::User(id) => {
            let [environment] = parameters(query, ["environment"])?;
            let environment = environment.ok_or_else(|| {
                Problem::new(400, "missing-parameter", "the environment is not named")
                    .expected("?environment=NAME")
            })?;
            let found = api
                .blocking(move |store| {
                    let document = store.user(&environment, &id)?;
                    with_sids(&store.workspace(), &document)
                        .map_err(|error| Problem::internal(&error))
                })
                .await?;
            return Response::json(200, &found);
        }
        Admin::ExportUsers(environment) => {
            return users::export(api, environment, query).await;
        }
        Admin::Usage(asked) => return usage::answer(api, asked, query).await,
        Admin::Webhooks(environment) => {
            return webhooks::list(api, environment, query).await;
        }
        Admin::Audit(asked) => return audit::answer(api, asked, query).await,
        Admin::Environments(asked) => {
            return environments::answer(api, asked, query, &body).await;
        }
        Admin::Funnel(sid) => return funnel::answer(api, sid, query).await,
        Admin::Subject(environment, asked) => {
            return subjects::answer(api, environment, asked, query, body).await;
        }
        Admin::Deployments(asked) => {
            return deployments::answer(api, asked, query, body).await;
        }
        Admin::Projects(projects::Asked::List) => return projects::list(api, query),
        Admin::Channels(channels::Asked::List) => return channels::list(api, query),
        Admin::Flows => return flows::list(api, query),
        Admin::FlowVersions(sid) => return flows::versions(api, &sid, query),
        _ => {}
    }
    let [] = parameters(query, [])?;
    match route {
        Admin::Import => import(api, body).await,
        Admin::ImportUnleash => import_unleash(api, &body).await,
        Admin::CreateKey => {
            let body: CreateBody = read(&body)?;
            let name = named(body.kind, body.environment, body.name);
            let terms = KeyTerms {
                projects: body.projects,
                channel: body.channel,
                origins: body.origins,
                role: body.role,
                environments: body.environments,
            };
            let made = api
                .blocking(move |store| store.create_key_on(&name, &terms, body.text.as_deref()))
                .await?;
            api.settle().await?;
            Response::json(201, &made)
        }
        Admin::RotateKey => {
            let body: RotateBody = read(&body)?;
            let name = named(body.kind, body.environment, body.name);
            let made = api
                .blocking(move |store| store.rotate_key(&name, body.overlap_until_ms))
                .await?;
            api.settle().await?;
            Response::json(201, &made)
        }
        Admin::RevokeKey => {
            let body: RevokeBody = read(&body)?;
            let name = named(body.kind, body.environment, body.name);
            let ended = api
                .blocking(move |store| store.revoke_key(&name, body.last.as_deref()))
                .await?;
            api.settle().await?;
            Response::json(200, &ended)
        }
        Admin::Projects(asked) => projects::answer(api, asked, &body).await,
        Admin::ImportUsers(environment) => users::import(api, environment, body).await,
        Admin::RetryWebhook(environment, id) => webhooks::retry(api, environment, id).await,
        Admin::Flow(sid) => flows::show(api, &sid),
        Admin::Channels(asked) => channels::answer(api, asked, &body).await,
        Admin::FlowStatus(sid) => flows::status(api, sid, &body).await,
        Admin::ConfirmRelease(environment, version) => confirm(api, environment, version).await,
        // The rest was answered above, and drafts before that.
        Admin::Environments(_)
        | Admin::Draft(_)
        | Admin::Audit(_)
        | Admin::Flag(_)
        | Admin::Flows
        | Admin::FlowVersions(_)
        | Admin::Edges
        | Admin::ExportUsers(_)
        | Admin::Export
        | Admin::Keys
        | Admin::Deployments(_)
        | Admin::Funnel(_)
        | Admin::Subject(..)
        | Admin::Webhooks(_)
        | Admin::Usage(_)
        | Admin::User(_) => Ok(Response::empty(204)),
    }
}

/// A user's document as an author reads it: with a `sid` beside every uid of
/// a flow or block that the store has.
pub(super) fn with_sids(
    workspace: &Workspace,
    document: &UserDocument,
) -> Result<Value, serde_json::Error> {
    let mut answer = serde_json::to_value(document)?;
    let flows = answer["flows"].as_array_mut().into_iter().flatten();
    for (named, state) in flows.zip(&document.flows) {
        let Some(flow) = workspace.flow_by_uid(&state.flow) else {
            continue;
        };
        named["sid"] = flow.sid.as_str().into();
        let Some(version) = flow.versions.get(&state.version) else {
            continue;
        };
        let sids: HashMap<&str, &str> = version
            .part
            .blocks
            .iter()
            .map(|block| (block.uid.as_str(), block.sid.as_str()))
            .collect();
        let blocks = named["blocks"].as_array_mut().into_iter().flatten();
        for (named, state) in blocks.zip(&state.blocks) {
            if let Some(sid) = sids.get(state.block.as_str()) {
                named["sid"] = (*sid).into();
            }
        }
    }
    Ok(answer)
}

/// Ends the hold of a release wherever edges hold it back.
async fn confirm(api: &Api, environment: String, version: u64) -> Result<Response, Problem> {
    let name = environment.clone();
    let revision = api
        .blocking(move |store| store.confirm_release(&name, version))
        .await?;
    let revision = revision.to_string();
    let answer = json!({"environment": environment, "release": version, "revision": revision});
    Response::json(200, &answer)
}

async fn import(api: &Api, body: Bytes) -> Result<Response, Problem> {
    let report = api
        .blocking(move |store| Ok::<_, Problem>(store.import(&files(body)?)?))
        .await?;
    imported(api, report).await
}

async fn import_unleash(api: &Api, body: &Bytes) -> Result<Response, Problem> {
    let body: UnleashBody = read(body)?;
    let terms = UnleashTerms {
        environment: body.environment,
        environments: body.environments,
    };
    let report = api
        .blocking(move |store| store.import_unleash(&body.files, &terms))
        .await?;
    imported(api, report).await
}

async fn imported(api: &Api, report: ImportReport) -> Result<Response, Problem> {
    api.settle().await?;
    let answer = ImportAnswer {
        changes: report.changes,
        notices: report.notices,
        revisions: revisions(api),
    };
    Response::json(200, &answer)
}

/// The files of an import's body.
fn files(body: Bytes) -> Result<Vec<SourceFile>, Problem> {
    if let Ok(Object(body)) = serde_json::from_slice::<Object<ImportBody>>(&body) {
        return Ok(body.files);
    }
    let content = String::from_utf8(body.into()).map_err(|_| {
        Problem::new(400, "malformed-body", "the body is not UTF-8 text")
            .expected("a project file, or {\"files\":[{\"name\":…,\"content\":…}]}")
    })?;
    let name = "body".to_owned();
    Ok(vec![SourceFile { name, content }])
}

fn revisions(api: &Api) -> BTreeMap<String, String> {
    let workspace = api.store.workspace();
    let names = workspace.environments.iter().map(|own| own.name.clone());
    names
        .filter_map(|name| {
            let current = revision(api, &name)?;
            Some((name, current))
        })
        .collect()
}

/// What is in force in an environment.
pub(super) fn revision(api: &Api, environment: &str) -> Option<String> {
    Some(
        api.store
            .watch(environment)
            .ok()?
            .borrow()
            .revision
            .to_string(),
    )
}

fn named(kind: StoredKeyKind, environment: Option<String>, name: String) -> KeyName {
    KeyName {
        kind,
        environment,
        name,
    }
}

/// Reads a body; a refusal names the member that it is about.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let malformed =
        |found: &str| Problem::new(400, "malformed-body", "the body cannot be read").found(found);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let Object(read) = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = error.path().to_string();
        match place.as_str() {
            "." => malformed(&error.inner().to_string()),
            place => malformed(&format!("{place}: {}", error.inner())),
        }
    })?;
    reader
        .end()
        .map_err(|error| malformed(&error.to_string()))?;
    Ok(read)
}

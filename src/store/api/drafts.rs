//! What does the store answer to whoever works on a flow?
//!
//! Making, renaming and deleting it, its draft and its versions. Versions are
//! text as in project files, YAML or JSON, under a strong entity tag: a draft
//! is replaced only by whoever says which one was read (`If-Match`), so that
//! nobody's work is lost to another author's. With `dryRun=true` everything is
//! checked and nothing is written.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Api, Request, Response,
    admin::read,
    problem::Problem,
    route::{Query, parameters},
    terms,
};
use crate::{
    http::json::Object,
    snapshot::wire::Migration,
    store::{
        Commit, ImportReport, NewFlow, Pretend, PretendStep, SeenVersion, Terms, Which, Written,
    },
};

/// What is asked about one flow, by its sid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Create,
    Rename(String),
    Delete(String),
    /// With the version, as it stands in the path.
    Version(String, String),
    PutDraft(String),
    Commit(String),
    Restore(String),
    /// With the version.
    Content(String, String),
    /// With the version and its environment.
    Follow(String, String),
    Compare(String),
    Try(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    sid: String,
    project: String,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenameBody {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommitBody {
    message: String,
    #[serde(default)]
    author: Option<String>,
    #[serde(default)]
    migration: Option<Migration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoreBody {
    version: Value,
    #[serde(default)]
    discard: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TryBody {
    #[serde(default)]
    version: Option<Value>,
    #[serde(default)]
    user: Map<String, Value>,
    #[serde(default)]
    group: Option<Map<String, Value>>,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    steps: Vec<Object<StepBody>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepBody {
    block: String,
    transitions: Vec<String>,
}

/// Answers one of them; `actor` is the name of the key it is asked with.
pub(super) async fn answer(
    api: &Api,
    asked: Asked,
    query: &Query,
    actor: String,
    request: Request,
) -> Result<Response, Problem> {
    if let Asked::Version(sid, number) = asked {
        let [] = parameters(query, [])?;
        return version(api, sid, &number).await;
    }
    if let Asked::Compare(sid) = asked {
        return compare(api, sid, query).await;
    }
    let [] = parameters(query, [])?;
    let dry_run = api.store.is_trial();
    let condition = request.if_match.as_deref();
    let terms = Terms {
        tag: condition.map(terms::tag).transpose()?.flatten(),
    };
    let body = request.body;
    match asked {
        Asked::Create => {
            let CreateBody { sid, project, name } = read(&body)?;
            let new = NewFlow { sid, project, name };
            let report = api.blocking(move |store| store.create_flow(&new)).await?;
            reported(api, 201, dry_run, report).await
        }
        Asked::Rename(sid) => {
            let RenameBody { name } = read(&body)?;
            let report = api
                .blocking(move |store| store.rename_flow(&sid, &name))
                .await?;
            reported(api, 200, dry_run, report).await
        }
        Asked::Delete(sid) => {
            api.blocking(move |store| store.delete_flow(&sid)).await?;
            api.settle().await?;
            Ok(Response::empty(204))
        }
        Asked::PutDraft(sid) => {
            if request.if_match.is_none() {
                return Err(Problem::new(
                    428,
                    "precondition-required",
                    "a draft is replaced by whoever says which one was read",
                )
                .found("no If-Match")
                .expected("If-Match with the ETag of GET, or * for any draft"));
            }
            let text = utf8(&body)?;
            let written = api
                .blocking(move |store| store.put_draft(&sid, &text, &terms))
                .await?;
            told(api, dry_run, written).await
        }
        Asked::Content(sid, number) => {
            let (number, environment) = committed(&number)?;
            let text = utf8(&body)?;
            let written = api
                .blocking(move |store| {
                    let place = (number, environment.as_deref());
                    store.deploy_content(&sid, place, &text, &terms)
                })
                .await?;
            told(api, dry_run, written).await
        }
        Asked::Follow(sid, number) => {
            let (number, Some(environment)) = committed(&number)? else {
                return Err(not_a_version("a version that all environments see"));
            };
            let written = api
                .blocking(move |store| store.follow_content(&sid, (number, &environment), &terms))
                .await?;
            told(api, dry_run, written).await
        }
        Asked::Commit(sid) => {
            let body: CommitBody = read(&body)?;
            let commit = Commit {
                message: body.message,
                author: body.author.unwrap_or(actor),
                migration: body.migration,
            };
            let written = api
                .blocking(move |store| store.commit_draft(&sid, &commit, &terms))
                .await?;
            told(api, dry_run, written).await
        }
        Asked::Restore(sid) => {
            let body: RestoreBody = read(&body)?;
            let from = which(&body.version)?;
            let written = api
                .blocking(move |store| store.restore_draft(&sid, from, body.discard, &terms))
                .await?;
            told(api, dry_run, written).await
        }
        Asked::Try(sid) => walk(api, sid, read(&body)?).await,
        // Answered above.
        Asked::Version(..) | Asked::Compare(_) => Ok(Response::empty(204)),
    }
}

async fn version(api: &Api, sid: String, number: &str) -> Result<Response, Problem> {
    let seen = seen(number)?;
    let found = api
        .blocking(move |store| store.seen_text(&sid, &seen))
        .await?;
    Ok(Response {
        etag: Some(format!("\"{}\"", found.tag)),
        ..Response::of(200, "application/yaml", found.text.into())
    })
}

async fn compare(api: &Api, sid: String, query: &Query) -> Result<Response, Problem> {
    let [from, to] = parameters(query, ["from", "to"])?;
    let end = |text: Option<String>, usual: &str| seen(text.as_deref().unwrap_or(usual));
    let (from, to) = (end(from, "latest")?, end(to, "draft")?);
    let ends = (from.to_string(), to.to_string());
    let found = api
        .blocking(move |store| store.compare_seen(&sid, &from, &to))
        .await?;
    Response::json(
        200,
        &json!({"from": ends.0, "to": ends.1, "differences": found}),
    )
}

async fn walk(api: &Api, sid: String, body: TryBody) -> Result<Response, Problem> {
    let which = body.version.as_ref().map_or(Ok(Which::Draft), which)?;
    let steps = body.steps.into_iter().map(|Object(step)| PretendStep {
        block: step.block,
        transitions: step.transitions,
    });
    let steps: Vec<PretendStep> = steps.collect();
    let pretend = Pretend {
        user: body.user,
        group: body.group,
        now: api.store.now_ms(),
        force: body.force,
    };
    let tried = api
        .blocking(move |store| store.try_flow(&sid, which, &pretend, &steps))
        .await?;
    Response::json(200, &json!({"version": which.to_string(), "steps": tried}))
}

async fn reported(
    api: &Api,
    status: u16,
    dry_run: bool,
    report: ImportReport,
) -> Result<Response, Problem> {
    api.settle().await?;
    let answer = json!({"dryRun": dry_run, "changes": report.changes, "notices": report.notices});
    Response::json(if dry_run { 200 } else { status }, &answer)
}

async fn told(api: &Api, dry_run: bool, written: Written) -> Result<Response, Problem> {
    api.settle().await?;
    let answer = json!({
        "version": written.version, "dryRun": dry_run, "changes": written.report.changes,
        "notices": written.report.notices, "differences": written.differences,
    });
    let response = Response::json(200, &answer)?;
    Ok(Response {
        // Nothing has this tag after a dry run.
        etag: (!dry_run).then(|| format!("\"{}\"", written.tag)),
        ..response
    })
}

/// `draft`, `latest` or a number.
fn which(value: &Value) -> Result<Which, Problem> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Which::named(&text).ok_or_else(|| not_a_version(&text))
}

/// The same, and perhaps `@` and the environment whose content is meant.
fn seen(text: &str) -> Result<SeenVersion, Problem> {
    SeenVersion::named(text).ok_or_else(|| not_a_version(text))
}

/// The number of a committed version, and perhaps the environment.
fn committed(text: &str) -> Result<(u32, Option<String>), Problem> {
    match seen(text)? {
        SeenVersion {
            which: Which::Number(number),
            environment,
        } => Ok((number, environment)),
        _ => Err(not_a_version("a version that is not committed")),
    }
}

fn not_a_version(found: &str) -> Problem {
    Problem::new(400, "malformed-version", "the version cannot be read")
        .found(found)
        .expected("draft, latest or a number, and perhaps @ENVIRONMENT")
}

fn utf8(body: &bytes::Bytes) -> Result<String, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| {
        Problem::new(400, "malformed-body", "the body is not UTF-8 text")
            .expected("a version as in a project file")
    })?;
    Ok(text.to_owned())
}

//! What does the store answer about flags and segments?
//!
//! Members have the names of project files, and whatever is written goes
//! through the import. A flag and a segment have a strong entity tag: to
//! replace the strategies of an environment, or take one out, one says which
//! state was read (`If-Match`). With `dryRun=true` everything is checked and
//! nothing is written.

use serde_json::{Value, json};

use super::{
    Api, Request, Response,
    paging::{paged, told},
    problem::Problem,
    route::{Admin, Query, allowed, decoded, parameters},
    terms::{tag, truth},
};
use crate::store::{
    Flag, ImportReport, Known, Segment, Store, StoreError, Terms, Workspace, export,
    flags::{editing::known, segments},
    paging::{FLAGS, SEGMENTS},
};

/// What is asked of flags and segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Flags,
    Create,
    Flag(String),
    Change(String),
    Archive(String),
    Revive(String),
    Delete(String),
    /// With the environment, and whether it is to be on.
    Switch(String, String, bool),
    /// With the environment.
    Strategies(String, String),
    PutStrategies(String, String),
    AddStrategy(String, String),
    /// And which, from 1 on.
    RemoveStrategy(String, String, String),
    Segments,
    CreateSegment,
    Segment(String),
    ChangeSegment(String),
    DeleteSegment(String),
}

/// The routes below `/admin/v1/flags`.
pub(super) fn flag_routes(method: &str, rest: &[&str]) -> Result<Option<Admin>, Problem> {
    let (expected, asked) = match (rest, method) {
        ([], "POST") => ("POST", Asked::Create),
        ([], "GET") => ("GET", Asked::Flags),
        ([], _) => ("GET, POST", Asked::Flags),
        ([name], "PATCH") => ("PATCH", Asked::Change(decoded(name)?)),
        ([name], "DELETE") => ("DELETE", Asked::Delete(decoded(name)?)),
        ([name], "GET") => ("GET", Asked::Flag(decoded(name)?)),
        ([name], _) => ("GET, PATCH, DELETE", Asked::Flag(decoded(name)?)),
        ([name, "archive"], _) => ("POST", Asked::Archive(decoded(name)?)),
        ([name, "revive"], _) => ("POST", Asked::Revive(decoded(name)?)),
        ([name, "environments", place, state @ ("on" | "off")], _) => {
            let (name, place) = (decoded(name)?, decoded(place)?);
            ("POST", Asked::Switch(name, place, *state == "on"))
        }
        ([name, "environments", place, "strategies"], _) => {
            let (name, place) = (decoded(name)?, decoded(place)?);
            match method {
                "GET" => ("GET", Asked::Strategies(name, place)),
                "PUT" => ("PUT", Asked::PutStrategies(name, place)),
                "POST" => ("POST", Asked::AddStrategy(name, place)),
                _ => ("GET, PUT, POST", Asked::Strategies(name, place)),
            }
        }
        ([name, "environments", place, "strategies", ordinal], _) => {
            let (name, place) = (decoded(name)?, decoded(place)?);
            (
                "DELETE",
                Asked::RemoveStrategy(name, place, decoded(ordinal)?),
            )
        }
        _ => return Ok(None),
    };
    allowed(method, expected).map(|()| Some(Admin::Flag(asked)))
}

/// The routes below `/admin/v1/segments`.
pub(super) fn segment_routes(method: &str, rest: &[&str]) -> Result<Option<Admin>, Problem> {
    let (expected, asked) = match (rest, method) {
        ([], "POST") => ("POST", Asked::CreateSegment),
        ([], "GET") => ("GET", Asked::Segments),
        ([], _) => ("GET, POST", Asked::Segments),
        ([which], "PATCH") => ("PATCH", Asked::ChangeSegment(decoded(which)?)),
        ([which], "DELETE") => ("DELETE", Asked::DeleteSegment(decoded(which)?)),
        ([which], "GET") => ("GET", Asked::Segment(decoded(which)?)),
        ([which], _) => ("GET, PATCH, DELETE", Asked::Segment(decoded(which)?)),
        _ => return Ok(None),
    };
    allowed(method, expected).map(|()| Some(Admin::Flag(asked)))
}

/// Answers one of them.
pub(super) async fn answer(
    api: &Api,
    asked: Asked,
    query: &Query,
    request: Request,
) -> Result<Response, Problem> {
    match &asked {
        Asked::Flags => return list(api, query).await,
        Asked::Segments => return list_segments(api, query),
        Asked::Flag(name) => return show(api, query, Told::Flag(name.clone())).await,
        Asked::Segment(which) => return show(api, query, Told::Segment(which.clone())).await,
        Asked::Strategies(name, place) => return strategies(api, query, name, place).await,
        Asked::PutStrategies(..) | Asked::RemoveStrategy(..) if request.if_match.is_none() => {
            return Err(Problem::new(
                428,
                "precondition-required",
                "strategies are replaced by whoever says which ones were read",
            )
            .found("no If-Match")
            .expected("If-Match with the ETag of GET, or * for any state"));
        }
        _ => {}
    }
    let [] = parameters(query, [])?;
    let dry_run = api.store.is_trial();
    let terms = Terms {
        tag: request.if_match.as_deref().map(tag).transpose()?.flatten(),
    };
    let text = utf8(&request.body)?;
    let made = matches!(asked, Asked::Create | Asked::CreateSegment);
    let (told, report) = api
        .blocking(move |store| act(store, asked, &text, &terms))
        .await?;
    if dry_run {
        let (changes, notices) = (report.changes, report.notices);
        let answer = json!({"dryRun": true, "changes": changes, "notices": notices});
        return Response::json(200, &answer);
    }
    api.settle().await?;
    let status = if made { 201 } else { 200 };
    api.blocking(move |store| shown(store, status, &told, Some(&report)))
        .await
}

/// What is shown after a change.
enum Told {
    Flag(String),
    Segment(String),
    Nothing,
}

/// Does what is asked, with the database at hand.
fn act(
    store: &Store,
    asked: Asked,
    text: &str,
    terms: &Terms,
) -> Result<(Told, ImportReport), Problem> {
    let (told, report) = match asked {
        Asked::Create => {
            let (name, report) = store.create_flag(text)?;
            (Told::Flag(name), report)
        }
        Asked::CreateSegment => {
            let (name, report) = store.create_segment(text)?;
            (Told::Segment(name), report)
        }
        Asked::Change(name) => {
            let report = store.change_flag(&name, text, terms)?;
            (Told::Flag(name), report)
        }
        Asked::Archive(name) => {
            let report = store.archive_flag(&name, terms)?;
            (Told::Flag(name), report)
        }
        Asked::Revive(name) => {
            let report = store.revive_flag(&name, terms)?;
            (Told::Flag(name), report)
        }
        Asked::Switch(name, place, on) => {
            let report = store.enable_flag(&name, &place, on, terms)?;
            (Told::Flag(name), report)
        }
        Asked::PutStrategies(name, place) => {
            let report = store.put_strategies((&name, &place), text, terms)?;
            (Told::Flag(name), report)
        }
        Asked::AddStrategy(name, place) => {
            let report = store.add_strategy((&name, &place), text, terms)?;
            (Told::Flag(name), report)
        }
        Asked::RemoveStrategy(name, place, ordinal) => {
            let ordinal = ordinal.parse().map_err(|_| {
                Problem::new(400, "malformed-number", "a strategy is named by its place")
                    .found(&ordinal)
                    .expected("a whole number from 1 on")
            })?;
            let report = store.remove_strategy((&name, &place), ordinal, terms)?;
            (Told::Flag(name), report)
        }
        Asked::Delete(name) => (Told::Nothing, store.delete_flag(&name, terms)?),
        Asked::ChangeSegment(which) => {
            let report = store.change_segment(&which, text, terms)?;
            // It may have another name now.
            let name = report.changes.first().map(|own| own.sid.clone());
            (Told::Segment(name.unwrap_or(which)), report)
        }
        Asked::DeleteSegment(which) => (Told::Nothing, store.delete_segment(&which, terms)?),
        // Answered before.
        Asked::Flags
        | Asked::Segments
        | Asked::Flag(_)
        | Asked::Segment(_)
        | Asked::Strategies(..) => (Told::Nothing, ImportReport::default()),
    };
    Ok((told, report))
}

async fn show(api: &Api, query: &Query, told: Told) -> Result<Response, Problem> {
    let [] = parameters(query, [])?;
    api.blocking(move |store| shown(store, 200, &told, None))
        .await
}

/// A flag or a segment with its tag, and what a change was.
fn shown(
    store: &Store,
    status: u16,
    told: &Told,
    report: Option<&ImportReport>,
) -> Result<Response, Problem> {
    let workspace = store.workspace();
    let (mut answer, tag) = match told {
        Told::Flag(name) => {
            let answer = flag_value(
                store,
                &workspace,
                known(&workspace, name).map_err(StoreError::from)?,
            )?;
            (answer, store.flag_text(name)?.tag)
        }
        Told::Segment(which) => {
            let segment = segments::known_segment(&workspace, which).map_err(StoreError::from)?;
            (
                segment_value(&workspace, segment)?,
                store.segment_text(which)?.tag,
            )
        }
        Told::Nothing => return Ok(Response::empty(204)),
    };
    if let Some(report) = report {
        answer["changes"] = json!(report.changes);
        answer["notices"] = json!(report.notices);
    }
    Ok(Response {
        etag: Some(format!("\"{tag}\"")),
        ..Response::json(status, &answer)?
    })
}

async fn list(api: &Api, query: &Query) -> Result<Response, Problem> {
    let ([project, archived], ask) = paged(query, FLAGS, ["project", "archived"])?;
    let archived = archived.map_or(Ok(false), |text| truth("archived", &text))?;
    api.blocking(move |store| {
        let workspace = store.workspace();
        let flags = workspace.flags.values().filter(|own| {
            own.archived_ms.is_some() == archived
                && project.as_ref().is_none_or(|wanted| *wanted == own.project)
        });
        let page = FLAGS.page(&ask, flags, |own| own.name.clone())?;
        let page = page.try_map(|own| flag_value(store, &workspace, own))?;
        told(FLAGS, &page)
    })
    .await
}

/// By number.
fn list_segments(api: &Api, query: &Query) -> Result<Response, Problem> {
    let ([], ask) = paged(query, SEGMENTS, [])?;
    let workspace = api.store.workspace();
    let segments = workspace.segments.values();
    let page = SEGMENTS.page(&ask, segments, |own| own.id)?;
    told(
        SEGMENTS,
        &page.try_map(|own| segment_value(&workspace, own))?,
    )
}

async fn strategies(
    api: &Api,
    query: &Query,
    name: &str,
    place: &str,
) -> Result<Response, Problem> {
    let [] = parameters(query, [])?;
    let (name, place) = (name.to_owned(), place.to_owned());
    api.blocking(move |store| {
        let workspace = store.workspace();
        crate::store::known_environment(&workspace, &place)?;
        let flag = known(&workspace, &name).map_err(StoreError::from)?;
        let whole = flag_value(store, &workspace, flag)?;
        let own = whole["environments"][&place]["strategies"].clone();
        Ok::<_, Problem>(Response {
            etag: Some(format!("\"{}\"", store.flag_text(&name)?.tag)),
            ..Response::json(200, &own)?
        })
    })
    .await
}

/// A flag as authors read it: the members of a project file, and what is known
/// beside them. Every environment is there.
fn flag_value(store: &Store, workspace: &Workspace, flag: &Flag) -> Result<Value, StoreError> {
    let mut answer = export::flag_value(workspace, flag)?;
    answer["project"] = json!(flag.project);
    answer["type"] = json!(flag.kind);
    for (member, given) in [
        ("stale", flag.stale),
        ("impressionData", flag.impression_data),
    ] {
        answer[member] = json!(given);
    }
    let known = Known::of(workspace, flag, |uid| store.flag_seen(uid, &flag.name))?;
    answer["stage"] = json!(known.stage());
    for environment in &workspace.environments {
        let own = &mut answer["environments"][&environment.name];
        if own.is_null() {
            *own = json!({"enabled": false});
        }
        if own["strategies"].is_null() {
            own["strategies"] = json!([]);
        }
    }
    Ok(answer)
}

fn segment_value(workspace: &Workspace, segment: &Segment) -> Result<Value, StoreError> {
    let mut answer = export::segment_value(segment)?;
    answer["project"] = json!(segment.project);
    answer["usedBy"] = json!(segments::users(workspace, segment.id));
    Ok(answer)
}

fn utf8(body: &bytes::Bytes) -> Result<String, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| {
        Problem::new(400, "malformed-body", "the body is not UTF-8 text")
            .expected("members as in a project file, JSON or YAML")
    })?;
    Ok(text.to_owned())
}

//! On which terms is a change asked for?
//!
//! Every route that changes something takes the same two: `?dryRun=true`, which
//! answers what would be and writes nothing, and `If-Match` with the tag of
//! what was read, where there is one. Both are taken off the request here,
//! before its own reader sees it, so that no route can forget them.

use serde_json::{Map, Value, json};

use super::{
    Api, Response, channels, deployments, drafts, environments, flags,
    permits::needs,
    problem::Problem,
    projects,
    route::{Admin, Query},
};
use crate::{
    limits::LATE_ENTRIES_MAX,
    store::{
        AuditChange, AuditFilter, Audited, PageAsk, Role, Store, Workspace, condition::Subject,
    },
};

/// Whether a route changes anything.
pub(super) fn changes(route: &Admin) -> bool {
    needs(route).role > Role::Viewer
}

/// Takes `dryRun` out of a query.
pub(super) fn dry_run(query: &mut Query) -> Result<bool, Problem> {
    let own: Vec<String> = query
        .iter()
        .filter(|(name, _)| name == "dryRun")
        .map(|(_, value)| value.clone())
        .collect();
    query.retain(|(name, _)| name != "dryRun");
    match own.as_slice() {
        [] => Ok(false),
        [one] => truth("dryRun", one),
        _ => Err(Problem::new(
            400,
            "repeated-parameter",
            "a parameter of the query is given twice",
        )
        .found("dryRun")
        .expected("one value")),
    }
}

/// `true` or `false`.
pub(super) fn truth(name: &str, text: &str) -> Result<bool, Problem> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Problem::new(
            400,
            "malformed-parameter",
            format!("{name} is neither true nor false"),
        )
        .found(text)
        .expected("true or false")),
    }
}

/// The tag of a condition; none of one that any state fulfils.
pub(super) fn tag(condition: &str) -> Result<Option<String>, Problem> {
    let condition = condition.trim();
    if condition == "*" {
        return Ok(None);
    }
    let inner = condition
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(tag) if !tag.contains('"') => Ok(Some(tag.to_owned())),
        _ => Err(
            Problem::new(400, "malformed-condition", "If-Match cannot be read")
                .found(condition)
                .expected("one strong entity tag in quotes, or *"),
        ),
    }
}

/// What a condition of this route is about; none where versions, flags and
/// segments have tags of their own, which go by their text.
pub(super) fn subject(route: &Admin, query: &Query, workspace: &Workspace) -> Option<Subject> {
    Some(match route {
        Admin::Environments(
            environments::Asked::Set(name)
            | environments::Asked::Clone(name)
            | environments::Asked::Delete(name),
        ) => Subject::Environment(name.clone()),
        Admin::Projects(projects::Asked::Change(sid) | projects::Asked::Delete(sid)) => {
            Subject::Project(sid.clone())
        }
        Admin::FlowStatus(sid)
        | Admin::Draft(drafts::Asked::Rename(sid) | drafts::Asked::Delete(sid)) => {
            Subject::Flow(sid.clone())
        }
        Admin::Deployments(
            deployments::Asked::Replace(which)
            | deployments::Asked::Change(which)
            | deployments::Asked::Activate(which)
            | deployments::Asked::Deactivate(which)
            | deployments::Asked::Delete(which),
        ) => {
            let place = query.iter().find(|(name, _)| name == "environment");
            let place = place.map(|(_, name)| name.as_str());
            let own = deployments::found(workspace, place, which).ok();
            // Of one that is not there the route itself has more to say.
            Subject::Deployment(own.map_or_else(|| which.clone(), |own| own.uid.clone()))
        }
        Admin::Channels(channels::Asked::Put(name)) => Subject::Channel(name.clone()),
        route if makes(route) => Subject::New,
        _ => return None,
    })
}

/// Whether a route makes something that is not there yet.
pub(super) fn makes(route: &Admin) -> bool {
    matches!(
        route,
        Admin::Environments(environments::Asked::Create | environments::Asked::Clone(_))
            | Admin::Projects(projects::Asked::Create)
            | Admin::Draft(drafts::Asked::Create)
            | Admin::Flag(flags::Asked::Create | flags::Asked::CreateSegment)
            | Admin::Deployments(deployments::Asked::Create)
    )
}

/// Operations on what has no tag to go by: what users did is changed by the
/// record, files are about many things, and keys are told by nothing that
/// changes.
pub(super) const UNTAGGED: &[&str] = &[
    "import",
    "importUnleash",
    "importUsers",
    "createKey",
    "rotateKey",
    "revokeKey",
    "resetUser",
    "moveUser",
    "eraseUser",
    "eraseGroup",
    "retryWebhook",
    "confirmRelease",
];

/// Refuses a condition on those: one that is not looked at would be a promise.
pub(super) fn refuse_untagged(route: &Admin, condition: Option<&str>) -> Result<(), Problem> {
    let untagged = UNTAGGED.contains(&needs(route).operation);
    match condition.filter(|text| untagged && text.trim() != "*") {
        None => Ok(()),
        Some(found) => {
            Err(
                Problem::new(400, "no-condition", "what this changes has no entity tag")
                    .found(found)
                    .expected("no If-Match, or *"),
            )
        }
    }
}

/// An answer that says that nothing was written. What was made up for it and
/// is gone again (the text of a key, uid and tag of what would be made) is not
/// told; where it would have to be confirmed is.
pub(super) fn tried(response: Response, unconfirmed: Vec<String>, makes: bool) -> Response {
    if response.status >= 300 {
        return response;
    }
    let answer = match serde_json::from_slice(&response.body) {
        Ok(Value::Object(mut members)) => {
            forget_text(&mut members);
            if makes {
                members.remove("uid");
                members.remove("etag");
            }
            let keys = members.get_mut("keys").and_then(Value::as_array_mut);
            let keys = keys.into_iter().flatten();
            keys.filter_map(Value::as_object_mut).for_each(forget_text);
            members.insert("dryRun".to_owned(), json!(true));
            if !unconfirmed.is_empty() {
                members.insert("confirm".to_owned(), json!(unconfirmed));
            }
            Value::Object(members)
        }
        Ok(other) => json!({"dryRun": true, "answer": other}),
        Err(_) => json!({"dryRun": true}),
    };
    Response::of(200, "application/json", answer.to_string().into())
}

fn forget_text(key: &mut Map<String, Value>) {
    if key.remove("key").is_some() {
        key.remove("last");
    }
}

impl Api {
    /// A refusal of somebody who was too late, with the change that came first.
    pub(super) async fn with_other_change(&self, mut problem: Problem) -> Problem {
        let Some((kind, object)) = problem.late_for() else {
            return problem;
        };
        let asked = Audited {
            filter: AuditFilter {
                object: Some(object.clone()),
                ..AuditFilter::default()
            },
            page: PageAsk::first(LATE_ENTRIES_MAX),
            ..Audited::default()
        };
        let page = self
            .blocking(move |store: &Store| store.audit(&asked))
            .await;
        if let Ok(page) = page {
            let is_it = |own: &AuditChange| own.object == object && moves(own, kind);
            let mut entries = page.entries.iter();
            problem.tell_change(entries.find(|own| own.changes.iter().any(is_it)));
        }
        problem
    }
}

/// Whether a change gives things of a kind another tag: that of a flow speaks
/// also of where it is on and of its newest version, which a draft is not.
fn moves(change: &AuditChange, kind: &str) -> bool {
    match (kind, change.kind.as_str()) {
        ("flow", "status") => true,
        ("flow", "version") => change.version.is_some_and(|number| number > 0),
        (kind, own) => kind == own,
    }
}

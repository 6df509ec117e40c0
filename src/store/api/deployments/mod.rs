//! What does the store answer about deployments?
//!
//! A deployment is named by its uid, or by its name and environment. POST makes
//! one, PUT says everything anew, PATCH says only what changes. With
//! `dryRun=true` a change is checked and told of, and not made; `preview`
//! judges stored users against it.

mod body;
mod previewing;

use serde_json::{Value, json};

pub(super) use body::written;
use body::{Body, check_place, create, whole};

use super::{
    Api, Response,
    admin::read,
    paging::{paged, told},
    problem::Problem,
    route::{Admin, Query, allowed, decoded, parameters},
};
use crate::{
    clock::UnixMs,
    store::{
        DeployError, Deployment, Page, Store, StoreError, Workspace,
        deploying::{
            Edit, activate, deactivate, delete_deployment, edit_deployment, put_deployment,
        },
        known_environment, notices,
        paging::DEPLOYMENTS,
        touching,
    },
};

/// What is asked of deployments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    List,
    Create,
    Show(String),
    Replace(String),
    Change(String),
    Activate(String),
    Deactivate(String),
    Delete(String),
    /// Of a change of this one; none for one that is not there yet.
    Preview(Option<String>),
}

/// Deployments have a method for each thing that can be done to them.
pub(super) fn route(method: &str, rest: &[&str]) -> Result<Option<Admin>, Problem> {
    let (expected, asked) = match (rest, method) {
        ([], "POST") => ("POST", Asked::Create),
        ([], "GET") => ("GET", Asked::List),
        ([], _) => ("GET, POST", Asked::List),
        // Nothing else is posted to one deployment, so that one may be called so.
        (["preview"], "POST") => ("POST", Asked::Preview(None)),
        ([which], "PUT") => ("PUT", Asked::Replace(decoded(which)?)),
        ([which], "PATCH") => ("PATCH", Asked::Change(decoded(which)?)),
        ([which], "DELETE") => ("DELETE", Asked::Delete(decoded(which)?)),
        ([which], "GET") => ("GET", Asked::Show(decoded(which)?)),
        ([which], _) => ("GET, PUT, PATCH, DELETE", Asked::Show(decoded(which)?)),
        ([which, "activate"], _) => ("POST", Asked::Activate(decoded(which)?)),
        ([which, "deactivate"], _) => ("POST", Asked::Deactivate(decoded(which)?)),
        ([which, "preview"], _) => ("POST", Asked::Preview(Some(decoded(which)?))),
        _ => return Ok(None),
    };
    allowed(method, expected).map(|()| Some(Admin::Deployments(asked)))
}

/// Answers what is asked of deployments.
pub(super) async fn answer(
    api: &Api,
    asked: Asked,
    query: &Query,
    body: bytes::Bytes,
) -> Result<Response, Problem> {
    let asked = match asked {
        Asked::Preview(which) => return previewing::answer(api, which, query, body).await,
        Asked::List => return list(api, query).await,
        asked => asked,
    };
    let [environment] = parameters(query, ["environment"])?;
    let dry_run = api.store.is_trial();
    let environment = environment.as_deref();
    let now = api.store.now_ms();
    let workspace = api.store.workspace();
    let find = |which: &str| found(&workspace, environment, which).map(|own| own.uid.clone());
    let (uid, work): (String, Work) = match asked {
        Asked::Show(which) => {
            let own = found(&workspace, environment, &which)?;
            let answer = written(&workspace, own, now);
            let answers = counted(api, vec![answer], vec![own.clone()]).await?;
            return Ok(Response {
                etag: tag(&workspace, own),
                ..Response::json(200, &answers.first())?
            });
        }
        Asked::Create => {
            let deployment = create(&api.store, &workspace, read(&body)?)?;
            (deployment.uid.clone(), Work::Create(Box::new(deployment)))
        }
        Asked::Replace(which) => (find(&which)?, Work::Change(Box::new(whole(read(&body)?)?))),
        Asked::Change(which) => (find(&which)?, Work::Change(Box::new(read(&body)?))),
        Asked::Activate(which) => (find(&which)?, Work::Active(true)),
        Asked::Deactivate(which) => (find(&which)?, Work::Active(false)),
        Asked::Delete(which) => (find(&which)?, Work::Delete),
        Asked::List | Asked::Preview(_) => {
            return Err(Problem::new(404, "unknown-route", "no such question"));
        }
    };
    let before = workspace.deployments.get(&uid).cloned();
    let made = matches!(work, Work::Create(_)) && !dry_run;
    let named = uid.clone();
    let act = move |store: &Store| {
        if let Work::Change(body) = &work {
            check_place(&store.workspace(), body, &named)?;
        }
        Ok::<_, Problem>(store.deploy(|workspace| work.step(workspace, &named))?)
    };
    let after = api.blocking(act).await?;
    api.settle().await?;
    let mut etag = None;
    let answer = match (after.deployments.get(&uid), &before) {
        (Some(deployment), _) => {
            etag = tag(&after, deployment);
            let mut answer = written(&after, deployment, now);
            let mut told = notes(&after, (before.as_ref(), deployment), now);
            if before.is_some_and(|own| notices::full_launch(Some(&own), deployment).is_some()) {
                told.extend(let_in(api, deployment).await?);
            }
            answer["notes"] = json!(told);
            answer
        }
        // What would be forgotten.
        (None, Some(before)) if dry_run => written(&workspace, before, now),
        (None, _) => return Ok(Response::empty(204)),
    };
    Ok(Response {
        etag,
        ..Response::json(if made { 201 } else { 200 }, &answer)?
    })
}

fn tag(workspace: &Workspace, own: &Deployment) -> Option<String> {
    let tag = touching::deployment_tag(workspace, &own.uid);
    Some(format!("\"{tag}\""))
}

/// What is done, with the database at hand.
enum Work {
    Create(Box<Deployment>),
    Change(Box<Body>),
    Active(bool),
    Delete,
}

impl Work {
    fn step(self, workspace: &Workspace, uid: &str) -> Result<Edit, DeployError> {
        match self {
            Self::Create(deployment) => put_deployment(workspace, *deployment),
            Self::Change(body) => edit_deployment(workspace, uid, |old| body.over(old)),
            Self::Active(true) => activate(workspace, uid),
            Self::Active(false) => deactivate(workspace, uid),
            Self::Delete => delete_deployment(workspace, uid),
        }
    }
}

/// A page of all, of those of an environment or of a flow.
async fn list(api: &Api, query: &Query) -> Result<Response, Problem> {
    let ([environment, flow], ask) = paged(query, DEPLOYMENTS, ["environment", "flow"])?;
    let workspace = api.store.workspace();
    let wanted = environment.map(|name| known_environment(&workspace, &name));
    let wanted = wanted.transpose()?;
    let of = flow.map(|sid| {
        let flow = workspace.flows.get(&sid);
        flow.ok_or(StoreError::Deploy(DeployError::UnknownFlow(sid)))
    });
    let of = of.transpose()?;
    let found = in_order(&workspace, |own| {
        wanted.is_none_or(|env| env.uid == own.environment_uid)
            && of.is_none_or(|flow| flow.uid == own.flow_uid)
    });
    let page = DEPLOYMENTS.page(&ask, found, |((environment, name), _)| {
        ((*environment).to_owned(), (*name).to_owned())
    })?;
    let Page { rows, next } = page;
    let now = api.store.now_ms();
    let answers = rows.iter().map(|(_, own)| written(&workspace, own, now));
    let answers = answers.collect();
    let rows = rows.into_iter().map(|(_, own)| own.clone()).collect();
    let rows = counted(api, answers, rows).await?;
    told(DEPLOYMENTS, &Page { rows, next })
}

/// Deployments with the names of their environments and their own, by which
/// they are in order.
pub(super) fn in_order(
    workspace: &Workspace,
    wanted: impl Fn(&Deployment) -> bool,
) -> Vec<((&str, &str), &Deployment)> {
    let deployments = workspace.deployments.values().filter(|own| wanted(own));
    let mut found: Vec<_> = deployments
        .map(|own| {
            let environment = workspace.environment_by_uid(&own.environment_uid);
            let environment = environment.map_or("", |own| own.name.as_str());
            ((environment, own.name.as_str()), own)
        })
        .collect();
    found.sort_by_key(|(place, _)| *place);
    found
}

/// With what the percentage of each came to so far.
async fn counted(
    api: &Api,
    mut answers: Vec<Value>,
    deployments: Vec<Deployment>,
) -> Result<Vec<Value>, Problem> {
    let count = move |store: &Store| {
        let deployments = deployments.iter();
        let counts = deployments.map(|own| store.deployment_counts(&own.environment_uid, &own.uid));
        counts.collect::<Result<Vec<_>, _>>()
    };
    let counts = api.blocking(count).await?;
    for (answer, counts) in answers.iter_mut().zip(counts) {
        answer["counts"] = json!(counts);
    }
    Ok(answers)
}

/// A deployment by uid, or by name where that names one.
pub(super) fn found<'w>(
    workspace: &'w Workspace,
    environment: Option<&str>,
    which: &str,
) -> Result<&'w Deployment, Problem> {
    let wanted = environment.map(|name| known_environment(workspace, name));
    let wanted = wanted.transpose()?;
    let fits = |own: &&Deployment| {
        (own.uid == which || own.name == which)
            && wanted.is_none_or(|env| env.uid == own.environment_uid)
    };
    let mut fitting = workspace.deployments.values().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(own), None) => Ok(own),
        (Some(_), Some(_)) => Err(Problem::new(
            409,
            "ambiguous-deployment",
            format!("several environments have a deployment {which:?}"),
        )
        .found(which)
        .expected("its uid, or ?environment=NAME")),
        (None, _) => {
            let names = workspace.deployments.values().map(|own| own.name.as_str());
            let names: Vec<&str> = names.collect();
            let unknown = DeployError::UnknownDeployment(which.to_owned());
            Err(Problem::from(StoreError::Deploy(unknown))
                .found(which)
                .expected(&format!("one of: {}", names.join(", "))))
        }
    }
}

/// Whom a full launch lets in.
async fn let_in(api: &Api, deployment: &Deployment) -> Result<Option<String>, Problem> {
    let (environment, uid) = (deployment.environment_uid.clone(), deployment.uid.clone());
    let count = move |store: &Store| store.deployment_counts(&environment, &uid);
    let out = api.blocking(count).await?.out_count;
    Ok((out > 0)
        .then(|| format!("{out} recorded exclusions become inclusions, each when they come next")))
}

/// What an author should know about a change, before it or after.
fn notes(
    workspace: &Workspace,
    (before, after): (Option<&Deployment>, &Deployment),
    now: UnixMs,
) -> Vec<String> {
    // A new deployment has excluded nobody yet.
    let launch = before.and_then(|own| notices::full_launch(Some(own), after));
    let closed = notices::closed(before, after);
    let ends = launch.into_iter().chain(closed).map(ToOwned::to_owned);
    let mut notes: Vec<String> = ends.collect();
    notes.extend(before.and_then(|before| notices::cancelled(before, after)));
    let asks = |own: &Deployment| {
        let rollout = &own.rollout;
        let audience = rollout.alternatives.clone();
        (own.channel.clone(), audience, rollout.id.clone())
    };
    if before.is_none_or(|own| own.channel != after.channel) {
        notes.extend(notices::undescribed(workspace, after));
    }
    if before.is_none_or(|own| asks(own) != asks(after)) {
        notes.extend(notices::unknown_attributes(workspace, after));
    }
    if before.is_none_or(|own| own.rollout.schedule != after.rollout.schedule) {
        notes.extend(notices::odd_steps(after, now));
    }
    notes
}

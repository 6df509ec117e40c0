//! What does the store answer about flows?
//!
//! What there is and where it is switched on. The status is the one thing that
//! is set here; what flows consist of comes with imports.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Api, Response,
    admin::read,
    deployments::{in_order, written},
    paging::{paged, told},
    problem::Problem,
    route::Query,
};
use crate::{
    limits::FLOW_VERSIONS_TOLD_MAX,
    store::{
        DeployError, StoreError, Workspace,
        paging::{FLOWS, VERSIONS},
        touching,
        workspace::{AuthoredVersion, Flow},
    },
};

/// The body of a status.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusBody {
    environment: String,
    enabled: bool,
}

/// Sets a flow's status in an environment.
pub(super) async fn status(
    api: &Api,
    sid: String,
    body: &bytes::Bytes,
) -> Result<Response, Problem> {
    let body: StatusBody = read(body)?;
    let StatusBody {
        environment,
        enabled,
    } = body;
    let (flow, place) = (sid.clone(), environment.clone());
    api.blocking(move |store| store.set_status(&flow, &place, enabled))
        .await?;
    api.settle().await?;
    let answer = json!({"flow": sid, "environment": environment, "enabled": enabled});
    Response::json(200, &answer)
}

/// A page of all flows, or of those of a project, by sid.
pub(super) fn list(api: &Api, query: &Query) -> Result<Response, Problem> {
    let ([project], ask) = paged(query, FLOWS, ["project"])?;
    let workspace = api.store.workspace();
    let flows = workspace.flows.values();
    let flows = flows.filter(|own| project.as_ref().is_none_or(|wanted| *wanted == own.project));
    let page = FLOWS.page(&ask, flows, |own| own.sid.clone())?;
    told(FLOWS, &page.map(|flow| flow_row(&workspace, flow)))
}

/// A page of the versions of a flow, by number; the draft comes first.
pub(super) fn versions(api: &Api, sid: &str, query: &Query) -> Result<Response, Problem> {
    let ([], ask) = paged(query, VERSIONS, [])?;
    let workspace = api.store.workspace();
    let flow = known(&workspace, sid)?;
    let page = VERSIONS.page(&ask, &flow.versions, |(number, _)| **number)?;
    told(
        VERSIONS,
        &page.map(|own| version_row(&workspace, flow, own)),
    )
}

/// One flow, with its newest versions and its first deployments.
pub(super) fn show(api: &Api, sid: &str) -> Result<Response, Problem> {
    let workspace = api.store.workspace();
    let flow = known(&workspace, sid)?;
    let mut answer = flow_row(&workspace, flow);
    let committed = flow.versions.range(1..);
    let older = committed
        .clone()
        .count()
        .saturating_sub(FLOW_VERSIONS_TOLD_MAX);
    let draft = flow.versions.get_key_value(&0);
    answer["history"] = draft
        .into_iter()
        .chain(committed.skip(older))
        .map(|own| version_row(&workspace, flow, own))
        .collect();
    answer["history_left_out"] = json!(older);
    let now = api.store.now_ms();
    let deployments = in_order(&workspace, |own| own.flow_uid == flow.uid);
    let told = deployments.iter().take(FLOW_VERSIONS_TOLD_MAX);
    answer["deployments"] = told.map(|(_, own)| written(&workspace, own, now)).collect();
    let left_out = deployments.len().saturating_sub(FLOW_VERSIONS_TOLD_MAX);
    answer["deployments_left_out"] = json!(left_out);
    Ok(Response {
        etag: Some(format!("\"{}\"", touching::flow_tag(&workspace, &flow.uid))),
        ..Response::json(200, &answer)?
    })
}

fn known<'w>(workspace: &'w Workspace, sid: &str) -> Result<&'w Flow, StoreError> {
    let flow = workspace.flows.get(sid);
    flow.ok_or_else(|| StoreError::Deploy(DeployError::UnknownFlow(sid.to_owned())))
}

fn version_row(
    workspace: &Workspace,
    flow: &Flow,
    (number, version): (&u32, &Arc<AuthoredVersion>),
) -> Value {
    let places = flow.content.keys().filter(|(own, _)| own == number);
    let places = places.filter_map(|(_, uid)| workspace.environment_by_uid(uid));
    let places: Vec<&str> = places.map(|own| own.name.as_str()).collect();
    json!({
        "content_in": places,
        "version": number, "blocks": version.part.blocks.len(), "message": version.message,
        "author": version.author, "created_ms": version.created_ms,
        "migration": version.part.migration,
    })
}

fn flow_row(workspace: &Workspace, flow: &Flow) -> Value {
    let environments = workspace.environments.iter();
    let shown = environments.filter(|own| workspace.is_shown(flow, &own.uid));
    let status: serde_json::Map<String, Value> = shown
        .map(|own| (own.name.clone(), json!(flow.enabled_in(&own.uid))))
        .collect();
    json!({
        "sid": flow.sid, "uid": flow.uid, "name": flow.name, "project": flow.project,
        "latest": flow.latest(), "draft": flow.versions.contains_key(&0),
        "deploymentsOnly": flow.deployments_only, "status": status,
    })
}

//! What does the store answer about flows?
//!
//! What there is and where it is switched on. The status is the one thing that
//! is set here; what flows consist of comes with imports.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Response, admin::read, deployments::written, problem::Problem};
use crate::store::{DeployError, StoreError, Workspace, touching};

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

/// Every flow, or one in full.
pub(super) fn flows(api: &Api, sid: Option<&str>) -> Result<Response, Problem> {
    let workspace = api.store.workspace();
    let Some(sid) = sid else {
        let flows = workspace.flows.values();
        let flows: Vec<Value> = flows.map(|flow| flow_row(&workspace, flow)).collect();
        return Response::json(200, &flows);
    };
    let flow = workspace.flows.get(sid);
    let flow = flow.ok_or_else(|| StoreError::Deploy(DeployError::UnknownFlow(sid.to_owned())))?;
    let mut answer = flow_row(&workspace, flow);
    let own_content = |number: u32| -> Vec<&str> {
        let places = flow.content.keys().filter(|(own, _)| *own == number);
        let places = places.filter_map(|(_, uid)| workspace.environment_by_uid(uid));
        places.map(|own| own.name.as_str()).collect()
    };
    let versions = flow.versions.iter().map(|(number, version)| {
        json!({
            "content_in": own_content(*number),
            "version": number, "blocks": version.part.blocks.len(), "message": version.message,
            "author": version.author, "created_ms": version.created_ms,
            "migration": version.part.migration,
        })
    });
    answer["history"] = versions.collect();
    let now = api.store.now_ms();
    let deployments = workspace.deployments.values();
    let own = deployments.filter(|own| own.flow_uid == flow.uid);
    answer["deployments"] = own.map(|own| written(&workspace, own, now)).collect();
    Ok(Response {
        etag: Some(format!("\"{}\"", touching::flow_tag(&workspace, &flow.uid))),
        ..Response::json(200, &answer)?
    })
}

fn flow_row(workspace: &Workspace, flow: &crate::store::workspace::Flow) -> Value {
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

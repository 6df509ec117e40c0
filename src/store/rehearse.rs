//! What would an edge decide, if it had this workspace?
//!
//! Compiles some flows of an environment with what is deployed of them, by the
//! code that edges compile with, and takes the ledger's documents to the form
//! that is evaluated. Nothing is signed, stored or published; keys and flags
//! stay away, because no decision about a flow depends on them.

use std::collections::BTreeSet;

use super::{
    engine::{Engine, EngineError, MembershipKey},
    shelf,
    workspace::{Environment, Flow, Workspace},
};
use crate::{
    clock::UnixMs,
    evaluate::{Ask, Decision, Membership, SubjectView, Tag, decide, deployment_of, enrolment},
    progress::event::MembershipRecord,
    snapshot::{
        Revision, Snapshot,
        compile::{CompileError, compile},
        flags::FlagsDocument,
        parts::Content,
        wire::ControlDocument,
    },
};

/// A snapshot of these flows and of nothing else.
pub(super) fn rehearse<'w>(
    workspace: &'w Workspace,
    environment: &'w Environment,
    flows: impl IntoIterator<Item = &'w Flow>,
) -> Result<Snapshot, CompileError> {
    let flows = flows.into_iter();
    let shown = flows.filter(|flow| workspace.is_shown(flow, &environment.uid));
    let mut flows: Vec<&Flow> = shown.collect();
    flows.sort_by(|a, b| a.uid.cmp(&b.uid));
    let uids: BTreeSet<&str> = flows.iter().map(|flow| flow.uid.as_str()).collect();
    let versions = flows.iter().flat_map(|flow| {
        let shown = shelf::shown(flow, environment);
        // Nobody asks a part that was never encoded for its hash.
        shown.map(|(_, version)| (String::new(), version.part.clone()))
    });
    let deployments: Vec<_> = workspace
        .shown_deployments(&environment.uid)
        .filter(|own| uids.contains(own.flow_uid.as_str()))
        .collect();
    let content = Content {
        settings: shelf::settings(workspace, environment),
        flows: flows
            .iter()
            .map(|flow| shelf::flow_part(flow, environment))
            .collect(),
        versions: versions.collect(),
        deployments: deployments.iter().map(|own| own.part()).collect(),
        keys: Vec::new(),
        flags: FlagsDocument::default(),
        broken: Vec::new(),
    };
    let disabled = flows
        .iter()
        .filter(|flow| !flow.enabled_in(&environment.uid));
    let inactive = deployments.iter().filter(|own| !own.active);
    let control = ControlDocument {
        environment: environment.name.clone(),
        environment_uid: environment.uid.clone(),
        disabled_flows: disabled.map(|flow| flow.uid.clone()).collect(),
        inactive_deployments: inactive.map(|own| own.uid.clone()).collect(),
        ..ControlDocument::default()
    };
    compile(
        &environment.name,
        &environment.uid,
        Revision::default(),
        &content,
        &control,
    )
}

/// The record that counts for a subject over a channel, and under which key.
pub(super) fn recorded(
    engine: &dyn Engine,
    snapshot: &Snapshot,
    view: &SubjectView<'_>,
    (sid, channel): (&str, Option<&str>),
) -> Result<Option<(MembershipKey, MembershipRecord)>, EngineError> {
    let deployment = deployment_of(snapshot, sid, channel);
    let Some(own) = deployment.and_then(|own| enrolment(own, view)) else {
        return Ok(None);
    };
    let key = MembershipKey {
        deployment: own.deployment.to_owned(),
        id: own.id.into_owned(),
        conversation: own.conversation.map(ToOwned::to_owned),
    };
    let record = engine.membership(&snapshot.environment_uid, &key)?;
    Ok(record.map(|record| (key, record)))
}

/// What an edge answers for a subject over a channel, with what is recorded.
pub(super) fn judged<'s, 'u>(
    engine: &dyn Engine,
    snapshot: &'s Snapshot,
    view: &SubjectView<'u>,
    place: (&str, Option<&str>),
    now: UnixMs,
) -> Result<Decision<'s, 'u>, EngineError> {
    let (sid, channel) = place;
    let record = recorded(engine, snapshot, view, place)?;
    let membership: Option<Membership> = record
        .and_then(|(_, record)| record.membership)
        .map(|own| own.to_membership());
    let ask = Ask {
        sid,
        tag: Tag::Latest,
        channel,
        membership,
    };
    Ok(decide(snapshot, view, &ask, |_| true, now))
}

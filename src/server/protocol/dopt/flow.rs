//! Where does a user stand in a flow, or at a block?
//!
//! Reading a flow starts it for a user who qualifies; the start is durable
//! before the answer. When it cannot be stored, the read still answers, with
//! the flow not started. Reading a block changes nothing.

use std::sync::Arc;

use arc_swap::Guard;

use crate::{
    clock::UnixMs,
    current::Environment,
    evaluate::{Decision, FlowState, Reason, SubjectView, Tag},
    http::Answer,
    progress::{Action, Read, StepRequest},
    server::{
        EdgeService,
        asked::Asked,
        auth::Access,
        error::Fault,
        respond::mark_assumed,
        target::{block_in, block_missing, decision, flow_of_block, place, refuse_unknown},
    },
    snapshot::{Flow, Version, flow_bytes_max, write_block, write_empty_flow, write_flow},
};

/// What a flow read asks for.
#[derive(Clone, Copy)]
struct FlowRead<'q> {
    sid: &'q str,
    tag: Tag,
    user: &'q str,
    group: Option<&'q str>,
    blocks: bool,
    now: UnixMs,
}

/// `GET /v2/flow/:sid`.
pub(crate) async fn flow(edge: &EdgeService, asked: Asked<'_>, sid: &str) -> Result<Answer, Fault> {
    let live = edge.current.load();
    let access = asked.access(&live)?;
    let query = asked.query()?;
    let wanted = FlowRead {
        sid,
        tag: query.tag()?,
        user: query.user()?,
        group: query.group()?,
        blocks: query.include_blocks()?,
        now: edge.now(),
    };
    let slot = access.environment.slot;
    let read = edge.progress.cached(slot, wanted.user, wanted.group);
    if let Some(read) = &read {
        let decision = wanted.decide(access, read)?;
        if !decision.may_start {
            let answer = wanted.answer(edge, access.environment, &decision);
            return Ok(mark_assumed(answer, read.assumed));
        }
    }
    // From here on it may wait: the guard becomes an owned value.
    let live = Guard::into_inner(live);
    let access = asked.access(&live)?;
    let read = match read {
        Some(read) => read,
        None => {
            let place = place(access.environment);
            edge.progress
                .read(&place, wanted.user, wanted.group)
                .await?
        }
    };
    let decision = wanted.decide(access, &read)?;
    let answer = match (decision.flow, decision.version) {
        (Some(flow), Some(version)) if decision.may_start => {
            let state = auto_start(edge, access, &wanted, flow, version).await;
            let running = state.as_ref().is_some_and(FlowState::is_running);
            let stored = state.as_ref().or(decision.state.as_deref());
            let body = wanted.body(version, stored, running);
            edge.stamps.evaluated(access.environment, wanted.now, body)
        }
        _ => wanted.answer(edge, access.environment, &decision),
    };
    Ok(mark_assumed(answer, read.assumed))
}

impl FlowRead<'_> {
    fn decide<'s, 'u>(
        &self,
        access: Access<'s>,
        read: &'u Read,
    ) -> Result<Decision<'s, 'u>, Fault> {
        let view = SubjectView {
            user: &read.subject,
            group: read.group.as_deref(),
            attributes: None,
            conversation: None,
        };
        let decision = decision(access, &view, self.sid, self.tag, self.now);
        refuse_unknown(&decision, access.environment, self.sid)?;
        Ok(decision)
    }

    /// The answer to a decision that changes nothing.
    fn answer(
        &self,
        edge: &EdgeService,
        environment: &Environment,
        decision: &Decision<'_, '_>,
    ) -> Answer {
        let body = match (decision.version, decision.flow) {
            (Some(version), _) => {
                let running = decision.reason == Reason::Started;
                self.body(version, decision.state.as_deref(), running)
            }
            (None, Some(flow)) => self.empty(flow),
            // A decision without a flow was refused before.
            (None, None) => Vec::new(),
        };
        edge.stamps.evaluated(environment, self.now, body)
    }

    fn body(&self, version: &Version, state: Option<&FlowState>, running: bool) -> Vec<u8> {
        let mut body = Vec::with_capacity(flow_bytes_max(version, self.blocks));
        write_flow(&mut body, version, state, running, self.blocks);
        body
    }

    fn empty(&self, flow: &Flow) -> Vec<u8> {
        let mut body = Vec::new();
        write_empty_flow(&mut body, flow, self.blocks);
        body
    }
}

/// Starts the flow, or says nothing and counts that it could not be stored.
async fn auto_start(
    edge: &EdgeService,
    access: Access<'_>,
    wanted: &FlowRead<'_>,
    flow: &Arc<Flow>,
    version: &Arc<Version>,
) -> Option<FlowState> {
    let step = StepRequest {
        place: place(access.environment),
        user: wanted.user,
        group: wanted.group,
        conversation: None,
        attributes: None,
        flow,
        version,
        action: Action::AutoStart,
        membership: None,
        id: None,
        now: wanted.now,
    };
    match edge.progress.step(step).await {
        Ok(stepped) => Some(stepped.state),
        Err(_) => {
            edge.counters.starts_not_stored.add(1);
            None
        }
    }
}

/// `GET /v2/block/:uid`.
pub(crate) async fn block(
    edge: &EdgeService,
    asked: Asked<'_>,
    uid: &str,
) -> Result<Answer, Fault> {
    let live = edge.current.load();
    let access = asked.access(&live)?;
    let query = asked.query()?;
    let (tag, user, group) = (query.tag()?, query.user()?, query.group()?);
    let now = edge.now();
    let slot = access.environment.slot;
    if let Some(read) = edge.progress.cached(slot, user, group) {
        return block_answer(edge, access, &read, uid, tag, now);
    }
    let live = Guard::into_inner(live);
    let access = asked.access(&live)?;
    let place = place(access.environment);
    let read = edge.progress.read(&place, user, group).await?;
    block_answer(edge, access, &read, uid, tag, now)
}

fn block_answer(
    edge: &EdgeService,
    access: Access<'_>,
    read: &Read,
    uid: &str,
    tag: Tag,
    now: UnixMs,
) -> Result<Answer, Fault> {
    let flow = flow_of_block(access, uid)?;
    let view = SubjectView {
        user: &read.subject,
        group: read.group.as_deref(),
        attributes: None,
        conversation: None,
    };
    let decision = decision(access, &view, &flow.sid, tag, now);
    refuse_unknown(&decision, access.environment, &flow.sid)?;
    let version = decision
        .version
        .ok_or_else(|| block_missing(decision.number, uid))?;
    let (_, block) = block_in(version, uid)?;
    let state = decision.state.as_deref();
    let state = state.and_then(|state| state.block(block.key));
    let mut body = Vec::with_capacity(block.json_head.len() + 256);
    let running = decision.reason == Reason::Started;
    write_block(&mut body, block, state, running);
    let answer = edge.stamps.evaluated(access.environment, now, body);
    Ok(mark_assumed(answer, read.assumed))
}

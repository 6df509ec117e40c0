//! What does a subject see of several flows, at one revision?
//!
//! An unknown flow or version is a decision like any other here, with its
//! reason: one mistyped name does not take the answer for the others away.
//! With `"start": true` flows whose entry condition holds are started; when a
//! start cannot be stored, the flow is answered as not started.

use super::{
    state_json,
    wire::{EvaluateBody, Named, refuse_channel},
    write_text, write_token,
};
use crate::{
    clock::UnixMs,
    evaluate::{Decision, FlowState, Reason},
    http::{Answer, json},
    progress::{Action, Read, StepRequest, Token},
    server::{
        EdgeService,
        asked::Posted,
        auth::Access,
        error::{Fault, Invalid},
        respond::mark_assumed,
        target::{decision, place},
    },
    snapshot::{Version, flow_bytes_max, write_block},
};

/// Room for one decision without its blocks.
const DECISION_BYTES: usize = 256;

/// `POST /v1/evaluate`.
pub(crate) async fn evaluate(edge: &EdgeService, posted: &Posted<'_>) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let body: EvaluateBody<'_> = json::parse(&posted.bytes, json::Limits::default())?;
    refuse_channel(body.channel.as_ref())?;
    let named = body.subject.check(access)?;
    let blocks = body.include_blocks()?;
    let flows = match &body.flows {
        Some(flows) if !flows.0.is_empty() => &flows.0,
        _ => {
            return Err(Invalid::Missing {
                what: "flows",
                expected: "at least one flow sid with its tag",
            }
            .into());
        }
    };
    let now = edge.now();
    let environment = access.environment;
    let cached = edge
        .progress
        .cached(environment.slot, named.user, named.group);
    let read = match cached {
        Some(read) => read,
        None => {
            let place = place(environment);
            edge.progress.read(&place, named.user, named.group).await?
        }
    };
    let view = named.view(&read);

    let mut out = Out::new(flows.len());
    let mut token = None;
    for (sid, tag) in flows {
        let decision = decision(access, &view, sid, *tag, now);
        let started = if body.start && decision.may_start {
            start(edge, access, &named, &decision, now, &mut token).await
        } else {
            None
        };
        out.decision(sid, &decision, started.as_ref(), blocks);
    }
    let bytes = out.finish(access, &read, now, token.as_ref());
    let answer = edge.stamps.evaluated(environment, now, bytes);
    Ok(mark_assumed(answer, read.assumed))
}

/// Starts a flow. None when it could not be stored.
async fn start(
    edge: &EdgeService,
    access: Access<'_>,
    named: &Named<'_>,
    decision: &Decision<'_, '_>,
    now: UnixMs,
    token: &mut Option<Token>,
) -> Option<FlowState> {
    let step = StepRequest {
        place: place(access.environment),
        user: named.user,
        group: named.group,
        conversation: named.conversation,
        attributes: named.attributes,
        flow: decision.flow?,
        version: decision.version?,
        action: Action::AutoStart,
        membership: None,
        id: None,
        now,
    };
    match edge.progress.step(step).await {
        Ok(stepped) => {
            *token = stepped.token.or(token.take());
            Some(stepped.state)
        }
        Err(_) => {
            edge.counters.starts_not_stored.add(1);
            None
        }
    }
}

/// The decisions as they are written; the head comes last and goes before.
struct Out {
    decisions: Vec<u8>,
}

impl Out {
    fn new(flows: usize) -> Self {
        Self {
            decisions: Vec::with_capacity(flows * DECISION_BYTES),
        }
    }

    fn decision(
        &mut self,
        sid: &str,
        decision: &Decision<'_, '_>,
        started: Option<&FlowState>,
        blocks: bool,
    ) {
        let out = &mut self.decisions;
        if !out.is_empty() {
            out.push(b',');
        }
        let state = started.or(decision.state.as_deref());
        let reason = match started {
            Some(state) => reason_of(state),
            None => decision.reason,
        };
        write_text(out, sid);
        out.extend_from_slice(b":{\"served\":");
        out.extend_from_slice(if decision.served { b"true" } else { b"false" });
        out.extend_from_slice(b",\"reason\":\"");
        out.extend_from_slice(reason.name().as_bytes());
        out.push(b'"');
        // Without a version in the snapshot there is no number that is not a guess.
        let empty = reason == Reason::EmptyVersion;
        if decision.version.is_some() || empty {
            out.extend_from_slice(b",\"version\":");
            out.extend_from_slice(itoa::Buffer::new().format(decision.number).as_bytes());
            out.extend_from_slice(b",\"version_source\":\"");
            out.extend_from_slice(decision.version_source.name().as_bytes());
            out.extend_from_slice(b"\",\"state\":");
            out.extend_from_slice(state_json(state).as_bytes());
        }
        match decision.version {
            Some(version) if blocks => {
                write_blocks(out, version, state, reason == Reason::Started);
            }
            None if blocks && empty => out.extend_from_slice(b",\"blocks\":[]"),
            _ => {}
        }
        out.push(b'}');
    }

    fn finish(
        self,
        access: Access<'_>,
        read: &Read,
        now: UnixMs,
        token: Option<&Token>,
    ) -> Vec<u8> {
        let environment = access.environment;
        let mut out = Vec::with_capacity(self.decisions.len() + DECISION_BYTES);
        let revision = environment.snapshot.revision;
        out.extend_from_slice(b"{\"revision\":\"");
        out.extend_from_slice(itoa::Buffer::new().format(revision.epoch).as_bytes());
        out.push(b'.');
        out.extend_from_slice(itoa::Buffer::new().format(revision.number).as_bytes());
        // An assumed subject is old truth as well: the ledger was not asked.
        let stale = environment.freshness.is_stale(now) || read.assumed;
        out.extend_from_slice(if stale {
            b"\",\"stale\":true"
        } else {
            b"\",\"stale\":false"
        });
        write_token(&mut out, token);
        out.extend_from_slice(b",\"decisions\":{");
        out.extend_from_slice(&self.decisions);
        out.extend_from_slice(b"}}");
        out
    }
}

/// The reason after a start: a start may run straight into a finish.
fn reason_of(state: &FlowState) -> Reason {
    match (state.started, state.finished, state.stopped) {
        (false, ..) => Reason::EntryCondition,
        (true, true, _) => Reason::Finished,
        (true, false, true) => Reason::Stopped,
        (true, false, false) => Reason::Started,
    }
}

fn write_blocks(out: &mut Vec<u8>, version: &Version, state: Option<&FlowState>, running: bool) {
    out.reserve(flow_bytes_max(version, true));
    out.extend_from_slice(b",\"blocks\":[");
    for (at, index) in version.shown.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let block = version.block(*index);
        let stored = state.and_then(|state| state.block(block.key));
        write_block(out, block, stored, running);
    }
    out.push(b']');
}

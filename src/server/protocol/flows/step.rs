//! What does a user do, in our own words?
//!
//! Unlike Dopt's, these steps say what they led to: the flow's state, every
//! block that looks different now, and the flows that triggers moved along.
//! Where nothing changed they say why. An `Idempotency-Key` makes a repeat
//! harmless. A flow that takes no `force` from public keys refuses it here.

use super::{
    event_id, inquiry, state_json,
    wire::{IntentBody, SubjectBody, Text, TransitionBody},
    write_text, write_token,
};
use crate::{
    evaluate::{BlockState, Decision, FlowState, Reason, Tag},
    http::{Answer, json},
    progress::{Action, Stepped, Token, event::EventId},
    server::{
        EdgeService,
        asked::Posted,
        deciding::Inquiry,
        error::{Fault, Invalid},
        query::transition_names,
        route::Intent,
        target::{block_in, block_missing, check_force, flow_of_block, refuse_unknown},
    },
    snapshot::{NameKey, Version, write_block},
};

/// What both kinds of steps have in common.
struct Step<'r> {
    inquiry: Inquiry<'r>,
    id: Option<EventId>,
}

/// `POST /v1/flows/{sid}/{intent}`.
pub(crate) async fn intent(
    edge: &EdgeService,
    posted: &Posted<'_>,
    sid: &str,
    intent: Intent,
) -> Result<Answer, Fault> {
    let body: IntentBody<'_> = json::parse(&posted.bytes, json::Limits::default())?;
    if body.force.is_some() && !intent.takes_force() {
        return Err(Invalid::Value {
            what: "force",
            found: format!("force with {}", intent.name()),
            expected: "force only with start and reset",
        }
        .into());
    }
    let force = body.force == Some(true);
    let about = (&body.subject, body.channel.as_ref());
    let step = Step::new(edge, posted, about, intent.name(), sid)?;
    step.take(edge, sid, body.version.0, |decision| {
        if let Some(flow) = decision.flow
            && force
        {
            check_force(step.inquiry.access, flow)?;
        }
        Ok(intent.action(force))
    })
    .await
}

/// `POST /v1/blocks/{uid}/transition`.
pub(crate) async fn transition(
    edge: &EdgeService,
    posted: &Posted<'_>,
    uid: &str,
) -> Result<Answer, Fault> {
    let body: TransitionBody<'_> = json::parse(&posted.bytes, json::Limits::default())?;
    transition_names(&body.transitions)?;
    let about = (&body.subject, body.channel.as_ref());
    let step = Step::new(edge, posted, about, "transition", uid)?;
    let flow = flow_of_block(step.inquiry.access, uid)?;
    let names = body.transitions.iter();
    let names: Vec<NameKey> = names.map(|name| NameKey::of(&name.0)).collect();
    step.take(edge, &flow.sid, body.version.0, |decision| {
        let version = decision
            .version
            .ok_or_else(|| block_missing(decision.number, uid))?;
        let (block, _) = block_in(version, uid)?;
        Ok(Action::Transition {
            block,
            names: &names,
        })
    })
    .await
}

impl<'r> Step<'r> {
    fn new(
        edge: &EdgeService,
        posted: &'r Posted<'_>,
        (subject, channel): (&'r SubjectBody<'_>, Option<&'r Text<'_>>),
        what: &str,
        parameter: &str,
    ) -> Result<Self, Fault> {
        Ok(Self {
            inquiry: inquiry(posted.access()?, subject, channel, edge.now())?,
            id: event_id(posted.asked.headers(), what, parameter, &posted.bytes)?,
        })
    }

    /// Takes the step in the version that is decided, or answers where a
    /// subject stands who is not let in.
    async fn take<'a>(
        &self,
        edge: &EdgeService,
        sid: &str,
        tag: Tag,
        action: impl FnOnce(&Decision<'_, '_>) -> Result<Action<'a>, Fault>,
    ) -> Result<Answer, Fault> {
        let inquiry = &self.inquiry;
        let environment = inquiry.access.environment;
        let known = inquiry.known(edge, std::iter::once(sid)).await?;
        let decision = inquiry.decision(&known, 0, sid, tag);
        refuse_unknown(&decision, environment, sid)?;
        let action = action(&decision)?;
        let taken = inquiry.step(edge, &known, &decision, action, self.id);
        let body = match taken.await? {
            Some(stepped) if stepped.changed => self.changed_body(sid, &decision, &stepped),
            Some(stepped) => {
                let (state, token) = (Some(&stepped.state), stepped.token.as_ref());
                self.unchanged_body(sid, &decision, state, token)
            }
            None => self.unchanged_body(sid, &decision, decision.state.as_deref(), None),
        };
        Ok(edge.stamps.evaluated(environment, inquiry.now, body))
    }

    fn unchanged_body(
        &self,
        sid: &str,
        decision: &Decision<'_, '_>,
        state: Option<&FlowState>,
        token: Option<&Token>,
    ) -> Vec<u8> {
        let mut out = self.head(false);
        out.extend_from_slice(b",\"reason\":\"");
        out.extend_from_slice(why_not(decision, state).name().as_bytes());
        out.push(b'"');
        write_token(&mut out, token);
        out.extend_from_slice(b",\"flow\":");
        write_flow(&mut out, sid, decision.number, state);
        out.extend_from_slice(b"},\"blocks\":[]}");
        out
    }

    fn changed_body(&self, sid: &str, decision: &Decision<'_, '_>, stepped: &Stepped) -> Vec<u8> {
        let mut out = self.head(true);
        write_token(&mut out, stepped.token.as_ref());
        out.extend_from_slice(b",\"flow\":");
        write_flow(&mut out, sid, decision.number, Some(&stepped.state));
        out.push(b'}');
        if let Some(version) = decision.version {
            write_changes(&mut out, version, &stepped.before, &stepped.state);
        }
        self.write_others(&mut out, stepped);
        out.push(b'}');
        out
    }

    /// The flows that triggers moved, as far as the key sees them.
    fn write_others(&self, out: &mut Vec<u8>, stepped: &Stepped) {
        if stepped.others.is_empty() {
            return;
        }
        let access = self.inquiry.access;
        let flows = &access.environment.snapshot.flows;
        out.extend_from_slice(b",\"flows\":[");
        let mut first = true;
        for touched in &stepped.others {
            let version = &touched.version;
            let flow = flows.values().find(|flow| flow.key == version.flow_key);
            let Some(flow) = flow.filter(|flow| access.key.sees(&flow.project)) else {
                continue;
            };
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            write_flow(out, &flow.sid, version.number, Some(&touched.state));
            write_changes(out, version, &touched.before, &touched.state);
            out.push(b'}');
        }
        out.push(b']');
    }

    fn head(&self, changed: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let snapshot = &self.inquiry.access.environment.snapshot;
        out.extend_from_slice(b"{\"revision\":");
        write_text(&mut out, &snapshot.revision.to_string());
        out.extend_from_slice(if changed {
            b",\"changed\":true"
        } else {
            b",\"changed\":false"
        });
        out
    }
}

/// Why a step changed nothing. A flow that would have started and did not is
/// held by its entry condition, whatever let its subject in.
fn why_not(decision: &Decision<'_, '_>, state: Option<&FlowState>) -> Reason {
    let is_begun = state.is_some_and(|state| state.started);
    match decision.reason {
        Reason::Pinned | Reason::Member if !is_begun => Reason::EntryCondition,
        Reason::Percentage if !is_begun && decision.enrolled.is_some_and(|own| own.is_in) => {
            Reason::EntryCondition
        }
        reason => reason,
    }
}

/// Appends a flow's members, without the closing brace.
fn write_flow(out: &mut Vec<u8>, sid: &str, number: u32, state: Option<&FlowState>) {
    out.extend_from_slice(b"{\"sid\":");
    write_text(out, sid);
    out.extend_from_slice(b",\"version\":");
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b",\"state\":");
    out.extend_from_slice(state_json(state).as_bytes());
}

/// Appends every block that looks different now.
fn write_changes(out: &mut Vec<u8>, version: &Version, before: &FlowState, after: &FlowState) {
    out.extend_from_slice(b",\"blocks\":[");
    let (was_running, running) = (before.is_running(), after.is_running());
    let mut first = true;
    for index in &version.shown {
        let block = version.block(*index);
        let looked = Look::of(before.block(block.key), was_running);
        let state = after.block(block.key);
        if looked == Look::of(state, running) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        write_block(out, block, state, running);
    }
    out.push(b']');
}

/// What a client can see of a block's state.
#[derive(PartialEq)]
struct Look<'s> {
    active: bool,
    entered: bool,
    exited: bool,
    taken: &'s [NameKey],
}

impl<'s> Look<'s> {
    fn of(state: Option<&'s BlockState>, running: bool) -> Self {
        Self {
            active: running && state.is_some_and(|state| state.active),
            entered: state.is_some_and(|state| state.entered),
            exited: state.is_some_and(|state| state.exited),
            taken: state.map_or(&[], |state| &state.taken),
        }
    }
}

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
    evaluate::{BlockState, Decision, FlowState, Membership, Reason, Tag, Touched},
    http::{Answer, json},
    progress::{Action, Stepped, Token, event::EventId},
    server::{
        EdgeService,
        asked::Posted,
        deciding::{Door, Inquiry, Known, token},
        error::{Fault, Invalid},
        query::transition_names,
        respond::mark_assumed,
        route::Intent,
        target::{block_in, block_missing, check_force, flow_of_block, refuse_unknown},
    },
    snapshot::{NameKey, Version, write_block},
};

/// What both kinds of steps have in common.
struct Step<'r> {
    inquiry: Inquiry<'r>,
    id: Option<EventId>,
    /// What the client has written before.
    shown: Option<Token>,
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
            shown: token(posted.asked.sent)?,
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
        let behind = inquiry.is_behind(edge, self.shown.as_ref()).await;
        let known = inquiry.known(edge, std::iter::once(sid)).await?;
        let decision = inquiry.decision(&known, 0, sid, tag);
        refuse_unknown(&decision, environment, sid)?;
        let action = action(&decision)?;
        let body = self.body(edge, sid, (&known, &decision), action).await?;
        let answer = edge.stamps.evaluated(environment, inquiry.now, body);
        // As an evaluation says it: the step may rest on less than there is.
        let assumed = known.is_assumed() || known.read.behind || behind;
        Ok(mark_assumed(answer, assumed))
    }

    /// Takes the step that was decided and says what came of it.
    async fn body(
        &self,
        edge: &EdgeService,
        sid: &str,
        (known, decision): (&Known, &Decision<'_, '_>),
        action: Action<'_>,
    ) -> Result<Vec<u8>, Fault> {
        let inquiry = &self.inquiry;
        let taken = inquiry.step(edge, known, decision, action, self.id);
        Ok(match taken.await? {
            Some(stepped) if stepped.changed => {
                let others = self.others(edge, &stepped).await;
                self.changed_body(sid, decision, &stepped, &others)
            }
            Some(stepped) => {
                let by_now = inquiry.overruled(edge, &known.read, decision);
                let reason = why_not(decision, Some(&stepped.state), by_now);
                let state = (reason, Some(&stepped.state));
                self.unchanged_body(sid, decision, state, stepped.token.as_ref())
            }
            None => {
                let state = decision.state.as_deref();
                let reason = why_not(decision, state, None);
                self.unchanged_body(sid, decision, (reason, state), None)
            }
        })
    }

    fn unchanged_body(
        &self,
        sid: &str,
        decision: &Decision<'_, '_>,
        (reason, state): (Reason, Option<&FlowState>),
        token: Option<&Token>,
    ) -> Vec<u8> {
        let mut out = self.head(false);
        out.extend_from_slice(b",\"reason\":\"");
        out.extend_from_slice(reason.name().as_bytes());
        out.push(b'"');
        write_token(&mut out, token);
        out.extend_from_slice(b",\"flow\":");
        write_flow(&mut out, sid, decision.number, state);
        out.extend_from_slice(b"},\"blocks\":[]}");
        out
    }

    fn changed_body(
        &self,
        sid: &str,
        decision: &Decision<'_, '_>,
        stepped: &Stepped,
        others: &[Other<'_>],
    ) -> Vec<u8> {
        let mut out = self.head(true);
        write_token(&mut out, stepped.token.as_ref());
        out.extend_from_slice(b",\"flow\":");
        write_flow(&mut out, sid, decision.number, Some(&stepped.state));
        out.push(b'}');
        if let Some(version) = decision.version {
            write_changes(&mut out, version, &stepped.before, &stepped.state);
        }
        if !stepped.others.is_empty() {
            write_others(&mut out, others);
        }
        out.push(b'}');
        out
    }

    /// The flows that triggers moved, as far as the key sees them. Triggers ask
    /// no deployment, and content is for those who are let in: each is decided
    /// as it stands after the step, and its blocks are told only where this
    /// subject could have read them.
    async fn others<'a>(&self, edge: &EdgeService, stepped: &'a Stepped) -> Vec<Other<'a>> {
        let inquiry = &self.inquiry;
        let flows = &inquiry.access.environment.snapshot.flows;
        let seen = |touched: &&Touched| {
            let flow = flows.get(&touched.version.flow_sid);
            flow.is_some_and(|flow| inquiry.access.key.sees(&flow.project))
        };
        let touched: Vec<&Touched> = stepped.others.iter().filter(seen).collect();
        if touched.is_empty() {
            return Vec::new();
        }
        let sids = touched.iter().map(|touched| &*touched.version.flow_sid);
        // The step is taken: what cannot be read now costs content, no more.
        let known = inquiry.known(edge, sids).await.ok();
        let others = touched.into_iter().enumerate().map(|(at, touched)| {
            let (sid, number) = (&*touched.version.flow_sid, touched.version.number);
            let is_open = known.as_ref().is_some_and(|known| {
                let decision = inquiry.decision(known, at, sid, Tag::Number(number));
                Door::of(&decision) == Door::Open && decision.number == number
            });
            Other {
                sid,
                touched,
                is_open,
            }
        });
        others.collect()
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

/// A flow that triggers moved.
struct Other<'a> {
    sid: &'a str,
    touched: &'a Touched,
    /// Whether its subject is let in there as well.
    is_open: bool,
}

fn write_others(out: &mut Vec<u8>, others: &[Other<'_>]) {
    out.extend_from_slice(b",\"flows\":[");
    for (at, other) in others.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let Touched {
            version,
            before,
            state,
        } = other.touched;
        write_flow(out, other.sid, version.number, Some(state));
        if other.is_open {
            write_changes(out, version, before, state);
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// Why a step changed nothing. Whoever was put out since the decision is
/// excluded; any other flow that would have started and did not is held by its
/// entry condition, whatever let its subject in.
fn why_not(
    decision: &Decision<'_, '_>,
    state: Option<&FlowState>,
    by_now: Option<Membership>,
) -> Reason {
    let is_begun = state.is_some_and(|state| state.started);
    let is_out = by_now.is_some_and(|membership| !membership.is_in);
    match decision.reason {
        _ if !is_begun && is_out => Reason::Excluded,
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

#[cfg(test)]
mod tests;

//! What does a user do, in our own words?
//!
//! Unlike Dopt's, these steps say what they led to: the flow's state, and
//! every block that looks different now. An `Idempotency-Key` makes a repeat
//! harmless. A flow that takes no `force` from public keys refuses it here.

use std::sync::Arc;

use super::{
    event_id, state_json,
    wire::{IntentBody, Named, SubjectBody, TransitionBody, refuse_channel},
    write_text, write_token,
};
use crate::{
    clock::UnixMs,
    evaluate::{BlockState, FlowState, Tag},
    http::{Answer, json},
    progress::{Action, StepRequest, Stepped, event::EventId},
    server::{
        EdgeService,
        asked::Posted,
        auth::Access,
        error::{Fault, Invalid},
        query::transition_names,
        route::Intent,
        target::{Target, block_in, block_missing, check_force, flow_of_block, place, target},
    },
    snapshot::{Flow, NameKey, Version, write_block},
};

/// What both kinds of steps have in common.
struct Step<'r> {
    access: Access<'r>,
    named: Named<'r>,
    id: Option<EventId>,
    now: UnixMs,
}

/// `POST /v1/flows/{sid}/{intent}`.
pub(crate) async fn intent(
    edge: &EdgeService,
    posted: &Posted<'_>,
    sid: &str,
    intent: Intent,
) -> Result<Answer, Fault> {
    let body: IntentBody<'_> = json::parse(&posted.bytes, json::Limits::default())?;
    refuse_channel(body.channel.as_ref())?;
    if body.force.is_some() && !intent.takes_force() {
        return Err(Invalid::Value {
            what: "force",
            found: format!("force with {}", intent.name()),
            expected: "force only with start and reset",
        }
        .into());
    }
    let force = body.force == Some(true);
    let step = Step::new(edge, posted, &body.subject, intent.name(), sid)?;
    let target = target(step.access, sid, body.version.0, step.now)?;
    if let Target::Version(flow, _) | Target::Disabled(flow, _) | Target::Empty(flow) = target
        && force
    {
        check_force(step.access, flow)?;
    }
    let action = match intent {
        Intent::Start => Action::Start { force },
        Intent::Reset => Action::Reset { force },
        Intent::Stop => Action::Stop,
        Intent::Finish => Action::Finish,
    };
    step.take(edge, target, action).await
}

/// `POST /v1/blocks/{uid}/transition`.
pub(crate) async fn transition(
    edge: &EdgeService,
    posted: &Posted<'_>,
    uid: &str,
) -> Result<Answer, Fault> {
    let body: TransitionBody<'_> = json::parse(&posted.bytes, json::Limits::default())?;
    refuse_channel(body.channel.as_ref())?;
    transition_names(&body.transitions)?;
    let step = Step::new(edge, posted, &body.subject, "transition", uid)?;
    let flow = flow_of_block(step.access, uid)?;
    let tag: Tag = body.version.0;
    let target = target(step.access, &flow.sid, tag, step.now)?;
    let version = match &target {
        Target::Version(_, version) | Target::Disabled(_, version) => version,
        Target::Empty(_) => return Err(block_missing(0, uid)),
    };
    let (block, _) = block_in(version, uid)?;
    let names = body.transitions.iter();
    let names: Vec<NameKey> = names.map(|name| NameKey::of(&name.0)).collect();
    let action = Action::Transition {
        block,
        names: &names,
    };
    step.take(edge, target, action).await
}

impl<'r> Step<'r> {
    fn new(
        edge: &EdgeService,
        posted: &'r Posted<'_>,
        subject: &'r SubjectBody<'_>,
        what: &str,
        parameter: &str,
    ) -> Result<Self, Fault> {
        let access = posted.access()?;
        Ok(Self {
            access,
            named: subject.check(access)?,
            id: event_id(posted.asked.headers(), what, parameter, &posted.bytes)?,
            now: edge.now(),
        })
    }

    /// Takes the step, or answers where a subject stands when there is nothing
    /// to step through.
    async fn take(
        &self,
        edge: &EdgeService,
        target: Target<'_>,
        action: Action<'_>,
    ) -> Result<Answer, Fault> {
        let body = match target {
            Target::Version(flow, version) => {
                let stepped = self.step(edge, flow, version, action).await?;
                self.stepped_body(flow, version, &stepped)
            }
            Target::Disabled(flow, version) => {
                let place = place(self.access.environment);
                let named = self.named;
                let read = edge.progress.read(&place, named.user, named.group).await?;
                let state = read
                    .subject
                    .state(flow.key, version.number, named.conversation);
                self.unchanged_body(flow, version.number, state)
            }
            Target::Empty(flow) => self.unchanged_body(flow, 0, None),
        };
        let environment = self.access.environment;
        Ok(edge.stamps.evaluated(environment, self.now, body))
    }

    async fn step(
        &self,
        edge: &EdgeService,
        flow: &Arc<Flow>,
        version: &Arc<Version>,
        action: Action<'_>,
    ) -> Result<Stepped, Fault> {
        let request = StepRequest {
            place: place(self.access.environment),
            user: self.named.user,
            group: self.named.group,
            conversation: self.named.conversation,
            attributes: self.named.attributes,
            flow,
            version,
            action,
            membership: None,
            id: self.id,
            now: self.now,
        };
        Ok(edge.progress.step(request).await?)
    }

    fn unchanged_body(&self, flow: &Flow, number: u32, state: Option<&FlowState>) -> Vec<u8> {
        let mut out = self.head(false);
        write_flow_member(&mut out, flow, number, state);
        out.extend_from_slice(b",\"blocks\":[]}");
        out
    }

    fn stepped_body(&self, flow: &Flow, version: &Version, stepped: &Stepped) -> Vec<u8> {
        let mut out = self.head(stepped.changed);
        write_token(&mut out, stepped.token.as_ref());
        write_flow_member(&mut out, flow, version.number, Some(&stepped.state));
        out.extend_from_slice(b",\"blocks\":[");
        let (was_running, running) = (stepped.before.is_running(), stepped.state.is_running());
        let mut first = true;
        for index in &version.shown {
            let block = version.block(*index);
            let before = Look::of(stepped.before.block(block.key), was_running);
            let state = stepped.state.block(block.key);
            if before == Look::of(state, running) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            write_block(&mut out, block, state, running);
        }
        out.extend_from_slice(b"]}");
        out
    }

    fn head(&self, changed: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"{\"revision\":");
        write_text(
            &mut out,
            &self.access.environment.snapshot.revision.to_string(),
        );
        out.extend_from_slice(if changed {
            b",\"changed\":true"
        } else {
            b",\"changed\":false"
        });
        out
    }
}

fn write_flow_member(out: &mut Vec<u8>, flow: &Flow, number: u32, state: Option<&FlowState>) {
    out.extend_from_slice(b",\"flow\":{\"sid\":");
    write_text(out, &flow.sid);
    out.extend_from_slice(b",\"version\":");
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b",\"state\":");
    out.extend_from_slice(state_json(state).as_bytes());
    out.push(b'}');
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

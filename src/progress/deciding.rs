//! How is a step decided?
//!
//! One try under the user's shard: check that the user is still the one that
//! was read, decide on the newest state, enqueue the record, and remember its
//! effect as newer than everything before. No await, no I/O. What the caller
//! is told waits for the sync outside.

use std::sync::atomic::Ordering;

use super::{
    enrolling::FoundMembership,
    finding::Found,
    keys::SubjectKey,
    known::Known,
    recording::{event_id, step_event},
    request::{Action, StepRequest, Stepped, Token, WriteError},
    stepping::{Attempt, Progress},
    writing::{Change, Writing},
};
use crate::evaluate::{
    Effect, FlowState, LiveJudge, Migrated, Profile, Step, StepError, Subject, SubjectView,
    reconcile, standing_in, transition,
};

/// Where the user stands before a step.
pub(super) struct Before {
    pub(super) state: FlowState,
    /// The state is not stored: migration makes it of another version's.
    pub(super) made: Option<Migrated>,
}

impl Progress {
    /// One try at a step.
    pub(super) fn attempt_step(
        &self,
        request: &StepRequest<'_>,
        key: &SubjectKey,
        found: &Found<Known>,
        group: Option<&Profile>,
        decided: Option<&FoundMembership>,
    ) -> Result<Attempt<Stepped>, WriteError> {
        let era = self.journal.era();
        let Some(mut writing) = self.writing(era, key.bytes(), found) else {
            return Ok(Attempt::Raced);
        };
        let mut deciding = match (decided, &request.membership) {
            (Some(found), Some(asked)) => match self.deciding(found, asked) {
                None => return Ok(Attempt::Raced),
                some => some,
            },
            _ => None,
        };
        let known = writing.newest.cached.document.clone();
        let before = Before::of(request, &known.subject);
        let mut judge = request.judge(&known.subject, group);
        if let Some((repair, effect)) = reconcile(request.version, &before.state, &mut judge) {
            let repair = request.instead(match repair {
                Step::Start { force } => Action::Start { force },
                _ => Action::Reset { force: true },
            });
            return self.write_first(&mut writing, &repair, &before, &effect);
        }
        if let Some(id) = event_id(request, &before.state)
            && let Some(body) = known.seen(request.flow.key, id.key)
        {
            if body != id.body {
                return Err(WriteError::KeyReused);
            }
            return self.no_step(&writing, false, before.state);
        }
        let effect = effect_of(request, &before, &mut judge)?;
        if !effect.changed {
            return self.no_step(&writing, false, before.state);
        }
        let starts = effect.state.started && !before.state.started;
        if let Some(deciding) = deciding.as_ref().filter(|own| starts && own.excludes()) {
            // Somebody was quicker with another decision.
            return self.no_step(&writing, deciding.is_waiting(), before.state);
        }
        if before.made.is_some() && !matches!(request.action, Action::Migrate) {
            // The step rests on what was made of another version.
            let migrate = request.instead(Action::Migrate);
            let effect = made(&before);
            return self.write_first(&mut writing, &migrate, &before, &effect);
        }
        let mut event = step_event(self, request, &known, &before, &effect);
        event.membership = deciding.as_ref().and_then(|own| own.carried(starts));
        let change = Change::of(event, &effect);
        let Some(ticket) = self.write(&mut writing, request, change, deciding.as_mut())? else {
            return Ok(Attempt::Raced);
        };
        if effect.capped {
            self.capped.fetch_add(1, Ordering::Relaxed);
            let (flow, version) = (&*request.flow.sid, request.version.number);
            tracing::debug!(flow, version, "a step stopped at the limit of logic steps");
        }
        Ok(Attempt::Decided {
            told: Stepped {
                changed: true,
                before: before.state,
                state: effect.state,
                others: effect.others,
                token: Some(self.token(ticket.seq)),
            },
            ticket: Some(ticket),
        })
    }

    /// Stores what the step rests on as a record of its own; the step is then
    /// decided on that.
    fn write_first(
        &self,
        writing: &mut Writing<'_>,
        first: &StepRequest<'_>,
        before: &Before,
        effect: &Effect,
    ) -> Result<Attempt<Stepped>, WriteError> {
        let known = writing.newest.cached.document.clone();
        let event = step_event(self, first, &known, before, effect);
        self.write(writing, first, Change::of(event, effect), None)?;
        Ok(Attempt::Raced)
    }

    /// Nothing happens. The answer waits for what it rests on.
    fn no_step(
        &self,
        writing: &Writing<'_>,
        waiting: bool,
        state: FlowState,
    ) -> Result<Attempt<Stepped>, WriteError> {
        let last = writing.newest.cached.document.last.clone();
        let stepped = Stepped {
            changed: false,
            before: state.clone(),
            state,
            others: Vec::new(),
            token: last.map(|(journal, seq)| Token { journal, seq }),
        };
        self.unchanged(writing.era, waiting || writing.newest.waiting, stepped)
    }
}

impl Before {
    /// The stored state of this version, or what migration makes of those the
    /// user has in others, in the same conversation.
    fn of(request: &StepRequest<'_>, subject: &Subject) -> Self {
        let (flow, version) = (request.flow, request.version);
        let (state, made) = standing_in(flow, version, subject, request.conversation);
        Self {
            state: state.into_owned(),
            made,
        }
    }
}

impl<'a> StepRequest<'a> {
    /// Who answers for this user, now.
    fn judge<'j>(&'j self, user: &'j Subject, group: Option<&'j Profile>) -> LiveJudge<'j> {
        LiveJudge {
            snapshot: &self.place.snapshot,
            view: SubjectView {
                user,
                group,
                attributes: self.attributes,
                conversation: self.conversation,
            },
            now: self.now,
        }
    }

    /// Something that is done before the step; the client's key is the step's.
    fn instead(&self, action: Action<'a>) -> Self {
        Self {
            action,
            id: None,
            ..self.clone()
        }
    }
}

/// What the step does, before anything is written.
fn effect_of(
    request: &StepRequest<'_>,
    before: &Before,
    judge: &mut LiveJudge<'_>,
) -> Result<Effect, StepError> {
    let step = match &request.action {
        Action::Migrate => {
            let mut effect = made(before);
            effect.changed = before.made.is_some_and(|made| made.save);
            return Ok(effect);
        }
        Action::AutoStart => Step::Start { force: false },
        Action::Start { force } => Step::Start { force: *force },
        Action::Reset { force } => Step::Reset { force: *force },
        Action::Stop => Step::Stop,
        Action::Finish => Step::Finish,
        Action::Transition { block, names } => Step::Transition {
            block: *block,
            names,
        },
    };
    transition(request.version, &before.state, &step, judge)
}

/// The effect of storing what was made.
fn made(before: &Before) -> Effect {
    Effect {
        changed: true,
        state: before.state.clone(),
        outcomes: Vec::new(),
        others: Vec::new(),
        capped: false,
    }
}

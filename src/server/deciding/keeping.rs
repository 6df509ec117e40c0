//! What of a decision is kept?
//!
//! A start, the state that migration made, or what a percentage came to: each
//! is one record at most, and a start carries the membership it rests on. A
//! read never fails because something could not be kept; it is counted, and
//! answered as not stored. Also here: steps, which are taken only by those who
//! are let in.

use super::{Door, Inquiry, Known};
use crate::{
    evaluate::{Decision, FlowState, Membership, Reason, Tag, enrolment},
    progress::{
        Action, EnrolRequest, Read, StepRequest, Stepped, Token,
        event::{EventId, MembershipDocument},
    },
    server::{EdgeService, error::Fault, target::place},
};

/// What a decision leaves to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToKeep {
    start: bool,
    migration: bool,
    membership: bool,
}

impl ToKeep {
    /// `start`: whether the route starts flows; `certain`: whether the subject
    /// and what is remembered of them were really looked up.
    pub(crate) fn of(decision: &Decision<'_, '_>, start: bool, certain: bool) -> Self {
        let start = start && decision.may_start;
        // Whoever is in and still gets nothing of the flow leaves no trace.
        let membership = decision
            .enrolled
            .and_then(|enrolled| enrolled.to_record)
            .is_some_and(|to_record| !to_record.is_in || decision.served);
        Self {
            start,
            migration: !start && decision.migrated.is_some_and(|made| made.save),
            // A start brings its own.
            membership: !start && certain && membership,
        }
    }

    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// What came of keeping.
#[derive(Debug, Default)]
struct Kept {
    /// The state that is stored now.
    state: Option<FlowState>,
    /// The membership is recorded now.
    recorded: bool,
    /// Somebody else's membership was first.
    overruled: Option<Membership>,
    token: Option<Token>,
    /// Other flows of the user have changed, too.
    touched_others: bool,
}

impl Kept {
    fn stored(&mut self, stepped: Stepped) {
        self.touched_others |= !stepped.others.is_empty();
        self.token = stepped.token;
        self.state = Some(stepped.state);
    }
}

/// A decision, and what was kept of it.
pub(crate) struct Settled<'s, 'u> {
    pub(crate) decision: Decision<'s, 'u>,
    kept: Kept,
}

impl<'s, 'u> Settled<'s, 'u> {
    /// A decision of which nothing is kept.
    pub(crate) fn unkept(decision: Decision<'s, 'u>) -> Self {
        Self {
            decision,
            kept: Kept::default(),
        }
    }

    /// Where the subject stands now.
    pub(crate) fn state(&self) -> Option<&FlowState> {
        let stored = self.kept.state.as_ref();
        stored.or(self.decision.state.as_deref())
    }

    /// Why: a start may run straight into a finish.
    pub(crate) fn reason(&self) -> Reason {
        match &self.kept.state {
            None => self.decision.reason,
            Some(state) if !state.started => Reason::EntryCondition,
            Some(state) if state.finished => Reason::Finished,
            Some(state) if state.stopped => Reason::Stopped,
            Some(_) => Reason::Started,
        }
    }

    /// Whether the subject gets something of the flow.
    pub(crate) fn is_served(&self) -> bool {
        match &self.kept.state {
            // What was to be started may not have been: the user changed.
            Some(state) => state.started,
            None => self.decision.served,
        }
    }

    /// Whether blocks may be shown as active.
    pub(crate) fn is_running(&self) -> bool {
        self.reason() == Reason::Started
    }

    /// Whether the membership the decision rests on is on record.
    pub(crate) fn is_recorded(&self) -> bool {
        let by_record = self.decision.enrolled;
        self.kept.recorded || by_record.is_some_and(|enrolled| enrolled.recorded)
    }

    /// Names the record that was written last.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.kept.token.as_ref()
    }

    /// Whether flows beside this one have changed.
    pub(crate) fn has_touched_others(&self) -> bool {
        self.kept.touched_others
    }
}

impl<'r> Inquiry<'r> {
    /// Decides the flow at this place of the list and keeps what is to be kept.
    pub(crate) async fn settle<'u>(
        &self,
        edge: &EdgeService,
        known: &'u Known,
        at: usize,
        (sid, tag): (&str, Tag),
        start: bool,
    ) -> Settled<'r, 'u>
    where
        'r: 'u,
    {
        let decision = self.decision(known, at, sid, tag);
        let kept = self.keep(edge, (known, at), &decision, start).await;
        let Some(first) = kept.overruled else {
            return Settled { decision, kept };
        };
        // The first decision wins: this one is made again on it. A record that
        // stands is not written again, so this ends here.
        let decision = self.decide(&known.read, sid, tag, Some(first));
        let kept = self.keep(edge, (known, at), &decision, start).await;
        Settled { decision, kept }
    }

    async fn keep(
        &self,
        edge: &EdgeService,
        (known, at): (&Known, usize),
        decision: &Decision<'_, '_>,
        start: bool,
    ) -> Kept {
        let certain = known.is_certain(at);
        let to_keep = ToKeep::of(decision, start, certain);
        let mut kept = Kept::default();
        let counters = &edge.counters;
        if to_keep.start {
            let membership = self.membership_with(known, at, decision);
            let brings = membership.is_some();
            match self
                .act(edge, decision, Action::AutoStart, membership, None)
                .await
            {
                Ok(Some(stepped)) if stepped.changed || stepped.state.started => {
                    kept.recorded = brings && stepped.changed && certain;
                    kept.stored(stepped);
                }
                // Not begun after all: perhaps because somebody else's
                // membership was first.
                Ok(_) => kept.overruled = self.overruled(edge, &known.read, decision),
                Err(_) => counters.starts_not_stored.add(1),
            }
        }
        if to_keep.migration {
            match self.act(edge, decision, Action::Migrate, None, None).await {
                Ok(Some(stepped)) => kept.stored(stepped),
                Ok(None) => {}
                Err(_) => counters.migrations_not_stored.add(1),
            }
        }
        if to_keep.membership
            && let Some(membership) = self.membership(&known.read, decision)
        {
            let decided = membership.to_membership();
            let request = EnrolRequest {
                place: place(self.access),
                user: self.who.user,
                group: self.who.group,
                membership,
                now: self.now,
            };
            match edge.progress.enrol(request).await {
                Ok(stands) => {
                    kept.recorded = true;
                    kept.overruled = (stands != decided).then_some(stands);
                }
                Err(_) => counters.memberships_not_stored.add(1),
            }
        }
        kept
    }

    /// What is on record by now, where it is not what the decision came to.
    pub(crate) fn overruled(
        &self,
        edge: &EdgeService,
        read: &Read,
        decision: &Decision<'_, '_>,
    ) -> Option<Membership> {
        let enrolled = decision.enrolled.filter(|enrolled| !enrolled.recorded)?;
        let now = self.remembered_now(edge, read, &decision.flow?.sid)?;
        now.membership.filter(|own| own.is_in != enrolled.is_in)
    }

    /// The percentage decision under its key; none where nothing is remembered.
    fn membership(&self, read: &Read, decision: &Decision<'_, '_>) -> Option<MembershipDocument> {
        let enrolled = decision.enrolled?;
        let key = enrolment(decision.deployment?, &self.view(read))?;
        let standing = Membership {
            is_in: enrolled.is_in,
            basis_points: enrolled.basis_points,
        };
        let membership = enrolled.to_record.unwrap_or(standing);
        Some(MembershipDocument {
            deployment: key.deployment.to_owned(),
            id: key.id.into_owned(),
            conversation: key.conversation.map(ToOwned::to_owned),
            is_in: membership.is_in,
            basis_points: membership.basis_points,
            bucket: enrolled.bucket,
        })
    }

    /// What a start brings along. Nothing where the record could not be read:
    /// the start shall not fail by what it cannot ask.
    fn membership_with(
        &self,
        known: &Known,
        at: usize,
        decision: &Decision<'_, '_>,
    ) -> Option<MembershipDocument> {
        if known.remembered(at).assumed {
            return None;
        }
        self.membership(&known.read, decision)
    }

    /// Takes a step in the version that was decided for the one flow that is
    /// known; none for those who are not let in, which is no error.
    pub(crate) async fn step(
        &self,
        edge: &EdgeService,
        known: &Known,
        decision: &Decision<'_, '_>,
        action: Action<'_>,
        id: Option<EventId>,
    ) -> Result<Option<Stepped>, Fault> {
        // What begins rests on the membership; what goes on has its own.
        let membership = match action {
            Action::Start { .. } | Action::Reset { .. } => self.membership_with(known, 0, decision),
            _ => None,
        };
        self.act(edge, decision, action, membership, id).await
    }

    async fn act(
        &self,
        edge: &EdgeService,
        decision: &Decision<'_, '_>,
        action: Action<'_>,
        membership: Option<MembershipDocument>,
        id: Option<EventId>,
    ) -> Result<Option<Stepped>, Fault> {
        let (Some(flow), Some(version)) = (decision.flow, decision.version) else {
            return Ok(None);
        };
        if Door::of(decision) != Door::Open {
            return Ok(None);
        }
        let request = StepRequest {
            place: place(self.access),
            user: self.who.user,
            group: self.who.group,
            conversation: self.who.conversation,
            attributes: self.who.attributes,
            flow,
            version,
            action,
            membership,
            id,
            now: self.now,
        };
        Ok(Some(edge.progress.step(request).await?))
    }
}

//! How is a percentage decision remembered?
//!
//! Each is a document of its own at the ledger and here: read through, kept,
//! overlaid by our own records. The first decision stands; whoever comes later
//! is told what stands and nothing is written. A decision comes with the start
//! that rests on it, or alone. What would surprise: while upstream cannot be
//! asked nothing is recorded at all, because somebody may have decided before.

use std::sync::Arc;

use moka::sync::Cache;

use super::{
    event::{Event, MembershipDocument, MembershipRecord, Operation},
    finding::Found,
    keys::{MembershipKey, MembershipName, Name},
    pending::{Locked, Pending, RecoveredRecord},
    recording::membership_event,
    request::{EnrolRequest, Place, ReadError, Remembered, WriteError},
    stepping::{Attempt, Memory, Progress},
    subjects::{Below, Cached, Kept, Subjects},
    writing::Newest,
};
use crate::{
    current::EnvironmentSlot,
    evaluate::{Enrolment, Membership},
    limits::STEP_TRIES_MAX,
};

/// Everybody.
const ALL_BASIS_POINTS: u16 = 10_000;

/// What this edge knows under one membership key.
#[derive(Clone, Debug)]
pub(super) struct KnownMembership {
    /// The decision that stands, and its bucket.
    decision: Option<(Membership, u16)>,
    /// The ledger's revision this started from; 0 for nothing.
    pub(super) doc_rev: u64,
    /// Upstream could not be asked.
    assumed: bool,
    /// The last record of a journal of ours that went into it, unless the
    /// ledger is known to have it.
    pub(super) last: Option<(Arc<str>, u64)>,
    /// The last record of any journal that the ledger's record includes.
    taken: Option<(Arc<str>, u64)>,
}

impl KnownMembership {
    /// The ledger's record in compact form.
    pub(super) fn of(record: &MembershipRecord) -> Self {
        let taken = record.last.as_ref();
        Self {
            decision: record.membership.as_ref().map(decision_of),
            doc_rev: record.doc_rev,
            assumed: false,
            last: None,
            taken: taken.map(|(journal, seq)| (journal.as_str().into(), *seq)),
        }
    }

    /// What is remembered.
    pub(super) fn remembered(&self) -> Remembered {
        Remembered {
            membership: self.decision.map(|(membership, _)| membership),
            // Of a decision of our own nothing is assumed.
            assumed: self.assumed && self.decision.is_none(),
        }
    }

    /// The decision that stands against this one, which comes later. Only a
    /// launch for everybody replaces an exclusion.
    fn standing(&self, later: &MembershipDocument) -> Option<Membership> {
        let (membership, _) = self.decision?;
        let launched = later.is_in && later.basis_points == ALL_BASIS_POINTS;
        (membership.is_in || !launched).then_some(membership)
    }

    fn after(&self, membership: &MembershipDocument, last: (Arc<str>, u64)) -> Self {
        Self {
            decision: Some(decision_of(membership)),
            last: Some(last),
            ..self.clone()
        }
    }
}

fn decision_of(membership: &MembershipDocument) -> (Membership, u16) {
    (membership.to_membership(), membership.bucket)
}

impl Kept for KnownMembership {
    fn pending(memory: &Memory) -> &Pending<Self> {
        &memory.memberships
    }

    fn cache(subjects: &Subjects) -> &Cache<Box<[u8]>, Cached<Self>> {
        &subjects.memberships
    }

    fn assumed(_name: &Name<'_>) -> Self {
        Self {
            assumed: true,
            ..Self::of(&MembershipRecord::default())
        }
    }

    fn taken(&self) -> Option<&(Arc<str>, u64)> {
        self.taken.as_ref()
    }

    fn after_recovered(&self, records: &[RecoveredRecord]) -> Self {
        let mut known = self.clone();
        for (journal, seq, event) in records {
            let Some(membership) = &event.membership else {
                continue;
            };
            // The ledger lets a start that it applies beat an exclusion, so
            // that nobody is put out of what they have begun.
            let starts = membership.is_in && is_start(event);
            if starts || known.standing(membership).is_none() {
                known = known.after(membership, (journal.clone(), *seq));
            }
        }
        known
    }

    fn settled(&self, doc_rev: u64) -> Option<Self> {
        let known = || Self {
            doc_rev,
            last: None,
            ..self.clone()
        };
        (!self.assumed).then(known)
    }

    fn of_below(below: Below) -> Option<Cached<Self>> {
        match below {
            Below::Membership(cached) => Some(cached),
            _ => None,
        }
    }
}

fn is_start(event: &Event) -> bool {
    matches!(event.operation, Operation::Start { .. })
}

/// A decision as a step or an enrolment found it.
pub(super) struct FoundMembership {
    key: MembershipKey,
    found: Found<KnownMembership>,
}

/// A decision under its shard, and what a step would have recorded.
pub(super) struct Deciding<'a> {
    locked: Locked<'a, KnownMembership>,
    key: &'a [u8],
    newest: Newest<KnownMembership>,
    asked: &'a MembershipDocument,
}

impl Deciding<'_> {
    /// Whether by now a decision stands that lets nobody start.
    pub(super) fn excludes(&self) -> bool {
        let standing = self.newest.cached.document.standing(self.asked);
        !standing.map_or(self.asked.is_in, |membership| membership.is_in)
    }

    /// Whether that decision waits for its sync.
    pub(super) fn is_waiting(&self) -> bool {
        self.newest.waiting
    }

    /// What the record of a step that takes effect carries: with a start the
    /// decision that stands, otherwise one that is not recorded yet.
    pub(super) fn carried(&self, starts: bool) -> Option<MembershipDocument> {
        let known = &self.newest.cached.document;
        match (known.decision, known.standing(self.asked)) {
            (Some((membership, bucket)), Some(_)) => starts.then(|| MembershipDocument {
                is_in: membership.is_in,
                basis_points: membership.basis_points,
                bucket,
                ..self.asked.clone()
            }),
            // Somebody may have decided before, and cannot be asked.
            _ if known.assumed && known.decision.is_none() => None,
            _ => Some(self.asked.clone()),
        }
    }

    /// Makes it known, together with the record that carries it.
    pub(super) fn push(&mut self, era: u64, last: (Arc<str>, u64), carried: &MembershipDocument) {
        let seq = last.1;
        let after = self.newest.cached.document.after(carried, last);
        let below = &self.newest.cached;
        self.locked.push(self.key, era, below, seq, Arc::new(after));
    }
}

impl Progress {
    /// The fast path: what memory holds, without waiting. None on a miss.
    pub fn cached_membership(
        &self,
        slot: EnvironmentSlot,
        enrolment: &Enrolment<'_, '_>,
    ) -> Option<Remembered> {
        match MembershipKey::new(slot, &name_of(enrolment)) {
            Some(key) => {
                let known = self.fresh::<KnownMembership>(key.bytes())?;
                Some(known.remembered())
            }
            None => Some(NOTHING),
        }
    }

    /// Reads through to the ledger on a miss; coalesced and bounded. With
    /// upstream away a decision that nobody here knows is assumed not to be
    /// recorded, or refused where the operator refuses unknown subjects.
    pub async fn membership(
        &self,
        place: &Place,
        enrolment: &Enrolment<'_, '_>,
    ) -> Result<Remembered, ReadError> {
        let name = name_of(enrolment);
        let Some(key) = MembershipKey::new(place.slot, &name) else {
            return Ok(NOTHING);
        };
        let name = Name::Membership(name);
        let found = self.find::<KnownMembership>(place, key.bytes(), name);
        Ok(found.await?.cached.document.remembered())
    }

    /// Records a decision and returns, when durable, the one that stands: the
    /// first one wins. When upstream could not be asked whether there is one,
    /// it is `Unavailable` and nothing is recorded: the caller answers as
    /// hashed.
    pub async fn enrol(&self, request: EnrolRequest<'_>) -> Result<Membership, WriteError> {
        self.sweep();
        for _ in 0..STEP_TRIES_MAX {
            let decided = self.decided(&request.place, &request.membership).await?;
            let found = decided.ok_or_else(|| {
                WriteError::TooLarge("no decision can be recorded under this id".to_owned())
            })?;
            match self.attempt_enrol(&request, &found)? {
                Attempt::Raced => {}
                Attempt::Decided { told, ticket } => {
                    let news = self.news(request.user, &[]);
                    return self.acknowledged(told, ticket, news).await;
                }
            }
        }
        Err(WriteError::Unavailable("the decision changes too quickly"))
    }

    /// What is known under the key of this decision; none when it is one that
    /// cannot be recorded.
    pub(super) async fn decided(
        &self,
        place: &Place,
        membership: &MembershipDocument,
    ) -> Result<Option<FoundMembership>, ReadError> {
        let name = MembershipName::of(membership);
        let Some(key) = MembershipKey::new(place.slot, &name) else {
            return Ok(None);
        };
        let name = Name::Membership(name);
        let found = self.find(place, key.bytes(), name).await?;
        Ok(Some(FoundMembership { key, found }))
    }

    /// Takes the decision's shard; none when it changed since it was found.
    pub(super) fn deciding<'a>(
        &'a self,
        found: &'a FoundMembership,
        asked: &'a MembershipDocument,
    ) -> Option<Deciding<'a>> {
        let key = found.key.bytes();
        let mut locked = self.memory.memberships.lock(key);
        let newest = self.newest(&mut locked, key, &found.found)?;
        Some(Deciding {
            locked,
            key,
            newest,
            asked,
        })
    }

    /// One try at recording a decision alone.
    fn attempt_enrol(
        &self,
        request: &EnrolRequest<'_>,
        found: &FoundMembership,
    ) -> Result<Attempt<Membership>, WriteError> {
        let era = self.journal.era();
        let asked = &request.membership;
        let Some(mut deciding) = self.deciding(found, asked) else {
            return Ok(Attempt::Raced);
        };
        let known = deciding.newest.cached.document.clone();
        if let Some(standing) = known.standing(asked) {
            return self.unchanged(era, deciding.is_waiting(), standing);
        }
        if known.remembered().assumed {
            return Err(WriteError::Unavailable(
                "upstream cannot be asked whether a decision is recorded",
            ));
        }
        let event = membership_event(self, request, &known);
        let Some(ticket) = self.enqueue(era, request.now, &event)? else {
            return Ok(Attempt::Raced);
        };
        deciding.push(era, (self.journal.shared_id(), ticket.seq), asked);
        Ok(Attempt::Decided {
            told: asked.to_membership(),
            ticket: Some(ticket),
        })
    }
}

/// Nothing is recorded, and nothing can be.
const NOTHING: Remembered = Remembered {
    membership: None,
    assumed: false,
};

fn name_of<'a>(enrolment: &'a Enrolment<'_, '_>) -> MembershipName<'a> {
    MembershipName {
        deployment: enrolment.deployment,
        id: &enrolment.id,
        conversation: enrolment.conversation,
    }
}

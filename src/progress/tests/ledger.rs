//! A ledger whose every call is held until somebody lets it go on.
//!
//! The rules are the real ones ([`MemoryLedger`]). A call is first executed
//! and then answered, each when told: so a batch can be applied and its answer
//! lost, a read can be overtaken, and a request can arrive after the edge that
//! sent it has died.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::world::{ENVIRONMENT, UID, World};
use crate::{
    disk::journal::Journal,
    progress::{
        LedgerError, LedgerFuture, ProgressLedger,
        event::{
            Batch, BatchAnswer, Changes, Event, GroupRecord, MembershipRecord, Outcome,
            UserDocument, UsersAnswer,
        },
    },
    store::{
        ShipError,
        memory::{MemoryLedger, environment},
    },
};

/// Shared by all edges and the test.
#[derive(Clone)]
pub(super) struct SimLedger {
    inner: Arc<Mutex<Inner>>,
    world: World,
}

/// What the test looks at.
#[derive(Default)]
pub(super) struct Inner {
    pub(super) ledger: MemoryLedger,
    /// Held calls, oldest first.
    pub(super) calls: Vec<Call>,
    /// Calls fail instead of being executed.
    pub(super) away: bool,
    /// Calls are executed and answered at once.
    pub(super) at_once: bool,
    /// Whom the ledger refuses to speak about.
    pub(super) refused: Option<String>,
    /// First outcome of every record.
    pub(super) taken: BTreeMap<(String, u64), Taken>,
    /// Which record made a user's document what it was at a revision.
    pub(super) made_by: BTreeMap<(String, u64), (String, u64)>,
    /// Calls so far for subjects.
    pub(super) reads: usize,
    /// What must never happen and did.
    pub(super) wrong: Vec<String>,
    /// The live journal of each seat: nothing above what it has synced may
    /// arrive.
    pub(super) journals: BTreeMap<u64, Journal>,
    /// The next question for changes finds a gap.
    pub(super) gap: bool,
}

/// What became of a record.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) outcome: Outcome,
    pub(super) as_recorded: bool,
    pub(super) event: Event,
}

/// One call under way.
pub(super) struct Call {
    request: Request,
    reply: Option<Result<Reply, LedgerError>>,
    sender: oneshot::Sender<Result<Reply, LedgerError>>,
}

enum Request {
    User(String),
    Users(Vec<String>),
    Group(String),
    Membership(String, String, Option<String>),
    Changes(Option<String>),
    Ship(Batch),
    Close(String, String),
}

enum Reply {
    User(UserDocument),
    Users(UsersAnswer),
    Group(GroupRecord),
    Membership(MembershipRecord),
    Changes(Changes),
    Shipped(BatchAnswer),
    Closed,
}

impl SimLedger {
    pub(super) fn new(world: &World) -> Self {
        Self {
            inner: Arc::default(),
            world: world.clone(),
        }
    }

    /// One that answers at once.
    pub(super) fn prompt(world: &World) -> Self {
        let ledger = Self::new(world);
        ledger.look().at_once = true;
        ledger
    }

    pub(super) fn look(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next call waits for a batch to be taken or a journal closed.
    pub(super) fn is_shipment(&self, at: usize) -> bool {
        let inner = self.look();
        let call = inner.calls.get(at);
        call.is_some_and(|call| matches!(call.request, Request::Ship(_) | Request::Close(..)))
    }

    /// Executes a held call, or answers one that was executed. With `lose` the
    /// request or the answer does not get through.
    pub(super) fn advance(&self, at: usize, lose: bool) {
        let mut inner = self.look();
        if at >= inner.calls.len() {
            return;
        }
        let away = || Err(LedgerError::Away("simulated".to_owned()));
        let mut call = inner.calls.remove(at);
        let answer = match call.reply.take() {
            Some(_) if lose => away(),
            Some(reply) => reply,
            None if lose || inner.away => away(),
            None => {
                call.reply = Some(inner.execute(&call.request, &self.world));
                inner.calls.insert(at, call);
                return;
            }
        };
        // An edge that died does not listen any more.
        drop(call.sender.send(answer));
    }

    /// Requests that are still on their way and may arrive although their edge
    /// is gone; answers have nobody to go to.
    pub(super) fn forget_answers(&self) {
        self.look().calls.retain(|call| call.reply.is_none());
    }

    async fn call(&self, request: Request) -> Result<Reply, LedgerError> {
        let receiver = {
            let mut inner = self.look();
            inner.reads += usize::from(matches!(
                request,
                Request::User(_) | Request::Users(_) | Request::Group(_) | Request::Membership(..)
            ));
            if inner.at_once {
                return match inner.away {
                    true => Err(LedgerError::Away("simulated".to_owned())),
                    false => inner.execute(&request, &self.world),
                };
            }
            let (sender, receiver) = oneshot::channel();
            inner.calls.push(Call {
                request,
                reply: None,
                sender,
            });
            receiver
        };
        let lost = |_| Err(LedgerError::Away("lost".to_owned()));
        receiver.await.unwrap_or_else(lost)
    }
}

impl Inner {
    fn execute(&mut self, request: &Request, world: &World) -> Result<Reply, LedgerError> {
        match request {
            Request::User(user) if self.refused.as_ref() == Some(user) => {
                Err(LedgerError::Refused("simulated".to_owned()))
            }
            Request::User(user) => Ok(Reply::User(self.ledger.document(user))),
            Request::Users(users)
                if self.refused.as_ref().is_some_and(|own| users.contains(own)) =>
            {
                Err(LedgerError::Refused("simulated".to_owned()))
            }
            Request::Users(users) => {
                // No answer has room for more than two.
                let (first, missing) = users.split_at(users.len().min(2));
                let documents = first.iter().map(|user| self.ledger.document(user));
                Ok(Reply::Users(UsersAnswer {
                    users: documents.collect(),
                    missing: missing.to_vec(),
                }))
            }
            Request::Group(group) => Ok(Reply::Group(self.ledger.record(group))),
            Request::Membership(deployment, id, conversation) => {
                let conversation = conversation.as_deref();
                let record = self.ledger.membership(deployment, id, conversation);
                Ok(Reply::Membership(record))
            }
            Request::Changes(cursor) => {
                let gap = std::mem::take(&mut self.gap);
                let cursor = cursor.as_deref().filter(|_| !gap);
                let changes = self.ledger.changes(cursor);
                let changes = changes.map_err(|_| LedgerError::Refused("cursor".to_owned()))?;
                let gap = gap || changes.gap;
                Ok(Reply::Changes(Changes { gap, ..changes }))
            }
            Request::Close(journal, hash) => match self.ledger.close(journal, hash) {
                Ok(()) => Ok(Reply::Closed),
                Err(error) => Err(LedgerError::Fork(error.to_string())),
            },
            Request::Ship(batch) => {
                let answer = self
                    .ledger
                    .ship(&environment(UID, ENVIRONMENT), batch, world);
                match answer {
                    Ok(answer) => {
                        self.note(batch, &answer);
                        Ok(Reply::Shipped(answer))
                    }
                    Err(ShipError::Fork(why)) => Err(LedgerError::Fork(why)),
                    Err(error) => Err(LedgerError::Refused(error.to_string())),
                }
            }
        }
    }

    fn note(&mut self, batch: &Batch, answer: &BatchAnswer) {
        for (record, outcome) in batch.records.iter().zip(&answer.outcomes) {
            let place = (batch.journal.clone(), record.seq);
            if self.taken.contains_key(&place) {
                if outcome.outcome != Outcome::Already {
                    self.wrong.push(format!("{place:?} had a second outcome"));
                }
                continue;
            }
            if outcome.outcome == Outcome::Applied {
                let rev = (record.event.user.clone(), outcome.doc_rev);
                self.made_by.insert(rev, place.clone());
            }
            let taken = Taken {
                outcome: outcome.outcome,
                as_recorded: outcome.as_recorded,
                event: record.event.clone(),
            };
            self.taken.insert(place, taken);
        }
    }

    /// Nothing may be shipped that is not synced.
    fn check_synced(&mut self, batch: &Batch) {
        let last = batch.records.last().map_or(0, |record| record.seq);
        let mut journals = self.journals.values();
        let own = journals.find(|own| *batch.journal == *own.id());
        if own.is_some_and(|own| last > own.synced()) {
            self.wrong.push(format!("seq {last} was shipped unsynced"));
        }
    }
}

impl ProgressLedger for SimLedger {
    fn user<'a>(&'a self, _: &'a str, user: &'a str) -> LedgerFuture<'a, UserDocument> {
        Box::pin(async move {
            match self.call(Request::User(user.to_owned())).await? {
                Reply::User(document) => Ok(document),
                _ => Err(LedgerError::Refused("not a user".to_owned())),
            }
        })
    }

    fn users<'a>(
        &'a self,
        _: &'a str,
        users: &'a [String],
    ) -> LedgerFuture<'a, Option<UsersAnswer>> {
        Box::pin(async move {
            match self.call(Request::Users(users.to_vec())).await? {
                Reply::Users(answer) => Ok(Some(answer)),
                _ => Err(LedgerError::Refused("not users".to_owned())),
            }
        })
    }

    fn group<'a>(&'a self, _: &'a str, group: &'a str) -> LedgerFuture<'a, GroupRecord> {
        Box::pin(async move {
            match self.call(Request::Group(group.to_owned())).await? {
                Reply::Group(record) => Ok(record),
                _ => Err(LedgerError::Refused("not a group".to_owned())),
            }
        })
    }

    fn membership<'a>(
        &'a self,
        _: &'a str,
        deployment: &'a str,
        id: &'a str,
        conversation: Option<&'a str>,
    ) -> LedgerFuture<'a, MembershipRecord> {
        let conversation = conversation.map(ToOwned::to_owned);
        let request = Request::Membership(deployment.to_owned(), id.to_owned(), conversation);
        Box::pin(async move {
            match self.call(request).await? {
                Reply::Membership(record) => Ok(record),
                _ => Err(LedgerError::Refused("not a membership".to_owned())),
            }
        })
    }

    /// Never waits: whoever asks is driven by hand.
    fn changes<'a>(
        &'a self,
        _: &'a str,
        cursor: Option<&'a str>,
        _: std::time::Duration,
    ) -> LedgerFuture<'a, Changes> {
        Box::pin(async move {
            match self
                .call(Request::Changes(cursor.map(ToOwned::to_owned)))
                .await?
            {
                Reply::Changes(changes) => Ok(changes),
                _ => Err(LedgerError::Refused("not changes".to_owned())),
            }
        })
    }

    fn ship<'a>(&'a self, _: &'a str, batch: &'a Batch) -> LedgerFuture<'a, BatchAnswer> {
        Box::pin(async move {
            self.look().check_synced(batch);
            match self.call(Request::Ship(batch.clone())).await? {
                Reply::Shipped(answer) => Ok(answer),
                _ => Err(LedgerError::Refused("not an answer".to_owned())),
            }
        })
    }

    fn close<'a>(&'a self, _: &'a str, journal: &'a str, hash: &'a str) -> LedgerFuture<'a, ()> {
        Box::pin(async move {
            let request = Request::Close(journal.to_owned(), hash.to_owned());
            match self.call(request).await? {
                Reply::Closed => Ok(()),
                _ => Err(LedgerError::Refused("not closed".to_owned())),
            }
        })
    }
}

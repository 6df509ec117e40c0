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
            UserDocument,
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
    /// The live journal: nothing above what it has synced may arrive.
    pub(super) journal: Option<Journal>,
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
    Group(String),
    Ship(Batch),
    Close(String),
}

enum Reply {
    User(UserDocument),
    Group(GroupRecord),
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
        let request = self.look().calls.get(at).map(|call| match call.request {
            Request::Ship(_) | Request::Close(_) => true,
            Request::User(_) | Request::Group(_) => false,
        });
        request.unwrap_or(false)
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
            inner.reads += usize::from(matches!(request, Request::User(_) | Request::Group(_)));
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
            Request::Group(group) => Ok(Reply::Group(self.ledger.record(group))),
            Request::Close(journal) => {
                self.ledger.close(journal);
                Ok(Reply::Closed)
            }
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
        let Some(journal) = &self.journal else { return };
        let last = batch.records.last().map_or(0, |record| record.seq);
        if *batch.journal == *journal.id() && last > journal.synced() {
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
        _: &'a str,
        _: &'a str,
        _: Option<&'a str>,
    ) -> LedgerFuture<'a, MembershipRecord> {
        Box::pin(async { Ok(MembershipRecord::default()) })
    }

    fn changes<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a str>,
        _: std::time::Duration,
    ) -> LedgerFuture<'a, Changes> {
        Box::pin(async { Err(LedgerError::Away("nothing changes here".to_owned())) })
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

    fn close<'a>(&'a self, _: &'a str, journal: &'a str) -> LedgerFuture<'a, ()> {
        Box::pin(async move {
            match self.call(Request::Close(journal.to_owned())).await? {
                Reply::Closed => Ok(()),
                _ => Err(LedgerError::Refused("not closed".to_owned())),
            }
        })
    }
}

//! Is what is read no older than what the client was told?
//!
//! A client shows the token of its last write to any edge. A record of our own
//! is visible when it is synced. Of another edge's record the token is itself
//! the news that the subject has changed: what memory holds is out of date
//! unless it is known to include it, and the ledger is asked once, and waits a
//! little until it has the record. Whoever cannot be shown theirs in time is
//! answered with what there is, and told so: never an error.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use moka::sync::Cache;
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, Span};

use super::{
    Asker, Place, Progress, ProgressLedger, Seat, Seats, Token,
    event::subject_hash,
    keys::{Kind, SubjectKey},
    known::Known,
    reading::keep,
    stepping::Memory,
    ticks::Tick,
};
use crate::{
    disk::journal::Durability,
    limits::{TOKEN_WAIT_MS, TOKEN_WAITERS_MAX, TOKEN_WAITERS_PER_KEY_MAX, TOKENS_REMEMBERED_MAX},
    telemetry::traces,
};

/// How a token fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Memory included its record already.
    Included,
    /// After a wait, or a read.
    Waited,
    /// Not in time.
    Behind,
    /// Too many waited already.
    Crowded,
}

/// Names of outcomes, in their order.
pub const TOKEN_OUTCOMES: [&str; 4] = ["included", "waited", "behind", "crowded"];

/// What is known of tokens.
pub(super) struct Tokens {
    /// The highest seq of a journal that a user's document is known to
    /// include; the key is the user's and the journal. A document that is read
    /// later is never older.
    included: Cache<Box<[u8]>, u64>,
    seats: Seats,
    outcomes: [AtomicU64; 4],
}

/// A question to the ledger.
pub(super) struct Wait {
    environment: Box<str>,
    key: Box<[u8]>,
    user: Box<str>,
    token: Token,
    generation: u64,
    tick: Tick,
    /// Of the request that waits, where that is traced.
    span: Span,
    /// Whether the document that is in memory now includes the record.
    answer: oneshot::Sender<bool>,
    /// Kept also when nobody waits any more, for as long as the call takes.
    _seat: Seat,
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            included: Cache::new(TOKENS_REMEMBERED_MAX),
            seats: Seats::new(TOKEN_WAITERS_MAX, TOKEN_WAITERS_PER_KEY_MAX),
            outcomes: Default::default(),
        }
    }
}

/// The channel between workers and the ledger; a seat for each.
pub(super) fn channel() -> (mpsc::Sender<Wait>, mpsc::Receiver<Wait>) {
    mpsc::channel(TOKEN_WAITERS_MAX)
}

/// Asks until every worker is gone. As many calls at a time as there are seats.
pub(super) async fn serve(
    mut waits: mpsc::Receiver<Wait>,
    ledger: Arc<dyn ProgressLedger>,
    memory: Arc<Memory>,
) {
    let mut calls = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(()) = calls.next() => {}
            wait = waits.recv() => match wait {
                Some(wait) => {
                    let span = wait.span.clone();
                    calls.push(ask(wait, &*ledger, &memory).instrument(span));
                }
                None => return,
            }
        }
    }
}

async fn ask(wait: Wait, ledger: &dyn ProgressLedger, memory: &Memory) {
    let after = (&*wait.token.journal, wait.token.seq);
    let longest = Duration::from_millis(TOKEN_WAIT_MS);
    let asked = ledger.user_after(&wait.environment, &wait.user, after, longest);
    let reached = match asked.await {
        Ok(found) => {
            let begun = (wait.generation, wait.tick);
            keep(memory, &wait.key, begun, Known::of(&found.user));
            found.reached
        }
        Err(error) => {
            tracing::debug!(%error, "the ledger cannot be asked whether it has a record");
            false
        }
    };
    // Whoever asked may be gone.
    wait.answer.send(reached).ok();
}

impl Progress {
    /// Sees to it that what is read of the user from here on includes the
    /// record; false when that cannot be had in time.
    pub async fn includes(&self, place: &Place, user: &str, token: &Token) -> bool {
        let outcome = self.outcome(place, user, token).await;
        self.memory.tokens.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
        matches!(outcome, Outcome::Included | Outcome::Waited)
    }

    /// How tokens fared so far, in the order of [`TOKEN_OUTCOMES`].
    pub fn tokens(&self) -> [u64; 4] {
        let outcomes = &self.memory.tokens.outcomes;
        std::array::from_fn(|at| outcomes[at].load(Ordering::Relaxed))
    }

    async fn outcome(&self, place: &Place, user: &str, token: &Token) -> Outcome {
        if *token.journal == *self.journal.id() {
            return self.own(token.seq, place.asker).await;
        }
        if self.memory.journals.is_own(&token.journal) {
            // Whatever the ledger does not have of it lies over what it has.
            return Outcome::Included;
        }
        let key = SubjectKey::new(Kind::User, place.slot, user);
        if self.is_included(key.bytes(), token) {
            return Outcome::Included;
        }
        let Some(seat) = self.memory.tokens.seats.take(place.asker) else {
            return Outcome::Crowded;
        };
        // The token is the news: what is read or on its way does not do.
        let subject = subject_hash("user", &[user]);
        self.memory.ticks.raise(subject);
        let (answer, reached) = oneshot::channel();
        let wait = Wait {
            environment: place.snapshot.environment.clone(),
            user: user.into(),
            token: token.clone(),
            generation: self.memory.pending.generation(key.bytes()),
            tick: self.memory.ticks.now(subject),
            key: key.bytes().into(),
            span: traces::awaited("read after", &place.snapshot.environment),
            answer,
            _seat: seat,
        };
        if self.waits.try_send(wait).is_err() {
            return Outcome::Crowded;
        }
        // The ledger has its time, and the way there and back as much again.
        let longest = Duration::from_millis(2 * TOKEN_WAIT_MS);
        let reached = tokio::time::timeout(longest, reached).await;
        // Records of ours that are on their way lie over an older document.
        if matches!(reached, Ok(Ok(true))) && !self.has_own_over(key.bytes()) {
            let name = name(key.bytes(), token);
            self.memory.tokens.included.insert(name, token.seq);
            return Outcome::Waited;
        }
        Outcome::Behind
    }

    /// A record of this run: synced is visible.
    async fn own(&self, seq: u64, asker: Asker) -> Outcome {
        if seq <= self.journal.synced() || self.journal.durability() == Durability::Memory {
            return Outcome::Included;
        }
        if seq > self.journal.status().last_seq {
            // Nobody was given it.
            return Outcome::Behind;
        }
        let Some(_seat) = self.memory.tokens.seats.take(asker) else {
            return Outcome::Crowded;
        };
        let longest = Duration::from_millis(TOKEN_WAIT_MS);
        match tokio::time::timeout(longest, self.synced(seq)).await {
            Ok(()) => Outcome::Waited,
            Err(_) => Outcome::Behind,
        }
    }

    /// Whether the user is seen through records of ours that lie over what was
    /// read, in memory or still on disk: they were perhaps decided before it.
    fn has_own_over(&self, key: &[u8]) -> bool {
        let pending = &self.memory.pending;
        let is_there = || pending.lock(key).entry(key, &self.journal).is_some();
        !pending.is_clear(key) && is_there()
    }

    /// Whether what memory holds of the user is known to include the record.
    fn is_included(&self, key: &[u8], token: &Token) -> bool {
        let includes = |at: &(Arc<str>, u64)| *at.0 == *token.journal && at.1 >= token.seq;
        if let Some(known) = self.fresh::<Known>(key)
            && known.taken.as_ref().is_some_and(includes)
            && !known.is_covered
        {
            return true;
        }
        let seq = self.memory.tokens.included.get(&*name(key, token));
        // Records of ours may lie over a document that was read before.
        seq.is_some_and(|seq| seq >= token.seq) && !self.has_own_over(key)
    }
}

/// A user's key and a journal; journal ids have one length.
fn name(key: &[u8], token: &Token) -> Box<[u8]> {
    [key, b"\n", token.journal.as_bytes()].concat().into()
}

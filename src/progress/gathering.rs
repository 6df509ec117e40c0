//! How do many reads become few calls?
//!
//! Reads of users under way at one time share a few calls to the ledger. A
//! read that finds a call free goes alone and at once; those that come while
//! all are under way go together with the next one. So nobody is held back to
//! wait for company, and a crowd after a restart costs a call for hundreds.
//! A ledger that knows no such call is asked one by one, and from time to time
//! whether it has learned.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    LedgerError, ProgressLedger,
    event::{UserDocument, UsersAnswer},
};
use crate::limits::USERS_PER_READ_MAX;

/// Calls for users of one environment at a time. Few, so that a crowd becomes
/// batches; more than one, so that a call that hangs holds up a part only.
/// Simulations have small crowds.
const CALLS_MAX: usize = if cfg!(test) { 1 } else { 8 };

/// How long a ledger without the call is not asked for it again.
const SINGLY: Duration = Duration::from_secs(60);

/// Upper bounds of the sizes that are counted.
pub(super) const SIZES: [usize; 5] = [1, 4, 16, 64, USERS_PER_READ_MAX];

/// What a read is told.
enum Turn {
    Answer(Result<UserDocument, LedgerError>),
    /// A call is free: make it, for yourself and these.
    Lead(Vec<Asked>),
}

/// A read that waits for a call.
struct Asked {
    user: Box<str>,
    turn: oneshot::Sender<Turn>,
}

/// The reads of one environment.
#[derive(Default)]
struct Line {
    calls: usize,
    waiting: VecDeque<Asked>,
    /// Until then batches are not tried.
    singly_until: Option<Instant>,
}

/// Where reads of users meet.
pub(super) struct Gathering {
    ledger: Arc<dyn ProgressLedger>,
    lines: Mutex<HashMap<Box<str>, Line>>,
    counts: Arc<GatheringCounts>,
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct GatheringCounts {
    /// Calls by how many users they asked for, in the order of [`SIZES`].
    calls: [AtomicU64; SIZES.len()],
    users: AtomicU64,
    singly: AtomicBool,
}

/// The same as plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Calls for users by the largest number they may have asked for.
    pub calls: [(usize, u64); SIZES.len()],
    /// Users asked for.
    pub users: u64,
    /// The ledger takes no batches.
    pub singly: bool,
}

impl GatheringCounts {
    pub(super) fn get(&self) -> ReadCounts {
        let count = |at: usize| (SIZES[at], self.calls[at].load(Ordering::Relaxed));
        ReadCounts {
            calls: std::array::from_fn(count),
            users: self.users.load(Ordering::Relaxed),
            singly: self.singly.load(Ordering::Relaxed),
        }
    }

    fn called(&self, users: usize) {
        let size = SIZES.iter().position(|max| users <= *max);
        self.calls[size.unwrap_or(SIZES.len() - 1)].fetch_add(1, Ordering::Relaxed);
        self.users.fetch_add(users as u64, Ordering::Relaxed);
    }
}

impl Gathering {
    pub(super) fn new(ledger: Arc<dyn ProgressLedger>, counts: Arc<GatheringCounts>) -> Self {
        Self {
            ledger,
            lines: Mutex::default(),
            counts,
        }
    }

    /// One user's document, alone or together with others.
    pub(super) async fn user(
        &self,
        environment: &str,
        user: &str,
    ) -> Result<UserDocument, LedgerError> {
        let others = match self.enter(environment, user) {
            None => Vec::new(),
            Some(turn) => match turn.await {
                Ok(Turn::Answer(answer)) => return answer,
                Ok(Turn::Lead(others)) => others,
                // Only when the whole reader ends.
                Err(_) => return Err(LedgerError::Away("reading has ended".to_owned())),
            },
        };
        let answer = self.call(environment, user, others).await;
        self.leave(environment);
        answer
    }

    /// Takes a call if one is free, else a place in the line.
    fn enter(&self, environment: &str, user: &str) -> Option<oneshot::Receiver<Turn>> {
        let mut lines = self.lines();
        let line = line(&mut lines, environment);
        if line.calls < CALLS_MAX {
            line.calls += 1;
            return None;
        }
        let (turn, receiver) = oneshot::channel();
        line.waiting.push_back(Asked {
            user: user.into(),
            turn,
        });
        Some(receiver)
    }

    /// Hands the call on to whoever waits longest, with company.
    fn leave(&self, environment: &str) {
        let mut lines = self.lines();
        let line = line(&mut lines, environment);
        while let Some(leader) = line.waiting.pop_front() {
            let count = match line.singly_until {
                Some(until) if Instant::now() < until => 0,
                _ => line.waiting.len().min(USERS_PER_READ_MAX - 1),
            };
            let others = line.waiting.drain(..count).collect();
            match leader.turn.send(Turn::Lead(others)) {
                Ok(()) => return,
                // It waits no more; its company still does.
                Err(Turn::Lead(others)) => give_back(line, others),
                Err(Turn::Answer(_)) => {}
            }
        }
        line.calls -= 1;
    }

    /// Asks for this user and the others, answers the others.
    async fn call(
        &self,
        environment: &str,
        user: &str,
        others: Vec<Asked>,
    ) -> Result<UserDocument, LedgerError> {
        if others.is_empty() {
            self.counts.called(1);
            return self.ledger.user(environment, user).await;
        }
        let names = others.iter().map(|asked| asked.user.to_string());
        let names: Vec<String> = std::iter::once(user.to_owned()).chain(names).collect();
        self.counts.called(names.len());
        match self.ledger.users(environment, &names).await {
            Ok(Some(answer)) => {
                self.counts.singly.store(false, Ordering::Relaxed);
                self.hand_out(environment, user, others, answer)
            }
            Ok(None) => {
                self.counts.singly.store(true, Ordering::Relaxed);
                self.go_singly(environment, others);
                self.ledger.user(environment, user).await
            }
            Err(error @ LedgerError::Away(_)) => {
                for asked in others {
                    drop(asked.turn.send(Turn::Answer(Err(error.clone()))));
                }
                Err(error)
            }
            // Perhaps because of one of them: each is asked for alone.
            Err(_) => {
                for asked in others {
                    let answer = self.ledger.user(environment, &asked.user).await;
                    drop(asked.turn.send(Turn::Answer(answer)));
                }
                self.ledger.user(environment, user).await
            }
        }
    }

    /// Tries no batches for a while.
    fn go_singly(&self, environment: &str, reads: Vec<Asked>) {
        let mut lines = self.lines();
        let line = line(&mut lines, environment);
        line.singly_until = Some(Instant::now() + SINGLY);
        give_back(line, reads);
    }

    /// Gives everybody their document. For whom there was no room goes first
    /// the next time.
    fn hand_out(
        &self,
        environment: &str,
        user: &str,
        others: Vec<Asked>,
        answer: UsersAnswer,
    ) -> Result<UserDocument, LedgerError> {
        let documents = answer.users.into_iter();
        let mut documents: HashMap<String, UserDocument> = documents
            .map(|document| (document.identifier.clone(), document))
            .collect();
        let own = documents.remove(user);
        let mut left_out = Vec::new();
        for asked in others {
            match documents.remove(&*asked.user) {
                // Whoever asked may have hung up since.
                Some(document) => drop(asked.turn.send(Turn::Answer(Ok(document)))),
                None => left_out.push(asked),
            }
        }
        give_back(line(&mut self.lines(), environment), left_out);
        own.ok_or_else(|| {
            LedgerError::Refused("the user was asked for first and not sent".to_owned())
        })
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Box<str>, Line>> {
        // Nothing panics between two changes that belong together.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line<'l>(lines: &'l mut HashMap<Box<str>, Line>, environment: &str) -> &'l mut Line {
    if !lines.contains_key(environment) {
        lines.insert(environment.into(), Line::default());
    }
    lines.get_mut(environment).expect("it was put there")
}

/// Puts reads back to the head of the line, in their order.
fn give_back(line: &mut Line, reads: Vec<Asked>) {
    for asked in reads.into_iter().rev() {
        line.waiting.push_front(asked);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::progress::{
        LedgerFuture,
        event::{Batch, BatchAnswer, Changes, GroupRecord, MembershipRecord},
    };

    /// A ledger that answers when told, and notes how it was asked.
    struct Slow {
        go_on: Semaphore,
        asked: Mutex<Vec<usize>>,
        takes_batches: bool,
        room: usize,
    }

    impl Slow {
        fn new(takes_batches: bool, room: usize) -> Arc<Self> {
            Arc::new(Self {
                go_on: Semaphore::new(0),
                asked: Mutex::default(),
                takes_batches,
                room,
            })
        }

        async fn turn(&self, users: usize) {
            self.asked.lock().expect("the list").push(users);
            // So that the others come while this is under way.
            tokio::task::yield_now().await;
            self.go_on.acquire().await.expect("it stays").forget();
        }
    }

    fn document(user: &str) -> UserDocument {
        UserDocument {
            identifier: user.to_owned(),
            ..UserDocument::default()
        }
    }

    fn nothing<'a, T: Send + 'a>() -> LedgerFuture<'a, T> {
        Box::pin(async { Err(LedgerError::Away("a test".to_owned())) })
    }

    impl ProgressLedger for Slow {
        fn user<'a>(&'a self, _: &'a str, user: &'a str) -> LedgerFuture<'a, UserDocument> {
            Box::pin(async move {
                self.turn(1).await;
                Ok(document(user))
            })
        }

        fn users<'a>(
            &'a self,
            _: &'a str,
            users: &'a [String],
        ) -> LedgerFuture<'a, Option<UsersAnswer>> {
            Box::pin(async move {
                if !self.takes_batches {
                    return Ok(None);
                }
                self.turn(users.len()).await;
                let (first, missing) = users.split_at(users.len().min(self.room));
                Ok(Some(UsersAnswer {
                    users: first.iter().map(|user| document(user)).collect(),
                    missing: missing.to_vec(),
                }))
            })
        }

        fn group<'a>(&'a self, _: &'a str, _: &'a str) -> LedgerFuture<'a, GroupRecord> {
            nothing()
        }

        fn membership<'a>(
            &'a self,
            _: &'a str,
            _: &'a str,
            _: &'a str,
            _: Option<&'a str>,
        ) -> LedgerFuture<'a, MembershipRecord> {
            nothing()
        }

        fn changes<'a>(
            &'a self,
            _: &'a str,
            _: Option<&'a str>,
            _: Duration,
        ) -> LedgerFuture<'a, Changes> {
            nothing()
        }

        fn ship<'a>(&'a self, _: &'a str, _: &'a Batch) -> LedgerFuture<'a, BatchAnswer> {
            nothing()
        }

        fn close<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> LedgerFuture<'a, ()> {
            nothing()
        }
    }

    /// Reads so many users at once; how the ledger was asked for them.
    async fn crowd(ledger: &Arc<Slow>, users: usize) -> (Vec<usize>, ReadCounts) {
        let counts = Arc::<GatheringCounts>::default();
        let gathering = Gathering::new(ledger.clone(), counts.clone());
        let names: Vec<String> = (0..users).map(|user| format!("u{user}")).collect();
        let reads = names.iter().map(|name| gathering.user("development", name));
        // As many as will be needed, one after the other.
        ledger.go_on.add_permits(users * 2);
        for (name, read) in names.iter().zip(join_all(reads).await) {
            assert_eq!(read.expect("an answer").identifier, *name);
        }
        let idle = |line: &Line| line.calls == 0 && line.waiting.is_empty();
        assert!(
            gathering.lines().values().all(idle),
            "nobody is left behind"
        );
        let asked = ledger.asked.lock().expect("the list").clone();
        (asked, counts.get())
    }

    #[tokio::test]
    async fn what_comes_during_a_call_goes_together_with_the_next() {
        let (asked, counts) = crowd(&Slow::new(true, usize::MAX), 10).await;
        assert_eq!(asked, [1, 9]);
        assert_eq!(counts.users, 10);
        assert!(!counts.singly);
        let (asked, _) = crowd(&Slow::new(true, usize::MAX), USERS_PER_READ_MAX + 2).await;
        assert_eq!(asked, [1, USERS_PER_READ_MAX, 1]);
    }

    #[tokio::test]
    async fn whoever_found_no_room_in_an_answer_is_asked_for_again() {
        let (asked, _) = crowd(&Slow::new(true, 4), 10).await;
        assert_eq!(asked, [1, 9, 5, 1]);
    }

    #[tokio::test]
    async fn a_ledger_without_batches_is_asked_one_by_one() {
        let (asked, counts) = crowd(&Slow::new(false, 0), 5).await;
        assert_eq!(asked, [1; 5]);
        assert!(counts.singly, "and that is noted");
    }
}

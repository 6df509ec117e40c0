//! What have other edges changed?
//!
//! One [`Watcher`] for each environment asks the ledger, again and again, what
//! has changed since it asked last, and raises the ticks of whatever others
//! changed, so that it is read again before it is used, and whoever listens is
//! woken. What our own journals
//! changed we know. After a gap, and at the beginning, anything may have
//! changed. While the ledger is away nothing is heard, and what was known goes
//! on; afterwards the stream resumes where it was.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    LedgerError, Progress, ProgressLedger,
    event::{Change, Changes, Event},
    keys::{MembershipName, Name},
    stepping::Memory,
};
use crate::clock::{Ambient, UnixMs};

/// Between two calls: what happens meanwhile comes in one answer, and a ledger
/// that answers at once is not asked without end. Nobody sees it in the lag.
const BREATH: Duration = Duration::from_millis(20);

/// An answer with so many changes is one of several.
const FULL: usize = 512;

/// How the stream of one environment is doing.
#[derive(Clone, Debug, Default)]
pub struct WatchStatus {
    /// The last call was answered.
    pub connected: bool,
    /// When the ledger answered last.
    pub answered_ms: Option<UnixMs>,
    /// Changes others have made, as far as they were told one by one.
    pub changes: u64,
    /// How often anything may have changed.
    pub gaps: u64,
    /// Why the last call failed; none after an answer.
    pub error: Option<String>,
}

/// Listens for one environment.
pub struct Watcher {
    memory: Arc<Memory>,
    ledger: Arc<dyn ProgressLedger>,
    environment: Box<str>,
    ambient: Ambient,
    /// Where to go on; none before the first answer.
    cursor: Option<String>,
    status: Arc<Mutex<WatchStatus>>,
}

impl Watcher {
    /// Asks nothing before [`Self::run`].
    pub fn new(
        progress: &Progress,
        ledger: Arc<dyn ProgressLedger>,
        environment: &str,
        ambient: Ambient,
    ) -> Self {
        Self {
            memory: progress.memory.clone(),
            ledger,
            environment: environment.into(),
            ambient,
            cursor: None,
            status: Arc::default(),
        }
    }

    /// For status and metrics.
    pub fn status(&self) -> Arc<Mutex<WatchStatus>> {
        self.status.clone()
    }

    /// Listens until the process stops. The ledger may hold each call for
    /// `wait`; failures are repeated after a pause between the other two.
    pub async fn run(mut self, wait: Duration, pause_first: Duration, pause_max: Duration) {
        let mut failures = 0_u32;
        loop {
            let begun = Instant::now();
            match self.step(wait).await {
                Ok(full) => {
                    failures = 0;
                    if !full {
                        tokio::time::sleep_until(begun + BREATH).await;
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    if failures == 1 {
                        tracing::warn!(environment = %self.environment, %error,
                            "changes of other edges cannot be heard; what is known goes on");
                    }
                    // A refusal does not go away by asking often.
                    let first = match error {
                        LedgerError::Away(_) => pause_first,
                        LedgerError::Fork(_) | LedgerError::Refused(_) => pause_max,
                    };
                    let pause = self.ambient.backoff(failures, first, pause_max);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Asks once. Whether there is so much to tell that more may follow at once.
    pub async fn step(&mut self, wait: Duration) -> Result<bool, LedgerError> {
        // The first answer only says where to begin: it is not waited for.
        let wait = self.cursor.as_ref().map_or(Duration::ZERO, |_| wait);
        let asked = self
            .ledger
            .changes(&self.environment, self.cursor.as_deref(), wait);
        let answer = match asked.await {
            Ok(answer) => answer,
            Err(error) => {
                let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
                status.connected = false;
                status.error = Some(error.to_string());
                return Err(error);
            }
        };
        let full = answer.changes.len() >= FULL;
        let (changes, gap) = self.take_in(&answer);
        self.cursor = Some(answer.cursor);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.connected = true;
        status.answered_ms = Some(self.ambient.now_ms());
        status.changes += changes;
        status.gaps += u64::from(gap);
        status.error = None;
        Ok(full)
    }

    /// Raises what others have changed: how many changes there were, and
    /// whether anything may have changed.
    fn take_in(&self, answer: &Changes) -> (u64, bool) {
        let mut gap = self.cursor.is_none() || answer.gap;
        let mut count = 0;
        for change in answer
            .changes
            .iter()
            .filter(|change| self.is_foreign(change))
        {
            count += 1;
            match u64::from_str_radix(&change.subject, 16) {
                Ok(subject) => self.raise(subject),
                // Whose document that is nobody here can tell.
                Err(_) => gap = true,
            }
        }
        if gap {
            self.raise_all();
        }
        if answer.gap {
            // It may be another ledger, which lacks what we have shipped.
            self.memory.gaps.send_modify(|count| *count += 1);
        }
        (count, gap)
    }

    fn is_foreign(&self, change: &Change) -> bool {
        !self.memory.journals.is_own(&change.journal)
    }

    fn raise(&self, subject: u64) {
        #[cfg(test)]
        if self.memory.flaw == Some(super::stepping::Flaw::SkipTick) {
            return;
        }
        self.memory.ticks.raise(subject);
        self.memory.listening.wake(subject);
    }

    fn raise_all(&self) {
        #[cfg(test)]
        if self.memory.flaw == Some(super::stepping::Flaw::CalmGap) {
            return;
        }
        self.memory.ticks.raise_all();
        self.memory.listening.wake_all();
    }
}

impl Progress {
    /// The ledger has taken this record of ours once more, so that whatever was
    /// read in between lacks it.
    pub(super) fn read_again(&self, event: &Event) {
        let groups = event.operation.groups();
        let groups = groups.iter().map(|group| Name::Group(&group.identifier));
        let membership = event.membership.as_ref().map(MembershipName::of);
        let names = groups.chain(membership.map(Name::Membership));
        for name in names.chain([Name::User(&event.user)]) {
            self.memory.ticks.raise(name.hash());
        }
    }
}

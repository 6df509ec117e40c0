//! Who keeps progress in the end?
//!
//! The consumer-owned trait towards the ledger: upstream over HTTP, the
//! store's own database, memory in tests. All calls are made from the control
//! runtime, never from a worker.

use std::{future::Future, pin::Pin};

use std::time::Duration;

use super::event::{
    Batch, BatchAnswer, Changes, GroupRecord, MembershipRecord, UserAfter, UserDocument,
    UsersAnswer,
};

/// A boxed future: the trait is used as `dyn` on the control path only.
pub type LedgerFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;

/// The durable, shared truth about users.
pub trait ProgressLedger: Send + Sync + 'static {
    /// A user's document; `doc_rev` 0 for one never seen.
    fn user<'a>(&'a self, environment: &'a str, user: &'a str) -> LedgerFuture<'a, UserDocument>;
    /// The documents of at most `limits::USERS_PER_READ_MAX` users, the first
    /// one's in any case; none when the ledger has no such call.
    fn users<'a>(
        &'a self,
        environment: &'a str,
        users: &'a [String],
    ) -> LedgerFuture<'a, Option<UsersAnswer>> {
        // Of those that were written before there was one.
        let _ = (environment, users);
        Box::pin(async { Ok(None) })
    }
    /// A user's document, not before a record (journal and seq) has its
    /// outcome, for which the ledger waits so long.
    fn user_after<'a>(
        &'a self,
        environment: &'a str,
        user: &'a str,
        (journal, seq): (&'a str, u64),
        wait: Duration,
    ) -> LedgerFuture<'a, UserAfter> {
        // Without waiting: only the last record of a document is known.
        let _ = wait;
        Box::pin(async move {
            let user = self.user(environment, user).await?;
            let last = user.last.as_ref();
            let reached = last.is_some_and(|(own, at)| *own == journal && *at >= seq);
            Ok(UserAfter { reached, user })
        })
    }
    /// A group's record; `doc_rev` 0 for one never seen.
    fn group<'a>(&'a self, environment: &'a str, group: &'a str) -> LedgerFuture<'a, GroupRecord>;
    /// What stands under a membership key; `doc_rev` 0 for nothing.
    fn membership<'a>(
        &'a self,
        environment: &'a str,
        deployment: &'a str,
        id: &'a str,
        conversation: Option<&'a str>,
    ) -> LedgerFuture<'a, MembershipRecord>;
    /// What changed since `cursor` (none: from now on); waits so long for a
    /// first change.
    fn changes<'a>(
        &'a self,
        environment: &'a str,
        cursor: Option<&'a str>,
        wait: Duration,
    ) -> LedgerFuture<'a, Changes>;
    /// Applies a batch, or (with no records) says where the ledger stands.
    fn ship<'a>(&'a self, environment: &'a str, batch: &'a Batch) -> LedgerFuture<'a, BatchAnswer>;
    /// Tells the ledger that nothing follows in this journal, whose last batch
    /// has this hash.
    fn close<'a>(
        &'a self,
        environment: &'a str,
        journal: &'a str,
        hash: &'a str,
    ) -> LedgerFuture<'a, ()>;
}

/// Why the ledger did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Not reached, too slow, or 5xx: try again later.
    #[error("the ledger cannot be reached: {0}")]
    Away(String),
    /// The hash chain does not fit: two edges write under one journal id.
    #[error("the ledger refused the batch as a fork: {0}")]
    Fork(String),
    /// It answered and refused: trying again unchanged will not help.
    #[error("the ledger refused: {0}")]
    Refused(String),
}

//! What does an edge without a ledger know of users?
//!
//! Only what it has itself: its journal is then the one place where steps are
//! kept. Whoever is not in it is new, for certain and not by assumption, so
//! nothing is marked. Nothing is ever shipped.

use std::time::Duration;

use crate::progress::{
    LedgerError, LedgerFuture, ProgressLedger,
    event::{Batch, BatchAnswer, Changes, GroupRecord, MembershipRecord, UserDocument},
};

/// The ledger of an edge that has none.
#[derive(Clone, Copy, Debug)]
pub struct NoLedger;

fn nothing<'a, T: Send + 'a>() -> LedgerFuture<'a, T> {
    let text = "no ledger is configured (upstream.ledger_url)".to_owned();
    Box::pin(async { Err(LedgerError::Refused(text)) })
}

impl ProgressLedger for NoLedger {
    fn user<'a>(&'a self, _: &'a str, user: &'a str) -> LedgerFuture<'a, UserDocument> {
        let new = UserDocument::new(user);
        Box::pin(async { Ok(new) })
    }

    fn group<'a>(&'a self, _: &'a str, group: &'a str) -> LedgerFuture<'a, GroupRecord> {
        let new = GroupRecord::new(group);
        Box::pin(async { Ok(new) })
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

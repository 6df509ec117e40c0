//! How does an edge in the same process reach the ledger?
//!
//! The consumer's trait over the store itself, with the same answers as over
//! HTTP. Database work runs on blocking threads.

use std::{sync::Arc, time::Duration};

use super::{ShipError, changes::until_news};
use crate::{
    progress::{
        LedgerError, LedgerFuture, ProgressLedger,
        event::{Batch, BatchAnswer, Changes, GroupRecord, MembershipRecord, UserDocument},
    },
    store::{Store, StoreError},
};

/// The ledger of a store in this process.
#[derive(Clone, Debug)]
pub struct LocalLedger {
    store: Arc<Store>,
}

impl LocalLedger {
    /// Over this store.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> LedgerFuture<'static, T> {
        let store = Arc::clone(&self.store);
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || work(&store)).await {
                Ok(answer) => answer.map_err(refusal),
                Err(error) => Err(LedgerError::Away(error.to_string())),
            }
        })
    }
}

impl ProgressLedger for LocalLedger {
    fn user<'a>(&'a self, environment: &'a str, user: &'a str) -> LedgerFuture<'a, UserDocument> {
        let (environment, user) = (environment.to_owned(), user.to_owned());
        self.run(move |store| store.user(&environment, &user))
    }

    fn group<'a>(&'a self, environment: &'a str, group: &'a str) -> LedgerFuture<'a, GroupRecord> {
        let (environment, group) = (environment.to_owned(), group.to_owned());
        self.run(move |store| store.group(&environment, &group))
    }

    fn membership<'a>(
        &'a self,
        environment: &'a str,
        deployment: &'a str,
        id: &'a str,
        conversation: Option<&'a str>,
    ) -> LedgerFuture<'a, MembershipRecord> {
        let environment = environment.to_owned();
        let (deployment, id) = (deployment.to_owned(), id.to_owned());
        let conversation = conversation.map(ToOwned::to_owned);
        self.run(move |store| {
            store.membership(&environment, &deployment, &id, conversation.as_deref())
        })
    }

    fn changes<'a>(
        &'a self,
        environment: &'a str,
        cursor: Option<&'a str>,
        wait: Duration,
    ) -> LedgerFuture<'a, Changes> {
        let taken = self.store.watch_progress(environment);
        Box::pin(async move {
            let taken = taken.map_err(refusal)?;
            until_news(taken, cursor, wait, || {
                let environment = environment.to_owned();
                let cursor = cursor.map(ToOwned::to_owned);
                self.run(move |store| store.changes(&environment, cursor.as_deref()))
            })
            .await
        })
    }

    fn ship<'a>(&'a self, environment: &'a str, batch: &'a Batch) -> LedgerFuture<'a, BatchAnswer> {
        let (environment, batch) = (environment.to_owned(), batch.clone());
        self.run(move |store| store.ship(&environment, &batch))
    }

    fn close<'a>(
        &'a self,
        environment: &'a str,
        journal: &'a str,
        hash: &'a str,
    ) -> LedgerFuture<'a, ()> {
        let (environment, journal) = (environment.to_owned(), journal.to_owned());
        let hash = hash.to_owned();
        self.run(move |store| store.close_journal(&environment, &journal, Some(&hash)))
    }
}

/// Storage trouble may pass; everything else will not by itself.
fn refusal(error: StoreError) -> LedgerError {
    match error {
        StoreError::Engine(error) => LedgerError::Away(error.to_string()),
        StoreError::Ship(ShipError::Engine(error)) => LedgerError::Away(error.to_string()),
        StoreError::Ship(ShipError::Fork(why)) => LedgerError::Fork(why),
        other => LedgerError::Refused(other.to_string()),
    }
}

//! How are many identify calls taken in one go?
//!
//! All of them are looked at before the first is written: one that would
//! exceed a limit lets none through. Then they are queued in their order and
//! share the syncs. What would surprise: a race with other calls, or a disk that
//! fills up half-way, can still leave the first of them taken; merging them
//! again changes nothing.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};

use super::{
    Place,
    keys::{Kind, SubjectKey},
    known::{Known, KnownGroup},
    request::{BatchError, IdentifyRequest, Token, WriteError},
    stepping::Progress,
};

/// Subjects that are read from the ledger at the same time: reads of users
/// that wait together travel together.
const READ_AT_ONCE: usize = 32;

impl Progress {
    /// Takes all of these calls and returns when they are durable, with the
    /// token of the last record, or says of the first one that cannot be taken
    /// why.
    pub async fn identify_all(
        &self,
        requests: &[IdentifyRequest],
    ) -> Result<Option<Token>, BatchError> {
        self.sweep();
        self.foresee(requests).await?;
        let mut queued = Vec::with_capacity(requests.len());
        let mut failed = None;
        for (at, request) in requests.iter().enumerate() {
            match self.queue_identify(request).await {
                Ok((token, ticket)) => {
                    let mut news = self.news(&request.user, &request.groups);
                    // Told when it is synced, also if nobody waits here by then.
                    news.unsynced = ticket.as_ref().map_or(0, |ticket| ticket.seq);
                    queued.push((at, token, ticket, news));
                }
                Err(error) => {
                    failed = Some(BatchError { at, error });
                    break;
                }
            }
        }
        let mut last = None;
        for (at, token, ticket, news) in queued {
            match self.acknowledged(token, ticket, news).await {
                Ok(token) => last = token.or(last),
                Err(error) => failed = failed.or(Some(BatchError { at, error })),
            }
        }
        failed.map_or(Ok(last), Err)
    }

    /// Merges everything as if, in order.
    async fn foresee(&self, requests: &[IdentifyRequest]) -> Result<(), BatchError> {
        self.gather(requests).await;
        let mut users: HashMap<&str, Known> = HashMap::new();
        let mut groups: HashMap<&str, KnownGroup> = HashMap::new();
        for (at, request) in requests.iter().enumerate() {
            let foreseen = self.foresee_one(request, &mut users, &mut groups).await;
            foreseen.map_err(|error| BatchError { at, error })?;
        }
        Ok(())
    }

    async fn foresee_one<'r>(
        &self,
        request: &'r IdentifyRequest,
        users: &mut HashMap<&'r str, Known>,
        groups: &mut HashMap<&'r str, KnownGroup>,
    ) -> Result<(), WriteError> {
        let (place, user) = (&request.place, request.user.as_str());
        let after = match users.get(user) {
            Some(known) => known.identified(request)?,
            None => {
                let key = SubjectKey::new(Kind::User, place.slot, user);
                let found = self.user(place, &key, user).await?;
                found.cached.document.identified(request)?
            }
        };
        users.insert(user, after);
        for group in &request.groups {
            let id = group.identifier.as_str();
            let merge = |known: &KnownGroup| known.merged(&group.properties, request.now);
            let after = match groups.get(id) {
                Some(known) => merge(known),
                None => {
                    let key = SubjectKey::new(Kind::Group, place.slot, id);
                    merge(&self.group(place, &key, id).await?.cached.document)
                }
            };
            groups.insert(id, after.map_err(WriteError::TooLarge)?);
        }
        Ok(())
    }

    /// Brings into memory whom the calls are about, many at a time. Whoever
    /// cannot be read is met again, and told of, one by one.
    async fn gather(&self, requests: &[IdentifyRequest]) {
        let mut reads = Vec::new();
        for request in requests {
            for group in &request.groups {
                reads.push(self.glance(&request.place, Kind::Group, &group.identifier));
            }
            reads.push(self.glance(&request.place, Kind::User, &request.user));
        }
        stream::iter(reads)
            .buffer_unordered(READ_AT_ONCE)
            .for_each(std::future::ready)
            .await;
    }

    async fn glance(&self, place: &Place, kind: Kind, id: &str) {
        let key = SubjectKey::new(kind, place.slot, id);
        match kind {
            Kind::Group => drop(self.group(place, &key, id).await),
            _ => drop(self.user(place, &key, id).await),
        }
    }
}

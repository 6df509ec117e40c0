//! How do webhooks reach whom they are for?
//!
//! The ledger puts them into the outbox in the transaction of their cause;
//! here they are sent, at least once each and under one id, until somebody
//! answers 2xx or the attempts are used up. Attempts and times are kept in the
//! database, so a restart goes on where it was.

mod address;
mod call;
mod counts;
mod deliveries;
mod key;
#[cfg(test)]
mod log_tests;
mod slots;
#[cfg(test)]
mod tests;

pub(super) use call::origin as receiver_of;
pub use counts::OutboxCounts;
pub use deliveries::{Deliveries, Delivery, DeliveryError, DeliveryPage};
pub use key::WebhookKey;

use std::{sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;

use self::{
    call::{CallError, Caller},
    slots::Slots,
};
use super::{
    Store, StoreError,
    engine::{Attempt, Attempted, OutboxEntry, OutboxPlace, WebhookEffect},
    tokens::Values,
    workspace::WebhookSettings,
};
use crate::{
    clock::{Ambient, UnixMs},
    limits,
};

/// How often the outbox is looked at when nobody says that something is new.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often those that wait are counted: there may be many.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// The pause after the first failure; each further one is three times as long.
const FIRST_PAUSE_MS: u64 = 5_000;

/// The longest pause between two attempts.
const PAUSE_MS_MAX: u64 = 6 * 60 * 60 * 1000;

/// Rows of the outbox that are read in one go, and how often in one look.
const PAGE: usize = 256;
const PAGES_PER_LOOK: usize = 4;

/// What the operator lets webhooks reach.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebhookRules {
    /// Also without TLS.
    pub allow_http: bool,
    /// Also on loopback and in private networks.
    pub allow_private: bool,
}

/// Sends what is in a store's outbox.
pub struct Outbox {
    store: Arc<Store>,
    caller: Caller,
    key: WebhookKey,
    ambient: Ambient,
    counts: OutboxCounts,
}

/// A webhook that may be sent now.
struct Due {
    entry: OutboxEntry,
    /// Whom its slot is counted for.
    host: String,
}

/// An attempt that is over.
struct Done {
    id: String,
    host: String,
    /// Whether the outbox knows what came of it.
    noted: bool,
}

/// What a receiver is told.
#[derive(Serialize)]
struct Message<'a> {
    /// The same at every attempt.
    id: &'a str,
    environment: &'a str,
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<&'a str>,
    /// Sid of the flow.
    flow: &'a str,
    version: u32,
    /// Sid of the webhook block.
    block: &'a str,
    /// When the step was taken, RFC 3339.
    at: String,
}

/// Whom to call, with the names people use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receiver {
    settings: WebhookSettings,
    flow_sid: String,
    flow_name: String,
    block_sid: String,
}

impl Store {
    /// Whom a webhook is for; none when the version or the block is gone.
    pub(crate) fn receiver(&self, effect: &WebhookEffect) -> Option<Receiver> {
        let workspace = self.workspace();
        let flow = workspace.flow_by_uid(&effect.flow)?;
        let version = flow.versions.get(&effect.version)?;
        let mut blocks = version.part.blocks.iter();
        let block = blocks.find(|block| block.uid == effect.block)?;
        Some(Receiver {
            settings: version.webhooks.get(&effect.block)?.clone(),
            flow_sid: version.part.flow_sid.clone(),
            flow_name: flow.name.clone(),
            block_sid: block.sid.clone(),
        })
    }

    /// A page of what is due, each with the host that is called.
    fn due_webhooks(&self, now: UnixMs, after: &OutboxPlace) -> Result<Vec<Due>, StoreError> {
        let entries = self.engine.outbox_due(now, after, PAGE)?.into_iter();
        let due = entries.map(|entry| {
            let receiver = self.receiver(&entry.effect);
            let host = receiver.and_then(|own| call::host(&own.settings.url));
            Due {
                entry,
                host: host.unwrap_or_default(),
            }
        });
        Ok(due.collect())
    }
}

impl Receiver {
    /// What its tokens stand for.
    fn values<'a>(&'a self, effect: &'a WebhookEffect, at: &'a str) -> Values<'a> {
        Values {
            flow_name: &self.flow_name,
            flow_identifier: &self.flow_sid,
            flow_version: effect.version,
            user_identifier: &effect.user,
            timestamp: at,
        }
    }
}

impl Outbox {
    /// Over a store's outbox.
    pub fn new(store: Arc<Store>, rules: WebhookRules, key: WebhookKey, ambient: Ambient) -> Self {
        Self {
            store,
            caller: Caller::new(rules),
            key,
            ambient,
            counts: OutboxCounts::default(),
        }
    }

    /// What it counts while it runs.
    pub fn counts(&self) -> OutboxCounts {
        self.counts.clone()
    }

    /// Sends for as long as it is polled.
    pub async fn run(self) {
        let mut taken = self.store.watch_all_progress();
        let mut under_way = FuturesUnordered::new();
        let mut slots = Slots::default();
        let mut counting = tokio::time::interval(COUNT_EVERY);
        loop {
            taken.mark_unchanged();
            for due in self.due(&mut slots).await {
                under_way.push(self.attempt(due));
            }
            let next = async {
                match under_way.next().await {
                    Some(done) => done,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                done = next => slots.done(&done.id, &done.host, done.noted, self.ambient.now_ms()),
                // The store lives as long as we do: this does not end.
                _ = taken.changed() => {}
                _ = counting.tick() => self.count().await,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Looks how many wait; what cannot be read now is counted the next time.
    async fn count(&self) {
        let waiting = self.blocking(|store| Ok(store.engine.deliveries_waiting()?));
        if let Some(waiting) = waiting.await {
            self.counts.set_waiting(waiting);
        }
    }

    /// What is due and may be sent now; its slots are taken. A bounded part of
    /// the outbox is looked at, from where the last look ended.
    async fn due(&self, slots: &mut Slots) -> Vec<Due> {
        let now = self.ambient.now_ms();
        let mut found = Vec::new();
        let mut began_at_start = slots.reached == OutboxPlace::default();
        for _ in 0..PAGES_PER_LOOK {
            if slots.are_full(now) {
                break;
            }
            let after = slots.reached.clone();
            let page = self.blocking(move |store| store.due_webhooks(now, &after));
            let Some(page) = page.await else {
                break;
            };
            let is_last = page.len() < PAGE;
            for due in page {
                if slots.are_full(now) {
                    return found;
                }
                slots.reached = OutboxPlace {
                    next_ms: due.entry.next_ms,
                    id: due.entry.id.clone(),
                };
                if slots.take(&due.entry.id, &due.host) {
                    found.push(due);
                }
            }
            if is_last {
                slots.reached = OutboxPlace::default();
                if began_at_start {
                    break;
                }
                began_at_start = true;
            }
        }
        found
    }

    /// Tries once and notes what came of it.
    async fn attempt(&self, Due { entry, host }: Due) -> Done {
        // Never whom it is about: a log is read by more people than the store.
        let id = entry.id.clone();
        let (flow, block) = (entry.effect.flow.clone(), entry.effect.block.clone());
        let (attempt, attempted) = match self.store.receiver(&entry.effect) {
            Some(receiver) => self.send(&entry, &receiver).await,
            None => {
                let why = "the version says nothing of whom to call (was it replaced?)";
                let failed = self.failed(None, why.to_owned());
                (failed, Attempted::Dead)
            }
        };
        let why = attempt.why.as_deref().unwrap_or_default();
        match &attempted {
            Attempted::Delivered => tracing::debug!(id, flow, block, "a webhook was delivered"),
            Attempted::Later { next_ms } => {
                tracing::warn!(
                    id,
                    flow,
                    block,
                    why,
                    next_ms,
                    "a webhook failed and is tried again"
                );
            }
            Attempted::Dead => {
                tracing::error!(id, flow, block, why, "a webhook was given up");
            }
        }
        self.counts.count(&attempted);
        let place = id.clone();
        // Not noted means sent again: at least once, under the same id.
        let noted = self
            .blocking(move |store| Ok(store.engine.attempted(&place, &attempt, &attempted)?))
            .await
            .is_some();
        Done { id, host, noted }
    }

    async fn send(&self, entry: &OutboxEntry, receiver: &Receiver) -> (Attempt, Attempted) {
        let at = time(entry.effect.at_ms);
        let values = receiver.values(&entry.effect, &at);
        let body = match &receiver.settings.body {
            // A JSON value always makes JSON.
            Some(body) => serde_json::to_vec(&values.body(body)).unwrap_or_default(),
            None => message(entry, receiver),
        };
        let now = self.ambient.now_ms();
        let authored = receiver.settings.headers.iter();
        let mut headers: Vec<(String, String)> = authored
            .map(|(name, value)| (name.clone(), values.header(value)))
            .collect();
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        headers.push(("user-agent".to_owned(), "flowgate".to_owned()));
        headers.extend(self.key.sign(&entry.id, now, &body));
        let called = match values.url(&receiver.settings.url) {
            Some(url) => self.caller.call(&url, &headers, body).await,
            None => Err(CallError::Elsewhere),
        };
        let error = match called {
            Ok(status) => {
                let delivered = Attempt {
                    at_ms: self.ambient.now_ms(),
                    status: Some(status),
                    why: None,
                };
                return (delivered, Attempted::Delivered);
            }
            Err(error) => error,
        };
        let attempt = self.failed(error.status(), error.to_string());
        if entry.attempts + 1 >= limits::WEBHOOK_ATTEMPTS_MAX {
            return (attempt, Attempted::Dead);
        }
        let random = u64::from_le_bytes(self.ambient.bytes());
        let pause = pause_ms(entry.attempts, random);
        let next_ms = attempt.at_ms.saturating_add(pause);
        (attempt, Attempted::Later { next_ms })
    }

    /// An attempt that failed just now.
    fn failed(&self, status: Option<u16>, why: String) -> Attempt {
        Attempt {
            at_ms: self.ambient.now_ms(),
            status,
            why: Some(why),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Option<T> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                tracing::error!(%error, "the outbox cannot be read or written");
                None
            }
            Err(error) => {
                tracing::error!(%error, "reading or writing the outbox panicked");
                None
            }
        }
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

fn message(entry: &OutboxEntry, receiver: &Receiver) -> Vec<u8> {
    let effect = &entry.effect;
    let message = Message {
        id: &entry.id,
        environment: &effect.environment,
        user: &effect.user,
        group: effect.group.as_deref(),
        conversation: effect.conversation.as_deref(),
        flow: &receiver.flow_sid,
        version: effect.version,
        block: &receiver.block_sid,
        at: time(effect.at_ms),
    };
    // Strings and a number always make JSON.
    serde_json::to_vec(&message).unwrap_or_default()
}

/// An edge's clock may say anything; a time that is none is left out.
fn time(at_ms: UnixMs) -> String {
    let time = i64::try_from(at_ms).ok();
    let time = time.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// The pause after an attempt that failed, with `attempts` failures before it:
/// between half and all of what its turn says, so that what failed together
/// does not come back together.
fn pause_ms(attempts: u32, random: u64) -> u64 {
    let whole = 3_u64
        .saturating_pow(attempts)
        .saturating_mul(FIRST_PAUSE_MS)
        .min(PAUSE_MS_MAX);
    whole / 2 + random % (whole / 2 + 1)
}

//! How do webhooks reach whom they are for?
//!
//! The ledger puts them into the outbox in the transaction of their cause;
//! here they are sent, at least once each and under one id, until somebody
//! answers 2xx or the attempts are used up. Attempts and times are kept in the
//! database, so a restart goes on where it was.

mod address;
mod call;
mod key;
#[cfg(test)]
mod tests;

pub use key::WebhookKey;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;

use self::call::Caller;
use super::{
    Store, StoreError,
    engine::{Attempted, OutboxEntry, WebhookEffect},
    workspace::WebhookSettings,
};
use crate::{
    clock::{Ambient, UnixMs},
    limits,
};

/// How often the outbox is looked at when nobody says that something is new.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The pause after the first failure; each further one is three times as long.
const FIRST_PAUSE_MS: u64 = 5_000;

/// The longest pause between two attempts.
const PAUSE_MS_MAX: u64 = 6 * 60 * 60 * 1000;

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
            block_sid: block.sid.clone(),
        })
    }

    /// The newest webhooks of an environment that were given up.
    pub fn dead_webhooks(
        &self,
        environment: &str,
        count_max: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let workspace = self.workspace();
        let environment = super::known_environment(&workspace, environment)?;
        Ok(self.engine.outbox_dead(&environment.uid, count_max)?)
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
        }
    }

    /// Sends for as long as it is polled.
    pub async fn run(self) {
        let mut taken = self.store.watch_progress();
        let mut under_way = FuturesUnordered::new();
        let mut ids = BTreeSet::new();
        loop {
            taken.mark_unchanged();
            for entry in self.due(&ids).await {
                ids.insert(entry.id.clone());
                under_way.push(self.attempt(entry));
            }
            let next = async {
                match under_way.next().await {
                    Some(id) => Some(id),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                sent = next => {
                    if let Some(id) = sent {
                        ids.remove(&id);
                    }
                }
                // The store lives as long as we do: this does not end.
                _ = taken.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// What is due and not under way, as much as may be under way at once.
    async fn due(&self, under_way: &BTreeSet<String>) -> Vec<OutboxEntry> {
        let free = limits::WEBHOOKS_AT_ONCE_MAX.saturating_sub(under_way.len());
        if free == 0 {
            return Vec::new();
        }
        let now = self.ambient.now_ms();
        let found = self
            .blocking(move |store| {
                Ok(store.engine.outbox_due(now, limits::WEBHOOKS_AT_ONCE_MAX)?)
            })
            .await
            .unwrap_or_default();
        let new = found.into_iter().filter(|own| !under_way.contains(&own.id));
        new.take(free).collect()
    }

    /// Tries once and notes what came of it; answers with the id.
    async fn attempt(&self, entry: OutboxEntry) -> String {
        // Never whom it is about: a log is read by more people than the store.
        let id = entry.id.clone();
        let (flow, block) = (entry.effect.flow.clone(), entry.effect.block.clone());
        let attempted = match self.store.receiver(&entry.effect) {
            Some(receiver) => self.send(&entry, &receiver).await,
            None => Attempted::Dead {
                at_ms: self.ambient.now_ms(),
                why: "the version says nothing of whom to call (was it replaced?)".to_owned(),
            },
        };
        match &attempted {
            Attempted::Delivered => tracing::debug!(id, flow, block, "a webhook was delivered"),
            Attempted::Later { why, next_ms } => {
                tracing::warn!(
                    id,
                    flow,
                    block,
                    why,
                    next_ms,
                    "a webhook failed and is tried again"
                );
            }
            Attempted::Dead { why, .. } => {
                tracing::error!(id, flow, block, why, "a webhook was given up");
            }
        }
        let place = id.clone();
        // Not noted means sent again: at least once, under the same id.
        self.blocking(move |store| Ok(store.engine.attempted(&place, &attempted)?))
            .await;
        id
    }

    async fn send(&self, entry: &OutboxEntry, receiver: &Receiver) -> Attempted {
        let body = message(entry, receiver);
        let now = self.ambient.now_ms();
        let authored = receiver.settings.headers.iter();
        let mut headers: Vec<(String, String)> = authored
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        headers.push(("user-agent".to_owned(), "flowgate".to_owned()));
        headers.extend(self.key.sign(&entry.id, now, &body));
        let failed = match self
            .caller
            .call(&receiver.settings.url, &headers, body)
            .await
        {
            Ok(()) => return Attempted::Delivered,
            Err(error) => error.to_string(),
        };
        let now = self.ambient.now_ms();
        if entry.attempts + 1 >= limits::WEBHOOK_ATTEMPTS_MAX {
            return Attempted::Dead {
                at_ms: now,
                why: failed,
            };
        }
        let random = u64::from_le_bytes(self.ambient.bytes());
        Attempted::Later {
            next_ms: now.saturating_add(pause_ms(entry.attempts, random)),
            why: failed,
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

//! What became of the webhooks of an environment?
//!
//! For those who look after the store: whom a webhook was for, every attempt,
//! what follows, and another try of what was given up. Neither headers nor
//! more of a url than its host are told: they are how receivers know us.

use serde::Serialize;

use super::call;
use crate::{
    clock::UnixMs,
    store::{
        PageAsk, Store, StoreError,
        engine::{
            Attempt, DeliveryFilter, DeliveryPlace, DeliveryState, OutboxEntry, WebhookEffect,
        },
        known_environment,
        paging::WEBHOOKS,
        workspace::Workspace,
    },
};

/// Why deliveries are not told of.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Not there, or not any more.
    #[error("no webhook {0:?} is known here (was it too long ago?)")]
    Unknown(String),
    /// A filter by a flow that is not there.
    #[error("the flow {0:?} does not exist")]
    UnknownFlow(String),
}

/// What is asked for; the default is the newest of all.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only of this user.
    pub user: Option<String>,
    /// Only of this flow, by its sid.
    pub flow: Option<String>,
    /// Which page.
    pub page: PageAsk,
}

/// One webhook and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Under which receivers get it.
    pub id: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Environment name.
    pub environment: String,
    /// Whose step it tells of.
    pub user: String,
    /// The flow's sid, or its uid when the flow is gone.
    pub flow: String,
    /// Version number.
    pub version: u32,
    /// The block's sid, or its uid when the block is gone.
    pub block: String,
    /// Scheme, host and port of whom it is for; none when the block is gone.
    pub receiver: Option<String>,
    /// When it was put into the outbox.
    pub posted_ms: UnixMs,
    /// When it is tried next; while it waits.
    pub next_ms: Option<UnixMs>,
    /// The newest attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// A stretch of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryPage {
    /// Newest first.
    pub webhooks: Vec<Delivery>,
    /// Where the next stretch begins; none when this was the last.
    pub next: Option<String>,
}

impl Store {
    /// The newest webhooks of an environment, and what became of them.
    pub fn deliveries(
        &self,
        environment: &str,
        asked: &Deliveries,
    ) -> Result<DeliveryPage, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let flow = asked.flow.as_ref().map(|sid| {
            let flow = workspace.flows.get(sid);
            let flow = flow.ok_or_else(|| DeliveryError::UnknownFlow(sid.clone()))?;
            Ok::<_, DeliveryError>(flow.uid.clone())
        });
        let filter = DeliveryFilter {
            state: asked.state,
            user: asked.user.clone(),
            flow: flow.transpose()?,
        };
        let after = WEBHOOKS.place(&asked.page)?;
        let after = after.map(|(posted_ms, id)| DeliveryPlace { posted_ms, id });
        let count_max = WEBHOOKS.count(asked.page.count_max);
        // One more says whether anything follows.
        let found =
            self.engine
                .deliveries(&environment.uid, &filter, after.as_ref(), count_max + 1)?;
        let page = WEBHOOKS.cut(found, count_max, |last| (last.posted_ms, last.id.clone()));
        let page = page.map(|entry| self.told(&workspace, entry));
        Ok(DeliveryPage {
            webhooks: page.rows,
            next: page.next,
        })
    }

    /// Has a webhook that was given up tried again, at once and under its id.
    /// One that waits or was delivered is left as it is; asking twice is
    /// asking once.
    pub fn deliver_again(&self, environment: &str, id: &str) -> Result<Delivery, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let uid = &environment.uid;
        let audit = self.audited(("retried", "webhook", id), environment, None);
        if !self.is_trial() {
            self.engine.deliver_again(uid, id, &audit)?;
        }
        let entry = self.engine.delivery(uid, id)?;
        let mut entry = entry.ok_or_else(|| DeliveryError::Unknown(id.to_owned()))?;
        if self.is_trial() {
            if entry.state == DeliveryState::GivenUp {
                entry.state = DeliveryState::Waiting;
                entry.next_ms = audit.at_ms;
            }
            return Ok(self.told(&workspace, entry));
        }
        // Whoever sends looks now.
        self.following.look();
        Ok(self.told(&workspace, entry))
    }

    fn told(&self, workspace: &Workspace, entry: OutboxEntry) -> Delivery {
        let WebhookEffect {
            environment,
            user,
            flow,
            version,
            block,
            ..
        } = entry.effect.clone();
        let receiver = self.receiver(&entry.effect);
        let known = workspace.flow_by_uid(&flow);
        let flow = known.map_or(flow, |known| known.sid.clone());
        let (block, receiver) = match receiver {
            Some(own) => (own.block_sid, call::origin(&own.settings.url)),
            None => (block, None),
        };
        Delivery {
            id: entry.id,
            state: entry.state,
            environment,
            user,
            flow,
            version,
            block,
            receiver,
            posted_ms: entry.posted_ms,
            next_ms: (entry.state == DeliveryState::Waiting).then_some(entry.next_ms),
            attempts: entry.log,
        }
    }
}

//! Is upstream there, and does it say anything new?
//!
//! What a refresher does beside taking documents in: it waits for news, can be
//! called from that wait by somebody who needs something newer now, tells an
//! upstream that repeats itself from one that confirms, and keeps an eye on the
//! end of the root.

use std::time::Duration;

use super::{FetchedTimestamp, RefreshError, Refreshed, SourceError, refresher::Refresher};
use crate::current::{Age, Freshness};

impl Refresher {
    /// The signed times of what is live.
    pub(super) fn freshness(&self) -> Option<Freshness> {
        let live = self.current.load();
        live.named(&self.environment).map(|live| live.freshness)
    }

    /// Upstream has nothing newer. That confirms what is live as long as it is
    /// fresh; a copy of what was said before confirms nothing.
    pub(super) fn unchanged(&self) -> Result<Refreshed, RefreshError> {
        let now = self.ambient.now_ms();
        match self.freshness() {
            Some(live) if matches!(live.age(now), Age::Stale | Age::Expired) => {
                Err(RefreshError::Old {
                    age_s: now.saturating_sub(live.issued_ms) / 1_000,
                    fresh_s: live.fresh_until_ms.saturating_sub(live.issued_ms) / 1_000,
                })
            }
            _ => Ok(Refreshed::Unchanged),
        }
    }

    /// Tells in time that the root in force ends.
    pub(super) fn watch_root(&self) {
        let (expires_ms, now) = (self.trust.root().expires_ms, self.ambient.now_ms());
        let told = self.status_mut().root_ends(expires_ms, now);
        let environment = &self.environment;
        match told {
            Some(0) => {
                tracing::error!(%environment, "the root has expired: nothing new is accepted until a new one is published");
            }
            Some(days) => {
                tracing::warn!(%environment, days, "the root expires within so many days; publish a new one");
            }
            None => {}
        }
    }

    /// What upstream has that is newer, waiting for it as long as upstream is
    /// told to; who wants something newer now ends the wait.
    pub(super) async fn fetch_timestamp(
        &self,
        wait: Duration,
    ) -> Result<Option<FetchedTimestamp>, SourceError> {
        let (environment, unless) = (&self.environment, self.validator.as_deref());
        let waiting = self.source.timestamp(environment, unless, wait);
        tokio::select! {
            biased;
            fetched = waiting => fetched,
            () = self.asked.notified() => {
                self.source.timestamp(environment, unless, Duration::ZERO).await
            }
        }
    }
}

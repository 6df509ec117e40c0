//! What does one environment's supply look like from outside?
//!
//! Every failure of a refresh has a name here, and so has what is no failure
//! of a call: an upstream that answers and says nothing new for too long, a
//! clock that is behind, a root that ends soon. Nothing counts as confirmed
//! that was not fresh when it was confirmed.

use std::collections::BTreeMap;

use super::{HeldStatus, RefreshError};
use crate::{clock::UnixMs, current::Age, guard::FlowChange};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Days before the end of a root at which it is told, the last first.
const ROOT_WARNING_DAYS: [u64; 3] = [7, 30, 60];

/// A failure that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable.
    pub name: &'static str,
    /// For people.
    pub text: String,
}

/// What `/status` and the metrics say about one environment's supply.
#[derive(Clone, Debug, Default)]
pub struct SupplyStatus {
    /// Start of the last try.
    pub attempted_ms: Option<UnixMs>,
    /// Last time upstream confirmed what is live, or replaced it, with
    /// something fresh.
    pub confirmed_ms: Option<UnixMs>,
    /// The last failure, until the next success.
    pub error: Option<Failure>,
    /// Failures since the last success.
    pub failures_in_a_row: u64,
    /// Failures so far, by their names.
    pub failures: BTreeMap<&'static str, u64>,
    /// Of them what came and was refused.
    pub refused: BTreeMap<&'static str, u64>,
    /// What is live came from our own disk and was not confirmed since.
    pub from_disk: bool,
    /// The current pack was damaged and the one before it is live.
    pub fell_back: bool,
    /// The newest release, while it is held back.
    pub held: Option<HeldStatus>,
    /// What the last release that was judged changes, by flow.
    pub verdict: Vec<FlowChange>,
    /// What the last release that was taken in cost: parts that were read, and
    /// versions among them that were compiled.
    pub parts_read: u64,
    /// See `parts_read`.
    pub versions_compiled: u64,
    /// Encoded bytes of parts that were fetched so far.
    pub fetched_bytes: u64,
    /// The clock and what was signed disagree, until a fetched document passes.
    pub clock_problem: Option<String>,
    /// When the root in force ends.
    pub root_expires_ms: Option<UnixMs>,
    /// How near its end it was when that was told last, in days.
    root_told: Option<u64>,
}

impl SupplyStatus {
    /// A try failed. Whether that is news: another failure than the one before
    /// is told at full voice, the same one again is not.
    pub(super) fn failed(&mut self, error: &RefreshError) -> bool {
        let name = error.name();
        let is_news = self.error.as_ref().is_none_or(|last| last.name != name);
        self.failures_in_a_row += 1;
        *self.failures.entry(name).or_default() += 1;
        if error.is_refusal() {
            *self.refused.entry(name).or_default() += 1;
        }
        if error.is_clock_problem() {
            self.clock_problem = Some(error.to_string());
        }
        self.error = Some(Failure {
            name,
            text: error.to_string(),
        });
        is_news
    }

    /// A try succeeded, and what is live has this age now.
    pub(super) fn succeeded(&mut self, age: Age, now: UnixMs) {
        self.error = None;
        self.failures_in_a_row = 0;
        self.from_disk = false;
        self.clock_problem = None;
        // A document may be the newest there is and old all the same.
        if age == Age::Fresh {
            self.confirmed_ms = Some(now);
        }
    }

    /// The root in force ends at this time. How many days are left at the
    /// most, when that has to be told: once at each of the steps, and when it
    /// is over (0).
    pub(super) fn root_ends(&mut self, expires_ms: UnixMs, now: UnixMs) -> Option<u64> {
        if self.root_expires_ms != Some(expires_ms) {
            self.root_expires_ms = Some(expires_ms);
            self.root_told = None;
        }
        let left_ms = expires_ms.saturating_sub(now);
        let reached = match left_ms {
            0 => Some(0),
            _ => ROOT_WARNING_DAYS
                .into_iter()
                .find(|days| left_ms <= days * DAY_MS),
        };
        if reached.is_none() || reached == self.root_told {
            return None;
        }
        self.root_told = reached;
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refresh::SourceError;

    #[test]
    fn the_end_of_a_root_is_told_once_at_each_step() {
        let mut status = SupplyStatus::default();
        let end = 100 * DAY_MS;
        let mut at = |day: u64| status.root_ends(end, day * DAY_MS);
        let told: Vec<Option<u64>> = [0, 39, 40, 41, 70, 71, 93, 99, 100, 101]
            .map(&mut at)
            .into();
        let expected = [
            None,
            None,
            Some(60),
            None,
            Some(30),
            None,
            Some(7),
            None,
            Some(0),
            None,
        ];
        assert_eq!(told, expected);
        // A new root ends the matter, and has an end of its own.
        assert_eq!(status.root_ends(end + 100 * DAY_MS, 101 * DAY_MS), None);
        let end = end + 100 * DAY_MS;
        assert_eq!(status.root_ends(end, 195 * DAY_MS), Some(7));
        assert_eq!(status.root_expires_ms, Some(end));
    }

    #[test]
    fn a_failure_is_news_when_it_is_another_one() {
        let away = RefreshError::Source(SourceError::Away("x".to_owned()));
        let old = RefreshError::Old {
            age_s: 400,
            fresh_s: 300,
        };
        let mut status = SupplyStatus::default();
        let news = [&away, &away, &old, &old, &away].map(|error| status.failed(error));
        assert_eq!(news, [true, false, true, false, true]);
        assert_eq!(status.failures_in_a_row, 5);
        assert_eq!(status.failures["upstream_away"], 3);
        assert!(status.refused.is_empty());
        status.succeeded(Age::Stale, 7);
        assert_eq!((status.error.clone(), status.confirmed_ms), (None, None));
        assert!(status.failed(&away), "after a success it is news again");
        status.succeeded(Age::Fresh, 8);
        assert_eq!(status.confirmed_ms, Some(8));
    }
}

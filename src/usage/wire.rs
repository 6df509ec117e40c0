//! How is the use of flags written, on the edge's disk and on its way?
//!
//! Counts by application, flag and hour, and which instances of applications
//! were met. Both can be merged in any order and come to the same: sums are
//! sums, and of names that are too many those stay that come first in the
//! alphabet.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    clock::UnixMs,
    limits::{USAGE_STRATEGIES_MAX, USAGE_SUM_MAX, USAGE_VARIANTS_MAX},
};

/// Milliseconds of an hour.
pub const HOUR_MS: u64 = 60 * 60 * 1000;

/// When the hour of a time began.
pub fn hour_of(at: UnixMs) -> UnixMs {
    at - at % HOUR_MS
}

/// How often a flag was on and off, and with which variants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// On.
    pub yes: u64,
    /// Off.
    pub no: u64,
    /// By the variant's name; at most [`USAGE_VARIANTS_MAX`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds another one's counts.
    pub fn add(&mut self, other: &Self) {
        self.yes = sum(self.yes, other.yes);
        self.no = sum(self.no, other.no);
        for (name, count) in &other.variants {
            // A name that is there needs no other text.
            match self.variants.get_mut(name) {
                Some(own) => *own = sum(*own, *count),
                None => {
                    self.variants
                        .insert(name.clone(), (*count).min(USAGE_SUM_MAX));
                }
            }
        }
        while self.variants.len() > USAGE_VARIANTS_MAX {
            self.variants.pop_last();
        }
    }
}

/// A sum that stays a number everywhere it goes.
fn sum(one: u64, other: u64) -> u64 {
    one.saturating_add(other).min(USAGE_SUM_MAX)
}

/// The use of one flag by one application in one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourCount {
    /// When the hour began.
    pub hour_ms: UnixMs,
    /// The application's name.
    pub app: String,
    /// The flag's name.
    pub flag: String,
    /// When it was told of last, by the edge's clock.
    pub seen_ms: UnixMs,
    /// How often.
    pub counts: Tally,
}

/// An instance of an application, as it was met last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The application's name.
    pub app: String,
    /// What it calls this instance; empty when it says nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// Its library and version, such as `unleash-client-node:6.1.0`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sdk: String,
    /// What that runs on, such as `node:22.1.0`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// When it was met, by the edge's clock.
    pub seen_ms: UnixMs,
    /// Strategies it can evaluate; at most [`USAGE_STRATEGIES_MAX`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub strategies: BTreeSet<String>,
    /// Proxies it came by; as many.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub via: BTreeSet<String>,
}

impl Sighting {
    /// What makes it another one: an instance that changed its library is told
    /// of twice.
    pub fn place(&self) -> (&str, &str, &str, &str) {
        (&self.app, &self.instance, &self.sdk, &self.platform)
    }

    /// Adds what else was met in the same place.
    pub fn add(&mut self, other: &Self) {
        self.seen_ms = self.seen_ms.max(other.seen_ms);
        extend(&mut self.strategies, &other.strategies);
        extend(&mut self.via, &other.via);
    }
}

fn extend(own: &mut BTreeSet<String>, other: &BTreeSet<String>) {
    for name in other {
        if !own.contains(name) {
            own.insert(name.clone());
        }
    }
    while own.len() > USAGE_STRATEGIES_MAX {
        own.pop_last();
    }
}

/// What waits for the store, as a record of an edge's journal has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Environment name.
    pub environment: String,
    /// The use of flags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<HourCount>,
    /// Who uses them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Sighting>,
}

/// What an edge tells its store, once: the stretch of a journal between two of
/// its seqs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageBatch {
    /// 32 hexadecimal digits.
    pub journal: String,
    /// Where the batch before ended; 0 for the first. The store takes a batch
    /// only if it has come exactly so far.
    pub after: u64,
    /// Where this one ends.
    pub through: u64,
    /// The use of flags.
    #[serde(default)]
    pub counts: Vec<HourCount>,
    /// Who uses them.
    #[serde(default)]
    pub seen: Vec<Sighting>,
}

/// What the store says to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTaken {
    /// How far it has come with this journal, now.
    pub through: u64,
    /// Whether this batch was taken; else it goes on behind `through`.
    pub taken: bool,
    /// Counts, variants and instances of it that were left out: of hours that
    /// are not kept, or too many.
    pub left_out: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tallies() -> impl Strategy<Value = Tally> {
        let variants = prop::collection::btree_map("[a-z]{1,2}", 0_u64..=u64::MAX, 0..200);
        let count = || prop_oneof![0..1_000_u64, Just(u64::MAX)];
        (count(), count(), variants).prop_map(|(yes, no, variants)| Tally { yes, no, variants })
    }

    fn sightings() -> impl Strategy<Value = Sighting> {
        let words = || prop::collection::btree_set("[a-z]{1,2}", 0..80);
        (0..4_u64, words(), words()).prop_map(|(seen_ms, strategies, via)| Sighting {
            seen_ms,
            strategies,
            via,
            ..Sighting::default()
        })
    }

    proptest! {
        #[test]
        fn counts_come_to_the_same_in_any_order(all in prop::collection::vec(tallies(), 0..6), split in 0_usize..6) {
            let merged = |list: &mut dyn Iterator<Item = &Tally>| {
                let mut sum = Tally::default();
                list.for_each(|own| sum.add(own));
                sum
            };
            let forward = merged(&mut all.iter());
            prop_assert_eq!(&forward, &merged(&mut all.iter().rev()));
            // Or first in two heaps.
            let (left, right) = all.split_at(split.min(all.len()));
            let mut heaps = merged(&mut left.iter());
            heaps.add(&merged(&mut right.iter()));
            prop_assert_eq!(forward, heaps);
        }

        #[test]
        fn who_was_met_comes_to_the_same_in_any_order(all in prop::collection::vec(sightings(), 1..6)) {
            let merged = |list: Vec<&Sighting>| {
                let mut sum = Sighting::default();
                list.into_iter().for_each(|own| sum.add(own));
                sum
            };
            let forward = merged(all.iter().collect());
            prop_assert_eq!(forward, merged(all.iter().rev().collect()));
        }
    }

    #[test]
    fn an_hour_begins_where_it_begins() {
        assert_eq!(hour_of(0), 0);
        assert_eq!(hour_of(HOUR_MS - 1), 0);
        assert_eq!(hour_of(HOUR_MS), HOUR_MS);
    }
}

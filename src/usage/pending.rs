//! What was told and is not in the journal yet?
//!
//! Sums by environment, application, flag and hour, and who was met: merged in
//! memory, with a bound on everything whoever has a public key could make grow.
//! Too many applications of an hour count under one name; too many names that
//! no flag has, and too many sums at a time, are dropped and counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{
    COUNTED_HERE, HOUR_MS, HourCount, Report, Sighting, Tally, UsageRecord, hour_of,
    told::{Dropped, UsageCounters},
};
use crate::{
    clock::UnixMs,
    limits::{USAGE_APPS_MAX, USAGE_MET_MAX, USAGE_PENDING_MAX, USAGE_UNKNOWN_FLAGS_MAX},
};

/// Under which name applications count that are too many.
pub const OTHERS: &str = "(others)";

/// An instance that was met is met again after this: its store knows when it
/// was there last to within as much.
const MET_AGAIN_MS: u64 = 10 * 60 * 1000;

/// Hour, application and flag.
type Place = (UnixMs, String, String);

/// Application, instance, library and platform.
type Met = (String, String, String, String);

/// Everything of one environment that waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    counts: BTreeMap<Place, (UnixMs, Tally)>,
    seen: BTreeMap<Met, Sighting>,
    /// Sums, instances and the names within them: what memory goes by.
    weight: usize,
    room: Room,
}

/// What of an environment was let in within the hour.
#[derive(Debug, Default)]
struct Room {
    /// When the hour began that these are of.
    hour_ms: UnixMs,
    apps: BTreeSet<String>,
    unknown: BTreeSet<String>,
    /// When these were met first.
    met_ms: UnixMs,
    met: BTreeSet<Met>,
}

impl Pending {
    /// Sums and instances that wait, with the names within them.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Adds what a request told.
    pub(super) fn report(&mut self, report: Report, counters: &Arc<UsageCounters>, now: UnixMs) {
        self.room.turn(now);
        for count in report.counts {
            self.told(count, counters);
        }
        for count in report.unknown {
            if let_in(&mut self.room.unknown, &count.flag, USAGE_UNKNOWN_FLAGS_MAX) {
                self.told(count, counters);
            } else {
                counters.dropped(Dropped::UnknownFlag, 1);
            }
        }
        for sighting in report.seen {
            self.sighting(sighting, counters);
        }
    }

    /// Adds the use of a flag by an application, if there is room for its name.
    fn told(&mut self, mut count: HourCount, counters: &UsageCounters) {
        if !let_in(&mut self.room.apps, &count.app, USAGE_APPS_MAX) {
            OTHERS.clone_into(&mut count.app);
            counters.folded.fetch_add(1, Relaxed);
        }
        self.count(count, counters);
    }

    /// Adds the use of a flag. Whoever is named here was let in before, or is
    /// the edge itself, whose sums no client can crowd out: there are only so
    /// many flags with so many variants.
    pub(super) fn count(&mut self, mut count: HourCount, counters: &UsageCounters) {
        let is_ours = count.app == COUNTED_HERE;
        let place = (count.hour_ms, count.app, count.flag);
        let is_there = self.counts.contains_key(&place);
        // What is there goes on counting; no new name beyond the bound.
        if self.weight >= USAGE_PENDING_MAX && !is_ours {
            if !is_there {
                counters.dropped(Dropped::Memory, 1);
                return;
            }
            count.counts.variants.clear();
        }
        let (seen_ms, tally) = self.counts.entry(place).or_default();
        let before = tally.variants.len();
        *seen_ms = count.seen_ms.max(*seen_ms);
        tally.add(&count.counts);
        self.weight += usize::from(!is_there) + tally.variants.len() - before;
    }

    /// Adds who was met, unless that was a moment ago. What it says of itself
    /// beyond its name is always worth it.
    fn sighting(&mut self, mut sighting: Sighting, counters: &UsageCounters) {
        if !let_in(&mut self.room.apps, &sighting.app, USAGE_APPS_MAX) {
            OTHERS.clone_into(&mut sighting.app);
            sighting.instance.clear();
        }
        let place = owned(&sighting);
        let says_more = !sighting.strategies.is_empty() || !sighting.via.is_empty();
        if self.room.met.contains(&place) && !says_more {
            return;
        }
        if self.room.met.len() >= USAGE_MET_MAX && !self.room.met.contains(&place) {
            counters.dropped(Dropped::Memory, 1);
            return;
        }
        self.room.met.insert(place);
        self.note(sighting, counters);
    }

    /// Adds what could not be written to what came meanwhile.
    pub(super) fn put_back(&mut self, record: UsageRecord, counters: &UsageCounters) {
        for count in record.counts {
            self.count(count, counters);
        }
        for sighting in record.seen {
            self.note(sighting, counters);
        }
    }

    fn note(&mut self, sighting: Sighting, counters: &UsageCounters) {
        let place = owned(&sighting);
        let is_there = self.seen.contains_key(&place);
        if !is_there && self.weight >= USAGE_PENDING_MAX {
            counters.dropped(Dropped::Memory, 1);
            return;
        }
        let (app, instance, sdk, platform) = place.clone();
        let own = self.seen.entry(place).or_insert_with(|| Sighting {
            app,
            instance,
            sdk,
            platform,
            ..Sighting::default()
        });
        let before = own.strategies.len() + own.via.len();
        own.add(&sighting);
        let after = own.strategies.len() + own.via.len();
        self.weight += usize::from(!is_there) + after - before;
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> (Vec<HourCount>, Vec<Sighting>) {
        self.weight = 0;
        let counts = std::mem::take(&mut self.counts).into_iter();
        let counts = counts.map(|((hour_ms, app, flag), (seen_ms, counts))| HourCount {
            hour_ms,
            app,
            flag,
            seen_ms,
            counts,
        });
        let seen = std::mem::take(&mut self.seen).into_values();
        (counts.collect(), seen.collect())
    }
}

impl Room {
    /// Forgets what was let in before this hour, and who was met a while ago.
    fn turn(&mut self, now: UnixMs) {
        let hour_ms = hour_of(now);
        if self.hour_ms != hour_ms {
            self.hour_ms = hour_ms;
            self.apps.clear();
            self.unknown.clear();
        }
        if now.abs_diff(self.met_ms) >= MET_AGAIN_MS {
            self.met_ms = now;
            self.met.clear();
        }
    }
}

/// Whether a name is among those let in, or may be one of them from now on.
fn let_in(names: &mut BTreeSet<String>, name: &str, names_max: usize) -> bool {
    if names.contains(name) {
        return true;
    }
    let has_room = names.len() < names_max;
    if has_room {
        names.insert(name.to_owned());
    }
    has_room
}

fn owned(sighting: &Sighting) -> (String, String, String, String) {
    let (app, instance, sdk, platform) = sighting.place();
    (app.into(), instance.into(), sdk.into(), platform.into())
}

/// The hour a report counts for: its own, unless that is too long ago or still
/// to come by our clock.
pub fn hour_of_report(begun: Option<UnixMs>, now: UnixMs) -> UnixMs {
    let oldest = now.saturating_sub(crate::limits::USAGE_LATE_MS_MAX);
    let own = begun.filter(|begun| (oldest..=now).contains(begun));
    hour_of(own.unwrap_or(now))
}

const _: () = assert!(MET_AGAIN_MS < HOUR_MS);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMs = 500 * HOUR_MS + 7;

    fn count(app: &str, flag: &str, yes: u64) -> HourCount {
        HourCount {
            hour_ms: hour_of(NOW),
            app: app.to_owned(),
            flag: flag.to_owned(),
            seen_ms: NOW,
            counts: Tally {
                yes,
                ..Tally::default()
            },
        }
    }

    fn report(counts: Vec<HourCount>, unknown: Vec<HourCount>) -> Report {
        Report {
            environment: "development".to_owned(),
            counts,
            unknown,
            ..Report::default()
        }
    }

    fn dropped(counters: &UsageCounters, why: Dropped) -> u64 {
        let mut all = counters.all_dropped();
        all.find(|(name, _)| *name == Dropped::NAMES[why as usize])
            .map_or(0, |(_, count)| count)
    }

    proptest! {
        #[test]
        fn reports_come_to_the_same_in_any_order(list in prop::collection::vec((0..3_usize, 0..3_usize, 0..9_u64), 0..20)) {
            let merged = |list: Vec<&(usize, usize, u64)>| {
                let mut pending = Pending::default();
                for (app, flag, yes) in list {
                    let count = count(["a", "b", "c"][*app], ["x", "y", "z"][*flag], *yes);
                    pending.report(report(vec![count], Vec::new()), &Arc::default(), NOW);
                }
                pending.take()
            };
            prop_assert_eq!(merged(list.iter().collect()), merged(list.iter().rev().collect()));
        }
    }

    #[test]
    fn names_beyond_their_bound_are_folded_or_dropped_and_the_next_hour_is_new() {
        let counters = Arc::<UsageCounters>::default();
        let mut pending = Pending::default();
        let apps = (0..USAGE_APPS_MAX + 50).map(|at| count(&format!("app-{at:05}"), "cart", 1));
        pending.report(report(apps.collect(), Vec::new()), &counters, NOW);
        assert_eq!(pending.counts.len(), USAGE_APPS_MAX + 1);
        assert_eq!(counters.folded.load(Relaxed), 50);
        let names =
            (0..USAGE_UNKNOWN_FLAGS_MAX + 30).map(|at| count("app-00000", &format!("no-{at}"), 1));
        pending.report(report(Vec::new(), names.collect()), &counters, NOW);
        assert_eq!(dropped(&counters, Dropped::UnknownFlag), 30);
        let (counts, _) = pending.take();
        assert_eq!(counts.len(), USAGE_APPS_MAX + 1 + USAGE_UNKNOWN_FLAGS_MAX);
        let others = counts
            .iter()
            .find(|own| own.app == OTHERS)
            .expect("a sum of the others");
        assert_eq!(others.counts.yes, 50);
        pending.report(
            report(vec![count("new", "cart", 1)], Vec::new()),
            &counters,
            NOW + HOUR_MS,
        );
        assert_eq!(pending.take().0[0].app, "new");
    }

    /// Found by review: made-up applications put the sums of the edge itself
    /// among those of the others.
    #[test]
    fn what_an_edge_counts_itself_has_its_name_however_many_applications_there_are() {
        let counters = Arc::<UsageCounters>::default();
        let mut pending = Pending::default();
        let apps = (0..USAGE_APPS_MAX + 1).map(|at| count(&format!("app-{at:05}"), "cart", 1));
        pending.report(report(apps.collect(), Vec::new()), &counters, NOW);
        pending.count(count(COUNTED_HERE, "cart", 7), &counters);
        let (counts, seen) = pending.take();
        let yes = |counts: &[HourCount], app: &str| {
            let own = counts.iter().find(|own| own.app == app);
            own.map(|own| own.counts.yes)
        };
        assert_eq!(yes(&counts, COUNTED_HERE), Some(7));
        assert_eq!(yes(&counts, OTHERS), Some(1));
        // What the journal did not take is what it was, also in the next hour.
        let more = (0..USAGE_APPS_MAX).map(|at| count(&format!("more-{at}"), "cart", 1));
        pending.report(report(more.collect(), Vec::new()), &counters, NOW + HOUR_MS);
        let record = UsageRecord {
            environment: "development".to_owned(),
            counts,
            seen,
        };
        pending.put_back(record, &counters);
        let (counts, _) = pending.take();
        assert_eq!(yes(&counts, COUNTED_HERE), Some(7));
        assert_eq!(yes(&counts, OTHERS), Some(1));
        assert_eq!(yes(&counts, "app-00000"), Some(1));
        assert_eq!(counters.folded.load(Relaxed), 1);
    }

    /// Found by review: one report full of variants, and the edge's own counts
    /// were dropped until all was written.
    #[test]
    fn what_an_edge_counts_itself_has_room_however_much_it_is_told() {
        let counters = Arc::<UsageCounters>::default();
        let mut pending = Pending::default();
        let variants: BTreeMap<String, u64> = (0..100).map(|at| (at.to_string(), 1)).collect();
        let full = (0..USAGE_PENDING_MAX / 100).map(|at| {
            let mut own = count("shop", &at.to_string(), 1);
            own.counts.variants = variants.clone();
            own
        });
        pending.report(report(full.collect(), Vec::new()), &counters, NOW);
        assert!(pending.weight() >= USAGE_PENDING_MAX);
        let known = dropped(&counters, Dropped::Memory);
        let mut ours = count(COUNTED_HERE, "cart", 7);
        ours.counts.variants = [("blue".to_owned(), 7)].into();
        pending.count(ours.clone(), &counters);
        pending.count(count("desk", "cart", 1), &counters);
        assert_eq!(dropped(&counters, Dropped::Memory), known + 1);
        let (counts, _) = pending.take();
        assert!(counts.contains(&ours), "{}", counts.len());
    }

    #[test]
    fn memory_stays_flat_whatever_is_told() {
        let counters = Arc::<UsageCounters>::default();
        let mut pending = Pending::default();
        for app in 0..USAGE_APPS_MAX {
            let flags =
                (0..USAGE_PENDING_MAX / 100).map(|at| count(&app.to_string(), &at.to_string(), 1));
            pending.report(report(flags.collect(), Vec::new()), &counters, NOW);
        }
        assert_eq!(pending.weight(), USAGE_PENDING_MAX);
        assert!(dropped(&counters, Dropped::Memory) > 0);
        // What has a place goes on counting.
        pending.report(report(vec![count("0", "0", 5)], Vec::new()), &counters, NOW);
        let (counts, _) = pending.take();
        let first = counts.iter().find(|own| own.app == "0" && own.flag == "0");
        assert_eq!(first.expect("a sum").counts.yes, 6);
    }

    #[test]
    fn an_instance_is_noted_now_and_then_and_whenever_it_says_more() {
        let counters = Arc::<UsageCounters>::default();
        let mut pending = Pending::default();
        let met = |strategies: &[&str]| Report {
            seen: vec![Sighting {
                app: "shop".to_owned(),
                seen_ms: NOW,
                strategies: strategies.iter().map(ToString::to_string).collect(),
                ..Sighting::default()
            }],
            ..Report::default()
        };
        let mut noted = |report: Report, now| {
            pending.report(report, &counters, now);
            pending.take().1.len()
        };
        assert_eq!(noted(met(&[]), NOW), 1);
        assert_eq!(noted(met(&[]), NOW + 1_000), 0);
        assert_eq!(noted(met(&["default"]), NOW + 1_000), 1);
        assert_eq!(noted(met(&[]), NOW + MET_AGAIN_MS), 1);
    }

    #[test]
    fn a_report_counts_for_its_own_hour_if_that_is_credible() {
        let hour = hour_of(NOW);
        assert_eq!(hour_of_report(None, NOW), hour);
        assert_eq!(hour_of_report(Some(NOW - HOUR_MS), NOW), hour - HOUR_MS);
        assert_eq!(hour_of_report(Some(NOW + 1), NOW), hour);
        assert_eq!(hour_of_report(Some(0), NOW), hour);
    }
}

//! Which edges are there, and how are they?
//!
//! What edges report, the last word of each, in memory: after a restart of the
//! store the list fills again within seconds. Bounded, since a report costs
//! nothing to send. An edge that is behind, silent, or cannot write is a
//! straggler, and the list says why.

use std::{collections::BTreeMap, net::IpAddr, sync::Mutex};

use serde::Serialize;

use super::{Store, StoreError, known_environment, locked};
use crate::{
    clock::UnixMs, http::version::Fit, limits::EDGES_KEPT_MAX, progress::event::EdgeReport,
};

/// Edges report every ten seconds; one that missed three reports is silent.
const SILENT_AFTER_MS: u64 = 35_000;

/// A publish reaches a connected edge within milliseconds and its next report
/// comes within seconds: who is behind for longer has a problem.
const BEHIND_AFTER_MS: u64 = 10_000;

/// An edge that was not heard of for a day is gone.
const FORGOTTEN_AFTER_MS: u64 = 24 * 60 * 60 * 1000;

/// The last words of all edges, by environment and edge.
#[derive(Debug, Default)]
pub(super) struct Edges {
    seen: Mutex<BTreeMap<(String, String), Seen>>,
}

#[derive(Clone, Debug)]
struct Seen {
    report: EdgeReport,
    from: Option<IpAddr>,
    seen_ms: UnixMs,
    /// Since when its reports say another revision than the one in force.
    behind_since_ms: Option<UnixMs>,
}

/// One edge in the listing.
#[derive(Debug, Serialize)]
pub struct EdgeListing {
    /// Which environment this is about.
    pub environment: String,
    /// What it said last.
    #[serde(flatten)]
    pub report: EdgeReport,
    /// Where it said that from.
    pub address: Option<IpAddr>,
    /// What is in force here.
    pub current: String,
    /// When it said that.
    pub seen_ms: UnixMs,
    /// The same in seconds ago.
    pub seen_s: u64,
    /// Whether somebody should look at it.
    pub straggler: bool,
    /// Why.
    pub why: Vec<&'static str>,
}

impl Edges {
    /// Takes a report; `current` is the revision in force here.
    fn take(
        &self,
        environment: &str,
        (report, from): (EdgeReport, Option<IpAddr>),
        current: &str,
        now: UnixMs,
    ) {
        let mut seen = locked(&self.seen);
        seen.retain(|_, own| now.saturating_sub(own.seen_ms) <= FORGOTTEN_AFTER_MS);
        let place = (environment.to_owned(), report.edge.clone());
        let before = seen.remove(&place);
        // Whoever was not heard of for the longest time makes room; nobody
        // pushes out the edges of another environment.
        let of_it = || seen.iter().filter(|((own, _), _)| own == environment);
        if of_it().count() >= EDGES_KEPT_MAX {
            let oldest = of_it().min_by_key(|(_, own)| own.seen_ms);
            if let Some(oldest) = oldest.map(|(place, _)| place.clone()) {
                seen.remove(&oldest);
            }
        }
        let is_behind = report.revision.as_deref() != Some(current);
        let since = before.and_then(|before| before.behind_since_ms);
        let own = Seen {
            report,
            from,
            seen_ms: now,
            behind_since_ms: is_behind.then(|| since.unwrap_or(now)),
        };
        seen.insert(place, own);
    }

    /// Forgets the edges of an environment: one that comes to have its name
    /// has others.
    pub(super) fn forget(&self, environment: &str) {
        locked(&self.seen).retain(|(own, _), _| own != environment);
    }

    fn list(&self, now: UnixMs, current: impl Fn(&str) -> Option<String>) -> Vec<EdgeListing> {
        let seen = locked(&self.seen).clone();
        let listing = |((environment, _), own): ((String, String), Seen)| {
            // An environment that is gone has no edges.
            let current = current(&environment)?;
            let why = own.why(now);
            Some(EdgeListing {
                environment,
                address: own.from,
                current,
                seen_ms: own.seen_ms,
                seen_s: now.saturating_sub(own.seen_ms) / 1_000,
                straggler: !why.is_empty(),
                why,
                report: own.report,
            })
        };
        seen.into_iter().filter_map(listing).collect()
    }
}

impl Seen {
    fn why(&self, now: UnixMs) -> Vec<&'static str> {
        let since = |then: UnixMs| now.saturating_sub(then);
        let is_behind = |then| since(then) > BEHIND_AFTER_MS;
        let report = &self.report;
        let marks = [
            ("silent", since(self.seen_ms) > SILENT_AFTER_MS),
            ("behind", self.behind_since_ms.is_some_and(is_behind)),
            ("held", report.held.is_some()),
            ("stale", !matches!(report.state.as_str(), "" | "fresh")),
            ("journal", !report.journal_writable),
            ("version", Fit::of(&report.version) == Fit::Far),
        ];
        let marks = marks.into_iter().filter(|(_, holds)| *holds);
        marks.map(|(name, _)| name).collect()
    }
}

impl Store {
    /// Takes what an edge says about itself.
    pub fn edge_reports(
        &self,
        environment: &str,
        report: EdgeReport,
        from: Option<IpAddr>,
    ) -> Result<(), StoreError> {
        let current = self.watch(environment)?.borrow().revision.to_string();
        let now = self.ambient.now_ms();
        self.edges.take(environment, (report, from), &current, now);
        Ok(())
    }

    /// Every edge that reported within a day, or those of one environment.
    pub fn edges(&self, environment: Option<&str>) -> Result<Vec<EdgeListing>, StoreError> {
        if let Some(name) = environment {
            known_environment(&self.workspace(), name)?;
        }
        let current = |name: &str| Some(self.watch(name).ok()?.borrow().revision.to_string());
        let mut list = self.edges.list(self.ambient.now_ms(), current);
        list.retain(|own| environment.is_none_or(|name| own.environment == name));
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::version::VERSION;

    fn report(edge: &str, revision: &str) -> (EdgeReport, Option<IpAddr>) {
        let report = EdgeReport {
            edge: edge.to_owned(),
            version: VERSION.to_owned(),
            revision: Some(revision.to_owned()),
            state: "fresh".to_owned(),
            journal_writable: true,
            ..EdgeReport::default()
        };
        (report, None)
    }

    fn why(edges: &Edges, now: UnixMs) -> Vec<&'static str> {
        let list = edges.list(now, |_| Some("0.2".to_owned()));
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].straggler, !list[0].why.is_empty());
        list[0].why.clone()
    }

    #[test]
    fn an_edge_that_is_behind_for_long_or_silent_is_a_straggler() {
        let edges = Edges::default();
        edges.take("dev", report("a", "0.2"), "0.2", 0);
        assert!(why(&edges, SILENT_AFTER_MS).is_empty());
        assert_eq!(why(&edges, SILENT_AFTER_MS + 1), ["silent"]);
        // Behind counts from the first report that says so.
        edges.take("dev", report("a", "0.1"), "0.2", 100_000);
        assert!(why(&edges, 105_000).is_empty());
        edges.take("dev", report("a", "0.1"), "0.2", 110_001);
        assert_eq!(why(&edges, 110_001), ["behind"]);
        edges.take("dev", report("a", "0.2"), "0.2", 110_002);
        assert!(why(&edges, 130_000).is_empty());
        let (mut bad, from) = report("a", "0.2");
        bad.state = "expired".to_owned();
        bad.held = Some(7);
        bad.journal_writable = false;
        bad.version = "77.0.0".to_owned();
        edges.take("dev", (bad, from), "0.2", 140_000);
        assert_eq!(
            why(&edges, 140_000),
            ["held", "stale", "journal", "version"]
        );
    }

    #[test]
    fn only_so_many_are_kept_and_none_for_ever() {
        let edges = Edges::default();
        edges.take("production", report("e0", "0.2"), "0.2", 0);
        for edge in 0..=EDGES_KEPT_MAX as u64 {
            edges.take("dev", report(&format!("e{edge}"), "0.2"), "0.2", edge);
        }
        let list = |now| edges.list(now, |_| Some("0.2".to_owned()));
        let kept = list(0);
        assert_eq!(kept.len(), EDGES_KEPT_MAX + 1);
        let oldest: Vec<&EdgeListing> = kept.iter().filter(|own| own.report.edge == "e0").collect();
        assert_eq!(oldest.len(), 1, "the oldest went, but not another's");
        assert_eq!(oldest[0].environment, "production");
        edges.take("dev", report("late", "0.2"), "0.2", FORGOTTEN_AFTER_MS * 2);
        assert_eq!(list(FORGOTTEN_AFTER_MS * 2).len(), 1);
        let gone = edges.list(0, |_| None);
        assert!(gone.is_empty(), "an environment that is gone has no edges");
    }
}

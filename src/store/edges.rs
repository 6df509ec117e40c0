//! Which edges are there, and how are they?
//!
//! What edges report, the last word of each, in memory: after a restart of the
//! store the list fills again within seconds. Bounded, since a report costs
//! nothing to send. An edge that is behind, silent, or cannot write is a
//! straggler, and the list says why.

use std::{collections::BTreeMap, net::IpAddr, sync::Mutex};

use serde::Serialize;

use super::{Page, PageAsk, Store, StoreError, known_environment, locked, paging::EDGES};
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

    /// A page of the edges of one environment, or of all.
    fn page(
        &self,
        environment: Option<&str>,
        ask: &PageAsk,
    ) -> Result<Page<(String, Seen)>, StoreError> {
        let seen = locked(&self.seen);
        let fits = |own: &str| environment.is_none_or(|name| own == name);
        let rows = seen.iter().filter(|((own, _), _)| fits(own));
        let page = EDGES.page(ask, rows, |(place, _)| (*place).clone())?;
        // Those who report wait meanwhile, so no more than this is copied.
        Ok(page.map(|((environment, _), own)| (environment.clone(), own.clone())))
    }

    /// When each edge of an environment was heard of, by the names they give
    /// themselves.
    fn heard(&self, environment: &str) -> Vec<(String, UnixMs)> {
        let seen = locked(&self.seen);
        let own = seen.iter().filter(|((own, _), _)| own == environment);
        own.map(|((_, edge), own)| (edge.clone(), own.seen_ms))
            .collect()
    }
}

impl Seen {
    fn listing(self, environment: String, current: String, now: UnixMs) -> EdgeListing {
        let why = self.why(now);
        EdgeListing {
            environment,
            address: self.from,
            current,
            seen_ms: self.seen_ms,
            seen_s: now.saturating_sub(self.seen_ms) / 1_000,
            straggler: !why.is_empty(),
            why,
            report: self.report,
        }
    }

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

    /// A page of the edges that reported within a day: of all, or of those of
    /// one environment.
    pub fn edges(
        &self,
        environment: Option<&str>,
        ask: &PageAsk,
    ) -> Result<Page<EdgeListing>, StoreError> {
        if let Some(name) = environment {
            known_environment(&self.workspace(), name)?;
        }
        let now = self.ambient.now_ms();
        let page = self.edges.page(environment, ask)?;
        let listing = |(name, own): (String, Seen)| {
            // An environment that is gone has no edges.
            let current = self.watch(&name).ok()?.borrow().revision.to_string();
            Some(own.listing(name, current, now))
        };
        Ok(Page {
            rows: page.rows.into_iter().filter_map(listing).collect(),
            next: page.next,
        })
    }

    /// When each edge of an environment was heard of, by the names they give
    /// themselves.
    pub(super) fn edges_heard(&self, environment: &str) -> Vec<(String, UnixMs)> {
        self.edges.heard(environment)
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
        let mut list = list(edges);
        assert_eq!(list.len(), 1);
        let (environment, own) = list.remove(0);
        let listing = own.listing(environment, "0.2".to_owned(), now);
        assert_eq!(listing.straggler, !listing.why.is_empty());
        listing.why
    }

    /// All of them, in pages.
    fn list(edges: &Edges) -> Vec<(String, Seen)> {
        let mut all = Vec::new();
        let mut ask = PageAsk::first(99);
        loop {
            let page = edges.page(None, &ask).expect("a page");
            all.extend(page.rows);
            ask.after = page.next;
            if ask.after.is_none() {
                return all;
            }
        }
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
        let kept = list(&edges);
        assert_eq!(kept.len(), EDGES_KEPT_MAX + 1);
        let oldest = kept.iter().filter(|(_, own)| own.report.edge == "e0");
        let oldest: Vec<&String> = oldest.map(|(environment, _)| environment).collect();
        assert_eq!(oldest, ["production"], "not another's");
        let page = edges.page(Some("production"), &PageAsk::first(3));
        let page = page.expect("a page");
        assert_eq!((page.rows.len(), page.next), (1, None));
        assert_eq!(edges.heard("production"), [("e0".to_owned(), 0)]);
        edges.take("dev", report("late", "0.2"), "0.2", FORGOTTEN_AFTER_MS * 2);
        assert_eq!(list(&edges).len(), 1);
        edges.forget("dev");
        assert!(list(&edges).is_empty());
    }
}

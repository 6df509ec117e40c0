//! How does an edge count its own evaluations, at next to no cost?
//!
//! Each worker has, for the flags it evaluates, a row of counters that nobody
//! else writes: a place for every outcome of every flag, given out when the
//! flags were compiled. Counting is a load and a store. Whoever keeps counts
//! looks at the rows now and then and takes what was added.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{Tally, told::Intake};
use crate::snapshot::flags::{Flag, Flags, Judged, Outcome};

/// Counters for one set of flags.
#[derive(Debug)]
pub struct Evaluations {
    flags: Arc<Flags>,
    places: Box<[AtomicU64]>,
}

impl Evaluations {
    pub(super) fn new(flags: Arc<Flags>) -> Self {
        let places = (0..flags.places()).map(|_| AtomicU64::new(0)).collect();
        Self { flags, places }
    }

    /// Counts what a flag, which is one of these, came to. Only by the worker
    /// that has them: there is nobody to race with.
    #[inline]
    pub fn count(&self, flag: &Flag, judged: &Judged<'_>) {
        if let Some(place) = self.places.get(flag.place(judged)) {
            place.store(place.load(Relaxed).wrapping_add(1), Relaxed);
        }
    }

    /// What was counted since the last look at `seen`, flag by flag.
    pub(super) fn since(&self, seen: &mut Vec<u64>, mut each: impl FnMut(&str, Tally)) {
        seen.resize(self.places.len(), 0);
        for flag in self.flags.list() {
            let mut tally = Tally::default();
            for (place, outcome) in flag.outcomes() {
                let now = self.places.get(place).map_or(0, |own| own.load(Relaxed));
                let added = now.wrapping_sub(std::mem::replace(&mut seen[place], now));
                if added == 0 {
                    continue;
                }
                match outcome {
                    Outcome::Off => tally.no += added,
                    Outcome::On => tally.yes += added,
                    Outcome::Variant(name) => {
                        tally.yes += added;
                        *tally.variants.entry(name.to_owned()).or_default() += added;
                    }
                }
            }
            if tally != Tally::default() {
                each(&flag.name, tally);
            }
        }
    }
}

/// The rows of one worker, one for each environment.
pub struct Evaluating {
    intake: Intake,
    rows: RefCell<Vec<(Box<str>, Arc<Evaluations>)>>,
}

impl Evaluating {
    pub(super) fn new(intake: Intake) -> Self {
        Self {
            intake,
            rows: RefCell::default(),
        }
    }

    /// Where evaluations of these flags are counted. None when the row is new
    /// and cannot be announced at this moment: a request is not counted then.
    pub fn row(&self, environment: &str, flags: &Arc<Flags>) -> Option<Arc<Evaluations>> {
        let mut rows = self.rows.borrow_mut();
        let at = rows.iter().position(|(name, _)| **name == *environment);
        if let Some((_, row)) = at.and_then(|at| rows.get(at))
            && Arc::ptr_eq(&row.flags, flags)
        {
            return Some(Arc::clone(row));
        }
        let row = self.intake.announce(environment, flags)?;
        match at.and_then(|at| rows.get_mut(at)) {
            Some((_, before)) => *before = Arc::clone(&row),
            None => rows.push((environment.into(), Arc::clone(&row))),
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        evaluate::{FlagAsk, Subject, SubjectView, judge},
        snapshot::flags::FlagsDocument,
    };

    fn flags() -> Arc<Flags> {
        let variant = |name: &str| json!({"name": name, "weight": 500, "stickiness": "userId"});
        let document = json!({"features": [
            {"name": "on", "enabled": true, "strategies": []},
            {"name": "off", "enabled": false, "strategies": []},
            {"name": "many", "enabled": true, "strategies": [
                {"name": "userWithId", "parameters": {"userIds": "vip"}, "variants": [variant("gold")]},
                {"name": "default"},
            ], "variants": [variant("blue"), variant("green")]},
        ]});
        let document = FlagsDocument::read(document.to_string().as_bytes()).expect("a document");
        Arc::new(Flags::compile(&document))
    }

    #[test]
    fn every_outcome_of_every_flag_has_a_place_of_its_own() {
        let flags = flags();
        let mut places: Vec<usize> = Vec::new();
        for flag in flags.list() {
            places.extend(flag.outcomes().map(|(place, _)| place));
        }
        assert!(places.iter().copied().eq(0..flags.places()));
        // Off and on for each, and three variants.
        assert_eq!(places.len(), 3 * 2 + 3);
    }

    #[test]
    fn what_was_counted_is_taken_once_and_by_name() {
        let (intake, mut outlet) = Intake::open(true);
        let evaluating = intake.evaluating().expect("it counts");
        let flags = flags();
        let row = evaluating.row("development", &flags).expect("a row");
        assert!(Arc::ptr_eq(
            &row,
            &evaluating.row("development", &flags).expect("the same")
        ));
        assert!(!Arc::ptr_eq(
            &row,
            &evaluating.row("production", &flags).expect("another")
        ));
        assert!(outlet.receiver.try_recv().is_ok() && outlet.receiver.try_recv().is_ok());
        let users: Vec<String> = (0..40).map(|at| format!("u{at}")).collect();
        for user in users.iter().map(String::as_str).chain(["vip"]) {
            let subject = Subject::unseen(user);
            let attributes = json!({"userId": user});
            let view = SubjectView {
                user: &subject,
                group: None,
                attributes: attributes.as_object(),
                conversation: None,
            };
            let ask = FlagAsk::of(&flags, view, 0).drawing(7);
            for flag in flags.list() {
                row.count(flag, &judge(&flags, flag, &ask));
            }
        }
        let mut seen = Vec::new();
        let mut found = std::collections::BTreeMap::new();
        row.since(&mut seen, |flag, tally| {
            found.insert(flag.to_owned(), tally);
        });
        assert_eq!((found["on"].yes, found["on"].no), (41, 0));
        assert_eq!((found["off"].yes, found["off"].no), (0, 41));
        let many = &found["many"];
        assert_eq!((many.yes, many.variants["gold"]), (41, 1));
        assert_eq!(many.variants.values().sum::<u64>(), 41);
        row.since(&mut seen, |flag, _| panic!("{flag} is taken twice"));
    }
}

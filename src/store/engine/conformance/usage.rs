//! What must every engine do with the use of flags?
//!
//! Take a batch once, sum it, tell it by environment, and forget it by age.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    store::engine::{Engine, UsageAsked},
    usage::{HourCount, Sighting, Tally, UsageBatch, UsageTaken},
};

const HOURS: std::ops::Range<u64> = 0..1_000;

fn count(hour_ms: u64, app: &str, flag: &str, yes: u64) -> HourCount {
    HourCount {
        hour_ms,
        app: app.to_owned(),
        flag: flag.to_owned(),
        seen_ms: hour_ms + 1,
        counts: Tally {
            yes,
            no: 1,
            variants: BTreeMap::from([("blue".to_owned(), yes)]),
        },
    }
}

fn batch(after: u64, through: u64, counts: Vec<HourCount>) -> UsageBatch {
    UsageBatch {
        journal: "j".to_owned(),
        after,
        through,
        counts,
        seen: vec![Sighting {
            app: "shop".to_owned(),
            instance: format!("i{after}"),
            sdk: "node:1".to_owned(),
            seen_ms: 500,
            via: BTreeSet::from(["proxy".to_owned()]),
            ..Sighting::default()
        }],
    }
}

/// Batches are taken once, sums grow, environments do not see each other.
pub(super) fn use_is_counted_once(open: &dyn Fn() -> Box<dyn Engine>) {
    const PLACE: &str = "used";
    let engine = open();
    let take = |engine: &dyn Engine, batch: &UsageBatch| {
        engine.take_usage(PLACE, batch, &HOURS, 2_000).unwrap()
    };
    let first = batch(
        0,
        5,
        vec![count(100, "shop", "cart", 2), count(9_000, "a", "b", 1)],
    );
    let expected = UsageTaken {
        through: 5,
        taken: true,
        left_out: 1,
    };
    assert_eq!(take(&*engine, &first), expected);
    drop(engine);
    let engine = open();
    assert_eq!(
        (take(&*engine, &first).taken, take(&*engine, &first).through),
        (false, 5)
    );
    let second = batch(
        5,
        6,
        vec![count(100, "shop", "cart", 3), count(200, "desk", "cart", 4)],
    );
    assert!(take(&*engine, &second).taken);
    assert_eq!(engine.flag_seen(PLACE, "cart").unwrap(), Some(201));
    // Of an hour that is not kept it is known that it was.
    assert_eq!(engine.flag_seen(PLACE, "b").unwrap(), Some(2_000));
    assert_eq!(engine.flag_seen("elsewhere", "cart").unwrap(), None);
    let asked = |app: Option<&str>, after: &str| UsageAsked {
        hours: 150..300,
        app: app.map(ToOwned::to_owned),
        after: after.to_owned(),
        count_max: 9,
    };
    let flags = |asked: UsageAsked| -> Vec<String> {
        let found = engine.flag_usage(PLACE, &asked).unwrap();
        found.into_iter().map(|own| own.flag).collect()
    };
    assert_eq!(flags(asked(None, "")), ["b", "cart"]);
    assert_eq!(flags(asked(None, "b")), ["cart"]);
    assert_eq!(flags(asked(Some("shop"), "")), Vec::<String>::new());
    let found = engine.flag_usage(PLACE, &asked(Some("desk"), "")).unwrap();
    assert_eq!(found[0].apps["desk"].variants["blue"], 4);
    let hours = engine.hour_usage(PLACE, "cart", &(0..300)).unwrap();
    let hours = hours
        .iter()
        .map(|own| (own.hour_ms, own.app.as_str(), own.counts.yes, own.counts.no));
    assert_eq!(
        hours.collect::<Vec<_>>(),
        [(100, "shop", 5, 2), (200, "desk", 4, 1)]
    );
    let apps = engine.applications(PLACE, "", 9).unwrap();
    assert_eq!((apps.len(), apps[0].instances), (1, 2));
    assert!(apps[0].sdks.contains("node:1") && apps[0].via.contains("proxy"));
    assert!(engine.applications("elsewhere", "", 9).unwrap().is_empty());
}

/// Old hours go, a bounded number at a time; what is younger stays.
pub(super) fn use_is_forgotten(engine: &dyn Engine) {
    const PLACE: &str = "forgotten";
    let counts = (0..5).map(|at| count(at * 100, "shop", "cart", 1));
    let told = batch(0, 1, counts.collect());
    assert!(engine.take_usage(PLACE, &told, &HOURS, 900).unwrap().taken);
    // An hour and its variants of each.
    assert_eq!(engine.sweep_usage(PLACE, (200, 0), 1).unwrap(), 2);
    assert_eq!(engine.sweep_usage(PLACE, (200, 0), 9).unwrap(), 2);
    assert_eq!(engine.sweep_usage(PLACE, (200, 0), 9).unwrap(), 0);
    assert_eq!(engine.hour_usage(PLACE, "cart", &HOURS).unwrap().len(), 3);
    assert!(!engine.applications(PLACE, "", 9).unwrap().is_empty());
    engine.sweep_usage(PLACE, (600, 0), 9).unwrap();
    assert!(engine.applications(PLACE, "", 9).unwrap().is_empty());
    assert_eq!(engine.flag_seen(PLACE, "cart").unwrap(), Some(401));
    engine.sweep_usage(PLACE, (600, 402), 9).unwrap();
    assert_eq!(engine.flag_seen(PLACE, "cart").unwrap(), None);
}

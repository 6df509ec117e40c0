//! What must every engine do with the use of flags?
//!
//! Take a batch once, sum it, tell it by environment, and forget it by age.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    limits::{
        USAGE_HOUR_ROWS_MAX, USAGE_HOUR_ROWS_OF_FLAGS, USAGE_HOUR_VARIANTS_MAX,
        USAGE_HOUR_VARIANTS_OF_FLAGS, USAGE_SEEN_FORGOTTEN, USAGE_SEEN_MAX, USAGE_SEEN_OF_FLAGS,
        USAGE_VARIANTS_MAX,
    },
    store::engine::{Engine, UsageAsked, UsageKept},
    usage::{COUNTED_HERE, HourCount, Sighting, Tally, UsageBatch, UsageTaken},
};

const HOURS: std::ops::Range<u64> = 0..1_000;

/// Takes a batch into a store that has one flag.
fn take(engine: &dyn Engine, place: &str, batch: &UsageBatch, now: u64) -> UsageTaken {
    let kept = UsageKept {
        hours: HOURS,
        now,
        is_flag: &|name| name == "cart",
    };
    engine.take_usage(place, batch, &kept).unwrap()
}

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
    let take = |engine: &dyn Engine, batch: &UsageBatch| take(engine, PLACE, batch, 2_000);
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
    assert!(take(engine, PLACE, &told, 900).taken);
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

/// Another batch brings other names: what one row has of them stays bounded.
pub(super) fn variants_of_several_batches_are_bounded(engine: &dyn Engine) {
    const PLACE: &str = "variants";
    let all = USAGE_VARIANTS_MAX as u64;
    let told = |after: u64, names: std::ops::Range<u64>| {
        let mut own = count(100, "shop", "cart", 1);
        own.counts.variants = names.map(|at| (format!("v{at}"), 1)).collect();
        take(engine, PLACE, &batch(after, after + 1, vec![own]), 900).left_out
    };
    let variants = || {
        let hours = engine.hour_usage(PLACE, "cart", &HOURS).unwrap();
        (hours[0].counts.yes, hours[0].counts.variants.clone())
    };
    assert_eq!(told(0, 0..all - 1), 0);
    // The last that there is room for, and one that is known.
    assert_eq!(told(1, all - 2..all + 9), 9);
    assert_eq!(told(2, all..2 * all), all);
    let (yes, found) = variants();
    assert_eq!((yes, found.len() as u64), (3, all));
    let last = |at: u64| found.get(&format!("v{at}")).copied();
    assert_eq!(
        [last(all - 2), last(all - 1), last(all)],
        [Some(2), Some(1), None]
    );
}

/// Names that no flag has: so many are kept, and flags come in all the same.
pub(super) fn names_that_are_made_up_leave_room_for_flags(engine: &dyn Engine) {
    const PLACE: &str = "made-up";
    let told = |after: u64, counts: Vec<HourCount>| {
        take(engine, PLACE, &batch(after, after + 1, counts), 900).left_out
    };
    let rows = USAGE_HOUR_ROWS_MAX - USAGE_HOUR_ROWS_OF_FLAGS;
    let variants = (USAGE_HOUR_VARIANTS_MAX - USAGE_HOUR_VARIANTS_OF_FLAGS).div_ceil(rows);
    let made_up = |at: u64| {
        let mut own = count(100, &format!("a{}", at % 250), &format!("f{}", at / 250), 1);
        own.counts.variants = (0..variants).map(|at| (format!("v{at}"), 1)).collect();
        own
    };
    assert_eq!(told(0, (0..rows).map(made_up).collect()), 0);
    // The hour is full of them, and of their variants; what is there goes on.
    let mut again = made_up(0);
    again.counts.variants.insert("another".to_owned(), 1);
    assert_eq!(told(1, vec![count(100, "shop", "f0", 1), again]), 2);
    assert_eq!(
        engine.hour_usage(PLACE, "f0", &HOURS).unwrap()[0]
            .counts
            .yes,
        2
    );
    assert_eq!(told(2, vec![count(200, "shop", "f0", 1)]), 0);
    assert_eq!(told(3, vec![count(100, "shop", "cart", 1)]), 0);
    let cart = engine.hour_usage(PLACE, "cart", &HOURS).unwrap();
    assert_eq!(cart[0].counts.variants["blue"], 1);

    const SEEN: &str = "made-up and seen";
    let told = |after: u64, counts: Vec<HourCount>| {
        take(engine, SEEN, &batch(after, after + 1, counts), 900).left_out
    };
    let names = USAGE_SEEN_MAX - USAGE_SEEN_OF_FLAGS;
    // Of an hour that is not kept: what is known is when they were asked for.
    let gone = |at: u64| HourCount {
        seen_ms: 1,
        ..count(9_000, "shop", &format!("f{at}"), 1)
    };
    assert_eq!(told(0, (0..names).map(gone).collect()), names);
    let more = ["more", "f0", "cart"].map(|name| count(100, "shop", name, 1));
    // Those asked for longest ago give way, and no flag does.
    assert_eq!(told(1, more.to_vec()), 0);
    let last = format!("f{}", names - 1);
    let seen = ["more", "f0", "cart", &last].map(|name| engine.flag_seen(SEEN, name).unwrap());
    assert_eq!(seen, [Some(101), Some(101), Some(101), Some(1)]);
    assert_eq!(engine.hour_usage(SEEN, "more", &HOURS).unwrap().len(), 1);
    let kept = (0..names).filter(|at| {
        let seen = engine.flag_seen(SEEN, &format!("f{at}"));
        seen.unwrap().is_some()
    });
    let forgotten = names - kept.count() as u64;
    assert!(
        (1..=USAGE_SEEN_FORGOTTEN as u64).contains(&forgotten),
        "{forgotten}"
    );
}

/// What an edge counts itself is kept, however much clients tell of flags.
pub(super) fn what_an_edge_counts_itself_always_has_room(engine: &dyn Engine) {
    const PLACE: &str = "counted by the edge";
    let told = |after: u64, counts: Vec<HourCount>| {
        take(engine, PLACE, &batch(after, after + 1, counts), 900).left_out
    };
    let rows = (0..USAGE_HOUR_ROWS_MAX).map(|at| count(100, &format!("a{at}"), "cart", 1));
    assert_eq!(told(0, rows.collect()), 0);
    assert_eq!(told(1, vec![count(100, "shop", "cart", 1)]), 1);
    assert_eq!(told(2, vec![count(100, COUNTED_HERE, "cart", 1)]), 0);
}

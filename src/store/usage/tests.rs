//! Is what edges tell counted once, summed right, bounded and forgotten?

use super::*;
use crate::{
    store::{
        Retention,
        tests::{House, START, file},
    },
    usage::Sighting,
};

const JOURNAL: &str = "00112233445566778899aabbccddeeff";
const NOW_HOUR: UnixMs = START - START % HOUR_MS;

fn count(app: &str, flag: &str, hours_ago: u64, (yes, no): (u64, u64)) -> HourCount {
    let variants = [("blue".to_owned(), yes)];
    HourCount {
        hour_ms: NOW_HOUR - hours_ago * HOUR_MS,
        app: app.to_owned(),
        flag: flag.to_owned(),
        seen_ms: START - hours_ago * HOUR_MS,
        counts: Tally {
            yes,
            no,
            variants: variants.into_iter().filter(|_| yes > 0).collect(),
        },
    }
}

fn batch((after, through): (u64, u64), counts: Vec<HourCount>) -> UsageBatch {
    UsageBatch {
        journal: JOURNAL.to_owned(),
        after,
        through,
        counts,
        seen: Vec::new(),
    }
}

fn sighting(app: &str, instance: &str, sdk: &str) -> Sighting {
    Sighting {
        app: app.to_owned(),
        instance: instance.to_owned(),
        sdk: sdk.to_owned(),
        seen_ms: START,
        strategies: [format!("default-{sdk}")].into(),
        ..Sighting::default()
    }
}

fn query(hours: u64) -> UsageQuery {
    UsageQuery {
        hours,
        page: PageAsk::first(10),
        ..UsageQuery::default()
    }
}

#[test]
fn a_batch_is_taken_once_and_only_where_the_journal_stands() {
    let house = House::new();
    let store = house.open();
    let first = batch((0, 7), vec![count("shop", "cart", 0, (3, 1))]);
    let taken = |batch: &UsageBatch| store.take_usage("development", batch).unwrap();
    let expected = |through, taken| UsageTaken {
        through,
        taken,
        left_out: 0,
    };
    assert_eq!(taken(&first), expected(7, true));
    assert_eq!(taken(&first), expected(7, false), "its answer was lost");
    let gap = batch((9, 12), vec![count("shop", "cart", 0, (100, 0))]);
    assert_eq!(taken(&gap), expected(7, false));
    let next = batch((7, 12), vec![count("shop", "cart", 0, (1, 0))]);
    assert_eq!(taken(&next), expected(12, true));
    // Another environment has heard of nothing.
    let other = store.take_usage("production", &first).unwrap();
    assert_eq!(other, expected(7, true));
    drop(store);
    let store = house.open();
    let page = store.usage("development", &query(1)).unwrap();
    assert_eq!(page.flags.len(), 1);
    assert_eq!((page.flags[0].counts.yes, page.flags[0].counts.no), (4, 1));
    assert_eq!(page.flags[0].counts.variants["blue"], 4);
    assert_eq!(page.flags[0].apps, ["shop"]);
    assert_eq!(page.flags[0].last_seen_ms, START);
    let uid = store
        .workspace()
        .environment("development")
        .unwrap()
        .uid
        .clone();
    assert_eq!(store.flag_seen(&uid, "cart").unwrap(), Some(START));
    assert_eq!(store.flag_seen(&uid, "none").unwrap(), None);
}

#[test]
fn sums_are_of_the_hours_asked_for_and_told_a_stretch_at_a_time() {
    let store = House::new().open();
    let counts = vec![
        count("shop", "a", 0, (1, 0)),
        count("desk", "a", 1, (10, 2)),
        count("shop", "b", 30, (100, 0)),
        count("desk", "c", 0, (0, 5)),
    ];
    store
        .take_usage("development", &batch((0, 1), counts))
        .unwrap();
    let page = |query: &UsageQuery| store.usage("development", query).unwrap();
    let names = |page: &UsagePage| -> Vec<String> {
        page.flags.iter().map(|own| own.flag.clone()).collect()
    };
    let day = page(&query(24));
    assert_eq!(names(&day), ["a", "b", "c"]);
    assert_eq!((day.flags[0].counts.yes, day.flags[0].counts.no), (11, 2));
    assert_eq!(day.flags[0].apps, ["desk", "shop"]);
    assert_eq!(day.flags[1].counts, Tally::default(), "too long ago");
    assert_eq!(day.flags[1].last_seen_ms, START - 30 * HOUR_MS);
    assert_eq!(
        (day.from_ms, day.until_ms),
        (NOW_HOUR - 23 * HOUR_MS, NOW_HOUR + HOUR_MS)
    );
    assert_eq!(page(&query(1)).flags[0].counts.yes, 1);
    let of_desk = UsageQuery {
        app: Some("desk".to_owned()),
        ..query(24)
    };
    assert_eq!(names(&page(&of_desk)), ["a", "c"]);
    assert_eq!(page(&of_desk).flags[0].counts.yes, 10);
    let mut walk = UsageQuery {
        page: PageAsk::first(2),
        ..query(24)
    };
    let first = page(&walk);
    assert_eq!(names(&first), ["a", "b"]);
    assert!(first.next.is_some());
    walk.page.after = first.next;
    let last = page(&walk);
    assert_eq!((names(&last), last.next), (vec!["c".to_owned()], None));

    let detail = store.usage_of("development", "a", 24).unwrap();
    assert_eq!((detail.counts.yes, detail.counts.no), (11, 2));
    assert_eq!(detail.apps.len(), 2);
    let hours: Vec<UnixMs> = detail.hours.iter().map(|own| own.hour_ms).collect();
    assert_eq!(hours, [NOW_HOUR - HOUR_MS, NOW_HOUR]);
    let unknown = store.usage_of("development", "nope", 24).unwrap();
    assert_eq!(
        (unknown.counts, unknown.last_seen_ms),
        (Tally::default(), None)
    );
}

#[test]
fn applications_are_known_by_their_instances() {
    let store = House::new().open();
    let mut told = batch((0, 1), Vec::new());
    told.seen = vec![
        sighting("shop", "i1", "node:1"),
        sighting("shop", "i2", "node:2"),
        sighting("desk", "", "go:1"),
    ];
    store.take_usage("development", &told).unwrap();
    store.take_usage("production", &told).unwrap();
    // The same instance with a newer library, and one that says nothing.
    let mut later = batch((1, 2), Vec::new());
    later.seen = vec![sighting("shop", "i1", "node:3"), sighting("shop", "i2", "")];
    store.take_usage("development", &later).unwrap();
    let page = store
        .applications(Some("development"), &PageAsk::first(10))
        .unwrap();
    let names: Vec<&str> = page
        .applications
        .iter()
        .map(|own| &*own.known.app)
        .collect();
    assert_eq!(names, ["desk", "shop"]);
    let shop = &page.applications[1].known;
    assert_eq!(shop.instances, 2);
    assert!(shop.sdks.iter().eq(["node:2", "node:3"]), "{shop:?}");
    assert_eq!(shop.strategies.len(), 4);
    let mut ask = PageAsk::first(1);
    let mut all = Vec::new();
    loop {
        let page = store.applications(None, &ask).unwrap();
        let own = page.applications.into_iter();
        all.extend(own.map(|own| format!("{} {}", own.environment, own.known.app)));
        ask.after = page.next;
        if ask.after.is_none() {
            break;
        }
    }
    let expected = [
        "development desk",
        "development shop",
        "production desk",
        "production shop",
    ];
    assert_eq!(all, expected);
}

#[test]
fn what_is_too_old_or_of_no_time_is_left_out_and_forgotten() {
    const DAY_MS: u64 = 24 * HOUR_MS;
    let house = House::new();
    let store = house.open().keeping(Retention {
        usage_ms: 2 * DAY_MS,
        ..Retention::default()
    });
    let mut told = batch(
        (0, 1),
        vec![
            count("shop", "cart", 0, (1, 0)),
            count("shop", "cart", 72, (50, 0)),
        ],
    );
    let mut ahead = count("shop", "cart", 0, (70, 0));
    ahead.hour_ms += 2 * HOUR_MS;
    ahead.seen_ms += 1_000 * DAY_MS;
    told.counts.push(ahead);
    told.seen = vec![sighting("shop", "i1", "node:1")];
    let taken = store.take_usage("development", &told).unwrap();
    assert_eq!((taken.taken, taken.left_out), (true, 2));
    let yes = |hours| {
        store
            .usage_of("development", "cart", hours)
            .unwrap()
            .counts
            .yes
    };
    assert_eq!(yes(1_000), 1);
    let seen = || {
        store
            .usage_of("development", "cart", 1)
            .unwrap()
            .last_seen_ms
    };
    assert_eq!(seen(), Some(START), "no clock of an edge is ahead of ours");
    let sweep = |ms| {
        house.wait(ms);
        store.sweep(house.ambient.now_ms()).unwrap();
    };
    sweep(DAY_MS);
    assert_eq!(yes(1_000), 1);
    sweep(2 * DAY_MS);
    assert_eq!(yes(1_000), 0);
    assert!(
        store
            .applications(None, &PageAsk::first(10))
            .unwrap()
            .applications
            .is_empty()
    );
    assert_eq!(seen(), Some(START), "that is known for longer");
    // The journal is still known: what comes again does not count.
    assert!(!store.take_usage("development", &told).unwrap().taken);
    sweep(3 * DAY_MS);
    // When it is not any more, there is no hour left that could count twice.
    let again = store.take_usage("development", &told).unwrap();
    assert_eq!((again.taken, again.left_out), (true, 3));
    assert_eq!(yes(1_000), 0);
    sweep(limits::USAGE_SEEN_KEPT_MS + 1);
    assert_eq!(seen(), None);
}

#[test]
fn a_batch_that_is_none_is_refused_with_what_was_found() {
    let store = House::new().open();
    let good = || batch((0, 1), vec![count("shop", "cart", 0, (1, 0))]);
    let no_id = UsageBatch {
        journal: "j".to_owned(),
        ..good()
    };
    let nowhere = batch((4, 4), Vec::new());
    let many = batch(
        (0, 1),
        vec![count("a", "b", 0, (1, 0)); limits::USAGE_BATCH_COUNTS_MAX + 1],
    );
    let mut within = good();
    within.counts[0].hour_ms += 1;
    let mut long = good();
    long.counts[0].app = "x".repeat(limits::USAGE_WORD_BYTES_MAX + 1);
    for wrong in [no_id, nowhere, many, within, long] {
        let refused = store.take_usage("development", &wrong);
        assert!(matches!(refused, Err(StoreError::Usage(_))), "{refused:?}");
    }
    assert!(store.take_usage("development", &good()).unwrap().taken);
    assert!(matches!(
        store.take_usage("nowhere", &good()),
        Err(StoreError::UnknownEnvironment { .. })
    ));
}

#[test]
fn sums_stay_numbers_however_large() {
    let store = House::new().open();
    for at in 0..3 {
        let counts = vec![count("shop", "cart", 0, (u64::MAX, u64::MAX))];
        store
            .take_usage("development", &batch((at, at + 1), counts))
            .unwrap();
    }
    let counts = store.usage_of("development", "cart", 1).unwrap().counts;
    let most = limits::USAGE_SUM_MAX;
    assert_eq!(
        (counts.yes, counts.no, counts.variants["blue"]),
        (most, most, most)
    );
}

#[test]
fn what_clients_make_up_crowds_no_flag_out() {
    let store = House::new().open();
    let flags = "flowgate: project/1\nproject: shop\nflags: [{ name: cart }]\n";
    store.import(&file(flags)).unwrap();
    let names = limits::USAGE_SEEN_MAX - limits::USAGE_SEEN_OF_FLAGS;
    let names: Vec<u64> = (0..=names).collect();
    let mut left_out = 0;
    for (at, names) in (0..).zip(names.chunks(limits::USAGE_BATCH_COUNTS_MAX)) {
        let counts = names.iter();
        let counts = counts.map(|own| count("shop", &format!("made-up-{own}"), 0, (1, 0)));
        let told = batch((at, at + 1), counts.collect());
        let taken = store.take_usage("development", &told).unwrap();
        assert!(taken.taken);
        left_out += taken.left_out;
    }
    assert_eq!(left_out, 0, "the oldest of them give way");
    let counts = vec![
        count("shop", "cart", 0, (1, 0)),
        count("shop", "other", 0, (1, 0)),
    ];
    let told = UsageBatch {
        journal: "f".repeat(32),
        ..batch((0, 1), counts)
    };
    assert_eq!(store.take_usage("development", &told).unwrap().left_out, 0);
    let of = |flag| store.usage_of("development", flag, 1).unwrap().counts.yes;
    assert_eq!((of("cart"), of("other")), (1, 1));
    let seen = |flag| store.usage_of("development", flag, 1).unwrap().last_seen_ms;
    assert!(seen("made-up-0").is_none() && seen("other").is_some());
}

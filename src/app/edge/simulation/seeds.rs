//! Many seeds, and proof that they would notice.
//!
//! A seed that fails prints itself. `FLOWGATE_SEEDS=100000` runs that many,
//! `FLOWGATE_SEED=26` that one alone.

use std::{
    io::Write,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Plan, Run, judge::Tally, run, seat::Mistake};
use crate::{disk::journal, snapshot::trust};

/// Seeds of one test. Without optimisation each takes most of a second.
const SEEDS: u64 = if cfg!(debug_assertions) { 40 } else { 2_000 };

/// Seeds within which a mistake must be noticed.
const SEEDS_FOR_A_FLAW: u64 = 80;

/// What must have happened in one test: weather that never comes and answers
/// that are never given prove nothing.
const HAPPENED: &[&str] = &[
    "answers 503",
    "answers lost",
    "clock jumps",
    "crashes",
    "delays",
    "disks broken",
    "disks full",
    "documents refused",
    "errors of the device",
    "failed boots",
    "failed commits",
    "hostile documents",
    "identified",
    "kill switches",
    "memberships recorded",
    "other latencies",
    "partitions",
    "power cuts while writing",
    "reads",
    "records applied",
    "records recovered",
    "records sent again",
    "releases",
    "stale answers",
    "steps",
    "steps without effect",
    "store crashes",
    "torn tails",
    "users compared",
    "writes without space",
    // Each kind of hostile document.
    "below_threshold",
    "revision_rollback",
    "serial_rollback",
    "wrong_environment",
];

/// Two edges and everything that can go wrong.
const STORM: Plan = Plan {
    edges: 2,
    settled: 1,
    roaming: 1,
    on_unknown: "refuse",
    is_stormy: true,
    mistake: None,
};

/// What a seed is tried with.
fn plan(seed: u64) -> Plan {
    match seed % 5 {
        0 => Plan {
            edges: 1,
            settled: 3,
            roaming: 0,
            ..STORM
        },
        1 => Plan {
            on_unknown: "serve-as-new",
            ..STORM
        },
        2 => Plan {
            edges: 3,
            roaming: 2,
            ..STORM
        },
        _ => STORM,
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds on two threads until one fails; returns what happened.
fn all(seeds: std::ops::Range<u64>) -> (u64, Tally, Option<String>) {
    let next = AtomicU64::new(seeds.start);
    let seen = Mutex::new((0, Tally::default(), None));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || seen.lock().unwrap().2.is_some() {
                return;
            }
            let plan = plan(seed);
            let Run { verdict, tally, .. } = run(seed, plan);
            let mut seen = seen.lock().unwrap();
            seen.0 += 1;
            if seen.0 % 1_000 == 0 {
                say(&format!("{} seeds of the whole system so far", seen.0));
            }
            for (what, times) in tally {
                *seen.1.entry(what).or_default() += times;
            }
            if let Err(error) = verdict {
                seen.2
                    .get_or_insert(format!("seed {seed} of {plan:?}: {error}"));
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    seen.into_inner().unwrap()
}

/// Says how far it has come, also where a test that passes says nothing.
fn say(text: &str) {
    // Nobody may be listening.
    drop(writeln!(std::io::stderr(), "{text}"));
}

#[test]
fn promises_hold_in_every_storm() {
    let seeds = match number("FLOWGATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FLOWGATE_SEEDS").unwrap_or(SEEDS),
    };
    let is_few = seeds.end - seeds.start < SEEDS;
    let (done, tally, error) = all(seeds);
    say(&format!("{done} seeds of the whole system: {tally:?}"));
    if let Some(error) = error {
        panic!("{error}\n(FLOWGATE_SEED=N repeats one)");
    }
    let happened = |what: &&&str| tally.get(**what).is_some_and(|times| *times > 0);
    let missing: Vec<_> = HAPPENED.iter().filter(|what| !happened(what)).collect();
    assert!(is_few || missing.is_empty(), "never happened: {missing:?}");
}

#[test]
fn nothing_goes_wrong_in_calm_weather() {
    let calm = Plan {
        is_stormy: false,
        ..STORM
    };
    let ended = run(1, calm);
    ended.verdict.expect("nothing is wrong");
    assert_eq!(ended.tally.get("records dead"), None);
    assert!(ended.tally["records applied"] > 0);
}

#[test]
fn a_seed_repeats() {
    for seed in 0..8 {
        let runs = [run(seed, plan(seed)), run(seed, plan(seed))];
        let [first, second] = runs.map(|run| (run.tally, run.digest));
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Passes when a seed notices the mistake, by one of these rules.
fn is_noticed(mistake: Mistake, rules: &[&str]) {
    let flawed = |seed| {
        let plan = Plan {
            mistake: Some(mistake),
            ..plan(seed)
        };
        run(seed, plan).verdict.err().map(|error| (seed, error))
    };
    let found = (0..SEEDS_FOR_A_FLAW).find_map(flawed);
    let (seed, error) = found.unwrap_or_else(|| panic!("{mistake:?} goes unnoticed"));
    let rule = error.split(':').next().unwrap_or_default();
    assert!(rules.contains(&rule), "{mistake:?}, seed {seed}: {error}");
}

#[test]
fn a_signature_of_the_wrong_role_is_noticed() {
    is_noticed(
        Mistake::Trust(trust::Flaw::WrongRole),
        &["refused document"],
    );
}

#[test]
fn a_high_water_mark_that_is_not_looked_at_is_noticed() {
    is_noticed(Mistake::Trust(trust::Flaw::SkipHighWater), &["revision"]);
}

#[test]
fn a_lower_revision_that_is_taken_is_noticed() {
    is_noticed(Mistake::Trust(trust::Flaw::OlderRevision), &["revision"]);
}

#[test]
fn a_forgotten_environment_check_is_noticed() {
    is_noticed(
        Mistake::Trust(trust::Flaw::ForgetEnvironment),
        &["refused document"],
    );
}

/// How a lost record shows.
const LOST: [&str; 4] = ["acknowledged", "own writes", "effect", "membership"];

#[test]
fn records_that_are_never_synced_are_noticed() {
    is_noticed(Mistake::Journal(journal::Flaw::SkipDataSync), &LOST);
}

#[test]
fn an_answer_before_the_sync_is_noticed() {
    is_noticed(Mistake::Journal(journal::Flaw::AckEarly), &LOST);
}

#[test]
fn names_that_are_never_synced_are_noticed() {
    is_noticed(Mistake::Journal(journal::Flaw::SkipFolderSync), &LOST);
}

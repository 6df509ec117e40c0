//! Many seeds, and proof that they would notice.
//!
//! A seed that fails prints itself. `FLOWGATE_SEEDS=100000` runs that many,
//! `FLOWGATE_SEED=26` that one alone.

use super::{
    answering::Tally,
    simulation::{Plan, Simulation},
    world::World,
};
use crate::progress::stepping::Flaw;

/// Seeds of one test; together they take seconds in a debug build.
const SEEDS: u64 = 200;

/// Seeds within which a mistake must be noticed.
const SEEDS_FOR_A_FLAW: u64 = 120;

const ALWAYS_ASKED: Plan = Plan {
    reads_fail: false,
    resident_max: 1_000,
    flaw: None,
};

const SOMETIMES_AWAY: Plan = Plan {
    reads_fail: true,
    ..ALWAYS_ASKED
};

/// There are three users, a group of theirs, and this many of each kind pinned.
const FEW_PINNED: usize = 1;

/// Runs the seeds one wants; returns what happened in all of them.
fn all(plan: Plan) -> Tally {
    some(plan, SEEDS)
}

/// As many of them, unless one wants others.
fn some(plan: Plan, seeds: u64) -> Tally {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("FLOWGATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FLOWGATE_SEEDS").unwrap_or(seeds),
    };
    let (world, mut tally) = (World::new(), Tally::default());
    for seed in seeds {
        let mut simulation = Simulation::new(seed, plan, &world);
        if let Err(error) = simulation.run() {
            panic!("seed {seed} of {plan:?}: {error}");
        }
        tally.add(&simulation.tally);
    }
    tally
}

#[test]
fn acknowledged_steps_are_kept_seen_and_applied_once() {
    let tally = all(ALWAYS_ASKED);
    assert_eq!(tally.assumed, 0);
    let happened = [
        tally.changed,
        tally.unchanged,
        tally.identified,
        tally.reads,
        tally.unclear,
        tally.unavailable,
        tally.keys_reused,
        tally.recovered,
        tally.applied,
    ];
    // A simulation in which nothing happens proves nothing.
    assert!(happened.iter().all(|count| *count > 0), "{tally:?}");
}

#[test]
fn nothing_is_lost_or_dead_when_the_ledger_is_sometimes_away() {
    let tally = all(SOMETIMES_AWAY);
    let happened = [
        tally.assumed,
        tally.superseded,
        tally.already,
        tally.applied,
    ];
    assert!(happened.iter().all(|count| *count > 0), "{tally:?}");
}

#[test]
fn few_or_no_states_pinned_in_memory_change_no_answer() {
    for resident_max in [FEW_PINNED, 0] {
        let plan = Plan {
            resident_max,
            ..ALWAYS_ASKED
        };
        let tally = some(plan, SEEDS / 4);
        let happened = [tally.changed, tally.reads, tally.recovered, tally.applied];
        assert!(happened.iter().all(|count| *count > 0), "{tally:?}");
        assert_eq!(tally.assumed, 0);
        let plan = Plan {
            resident_max,
            ..SOMETIMES_AWAY
        };
        some(plan, SEEDS / 4);
    }
}

/// Passes when some seed notices the mistake, by the rule that it breaks.
fn is_noticed(flaw: Flaw, rule: &str) {
    is_noticed_with(flaw, ALWAYS_ASKED, rule);
}

fn is_noticed_with(flaw: Flaw, plan: Plan, rule: &str) {
    let plan = Plan {
        flaw: Some(flaw),
        ..plan
    };
    let world = World::new();
    let noticed = |seed| {
        let error = Simulation::new(seed, plan, &world).run().err();
        error.is_some_and(|error| error.contains(rule))
    };
    let found = (0..SEEDS_FOR_A_FLAW).any(noticed);
    assert!(found, "{flaw:?} goes unnoticed, as far as {rule:?} goes");
}

#[test]
fn shipping_what_is_not_synced_is_noticed() {
    is_noticed(Flaw::ShipUnsynced, "was shipped unsynced");
}

#[test]
fn an_answer_before_the_sync_is_noticed() {
    is_noticed(Flaw::AcknowledgeEarly, "read record");
}

#[test]
fn a_no_op_that_does_not_wait_is_noticed() {
    is_noticed(Flaw::HastyNoOps, "read record");
}

#[test]
fn records_that_forget_what_they_rest_on_are_noticed() {
    is_noticed(Flaw::ForgetOwnRecords, "as recorded: false");
}

#[test]
fn an_entry_that_leaves_unannounced_is_noticed() {
    is_noticed(Flaw::KeepGeneration, "read record");
}

#[test]
fn void_records_that_stay_are_noticed() {
    is_noticed(Flaw::SkipEra, "reads another state");
}

#[test]
fn records_on_disk_that_are_not_laid_over_are_noticed() {
    let plan = Plan {
        resident_max: 0,
        ..ALWAYS_ASKED
    };
    is_noticed_with(Flaw::ForgetTail, plan, "read record");
}

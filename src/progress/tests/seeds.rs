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
    flaw: None,
};

const SOMETIMES_AWAY: Plan = Plan {
    reads_fail: true,
    flaw: None,
};

/// Runs the seeds one wants; returns what happened in all of them.
fn all(plan: Plan) -> Tally {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("FLOWGATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FLOWGATE_SEEDS").unwrap_or(SEEDS),
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

/// Passes when some seed notices the mistake.
fn is_noticed(flaw: Flaw) {
    let plan = Plan {
        flaw: Some(flaw),
        ..ALWAYS_ASKED
    };
    let world = World::new();
    let noticed = |seed| Simulation::new(seed, plan, &world).run().is_err();
    let found = (0..SEEDS_FOR_A_FLAW).any(noticed);
    assert!(found, "{flaw:?} goes unnoticed");
}

#[test]
fn shipping_what_is_not_synced_is_noticed() {
    is_noticed(Flaw::ShipUnsynced);
}

#[test]
fn an_answer_before_the_sync_is_noticed() {
    is_noticed(Flaw::AcknowledgeEarly);
}

#[test]
fn a_no_op_that_does_not_wait_is_noticed() {
    is_noticed(Flaw::HastyNoOps);
}

#[test]
fn records_that_forget_what_they_rest_on_are_noticed() {
    is_noticed(Flaw::ForgetOwnRecords);
}

#[test]
fn an_entry_that_leaves_unannounced_is_noticed() {
    is_noticed(Flaw::KeepGeneration);
}

#[test]
fn void_records_that_stay_are_noticed() {
    is_noticed(Flaw::SkipEra);
}

//! Many seeds, and proof that they would notice.
//!
//! A seed that fails prints itself; `PLAN` and seed in `one_seed` show it
//! again.

use super::simulation::{Plan, Simulation};
use crate::progress::stepping::Flaw;

/// Seeds of one test; together they take seconds in a debug build.
const SEEDS: u64 = if option_env!("MANY").is_some() { 6000 } else { 300 };

/// Seeds that a seeded mistake may take to be noticed.
const SEEDS_FOR_A_FLAW: u64 = 120;

const ALWAYS_ASKED: Plan = Plan {
    reads_fail: false,
    flaw: None,
};

const SOMETIMES_AWAY: Plan = Plan {
    reads_fail: true,
    flaw: None,
};

fn run(seed: u64, plan: Plan) -> Result<(), String> {
    let mut s = Simulation::new(seed, plan);
    let r = s.run();
    if plan.flaw.is_none() && seed < 6 {
        let inner = s.ledger.look();
        let mut counts = std::collections::BTreeMap::new();
        for t in inner.taken.values() { *counts.entry(format!("{:?} {:?}", t.outcome, t.event.assumed)).or_insert(0) += 1; }
        eprintln!("YY seed {seed} {} {:?} journals {} changes {:?} {counts:?}", plan.reads_fail, s.tally, s.journals.len(), s.clients.values().map(|c| c.changes.len()).collect::<Vec<_>>());
    }
    r
}

fn all(plan: Plan) {
    for seed in 0..SEEDS {
        if let Err(error) = run(seed, plan) {
            panic!("seed {seed} of {plan:?}: {error}");
        }
    }
}

#[test]
fn acknowledged_steps_are_kept_seen_and_applied_once() {
    all(ALWAYS_ASKED);
}

#[test]
fn nothing_is_lost_or_dead_when_the_ledger_is_sometimes_away() {
    all(SOMETIMES_AWAY);
}

/// How many seeds it takes to notice a mistake.
fn noticed(flaw: Flaw) -> u64 {
    let plan = Plan {
        flaw: Some(flaw),
        ..ALWAYS_ASKED
    };
    let found = (0..SEEDS_FOR_A_FLAW).find(|seed| run(*seed, plan).inspect_err(|e| eprintln!("XX {flaw:?} {seed} {}", &e[..e.len().min(150)])).is_err());
    found.unwrap_or_else(|| panic!("{flaw:?} goes unnoticed"))
}

#[test]
fn shipping_what_is_not_synced_is_noticed() {
    noticed(Flaw::ShipUnsynced);
}

#[test]
fn an_answer_before_the_sync_is_noticed() {
    noticed(Flaw::AcknowledgeEarly);
}

#[test]
fn a_no_op_that_does_not_wait_is_noticed() {
    noticed(Flaw::HastyNoOps);
}

#[test]
fn records_that_forget_what_they_rest_on_are_noticed() {
    noticed(Flaw::ForgetOwnRecords);
}

#[test]
fn an_entry_that_leaves_unannounced_is_noticed() {
    noticed(Flaw::KeepGeneration);
}

#[test]
fn void_records_that_stay_are_noticed() {
    noticed(Flaw::SkipEra);
}

#[test]
fn one_seed() {
    let plan = Plan { reads_fail: option_env!("AWAY").is_some(), flaw: None };
    let seed: u64 = option_env!("SEED").unwrap().parse().unwrap();
    let mut sim = Simulation::new(seed, plan);
    let r = sim.run();
    let inner = sim.ledger.look();
    for (n, j) in sim.journals.iter().enumerate() {
        for ((own, seq), t) in &inner.taken { if own == j {
            eprintln!("TAKEN {} {} {:?} {} {} {:?} base {:?} {:?} id {:?}", n+1, seq, t.outcome, t.as_recorded, t.event.user, t.event.operation, t.event.base, t.event.assumed, t.event.id);
        } }
    }
    for d in &inner.ledger.dead { eprintln!("DEAD {} {:?}", d.why, d.event); }
    eprintln!("RESULT {r:?}");
}

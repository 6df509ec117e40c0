//! Whatever fails in whatever order, is what was written counted exactly once?
//!
//! One history per seed: flags are told of, each once in its life, written,
//! synced and shipped, while the disk fails, the power is cut and answers of
//! the store are lost. In the end each flag whose record was synced has the
//! sum 1, and none has more.

use std::collections::BTreeSet;

use futures_util::FutureExt;

use super::sums::{Mood, Run, Store, lane, once};
use crate::{
    disk::memory::{Fault, MemoryDisk, Random},
    usage::lane::{Lane, Moved},
};

const ENVIRONMENTS: [&str; 2] = ["a", "b"];
const SEEDS: u64 = 150;

struct History {
    disk: MemoryDisk,
    store: Store,
    random: Random,
    run: Option<Run>,
    runs: u64,
    lanes: Vec<Lane>,
    /// Flags by what is known of them.
    told: u64,
    waiting: Vec<(&'static str, String)>,
    durable: BTreeSet<(&'static str, String)>,
}

impl History {
    fn new(seed: u64, is_forgetful: bool) -> Self {
        let mut history = Self {
            disk: MemoryDisk::new(seed),
            store: Store {
                is_forgetful,
                ..Store::default()
            },
            random: Random(seed ^ 0x05a6e),
            run: None,
            runs: seed << 20,
            lanes: Vec::new(),
            told: 0,
            waiting: Vec::new(),
            durable: BTreeSet::new(),
        };
        history.start();
        history
    }

    /// Opens what there is; the lanes begin at the beginning.
    fn start(&mut self) {
        self.runs += 1_000;
        self.lanes.clear();
        self.waiting.clear();
        self.run = Run::open(&self.disk, self.runs);
        let Some(run) = &self.run else { return };
        let recovered = run.recovered.iter().map(|old| old.journal.as_str());
        for journal in recovered.chain([run.journal.id()]) {
            for environment in ENVIRONMENTS {
                let counters = run.intake.counters();
                self.lanes
                    .push(lane(run, environment, journal, &self.store, counters));
            }
        }
    }

    fn crash(&mut self) {
        self.run = None;
        self.disk.crash(self.random.next());
        self.start();
    }

    fn tell(&mut self) {
        let environment = ENVIRONMENTS[self.random.next() as usize % 2];
        self.told += 1;
        let flag = format!("f{}", self.told);
        let Some(run) = &mut self.run else { return };
        if run.intake.offer(once(environment, &flag)).is_ok() {
            self.waiting.push((environment, flag));
        }
    }

    /// Writes and syncs what waits. It is durable if nothing failed.
    fn write(&mut self) {
        let Some(run) = &mut self.run else { return };
        run.gatherer.take_all();
        run.gatherer.write();
        while run.committer.step().records > 0 {}
        let settled = run.gatherer.settle().now_or_never();
        settled.expect("every ticket was answered");
        // What failed, or found no room, waits in memory.
        let is_sound = run.intake.counters().unsynced() == 0;
        if is_sound {
            self.durable.extend(self.waiting.drain(..));
        } else {
            // As the thread does it when nothing is queued.
            run.committer.probe().ok();
        }
    }

    fn ship(&mut self) -> bool {
        let Some(run) = &self.run else { return false };
        let live = run.journal.synced();
        let at = self.random.next() as usize % self.lanes.len();
        let is_live = at >= self.lanes.len() - ENVIRONMENTS.len();
        let through = if is_live { live } else { u64::MAX };
        let moved = self.lanes[at].step(through).now_or_never();
        matches!(moved.expect("nobody waits"), Ok(Moved::On))
    }

    /// Removes what both are done with.
    fn tidy(&mut self) {
        let Some(run) = &self.run else { return };
        let pairs = self.lanes.len() / ENVIRONMENTS.len();
        let done = |pair: usize| {
            let lanes = &self.lanes[pair * ENVIRONMENTS.len()..][..ENVIRONMENTS.len()];
            lanes.iter().map(Lane::done_through).min().unwrap_or(0)
        };
        run.journal.retire(run.journal.id(), done(pairs - 1)).ok();
        for (pair, old) in run.recovered.iter().enumerate() {
            if old.last.is_some_and(|last| done(pair) >= last) {
                run.journal.remove_finished(&old.journal).ok();
            }
        }
    }

    fn step(&mut self) {
        match self.random.next() % 64 {
            0..=23 => self.tell(),
            24..=35 => self.write(),
            36..=55 => {
                self.ship();
            }
            56 => self.store.be(Mood::Mute),
            57 => self.store.be(Mood::Away),
            58 | 59 => self.store.be(Mood::Well),
            60 => self.tidy(),
            61 => {
                let fault = [Fault::Io, Fault::NoSpace, Fault::PowerLoss];
                let fault = fault[self.random.next() as usize % 3];
                self.disk.fail_after(self.random.next() % 6, fault);
            }
            62 => self.crash(),
            _ => {
                if !self.disk.powered() || self.run.is_none() {
                    self.crash();
                }
            }
        }
    }

    fn run(mut self) -> Result<usize, String> {
        for _ in 0..600 {
            self.step();
        }
        self.disk.mend();
        self.crash();
        self.store.be(Mood::Well);
        let mut at_rest = 0;
        while at_rest < 200 {
            at_rest = if self.ship() { 0 } else { at_rest + 1 };
        }
        let sums = self.store.sums();
        for ((environment, flag), sum) in &sums.counts {
            if *sum != 1 {
                return Err(format!("{flag} of {environment} counts {sum} times"));
            }
        }
        for (environment, flag) in &self.durable {
            let place = ((*environment).to_owned(), flag.clone());
            if !sums.counts.contains_key(&place) {
                return Err(format!("{flag} of {environment} was synced and is lost"));
            }
        }
        Ok(self.durable.len())
    }
}

#[test]
fn what_was_synced_counts_exactly_once() {
    let mut durable = 0;
    for seed in 0..SEEDS {
        match History::new(seed, false).run() {
            Ok(count) => durable += count,
            Err(wrong) => panic!("seed {seed}: {wrong}"),
        }
    }
    assert!(durable > SEEDS as usize * 10, "{durable} is no history");
}

#[test]
fn a_store_that_forgets_where_it_stands_is_noticed() {
    let is_noticed = |seed| History::new(seed, true).run().is_err();
    assert!((0..SEEDS).any(is_noticed));
}

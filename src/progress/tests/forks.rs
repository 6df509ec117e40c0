//! What becomes of two edges that go on from one data folder?
//!
//! One edge takes steps, its folder is copied while it runs, and a second one
//! starts on the copy: both have the same journal and ship it. In the end every
//! acknowledged step was applied exactly once, whoever carried it and under
//! whatever name, and nothing is left behind or dead.

use std::collections::BTreeSet;

use super::{
    edge::{Setup, SimEdge, Task, poll},
    ledger::SimLedger,
    scene::{Act, TOUR, step_task},
    world::World,
};
use crate::{
    disk::{
        journal::Alias,
        memory::{MemoryDisk, Random},
    },
    progress::{Stepped, WriteError, event::Outcome},
};

const SEEDS: u64 = 60;
const TICKS: usize = 250;
const TICKS_TO_REST: usize = 3_000;

/// At which edge, by whom, and the answer.
type Asked = (usize, &'static str, Task<Result<Stepped, WriteError>>);

struct Copies {
    world: World,
    ledger: SimLedger,
    seats: Vec<(MemoryDisk, SimEdge, Setup)>,
    random: Random,
    asked: Vec<Asked>,
    /// User, journal and seq.
    acknowledged: Vec<(&'static str, String, u64)>,
    aliases: Vec<Alias>,
}

impl Copies {
    fn new(seed: u64, world: &World) -> Self {
        let mut own = Self {
            world: world.clone(),
            ledger: SimLedger::new(world),
            seats: Vec::new(),
            random: Random(seed ^ 0xc0_b1e5),
            asked: Vec::new(),
            acknowledged: Vec::new(),
            aliases: Vec::new(),
        };
        own.add(MemoryDisk::new(seed));
        own
    }

    fn add(&mut self, disk: MemoryDisk) {
        let setup = Setup {
            seat: self.seats.len() as u64,
            // Half of the time with records read back from disk as well.
            resident_max: self.random.below(2) * 100,
            ..Setup::default()
        };
        let edge = SimEdge::boot(&disk, &self.ledger, &self.world, setup);
        self.seats.push((disk, edge, setup));
    }

    fn run(&mut self) -> Result<(), String> {
        for _ in 0..TICKS {
            self.tick();
        }
        // What was answered is in the copy; nobody is told of it twice.
        while !self.asked.is_empty() {
            self.turn(0);
            self.ledger.advance(0, false);
            self.answers();
        }
        let copy = self.seats[0].0.copied(self.random.next());
        self.add(copy);
        for _ in 0..TICKS {
            self.tick();
        }
        self.rest()
    }

    /// Users of the two edges differ after the copy, as a balancer sees to it.
    fn tick(&mut self) {
        let at = self.random.below(self.seats.len());
        match self.random.below(100) {
            0..25 => self.ask(at),
            25..45 => self.seats[at].1.commit(),
            45..60 => self.seats[at].1.turn_reader(),
            60..72 => self.seats[at].1.turn_shipping(),
            72..99 => {
                let calls = self.ledger.look().calls.len();
                let call = self.random.below(calls.max(1));
                let lose = self.ledger.is_shipment(call) && self.random.chance(5);
                self.ledger.advance(call, lose);
            }
            _ => self.crash(at),
        }
        self.answers();
    }

    fn crash(&mut self, at: usize) {
        self.asked.retain(|(own, ..)| *own != at);
        let (disk, edge, setup) = &mut self.seats[at];
        disk.crash(self.random.next());
        *edge = SimEdge::boot(disk, &self.ledger, &self.world, *setup);
    }

    fn ask(&mut self, at: usize) {
        let users: &[&str] = match (self.seats.len(), at) {
            (1, _) => &["ann", "bob"],
            (_, 0) => &["ann"],
            _ => &["bob", "cid"],
        };
        let user = users[self.random.below(users.len())];
        let acts = [
            Act::Auto,
            Act::Leave("first", "next"),
            Act::Leave("plain", "again"),
            Act::Reset,
            Act::Stop,
            Act::Finish,
        ];
        let what = (TOUR, acts[self.random.below(acts.len())]);
        let progress = &self.seats[at].1.progress;
        let task = step_task(progress, &self.world, user, what, None, None);
        self.asked.push((at, user, task));
    }

    fn answers(&mut self) {
        let mut at = 0;
        while at < self.asked.len() {
            let Some(answer) = poll(&mut self.asked[at].2) else {
                at += 1;
                continue;
            };
            let (_, user, _) = self.asked.remove(at);
            if let Ok(Stepped {
                changed: true,
                token: Some(token),
                ..
            }) = answer
            {
                let journal = token.journal.to_string();
                self.acknowledged.push((user, journal, token.seq));
            }
        }
        for (_, edge, _) in &self.seats {
            for alias in edge.journal.aliases() {
                if !self.aliases.contains(&alias) {
                    self.aliases.push(alias);
                }
            }
        }
    }

    fn turn(&mut self, at: usize) {
        let edge = &mut self.seats[at].1;
        edge.commit();
        edge.turn_reader();
        edge.turn_shipping();
    }

    fn rest(&mut self) -> Result<(), String> {
        let mut at_rest = 0;
        for _ in 0..TICKS_TO_REST {
            (0..self.seats.len()).for_each(|at| self.turn(at));
            self.ledger.advance(0, false);
            self.ledger.advance(0, false);
            self.answers();
            let backlog = self
                .seats
                .iter()
                .map(|(_, edge, _)| edge.progress.backlog());
            let moves = !self.asked.is_empty() || backlog.sum::<usize>() > 0;
            at_rest = if moves { 0 } else { at_rest + 1 };
            if at_rest == 40 {
                return self.check();
            }
        }
        Err("it never comes to rest".to_owned())
    }

    fn check(&self) -> Result<(), String> {
        let inner = self.ledger.look();
        if let Some(wrong) = inner.wrong.first() {
            return Err(wrong.clone());
        }
        if let Some(letter) = inner.ledger.dead.first() {
            return Err(format!("seq {} is dead: {}", letter.seq, letter.why));
        }
        for (user, journal, seq) in &self.acknowledged {
            let aliases = self.aliases.iter().filter(|own| own.journal == *journal);
            let mut names: BTreeSet<&str> = aliases.map(|own| own.id.as_str()).collect();
            names.insert(journal);
            let outcomes = names.iter().filter_map(|name| {
                let taken = inner.taken.get(&((*name).to_owned(), *seq))?;
                (taken.event.user == *user).then_some(taken.outcome)
            });
            let applied = outcomes.filter(|one| *one == Outcome::Applied).count();
            if applied != 1 {
                return Err(format!(
                    "{user}'s record {seq} of {journal} was applied {applied} times"
                ));
            }
        }
        Ok(())
    }
}

#[test]
fn steps_of_copied_edges_are_applied_once_whoever_carries_them() {
    let (world, mut forks, mut steps) = (World::new(), 0, 0);
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("FLOWGATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FLOWGATE_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let mut copies = Copies::new(seed, &world);
        if let Err(error) = copies.run() {
            panic!("seed {seed}: {error}");
        }
        forks += copies.aliases.len();
        steps += copies.acknowledged.len();
    }
    assert!(forks > 0 && steps > 0, "{forks} forks, {steps} steps");
}

/// The original goes on while its copy ships and closes the journal they share.
#[test]
fn an_edge_whose_journal_was_closed_by_a_copy_ships_the_rest_under_another_name() {
    let world = World::new();
    let mut copies = Copies::new(1, &world);
    copies.ledger.look().at_once = true;
    let step = |copies: &mut Copies, at: usize, user: &str, act| {
        let progress = copies.seats[at].1.progress.clone();
        let task = step_task(&progress, &copies.world, user, (TOUR, act), None, None);
        copies.seats[at].1.finish(task).unwrap()
    };
    assert!(step(&mut copies, 0, "ann", Act::Auto).changed);
    let copy = copies.seats[0].0.copied(9);
    copies.add(copy);
    copies.seats[1].1.ship();
    assert_eq!(copies.ledger.look().ledger.document("ann").doc_rev, 1);
    assert!(step(&mut copies, 0, "ann", Act::Leave("first", "next")).changed);
    copies.seats[0].1.ship();
    let aliases = copies.seats[0].1.journal.aliases();
    assert_eq!(aliases.len(), 1);
    let document = copies.ledger.look().ledger.document("ann");
    assert_eq!(document.doc_rev, 2, "both, each once");
    assert_eq!(document.last.unwrap(), (aliases[0].id.clone(), 2));
    assert_eq!(copies.seats[0].1.progress.backlog(), 0);
    // Further steps rest on what travelled under the other name, also after a
    // restart.
    assert!(step(&mut copies, 0, "ann", Act::Stop).changed);
    copies.seats[0].1.ship();
    assert!(step(&mut copies, 0, "ann", Act::Reset).changed);
    copies.crash(0);
    copies.seats[0].1.ship();
    assert!(step(&mut copies, 0, "ann", Act::Stop).changed);
    copies.seats[0].1.ship();
    let inner = copies.ledger.look();
    assert_eq!(inner.ledger.document("ann").doc_rev, 5);
    let plain = |outcome| matches!(outcome, Outcome::Applied | Outcome::Already);
    assert!(inner.taken.values().all(|one| plain(one.outcome)));
    assert!(inner.ledger.dead.is_empty() && inner.wrong.is_empty());
}

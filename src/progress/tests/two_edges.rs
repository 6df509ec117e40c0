//! Do two edges over one ledger come to agree?
//!
//! A seed decides who acts: clients of either edge with steps of one and of
//! several flows, migrations and percentage decisions, the committers, the
//! network, the change stream with its gaps, the power. When nothing moves any
//! more and the stream is drained, what either edge holds is what the ledger
//! has, and everything acknowledged had exactly one outcome there.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    edge::{Setup, SimEdge, Task, poll},
    ledger::{SimLedger, Taken},
    scene::{
        Act, At, decision, enrol_task, enrolled_task, enrolment_of, read_task, remembered_task,
    },
    world::World,
};
use crate::{
    disk::memory::{MemoryDisk, Random},
    progress::{
        Stepped,
        event::{Operation, Outcome},
        known::Known,
        stepping::Flaw,
    },
    store::memory::MemoryLedger,
};

const USERS: [&str; 2] = ["ann", "bob"];
/// How often everything comes to rest and is looked at.
const RESTS: usize = 4;
const TICKS: usize = 200;
const TICKS_TO_REST: usize = 2_000;
/// Rounds of everything in which nothing was under way any more.
const ROUNDS_AT_REST: usize = 30;
const SEEDS: u64 = 150;
const SEEDS_FOR_A_FLAW: u64 = 150;

/// How a request ended: what was acknowledged, if it changed anything.
type Asked = (usize, Task<Option<Stepped>>);

struct Seat {
    disk: MemoryDisk,
    edge: SimEdge,
    setup: Setup,
}

struct Pair {
    world: World,
    ledger: SimLedger,
    seats: Vec<Seat>,
    random: Random,
    asked: Vec<Asked>,
    /// Journal and seq of acknowledged records.
    acknowledged: Vec<(String, u64)>,
    restores: Restores,
}

/// A ledger and the outcomes that made it.
type LedgerCopy = (MemoryLedger, BTreeMap<(String, u64), Taken>);

/// What becomes of the ledger.
#[derive(Default)]
struct Restores {
    /// Whether it is restored at all.
    wanted: bool,
    /// The ledger as it was, and the outcomes until then.
    copy: Option<LedgerCopy>,
    done: u64,
    /// Records that came back because an edge still had them.
    returned: usize,
    lost: BTreeSet<(String, u64)>,
}

impl Pair {
    fn new(seed: u64, flaw: Option<Flaw>, world: &World) -> Self {
        let ledger = SimLedger::new(world);
        let seats = (0..2).map(|seat| {
            let disk = MemoryDisk::new(seed * 2 + seat);
            let setup = Setup {
                seat,
                flaw,
                ..Setup::default()
            };
            Seat {
                edge: SimEdge::boot(&disk, &ledger, world, setup),
                disk,
                setup,
            }
        });
        Self {
            world: world.clone(),
            seats: seats.collect(),
            ledger,
            random: Random(seed ^ 0x7e0_ed6e),
            asked: Vec::new(),
            acknowledged: Vec::new(),
            restores: Restores::default(),
        }
    }

    fn restoring(seed: u64, world: &World) -> Self {
        let mut pair = Self::new(seed, None, world);
        pair.restores.wanted = true;
        pair
    }

    /// Puts a copy of the ledger aside, or the ledger back to that copy.
    fn copy_or_restore(&mut self) {
        let mut inner = self.ledger.look();
        let Some((ledger, taken)) = self.restores.copy.take() else {
            self.restores.copy = Some((inner.ledger.clone(), inner.taken.clone()));
            return;
        };
        self.restores.done += 1;
        inner.ledger = ledger;
        inner.ledger.lives = self.restores.done;
        inner.ledger.forgotten_rev = self.restores.done * 1_000_000;
        let had = std::mem::replace(&mut inner.taken, taken);
        // Whatever the old one had and this one has not may be gone.
        self.acknowledged
            .retain(|place| !had.contains_key(place) || inner.taken.contains_key(place));
        let lost = had
            .into_keys()
            .filter(|place| !inner.taken.contains_key(place));
        self.restores.lost.extend(lost);
    }

    fn run(&mut self) -> Result<(), String> {
        for _ in 0..RESTS {
            for _ in 0..TICKS {
                self.tick();
                self.answers();
            }
            self.rest()?;
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<(), String> {
        let mut at_rest = 0;
        for _ in 0..TICKS_TO_REST {
            for seat in &mut self.seats {
                turn_all(&mut seat.edge);
            }
            // Whatever was held is not let go in any order.
            for _ in 0..4 {
                let calls = self.ledger.look().calls.len();
                let call = self.random.below(calls.max(1));
                self.ledger.advance(call, false);
            }
            self.answers();
            let backlog = |seat: &Seat| seat.edge.progress.backlog() > 0;
            let moves = !self.asked.is_empty() || self.seats.iter().any(backlog);
            at_rest = if moves { 0 } else { at_rest + 1 };
            if at_rest == ROUNDS_AT_REST {
                return self.check();
            }
        }
        Err(format!(
            "{} requests or records never end",
            self.asked.len()
        ))
    }

    fn tick(&mut self) {
        let at = self.random.below(self.seats.len());
        match self.random.below(100) {
            0..22 => self.ask(at),
            22..38 => self.seats[at].edge.commit(),
            38..50 => self.seats[at].edge.turn_reader(),
            50..60 => self.seats[at].edge.turn_shipping(),
            60..68 => self.seats[at].edge.turn_watching(),
            68..97 => {
                let calls = self.ledger.look().calls.len();
                let call = self.random.below(calls.max(1));
                let lose = self.ledger.is_shipment(call) && self.random.chance(8);
                self.ledger.advance(call, lose);
            }
            97 => self.ledger.look().gap = true,
            98 => self.crash(at),
            _ if self.restores.wanted => self.copy_or_restore(),
            _ => {}
        }
    }

    /// The power fails at one edge. What it sent may still arrive.
    fn crash(&mut self, at: usize) {
        if !self.random.chance(3) {
            return;
        }
        self.asked.retain(|(own, _)| *own != at);
        let seat = &mut self.seats[at];
        seat.disk.crash(self.random.next());
        seat.edge = SimEdge::boot(&seat.disk, &self.ledger, &self.world, seat.setup);
    }

    fn ask(&mut self, at: usize) {
        let user = USERS[self.random.below(USERS.len())];
        let (progress, world) = (self.seats[at].edge.progress.clone(), self.world.clone());
        // Two edges with two snapshots: one judges at a quarter, one at half.
        let quarter = at == 0;
        let membership = match self.random.below(12) {
            0 => decision(user, true, 10_000),
            _ if quarter => decision(user, false, 2_500),
            _ => decision(user, true, 5_000),
        };
        let task: Task<Option<Stepped>> = match self.random.below(10) {
            0 => {
                let task = enrol_task(&progress, &world, user, membership);
                Box::pin(async move { task.await.ok().and(None) })
            }
            1 => {
                let task = remembered_task(&progress, &world, user);
                Box::pin(async move { task.await.ok().and(None) })
            }
            2 => {
                let task = read_task(&progress, &world, user, None);
                Box::pin(async move { task.await.ok().and(None) })
            }
            3 | 4 if membership.is_in => {
                let what = (("tour", 1), Act::Auto);
                let of = (None, Some(membership));
                let task = enrolled_task(&progress, &world, user, what, None, of);
                Box::pin(async move { task.await.ok() })
            }
            _ => {
                let what = self.step();
                let task = enrolled_task(&progress, &world, user, what, None, (None, None));
                Box::pin(async move { task.await.ok() })
            }
        };
        self.asked.push((at, task));
    }

    fn step(&mut self) -> (At, Act) {
        let steps = [
            (("tour", 1), Act::Leave("first", "next")),
            (("tour", 1), Act::Leave("plain", "again")),
            (("tour", 1), Act::Reset),
            (("trip", 1), Act::Auto),
            (("trip", 1), Act::Leave("x", "complete")),
            (("trip", 2), Act::Migrate),
            (("trip", 2), Act::Leave("x", "complete")),
            (("trip", 2), Act::Auto),
            (("relay", 1), Act::Auto),
            (("relay", 1), Act::Leave("c", "complete")),
            (("relay", 1), Act::Leave("last", "complete")),
            (("side", 1), Act::Stop),
        ];
        steps[self.random.below(steps.len())]
    }

    fn answers(&mut self) {
        let mut at = 0;
        while at < self.asked.len() {
            let Some(answer) = poll(&mut self.asked[at].1) else {
                at += 1;
                continue;
            };
            drop(self.asked.remove(at));
            let token = answer
                .filter(|step| step.changed)
                .and_then(|step| step.token);
            if let Some(token) = token {
                self.acknowledged
                    .push((token.journal.to_string(), token.seq));
            }
        }
    }

    fn check(&mut self) -> Result<(), String> {
        let inner = self.ledger.look();
        if let Some(wrong) = inner.wrong.first() {
            return Err(wrong.clone());
        }
        // A second outcome would stand in `wrong`.
        let lost = self
            .acknowledged
            .iter()
            .find(|place| !inner.taken.contains_key(*place));
        if let Some(place) = lost {
            return Err(format!("the acknowledged record {place:?} is lost"));
        }
        let returned = self.restores.lost.iter();
        self.restores.returned = returned
            .filter(|own| inner.taken.contains_key(*own))
            .count();
        for taken in inner.taken.values() {
            let is_start = matches!(taken.event.operation, Operation::Start { .. });
            let Some(carried) = &taken.event.membership else {
                continue;
            };
            let stands = inner
                .ledger
                .membership("dep_1", &carried.id, None)
                .membership;
            let is_in = stands.is_some_and(|own| own.is_in);
            if is_start && taken.outcome == Outcome::Applied && !is_in {
                return Err(format!("{} started and is excluded", carried.id));
            }
        }
        drop(inner);
        for at in 0..self.seats.len() {
            for user in USERS {
                self.check_held(at, user)?;
            }
        }
        Ok(())
    }

    /// Whatever this edge would use without asking is what the ledger has.
    fn check_held(&self, at: usize, user: &str) -> Result<(), String> {
        let progress = &self.seats[at].edge.progress;
        let slot = self.world.slot();
        let inner = self.ledger.look();
        if let Some(read) = progress.cached(slot, user, None) {
            let known = Known::of(&inner.ledger.document(user));
            if read.assumed || *read.subject != *known.subject {
                return Err(format!(
                    "edge {at} holds {user} as {:#?}, the ledger as {:#?}",
                    read.subject, known.subject
                ));
            }
        }
        if let Some(held) = progress.cached_membership(slot, &enrolment_of(user)) {
            let record = inner.ledger.membership("dep_1", user, None);
            let stands = record.membership.map(|own| own.to_membership());
            if held.assumed || held.membership != stands {
                return Err(format!(
                    "edge {at} holds {user}'s decision as {held:?}, the ledger as {stands:?}"
                ));
            }
        }
        Ok(())
    }
}

fn turn_all(edge: &mut SimEdge) {
    edge.commit();
    edge.turn_reader();
    edge.turn_shipping();
    edge.turn_watching();
}

#[test]
fn two_edges_and_the_ledger_agree_when_nothing_moves_any_more() {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("FLOWGATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FLOWGATE_SEEDS").unwrap_or(SEEDS),
    };
    let world = World::new();
    let mut met = BTreeMap::<&str, usize>::new();
    for seed in seeds {
        let mut pair = Pair::new(seed, None, &world);
        if let Err(error) = pair.run() {
            panic!("seed {seed}: {error}");
        }
        let inner = pair.ledger.look();
        for taken in inner.taken.values() {
            let what = match &taken.event.operation {
                Operation::Migrate { .. } => "migrate",
                Operation::Membership => "membership",
                _ if taken.event.states.len() > 1 => "several",
                _ if taken.event.membership.is_some() => "carried",
                _ => "step",
            };
            *met.entry(what).or_default() += 1;
            *met.entry(if taken.as_recorded { "plain" } else { "merged" })
                .or_default() += 1;
        }
    }
    // A simulation in which nothing happens proves nothing.
    let wanted = [
        "migrate",
        "membership",
        "several",
        "carried",
        "step",
        "plain",
        "merged",
    ];
    assert!(wanted.iter().all(|what| met.contains_key(what)), "{met:?}");
}

#[test]
fn edges_go_back_with_a_ledger_that_was_restored_and_agree_with_it() {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("FLOWGATE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FLOWGATE_SEEDS").unwrap_or(SEEDS),
    };
    let world = World::new();
    let (mut restored, mut lost, mut returned) = (0, 0, 0);
    for seed in seeds {
        let mut pair = Pair::restoring(seed, &world);
        if let Err(error) = pair.run() {
            panic!("seed {seed}: {error}");
        }
        restored += pair.restores.done;
        lost += pair.restores.lost.len();
        returned += pair.restores.returned;
    }
    // Segments are small here, so that much is gone from the disks as well.
    let met = (restored, lost, returned);
    assert!(restored > 0 && lost > returned && returned > 0, "{met:?}");
}

/// Passes when some seed notices the mistake: what an edge holds is not what
/// the ledger has.
fn is_noticed(flaw: Flaw) {
    let world = World::new();
    let noticed = |seed| {
        let error = Pair::new(seed, Some(flaw), &world).run().err();
        error.is_some_and(|error| error.contains("the ledger as"))
    };
    assert!(
        (0..SEEDS_FOR_A_FLAW).any(noticed),
        "{flaw:?} goes unnoticed"
    );
}

#[test]
fn a_change_that_goes_unheard_is_noticed() {
    is_noticed(Flaw::SkipTick);
}

#[test]
fn a_document_as_new_as_its_answer_is_noticed() {
    is_noticed(Flaw::LateTick);
}

#[test]
fn a_gap_taken_for_silence_is_noticed() {
    is_noticed(Flaw::CalmGap);
}

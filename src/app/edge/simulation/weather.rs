//! What goes wrong, and when?
//!
//! Between two moments of the network something may happen: an edge loses its
//! power (at once, or in the middle of some writes), a link is cut, slowed or
//! lets through one way only, a disk is full or fails, a clock jumps, the store
//! crashes, and somebody publishes, honestly or not. Everything follows from
//! the seed, and all of it ends in time.

use std::{sync::atomic::Ordering, time::Duration};

use turmoil::Sim;

use super::{
    judge::Judge,
    publisher::HOSTILE,
    seat::Seat,
    store::{self, Store},
};
use crate::{
    disk::memory::{Fault, Random},
    snapshot::fixture::NOW,
};

/// What is to be undone, and when.
enum Undo {
    StartEdge(usize),
    StartStore,
    Repair(String, String),
    Release(String, String),
    HealDisk(usize),
    SetClock(usize),
    BeHonest,
}

/// All that goes wrong.
pub(super) struct Weather {
    random: Random,
    seats: Vec<Seat>,
    people: Vec<String>,
    store: Store,
    judge: Judge,
    planned: Vec<(Duration, Undo)>,
    /// Whether anything goes wrong at all.
    is_calm: bool,
}

/// Of so many moments one brings something.
const EVERY: usize = 40;

impl Weather {
    pub(super) fn new(
        seed: u64,
        seats: &[Seat],
        people: Vec<String>,
        store: &Store,
        judge: &Judge,
    ) -> Self {
        Self {
            random: Random(seed ^ 0x57_0c4),
            seats: seats.to_vec(),
            people,
            store: store.clone(),
            judge: judge.clone(),
            planned: Vec::new(),
            is_calm: false,
        }
    }

    /// One moment.
    pub(super) fn blow(&mut self, sim: &mut Sim<'_>) {
        let now = sim.elapsed();
        let mut at = 0;
        while at < self.planned.len() {
            if self.planned[at].0 <= now {
                let (_, undo) = self.planned.remove(at);
                self.undo(sim, undo);
            } else {
                at += 1;
            }
        }
        for edge in 0..self.seats.len() {
            // Without power it runs on for no more than some moments.
            if !self.seats[edge].disk.powered() && self.random.chance(4) {
                self.crash_edge(sim, edge);
            }
        }
        if !self.is_calm && self.random.chance(EVERY) {
            self.something(sim);
        }
    }

    /// Everything is mended, and stays so.
    pub(super) fn calm(&mut self, sim: &mut Sim<'_>) {
        self.is_calm = true;
        for (_, undo) in std::mem::take(&mut self.planned) {
            self.undo(sim, undo);
        }
        // What a crash has left to do.
        for (_, undo) in std::mem::take(&mut self.planned) {
            self.undo(sim, undo);
        }
        for seat in &self.seats {
            seat.disk.mend();
            seat.clock_off_ms.store(0, Ordering::Relaxed);
        }
        let now = now_ms(sim);
        let publisher = &mut self.store.look().publisher;
        publisher.switch_on(now);
        publisher.sign_again(now);
    }

    fn something(&mut self, sim: &mut Sim<'_>) {
        let edge = self.random.below(self.seats.len());
        match self.random.below(20) {
            0 | 1 => self.crash_edge(sim, edge),
            2 => {
                // In the middle of what it writes next.
                self.judge.count("power cuts while writing");
                let after = self.random.below(12) as u64;
                self.seats[edge].disk.fail_after(after, Fault::PowerLoss);
            }
            3..6 => self.cut(sim, edge),
            6 | 7 => self.slow(sim, edge),
            8..11 => self.trouble(sim, edge),
            11 => {
                self.judge.count("clock jumps");
                const MINUTE: i64 = 60_000;
                let jumps = [-20 * MINUTE, -MINUTE, 30 * MINUTE, 2 * 24 * 60 * MINUTE];
                let off = jumps[self.random.below(jumps.len())];
                self.seats[edge].clock_off_ms.store(off, Ordering::Relaxed);
                self.later(sim, 2_000, Undo::SetClock(edge));
            }
            12 if sim.is_host_running(store::NAME) => {
                self.judge.count("store crashes");
                sim.crash(store::NAME);
                self.later(sim, 1_500, Undo::StartStore);
            }
            13 | 14 => {
                self.judge.count("releases");
                let publisher = &mut self.store.look().publisher;
                publisher.release(now_ms(sim), &mut self.random);
            }
            15 => {
                self.judge.count("kill switches");
                self.store.look().publisher.control(now_ms(sim));
            }
            16 => self.store.look().publisher.sign_again(now_ms(sim)),
            17 | 18 => {
                let kind = HOSTILE[self.random.below(HOSTILE.len())];
                let random = &mut self.random;
                if self.store.look().publisher.be_hostile(kind, random) {
                    self.judge.count("hostile documents");
                    self.later(sim, 1_000, Undo::BeHonest);
                }
            }
            _ => {
                self.judge.count("other latencies");
                let (a, b) = self.link(edge);
                self.set_latency(sim, &a, &b);
            }
        }
    }

    /// Every link has a latency of its own, and draws none: which of several
    /// messages of one moment is sent first would decide about all that follow.
    pub(super) fn begin(&mut self, sim: &Sim<'_>) {
        for edge in 0..self.seats.len() {
            let others = self.people.clone().into_iter();
            for other in others.chain([store::NAME.to_owned()]) {
                self.set_latency(sim, &self.seats[edge].name(), &other);
            }
        }
    }

    fn set_latency(&mut self, sim: &Sim<'_>, a: &str, b: &str) {
        let longest = if self.random.chance(8) { 300 } else { 30 };
        let latency = Duration::from_millis(1 + self.random.below(longest) as u64);
        sim.set_link_latency(a, b, latency);
    }

    fn undo(&mut self, sim: &mut Sim<'_>, undo: Undo) {
        match undo {
            Undo::StartEdge(edge) => sim.bounce(self.seats[edge].name()),
            Undo::StartStore => sim.bounce(store::NAME),
            Undo::Repair(a, b) => sim.repair(a, b),
            Undo::Release(a, b) => sim.release(a, b),
            Undo::HealDisk(edge) => {
                self.seats[edge].disk.set_broken(None);
            }
            Undo::SetClock(edge) => self.seats[edge].clock_off_ms.store(0, Ordering::Relaxed),
            Undo::BeHonest => self.store.look().publisher.be_honest(),
        }
    }

    /// The power fails; some time later it is back.
    fn crash_edge(&mut self, sim: &mut Sim<'_>, edge: usize) {
        let seat = &self.seats[edge];
        if !sim.is_host_running(seat.name()) {
            return;
        }
        self.judge.count("crashes");
        self.judge.tell(&format!("{} crashes", seat.name()));
        seat.end();
        sim.crash(seat.name());
        seat.disk.crash(self.random.next());
        self.later(sim, 1_500, Undo::StartEdge(edge));
    }

    /// A link carries nothing, or nothing in one direction.
    fn cut(&mut self, sim: &mut Sim<'_>, edge: usize) {
        let (a, b) = self.link(edge);
        if self.is_disturbed(&a, &b) {
            return;
        }
        self.judge.count("partitions");
        self.judge.tell(&format!("{a} and {b} are parted"));
        match self.random.below(3) {
            0 => sim.partition_oneway(&*a, &*b),
            1 => sim.partition_oneway(&*b, &*a),
            _ => sim.partition(&*a, &*b),
        }
        self.later(sim, 3_000, Undo::Repair(a, b));
    }

    /// What is sent over a link arrives later, all at once.
    fn slow(&mut self, sim: &mut Sim<'_>, edge: usize) {
        let (a, b) = self.link(edge);
        if self.is_disturbed(&a, &b) {
            return;
        }
        self.judge.count("delays");
        self.judge.tell(&format!("{a} and {b} are held up"));
        sim.hold(&*a, &*b);
        self.later(sim, 1_500, Undo::Release(a, b));
    }

    fn link(&mut self, edge: usize) -> (String, String) {
        let other = match self.random.below(self.people.len() + 2) {
            at if at < self.people.len() => self.people[at].clone(),
            _ => store::NAME.to_owned(),
        };
        (self.seats[edge].name(), other)
    }

    fn is_disturbed(&self, a: &str, b: &str) -> bool {
        self.planned.iter().any(|(_, undo)| match undo {
            Undo::Repair(x, y) | Undo::Release(x, y) => x == a && y == b,
            _ => false,
        })
    }

    fn trouble(&mut self, sim: &mut Sim<'_>, edge: usize) {
        let after = self.random.below(6) as u64;
        let disk = &self.seats[edge].disk;
        match self.random.below(6) {
            0 => {
                self.judge.count("disks broken");
                disk.set_broken(Some(Fault::Io));
                self.later(sim, 1_500, Undo::HealDisk(edge));
            }
            1 | 2 => {
                self.judge.count("disks full");
                disk.set_broken(Some(Fault::NoSpace));
                self.later(sim, 1_500, Undo::HealDisk(edge));
            }
            3 => {
                self.judge.count("errors of the device");
                disk.fail_after(after, Fault::Io);
            }
            _ => {
                self.judge.count("writes without space");
                disk.fail_after(after, Fault::NoSpace);
            }
        }
    }

    /// Within so many milliseconds.
    fn later(&mut self, sim: &Sim<'_>, within_ms: usize, undo: Undo) {
        let after = Duration::from_millis(20 + self.random.below(within_ms) as u64);
        self.planned.push((sim.elapsed() + after, undo));
    }
}

fn now_ms(sim: &Sim<'_>) -> u64 {
    NOW + sim.elapsed().as_millis() as u64
}

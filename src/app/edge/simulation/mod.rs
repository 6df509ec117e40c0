//! Does all of it together keep its promises, whatever happens?
//!
//! Several edges, a store, and applications that repeat what went wrong, in one
//! thread over a simulated network ([turmoil]): the service behind the worker's
//! connection code, progress, journal, shipping, refresh with signed documents,
//! the change stream and the ledger's rules. [`weather`] has what goes wrong,
//! [`judge`] what may never be seen, [`seeds`] runs it. What a simulated
//! network does not reach is tried with real processes: threads, SQLite, TLS,
//! and the client that calls the store.

mod judge;
mod person;
mod publisher;
mod seat;
mod seeds;
mod store;
mod upstream;
mod visit;
mod weather;

use std::{collections::BTreeMap, time::Duration};

use self::{
    judge::{Judge, Tally},
    person::{Habits, Person},
    seat::{Mistake, Seat, Setup},
    store::{Store, Taken},
    weather::Weather,
};
use crate::{
    disk::memory::Random,
    progress::event::{EventId, Outcome},
};

/// One moment of the network.
const TICK: Duration = Duration::from_millis(10);
/// Of a message, until the weather says otherwise.
const LATENCY: Duration = Duration::from_millis(5);
/// Until then things go wrong, and until then all must have come to its end.
const STORMY: Duration = Duration::from_secs(15);
const END: Duration = Duration::from_secs(120);

/// What one run is like.
#[derive(Clone, Copy, Debug)]
struct Plan {
    edges: usize,
    /// Users that one edge serves, for each edge.
    settled: usize,
    roaming: usize,
    /// What an edge does that cannot ask the store about a user.
    on_unknown: &'static str,
    is_stormy: bool,
    mistake: Option<Mistake>,
}

/// How one run ended.
struct Run {
    verdict: Result<(), String>,
    tally: Tally,
    digest: u64,
}

/// One seed, from its beginning to its end.
fn run(seed: u64, plan: Plan) -> Run {
    let judge = Judge::default();
    let store = Store::new(&judge);
    let setup = Setup::new(plan.on_unknown, plan.mistake);
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(END)
        .min_message_latency(LATENCY)
        .max_message_latency(LATENCY)
        .build();
    let at_store = store.clone();
    sim.host(store::NAME, move || at_store.clone().run());
    let seats: Vec<Seat> = {
        let publisher = &store.look().publisher;
        let seat = |number| Seat::new(number, seed, publisher, &setup, &judge);
        (0..plan.edges).map(seat).collect()
    };
    for seat in &seats {
        let own = seat.clone();
        sim.host(seat.name(), move || own.clone().run());
    }
    let homes = (0..plan.edges).flat_map(|edge| std::iter::repeat_n(Some(edge), plan.settled));
    let homes = homes.chain(std::iter::repeat_n(None, plan.roaming));
    let mut people = BTreeMap::new();
    let mut random = Random(seed ^ 0x9e0_91e);
    for (number, home) in homes.enumerate() {
        let name = format!("user-{number}");
        let habits = Habits {
            name: name.clone(),
            home,
            edges: plan.edges,
            busy_until: STORMY,
        };
        people.insert(name.clone(), habits.clone());
        sim.client(
            name,
            Person::new(random.next(), habits, &store, &judge).run(),
        );
    }
    let names = people.keys().cloned().collect();
    let mut weather = Weather::new(seed, &seats, names, &store, &judge);
    if plan.is_stormy {
        weather.begin(&sim);
    }
    let verdict = drive(
        &mut sim,
        &judge,
        plan.is_stormy.then_some(&mut weather),
        &seats,
    )
    .and_then(|()| outcomes(&judge, &store, &people));
    let verdict = judge.verdict().and(verdict);
    for seat in &seats {
        if verdict.is_err() {
            seat.tell();
        }
        seat.end();
    }
    let verdict = judge.verdict().and(verdict);
    Run {
        verdict: verdict.map_err(|error| format!("{error}\n{}", judge.story())),
        tally: judge.tally(),
        digest: judge.digest(),
    }
}

/// Moment by moment, until everybody is done and nothing is under way.
fn drive(
    sim: &mut turmoil::Sim<'_>,
    judge: &Judge,
    mut weather: Option<&mut Weather>,
    seats: &[Seat],
) -> Result<(), String> {
    let mut is_over = false;
    loop {
        let is_done = sim.step();
        let is_done = is_done.map_err(|error| format!("end: {error}"))?;
        judge.verdict()?;
        if let Some(weather) = &mut weather {
            if !is_over && sim.elapsed() >= STORMY {
                is_over = true;
                weather.calm(sim);
            }
            weather.blow(sim);
        }
        if is_done && seats.iter().all(Seat::is_drained) {
            return Ok(());
        }
        if sim.elapsed() > END {
            let left: Vec<bool> = seats.iter().map(Seat::is_drained).collect();
            return Err(format!("end: it never comes to rest; drained: {left:?}"));
        }
    }
}

/// Everything that was acknowledged has its outcome.
fn outcomes(judge: &Judge, store: &Store, people: &BTreeMap<String, Habits>) -> Result<(), String> {
    let kept = store.look();
    for place in judge.all_acknowledged() {
        if !kept.taken.contains_key(&place) {
            return Err(format!("acknowledged: {place:?} is lost"));
        }
    }
    let mut applied: BTreeMap<(&str, u64, u32), usize> = BTreeMap::new();
    for (place, Taken { outcome, event }) in &kept.taken {
        let habits = people.get(&event.user);
        let is_settled = habits.is_some_and(|habits| habits.home.is_some());
        if is_settled && *outcome == Outcome::Dead {
            let user = &event.user;
            return Err(format!("dead: {place:?} of {user}, whom one edge serves"));
        }
        if is_settled && *outcome == Outcome::Superseded && !kept.is_assumed(&event.user) {
            let user = &event.user;
            return Err(format!(
                "superseded: {place:?} of {user}, of whom nothing was assumed"
            ));
        }
        if let Some(EventId { key, body }) = event.id
            && *outcome == Outcome::Applied
        {
            *applied.entry((&event.user, key, body)).or_default() += 1;
        }
    }
    let twice = applied.iter().find(|(_, times)| **times > 1);
    twice.map_or(Ok(()), |((user, ..), times)| {
        Err(format!("twice: a step of {user} was applied {times} times"))
    })
}

//! Do readers notice when a large snapshot is swapped every 100 ms?
//!
//! Over sockets, because that is where readers are: an edge of its own for
//! every round, connections that ask at a fixed rate, whatever became of
//! earlier requests, and the time of each answer in a histogram. In one round
//! nothing happens beside; in one snapshots made before are swapped, which is
//! the question; in one each is compiled from its parts, in full, swapped, and
//! the old one freed. That round has one thread more at work than the others,
//! and its ratio says what this costs on the cores there are. Every answer has
//! to be of one revision: that in its head and in each of its five blocks.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use flowgate::{
    current::Current,
    snapshot::{
        Snapshot,
        wire::{FlowPart, VersionPart},
    },
};

use super::{
    Server,
    edge::{self, FRESH},
    input,
    load::{Requests, paced},
    many,
    requests::get_flow,
    started,
    world::{self, Users},
};

/// Flows beside the one that is read: about 10 MB, compiled.
const FLOWS: usize = 3_000;

/// Between two swaps.
const PERIOD: Duration = Duration::from_millis(100);

/// Snapshots made before, taken in turn.
const PREPARED: u64 = 8;

const CONNECTIONS: usize = 8;
const RATE: f64 = 4_000.0;
const ROUND: Duration = Duration::from_secs(5);
const ROUNDS: usize = 4;

const MODES: [(&str, &str); 3] = [
    ("quiet", "none"),
    ("swapped", "1.10"),
    ("compiled, swapped, freed", "1.10"),
];

/// One round's p50 and p99.9 in microseconds.
#[derive(Clone, Copy)]
struct Times {
    p50: f64,
    p999: f64,
}

/// Measures and prints.
pub(super) fn measure() {
    println!(
        "{:<26}{:>10}{:>12}{:>9}{:>8}{:>12}{:>12}",
        "reads while snapshots are", "p50 µs", "p99.9 µs", "ratio", "goal", "revisions", "torn"
    );
    let nothing = Times {
        p50: f64::MAX,
        p999: f64::MAX,
    };
    let mut best = [nothing; MODES.len()];
    let mut seen = [const { BTreeSet::new() }; MODES.len()];
    let mut torn = [0; MODES.len()];
    for _ in 0..ROUNDS {
        for (at, (mode, _)) in MODES.iter().enumerate() {
            let (times, revisions, bad) = round(mode);
            if times.p999 < best[at].p999 {
                best[at] = times;
            }
            seen[at].extend(revisions);
            torn[at] += bad;
        }
    }
    for (at, (mode, goal)) in MODES.iter().enumerate() {
        let Times { p50, p999 } = best[at];
        println!(
            "{mode:<26}{p50:>10.0}{p999:>12.0}{:>9.2}{goal:>8}{:>12}{:>12}",
            p999 / best[0].p999,
            seen[at].len(),
            torn[at],
        );
    }
}

/// One edge, its readers' times, the revisions they saw, and how many answers
/// were of more than one.
fn round(mode: &str) -> (Times, BTreeSet<String>, usize) {
    let server = Server::start("swap", mode.as_bytes());
    let read = |user| vec![get_flow(user, "include=block&")];
    let requests: Vec<Requests> = started(&server, CONNECTIONS, read);
    let told = Mutex::new((BTreeSet::new(), 0));
    let show = |answer: &[u8]| {
        let revision = revision_of(answer);
        let mut told = told.lock().expect("nobody failed");
        match revision {
            Some(revision) => drop(told.0.insert(revision)),
            None => told.1 += 1,
        }
    };
    let times = paced(server.address, &requests, RATE, (ROUND, &show));
    let us = |percent| times.value_at_percentile(percent) as f64 / 1_000.0;
    let (revisions, torn) = told.into_inner().expect("nobody failed");
    let times = Times {
        p50: us(50.0),
        p999: us(99.9),
    };
    (times, revisions, torn)
}

/// The one revision an answer is of; none when it is of several.
fn revision_of(answer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(answer).expect("text");
    let (_, rest) = text.split_once("flowgate-revision: ").expect("a revision");
    let (revision, body) = rest.split_once("\r\n").expect("a head");
    let titles = body.match_indices("Welcome to your workspace ");
    let titles: Vec<&str> = titles
        .filter_map(|(at, found)| body[at + found.len()..].split('"').next())
        .collect();
    assert_eq!(titles.len(), 5, "{body}");
    let is_one = titles.iter().all(|title| *title == revision);
    is_one.then(|| revision.to_owned())
}

/// The edge of one round; its input is the mode.
pub(super) fn serve() {
    let mode = input();
    let parts: Vec<(FlowPart, VersionPart)> = (0..FLOWS)
        .map(|place| (many::flow(place, &[1]), many::version(place, 1)))
        .collect();
    let made = |number| Arc::new(world::snapshot(number, parts.clone()));
    let first = world::snapshot(1, parts.clone());
    match mode.as_slice() {
        b"quiet" => edge::serve(first, Users::UNKNOWN, edge::idle),
        b"swapped" => {
            let prepared: Vec<Arc<Snapshot>> = (0..PREPARED).map(|at| made(at + 2)).collect();
            edge::serve(first, Users::UNKNOWN, |current| {
                swap(current, |turn| prepared[turn % prepared.len()].clone());
            });
        }
        _ => edge::serve(first, Users::UNKNOWN, |current| {
            swap(current, |turn| made(turn as u64 + 2));
        }),
    }
}

/// Swaps until the process is killed.
fn swap(current: &Current, next: impl Fn(usize) -> Arc<Snapshot>) {
    let begun = Instant::now();
    for turn in 0.. {
        let due = PERIOD * (turn as u32 + 1);
        let snapshot = next(turn);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        // The old one is freed here, by who swapped it.
        drop(current.publish(snapshot, FRESH));
    }
}

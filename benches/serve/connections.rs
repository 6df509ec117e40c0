//! What does a request cost when very many connections are open?
//!
//! The same closed loop of 16 requests at a time, once over 16 connections and
//! once in turn over as many as descriptors allow, up to 10 000. So only what
//! an open connection costs the others differs. The floor is asked the same,
//! since the processor's caches and the kernel have their share in it.

use std::net::SocketAddr;

use super::{
    QUESTIONS, ROUNDS, Server, keep_cheapest,
    load::{Connection, Requests, exchange},
    measure as costs, started,
};

/// Requests at a time, and the few connections.
const LANES: usize = 16;

/// The many.
const CONNECTIONS: usize = 10_000;

/// What a process holds beside connections.
const OTHER_DESCRIPTORS: usize = 200;

const GOAL: f64 = 1.3;

/// Measures and prints.
pub(super) fn measure() {
    let allowed = descriptors().saturating_sub(OTHER_DESCRIPTORS);
    let each = allowed.min(CONNECTIONS) / LANES;
    println!(
        "{:<26}{:>12}{:>14}{:>9}{:>8}",
        "CPU per request, µs",
        format!("{LANES} open"),
        format!("{} open", each * LANES),
        "ratio",
        "goal"
    );
    let question = &QUESTIONS[0];
    let probe = Server::start("edge", &[]);
    let requests = started(&probe, LANES, question.requests);
    let model = exchange(probe.address, &requests[0][..1]);
    drop(probe);
    for (role, goal) in [("floor", "none".to_owned()), ("edge", format!("{GOAL:.2}"))] {
        let servers = [1, each].map(|each| {
            let server = Server::start(role, &model);
            if role == "edge" {
                started(&server, LANES, question.requests);
            }
            let open = opened(server.address, &requests, each);
            (server, open)
        });
        let mut best = [(f64::MAX, 0.0); 2];
        let mut servers = servers;
        for _ in 0..ROUNDS {
            for ((server, open), best) in servers.iter_mut().zip(&mut best) {
                keep_cheapest(best, costs(server, open, &requests));
            }
        }
        let [(few, _), (many, _)] = best;
        println!(
            "{role:<26}{few:>12.2}{many:>14.2}{:>9.2}{goal:>8}",
            many / few
        );
    }
}

/// Lanes of so many connections, each of which has asked once: connections that
/// come faster than they are accepted wait for seconds, and who has opened one
/// has little time for a first request.
fn opened(address: SocketAddr, requests: &[Requests], each: usize) -> Vec<Vec<Connection>> {
    let lane = |list: &Requests| {
        let connections = (0..each).map(|_| {
            let mut connection = Connection::open(address);
            connection.ask(&list[0]);
            connection
        });
        connections.collect()
    };
    requests.iter().map(lane).collect()
}

/// How many a process may have open.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux says it");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    // "unlimited" is more than is asked for.
    soft.map_or(usize::MAX, |soft| soft.parse().unwrap_or(usize::MAX))
}

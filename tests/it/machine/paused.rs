//! What becomes of steps while the store stands still?
//!
//! A stopped process (SIGSTOP) keeps its connections open and takes new ones:
//! nothing is refused, nothing is answered. The edge goes on for users it knows
//! and for new ones; when the store goes on, everything arrives in order and
//! once, also the batch that was under way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{check_in_order, drained, identify, is_long};
use crate::harness::{Client, Site, eventually};

/// How long the long form stands still.
const STILL: Duration = Duration::from_secs(30);

/// Clients that step at the same time, each for a user of its own.
const CLIENTS: usize = 3;

/// Calls for one user until it is told to stop; how many were answered.
fn drive(client: &Client, user: &str, stop: &AtomicBool, all: &AtomicU64) -> u64 {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let answer = identify(client, user, answered + 1, 0).expect("the edge is there");
        assert_eq!(answer.status, 200, "{}", answer.text);
        answered += 1;
        all.fetch_add(1, Ordering::Relaxed);
    }
    answered
}

#[test]
fn a_store_that_stands_still_gets_everything_once_it_goes_on() {
    // A question that stands still is given up soon.
    let site = Site::start_with(&["--upstream-timeout-ms", "500"]);
    let (stop, all) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let users: Vec<String> = (0..CLIENTS)
        .map(|number| format!("known-{number}"))
        .collect();
    let drivers: Vec<_> = users
        .iter()
        .map(|user| {
            let (client, user) = (site.edge.client("server"), user.clone());
            let (stop, all) = (Arc::clone(&stop), Arc::clone(&all));
            std::thread::spawn(move || drive(&client, &user, &stop, &all))
        })
        .collect();
    let reach = |wanted: u64| {
        eventually("the edge goes on", || {
            (all.load(Ordering::Relaxed) >= wanted).then_some(())
        });
    };
    reach(30);
    site.store.program.signal("STOP");
    let begun = Instant::now();
    // Steps go on behind a batch that nobody answers.
    reach(all.load(Ordering::Relaxed) + 60);
    eventually("a batch is given up", || {
        let progress = site.status()["progress"].clone();
        let waits = progress["backlog_records"].as_u64() >= Some(60);
        (waits && !progress["error"].is_null()).then_some(())
    });
    // Nobody can say who this is: served as new.
    let server = site.edge.client("server");
    let newcomer = identify(&server, "newcomer", 1, 0).expect("an answer");
    assert_eq!(newcomer.status, 200, "{}", newcomer.text);
    assert!(!super::is_started(&server, "another-newcomer"));
    if is_long() {
        let passed = begun.elapsed();
        std::thread::sleep(STILL.saturating_sub(passed));
    }
    assert_eq!(site.edge.admin().get("/ready").status, 200);
    let still = begun.elapsed();
    site.store.program.signal("CONT");
    reach(all.load(Ordering::Relaxed) + 30);
    stop.store(true, Ordering::Relaxed);
    let answered: Vec<u64> = drivers
        .into_iter()
        .map(|driver| driver.join().expect("a driver"))
        .collect();
    drained(&site);
    for (user, answered) in users.iter().zip(&answered) {
        check_in_order(&site, user, *answered, false);
    }
    check_in_order(&site, "newcomer", 1, false);
    let total: u64 = answered.iter().sum();
    println!("figures: store stood still, seconds {}", still.as_secs());
    println!(
        "figures: store stood still, steps answered and found once {}",
        total + 1
    );
}

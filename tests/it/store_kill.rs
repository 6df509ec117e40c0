//! Does a store that is killed by SIGKILL while authors change things come back
//! before or after each change, and do its edges follow it?
//!
//! The real store is killed again and again, after another number of writes to
//! its database's log each time. Every moment of a log is tried in process
//! (`store::tests::killed`); here are the real process, its lock, its listener
//! and an edge below it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, Site, body_of, eventually, run};

/// What is changed.
const PATH: &str = "/admin/v1/deployments/web?environment=development";

/// Enough for kills to fall into commits, publishes and what is between.
const ROUNDS: usize = 16;

/// Changes a number until the store is gone; says the last that was asked for.
fn change(store: &Client, from: u64, answered: &AtomicU64) -> u64 {
    for number in from.. {
        let body = json!({"basisPoints": number}).to_string();
        match store.send(Method::PATCH, PATH, &[], Some(body)) {
            Ok(answer) => assert_eq!(answer.status, 200, "{}", answer.text),
            Err(_) => return number,
        }
        answered.store(number, Ordering::Release);
    }
    unreachable!("numbers do not end");
}

/// When the store wrote to its log last.
fn written(folder: &Path) -> Option<SystemTime> {
    let log = folder.join("store/store.db-wal").metadata();
    log.and_then(|found| found.modified()).ok()
}

#[test]
fn a_store_killed_among_changes_is_before_or_after_and_its_edge_follows() {
    let begun = Instant::now();
    let mut site = Site::start();
    let words = [
        "deployment",
        "create",
        "web",
        "--flow",
        "announcement",
        "--channel",
        "web",
    ];
    let made = run(&mut site
        .store
        .command(&[&words[..], &["--basis-points", "1"]].concat()));
    assert!(made.status.success(), "{made:?}");
    let mut stands = 1;
    let (mut kept, mut lost) = (0, 0);
    for round in 0..ROUNDS {
        let answered = Arc::new(AtomicU64::new(stands));
        let author = {
            let (client, answered) = (site.store.admin(), Arc::clone(&answered));
            std::thread::spawn(move || change(&client, stands + 1, &answered))
        };
        let wanted = stands + 2 + round as u64 % 3;
        eventually("so many changes are answered", || {
            (answered.load(Ordering::Acquire) >= wanted).then_some(())
        });
        // Then after another number of writes each round.
        for _ in 0..round % 4 {
            let before = written(site.path());
            eventually("something is written", || {
                (written(site.path()) != before).then_some(())
            });
        }
        site.store.program.kill();
        let last = author.join().expect("the author");
        let answered = answered.load(Ordering::Acquire);
        site.store.restart();
        let found = body_of(&site.store.admin().get(PATH), 200);
        stands = found["basisPoints"].as_u64().expect("a number");
        // What was answered is there, and of what was under way all or nothing.
        assert_eq!(last, answered + 1);
        match stands {
            stands if stands == last => kept += 1,
            stands if stands == answered => lost += 1,
            other => panic!("found {other}, expected {answered} or {last}"),
        }
        let path = "/admin/v1/environments/development";
        let current = body_of(&site.store.admin().get(path), 200)["revision"].clone();
        eventually("the edge follows", || {
            let edge = site.status()["environments"][0].clone();
            (edge["revision"] == current && edge["failures_in_a_row"] == 0).then_some(())
        });
    }
    println!(
        "{ROUNDS} kills of a store in {:?}: of the changes under way {kept} were there afterwards, \
         {lost} were not; {stands} changes in all",
        begun.elapsed()
    );
    println!("figures: kills of a store among changes {ROUNDS}");
    assert_eq!(kept + lost, ROUNDS);
}

//! What becomes of steps when the store is away until nothing more fits?
//!
//! A small journal fills up: steps are answered 503, reads go on. When the
//! store is back everything drains, each user's calls in their order and each
//! once; and so again at the next outage.

use std::collections::BTreeMap;

use super::{check_in_order, drained, identify, is_started};
use crate::harness::{Site, eventually};

const USERS: usize = 7;

#[test]
fn a_full_journal_drains_in_order_and_each_step_once() {
    let mut site = Site::start_with(&["--journal-segment-mb", "4", "--journal-total-mb", "8"]);
    let server = site.edge.client("server");
    // Calls that were answered, by user.
    let mut answered: BTreeMap<String, u64> = BTreeMap::new();
    let outages = 2;
    let mut refused = 0;
    for outage in 0..outages {
        site.store.program.kill();
        let mut step = |number: usize| {
            let user = format!("u{}", number % USERS);
            let known = answered.entry(user.clone()).or_default();
            let answer = identify(&server, &user, *known + 1, 30_000).expect("an answer");
            match answer.status {
                200 => *known += 1,
                503 => {
                    let retry: Result<u64, _> = answer.header("retry-after").parse();
                    assert!(retry.is_ok_and(|seconds| seconds > 0), "{answer:?}");
                }
                other => panic!("{other}: {}", answer.text),
            }
            answer.status
        };
        let end = (0..2_000).find(|number| step(*number) == 503);
        let end = end.expect("8 MiB are full before 60 MB are written");
        assert!(end > 20, "only {end} records fit into 8 MiB");
        // Whoever comes again is refused again, and nothing is stored.
        for number in 0..USERS {
            assert_eq!(step(number), 503);
            refused += 1;
        }
        let status = site.status()["progress"].clone();
        assert_eq!(status["refuses"], "quota", "{status}");
        assert!(!is_started(&server, "u0"), "reads go on");
        site.store.restart();
        eventually("steps are taken again", || {
            (step(outage) == 200).then_some(())
        });
        drained(&site);
        for (user, answered) in &answered {
            check_in_order(&site, user, *answered, false);
        }
    }
    let total: u64 = answered.values().sum();
    println!("figures: outages until the journal was full {outages}");
    println!("figures: outages, steps answered and found once and in order {total}");
    println!("figures: outages, steps refused {}", refused + outages);
}

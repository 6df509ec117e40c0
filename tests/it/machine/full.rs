//! Does an edge whose disk is really full lose anything?
//!
//! A small file system is filled to its last block while the store is away:
//! steps are answered 503 with a time to come back, reads go on, and also an
//! edge that starts on the full disk reads. With room again steps are taken
//! without a restart, and the store gets all that was ever answered, once.

use serde_json::json;

use super::{drained, ground::Ground, identify, is_long, is_started, skip};
use crate::harness::{Client, Site, body_of, eventually};

/// Room for the journal's first segments and one more, next to what the file
/// system keeps for itself.
const BYTES: u64 = 96 << 20;

/// A start, and a property: what was answered, by user.
fn step(client: &Client, user: &str) -> u16 {
    let answer = identify(client, user, 1, 56_000);
    answer.map_or(0, |answer| answer.status)
}

#[test]
fn a_full_disk_refuses_steps_and_loses_none() {
    let rounds = if is_long() { 5 } else { 2 };
    let mut site = Site::start();
    site.edge.program.kill();
    let place = site.path().join("edge");
    std::fs::remove_dir_all(&place).expect("the folder was used");
    std::fs::create_dir(&place).expect("a place");
    let ground = match Ground::small(site.path(), &place, BYTES) {
        Ok(ground) => ground,
        Err(reason) => return skip("a really full disk", &reason),
    };
    let folder = site.path().to_owned();
    let start = |site: &mut Site| {
        let command = ground.inside(&site.edge.command(&folder));
        site.edge.restart_as(command, &folder);
        site.edge.ready();
    };
    start(&mut site);
    let mut answered = Vec::new();
    for round in 0..rounds {
        let mut server = site.edge.client("server");
        let first = format!("r{round}-first");
        assert_eq!(start_flow(&server, &first), 200);
        answered.push(first.clone());
        site.store.program.kill();
        let filler = ground.fill();
        let refused = (0..1_000).find_map(|number| {
            let user = format!("r{round}-u{number}");
            match step(&server, &user) {
                200 => {
                    answered.push(user);
                    None
                }
                _ => Some(user),
            }
        });
        let refused = refused.expect("a full disk takes no 56 MB");
        check_refusal(&site, &server, &refused, &first);
        if round % 2 == 1 {
            // A start needs no room either.
            site.edge.program.kill();
            start(&mut site);
            server = site.edge.client("server");
            check_refusal(&site, &server, &refused, &first);
        }
        std::fs::remove_file(filler).expect("it can be removed");
        eventually("steps are taken again", || {
            (step(&server, &format!("r{round}-again")) == 200).then_some(())
        });
        site.store.restart();
        drained(&site);
        for user in &answered {
            let document = site.store.user(user);
            let document = document.unwrap_or_else(|| panic!("{user} was answered and is lost"));
            assert_eq!(document["doc_rev"], 1, "{user}: {document}");
        }
    }
    println!("figures: full disks {rounds}");
    println!(
        "figures: full disks, steps answered and found once {}",
        answered.len()
    );
}

fn start_flow(client: &Client, user: &str) -> u16 {
    let body = json!({"subject": {"user": user}, "version": 1});
    client.post("/v1/flows/announcement/start", &body).status
}

/// Steps are refused and say when to come back; everything else goes on.
#[track_caller]
fn check_refusal(site: &Site, server: &Client, user: &str, known: &str) {
    let answer = identify(server, user, 1, 56_000).expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.text);
    let retry: Result<u64, _> = answer.header("retry-after").parse();
    assert!(retry.is_ok_and(|seconds| seconds > 0), "{answer:?}");
    assert!(is_started(server, known), "{known} is where they were");
    let path = "/v2/flow/announcement?version=1&userIdentifier=somebody";
    let flow = body_of(&site.edge.client("blocks").get(path), 200);
    crate::harness::check_flow(&flow, false);
    assert_eq!(site.edge.admin().get("/ready").status, 200);
    let progress = &site.status()["progress"];
    assert_eq!(progress["writable"], false, "{progress}");
}

//! Do store and edge work as two processes, and apart from each other?
//!
//! The long story of the product: keys and processes made as the README says,
//! a change that reaches the edge while it is asked all the time, a store that
//! dies and comes back, an edge that restarts alone, and a pack somebody put
//! back. Each part is a test of its own on a pair of its own.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, Site, body_of, eventually, run};

const FLOW: &str = "/v2/flow/announcement?version=1&include=block&userIdentifier=";

fn transition(edge: &Client, uid: &str, user: &str) -> u16 {
    let path =
        format!("/v2/block/{uid}/transition?version=1&transitions=complete&userIdentifier={user}");
    edge.send(Method::POST, &path, &[], Some("{}".into()))
        .map_or(0, |answer| answer.status)
}

#[test]
fn a_change_reaches_the_edge_without_a_failed_request() {
    let site = Site::start();
    let stop = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicU64::new(0));
    let asked = Arc::new(AtomicU64::new(0));
    let drivers: Vec<_> = (0..2)
        .map(|driver| {
            let (stop, failed, asked) = (stop.clone(), failed.clone(), asked.clone());
            let client = site.edge.client("blocks");
            std::thread::spawn(move || {
                let mut user = 0;
                while !stop.load(Ordering::Relaxed) {
                    user = (user + 1) % 50;
                    let answer = client.get(&format!("{FLOW}driver-{driver}-{user}"));
                    asked.fetch_add(1, Ordering::Relaxed);
                    if answer.status != 200 {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let client = site.edge.client("blocks");
    for title in ["Second", "Third", "Fourth"] {
        let begun = Instant::now();
        site.publish(title);
        let imported = begun.elapsed();
        eventually("the edge answers with the new content", || {
            let flow = body_of(&client.get(&format!("{FLOW}reader")), 200);
            (flow["blocks"][0]["fields"][0]["value"] == title).then_some(())
        });
        println!(
            "import took {imported:?}, and the edge had it after {:?} (goal: under a second)",
            begun.elapsed()
        );
    }
    stop.store(true, Ordering::Relaxed);
    for driver in drivers {
        driver.join().expect("a driver");
    }
    assert!(asked.load(Ordering::Relaxed) > 0, "nothing was asked");
    assert_eq!(failed.load(Ordering::Relaxed), 0, "failed requests");
}

#[test]
fn steps_taken_while_the_store_is_dead_arrive_once() {
    let mut site = Site::start();
    let client = site.edge.client("blocks");
    let uid = site.card();
    site.store.program.kill();
    for user in 0..20 {
        let flow = body_of(&client.get(&format!("{FLOW}offline-{user}")), 200);
        assert_eq!(flow["state"]["started"], true, "{flow}");
        assert_eq!(transition(&client, &uid, &format!("offline-{user}")), 204);
        // The same step again, as a client that saw no answer would.
        assert_eq!(transition(&client, &uid, &format!("offline-{user}")), 204);
    }
    site.store.restart();
    for user in 0..20 {
        let document = eventually("the steps arrive", || {
            let document = site.store.user(&format!("offline-{user}"))?;
            (document["doc_rev"].as_u64() >= Some(2)).then_some(document)
        });
        assert_eq!(
            document["doc_rev"], 2,
            "start and transition, each once: {document}"
        );
        let blocks = document["flows"][0]["blocks"].as_array().expect("blocks");
        assert!(
            blocks
                .iter()
                .any(|block| block["active"] == true && block["block"] != uid.as_str()),
            "the step is in the ledger: {document}"
        );
    }
    eventually("the backlog is empty", || {
        let status = body_of(&site.edge.admin().get("/status"), 200);
        (status["progress"]["backlog_records"] == 0).then_some(())
    });
}

#[test]
fn an_edge_restarts_with_the_store_dead_and_keeps_every_step() {
    let mut site = Site::start();
    let client = site.edge.client("blocks");
    let uid = site.card();
    site.store.program.kill();
    body_of(&client.get(&format!("{FLOW}ada")), 200);
    assert_eq!(transition(&client, &uid, "ada"), 204);
    site.edge.program.kill();
    let folder = site.path().to_owned();
    site.edge.restart(&folder);
    // No waiting for readiness: it serves at once.
    let client = site.edge.client("blocks");
    let flow = body_of(&client.get(&format!("{FLOW}ada")), 200);
    assert_eq!(flow["blocks"][0]["state"]["exited"], true, "{flow}");
    assert_eq!(flow["blocks"][1]["state"]["active"], true, "{flow}");
    site.store.restart();
    let document = eventually("the steps arrive", || {
        let document = site.store.user("ada")?;
        (document["doc_rev"].as_u64() >= Some(2)).then_some(document)
    });
    assert_eq!(document["doc_rev"], 2, "{document}");
}

#[test]
fn an_older_pack_in_place_of_the_current_one_is_refused() {
    let mut site = Site::start();
    let snapshots = site.path().join("edge/snapshots/development");
    let packs = || {
        let mut packs: Vec<PathBuf> = std::fs::read_dir(&snapshots)
            .expect("the folder of snapshots")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|end| end == "pack"))
            .collect();
        packs.sort();
        packs
    };
    let client = site.edge.client("blocks");
    let shows = |client: &Client, title: &str| {
        let flow = body_of(&client.get(&format!("{FLOW}reader")), 200);
        flow["blocks"][0]["fields"][0]["value"] == title
    };
    let older: Vec<(PathBuf, Vec<u8>)> = packs()
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).expect("a pack")))
        .collect();
    for title in ["Second", "Third"] {
        site.publish(title);
        eventually("the new title", || shows(&client, title).then_some(()));
    }
    site.store.program.kill();
    site.edge.program.kill();
    let (_, old) = older.last().expect("a first pack");
    for pack in packs() {
        std::fs::write(pack, old).expect("the older pack in place");
    }
    let folder = site.path().to_owned();
    site.edge.restart(&folder);
    let status = body_of(&site.edge.admin().get("/status"), 200);
    assert_eq!(
        site.edge.admin().get("/ready").status,
        503,
        "nothing can be evaluated: {status}"
    );
    let answer = site.edge.client("blocks").get(&format!("{FLOW}reader"));
    assert_eq!(
        answer.status, 503,
        "no environment is there: {}",
        answer.text
    );
    // The store's return heals it.
    site.store.restart();
    site.edge.ready();
    assert!(shows(&site.edge.client("blocks"), "Third"));
}

#[test]
fn a_second_edge_on_the_same_folder_is_refused_by_name() {
    let site = Site::start();
    let output = run(&mut site.edge.command(site.path()));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("is in use by process"), "{text}");
}

#[test]
fn stopping_ships_what_is_left() {
    let mut site = Site::start();
    let client = site.edge.client("server");
    let answer = client.post(
        "/v1/identify",
        &json!({"identifier": "grace", "properties": {"plan": "pro"}}),
    );
    assert!(answer.status < 300, "{}", answer.text);
    assert_eq!(site.edge.program.terminate(), Some(0));
    let document = site.store.user("grace").expect("it was shipped");
    assert_eq!(document["properties"]["plan"], "pro", "{document}");
}

#[test]
fn a_draft_that_loses_the_block_a_user_stands_on_begins_anew() {
    let site = Site::start();
    let client = site.edge.client("blocks");
    let draft = |block: &str| {
        let file = site.path().join("draft.yaml");
        let text = format!(
            "flowgate: project/1\nproject: demo\nname: Demo\nflows:\n  - sid: sketch\n    name: Sketch\n    \
             draft:\n      entry: everyone\n      blocks: [ {{ sid: {block}, type: card }} ]\n      \
             paths: [ {{ from: entry, to: {block} }} ]\n"
        );
        std::fs::write(&file, text).expect("a project file");
        site.store.import(&file);
    };
    let blocks = || {
        let path = "/v2/flow/sketch?tag=uncommitted&include=block&userIdentifier=ada";
        let answer = client.get(path);
        (answer.status == 200).then(|| answer.json()["blocks"].clone())
    };
    draft("first");
    eventually("the draft is there and started", || {
        let blocks = blocks()?;
        (blocks[0]["state"]["active"] == true).then_some(())
    });
    draft("second");
    eventually("the user stands on the new block", || {
        let blocks = blocks()?;
        (blocks[0]["sid"] == "sketch.second" && blocks[0]["state"]["active"] == true).then_some(())
    });
}

#[test]
fn the_store_counts_what_it_answers() {
    let site = Site::start();
    let text = Client::new(site.store.url(), "").get("/metrics").text;
    assert!(
        text.contains("flowgate_connections_accepted_total"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
}

//! Does a step that was answered with success survive SIGKILL?
//!
//! The real edge is killed under load again and again, with a store beside
//! it. After every start each step of the round that was answered is asked for
//! at the edge; in the end the ledger must have each of them exactly once.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Edge, Site, body_of, eventually};

/// Enough for every phase of a commit, a shipment and a start to be hit.
const ROUNDS: usize = 50;

/// Clients that step at the same time.
const CLIENTS: usize = 4;

/// What one user was told.
#[derive(Clone, Debug)]
struct Told {
    user: String,
    /// Steps answered with success: start, then transition, then identify.
    steps: usize,
    /// A further step was sent, and nobody knows what became of it.
    in_flight: bool,
}

/// Steps until the edge is gone.
fn drive(client: &Client, uid: &str, prefix: &str, told: &Mutex<Vec<Told>>, acked: &AtomicUsize) {
    for user in 0.. {
        let user = format!("{prefix}-{user}");
        let subject = json!({"user": user});
        let transition = format!("/v1/blocks/{uid}/transition");
        let steps = [
            (
                "/v1/flows/announcement/start",
                json!({"subject": subject, "version": 1}),
            ),
            (
                transition.as_str(),
                json!({"subject": subject, "version": 1, "transitions": ["complete"]}),
            ),
            (
                "/v1/identify",
                json!({"identifier": user, "properties": {"seen": true}}),
            ),
        ];
        let mut own = Told {
            user,
            steps: 0,
            in_flight: false,
        };
        for (path, body) in steps {
            match client.send(Method::POST, path, &[], Some(body.to_string())) {
                Ok(answer) if answer.status == 200 => {
                    own.steps += 1;
                    acked.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => panic!("a step was refused: {} {}", answer.status, answer.text),
                Err(_) => {
                    own.in_flight = true;
                    break;
                }
            }
        }
        let gone = own.in_flight;
        told.lock().expect("no client panicked").push(own);
        if gone {
            return;
        }
    }
}

/// Clients on their own threads.
fn load(
    edge: &Edge,
    uid: &str,
    round: usize,
    told: &Arc<Mutex<Vec<Told>>>,
    acked: &Arc<AtomicUsize>,
) -> Vec<JoinHandle<()>> {
    (0..CLIENTS)
        .map(|number| {
            let (client, uid) = (edge.client("server"), uid.to_owned());
            let (told, acked) = (told.clone(), acked.clone());
            let prefix = format!("r{round}-c{number}");
            std::thread::spawn(move || drive(&client, &uid, &prefix, &told, &acked))
        })
        .collect()
}

/// The edge's answer has every step that was answered. Asking starts nothing.
fn check_at_edge(client: &Client, told: &Told) {
    let body = json!({"subject": {"user": told.user}, "flows": {"announcement": 1},
        "include": ["blocks"]});
    let answer = body_of(&client.post("/v1/evaluate", &body), 200);
    let decision = &answer["decisions"]["announcement"];
    let card = &decision["blocks"][0];
    if told.steps >= 1 {
        assert_eq!(decision["state"]["started"], true, "{told:?}: {answer}");
    }
    if told.steps >= 2 {
        assert_eq!(card["state"]["exited"], true, "{told:?}: {answer}");
        let thanks = &decision["blocks"][1];
        assert_eq!(thanks["state"]["active"], true, "{told:?}: {answer}");
    }
}

/// The ledger has what was answered, each record once.
fn check_at_ledger(document: &Value, told: &Told) {
    let applied = document["doc_rev"].as_u64().unwrap_or_default();
    let steps = told.steps as u64;
    let most = steps + u64::from(told.in_flight);
    // Each applied record raises the document by one: more would be twice.
    assert!(
        (steps..=most).contains(&applied),
        "{told:?} has {applied} records: {document}"
    );
    if told.steps >= 2 {
        let flow = &document["flows"][0];
        assert_eq!(flow["started"], true, "{told:?}: {document}");
        assert_eq!(flow["generation"], 0, "{told:?}: {document}");
    }
    if told.steps >= 3 {
        assert_eq!(document["properties"]["seen"], true, "{told:?}: {document}");
    }
}

#[test]
fn no_answered_step_is_lost_or_doubled_by_kill_9() {
    let begun = Instant::now();
    let mut site = Site::start();
    let uid = site.card();
    let mut everything: Vec<Told> = Vec::new();
    for round in 0..ROUNDS {
        let told = Arc::default();
        let acked = Arc::new(AtomicUsize::new(0));
        let clients = load(&site.edge, &uid, round, &told, &acked);
        // Another number of steps each round, so that kills fall everywhere.
        let wanted = 8 + round * 7 % 23;
        eventually("enough steps were answered", || {
            (acked.load(Ordering::Relaxed) >= wanted).then_some(())
        });
        site.edge.program.kill();
        for client in clients {
            client.join().expect("a client");
        }
        let folder = site.path().to_owned();
        site.edge.restart(&folder);
        site.edge.ready();
        let told = std::mem::take(&mut *told.lock().expect("no client panicked"));
        let client = site.edge.client("server");
        for told in &told {
            check_at_edge(&client, told);
        }
        everything.extend(told);
    }
    eventually("everything is shipped", || {
        let progress = &site.status()["progress"];
        let done = progress["backlog_records"] == 0 && progress["journals_open"] == 0;
        done.then_some(())
    });
    let shipped = &site.status()["progress"]["shipped"];
    assert_eq!(shipped["dead"], 0, "{shipped}");
    let ledger = site.store.admin();
    for told in &everything {
        let path = format!("/admin/v1/users/{}?environment=development", told.user);
        check_at_ledger(&body_of(&ledger.get(&path), 200), told);
    }
    let answered: usize = everything.iter().map(|told| told.steps).sum();
    let open = everything.iter().filter(|told| told.in_flight).count();
    println!(
        "{ROUNDS} rounds in {:?}: {answered} steps of {} users were answered and found once, \
         {open} were under way when the edge was killed",
        begun.elapsed(),
        everything.len()
    );
    println!("figures: kills {ROUNDS}");
    println!("figures: kills, steps answered and found once {answered}");
    assert!(answered >= ROUNDS * 8 && open > 0);
}

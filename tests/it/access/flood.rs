//! What does an edge give up when more comes than it can work off?
//!
//! A bounded flood from a few hundred connections against one worker, with
//! every kind of work in it. What was given up is read from the counters while
//! it goes on: everything up to evaluations from memory, and never health.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Client, Site, eventually};

/// In the order in which they are given up.
const CLASSES: [&str; 5] = ["connections", "lists", "uncached", "evaluations", "writes"];

/// Connections of each kind of work.
const EACH: usize = 60;

/// Requests sent at once on each.
const AHEAD: usize = 8;

/// How many of them one worker is certainly made to give up.
const FIRST: usize = 4;

/// Longer than the flood ever needs; it ends when it has shown everything.
const LONGEST: Duration = Duration::from_secs(120);

/// One kind of work: how a request of it is written, given a number.
type Work = Arc<dyn Fn(u64) -> String + Send + Sync>;

fn post(key: &str, path: &str, body: &serde_json::Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: edge\r\nx-api-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn works(site: &Site) -> [Work; 4] {
    let key = |kind| site.edge.key(kind);
    let (server, blocks, users) = (key("server"), key("blocks"), key("users"));
    let of = blocks.clone();
    let evaluate = |key: &str, user: &str| {
        let body = json!({"subject": {"user": user}, "flows": {"announcement": null}});
        post(key, "/v1/evaluate", &body)
    };
    [
        Arc::new(move |_| {
            let body = json!({"subject": {"user": "known"}, "flow": "announcement"});
            post(&server, "/v1/explain", &body)
        }),
        Arc::new(move |number| evaluate(&of, &format!("new-{number}"))),
        Arc::new(move |_| evaluate(&blocks, "known")),
        Arc::new(move |number| {
            let body = json!({"identifier": format!("known-{}", number % 100)});
            post(&users, "/v1/identify", &body)
        }),
    ]
}

/// Sends without pause until told to stop; what comes back is only read.
async fn flood(address: String, work: Work, numbers: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let mut answers = vec![0; 64 * 1024];
    'again: while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(&address).await else {
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            let requests: String = (0..AHEAD)
                .map(|_| work(numbers.fetch_add(1, Ordering::Relaxed)))
                .collect();
            if stream.write_all(requests.as_bytes()).await.is_err() {
                continue 'again;
            }
            match stream.read(&mut answers).await {
                Ok(0) | Err(_) => continue 'again,
                Ok(_) => {}
            }
        }
    }
}

/// Opens connections, which is work of its own kind.
async fn knock(address: String, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        drop(TcpStream::connect(&address).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn counts(admin: &Client) -> [u64; 5] {
    let scrape = admin.get("/metrics").text;
    CLASSES.map(|class| {
        let name = format!("flowgate_shed_total{{class=\"{class}\"}} ");
        let line = scrape.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|value| value.parse().ok()).unwrap_or(0)
    })
}

#[test]
fn a_flood_costs_the_least_important_work_first_and_never_health() {
    let site = Site::start_with(&["--workers", "1", "--queue-ms-max", "4"]);
    let known = json!({"subject": {"user": "known"}, "flows": {"announcement": null}});
    let client = site.edge.client("blocks");
    assert_eq!(client.post("/v1/evaluate", &known).status, 200);
    let admin = site.edge.admin();
    let url = site.edge.program.text("edge_url");
    let address = url.trim_start_matches("http://").to_owned();
    let (stop, numbers) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    for work in works(&site) {
        for _ in 0..EACH {
            let (numbers, stop) = (Arc::clone(&numbers), Arc::clone(&stop));
            drop(runtime.spawn(flood(address.clone(), work.clone(), numbers, stop)));
        }
    }
    drop(runtime.spawn(knock(address, Arc::clone(&stop))));

    let begun = Instant::now();
    let mut seen = [0; CLASSES.len()];
    // Which kind goes first is decided by one number and tested there; how soon
    // a refusal of each kind is counted depends on who happens to ask when.
    while seen[..FIRST].contains(&0) {
        assert!(
            begun.elapsed() < LONGEST,
            "not all were given up: {CLASSES:?} {seen:?}"
        );
        assert_eq!(admin.get("/health").status, 200);
        seen = counts(&admin);
    }
    stop.store(true, Ordering::Relaxed);
    runtime.shutdown_background();
    println!(
        "given up within {:?}: {CLASSES:?} {seen:?}",
        begun.elapsed()
    );
    eventually("the edge serves everything again", || {
        let answer = client.send(
            reqwest::Method::POST,
            "/v1/evaluate",
            &[],
            Some(known.to_string()),
        );
        answer.ok().filter(|answer| answer.status == 200)
    });
    let scrape = admin.get("/metrics").text;
    assert!(
        scrape.contains("flowgate_handler_panics_total{listener=\"edge\"} 0"),
        "{scrape}"
    );
}

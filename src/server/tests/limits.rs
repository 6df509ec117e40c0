//! What does a full edge still answer, and to whom?
//!
//! Requests are held by not sending their bodies, so that every place is
//! counted and nothing depends on time.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    harness::Harness,
    installation::{BLOCKS, SERVER, USERS},
};
use crate::server::LimitSettings;

/// Of them 12 for new connections, 14 for lists, 16 for evaluations that ask
/// the ledger, 18 for evaluations, all for steps; 15 for one key.
const PLACES: usize = 20;

/// A connection that asks one thing after the other.
struct Line(TcpStream);

impl Line {
    async fn open(edge: &Harness) -> Self {
        let stream = TcpStream::connect(edge.address())
            .await
            .expect("it listens");
        let mut line = Self(stream);
        // Only an answered request shows that the connection was taken.
        let known = evaluate("known");
        assert_eq!(line.ask(SERVER, "/v1/evaluate", &known).await.0, 200);
        line
    }

    /// Head and body in one write: whoever is refused before the body is there
    /// loses the connection.
    async fn send(&mut self, key: &str, path: &str, length: usize, body: &str) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: edge\r\nx-api-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.0.write_all(head.as_bytes()).await.expect("it is sent");
    }

    /// Status, problem type and Retry-After of an answer.
    async fn ask(&mut self, key: &str, path: &str, body: &Value) -> (u16, String, String) {
        let body = body.to_string();
        self.send(key, path, body.len(), &body).await;
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let header = |name: &str| {
                    let found = head.lines().find_map(|line| line.strip_prefix(name));
                    found.unwrap_or_default().trim().to_owned()
                };
                let length: usize = header("content-length:").parse().unwrap_or(0);
                if body.len() >= length {
                    let kind = serde_json::from_str::<Value>(body).unwrap_or_default();
                    let kind = kind["type"].as_str().unwrap_or_default().to_owned();
                    let status = head[9..12].parse().expect("a status");
                    return (status, kind, header("retry-after:"));
                }
            }
            let read = self.0.read_buf(&mut bytes);
            let read = tokio::time::timeout(Duration::from_secs(20), read).await;
            assert_ne!(read.expect("it answers").expect("a read"), 0, "{text}");
        }
    }
}

fn evaluate(user: &str) -> Value {
    json!({"subject": {"user": user}, "flows": {"welcome": null}})
}

/// The requests under way, as a scrape sees them.
async fn in_flight(edge: &Harness, count: usize) {
    let line = format!("flowgate_requests_in_flight {count}\n");
    for _ in 0..2_000 {
        if edge
            .edge
            .metrics
            .encode()
            .expect("it encodes")
            .contains(&line)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("still not so: {line}");
}

#[tokio::test]
async fn a_full_edge_gives_up_one_kind_of_request_after_the_other() {
    let edge = Harness::limited(LimitSettings {
        in_flight_max: PLACES,
        queue_ms_max: 0,
        ..LimitSettings::default()
    });
    let mut lines = Vec::new();
    for _ in 0..PLACES {
        lines.push(Line::open(&edge).await);
    }
    let mut free = Line::open(&edge).await;
    let explain = json!({"subject": {"user": "known"}, "flow": "welcome"});
    let step = json!({"subject": {"user": "known"}, "version": 1});
    assert_eq!(
        free.ask(BLOCKS, "/v1/evaluate", &evaluate("known")).await.0,
        200
    );

    let mut held = 0;
    // Until so many places are in use, by a key that has its share.
    let mut hold = async |upto: usize, key| {
        for line in &mut lines[held..upto] {
            line.send(key, "/v1/identify", 10, "").await;
        }
        held = upto;
        in_flight(&edge, upto).await;
    };
    hold(11, USERS).await;
    drop(Line::open(&edge).await);
    hold(12, USERS).await;
    let mut late = TcpStream::connect(edge.address())
        .await
        .expect("it is accepted");
    let mut nothing = Vec::new();
    // Closed at once: nothing was asked, and nothing comes.
    drop(late.read_to_end(&mut nothing).await);
    assert!(nothing.is_empty());
    assert_eq!(free.ask(SERVER, "/v1/explain", &explain).await.0, 200);

    hold(14, USERS).await;
    let refused = |status, kind: &str| (status, format!("urn:flowgate:problem:{kind}"));
    let (status, kind, retry) = free.ask(SERVER, "/v1/explain", &explain).await;
    assert_eq!((status, kind), refused(503, "places"));
    assert!(
        (1..=4).contains(&retry.parse::<u32>().expect("an integer")),
        "{retry}"
    );
    assert_eq!(
        free.ask(BLOCKS, "/v1/evaluate", &evaluate("new")).await.0,
        200
    );

    hold(15, USERS).await;
    let user = json!({"identifier": "one-more"});
    let (status, kind, retry) = free.ask(USERS, "/v1/identify", &user).await;
    assert_eq!(
        (status, kind),
        refused(429, "key-places"),
        "it has its share"
    );
    assert!(retry.parse::<u32>().is_ok(), "{retry}");

    hold(16, SERVER).await;
    let (status, kind, _) = free.ask(BLOCKS, "/v1/evaluate", &evaluate("newer")).await;
    assert_eq!((status, kind), refused(503, "places"));
    assert_eq!(
        free.ask(BLOCKS, "/v1/evaluate", &evaluate("known")).await.0,
        200
    );

    hold(18, SERVER).await;
    let (status, kind, _) = free.ask(BLOCKS, "/v1/evaluate", &evaluate("known")).await;
    assert_eq!((status, kind), refused(503, "places"));
    let path = "/v1/flows/welcome/start";
    assert_eq!(free.ask(BLOCKS, path, &step).await.0, 200);

    hold(20, SERVER).await;
    let (status, kind, _) = free.ask(BLOCKS, path, &step).await;
    assert_eq!((status, kind), refused(503, "places"));
    let scrape = edge.edge.metrics.encode().expect("it encodes");
    for class in ["connections", "lists", "uncached", "evaluations", "writes"] {
        let line = format!("flowgate_shed_total{{class=\"{class}\"}} 1");
        assert!(scrape.contains(&line), "{line} is missing in\n{scrape}");
    }
    // Whoever goes away gives the place back, also without an answer.
    drop(lines);
    in_flight(&edge, 0).await;
    assert_eq!(free.ask(SERVER, "/v1/explain", &explain).await.0, 200);
    drop(Line::open(&edge).await);
}

//! The plumbing against raw sockets: what bytes lead to which answer, and who
//! is cut when.

mod multiplexed;
mod secure;

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};

use super::server::HANDOVER_MAX;
use super::*;
use crate::telemetry::metrics::Metrics;

/// Answers with the body it got; some paths do worse.
struct Echo {
    waiting: Arc<Notify>,
    go_on: Arc<Notify>,
    blocked: Arc<AtomicBool>,
}

impl Service for Echo {
    type Memory = ();

    fn connected(&self, _: SocketAddr) {}

    async fn call(self: Rc<Self>, _: Rc<()>, request: Request) -> Answer {
        match request.uri().path() {
            "/client" => {
                let client = request.body().client().to_string();
                json_bytes(StatusCode::OK, "text/plain", client)
            }
            "/stream" => {
                let (sender, pieces) = tokio::sync::mpsc::channel(1);
                sender.send("first".into()).await.expect("there is room");
                // It ends when the plumbing ends it.
                drop(tokio::task::spawn_local(
                    async move { sender.closed().await },
                ));
                hyper::Response::new(AnswerBody::stream(pieces))
            }
            "/panic" => panic!("on purpose"),
            // Keeps the worker's thread itself from doing anything else.
            "/block" => {
                while self.blocked.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                empty(StatusCode::NO_CONTENT)
            }
            "/big" => json_bytes(StatusCode::OK, "text/plain", vec![b'x'; 32 << 20]),
            "/wait" => {
                self.waiting.notify_one();
                self.go_on.notified().await;
                empty(StatusCode::NO_CONTENT)
            }
            _ => match request.into_body().read(100).await {
                Ok(body) => json_bytes(StatusCode::OK, "text/plain", body),
                Err(error) => problem(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "invalid_request_error",
                    &error.to_string(),
                ),
            },
        }
    }
}

struct Harness {
    server: Server,
    metrics: Metrics,
    waiting: Arc<Notify>,
    go_on: Arc<Notify>,
    blocked: Arc<AtomicBool>,
}

impl Harness {
    fn start(deadlines: Deadlines) -> Self {
        Self::with(deadlines, 10)
    }

    fn with(deadlines: Deadlines, connections_max: usize) -> Self {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        Self::on(listener, deadlines, connections_max)
    }

    fn on(listener: Listener, deadlines: Deadlines, connections_max: usize) -> Self {
        let metrics = Metrics::new();
        let options = Options {
            name: "test",
            workers: NonZeroUsize::new(2).expect("two"),
            connections_max,
            connections_per_address_max: connections_max,
            deadlines,
        };
        let (waiting, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (waits, goes) = (Arc::clone(&waiting), Arc::clone(&go_on));
        let blocked = Arc::new(AtomicBool::new(true));
        let blocks = Arc::clone(&blocked);
        let server = serve(listener, options, &metrics, move |_| Echo {
            waiting: Arc::clone(&waits),
            go_on: Arc::clone(&goes),
            blocked: Arc::clone(&blocks),
        });
        Self {
            server: server.expect("threads start"),
            metrics,
            waiting,
            go_on,
            blocked,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.address())
            .await
            .expect("it listens")
    }

    /// Sends bytes and reads until the server closes. The client's side stays
    /// open: a half-closed connection counts as gone.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.expect("it is sent");
        read_all(&mut stream).await
    }

    fn counts(&self, line: &str) -> bool {
        self.metrics.encode().expect("it encodes").contains(line)
    }
}

async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    // A reset after the answer ends the reading as well as a clean close.
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("closed")
}

/// Deadlines that end a test soon.
fn short() -> Deadlines {
    Deadlines {
        tick: Duration::from_millis(20),
        head: Duration::from_millis(200),
        body: Duration::from_millis(200),
        write: Duration::from_millis(200),
        idle: Duration::from_millis(400),
        ..Deadlines::default()
    }
}

#[tokio::test]
async fn every_ambiguous_head_is_refused() {
    let harness = Harness::start(Deadlines::default());
    let long = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "y".repeat(16_500)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: y\r\n".repeat(crate::limits::HEADERS_MAX)
    );
    let cases = [
        (
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "200",
        ),
        (
            "GET http://A/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "200",
        ),
        ("GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
        ("GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", "400"),
        (
            "GET / HTTP/1.1\r\nhost: [::1]:80\r\nconnection: close\r\n\r\n",
            "200",
        ),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\n\r\n", "400"),
        ("GET / HTTP/1.1\nhost: a\n\n", "400"),
        ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\n b\r\n\r\n", "400"),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            "400",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\na",
            "400",
        ),
        ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", "405"),
        ("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", "405"),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\na",
            "415",
        ),
        (many.as_str(), "431"),
        (long.as_str(), "431"),
    ];
    for (request, expected) in cases {
        let answer = harness.exchange(request.as_bytes()).await;
        let start = &request[..request.len().min(120)];
        assert_eq!(
            status(&answer),
            expected,
            "{start:?} was answered {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_body_is_read_within_its_cap() {
    let harness = Harness::start(Deadlines::default());
    let post = |rest: &str| format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{rest}");
    let cases = [
        (post("content-length: 3\r\n\r\nabc"), "200", "abc"),
        (
            post("transfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
            "200",
            "abc",
        ),
        (
            post("content-length: 101\r\n\r\n"),
            "413",
            "longer than 100",
        ),
        (
            post(&format!(
                "transfer-encoding: chunked\r\n\r\n65\r\n{}\r\n0\r\n\r\n",
                "x".repeat(101)
            )),
            "413",
            "longer than 100",
        ),
    ];
    for (request, expected, text) in cases {
        let answer = harness.exchange(request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{request:?}");
        assert!(answer.contains(text), "{answer}");
    }
}

#[tokio::test]
async fn a_slow_head_is_cut_even_when_bytes_keep_coming() {
    let harness = Harness::start(short());
    let mut stream = harness.connect().await;
    let drip = async {
        for byte in b"GET / HTTP/1.1\r\nx: ".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), drip)
        .await
        .expect("the connection is cut");
    assert!(harness.counts("flowgate_connections_reaped_total{listener=\"test\",why=\"head\"} 1"));
}

#[tokio::test]
async fn a_slow_body_and_an_idle_connection_are_cut() {
    let harness = Harness::start(short());
    let mut slow = harness.connect().await;
    slow.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc")
        .await
        .expect("it is sent");
    assert_eq!(status(&read_all(&mut slow).await), "closed");
    assert!(harness.counts("why=\"body\"} 1"));

    let mut idle = harness.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("it is sent");
    assert_eq!(status(&read_all(&mut idle).await), "200");
    assert!(harness.counts("why=\"idle\"} 1"));
}

#[tokio::test]
async fn a_reader_that_stalls_is_cut() {
    let harness = Harness::start(short());
    let mut stream = harness.connect().await;
    stream
        .write_all(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("it is sent");
    // Nothing is read until the reaper has acted; then the rest is missing.
    let line = "flowgate_connections_reaped_total{listener=\"test\",why=\"write\"} 1";
    let reaped = async {
        while !harness.counts(line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reaped)
        .await
        .expect("the connection is cut");
    assert!(read_all(&mut stream).await.len() < 32 << 20);
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let harness = Harness::start(Deadlines::default());
    let requests = b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = harness.exchange(requests).await;
    assert_eq!(status(&answer), "500");
    assert!(answer.contains("internal_server_error"));
    assert!(answer.contains("HTTP/1.1 200 OK"), "the next one is served");
    assert!(harness.counts("flowgate_handler_panics_total{listener=\"test\"} 1"));
}

#[tokio::test]
async fn connections_above_the_cap_are_closed() {
    let harness = Harness::with(Deadlines::default(), 1);
    let mut first = harness.connect().await;
    first
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("it is sent");
    let mut some = [0; 12];
    first.read_exact(&mut some).await.expect("it is answered");
    let mut second = harness.connect().await;
    assert_eq!(read_all(&mut second).await, "");
    assert!(harness.counts("flowgate_connections_refused_total{listener=\"test\"} 1"));
}

#[tokio::test]
async fn a_burst_that_no_worker_has_room_for_waits_and_is_served() {
    // Before, whatever came while the workers' queues were full was reset.
    const BURST: usize = 2 * HANDOVER_MAX + 20;
    let harness = Harness::with(Deadlines::default(), BURST + 2);
    let asked = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let mut all = Vec::new();
    for path in ["/block", "/block"].into_iter().chain([""; BURST]) {
        let mut stream = harness.connect().await;
        let path = if path.is_empty() { "/" } else { path };
        let sent = stream.write_all(asked(path).as_bytes()).await;
        sent.expect("it is sent");
        all.push(stream);
    }
    harness.blocked.store(false, Ordering::SeqCst);
    for mut stream in all {
        assert!(["200", "204"].contains(&status(&read_all(&mut stream).await)));
    }
    assert!(harness.counts("flowgate_connections_refused_total{listener=\"test\"} 0"));
}

#[tokio::test]
async fn draining_finishes_what_runs_and_closes_what_idles() {
    let harness = Harness::start(Deadlines::default());
    let mut busy = harness.connect().await;
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("it is sent");
    harness.waiting.notified().await;
    let mut idle = harness.connect().await;
    let address = harness.server.address();
    let (drained, idle_ends, ()) = tokio::join!(
        harness.server.drain(Duration::from_secs(20)),
        read_all(&mut idle),
        async {
            // The idle one is closed while the busy one still runs.
            harness.go_on.notify_one();
        }
    );
    let () = drained;
    assert_eq!(idle_ends, "");
    assert_eq!(status(&read_all(&mut busy).await), "204");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn draining_ends_at_its_deadline() {
    let harness = Harness::start(Deadlines::default());
    let mut stuck = harness.connect().await;
    stuck
        .write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("it is sent");
    harness.waiting.notified().await;
    harness.server.drain(Duration::from_millis(50)).await;
    assert_eq!(read_all(&mut stuck).await, "");
}

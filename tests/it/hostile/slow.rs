//! What do those cost who come and then take their time?
//!
//! Heads, bodies and answers that hardly move, and as many connections as a
//! process may have open that never say what they want. Each is cut by the
//! deadline that is named for it in the metrics, and the clients beside them
//! are answered all the time.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::{DEADLINE, Site, eventually};

/// Connections that say half of something.
const HALF_OPEN: u64 = 10_000;

/// Descriptors of everything else in this process and in the edge.
const OTHER_DESCRIPTORS: u64 = 2_000;

/// Of each kind of slow ones.
const EACH: usize = 20;

/// Whatever goes on: no refusal for want of time is asked about here.
const PATIENT: &[&str] = &["--queue-ms-max", "0"];

fn connect(site: &Site) -> TcpStream {
    let url = site.edge.program.text("edge_url");
    let address = url.trim_start_matches("http://");
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// What the edge has cut, by why.
fn reaped(site: &Site, why: &str) -> u64 {
    let metrics = site.edge.admin().get("/metrics").text;
    let name = format!("flowgate_connections_reaped_total{{listener=\"edge\",why=\"{why}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Who asks all the time, once on a new connection and once on the same one.
struct Good {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(u32, Duration)>,
}

impl Good {
    fn begin(site: &Site) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let (url, key) = (site.edge.program.text("edge_url"), site.edge.key("blocks"));
        let asking = std::thread::spawn(move || {
            let path = "/v2/flow/announcement?version=1&userIdentifier=reader";
            let kept = crate::harness::Client::new(&url, &key);
            let (mut count, mut longest) = (0, Duration::ZERO);
            while !told.load(Ordering::Relaxed) {
                let fresh = crate::harness::Client::new(&url, &key);
                for client in [&kept, &fresh] {
                    let begun = Instant::now();
                    let answer = client.get(path);
                    assert_eq!(answer.status, 200, "{}", answer.text);
                    longest = longest.max(begun.elapsed());
                    count += 1;
                }
            }
            (count, longest)
        });
        Self { stop, asking }
    }

    /// All of them were answered.
    #[track_caller]
    fn end(self, beside: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let (count, longest) = self.asking.join().expect("every one is answered");
        println!("{count} good requests beside {beside}, the longest took {longest:?}");
        assert!(count > 0);
    }
}

/// Reads to the end of a connection: everything that came.
fn ended(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset ends it as a clean close does.
    drop(stream.read_to_end(&mut answer));
    answer
}

/// Sends a little of something every now and then until nobody takes it.
fn dripped(mut stream: TcpStream, first: &str, drop_of: &'static str) -> JoinHandle<Vec<u8>> {
    stream.write_all(first.as_bytes()).expect("it is sent");
    std::thread::spawn(move || {
        let begun = Instant::now();
        while stream.write_all(drop_of.as_bytes()).is_ok() {
            assert!(begun.elapsed() < DEADLINE, "it is never cut");
            std::thread::sleep(Duration::from_millis(200));
        }
        ended(stream)
    })
}

#[test]
fn slow_heads_bodies_and_readers_are_cut_and_cost_nobody_else() {
    let site = Site::start_with(PATIENT);
    let good = Good::begin(&site);
    let key = site.edge.key("blocks");
    let body = format!(
        "POST /v1/evaluate HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: 60000\r\n\r\n{{"
    );
    let heads: Vec<_> = (0..EACH)
        .map(|_| dripped(connect(&site), "GET / HTTP/1.1\r\nx: ", "y"))
        .collect();
    let bodies: Vec<_> = (0..EACH)
        .map(|_| dripped(connect(&site), &body, " "))
        .collect();
    // More answers than all buffers on the way hold, and nobody reads them.
    let question = "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(500);
    let readers: Vec<_> = (0..EACH)
        .map(|_| {
            let mut stream = connect(&site);
            stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
            // It may be cut before it has asked everything.
            drop(stream.write_all(question.as_bytes()));
            stream
        })
        .collect();
    for slow in heads.into_iter().chain(bodies) {
        let answer = slow.join().expect("it is cut");
        assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    }
    let each = EACH as u64;
    for why in ["head", "body", "write"] {
        eventually(why, || (reaped(&site, why) >= each).then_some(()));
    }
    for reader in readers {
        ended(reader);
    }
    good.end("slow heads, bodies and readers");
}

/// As many connections as there may be beside everything else.
fn affordable() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // What this process may have open, the edge that it starts may as well.
    setrlimit(Resource::Nofile, raised).expect("up to the maximum");
    HALF_OPEN.min(most.saturating_sub(OTHER_DESCRIPTORS))
}

#[test]
fn ten_thousand_half_open_connections_cost_nobody_else() {
    let count = affordable();
    println!("{count} half-open connections, of {HALF_OPEN}");
    assert!(count > 0, "this process may open nothing");
    let site = Site::start_with(PATIENT);
    let good = Good::begin(&site);
    let mut half: Vec<TcpStream> = Vec::new();
    for number in 0..count {
        let mut stream = connect(&site);
        // A third says nothing at all, and some of a request line or of a head.
        let said = ["", "GET /v2/flow", "GET / HTTP/1.1\r\nhost: x\r\n"];
        let said = said[(number % 3) as usize];
        stream.write_all(said.as_bytes()).expect("it is sent");
        half.push(stream);
    }
    for stream in half {
        let answer = ended(stream);
        assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    }
    let cut = reaped(&site, "head");
    assert!(
        cut >= count,
        "{cut} were cut by the deadline; {}",
        site.edge.admin().get("/metrics").text
    );
    good.end("the half-open ones");
}

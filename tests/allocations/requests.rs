//! How many allocations does a request about flags take?
//!
//! The real service behind the real listener, wrapped in one that counts what
//! its worker allocates while it answers. What a request takes is what its head
//! and context take: the number of flags is no part of it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    num::NonZeroUsize,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flowgate::{
    clock::Ambient,
    current::{Current, Freshness},
    disk::{
        journal::{Durability, Journal, JournalOptions},
        memory::MemoryDisk,
    },
    http::{self, Answer, Deadlines, Listener, Options, Request, Service},
    progress::{OnUnknownSubject, Progress, ProgressOptions},
    server::{
        Changes, ChangesOptions, Edge, EdgeService, LimitSettings, Limits, Origins, SegmentSecrets,
        SocketOptions, Sockets,
    },
    snapshot::{
        Revision, Snapshot,
        flags::{FlagToken, Flags, FlagsDocument},
    },
    telemetry::metrics::Metrics,
    upstream::NoLedger,
};
use serde_json::{Value, json};

use super::ALLOCATIONS;

const TOKEN: &str = "*:production.a-token-of-the-test";

/// What a request may take: 25 are a context of six fields, the tag, the headers
/// and the body; a few more are no reason to look.
const EXPECTED_MAX: usize = 32;

/// The service, and what its last request took.
struct Counted {
    service: Rc<EdgeService>,
    last: Arc<AtomicUsize>,
}

impl Service for Counted {
    type Memory = Rc<<EdgeService as Service>::Memory>;

    fn connected(&self, peer: SocketAddr) -> Self::Memory {
        Rc::new(self.service.connected(peer))
    }

    async fn call(self: Rc<Self>, memory: Rc<Self::Memory>, request: Request) -> Answer {
        let before = ALLOCATIONS.get();
        let service = Rc::clone(&self.service);
        // Nothing is waited for: other work of the worker does not count.
        let answer = pin!(service.call(Rc::clone(&memory), request)).await;
        let taken = ALLOCATIONS.get() - before;
        self.last.store(taken, Ordering::Release);
        answer
    }
}

#[test]
fn a_request_takes_as_much_for_a_thousand_flags_as_for_ten() {
    let few = Counting::of(10);
    let many = Counting::of(1_000);
    for path in [
        "/api/frontend",
        "/api/frontend/all",
        "/api/frontend/features/flag-7",
    ] {
        let [few, many] = [&few, &many].map(|one| one.taken(path, ""));
        assert_eq!(few, many, "{path}");
        let (status, taken) = many;
        assert_eq!(status, 200, "{path}");
        assert!((1..=EXPECTED_MAX).contains(&taken), "{path}: {taken}");
    }
    // Who has the answer takes less.
    let tag = many.tag("/api/frontend");
    let header = format!("if-none-match: {tag}\r\n");
    let (status, again) = many.taken("/api/frontend", &header);
    assert_eq!(status, 304);
    let (_, whole) = many.taken("/api/frontend", "");
    assert!(again < whole, "{again} of {whole}");
}

/// An edge that counts.
struct Counting {
    address: SocketAddr,
    last: Arc<AtomicUsize>,
    // It stops when it is dropped.
    _server: http::Server,
}

impl Counting {
    fn of(flags: usize) -> Self {
        let current = Arc::new(Current::default());
        let freshness = Freshness {
            issued_ms: 0,
            fresh_until_ms: u64::MAX,
            expires_ms: u64::MAX,
        };
        drop(current.publish(Arc::new(snapshot(flags)), freshness));
        let edge = edge(current);
        let metrics = edge.metrics.clone();
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = listener.address();
        let options = Options {
            name: "edge",
            workers: NonZeroUsize::MIN,
            connections_max: 16,
            connections_per_address_max: 16,
            deadlines: Deadlines::default(),
        };
        let last = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&last);
        let server = http::serve(listener, options, &metrics, move |_| Counted {
            service: Rc::new(edge.service()),
            last: Arc::clone(&counted),
        });
        Self {
            address,
            last,
            _server: server.expect("threads start"),
        }
    }

    /// Status and allocations of a request, when nothing is asked for the first
    /// time any more.
    fn taken(&self, path: &str, header: &str) -> (u16, usize) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let mut status = 0;
        for _ in 0..3 {
            let head = ask(&mut stream, path, header);
            status = head[9..12].parse().expect("a status");
        }
        (status, self.last.load(Ordering::Acquire))
    }

    fn tag(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let head = ask(&mut stream, path, "");
        let mut lines = head.lines();
        let tag = lines.find_map(|line| line.strip_prefix("etag: "));
        tag.expect("a tag").to_owned()
    }
}

/// One request, answered in full; the head of the answer.
fn ask(stream: &mut TcpStream, path: &str, header: &str) -> String {
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a socket option");
    let request = format!(
        "GET {path}?userId=ann&sessionId=7&appName=shop&properties[plan]=pro&properties[age]=7&x=1 \
         HTTP/1.1\r\nhost: a\r\nauthorization: {TOKEN}\r\n{header}\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it is sent");
    let (mut answer, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&answer[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let value = line.strip_prefix("content-length: ")?;
                value.parse::<usize>().ok()
            });
            if answer.len() >= end + 4 + length.unwrap_or(0) {
                return head;
            }
        }
        let length = stream.read(&mut chunk).expect("an answer");
        assert!(length > 0, "it goes on");
        answer.extend_from_slice(&chunk[..length]);
    }
}

fn edge(current: Arc<Current>) -> Edge {
    let ambient = Ambient::system();
    let changes = ChangesOptions {
        streams_max: 1,
        streams_per_key_max: 1,
        ticket_life: Duration::ZERO,
        ticket_secret: None,
    };
    Edge {
        current,
        progress: no_progress(&ambient),
        changes: Changes::new(changes, &ambient),
        sockets: Sockets::new(SocketOptions::default()),
        ambient,
        samples: None,
        metrics: Metrics::new(),
        origins: Origins::Any,
        limits: Limits::new(LimitSettings::default(), NonZeroUsize::MIN),
        distribution: None,
        traces_per_million: None,
        segment: SegmentSecrets::default(),
        usage: flowgate::usage::Intake::closed(),
    }
}

/// Nobody takes a step here.
fn no_progress(ambient: &Ambient) -> Progress {
    const SEGMENT_BYTES: u64 = 16 * 1024;
    let options = JournalOptions {
        folder: "/journal".into(),
        segment_bytes: SEGMENT_BYTES,
        total_bytes_max: 2 * SEGMENT_BYTES,
        owners: 1,
        owner_bytes_max: SEGMENT_BYTES,
        durability: Durability::Memory,
    };
    let opened = Journal::open(Arc::new(MemoryDisk::new(0)), options, ambient);
    let (journal, ..) = opened.expect("a journal");
    let options = ProgressOptions {
        users_max: 1,
        resident_max: 1,
        records_max: 1,
        on_unknown: OnUnknownSubject::Refuse,
        edge: "edge".to_owned(),
        environments: Vec::new(),
    };
    Progress::new(journal, Arc::new(NoLedger), options).0
}

fn snapshot(flags: usize) -> Snapshot {
    let flag = |at: usize| {
        let constraint =
            json!({"contextName": "plan", "operator": "IN", "values": ["pro", "team"]});
        let parameters = json!({"rollout": "50", "stickiness": "default", "groupId": "g"});
        let variants = json!([{"name": "blue", "weight": 1}, {"name": "green", "weight": 1}]);
        json!({"name": format!("flag-{at}"), "enabled": true, "strategies": [
            {"name": "flexibleRollout", "parameters": parameters, "constraints": [constraint],
             "segments": [1], "variants": variants},
            {"name": "userWithId", "parameters": {"userIds": "ann, bob"}}]})
    };
    let features: Vec<Value> = (0..flags).map(flag).collect();
    let constraint = json!({"contextName": "age", "operator": "NUM_GT", "value": "4"});
    let document =
        json!({"features": features, "segments": [{"id": 1, "constraints": [constraint]}]});
    let document = FlagsDocument::read(document.to_string().as_bytes()).expect("a document");
    let token = FlagToken::parse(TOKEN, "test").expect("a token");
    let revision = Revision {
        epoch: 0,
        number: 1,
    };
    let flags = Arc::new(Flags::compile(&document));
    Snapshot::of_unsigned_flags("production", revision, &flags, &[token])
}

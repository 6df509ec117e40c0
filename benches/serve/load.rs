//! Who asks?
//!
//! A closed loop where costs are asked for: a thread sends its next request
//! when the answer is in. An open one for latencies: what is due is due. The client is deliberately plain; its own CPU time
//! is not what is measured.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

/// Requests of one connection, sent in turn.
pub(crate) type Requests = Vec<Vec<u8>>;

/// Asks with each list on connections of its own, taken in turn, until the time
/// is up. Returns how many answers came, and in what time.
pub(crate) fn run(
    lanes: &mut [Vec<Connection>],
    requests: &[Requests],
    time: Duration,
) -> (u64, Duration) {
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (connections, list) in lanes.iter_mut().zip(requests) {
            let (stop, answers) = (&stop, &answers);
            scope.spawn(move || {
                let mut count = 0;
                for request in list.iter().cycle() {
                    if stop.load(Relaxed) {
                        break;
                    }
                    let turn = count as usize % connections.len();
                    connections[turn].ask(request);
                    count += 1;
                }
                // The next round goes on with who has waited longest.
                let turn = count as usize % connections.len();
                connections.rotate_left(turn);
                answers.fetch_add(count, Relaxed);
            });
        }
        std::thread::sleep(time);
        stop.store(true, Relaxed);
    });
    (answers.load(Relaxed), begun.elapsed())
}

/// Asks with each list on a connection of its own, so many times a second over
/// all of them, whatever became of earlier requests, and shows every answer.
/// Returns nanoseconds from when a request was due; what a timer woke a free
/// connection too late is not the server's and does not count.
pub(crate) fn paced(
    address: SocketAddr,
    requests: &[Requests],
    rate: f64,
    (time, show): (Duration, &(impl Fn(&[u8]) + Sync)),
) -> Histogram<u64> {
    let mut times = histogram();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let lanes: Vec<_> = requests
            .iter()
            .enumerate()
            .map(|(lane, list)| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address);
                    let mut times = histogram();
                    for (turn, request) in list.iter().cycle().enumerate() {
                        let number = (turn * requests.len() + lane) as f64;
                        let due = Duration::from_secs_f64(number / rate);
                        if due > time {
                            break;
                        }
                        let mut counted_from = begun + due;
                        if let Some(early) = due.checked_sub(begun.elapsed()) {
                            std::thread::sleep(early);
                            counted_from = Instant::now();
                        }
                        connection.ask(request);
                        times.saturating_record(counted_from.elapsed().as_nanos() as u64);
                        show(&connection.buffer);
                    }
                    times
                })
            })
            .collect();
        for lane in lanes {
            let own = lane.join().expect("it asks to the end");
            times.add(&own).expect("histograms of one kind");
        }
    });
    times
}

/// Up to a minute, in nanoseconds.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000_000, 3).expect("a histogram of these bounds")
}

/// Sends each request once and returns the last answer, head and body.
pub(crate) fn exchange(address: SocketAddr, requests: &[Vec<u8>]) -> Vec<u8> {
    let mut connection = Connection::open(address);
    for request in requests {
        connection.ask(request);
    }
    connection.buffer
}

/// A connection of its own for each of so many lists.
pub(crate) fn lanes(address: SocketAddr, lists: usize) -> Vec<Vec<Connection>> {
    let lane = || vec![Connection::open(address)];
    std::iter::repeat_with(lane).take(lists).collect()
}

pub(crate) struct Connection {
    stream: TcpStream,
    /// The last answer.
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket option");
        let patience = Some(Duration::from_secs(10));
        stream.set_read_timeout(patience).expect("a socket option");
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// One request and its whole answer; anything but a success ends the bench.
    pub(crate) fn ask(&mut self, request: &[u8]) {
        self.stream.write_all(request).expect("it is sent");
        self.buffer.clear();
        let mut chunk = [0; 16 * 1024];
        loop {
            let length = self.stream.read(&mut chunk).expect("an answer");
            assert!(length > 0, "the server closed the connection");
            self.buffer.extend_from_slice(&chunk[..length]);
            if self.is_complete() {
                break;
            }
        }
        let shown = String::from_utf8_lossy(&self.buffer);
        // A client that has the answer has been answered, too.
        let is_good = ["HTTP/1.1 2", "HTTP/1.1 304"]
            .iter()
            .any(|own| shown.starts_with(own));
        assert!(is_good, "{shown}");
    }

    fn is_complete(&self) -> bool {
        let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else { return false };
        let head = String::from_utf8_lossy(&self.buffer[..end]);
        let length = head.lines().find_map(|line| {
            let value = line.strip_prefix("content-length: ")?;
            value.parse::<usize>().ok()
        });
        self.buffer.len() >= end + 4 + length.unwrap_or(0)
    }
}

//! Who asks?
//!
//! A closed loop: one thread for each connection, the next request goes out
//! when the answer is in. The client is deliberately plain; its own CPU time
//! is not what is measured.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Requests of one connection, sent in turn.
pub(crate) type Requests = Vec<Vec<u8>>;

/// Asks on one connection for each list until the time is up. Returns how many
/// answers came, and in what time.
pub(crate) fn run(address: SocketAddr, requests: &[Requests], time: Duration) -> (u64, Duration) {
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for list in requests {
            let (stop, answers) = (&stop, &answers);
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                let mut count = 0;
                for request in list.iter().cycle() {
                    if stop.load(Relaxed) {
                        break;
                    }
                    connection.ask(request);
                    count += 1;
                }
                answers.fetch_add(count, Relaxed);
            });
        }
        std::thread::sleep(time);
        stop.store(true, Relaxed);
    });
    (answers.load(Relaxed), begun.elapsed())
}

/// Sends each request once and returns the last answer, head and body.
pub(crate) fn exchange(address: SocketAddr, requests: &[Vec<u8>]) -> Vec<u8> {
    let mut connection = Connection::open(address);
    for request in requests {
        connection.ask(request);
    }
    connection.buffer
}

/// CPU time the threads of a process have used, in nanoseconds. `stat` counts
/// the same in ticks of 10 ms, too coarse for short rounds.
pub(crate) fn cpu_ns(process: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process lives");
    threads
        .map(|thread| {
            let path = thread.expect("a thread").path().join("schedstat");
            let text = std::fs::read_to_string(path).expect("a thread of a server stays");
            let used = text.split(' ').next().and_then(|field| field.parse().ok());
            used.unwrap_or(0_u64)
        })
        .sum()
}

struct Connection {
    stream: TcpStream,
    /// The last answer.
    buffer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
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
    fn ask(&mut self, request: &[u8]) {
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
        assert!(self.buffer.starts_with(b"HTTP/1.1 2"), "{shown}");
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

//! What is an edge still good for when three or ten times more comes than it
//! can do?
//!
//! First as much as it answers when everybody waits for their answers: its
//! capacity, for a mix of new users' evaluations, known users' and steps. Then
//! multiples of that, due at their time whatever became of earlier ones, from
//! connections that send without waiting. Printed are the goodput as a share of
//! the capacity, how much of each kind was answered and refused, and how long
//! it took afterwards until everything was answered again; the rest was due and
//! never taken, because a connection was still full. Sender and edge share the
//! machine: what is sent is written in batches and counted without being read
//! closely, so that the sender does not become the limit.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{
    Server,
    load::Connection,
    requests::{evaluate, get_flow, to_and_fro},
};

/// Connections of each kind of work.
const CONNECTIONS: usize = 64;

/// Requests in one write.
const BATCH: usize = 16;

const CAPACITY_TIME: Duration = Duration::from_secs(3);
const OVERLOAD_TIME: Duration = Duration::from_secs(6);
const FACTORS: [f64; 2] = [3.0, 10.0];

/// Users who are in memory before anything is measured.
const KNOWN: usize = 1_000;

/// Answers in a row that count as recovered, and for how long they are awaited.
const RECOVERED: usize = 200;
const RECOVERY_MAX: Duration = Duration::from_secs(60);

/// A kind of work, and its requests by number.
type Kind = (&'static str, fn(usize) -> Vec<u8>);

/// Kinds of work, the first to be given up first.
const KINDS: [Kind; 3] = [
    ("new users", |number| evaluate(1_000_000 + number)),
    ("known users", |number| evaluate(number % KNOWN)),
    ("steps", |number| {
        to_and_fro(number / 2 % KNOWN).swap_remove(number % 2)
    }),
];

/// Answers that were counted.
#[derive(Clone, Copy, Default)]
struct Counts {
    due: u64,
    good: u64,
    refused: u64,
}

/// Measures and prints.
pub(super) fn measure() {
    let edge = Server::start("edge", &[]);
    let mut starting = Connection::open(edge.address);
    for user in 0..KNOWN {
        starting.ask(&get_flow(user, ""));
    }
    let capacity = offered(edge.address, None, CAPACITY_TIME);
    let rate = |counts: &[Counts; 3], time: Duration| {
        let good: u64 = counts.iter().map(|counts| counts.good).sum();
        good as f64 / time.as_secs_f64()
    };
    let most = rate(&capacity, CAPACITY_TIME);
    println!("capacity: {most:.0} answers a second of three kinds");
    print!("{:<10}{:>9}{:>10}", "offered", "goodput", "recovery");
    for (name, _) in KINDS {
        print!("{:>34}", format!("{name}: good, refused"));
    }
    println!();
    for factor in FACTORS {
        let counts = offered(edge.address, Some(most * factor), OVERLOAD_TIME);
        let recovery = recovery(edge.address);
        let goodput = rate(&counts, OVERLOAD_TIME) / most;
        print!(
            "{:<10}{goodput:>9.2}{:>10}",
            format!("{factor:.0} x"),
            format!("{} ms", recovery.as_millis())
        );
        for Counts { due, good, refused } in counts {
            let share = |count: u64| 100.0 * count as f64 / due.max(1) as f64;
            let shares = format!("{:.0} %, {:.0} %", share(good), share(refused));
            print!("{shares:>34}");
        }
        println!();
    }
}

/// Sends every kind for so long, at so many a second together or as fast as
/// answers come.
fn offered(address: SocketAddr, rate: Option<f64>, time: Duration) -> [Counts; 3] {
    std::thread::scope(|scope| {
        let each = rate.map(|rate| rate / KINDS.len() as f64);
        let sending =
            KINDS.map(|(_, request)| scope.spawn(move || send(address, request, each, time)));
        sending.map(|thread| thread.join().expect("it sends to the end"))
    })
}

/// One kind's share.
fn send(
    address: SocketAddr,
    request: fn(usize) -> Vec<u8>,
    rate: Option<f64>,
    time: Duration,
) -> Counts {
    let mut lanes: Vec<Lane> = (0..CONNECTIONS).map(|_| Lane::open(address)).collect();
    let (begun, mut counts, mut number, mut turn) = (Instant::now(), Counts::default(), 0, 0);
    while begun.elapsed() < time {
        let due = rate.map(|rate| (begun.elapsed().as_secs_f64() * rate) as u64);
        if let Some(due) = due {
            // What no connection takes was due all the same.
            while counts.due + BATCH as u64 <= due {
                counts.due += BATCH as u64;
                turn = (turn + 1) % lanes.len();
                lanes[turn].ask(request, &mut number);
            }
        }
        for lane in &mut lanes {
            if due.is_none() && lane.waiting == 0 {
                counts.due += BATCH as u64;
                lane.ask(request, &mut number);
            }
            lane.turn(address, &mut counts);
        }
        // What is due is counted by the clock; a loop that never rests would
        // take the processor from the edge.
        std::thread::sleep(Duration::from_millis(1));
    }
    counts
}

/// Until an edge that nothing more is asked of answers everything again.
fn recovery(address: SocketAddr) -> Duration {
    let begun = Instant::now();
    let mut row = 0;
    while row < RECOVERED && begun.elapsed() < RECOVERY_MAX {
        let mut lane = Lane::open(address);
        lane.unsent = evaluate(row % KNOWN);
        lane.waiting = 1;
        let mut counts = Counts::default();
        while lane.waiting > 0 && begun.elapsed() < RECOVERY_MAX {
            lane.turn(address, &mut counts);
        }
        row = if counts.good == 1 { row + 1 } else { 0 };
    }
    begun.elapsed()
}

/// A connection that neither side waits on.
struct Lane {
    stream: TcpStream,
    unsent: Vec<u8>,
    /// Requests without an answer.
    waiting: usize,
    /// The end of what was read, in which a status may have begun.
    tail: Vec<u8>,
}

/// How an answer begins, up to its status.
const BEGIN: &[u8] = b"HTTP/1.1 ";

impl Lane {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_nonblocking(true).expect("a socket option");
        Self {
            stream,
            unsent: Vec::new(),
            waiting: 0,
            tail: Vec::new(),
        }
    }

    /// Writes one more batch, unless the one before is not taken yet.
    fn ask(&mut self, request: fn(usize) -> Vec<u8>, number: &mut usize) {
        if !self.unsent.is_empty() {
            return;
        }
        for _ in 0..BATCH {
            self.unsent.extend(request(*number));
            *number += 1;
        }
        self.waiting += BATCH;
    }

    /// Sends and reads what goes without waiting. A connection that was closed
    /// on us is opened again, and what it owed is lost.
    fn turn(&mut self, address: SocketAddr, counts: &mut Counts) {
        let mut lost = match self.stream.write(&self.unsent) {
            Ok(sent) => {
                self.unsent.drain(..sent);
                false
            }
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        let mut chunk = [0; 64 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => lost = true,
            Ok(length) => self.count(&chunk[..length], counts),
            Err(error) => lost |= error.kind() != ErrorKind::WouldBlock,
        }
        if lost {
            *self = Self::open(address);
        }
    }

    fn count(&mut self, bytes: &[u8], counts: &mut Counts) {
        self.tail.extend_from_slice(bytes);
        let mut seen = 0;
        for at in memchr::memmem::find_iter(&self.tail, BEGIN) {
            let Some(status) = self.tail.get(at + BEGIN.len()..at + BEGIN.len() + 3) else {
                break;
            };
            match status {
                [b'2', ..] => counts.good += 1,
                _ => counts.refused += 1,
            }
            self.waiting = self.waiting.saturating_sub(1);
            seen = at + BEGIN.len() + 3;
        }
        // A status may stand across two reads; nothing longer has to be kept.
        let keep = self.tail.len().saturating_sub(BEGIN.len() + 2);
        self.tail.drain(..seen.max(keep));
    }
}

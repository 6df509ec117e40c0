//! What does a request cost the edge, as a multiple of a bare hyper server?
//!
//! `cargo bench --bench serve` starts two children of itself at a time: the
//! edge with a snapshot in memory, and the floor, which has the same runtime
//! shape, allocator and connection settings and answers the same bytes without
//! thinking. Both get the same requests in turn, over keep-alive connections,
//! as fast as they answer; compared is the CPU time of the server's process in
//! the cheapest of several rounds.
//! Goals are printed beside the figures and never asserted: the machine that
//! runs this is not the one they were set for. A word behind `--` asks another
//! question: `flags` (alone), `connections`, `overload`, `swap`, `memory`, `sockets` or
//! `instructions`.

// Printing is what a bench is for.
#![allow(clippy::print_stdout)]

mod connections;
mod count;
mod edge;
mod flags;
mod floor;
mod load;
#[path = "../shared/many.rs"]
mod many;
mod memory;
mod overload;
#[path = "../shared/process.rs"]
mod process;
mod requests;
mod sockets;
mod swap;
#[path = "../shared/world.rs"]
mod world;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use load::{Connection, Requests, exchange, lanes, run};
use process::cpu_ns;
use requests::{evaluate, get_flow, to_and_fro};
use tempfile::TempDir;
use world::Users;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Says which server a child is.
const ROLE: &str = "FLOWGATE_BENCH_ROLE";

/// Where it may keep files.
const FOLDER: &str = "FLOWGATE_BENCH_FOLDER";

/// One measurement; each question takes `ROUNDS` of them on either side.
const ROUND: Duration = Duration::from_millis(800);
const ROUNDS: usize = 6;

/// A question, and the ratio that is hoped for.
struct Question {
    name: &'static str,
    goal: f64,
    connections: usize,
    requests: fn(user: usize) -> Requests,
}

const QUESTIONS: [Question; 5] = [
    Question {
        name: "GET flow without blocks",
        goal: 1.15,
        connections: 16,
        requests: |user| vec![get_flow(user, "")],
    },
    Question {
        name: "GET flow with 5 blocks",
        goal: 1.25,
        connections: 16,
        requests: |user| vec![get_flow(user, "include=block&")],
    },
    Question {
        name: "POST /v1/evaluate",
        goal: 1.4,
        connections: 16,
        requests: |user| vec![evaluate(user)],
    },
    Question {
        name: "durable transition",
        goal: 2.5,
        connections: 64,
        requests: to_and_fro,
    },
    Question {
        name: "  on 256 connections",
        goal: 2.5,
        connections: 256,
        requests: to_and_fro,
    },
];

/// Users each connection asks for in turn.
const USERS_PER_CONNECTION: usize = 50;

fn main() {
    match std::env::var(ROLE).as_deref() {
        Ok("edge") => {
            return edge::serve(world::snapshot(17, Vec::new()), Users::UNKNOWN, edge::idle);
        }
        Ok("flags") => return flags::serve(),
        Ok("memory") => return memory::serve(),
        Ok("swap") => return swap::serve(),
        Ok("floor") => return floor::serve(),
        _ => {}
    }
    // Cargo adds flags of its own.
    let word = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    match word.as_deref() {
        None => {
            print_head();
            compare();
            flags::compare();
        }
        Some("flags") => {
            print_head();
            flags::compare();
        }
        Some("connections") => connections::measure(),
        Some("overload") => overload::measure(),
        Some("swap") => swap::measure(),
        Some("memory") => memory::measure(),
        Some("sockets") => sockets::measure(),
        Some("instructions") => count::count(),
        Some(other) => panic!("no question {other:?}; the head of this file has them"),
    }
}

fn print_head() {
    println!(
        "{:<26}{:>12}{:>12}{:>9}{:>8}{:>14}{:>14}",
        "CPU per request", "floor µs", "edge µs", "ratio", "goal", "floor req/s", "edge req/s"
    );
}

/// Microseconds of CPU per request and requests per second of both.
fn print_row(name: &str, floor: (f64, f64), edge: (f64, f64), goal: f64) {
    let ((floor_us, floor_rate), (edge_us, edge_rate)) = (floor, edge);
    println!(
        "{name:<26}{floor_us:>12.2}{edge_us:>12.2}{:>9.2}{goal:>8.2}{floor_rate:>14.0}{edge_rate:>14.0}",
        edge_us / floor_us,
    );
}

fn compare() {
    let edge = Server::start("edge", &[]);
    for question in &QUESTIONS {
        let requests = started(&edge, question.connections, question.requests);
        let model = exchange(edge.address, &requests[0][..1]);
        let floor = Server::start("floor", &model);
        let mut floor_best = (f64::MAX, 0.0);
        let mut edge_best = (f64::MAX, 0.0);
        for _ in 0..ROUNDS {
            for (server, best) in [(&floor, &mut floor_best), (&edge, &mut edge_best)] {
                let mut open = lanes(server.address, requests.len());
                keep_cheapest(best, measure(server, &mut open, &requests));
            }
        }
        print_row(question.name, floor_best, edge_best, question.goal);
    }
}

/// Everything that disturbs a round makes its requests dearer, so the cheapest
/// round is the one that says most.
fn keep_cheapest(best: &mut (f64, f64), round: (f64, f64)) {
    if round.0 < best.0 {
        *best = round;
    }
}

/// What so many connections ask for, each for users of its own. Every user is
/// started and in memory before anything is measured.
fn started(edge: &Server, connections: usize, ask: fn(usize) -> Requests) -> Vec<Requests> {
    let lists = (0..connections).map(|connection| {
        let users = (0..USERS_PER_CONNECTION).map(|at| at * 1_000 + connection);
        let requests: Requests = users.flat_map(ask).collect();
        warm(edge, &requests);
        requests
    });
    lists.collect()
}

/// One connection's users, started; their answers are not looked at further.
fn warm(edge: &Server, requests: &Requests) {
    let users: Vec<Vec<u8>> = requests
        .iter()
        .filter_map(|request| start_of(request))
        .collect();
    exchange(edge.address, &users);
}

/// The flow read that starts the user of a request.
fn start_of(request: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(request).ok()?;
    let from = text.find("user-")? + "user-".len();
    let digits: String = text[from..]
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    Some(get_flow(digits.parse().ok()?, ""))
}

/// Microseconds of CPU per request, and requests per second.
fn measure(server: &Server, open: &mut [Vec<Connection>], requests: &[Requests]) -> (f64, f64) {
    let before = cpu_ns(server.child.id());
    let (count, took) = run(open, requests, ROUND);
    let used = cpu_ns(server.child.id()) - before;
    let cpu_us = used as f64 / 1_000.0 / count as f64;
    (cpu_us, count as f64 / took.as_secs_f64())
}

/// A child that serves; killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    /// Removed with it; a child that is killed removes nothing.
    _folder: TempDir,
}

impl Server {
    /// Starts a role and hands it its input.
    fn start(role: &str, input: &[u8]) -> Self {
        Self::run(Command::new(program()), role, input)
    }

    /// The same, with its instructions counted.
    fn counted(role: &str, input: &[u8]) -> Self {
        Self::run(count::valgrind(&program()), role, input)
    }

    fn run(mut command: Command, role: &str, input: &[u8]) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let mut child = command
            .env(ROLE, role)
            .env(FOLDER, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(input).expect("it reads its input");
        drop(stdin);
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.expect("it says where it listens");
        let address = line.trim().parse().expect("an address");
        Self {
            child,
            address,
            _folder: folder,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A child that has ended already is as good as one that was killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn program() -> std::path::PathBuf {
    std::env::current_exe().expect("our own path")
}

/// What a child was given.
fn input() -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .expect("the parent closes it");
    bytes
}

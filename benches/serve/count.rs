//! How many instructions does a request take?
//!
//! `cargo bench --bench serve -- instructions` asks the same questions of the
//! same two servers under callgrind, over one connection and one request after
//! the other. What the process executes is counted and what the kernel does for
//! it is not, so the ratios are far from those of CPU time; but two runs of one
//! build agree within a few in a thousand, however busy the machine is, and a
//! change of the request path shows. Dumps stay in the build's own folder for
//! `callgrind_annotate`.

use std::process::{Command, Stdio};

use crate::{
    QUESTIONS, Question, Server, USERS_PER_CONNECTION, flags,
    load::{Requests, exchange},
    warm,
};

/// Requests that are counted; what begins and ends with a connection is lost
/// among so many.
const REQUESTS: usize = 1_000;

/// Prints the table, or says why there is none.
pub(crate) fn count() {
    for tool in ["valgrind", "callgrind_control"] {
        if control(tool, &["--version"]).is_none() {
            println!("SKIPPED: no instructions are counted, because {tool} is not installed");
            return;
        }
    }
    println!(
        "{:<26}{:>12}{:>12}{:>12}{:>9}",
        "instructions per request", "floor", "edge", "surplus", "ratio"
    );
    for question in &QUESTIONS {
        row(question.name, of_flow(question));
    }
    for question in &flags::QUESTIONS {
        let edge = Server::counted("flags", &question.input());
        let requests = question.requests(edge.address, 0);
        row(question.name, measure(edge, &requests));
    }
}

fn row(name: &str, (floor, edge): (u64, u64)) {
    let surplus = edge as i64 - floor as i64;
    let ratio = edge as f64 / floor as f64;
    println!("{name:<26}{floor:>12}{edge:>12}{surplus:>12}{ratio:>9.2}");
}

fn of_flow(question: &Question) -> (u64, u64) {
    let users = (0..USERS_PER_CONNECTION).flat_map(question.requests);
    let users: Requests = users.collect();
    let edge = Server::counted("edge", &[]);
    // Every user is started and in memory.
    warm(&edge, &users);
    measure(edge, &users)
}

/// Instructions per request of the floor and the edge.
fn measure(edge: Server, users: &Requests) -> (u64, u64) {
    let requests: Requests = users.iter().cycle().take(REQUESTS).cloned().collect();
    // Every path was taken once.
    exchange(edge.address, users);
    let model = exchange(edge.address, &users[..1]);
    // What a step changed is changed back before it is asked for again.
    exchange(edge.address, &users[1..]);
    let of_edge = per_request(&edge, &requests);
    drop(edge);
    let floor = Server::counted("floor", &model);
    exchange(floor.address, users);
    (per_request(&floor, &requests), of_edge)
}

/// What the server executes while these requests are answered.
fn per_request(server: &Server, requests: &Requests) -> u64 {
    let process = server.child.id().to_string();
    control("callgrind_control", &["--zero", &process]).expect("it listens to us");
    exchange(server.address, requests);
    let told = control("callgrind_control", &["--dump", &process]);
    told.expect("it listens to us");
    let dump = std::fs::read_to_string(dumped(&process)).expect("a dump");
    let total = dump.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.expect("a total").trim().parse().expect("a number");
    total / requests.len() as u64
}

/// The first dump of a process, by the name that [`valgrind`] asks for.
fn dumped(process: &str) -> String {
    format!("{}/callgrind.out.{process}.1", env!("CARGO_TARGET_TMPDIR"))
}

/// A command that runs a program with its instructions counted.
pub(crate) fn valgrind(program: &std::path::Path) -> Command {
    let mut command = Command::new("valgrind");
    let folder = env!("CARGO_TARGET_TMPDIR");
    command
        .arg("--quiet")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={folder}/callgrind.out.%p"))
        .arg(program);
    command
}

/// What a tool printed; none when it could not be run or failed.
fn control(tool: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new(tool);
    let output = command
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

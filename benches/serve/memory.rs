//! What does an edge hold in memory?
//!
//! The real binary, idle: started from a folder of signed files with one flow,
//! ready, and asked nothing. Users are asked of the bench's own edge, because
//! its ledger knows any number of them: each is read from it once and kept.
//! Compared is the resident memory of the process, with 100 000 of them and
//! before.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use flowgate::snapshot::sha256_hex;

use super::{
    Server, edge, input,
    load::exchange,
    requests::get_flow,
    world::{self, Users},
};

/// Users that are measured, after some that bring the rest along.
const USERS: usize = 100_000;
const FIRST: usize = 5_000;

/// Connections they are asked for on, at a time.
const CONNECTIONS: usize = 8;

const PROJECT: &str = "flowgate: project/1
project: shop
name: Shop
flows:
  - sid: welcome
    name: Welcome
    versions:
      - number: 1
        message: First version
        author: ada
        created: 2026-11-01T09:00:00Z
        entry: everyone
        blocks:
          - { sid: hello, type: card, fields: { title: Welcome aboard } }
        paths:
          - { from: entry, to: hello }
";

/// Measures and prints.
pub(super) fn measure() {
    println!("{:<46}{:>12}{:>12}", "memory", "figure", "goal");
    let (idle, own) = idle_kb();
    let line = |question: &str, figure: String, goal: &str| {
        println!("{question:<46}{figure:>12}{goal:>12}");
    };
    let mb = |kb: f64| format!("{:.1} MB", kb * 1_024.0 / 1e6);
    line("the binary, idle (resident)", mb(idle), "12 MB");
    line("  without what is mapped from its file", mb(own), "none");
    for (blocks, question) in [
        (1_u8, "a cached user at the first of 5 blocks"),
        (5, "a cached user who went through all 5"),
    ] {
        let edge = Server::start("memory", &[blocks]);
        ask(&edge, 0..FIRST);
        let before = resident_kb(edge.child.id());
        ask(&edge, FIRST..FIRST + USERS);
        let after = resident_kb(edge.child.id());
        let each = (after - before) * 1_024.0 / USERS as f64;
        line(question, format!("{each:.0} B"), "450 B");
    }
}

/// The edge whose ledger knows everybody.
pub(super) fn serve() {
    let blocks = input().first().copied().map_or(0, usize::from);
    let users = Users { blocks };
    edge::serve(world::snapshot(17, Vec::new()), users, edge::idle);
}

fn ask(edge: &Server, users: std::ops::Range<usize>) {
    let users: Vec<usize> = users.collect();
    std::thread::scope(|scope| {
        for own in users.chunks(users.len().div_ceil(CONNECTIONS)) {
            scope.spawn(move || {
                let requests: Vec<Vec<u8>> = own.iter().map(|user| get_flow(*user, "")).collect();
                exchange(edge.address, &requests);
            });
        }
    });
}

/// What the real binary holds when it is ready and nobody asks, and how much of
/// it is its own.
fn idle_kb() -> (f64, f64) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let at = folder.path();
    std::fs::write(at.join("project.yaml"), PROJECT).expect("a file");
    let key = format!("server:app={}", sha256_hex(world::KEY.as_bytes()));
    done(at, &["key", "signing", "create", "--folder", "signing"]);
    let environment = ["--environment", "production", "--key", &key];
    let build = ["snapshot", "build", "project.yaml", "--out", "snapshots"];
    done(at, &[&build[..], &environment].concat());
    done(
        at,
        &["snapshot", "sign", "snapshots", "--signing", "signing"],
    );
    let mut edge = flowgate(at)
        .args(["edge", "--json", "--upstream", "file"])
        .args(["--upstream-path", "snapshots", "--data", "data"])
        .args(["--trust-root", "signing/root.json"])
        .args(["--environment-required", "production=true"])
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let stdout = edge.stdout.take().expect("it is piped");
    let read = BufReader::new(stdout).read_line(&mut line);
    assert!(read.is_ok_and(|bytes| bytes > 0), "it says that it serves");
    // What the start needed for a moment is given back by then.
    std::thread::sleep(Duration::from_secs(3));
    let held = (resident_kb(edge.id()), status_kb(edge.id(), "RssAnon:"));
    edge.kill().expect("it runs");
    drop(edge.wait());
    held
}

fn done(folder: &Path, words: &[&str]) {
    let status = flowgate(folder).args(words).status();
    assert!(status.is_ok_and(|status| status.success()), "{words:?}");
}

/// The real binary, started in this folder.
fn flowgate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    command.current_dir(folder).stdout(Stdio::null());
    command
}

/// What a process has in memory.
pub(super) fn resident_kb(process: u32) -> f64 {
    status_kb(process, "VmRSS:")
}

fn status_kb(process: u32, name: &str) -> f64 {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(path).expect("a process of Linux");
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number
        .and_then(|number| number.parse().ok())
        .expect("kilobytes")
}

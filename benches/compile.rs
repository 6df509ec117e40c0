//! What does it cost to compile a large environment, and what does it hold?
//!
//! `cargo bench --bench compile`: 10 000 flows of five blocks with one and with
//! five versions, from parsed parts, in process. The fastest of several rounds
//! counts. Memory is what the allocator was asked for and not given back, set
//! against the same parts as JSON; each figure is printed beside its goal and
//! nothing is asserted.

#![expect(clippy::print_stdout, reason = "a bench reports to who started it")]

#[path = "shared/held.rs"]
mod held;
#[path = "shared/many.rs"]
mod many;
#[path = "shared/table.rs"]
mod table;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use flowgate::snapshot::{
    Revision, Snapshot,
    compile::compile,
    parts::Content,
    sha256_hex,
    wire::{ControlDocument, EnvironmentType, SettingsPart},
};
use held::held;
use table::{heading, line};

const FLOWS: usize = 10_000;

fn main() {
    heading();
    for (versions, goal) in [(1, "part of a cold start of <= 100 ms"), (5, "none")] {
        let content = content(versions);
        let (took, bytes) = cheapest(&content);
        let made = FLOWS * versions as usize;
        let question = format!("compile {FLOWS} flows x {versions} versions of 5 blocks");
        let ms = took.as_secs_f64() * 1e3;
        line(&question, format!("{ms:.1} ms"), goal);
        let each = took.as_secs_f64() * 1e6 / made as f64;
        line("  for each version", format!("{each:.2} us"), "none");
        let decoded = decoded_bytes(&content);
        line("  the parts as JSON", megabytes(decoded), "none");
        line("  the snapshot in memory", megabytes(bytes), "none");
        let ratio = format!("{:.2} x", bytes as f64 / decoded as f64);
        line("  memory / bytes of the parts", ratio, "<= 1.5");
    }
}

/// How long it takes, and what the snapshot holds.
fn cheapest(content: &Content) -> (Duration, usize) {
    const ROUNDS: usize = 5;
    let rounds = (0..ROUNDS).map(|_| {
        let (before, begun) = (held(), Instant::now());
        let snapshot = black_box(compiled(content));
        let took = begun.elapsed();
        let bytes = held() - before;
        drop(snapshot);
        (took, bytes)
    });
    rounds.min().expect("there are rounds")
}

fn compiled(content: &Content) -> Snapshot {
    let control = ControlDocument::default();
    let compiled = compile("bench", "e1", Revision::default(), content, &control);
    let compiled = compiled.expect("the bench's own content compiles");
    assert_eq!(compiled.set_aside, []);
    compiled
}

fn content(versions: u32) -> Content {
    let numbers: Vec<u32> = (1..=versions).collect();
    let made = (0..FLOWS).flat_map(|place| {
        (1..=versions).map(move |number| {
            let hash = sha256_hex(format!("{place}:{number}").as_bytes());
            (hash, many::version(place, number))
        })
    });
    Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Production,
            drafts: false,
            deprecated: false,
            channels: Vec::new(),
            access: Default::default(),
        },
        flows: (0..FLOWS)
            .map(|place| many::flow(place, &numbers))
            .collect(),
        versions: made.collect(),
        deployments: Vec::new(),
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    }
}

/// What the parts have as JSON.
fn decoded_bytes(content: &Content) -> usize {
    let flows = content.flows.iter().map(serde_json::to_vec);
    let versions = content.versions.iter();
    let versions = versions.map(|(_, version)| serde_json::to_vec(version));
    let parts = flows.chain(versions);
    parts.map(|part| part.expect("it is JSON").len()).sum()
}

fn megabytes(bytes: usize) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

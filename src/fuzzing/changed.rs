//! Does everything hold over the corpus, and over many small changes of it?
//!
//! Seeded, so that a failure comes again, and shrunk to the fewest changes.
//! How many changes are tried follows from how the program was built, never
//! from how quick the machine is.

#![allow(clippy::print_stdout, reason = "the figures are printed")]

use std::path::Path;

use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{TARGETS, Target, named};

/// Changed inputs of a target. Without optimisation each costs many times as
/// much.
const CASES: u32 = if cfg!(debug_assertions) {
    4_000
} else {
    80_000
};

/// Of a target that goes over a connection, or writes files.
const SLOW_CASES: u32 = CASES / 10;

const SLOW: [&str; 3] = ["request", "project", "part"];

/// The corpus of a target: file names and bytes, sorted.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let entries = std::fs::read_dir(folder.join(name))
        .unwrap_or_else(|error| panic!("the corpus of {name}: {error}"));
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let bytes = std::fs::read(&path).expect("a file");
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), bytes)
        })
        .collect();
    files.sort();
    files
}

/// One change of an input.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
    /// A piece of another input of the corpus.
    Splice(Index, Index, Index, usize),
}

fn any_change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    // Bytes that mean something in one format or another.
    let byte = || {
        prop_oneof![
            any::<u8>(),
            proptest::sample::select(
                &b"\0\x01\x7f\xff 0123456789{}[]\",:.-/%&=?+'\n\\#*<>()|~"[..]
            )
        ]
    };
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), vec(byte(), 1..6)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), 1..40_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (at(), 1..40_usize).prop_map(|(at, count)| Change::Repeat(at, count)),
        at().prop_map(Change::Cut),
        (at(), at(), at(), 1..60_usize)
            .prop_map(|(at, other, from, count)| Change::Splice(at, other, from, count)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, corpus: &[(String, Vec<u8>)]) {
        // Also behind the last byte.
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match self {
            Self::Flip(at, bit) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Set(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Flip(..) | Self::Set(..) => {}
            Self::Insert(at, new) => {
                let at = place(at, bytes);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = place(at, bytes);
                let end = (at + count).min(bytes.len());
                bytes.drain(at..end);
            }
            Self::Repeat(at, count) => {
                let at = place(at, bytes);
                let end = (at + count).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            Self::Cut(at) => bytes.truncate(place(at, bytes)),
            Self::Splice(at, other, from, count) => {
                let (_, other) = other.get(corpus);
                let from = place(from, other);
                let piece = &other[from..(from + count).min(other.len())];
                let at = place(at, bytes);
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
}

/// Every file of the corpus, then changes of them; how many inputs those were.
fn try_all(target: Target) -> (usize, u32) {
    let corpus = corpus(target.name);
    for (name, bytes) in &corpus {
        let outcome = std::panic::catch_unwind(|| (target.run)(bytes));
        assert!(outcome.is_ok(), "{}/{name} does not hold", target.name);
    }
    assert!(corpus.len() >= 3, "{} has next to no corpus", target.name);
    let cases = if SLOW.contains(&target.name) {
        SLOW_CASES
    } else {
        CASES
    };
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[0x5e; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let inputs = (any::<Index>(), vec(any_change(), 1..6));
    let outcome = runner.run(&inputs, |(start, changes)| {
        let (_, bytes) = start.get(&corpus);
        let mut bytes = bytes.clone();
        for change in &changes {
            change.apply(&mut bytes, &corpus);
        }
        let outcome = std::panic::catch_unwind(|| (target.run)(&bytes));
        outcome.map_err(|_| {
            let input = bytes.escape_ascii();
            TestCaseError::fail(format!("{} breaks at b\"{input}\"", target.name))
        })
    });
    if let Err(broken) = outcome {
        panic!("{broken}");
    }
    (corpus.len(), cases)
}

#[test]
fn every_target_holds_over_its_corpus_and_changes_of_it() {
    let (mut files, mut changed) = (0, 0);
    for target in TARGETS {
        let (own, cases) = try_all(*target);
        files += own;
        changed += cases;
    }
    println!("figures: fuzz targets {}", TARGETS.len());
    println!("figures: fuzz corpus files {files}");
    println!("figures: fuzz changed inputs {changed}");
}

#[test]
fn every_corpus_has_a_target_and_stays_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).expect("the corpora") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("a name");
        assert!(
            named(name).is_some(),
            "tests/fuzz/corpus/{name} has no target"
        );
        bytes += corpus(name).iter().map(|(_, own)| own.len()).sum::<usize>();
    }
    assert!(bytes <= 2 << 20, "the corpora have {bytes} bytes");
}

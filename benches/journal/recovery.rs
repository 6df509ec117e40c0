//! How long does the journal take to open behind a full segment?
//!
//! One is filled with copies of a step's record. Opening makes a segment for
//! what comes next, whatever is there, so opening behind nothing is measured too.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use flowgate::{
    clock::Ambient,
    disk::{
        RealDisk,
        journal::{Journal, Owner},
    },
};
use tokio::runtime::Builder;

use super::{
    table,
    world::{SEGMENT_BYTES, journal_options},
};

/// Measures and prints; a record is its body and the bytes it takes.
pub(super) fn measure(ambient: &Ambient, record: (&[u8], usize)) {
    const ROUNDS: usize = 3;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let empty = (0..ROUNDS).map(|_| open(ambient, folder.path()).1);
    let empty = empty.min().expect("there are rounds");
    let records = fill(ambient, folder.path(), record);
    let full = (0..ROUNDS).map(|_| {
        let (found, took) = open(ambient, folder.path());
        assert_eq!(found, records);
        took
    });
    let full = full.min().expect("there are rounds");
    let ms = |took: Duration| format!("{:.1} ms", took.as_secs_f64() * 1e3);
    table::line("opening a journal, nothing there", ms(empty), "none");
    table::line(
        "opening it behind a full segment of 64 MiB",
        ms(full),
        "none",
    );
    table::line("  records recovered", records.to_string(), "none");
    let each = full.saturating_sub(empty).as_secs_f64() * 1e9 / records as f64;
    table::line("  for each record", format!("{each:.0} ns"), "none");
}

/// Opens the journal: how many records are there, and how long that took.
fn open(ambient: &Ambient, folder: &Path) -> (u64, Duration) {
    let begun = Instant::now();
    let opened = Journal::open(Arc::new(RealDisk), journal_options(folder), ambient);
    let (_, _, recovered) = opened.expect("the journal opens");
    let took = begun.elapsed();
    (recovered.iter().map(|old| old.records).sum(), took)
}

/// Fills one segment, and returns with how many records.
fn fill(ambient: &Ambient, folder: &Path, (body, record_bytes): (&[u8], usize)) -> u64 {
    const AT_ONCE: u64 = 256;
    let opened = Journal::open(Arc::new(RealDisk), journal_options(folder), ambient);
    let (journal, committer, _) = opened.expect("the journal opens");
    let committing = std::thread::spawn(move || committer.run());
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let batches = SEGMENT_BYTES / (AT_ONCE * record_bytes as u64);
    for _ in 0..batches {
        let mut last = None;
        for _ in 0..AT_ONCE {
            let ticket = journal.append(journal.era(), (Owner(0), 1), 0, body.to_vec());
            last = Some(ticket.expect("there is room"));
        }
        let last = last.expect("there are some");
        runtime.block_on(last.durable()).expect("it is durable");
    }
    journal.shutdown();
    committing.join().expect("it ends");
    batches * AT_ONCE
}

//! Does the journal do what its callers were told?
//!
//! Steps are called by hand here, so that every order of events is chosen.
//! Crashes are in [`crash`], damaged files in [`damage`], segments written anew
//! in [`thinning`], and real files and threads in [`real`].

mod crash;
mod damage;
mod real;
mod thinning;

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;

use super::*;
use crate::{
    clock::Entropy,
    disk::memory::{Fault, MemoryDisk, Random},
    limits::{COMMIT_QUEUE_MAX, SYNC_FAILURES_MAX},
};

const FOLDER: &str = "/data/journal";

/// Journal ids that differ and can be repeated.
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        let mut random = Random(self.0.fetch_add(1, Ordering::Relaxed));
        buffer.fill_with(|| random.next() as u8);
    }
}

fn ambient(seed: u64) -> Ambient {
    Ambient {
        entropy: Arc::new(Counted(AtomicU64::new(seed))),
        ..Ambient::system()
    }
}

fn options() -> JournalOptions {
    JournalOptions {
        folder: FOLDER.into(),
        segment_bytes: 8192,
        total_bytes_max: 1 << 20,
        owners: 1,
        owner_bytes_max: u64::MAX,
        durability: Durability::Disk,
    }
}

fn open_with(disk: &MemoryDisk, options: JournalOptions) -> (Journal, Committer, Vec<Recovered>) {
    let seed = disk.operations();
    Journal::open(Arc::new(disk.clone()), options, &ambient(seed)).unwrap()
}

fn open(disk: &MemoryDisk) -> (Journal, Committer, Vec<Recovered>) {
    open_with(disk, options())
}

/// A body that names its record.
fn body(of: u64, bytes: usize) -> Vec<u8> {
    let mut body = vec![of as u8; bytes.max(8)];
    body[..8].copy_from_slice(&of.to_le_bytes());
    body
}

fn append(journal: &Journal, of: u64, bytes: usize) -> Result<Ticket, AppendError> {
    journal.append(journal.era(), (Owner(0), 1), 1000 + of, body(of, bytes))
}

fn outcome(ticket: Ticket) -> Option<Result<(), AppendError>> {
    ticket.durable().now_or_never()
}

/// Steps until nothing is queued.
fn drain(committer: &mut Committer) {
    while !matches!(
        committer.step().outcome,
        StepOutcome::Idle | StepOutcome::Finished
    ) {}
}

fn read_all(disk: &MemoryDisk, journal: &str) -> Vec<Record> {
    let disk = Arc::new(disk.clone());
    let mut reader = JournalReader::open(disk, Path::new(FOLDER), journal).unwrap();
    let mut records = Vec::new();
    loop {
        let more = reader.read(u64::MAX, 7, 2000).unwrap();
        if more.is_empty() {
            return records;
        }
        records.extend(more);
    }
}

fn seqs(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.seq).collect()
}

#[test]
fn a_record_is_acknowledged_by_its_commit_and_not_before() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, recovered) = open(&disk);
    assert_eq!(recovered, []);
    let mut ticket = Box::pin(append(&journal, 1, 10).unwrap().durable());
    assert_eq!((&mut ticket).now_or_never(), None);
    assert_eq!(journal.synced(), 0);
    let report = committer.step();
    assert_eq!(
        (report.records, report.outcome),
        (1, StepOutcome::Committed)
    );
    assert_eq!(ticket.now_or_never(), Some(Ok(())));
    assert_eq!(journal.synced(), 1);
    assert_eq!(committer.step().outcome, StepOutcome::Idle);
}

#[test]
fn the_order_of_calls_is_the_order_in_the_file() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk);
    for of in 1..=200 {
        let ticket = append(&journal, of, (of as usize * 37) % 400).unwrap();
        assert_eq!(ticket.seq, of);
        if of % 9 == 0 {
            drain(&mut committer);
        }
    }
    drain(&mut committer);
    let records = read_all(&disk, journal.id());
    assert_eq!(seqs(&records), (1..=200).collect::<Vec<_>>());
    for record in &records {
        assert_eq!(record.body[..8], record.seq.to_le_bytes());
        assert_eq!(record.wall_ms, 1000 + record.seq);
    }
    assert!(disk.list(Path::new(FOLDER)).unwrap().len() > 5);
}

#[test]
fn in_memory_mode_a_ticket_does_not_wait_and_a_barrier_does() {
    let disk = MemoryDisk::new(1);
    let memory = JournalOptions {
        durability: Durability::Memory,
        ..options()
    };
    let (journal, mut committer, _) = open_with(&disk, memory);
    assert_eq!(outcome(append(&journal, 1, 10).unwrap()), Some(Ok(())));
    let mut barrier = Box::pin(journal.barrier(0).unwrap().durable());
    assert_eq!((&mut barrier).now_or_never(), None);
    drain(&mut committer);
    assert_eq!(barrier.now_or_never(), Some(Ok(())));
    assert_eq!(journal.synced(), 1);
}

#[test]
fn a_barrier_with_nothing_under_way_resolves_at_once() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk);
    assert_eq!(outcome(journal.barrier(0).unwrap()), Some(Ok(())));
    append(&journal, 1, 10).unwrap();
    drain(&mut committer);
    let barrier = journal.barrier(0).unwrap();
    assert_eq!((barrier.seq, outcome(barrier)), (1, Some(Ok(()))));
}

#[test]
fn a_failed_sync_fails_everything_of_its_era() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk);
    append(&journal, 1, 10).unwrap();
    drain(&mut committer);
    // More than one commit takes, so that some stay queued behind it.
    let tickets: Vec<_> = (2..30)
        .map(|of| append(&journal, of, 300).unwrap())
        .collect();
    let barrier = journal.barrier(0).unwrap();
    disk.fail_after(1, Fault::Io);
    assert_eq!(committer.step().outcome, StepOutcome::Failed);
    for ticket in tickets.into_iter().chain([barrier]) {
        assert_eq!(outcome(ticket), Some(Err(AppendError::Failed)));
    }
    assert_eq!((journal.era(), journal.synced()), (1, 1));
    assert!(journal.writable() && journal.status().last_error.is_some());
    // What was decided before the failure is refused at once.
    let stale = journal.append(0, (Owner(0), 1), 0, vec![]).unwrap_err();
    assert_eq!(stale, AppendError::Failed);
    assert_eq!(journal.barrier(0).unwrap_err(), AppendError::Failed);
    // Later ones succeed, with seqs that were never used.
    let ticket = append(&journal, 30, 10).unwrap();
    assert_eq!(ticket.seq, 30);
    drain(&mut committer);
    assert_eq!(outcome(ticket), Some(Ok(())));
    assert_eq!(seqs(&read_all(&disk, journal.id())), [1, 30]);
    assert_eq!(journal.status().last_error, None);
}

#[test]
fn no_space_in_the_middle_of_a_batch_fails_that_batch_only() {
    for step in 0..2 {
        let disk = MemoryDisk::new(step);
        let (journal, mut committer, _) = open(&disk);
        let first = append(&journal, 1, 10).unwrap();
        drain(&mut committer);
        let second = append(&journal, 2, 2000).unwrap();
        disk.fail_after(step, Fault::NoSpace);
        drain(&mut committer);
        let third = append(&journal, 3, 10).unwrap();
        drain(&mut committer);
        assert_eq!(outcome(first), Some(Ok(())));
        assert_eq!(outcome(second), Some(Err(AppendError::Failed)));
        assert_eq!(outcome(third), Some(Ok(())));
        assert_eq!(seqs(&read_all(&disk, journal.id())), [1, 3]);
    }
}

#[test]
fn failures_in_a_row_end_writing_until_a_probe_succeeds() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk);
    disk.set_broken(Some(Fault::Io));
    for failure in 1..=SYNC_FAILURES_MAX {
        assert!(journal.writable());
        append(&journal, failure.into(), 10).unwrap();
        drain(&mut committer);
    }
    assert!(!journal.writable());
    let refused = append(&journal, 9, 10).unwrap_err();
    assert_eq!(refused, AppendError::NotWritable);
    assert!(committer.probe().is_err());
    assert!(!journal.writable() && journal.status().segment_error.is_some());
    disk.set_broken(None);
    committer.probe().unwrap();
    assert!(journal.writable());
    let ticket = append(&journal, 9, 10).unwrap();
    drain(&mut committer);
    assert_eq!(outcome(ticket), Some(Ok(())));
    assert_eq!(read_all(&disk, journal.id()).len(), 1);
}

#[test]
fn a_start_on_a_full_disk_is_not_writable_and_comes_back() {
    let disk = MemoryDisk::new(1);
    disk.set_capacity(Some(4000));
    let (journal, mut committer, _) = open(&disk);
    assert!(!journal.writable());
    assert!(journal.status().segment_error.is_some());
    disk.set_capacity(None);
    committer.probe().unwrap();
    let ticket = append(&journal, 1, 10).unwrap();
    drain(&mut committer);
    assert_eq!(outcome(ticket), Some(Ok(())));
}

#[test]
fn a_full_disk_is_noticed_while_there_is_still_room() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk);
    disk.set_capacity(Some(8192));
    for of in 1..=8 {
        let ticket = append(&journal, of, 400).unwrap();
        drain(&mut committer);
        assert_eq!(outcome(ticket), Some(Ok(())), "record {of}");
        assert!(journal.status().segment_error.is_some());
    }
    disk.set_capacity(None);
    append(&journal, 9, 400).unwrap();
    drain(&mut committer);
    assert_eq!(journal.status().segment_error, None);
    assert_eq!(journal.status().failed_commits, 0);
}

#[test]
fn the_cap_refuses_records_by_name_and_never_fails_accepted_ones() {
    let disk = MemoryDisk::new(1);
    let small = JournalOptions {
        total_bytes_max: 4 * 8192,
        ..options()
    };
    let (journal, mut committer, _) = open_with(&disk, small);
    let mut tickets = Vec::new();
    let refused = loop {
        let of = tickets.len() as u64 + 1;
        match append(&journal, of, 700) {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => break error,
        }
        if of.is_multiple_of(5) {
            drain(&mut committer);
        }
    };
    drain(&mut committer);
    assert_eq!(refused, AppendError::Quota);
    assert!(tickets.len() >= 16, "{} records", tickets.len());
    assert!(journal.writable());
    for ticket in tickets {
        assert_eq!(outcome(ticket), Some(Ok(())));
    }
    let used = journal.used_bytes();
    assert!(used <= 5 * 8192, "{used}");
    // Room comes back when the ledger has applied records.
    let freed = journal.retire(journal.id(), journal.synced()).unwrap();
    assert_eq!(journal.used_bytes(), used - freed);
    assert!(freed >= 3 * 8192);
    append(&journal, 99, 700).unwrap();
}

#[test]
fn the_queue_and_the_record_have_their_limits() {
    let disk = MemoryDisk::new(1);
    let large = JournalOptions {
        segment_bytes: 4 << 20,
        total_bytes_max: 32 << 20,
        ..options()
    };
    let (journal, mut committer, _) = open_with(&disk, large);
    let body = vec![0; RECORD_BYTES_MAX + 1];
    let refused = journal.append(0, (Owner(0), 1), 0, body).unwrap_err();
    assert_eq!(refused, AppendError::TooLarge);
    for _ in 0..COMMIT_QUEUE_MAX {
        journal.append(0, (Owner(0), 1), 0, Vec::new()).unwrap();
    }
    let refused = journal.append(0, (Owner(0), 1), 0, Vec::new()).unwrap_err();
    assert_eq!(refused, AppendError::Full);
    drain(&mut committer);
    let status = journal.status();
    assert_eq!(status.synced, COMMIT_QUEUE_MAX as u64);
    assert_eq!((status.commits, status.queued), (2, 0));
}

#[test]
fn a_record_larger_than_a_segment_goes_alone() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk);
    for (of, bytes) in [(1, 10), (2, 50_000), (3, 10)] {
        append(&journal, of, bytes).unwrap();
    }
    drain(&mut committer);
    disk.crash(1);
    let records = read_all(&disk, journal.id());
    assert_eq!(seqs(&records), [1, 2, 3]);
    assert_eq!(records[1].body, body(2, 50_000));
}

#[test]
fn shutdown_commits_what_is_queued_and_takes_nothing_more() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk);
    let ticket = append(&journal, 1, 10).unwrap();
    journal.shutdown();
    let refused = append(&journal, 2, 10).unwrap_err();
    assert_eq!(refused, AppendError::NotWritable);
    assert_eq!(committer.step().outcome, StepOutcome::Committed);
    assert_eq!(committer.step().outcome, StepOutcome::Finished);
    assert_eq!(outcome(ticket), Some(Ok(())));
}

#[test]
fn a_committer_that_is_gone_answers_failed() {
    let disk = MemoryDisk::new(1);
    let (journal, committer, _) = open(&disk);
    let ticket = append(&journal, 1, 10).unwrap();
    drop(committer);
    assert_eq!(outcome(ticket), Some(Err(AppendError::Failed)));
    assert!(!journal.writable());
    assert!(append(&journal, 2, 10).is_err());
}

#[test]
fn only_synced_records_are_read_from_a_live_journal() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk);
    let mut reader = journal.reader(journal.id()).unwrap();
    assert_eq!(reader.read(journal.synced(), 100, 10_000).unwrap(), []);
    let mut read = Vec::new();
    for of in 1..=120 {
        append(&journal, of, 150).unwrap();
        if of % 10 == 7 {
            disk.fail_after(1, Fault::Io);
        }
        if of % 3 == 0 {
            drain(&mut committer);
            read.extend(reader.read(journal.synced(), 2, 10_000).unwrap());
        }
    }
    drain(&mut committer);
    loop {
        let more = reader.read(journal.synced(), 3, 400).unwrap();
        assert!(more.len() <= 2, "three bodies are above 400 bytes");
        if more.is_empty() {
            break;
        }
        read.extend(more);
    }
    assert!(journal.era() > 5);
    assert_eq!(reader.position(), journal.synced());
    assert_eq!(read, read_all(&disk, journal.id()));
    reader.seek_after(100);
    let again = reader.read(journal.synced(), 1000, usize::MAX).unwrap();
    let expected: Vec<_> = read.into_iter().filter(|record| record.seq > 100).collect();
    assert_eq!(again, expected);
}

#[test]
fn retiring_keeps_what_is_not_applied_and_the_segment_in_use() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk);
    for of in 1..=60 {
        append(&journal, of, 300).unwrap();
        drain(&mut committer);
    }
    assert_eq!(journal.retire(journal.id(), 5).unwrap(), 0);
    assert_eq!(journal.retire(journal.id(), 30).unwrap() % 8192, 0);
    let left = seqs(&read_all(&disk, journal.id()));
    let first = left[0];
    assert!((14..=31).contains(&first), "{first}");
    assert_eq!(left, (first..=60).collect::<Vec<_>>());
    journal.retire(journal.id(), u64::MAX).unwrap();
    append(&journal, 61, 300).unwrap();
    drain(&mut committer);
    assert_eq!(read_all(&disk, journal.id()).last().unwrap().seq, 61);
}

#[test]
fn earlier_journals_come_oldest_first_and_go_when_finished() {
    let disk = MemoryDisk::new(1);
    let mut ids = Vec::new();
    for run in 0..5 {
        let (journal, mut committer, recovered) = open(&disk);
        let found: Vec<_> = recovered.iter().map(|one| one.journal.clone()).collect();
        assert_eq!(found, ids, "run {run}");
        for one in &recovered {
            assert_eq!((one.first, one.last, one.records), (1, Some(3), 3));
            assert_eq!((one.torn_tail, one.quarantined), (false, 0));
        }
        for of in 1..=3 {
            append(&journal, of, 20).unwrap();
        }
        drain(&mut committer);
        ids.push(journal.id().to_owned());
    }
    let (journal, _committer, _) = open(&disk);
    let used = journal.used_bytes();
    assert!(journal.remove_finished(journal.id()).is_err());
    assert!(journal.remove_finished("../../etc").is_err());
    // The segment prepared behind it went when it was recovered.
    assert_eq!(journal.remove_finished(&ids[0]).unwrap(), 8192);
    assert_eq!(journal.used_bytes(), used - 8192);
    let (_, _, recovered) = open(&disk);
    assert_eq!(recovered.len(), 4);
}

#[test]
fn a_run_without_records_leaves_nothing_behind() {
    let disk = MemoryDisk::new(1);
    for _ in 0..4 {
        let (_, _, recovered) = open(&disk);
        assert_eq!(recovered, []);
        assert_eq!(disk.list(Path::new(FOLDER)).unwrap().len(), 1);
    }
}

#[test]
fn options_that_cannot_work_are_refused() {
    for (segment_bytes, total_bytes_max) in [(4096, 1 << 20), (8192, 8192), (0, 0)] {
        let options = JournalOptions {
            segment_bytes,
            total_bytes_max,
            ..options()
        };
        let refused = Journal::open(Arc::new(MemoryDisk::new(1)), options, &ambient(1));
        assert!(refused.is_err(), "{segment_bytes} of {total_bytes_max}");
    }
}

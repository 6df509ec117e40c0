//! Does it hold on real files, with real threads?

use std::thread;

use super::*;
use crate::disk::{RealDisk, folder::DataFolder};

fn open(folder: &Path, segment_bytes: u64) -> (Journal, Committer, Vec<Recovered>) {
    let options = JournalOptions {
        folder: folder.to_owned(),
        segment_bytes,
        total_bytes_max: 64 << 20,
        owners: 1,
        owner_bytes_max: u64::MAX,
        durability: Durability::Disk,
    };
    Journal::open(Arc::new(RealDisk), options, &Ambient::system()).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(future)
}

#[test]
fn many_writers_are_acknowledged_over_many_segments() {
    let root = tempfile::tempdir().unwrap();
    let (journal, committer, _) = open(root.path(), 16 * 1024);
    let driver = thread::spawn(move || committer.run());
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let journal = journal.clone();
            thread::spawn(move || {
                for of in 0..100 {
                    let ticket = append(&journal, of, 200).unwrap();
                    let seq = ticket.seq;
                    block_on(ticket.durable()).unwrap();
                    assert!(journal.synced() >= seq);
                }
            })
        })
        .collect();
    let mut reader = journal.reader(journal.id()).unwrap();
    let mut watch = journal.watch_synced();
    let mut read = Vec::new();
    while read.len() < 400 {
        block_on(watch.wait_for(|synced| *synced > reader.position())).unwrap();
        read.extend(reader.read(journal.synced(), 50, 1 << 20).unwrap());
    }
    for writer in writers {
        writer.join().unwrap();
    }
    journal.shutdown();
    driver.join().unwrap();
    assert_eq!(seqs(&read), (1..=400).collect::<Vec<_>>());
    let (_, _, recovered) = open(root.path(), 16 * 1024);
    assert_eq!((recovered[0].first, recovered[0].last), (1, Some(400)));
    assert_eq!(
        (recovered[0].torn_tail, recovered[0].quarantined),
        (false, 0)
    );
}

#[test]
fn a_journal_that_was_never_closed_is_recovered() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    let folder = DataFolder::open(&RealDisk, &path).unwrap();
    let (journal, mut committer, _) = open(&folder.journal(), 8192);
    for of in 1..=30 {
        append(&journal, of, 300).unwrap();
        drain(&mut committer);
    }
    // As after a kill: nothing is shut down, and a commit was under way.
    append(&journal, 31, 300).unwrap();
    drop(committer);
    drop(folder);
    let folder = DataFolder::open(&RealDisk, &path).unwrap();
    let (again, _committer, recovered) = open(&folder.journal(), 8192);
    assert_ne!(again.id(), journal.id());
    assert_eq!(recovered.len(), 1);
    assert_eq!((recovered[0].records, recovered[0].last), (30, Some(30)));
    let mut reader = again.reader(&recovered[0].journal).unwrap();
    assert_eq!(reader.read(u64::MAX, 100, 1 << 20).unwrap().len(), 30);
    let before = again.used_bytes();
    let freed = again.remove_finished(&recovered[0].journal).unwrap();
    assert_eq!(again.used_bytes(), before - freed);
    let left: u64 = std::fs::read_dir(folder.journal())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(
        left,
        again.used_bytes(),
        "the accounts are those of the disk"
    );
}

#[test]
fn a_thread_that_waits_for_work_ends_at_shutdown() {
    let root = tempfile::tempdir().unwrap();
    let (journal, committer, _) = open(root.path(), 8192);
    let driver = thread::spawn(move || committer.run());
    let ticket = append(&journal, 1, 10).unwrap();
    block_on(ticket.durable()).unwrap();
    journal.shutdown();
    driver.join().unwrap();
    assert_eq!(
        append(&journal, 2, 10).unwrap_err(),
        AppendError::NotWritable
    );
}

#[test]
fn a_thread_on_a_failing_disk_probes_and_comes_back() {
    let disk = MemoryDisk::new(1);
    let (journal, committer, _) = super::open(&disk);
    disk.set_broken(Some(Fault::Io));
    let driver = thread::spawn(move || committer.run());
    for of in 1..=u64::from(SYNC_FAILURES_MAX) {
        let ticket = append(&journal, of, 10).unwrap();
        assert_eq!(block_on(ticket.durable()), Err(AppendError::Failed));
    }
    assert!(!journal.writable());
    disk.set_broken(None);
    let ticket = loop {
        match append(&journal, 9, 10) {
            Ok(ticket) => break ticket,
            Err(error) => assert_eq!(error, AppendError::NotWritable),
        }
        thread::yield_now();
    };
    assert_eq!(block_on(ticket.durable()), Ok(()));
    journal.shutdown();
    driver.join().unwrap();
}

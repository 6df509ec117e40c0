//! Does a thinned segment give back what is settled, and nothing else?

use super::*;

/// Whose records stay; the other owner's are settled.
const STUCK: u8 = 7;

/// Every tenth record is of somebody who is stuck.
fn written(disk: &MemoryDisk, options: JournalOptions) -> (Journal, Committer) {
    let (journal, mut committer, _) = open_with(disk, options);
    for of in 1..=200 {
        let kind = if of % 10 == 0 { STUCK } else { 1 };
        let (era, body) = (journal.era(), body(of, 300));
        journal
            .append(era, (Owner(0), kind), 1000 + of, body)
            .unwrap();
        drain(&mut committer);
        if kind != STUCK {
            journal.discharge(Owner(0), std::iter::once(300));
        }
    }
    (journal, committer)
}

/// Records that are all settled.
fn more(journal: &Journal, committer: &mut Committer) {
    for of in 201..=320 {
        append(journal, of, 300).unwrap();
        drain(committer);
        journal.discharge(Owner(0), std::iter::once(300));
    }
}

fn small() -> JournalOptions {
    JournalOptions {
        total_bytes_max: 320 * 1024,
        ..options()
    }
}

fn is_stuck(_: &str, record: &Record) -> bool {
    record.kind == STUCK
}

fn thin(journal: &Journal) -> u64 {
    journal.thin(&[journal.id().to_owned()], &is_stuck).unwrap()
}

/// What must be left: everything of whoever is stuck, and what stands in the
/// segment that is being written.
fn assert_left(records: &[Record]) -> u64 {
    let stuck = records.iter().filter(|record| record.kind == STUCK);
    let expected: Vec<_> = (1..=20).map(|n| n * 10).collect();
    assert_eq!(stuck.map(|record| record.seq).collect::<Vec<_>>(), expected);
    let others = records.iter().filter(|record| record.kind != STUCK);
    let others: Vec<_> = others.map(|record| record.seq).collect();
    for record in records {
        assert_eq!(record.body, body(record.seq, 300));
        assert_eq!(record.wall_ms, 1000 + record.seq);
    }
    let first = others.first().copied().unwrap_or(u64::MAX);
    assert!(first > 180, "only the newest are there: {others:?}");
    first
}

#[test]
fn what_is_settled_goes_and_the_rest_is_found_as_before() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer) = written(&disk, small());
    let mut reader = journal.reader(journal.id()).unwrap();
    assert_eq!(seqs(&reader.read(200, 4, 1 << 20).unwrap()), [1, 2, 3, 4]);
    let mut before = journal.lookup(journal.id()).unwrap();
    assert_eq!(before.record(9).unwrap().seq, 9);
    let used = journal.used_bytes();
    let freed = thin(&journal);
    assert!(freed > used / 3, "{freed} of {used}");
    assert_eq!(journal.used_bytes(), used - freed);
    // Whoever was at it reads on, in the old file and then in new ones.
    let rest = reader.read(200, 1000, 1 << 20).unwrap();
    assert_eq!(rest[0].seq, 5);
    assert_eq!(before.record(10).unwrap().kind, STUCK);
    let left = read_all(&disk, journal.id());
    assert_left(&left);
    let mut lookup = journal.lookup(journal.id()).unwrap();
    for seq in [10, 40, 190, 20, 200] {
        assert_eq!(lookup.record(seq).unwrap().seq, seq);
    }
    let missing = lookup.record(11).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    for after in [0, 1, 9, 10, 11, 150, 195] {
        reader.seek_after(after);
        let found = seqs(&reader.read(200, 1, 1 << 20).unwrap());
        let expected = left.iter().map(|record| record.seq);
        assert_eq!(found, [expected.clone().find(|seq| *seq > after).unwrap()]);
    }
    append(&journal, 201, 300).unwrap();
    drain(&mut committer);
    assert_eq!(read_all(&disk, journal.id()).last().unwrap().seq, 201);
}

#[test]
fn a_start_finds_thinned_segments_whole() {
    let disk = MemoryDisk::new(1);
    let (journal, committer) = written(&disk, small());
    thin(&journal);
    let id = journal.id().to_owned();
    drop((journal, committer));
    disk.crash(5);
    let (next, _committer, recovered) = open_with(&disk, small());
    assert_eq!(recovered.len(), 1);
    let found = &recovered[0];
    assert_eq!((found.first, found.last), (10, Some(200)));
    assert_eq!((found.quarantined, found.torn_tail), (0, false));
    let left = read_all(&disk, &id);
    assert_eq!(found.records, left.len() as u64);
    assert_left(&left);
    // Everything is settled: nothing is left between the ends.
    let mut reader = next.reader(&id).unwrap();
    reader.seek_after(200);
    assert_eq!(reader.read(200, 9, 1 << 20).unwrap(), []);
    assert!(next.remove_finished(&id).unwrap() > 0);
}

#[test]
fn an_earlier_journal_thins_down_to_its_last_segment() {
    let disk = MemoryDisk::new(1);
    let (journal, committer) = written(&disk, small());
    let id = journal.id().to_owned();
    drop((journal, committer));
    let (next, _committer, _) = open_with(&disk, small());
    let nothing = |_: &str, _: &Record| false;
    assert!(next.thin(std::slice::from_ref(&id), &nothing).unwrap() > 0);
    let left = seqs(&read_all(&disk, &id));
    assert!(left.first().is_some_and(|first| *first > 180), "{left:?}");
    let mut reader = next.reader(&id).unwrap();
    let first = reader.read(150, 9, 1 << 20).unwrap();
    assert_eq!(first, []);
    assert!(reader.position() >= 150, "a gap is passed over");
}

#[test]
fn it_is_done_when_it_is_worth_it_and_not_again_for_nothing() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer) = written(&disk, small());
    assert!(journal.is_thinning_due());
    // Nothing may go: that is remembered.
    let all = [journal.id().to_owned()];
    assert_eq!(journal.thin(&all, &|_, _| true).unwrap(), 0);
    assert!(!journal.is_thinning_due());
    more(&journal, &mut committer);
    assert!(journal.is_thinning_due());
    assert!(thin(&journal) > 0);
    assert!(!journal.is_thinning_due());
    assert_eq!(thin(&journal), 0);
}

#[test]
fn a_gap_is_widened_by_a_second_thinning() {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer) = written(&disk, small());
    thin(&journal);
    more(&journal, &mut committer);
    let late = |_: &str, record: &Record| record.kind == STUCK && record.seq > 100;
    let used = journal.used_bytes();
    let freed = journal.thin(&[journal.id().to_owned()], &late).unwrap();
    assert_eq!(journal.used_bytes(), used - freed);
    let left = read_all(&disk, journal.id());
    let stuck = left.iter().filter(|record| record.kind == STUCK);
    let expected: Vec<_> = (11..=20).map(|n| n * 10).collect();
    assert_eq!(stuck.map(|record| record.seq).collect::<Vec<_>>(), expected);
}

#[test]
fn a_damaged_segment_and_what_follows_it_stay_as_they_are() {
    let disk = MemoryDisk::new(1);
    let (journal, _committer) = written(&disk, small());
    let third = Path::new(FOLDER).join(segment::file_name(
        &segment::parse_id(journal.id()).unwrap(),
        2,
    ));
    assert!(disk.flip_bit(&third, DATA_START as usize + 500, 3));
    let before = read_all(&disk, journal.id());
    let from = before
        .iter()
        .find(|record| record.kind != STUCK)
        .unwrap()
        .seq;
    assert_eq!(from, 1);
    assert!(thin(&journal) > 0);
    let left = read_all(&disk, journal.id());
    let first = left.iter().find(|record| record.kind != STUCK).unwrap().seq;
    assert!(
        (20..40).contains(&first),
        "the third segment begins there: {first}"
    );
    let since = |records: &[Record]| -> Vec<u64> {
        seqs(records)
            .into_iter()
            .filter(|seq| *seq >= first)
            .collect()
    };
    assert_eq!(since(&left), since(&before));
}

#[test]
fn a_disk_that_fails_while_thinning_loses_nothing() {
    for fault in [Fault::Io, Fault::NoSpace, Fault::PowerLoss] {
        let mut complete = false;
        for at in 0.. {
            let disk = MemoryDisk::new(at);
            let (journal, committer) = written(&disk, small());
            disk.fail_after(at, fault);
            let result = journal.thin(&[journal.id().to_owned()], &is_stuck);
            let id = journal.id().to_owned();
            complete = result.is_ok() && disk.powered();
            drop((journal, committer));
            disk.crash(at);
            let (_, _, recovered) = open_with(&disk, small());
            assert_eq!(recovered[0].quarantined, 0, "{fault:?} at {at}");
            let left = read_all(&disk, &id);
            let stuck = left.iter().filter(|record| record.kind == STUCK);
            assert_eq!(stuck.count(), 20, "{fault:?} at {at}");
            let names = disk.list(Path::new(FOLDER)).unwrap();
            assert!(names.iter().all(|name| name.ends_with(".seg")), "{names:?}");
            if complete {
                break;
            }
            assert!(at < 2_000, "{fault:?}");
        }
        assert!(complete);
    }
}

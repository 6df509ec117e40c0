//! What becomes of records when their files are damaged?

use super::*;

/// A journal of 40 records over several segments.
fn written() -> (MemoryDisk, String) {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk);
    for of in 1..=40 {
        append(&journal, of, 400).unwrap();
        drain(&mut committer);
    }
    (disk, journal.id().to_owned())
}

fn segments(disk: &MemoryDisk, journal: &str) -> Vec<PathBuf> {
    let id = segment::parse_id(journal).unwrap();
    segment::list_after(disk, Path::new(FOLDER), &id, None)
        .unwrap()
        .into_iter()
        .map(|number| Path::new(FOLDER).join(segment::file_name(&id, number)))
        .collect()
}

fn recover(disk: &MemoryDisk, journal: &str) -> Recovered {
    let folder = Path::new(FOLDER);
    let quarantine = Quarantine::open(Arc::new(disk.clone()), folder, 1 << 30);
    let found = recovery::recover(disk, folder, &Index::default(), &quarantine).unwrap();
    let mut journals = found.journals.into_iter();
    journals.find(|found| found.journal == journal).unwrap()
}

/// Records that were written come back as they were written, in order.
fn assert_true(disk: &MemoryDisk, journal: &str, found: &Recovered) -> Vec<u64> {
    let records = read_all(disk, journal);
    for record in &records {
        assert_eq!(record.body, body(record.seq, 400));
        assert_eq!((record.kind, record.flags), (1, 0));
    }
    let seqs = seqs(&records);
    assert!(seqs.is_sorted_by(|a, b| a < b) && seqs.iter().all(|seq| *seq <= 40));
    assert_eq!(found.records, seqs.len() as u64);
    assert_eq!(found.last, seqs.last().copied());
    seqs
}

#[test]
fn a_flipped_bit_anywhere_never_yields_a_false_record() {
    let (disk, journal) = written();
    recover(&disk, &journal);
    let segments = segments(&disk, &journal);
    assert!(segments.len() >= 4);
    let mut random = Random(7);
    for (index, path) in segments.iter().enumerate() {
        let header = 0..64;
        let records = (0..150).map(|_| 4096 + random.below(4096));
        for at in header.chain(records).collect::<Vec<_>>() {
            let bit = random.below(8) as u8;
            assert!(disk.flip_bit(path, at, bit));
            let found = recover(&disk, &journal);
            let seqs = assert_true(&disk, &journal, &found);
            // The damage stays in its segment: at most its records are gone.
            assert!(seqs.len() >= 40 - 9, "byte {at} of segment {index}");
            let last = index == segments.len() - 1;
            if seqs.len() < 40 && !last {
                assert_eq!(found.quarantined, 1, "byte {at} of segment {index}");
            }
            if seqs.len() < 40 && last {
                assert!(found.torn_tail, "byte {at} of segment {index}");
            }
            disk.flip_bit(path, at, bit);
        }
    }
}

#[test]
fn a_header_is_not_needed_to_find_records() {
    let (disk, journal) = written();
    recover(&disk, &journal);
    for path in segments(&disk, &journal) {
        for bit in [0, 1] {
            disk.flip_bit(&path, 9, bit);
        }
    }
    let found = recover(&disk, &journal);
    assert_eq!(assert_true(&disk, &journal, &found).len(), 40);
    assert!(found.quarantined >= 4);
}

#[test]
fn damage_in_the_middle_is_quarantined_and_passed_over() {
    let (disk, journal) = written();
    recover(&disk, &journal);
    let path = segments(&disk, &journal).remove(1);
    assert!(disk.flip_bit(&path, 4096 + 500, 0));
    let damaged = disk.contents(&path).unwrap();
    let found = recover(&disk, &journal);
    let seqs = assert_true(&disk, &journal, &found);
    assert_eq!((found.quarantined, found.torn_tail), (1, false));
    assert_eq!(found.problems.len(), 1);
    assert!(seqs.contains(&10) && !seqs.contains(&11) && seqs.contains(&40));
    let name = path.file_name().unwrap();
    let copy = Path::new(FOLDER).join(quarantine::QUARANTINE).join(name);
    assert_eq!(disk.contents(&copy).unwrap(), damaged);
    assert!(disk.exists(&path).unwrap(), "nothing is deleted");
    // The next start finds the same and copies nothing twice.
    assert_eq!(recover(&disk, &journal), found);
    let quarantine = Path::new(FOLDER).join(quarantine::QUARANTINE);
    assert_eq!(disk.list(&quarantine).unwrap().len(), 1);
}

#[test]
fn a_copy_that_fails_does_not_fail_the_start() {
    let (disk, journal) = written();
    let path = segments(&disk, &journal).remove(1);
    disk.flip_bit(&path, 4096 + 500, 0);
    disk.set_capacity(Some(0));
    let (writer, _committer, recovered) = open(&disk);
    assert!(!writer.writable());
    assert_eq!(recovered[0].quarantined, 1);
    let said = recovered[0].problems.iter();
    assert_eq!(
        said.filter(|text| text.contains("cannot be copied"))
            .count(),
        1
    );
    disk.set_capacity(None);
    recover(&disk, &journal);
    let quarantine = Path::new(FOLDER).join(quarantine::QUARANTINE);
    assert_eq!(disk.list(&quarantine).unwrap().len(), 1);
}

#[test]
fn a_missing_segment_in_the_middle_is_counted() {
    let (disk, journal) = written();
    let path = segments(&disk, &journal).remove(1);
    disk.remove(&path).unwrap();
    let found = recover(&disk, &journal);
    let seqs = assert_true(&disk, &journal, &found);
    assert_eq!(found.quarantined, 1);
    assert!(seqs.contains(&1) && seqs.contains(&40) && seqs.len() < 40);
}

#[test]
fn the_last_segment_may_be_cut_anywhere() {
    let (disk, journal) = written();
    recover(&disk, &journal);
    let path = segments(&disk, &journal).pop().unwrap();
    let whole = disk.contents(&path).unwrap();
    for cut in (0..whole.len()).step_by(97) {
        disk.remove(&path).unwrap();
        let file = disk.create_new(&path).unwrap();
        file.write_all_at(&whole[..cut], 0).unwrap();
        let found = recover(&disk, &journal);
        let seqs = assert_true(&disk, &journal, &found);
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
        assert!(seqs.len() >= 31, "cut at {cut}");
        assert_eq!(found.quarantined, 0, "cut at {cut}: {:?}", found.problems);
        if !disk.exists(&path).unwrap() {
            // It was cut to nothing but zeroes, and removed as never begun.
            disk.create_new(&path).unwrap();
        }
    }
}

#[test]
fn files_that_are_not_segments_are_left_alone() {
    let (disk, journal) = written();
    let other = Path::new(FOLDER).join("notes.txt");
    disk.create_new(&other).unwrap();
    assert_eq!(recover(&disk, &journal).records, 40);
    assert!(disk.exists(&other).unwrap());
}

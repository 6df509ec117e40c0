//! Does every crash and every damage leave something true?

use super::*;
use crate::disk::{
    RealDisk,
    memory::{Fault, MemoryDisk},
};

const ROOT: &str = "/data/snapshots";

fn marks(revision: u64) -> Marks {
    Marks {
        environment_uid: "e1".to_owned(),
        root_version: 1,
        epoch: 0,
        revision,
        serial: revision * 2,
        timestamp_sha256: String::new(),
        release_version: revision,
        release_sha256: "aa".to_owned(),
        control_version: 1,
        control_sha256: "bb".to_owned(),
    }
}

fn pack(revision: u64) -> Vec<u8> {
    vec![revision as u8; 1500]
}

fn keep(disk: &MemoryDisk) -> Keep {
    Keep::open(Arc::new(disk.clone()), Path::new(ROOT), "production").unwrap()
}

fn stored(revisions: std::ops::RangeInclusive<u64>) -> (MemoryDisk, Keep) {
    let disk = MemoryDisk::new(1);
    let keep = keep(&disk);
    for revision in revisions {
        keep.store(&marks(revision), &pack(revision)).unwrap();
    }
    (disk, keep)
}

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join("production").join(name)
}

fn pack_path(revision: u64) -> PathBuf {
    let sha = sha256_hex(&pack(revision));
    path(&format!("0.{revision}-{}.pack", &sha[..16]))
}

fn kept(revision: u64) -> Kept {
    Kept {
        marks: marks(revision),
        pack: Some(pack(revision)),
        fell_back: false,
    }
}

fn overwrite(disk: &MemoryDisk, path: &Path, bytes: &[u8]) {
    disk.remove(path).unwrap();
    disk.create_new(path)
        .unwrap()
        .write_all_at(bytes, 0)
        .unwrap();
}

#[test]
fn a_stored_pack_is_loaded_with_its_marks() {
    let disk = MemoryDisk::new(1);
    let keep = keep(&disk);
    assert_eq!(keep.load().unwrap(), None);
    keep.store(&marks(1), &pack(1)).unwrap();
    assert_eq!(keep.load().unwrap(), Some(kept(1)));
}

#[test]
fn only_the_current_and_the_previous_pack_are_kept() {
    let (disk, keep) = stored(1..=4);
    assert_eq!(keep.load().unwrap(), Some(kept(4)));
    let names = disk.list(&path("")).unwrap();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(disk.exists(&pack_path(3)).unwrap() && disk.exists(&pack_path(4)).unwrap());
}

#[test]
fn marks_are_raised_without_a_pack() {
    let (disk, keep) = stored(1..=1);
    keep.raise(&marks(7)).unwrap();
    disk.crash(3);
    let again = self::keep(&disk).load().unwrap().unwrap();
    assert_eq!((again.marks, again.pack), (marks(7), Some(pack(1))));
}

#[test]
fn marks_raised_before_any_pack_are_kept() {
    let disk = MemoryDisk::new(1);
    keep(&disk).raise(&marks(7)).unwrap();
    let found = keep(&disk).load().unwrap().unwrap();
    assert_eq!((found.marks, found.pack), (marks(7), None));
}

#[test]
fn a_crash_at_any_step_leaves_before_or_after() {
    for (first, second) in [(None, 1), (Some(1), 2), (Some(2), 3)] {
        let mut step = 0;
        loop {
            let mut finished = false;
            for seed in 0..12 {
                let (disk, keep) = stored(1..=first.unwrap_or(0));
                disk.fail_after(step, Fault::PowerLoss);
                let done = keep.store(&marks(second), &pack(second)).is_ok();
                // Removing old packs comes after the promise.
                finished |= done && disk.exists(Path::new(ROOT)).is_ok();
                disk.crash(seed * 1000 + step);
                let keep = self::keep(&disk);
                let found = keep.load().unwrap();
                let after = found == Some(kept(second));
                assert!(after || (!done && found == first.map(kept)), "step {step}");
                keep.store(&marks(9), &pack(9)).unwrap();
                assert_eq!(keep.load().unwrap(), Some(kept(9)));
            }
            if finished {
                break;
            }
            step += 1;
        }
        assert!(step >= 10, "{step} steps");
    }
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    for step in 0..10 {
        let (disk, keep) = stored(1..=2);
        disk.fail_after(step, Fault::NoSpace);
        let error = keep.store(&marks(3), &pack(3)).unwrap_err();
        assert!(matches!(error, KeepError::Io { .. }), "{error}");
        let found = keep.load().unwrap();
        assert!(found == Some(kept(2)) || found == Some(kept(3)));
        keep.store(&marks(4), &pack(4)).unwrap();
        assert_eq!(keep.load().unwrap(), Some(kept(4)));
    }
}

#[test]
fn a_damaged_pack_falls_back_to_the_previous_one() {
    let (disk, keep) = stored(1..=2);
    assert!(disk.flip_bit(&pack_path(2), 700, 3));
    let found = keep.load().unwrap().unwrap();
    assert_eq!(found.marks, marks(2), "the marks stay where they were");
    assert_eq!((found.pack, found.fell_back), (Some(pack(1)), true));
    // The next store keeps the good one, not the damaged one.
    keep.store(&marks(3), &pack(3)).unwrap();
    assert!(disk.flip_bit(&pack_path(3), 0, 0));
    assert_eq!(keep.load().unwrap().unwrap().pack, Some(pack(1)));
}

#[test]
fn a_previous_pack_that_was_exchanged_is_refused() {
    let (disk, keep) = stored(1..=2);
    disk.remove(&pack_path(2)).unwrap();
    overwrite(&disk, &pack_path(1), &pack(9));
    let error = keep.load().unwrap_err();
    assert!(matches!(error, KeepError::Damaged { .. }));
    let text = error.to_string();
    assert!(text.contains("0.2-") && text.contains("0.1-"), "{text}");
    assert_eq!(keep.marks().unwrap(), Some(marks(2)));
}

#[test]
fn a_missing_manifest_beside_packs_is_an_error() {
    let (disk, keep) = stored(1..=2);
    disk.remove(&path(MANIFEST)).unwrap();
    for error in [
        keep.load().unwrap_err(),
        keep.raise(&marks(1)).unwrap_err(),
        keep.store(&marks(1), &pack(1)).unwrap_err(),
    ] {
        assert!(matches!(error, KeepError::ManifestMissing { packs: 2, .. }));
    }
    assert!(disk.exists(&pack_path(2)).unwrap());
}

#[test]
fn every_flipped_bit_of_the_manifest_is_noticed() {
    let (disk, keep) = stored(1..=2);
    let length = disk.contents(&path(MANIFEST)).unwrap().len();
    // The line end behind the object means nothing.
    for at in 0..length - 1 {
        let bit = (at % 8) as u8;
        assert!(disk.flip_bit(&path(MANIFEST), at, bit));
        let error = keep.load().expect_err("a damaged manifest was read");
        let named = matches!(error, KeepError::Manifest { .. } | KeepError::Format { .. });
        assert!(named, "byte {at}: {error}");
        assert!(keep.store(&marks(1), &pack(1)).is_err(), "byte {at}");
        disk.flip_bit(&path(MANIFEST), at, bit);
    }
    assert_eq!(keep.load().unwrap(), Some(kept(2)));
}

#[test]
fn a_manifest_of_another_environment_or_format_is_refused() {
    let (disk, keep) = stored(1..=1);
    let bytes = disk.contents(&path(MANIFEST)).unwrap();
    let other = Keep::open(Arc::new(disk.clone()), Path::new(ROOT), "other").unwrap();
    let target = Path::new(ROOT).join("other").join(MANIFEST);
    disk.create_new(&target)
        .unwrap()
        .write_all_at(&bytes, 0)
        .unwrap();
    let error = other.load().unwrap_err();
    assert!(matches!(error, KeepError::Manifest { .. }));
    overwrite(&disk, &path(MANIFEST), br#"{"format":2,"anything":[]}"#);
    let error = keep.load().unwrap_err();
    assert!(matches!(error, KeepError::Format { found: 2, .. }));
}

#[test]
fn names_that_would_leave_the_folder_are_refused() {
    for name in ["", ".", "..", "a/b", "/etc", ".hidden", "a b", "\u{e4}"] {
        let disk = Arc::new(MemoryDisk::new(1));
        let refused = Keep::open(disk, Path::new(ROOT), name);
        assert!(matches!(refused, Err(KeepError::Name(_))), "{name:?}");
    }
}

#[test]
fn a_real_folder_keeps_what_was_stored() {
    let root = tempfile::tempdir().unwrap();
    let open = || Keep::open(Arc::new(RealDisk), root.path(), "production").unwrap();
    open().store(&marks(1), &pack(1)).unwrap();
    open().store(&marks(2), &pack(2)).unwrap();
    // What a kill between write and rename leaves behind.
    std::fs::write(root.path().join("production/manifest.json.tmp"), "{").unwrap();
    std::fs::write(root.path().join("production/0.9-0.pack"), "x").unwrap();
    let again = open();
    assert_eq!(again.load().unwrap(), Some(kept(2)));
    let left = RealDisk.list(&root.path().join("production")).unwrap();
    assert_eq!(left.len(), 3, "{left:?}");
}

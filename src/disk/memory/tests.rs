//! Is the simulated disk as treacherous as a real one?

use super::*;

fn root() -> &'static Path {
    Path::new("/d")
}

fn disk(seed: u64) -> MemoryDisk {
    let disk = MemoryDisk::new(seed);
    disk.create_dir_all(root()).unwrap();
    disk
}

/// What a file holds after a crash with each of many seeds.
fn after_crash(prepare: impl Fn(&MemoryDisk)) -> Vec<Option<Vec<u8>>> {
    (0..200)
        .map(|seed| {
            let disk = disk(seed);
            prepare(&disk);
            disk.crash(seed);
            disk.contents(&root().join("f"))
        })
        .collect()
}

#[test]
fn synced_content_under_a_synced_name_always_survives() {
    let found = after_crash(|disk| {
        let file = disk.create_new(&root().join("f")).unwrap();
        file.write_all_at(&[7; 2000], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(root()).unwrap();
    });
    assert!(found.iter().all(|bytes| bytes == &Some(vec![7; 2000])));
}

#[test]
fn an_unsynced_name_is_sometimes_lost() {
    let found = after_crash(|disk| {
        let file = disk.create_new(&root().join("f")).unwrap();
        file.write_all_at(&[7; 10], 0).unwrap();
        file.sync_all().unwrap();
    });
    assert!(found.contains(&None) && found.contains(&Some(vec![7; 10])));
}

#[test]
fn unsynced_content_is_sometimes_lost_kept_or_torn() {
    let found = after_crash(|disk| {
        let file = disk.create_new(&root().join("f")).unwrap();
        file.write_all_at(&[0; 1024], 0).unwrap();
        file.sync_all().unwrap();
        disk.sync_dir(root()).unwrap();
        file.write_all_at(&[7; 1024], 0).unwrap();
    });
    assert!(found.contains(&Some(vec![0; 1024])));
    assert!(found.contains(&Some(vec![7; 1024])));
    let half = [vec![0; 512], vec![7; 512]].concat();
    assert!(found.contains(&Some(half)));
}

#[test]
fn a_sync_after_a_failed_sync_proves_nothing() {
    let found = after_crash(|disk| {
        let file = disk.create_new(&root().join("f")).unwrap();
        file.write_all_at(&[0; 100], 0).unwrap();
        file.sync_all().unwrap();
        disk.sync_dir(root()).unwrap();
        file.write_all_at(&[7; 100], 0).unwrap();
        disk.fail_after(0, Fault::Io);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
    });
    assert!(found.contains(&Some(vec![0; 100])));
}

#[test]
fn a_rename_is_seen_wholly_or_not_at_all() {
    let found = after_crash(|disk| {
        for (name, byte) in [("f", 1), ("g", 2)] {
            let file = disk.create_new(&root().join(name)).unwrap();
            file.write_all_at(&[byte], 0).unwrap();
            file.sync_all().unwrap();
        }
        disk.sync_dir(root()).unwrap();
        disk.rename(&root().join("g"), &root().join("f")).unwrap();
    });
    assert!(
        found
            .iter()
            .all(|bytes| matches!(bytes.as_deref(), Some([1 | 2])))
    );
    assert!(found.contains(&Some(vec![1])) && found.contains(&Some(vec![2])));
}

#[test]
fn nothing_works_between_power_loss_and_restart() {
    let disk = disk(1);
    let path = root().join("f");
    let file = disk.create_new(&path).unwrap();
    disk.fail_after(0, Fault::PowerLoss);
    assert!(file.write_all_at(b"x", 0).is_err());
    assert!(file.sync_data().is_err() && disk.exists(&path).is_err());
    disk.crash(1);
    assert!(disk.exists(&path).is_ok());
    assert!(file.length().is_err());
}

#[test]
fn a_full_disk_refuses_growth_and_takes_overwriting() {
    let disk = disk(1);
    let file = disk.create_new(&root().join("f")).unwrap();
    disk.set_capacity(Some(10));
    file.write_all_at(&[1; 10], 0).unwrap();
    let error = file.write_all_at(&[2; 2], 9).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    file.write_all_at(&[2; 2], 8).unwrap();
}

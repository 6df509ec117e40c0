//! What is done with files that may go and cannot be removed?

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Shipping, ShippingParts};
use crate::{
    clock::{Ambient, LongWork},
    current::Current,
    disk::{
        journal::{Durability, Journal, JournalOptions, Owner},
        memory::{Fault, MemoryDisk},
    },
    progress::{OnUnknownSubject, Progress, ProgressOptions},
    upstream::NoLedger,
};

/// Found by a simulation: the disk refused to remove the journal of an earlier
/// run, that journal filled the quota, and so nothing was ever shipped that
/// would have led to another try.
#[tokio::test(start_paused = true)]
async fn a_journal_that_could_not_be_removed_is_removed_later() {
    let disk = MemoryDisk::new(1);
    let options = JournalOptions {
        folder: "/data/journal".into(),
        segment_bytes: 8192,
        total_bytes_max: 1 << 20,
        owners: 1,
        owner_bytes_max: u64::MAX,
        durability: Durability::Disk,
    };
    let ambient = Ambient {
        long_work: LongWork::InPlace,
        ..Ambient::system()
    };
    let open = || Journal::open(Arc::new(disk.clone()), options.clone(), &ambient).expect("opens");
    let (journal, mut committer, _) = open();
    // Of an environment that nobody here ships.
    let event = serde_json::json!({
        "environment": "development", "environment_uid": "env_2", "user": "ann",
        "revision": "0.1", "decided_ms": 1, "operation": {"op": "membership"},
        "base": {"document": 0}, "edge": "edge",
    });
    let body = event.to_string().into_bytes();
    let ticket = journal.append(journal.era(), (Owner(0), 1), 0, body);
    committer.step();
    ticket
        .expect("there is room")
        .durable()
        .await
        .expect("it is synced");
    drop((journal, committer));
    let (journal, _committer, recovered) = open();
    assert_eq!(recovered.len(), 1, "the journal of the first run");
    let (progress, _reader) = Progress::new(
        journal.clone(),
        Arc::new(NoLedger),
        ProgressOptions {
            users_max: 10,
            resident_max: 10,
            records_max: 10,
            on_unknown: OnUnknownSubject::Refuse,
            edge: "edge".to_owned(),
            environments: vec!["production".to_owned()],
        },
    );
    let shipping = Shipping::new(ShippingParts {
        progress,
        ledger: Arc::new(NoLedger),
        current: Arc::new(Current::default()),
        journal,
        recovered,
        kept: Default::default(),
        environments: vec!["production".to_owned()],
        ambient: ambient.clone(),
        pause_first: Duration::from_millis(100),
        pause_max: Duration::from_secs(1),
    });
    let open = || {
        shipping
            .status
            .lock()
            .expect("nobody panicked")
            .journals_open
    };
    disk.set_broken(Some(Fault::Io));
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(shipping.clone().run("production".to_owned(), stopped));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(open(), 1, "the disk does not let it go");
    disk.set_broken(None);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(open(), 0);
    running.abort();
}

//! What does it cost to make bytes durable when nobody thinks?
//!
//! A file of zeros into which a thread writes what has come together since the
//! last write, with one sync for all of it; then it wakes who waited.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, Condvar, Mutex},
};

use tokio::sync::oneshot;

use super::world::SEGMENT_BYTES;

/// The waiting end.
pub(super) struct Floor {
    queue: Arc<(Mutex<Vec<oneshot::Sender<()>>>, Condvar)>,
}

impl Floor {
    pub(super) fn start(folder: &Path, record_bytes: usize) -> Self {
        let file = File::create_new(folder.join("floor")).expect("a file");
        let zeros = vec![0; SEGMENT_BYTES as usize];
        file.write_all_at(&zeros, 0).expect("there is room");
        file.sync_all().expect("it syncs");
        let queue = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let shared = Arc::clone(&queue);
        drop(std::thread::spawn(move || {
            commit(&file, &shared, record_bytes)
        }));
        Self { queue }
    }

    pub(super) async fn append(&self) {
        let (waiter, synced) = oneshot::channel();
        self.queue.0.lock().expect("nobody failed").push(waiter);
        self.queue.1.notify_one();
        synced.await.expect("it is synced");
    }
}

fn commit(
    file: &File,
    (queue, changed): &(Mutex<Vec<oneshot::Sender<()>>>, Condvar),
    record_bytes: usize,
) {
    let (mut offset, mut bytes) = (0, Vec::new());
    loop {
        let waiting = queue.lock().expect("nobody failed");
        let waiting = changed.wait_while(waiting, |waiting| waiting.is_empty());
        let waiters = std::mem::take(&mut *waiting.expect("nobody failed"));
        bytes.resize(waiters.len() * record_bytes, 7);
        // From the beginning again, so that the length never changes.
        if offset + bytes.len() as u64 > SEGMENT_BYTES {
            offset = 0;
        }
        file.write_all_at(&bytes, offset).expect("there is room");
        file.sync_data().expect("it syncs");
        offset += bytes.len() as u64;
        for waiter in waiters {
            waiter.send(()).expect("somebody waits");
        }
    }
}

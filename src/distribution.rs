//! What may other edges pull from this one?
//!
//! A [`Shelf`] for each environment holds the files of the revision that was
//! verified and kept last, as they came: nothing on it was written by this
//! edge, and so nothing can have been altered. The revision before stays, for
//! edges that are in the middle of pulling it. What two revisions have in
//! common is held once: the cost is the encoded parts of one revision and of
//! what the last publish changed.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use tokio::sync::watch;

use crate::snapshot::{pack::Pack, sha256_hex};

/// What is offered of one environment.
#[derive(Debug)]
pub struct Shelf {
    offered: watch::Sender<Offered>,
}

/// What stands on a shelf at one time.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    /// None before anything was verified.
    pub offer: Option<Arc<Offer>>,
    /// Nothing follows: whoever waits is told how things stand.
    pub is_ending: bool,
}

/// One timestamp and what it leads to.
#[derive(Debug)]
pub struct Offer {
    /// The timestamp file.
    pub timestamp: Bytes,
    /// Strong entity tag of the timestamp file, with its quotes.
    pub etag: String,
    /// Root files by version, from the configured trust root on.
    roots: BTreeMap<u64, Bytes>,
    revision: Arc<Files>,
    previous: Option<Arc<Files>>,
}

/// The files of one revision below its timestamp.
#[derive(Debug)]
struct Files {
    release: (u64, Bytes),
    control: (u64, Bytes),
    /// Encoded bytes by their SHA-256.
    blobs: BTreeMap<String, Bytes>,
}

impl Files {
    /// Whether both lead to the same content.
    fn is_same(&self, other: &Self) -> bool {
        self.release == other.release && self.control == other.control
    }
}

/// Root files in a row, the last of which is in force.
#[derive(Clone, Debug)]
pub struct Roots {
    /// Of the last one.
    pub version: u64,
    /// The configured trust root first.
    pub files: Vec<Vec<u8>>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            offered: watch::Sender::new(Offered::default()),
        }
    }
}

impl Shelf {
    /// Puts a verified revision on the shelf; the versions are those of its
    /// release and its control document.
    pub fn put(&self, roots: &Roots, versions: (u64, u64), pack: Pack) {
        let offer = self.offered.borrow().offer.clone();
        let known = |sha256: &str| offer.as_ref()?.revision.blobs.get(sha256).cloned();
        let blobs = pack.blobs.into_iter().map(|(sha256, bytes)| {
            let bytes = known(&sha256).unwrap_or_else(|| bytes.into());
            (sha256, bytes)
        });
        let revision = Arc::new(Files {
            release: (versions.0, pack.release.into()),
            control: (versions.1, pack.control.into()),
            blobs: blobs.collect(),
        });
        let previous = offer.and_then(|offer| match offer.revision.is_same(&revision) {
            true => offer.previous.clone(),
            false => Some(Arc::clone(&offer.revision)),
        });
        self.offer(roots, pack.timestamp, revision, previous);
    }

    /// The same revision under a newer timestamp.
    pub fn fresher(&self, roots: &Roots, timestamp: &[u8]) {
        let Some(offer) = self.offered.borrow().offer.clone() else {
            return;
        };
        let (revision, previous) = (Arc::clone(&offer.revision), offer.previous.clone());
        self.offer(roots, timestamp.to_vec(), revision, previous);
    }

    fn offer(
        &self,
        roots: &Roots,
        timestamp: Vec<u8>,
        revision: Arc<Files>,
        previous: Option<Arc<Files>>,
    ) {
        let newest_first = roots.files.iter().rev().zip(0..);
        let roots = newest_first.filter_map(|(file, back)| {
            let version = roots.version.checked_sub(back)?;
            Some((version, Bytes::copy_from_slice(file)))
        });
        let offer = Arc::new(Offer {
            etag: format!("\"{}\"", sha256_hex(&timestamp)),
            timestamp: timestamp.into(),
            roots: roots.collect(),
            revision,
            previous,
        });
        self.offered
            .send_modify(|offered| offered.offer = Some(offer));
    }

    /// Ends every wait: the process stops.
    pub fn end(&self) {
        self.offered.send_modify(|offered| offered.is_ending = true);
    }

    /// What stands on the shelf, and a signal for what comes.
    pub fn watch(&self) -> watch::Receiver<Offered> {
        self.offered.subscribe()
    }

    /// What stands on the shelf.
    pub fn now(&self) -> Option<Arc<Offer>> {
        self.offered.borrow().offer.clone()
    }
}

impl Offer {
    /// A root file.
    pub fn root(&self, version: u64) -> Option<Bytes> {
        self.roots.get(&version).cloned()
    }

    /// A release file.
    pub fn release(&self, version: u64) -> Option<Bytes> {
        let mut releases = self.files().map(|files| &files.release);
        let (_, file) = releases.find(|(own, _)| *own == version)?;
        Some(file.clone())
    }

    /// A control file.
    pub fn control(&self, version: u64) -> Option<Bytes> {
        let mut controls = self.files().map(|files| &files.control);
        let (_, file) = controls.find(|(own, _)| *own == version)?;
        Some(file.clone())
    }

    /// Encoded bytes by their SHA-256.
    pub fn part(&self, sha256: &str) -> Option<Bytes> {
        let mut found = self.files().filter_map(|files| files.blobs.get(sha256));
        found.next().cloned()
    }

    /// The revision in force, then the one before.
    fn files(&self) -> impl Iterator<Item = &Arc<Files>> {
        std::iter::once(&self.revision).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(timestamp: &[u8], blobs: &[&str]) -> Pack {
        let blob = |text: &&str| (sha256_hex(text.as_bytes()), text.as_bytes().to_vec());
        Pack {
            timestamp: timestamp.to_vec(),
            release: [b"release of ", timestamp].concat(),
            control: [b"control of ", timestamp].concat(),
            blobs: blobs.iter().map(blob).collect(),
            ..Pack::default()
        }
    }

    fn roots(version: u64, files: &[&[u8]]) -> Roots {
        let files = files.iter().map(|file| file.to_vec()).collect();
        Roots { version, files }
    }

    #[test]
    fn the_revision_before_stays_and_the_one_before_that_goes() {
        let (shelf, roots) = (Shelf::default(), roots(1, &[b"one"]));
        assert!(shelf.now().is_none());
        for (version, only) in [(1, "a"), (2, "b"), (3, "c")] {
            let both = ["common", only];
            shelf.put(&roots, (version, version), pack(only.as_bytes(), &both));
        }
        let offer = shelf.now().expect("an offer");
        assert_eq!(&offer.timestamp[..], b"c");
        assert_eq!(offer.release(2).as_deref(), Some(&b"release of b"[..]));
        assert_eq!(offer.control(3).as_deref(), Some(&b"control of c"[..]));
        assert_eq!((offer.release(1), offer.release(4)), (None, None));
        let has = |text: &str| offer.part(&sha256_hex(text.as_bytes())).is_some();
        assert!(has("common") && has("b") && has("c") && !has("a"));
    }

    #[test]
    fn the_same_revision_once_more_pushes_nothing_out() {
        let (shelf, roots) = (Shelf::default(), roots(1, &[b"one"]));
        shelf.put(&roots, (1, 1), pack(b"a", &["a"]));
        for _ in 0..2 {
            shelf.put(&roots, (2, 1), pack(b"b", &["b"]));
        }
        let offer = shelf.now().expect("an offer");
        assert!(offer.part(&sha256_hex(b"a")).is_some() && offer.release(1).is_some());
    }

    #[test]
    fn what_two_revisions_share_is_held_once() {
        let (shelf, roots) = (Shelf::default(), roots(1, &[b"one"]));
        let part = |shelf: &Shelf| {
            let offer = shelf.now().expect("an offer");
            offer.part(&sha256_hex(b"common")).expect("the part")
        };
        shelf.put(&roots, (1, 1), pack(b"a", &["common"]));
        let first = part(&shelf);
        shelf.put(&roots, (2, 1), pack(b"b", &["common"]));
        assert_eq!(part(&shelf).as_ptr(), first.as_ptr());
    }

    #[test]
    fn roots_have_the_versions_that_lead_to_the_last_one() {
        let shelf = Shelf::default();
        shelf.put(&roots(4, &[b"three", b"four"]), (1, 1), pack(b"a", &[]));
        shelf.fresher(&roots(5, &[b"three", b"four", b"five"]), b"b");
        let offer = shelf.now().expect("an offer");
        let all: Vec<_> = (1..=6).filter_map(|version| offer.root(version)).collect();
        assert_eq!(all, [&b"three"[..], b"four", b"five"]);
        assert_eq!(offer.root(5).as_deref(), Some(&b"five"[..]));
        assert_eq!(offer.release(1).as_deref(), Some(&b"release of a"[..]));
    }
}

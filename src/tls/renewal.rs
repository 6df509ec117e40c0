//! How does a new certificate come into force?
//!
//! The files are looked at every few seconds and on SIGHUP, by their bytes:
//! links that are swapped and clocks that jump do not matter. What is new is
//! judged first; what does not serve changes nothing, is said once, and is
//! looked at again. Connections that are open keep what they began with.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{TlsError, pem::Content};
use crate::clock::UnixMs;

/// Files of which something for handshakes is made.
pub trait Source: Send + Sync + 'static {
    /// What is made.
    type Value: Clone + Send + Sync + 'static;

    /// Reads all files.
    fn read(&self) -> Result<Vec<Content>, TlsError>;

    /// Judges what was read.
    fn make(&self, read: &[Content], now: UnixMs) -> Result<Made<Self::Value>, TlsError>;
}

/// What files have become.
pub struct Made<T> {
    pub(super) value: T,
    /// When our own certificate expires, if there is one.
    pub(super) expires_ms: Option<UnixMs>,
}

/// What is in force for one use, and the files it is made of.
pub struct Renewal<S: Source> {
    name: &'static str,
    source: S,
    current: watch::Sender<S::Value>,
    facts: Facts,
    seen: Mutex<Seen>,
}

/// What is measured of one renewal.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Zero when no certificate of ours is shown.
    pub(super) expires_ms: AtomicU64,
    pub(super) reloads: AtomicU64,
    pub(super) errors: AtomicU64,
}

/// A hash over all files; none when one of them cannot be read.
type Print = Option<[u8; 32]>;

struct Seen {
    /// Of what is in force.
    good: Print,
    /// Of what was refused at the last look, and whether that was said.
    bad: Option<(Print, bool)>,
}

impl<S: Source> Renewal<S> {
    /// Reads the files for the first time; an error ends the start.
    pub fn start(name: &'static str, source: S, now: UnixMs) -> Result<Self, TlsError> {
        let read = source.read()?;
        let made = source.make(&read, now)?;
        let facts = Facts::default();
        facts
            .expires_ms
            .store(made.expires_ms.unwrap_or(0), Relaxed);
        Ok(Self {
            name,
            source,
            current: watch::Sender::new(made.value),
            facts,
            seen: Mutex::new(Seen {
                good: Some(print(&read)),
                bad: None,
            }),
        })
    }

    /// What is in force, and every later value.
    pub fn watch(&self) -> watch::Receiver<S::Value> {
        self.current.subscribe()
    }

    fn renew(&self, now: UnixMs, asked: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self.source.read();
        let found: Print = read.as_ref().ok().map(|read| print(read));
        if found.is_some() && found == seen.good {
            seen.bad = None;
            return;
        }
        match read.and_then(|read| self.source.make(&read, now)) {
            Ok(made) => {
                seen.good = found;
                seen.bad = None;
                let expires_ms = made.expires_ms.unwrap_or(0);
                self.facts.expires_ms.store(expires_ms, Relaxed);
                self.facts.reloads.fetch_add(1, Relaxed);
                self.current.send_replace(made.value);
                tracing::info!(of = self.name, "certificates were read again");
            }
            Err(error) => self.refuse(&mut seen, found, asked, &error),
        }
    }

    /// Whoever replaces several files does it one after the other: what is
    /// refused at one look is said at the next, unless somebody asked.
    fn refuse(&self, seen: &mut Seen, found: Print, asked: bool, error: &TlsError) {
        let known = seen.bad.filter(|(bad, _)| *bad == found);
        let said = known.is_some_and(|(_, said)| said);
        let say = asked || (known.is_some() && !said);
        seen.bad = Some((found, said || say));
        if say {
            self.facts.errors.fetch_add(1, Relaxed);
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(of = self.name, %error, cause,
                "new certificates were refused; the old ones stay in force");
        }
    }
}

fn print(read: &[Content]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (_, bytes) in read {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}

/// One renewal, whatever it is for.
trait Renewing: Send + Sync {
    fn renew(&self, now: UnixMs, asked: bool);
    fn facts(&self) -> (&'static str, &Facts);
}

impl<S: Source> Renewing for Renewal<S> {
    fn renew(&self, now: UnixMs, asked: bool) {
        Renewal::renew(self, now, asked);
    }

    fn facts(&self) -> (&'static str, &Facts) {
        (self.name, &self.facts)
    }
}

/// All renewals of a process. Cloning it is cheap.
#[derive(Clone, Default)]
pub struct Renewals(Vec<Arc<dyn Renewing>>);

impl Renewals {
    /// Looks after one more.
    pub fn add<S: Source>(&mut self, renewal: Renewal<S>) {
        self.0.push(Arc::new(renewal));
    }

    /// Whether there is nothing to look after.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at all files, and blocks while it reads them. Whoever asked by
    /// hand is told of every fault at once.
    pub fn renew(&self, now: UnixMs, asked: bool) {
        for renewal in &self.0 {
            renewal.renew(now, asked);
        }
    }

    pub(super) fn facts(&self) -> impl Iterator<Item = (&'static str, &Facts)> {
        self.0.iter().map(|renewal| renewal.facts())
    }
}

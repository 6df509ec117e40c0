//! Who wants to hear when a subject changes?
//!
//! The hub between whatever changes subjects (steps of this edge, changes of
//! others, outcomes of the ledger) and the connections that follow them. A
//! [`Listener`] names a user and perhaps a group and is woken; what has
//! changed it finds by reading. So nothing is queued: a hundred changes are
//! one wake to a listener that is busy, and none of them can be lost.
//!
//! What would surprise: a change that interests nobody costs one load. Ids
//! alone name subjects: one id in two environments costs a look for nothing.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
};

use tokio::sync::Notify;

use super::event::{GroupDocument, subject_hash};

/// Places of interest: 256 KiB. With ten thousand listeners six of seven
/// changes that concern nobody pass without a lock.
const PLACES: usize = 65_536;

/// Enough that two busy workers rarely meet in one.
const SHARDS: usize = 64;

/// Listeners by the hash of what they listen for.
type Shard = Mutex<HashMap<u64, Vec<Arc<Wake>>>>;

/// The hub.
pub(super) struct Listening {
    /// Listeners of any subject.
    total: AtomicUsize,
    /// Listeners of the subjects of each place.
    interest: Box<[AtomicU32]>,
    shards: Box<[Shard]>,
    wakes: AtomicU64,
    coalesced: AtomicU64,
}

/// How one listener is woken.
#[derive(Debug, Default)]
struct Wake {
    bell: Notify,
    /// Rung, and nobody has looked since.
    rung: AtomicBool,
    /// A record that was still on its way to the disk when its handler left:
    /// its effect shows when the journal has come so far.
    unsynced: AtomicU64,
    /// Nothing has changed, and it is to be said again all the same.
    again: AtomicBool,
}

/// What a listener was woken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// Up to which record the journal must be synced before the change shows;
    /// 0 when it shows already.
    pub unsynced: u64,
    /// What holds is to be said even where it was said before: a client may
    /// have assumed something else.
    pub again: bool,
}

/// A subscription, until it is dropped.
pub struct Listener {
    hub: Arc<Listening>,
    wake: Arc<Wake>,
    user: u64,
    group: Option<u64>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListeningCounts {
    /// Subscriptions now.
    pub listeners: usize,
    /// Listeners woken.
    pub wakes: u64,
    /// Wakes of listeners that had not looked since the last one.
    pub coalesced: u64,
}

impl Listening {
    /// Nobody listens.
    pub(super) fn new() -> Arc<Self> {
        let interest = std::iter::repeat_with(AtomicU32::default);
        let shards = std::iter::repeat_with(Shard::default);
        Arc::new(Self {
            total: AtomicUsize::new(0),
            interest: interest.take(PLACES).collect(),
            shards: shards.take(SHARDS).collect(),
            wakes: AtomicU64::new(0),
            coalesced: AtomicU64::new(0),
        })
    }

    /// From now on the listener hears of every change that is made; what was
    /// changed before it finds by reading afterwards.
    pub(super) fn listen(self: &Arc<Self>, user: &str, group: Option<&str>) -> Listener {
        let listener = Listener {
            hub: Arc::clone(self),
            wake: Arc::default(),
            user: subject_hash("user", &[user]),
            group: group.map(|group| subject_hash("group", &[group])),
        };
        for subject in listener.subjects() {
            let mut shard = self.shard(subject);
            shard
                .entry(subject)
                .or_default()
                .push(Arc::clone(&listener.wake));
            self.place(subject).fetch_add(1, Ordering::Relaxed);
            self.total.fetch_add(1, Ordering::Relaxed);
        }
        // Against the fence in `is_silent`: either the writer sees us, or we
        // see what it wrote.
        fence(Ordering::SeqCst);
        listener
    }

    /// Whether nobody listens to anything. To be asked after the change can
    /// be read.
    pub(super) fn is_silent(&self) -> bool {
        fence(Ordering::SeqCst);
        self.total.load(Ordering::Relaxed) == 0
    }

    /// This subject may have changed.
    pub(super) fn wake(&self, subject: u64) {
        self.wake_after(subject, 0);
    }

    /// This user has not changed, but whoever follows them is to say so.
    pub(super) fn remind(&self, user: &str) {
        if self.is_silent() {
            return;
        }
        let subject = subject_hash("user", &[user]);
        for wake in self.shard(subject).get(&subject).into_iter().flatten() {
            wake.again.store(true, Ordering::Release);
            self.ring(wake, 0);
        }
    }

    /// The same of a change that shows only when the journal is synced up to
    /// `seq`.
    fn wake_after(&self, subject: u64, seq: u64) {
        if self.is_silent() || self.place(subject).load(Ordering::Relaxed) == 0 {
            return;
        }
        for wake in self.shard(subject).get(&subject).into_iter().flatten() {
            self.ring(wake, seq);
        }
    }

    /// Anything may have changed.
    pub(super) fn wake_all(&self) {
        if self.is_silent() {
            return;
        }
        for shard in &self.shards {
            for wake in lock(shard).values().flatten() {
                self.ring(wake, 0);
            }
        }
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> ListeningCounts {
        ListeningCounts {
            listeners: self.total.load(Ordering::Relaxed),
            wakes: self.wakes.load(Ordering::Relaxed),
            coalesced: self.coalesced.load(Ordering::Relaxed),
        }
    }

    fn ring(&self, wake: &Wake, seq: u64) {
        wake.unsynced.fetch_max(seq, Ordering::AcqRel);
        if wake.rung.swap(true, Ordering::AcqRel) {
            self.coalesced.fetch_add(1, Ordering::Relaxed);
        } else {
            self.wakes.fetch_add(1, Ordering::Relaxed);
            wake.bell.notify_one();
        }
    }

    fn place(&self, subject: u64) -> &AtomicU32 {
        &self.interest[(subject % PLACES as u64) as usize]
    }

    fn shard(&self, subject: u64) -> MutexGuard<'_, HashMap<u64, Vec<Arc<Wake>>>> {
        // Other bits than those of the place.
        lock(&self.shards[((subject >> 32) % SHARDS as u64) as usize])
    }
}

/// A panic leaves a list that is right for everybody else.
fn lock(shard: &Shard) -> MutexGuard<'_, HashMap<u64, Vec<Arc<Wake>>>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listener {
    /// Returns when something may have changed since it returned last.
    pub async fn woken(&self) -> Woken {
        self.wake.bell.notified().await;
        // Before the caller reads: what changes from here on rings again.
        self.wake.rung.store(false, Ordering::Release);
        fence(Ordering::SeqCst);
        Woken {
            unsynced: self.wake.unsynced.swap(0, Ordering::AcqRel),
            again: self.wake.again.swap(false, Ordering::AcqRel),
        }
    }

    fn subjects(&self) -> impl Iterator<Item = u64> + use<> {
        std::iter::once(self.user).chain(self.group)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for subject in self.subjects() {
            let mut shard = self.hub.shard(subject);
            if let Some(wakes) = shard.get_mut(&subject) {
                if let Some(at) = wakes.iter().position(|own| Arc::ptr_eq(own, &self.wake)) {
                    wakes.swap_remove(at);
                }
                if wakes.is_empty() {
                    shard.remove(&subject);
                }
            }
            self.hub.place(subject).fetch_sub(1, Ordering::Relaxed);
            self.hub.total.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A change on its way to the disk, told when it is dropped: by then it shows,
/// or its handler has left and the listener waits for the sync instead.
pub(super) struct News<'a> {
    pub(super) listening: &'a Listening,
    pub(super) user: &'a str,
    pub(super) groups: &'a [GroupDocument],
    /// The record that has to be synced; 0 when it is.
    pub(super) unsynced: u64,
}

impl Drop for News<'_> {
    fn drop(&mut self) {
        // Most of the time nobody listens to anybody: no name is hashed.
        if self.listening.is_silent() {
            return;
        }
        let tell = |kind, id: &str| {
            let subject = subject_hash(kind, &[id]);
            self.listening.wake_after(subject, self.unsynced);
        };
        tell("user", self.user);
        for group in self.groups {
            tell("group", &group.identifier);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context};

    use super::*;

    /// Whether it was woken, without waiting.
    fn heard(listener: &Listener) -> Option<u64> {
        let mut woken = pin!(listener.woken());
        let mut context = Context::from_waker(std::task::Waker::noop());
        match woken.as_mut().poll(&mut context) {
            std::task::Poll::Ready(woken) => Some(woken.unsynced),
            std::task::Poll::Pending => None,
        }
    }

    fn news<'a>(hub: &'a Listening, user: &'a str, unsynced: u64) -> News<'a> {
        News {
            listening: hub,
            user,
            groups: &[],
            unsynced,
        }
    }

    #[test]
    fn a_listener_hears_of_its_user_and_its_group_and_of_nobody_else() {
        let hub = Listening::new();
        let ann = hub.listen("ann", Some("acme"));
        let bob = hub.listen("bob", None);
        drop(news(&hub, "ann", 0));
        assert_eq!((heard(&ann), heard(&bob)), (Some(0), None));
        hub.wake(subject_hash("group", &["acme"]));
        assert_eq!((heard(&ann), heard(&bob)), (Some(0), None));
        hub.wake(subject_hash("user", &["acme"]));
        assert_eq!((heard(&ann), heard(&bob)), (None, None));
        hub.wake_all();
        assert_eq!((heard(&ann), heard(&bob)), (Some(0), Some(0)));
    }

    #[test]
    fn many_changes_are_one_wake_to_who_is_busy() {
        let hub = Listening::new();
        let ann = hub.listen("ann", None);
        for seq in [7, 9, 8] {
            drop(news(&hub, "ann", seq));
        }
        assert_eq!(heard(&ann), Some(9), "the last of them");
        assert_eq!(heard(&ann), None);
        let counts = hub.counts();
        assert_eq!((counts.wakes, counts.coalesced), (1, 2));
    }

    #[test]
    fn whoever_leaves_leaves_nothing_behind() {
        let hub = Listening::new();
        let listeners: Vec<_> = (0..100).map(|_| hub.listen("ann", Some("acme"))).collect();
        assert_eq!(hub.counts().listeners, 200);
        drop(listeners);
        assert!(hub.is_silent());
        assert!(
            hub.interest
                .iter()
                .all(|own| own.load(Ordering::Relaxed) == 0)
        );
        assert!(hub.shards.iter().all(|shard| lock(shard).is_empty()));
    }
}

//! Does this worker take this request now?
//!
//! One [`Gate`] for each worker. While requests come, a probe asks to be woken
//! every few milliseconds and sees how much later it gets its turn: it stands
//! in the same queue as every request that is ready.

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    rc::{Rc, Weak},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Class, Limit, Limits,
    places::{NoPlace, Places},
    rate::{Buckets, whole_seconds},
    shedding::Shedding,
};
use crate::{current::KeySlot, snapshot::wire::KeyKind, telemetry::limits::LimitCounters};

/// How often the probe looks: ten times and more in what shedding calls a
/// while, and some hundred wakes a second of a busy worker.
const LOOK: Duration = Duration::from_millis(10);

/// Looks without a request after which a calm worker's probe ends.
const IDLE_LOOKS: u32 = 100;

/// What a worker takes, and what it gives up.
pub(crate) struct Gate {
    of_keys: Option<Arc<Buckets>>,
    of_addresses: Option<Arc<Buckets>>,
    places: Places,
    shedding: RefCell<Shedding>,
    /// Classes given up.
    level: Cell<u8>,
    /// Requests since the probe last looked.
    seen: Cell<bool>,
    probing: Cell<bool>,
    refusals: Cell<u32>,
    /// The same for all workers, since they share buckets.
    begun: Instant,
    counters: Arc<LimitCounters>,
}

impl Gate {
    pub(crate) fn new(limits: &Limits, counters: Arc<LimitCounters>) -> Rc<Self> {
        let settings = &limits.settings;
        Rc::new(Self {
            of_keys: limits.of_keys.clone(),
            of_addresses: limits.of_addresses.clone(),
            places: Places::new(settings.in_flight_max.div_ceil(limits.workers.get())),
            shedding: RefCell::new(Shedding::new(settings.queue_ms_max)),
            level: Cell::new(0),
            seen: Cell::new(false),
            probing: Cell::new(false),
            refusals: Cell::new(0),
            begun: limits.begun,
            counters,
        })
    }

    /// Whether connections that are not open yet are taken.
    pub(crate) fn takes_connections(&self) -> bool {
        let taken = !self.gives_up(Class::Connections) && self.places.has_room(Class::Connections);
        if !taken {
            self.counters.shed(Class::Connections as usize);
        }
        taken
    }

    /// A request has come. The first one after a rest starts the probe.
    pub(crate) fn request(self: &Rc<Self>) {
        self.seen.set(true);
        if !self.probing.get() && self.shedding.borrow().is_on() {
            self.probing.set(true);
            // Nobody waits for it: it ends by itself, at the latest with the
            // gate.
            drop(tokio::task::spawn_local(probe(Rc::downgrade(self))));
        }
    }

    /// Whether an evaluation may ask the ledger about its subject.
    pub(crate) fn uncached(&self, class: Class) -> Result<(), Limit> {
        // Steps are given up as steps.
        if class == Class::Writes {
            return Ok(());
        }
        let (class, retry_s) = (Class::Uncached, self.jitter_s());
        if self.gives_up(class) {
            return Err(Limit::Queue { class, retry_s });
        }
        match self.places.has_room_beside(class) {
            true => Ok(()),
            false => Err(Limit::Places { class, retry_s }),
        }
    }

    /// Whether this key may bring a user from this address that memory does
    /// not have. Trusted keys bring whom they like.
    pub(crate) fn unseen(&self, key: KeySlot, kind: KeyKind, from: IpAddr) -> Result<(), Limit> {
        let Some(buckets) = self.of_addresses.as_ref().filter(|_| kind.is_public()) else {
            return Ok(());
        };
        let taken = buckets.take_of_address(key, from, self.now_ns());
        taken.map_err(|wait_ns| Limit::UnseenUsers {
            retry_s: whole_seconds(wait_ns),
        })
    }

    /// Counts a request that was refused here.
    pub(crate) fn count(&self, limit: Limit) {
        self.counters.limited(limit.number());
        if let Some(class) = limit.class() {
            self.counters.shed(class as usize);
        }
    }

    fn admit(&self, key: KeySlot, class: Class) -> Result<(), Limit> {
        if let Some(buckets) = &self.of_keys {
            let taken = buckets.take_of_key(key, self.now_ns());
            taken.map_err(|wait_ns| Limit::KeyRate {
                retry_s: whole_seconds(wait_ns),
            })?;
        }
        if self.gives_up(class) {
            let retry_s = self.jitter_s();
            return Err(Limit::Queue { class, retry_s });
        }
        let entered = self.places.enter(key, class);
        self.counters.in_flight.set(self.places.used());
        entered.map_err(|why| {
            let retry_s = self.jitter_s();
            match why {
                NoPlace::OfKey => Limit::KeyPlaces { retry_s },
                NoPlace::AtAll => Limit::Places { class, retry_s },
            }
        })
    }

    fn leave(&self, key: KeySlot) {
        self.places.leave(key);
        self.counters.in_flight.set(self.places.used());
    }

    fn gives_up(&self, class: Class) -> bool {
        (class as u8) < self.level.get()
    }

    /// One to four seconds in turn, so that those who are refused together do
    /// not come back together.
    fn jitter_s(&self) -> u32 {
        let turn = self.refusals.get();
        self.refusals.set(turn.wrapping_add(1));
        1 + turn % 4
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes note of a wait; whether there is reason to look again.
    fn looked(&self, waited: Duration, idle: &mut u32) -> bool {
        let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        let level = self.shedding.borrow_mut().waited(now_ms, waited_ms);
        self.level.set(level);
        self.counters.level.set(level.into());
        match self.seen.replace(false) || level > 0 {
            true => *idle = 0,
            false => *idle += 1,
        }
        *idle < IDLE_LOOKS
    }
}

/// Looks until nothing comes any more.
async fn probe(gate: Weak<Gate>) {
    let mut idle = 0;
    loop {
        let due = tokio::time::Instant::now() + LOOK;
        tokio::time::sleep_until(due).await;
        let Some(gate) = gate.upgrade() else {
            return;
        };
        if !gate.looked(due.elapsed(), &mut idle) {
            gate.probing.set(false);
            return;
        }
    }
}

/// One request on its way: admitted once, however often its key is looked at,
/// and holding its place until it is answered or given up.
pub(crate) struct Visit<'g> {
    gate: &'g Gate,
    from: IpAddr,
    place: Cell<Option<KeySlot>>,
}

impl<'g> Visit<'g> {
    pub(crate) fn new(gate: &'g Gate, from: IpAddr) -> Self {
        Self {
            gate,
            from,
            place: Cell::new(None),
        }
    }

    /// Where the request comes from.
    pub(crate) fn from(&self) -> IpAddr {
        self.from
    }

    /// Lets the request in, once.
    pub(crate) fn admit(&self, key: KeySlot, class: Class) -> Result<(), Limit> {
        if self.place.get().is_none() {
            self.gate.admit(key, class)?;
            self.place.set(Some(key));
        }
        Ok(())
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.place.get() {
            self.gate.leave(key);
        }
    }
}

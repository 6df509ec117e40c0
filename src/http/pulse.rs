//! Is this connection still moving?
//!
//! Instead of one timer for each request and direction, every worker ticks
//! once a second and looks at the [`Pulse`] of its connections: a few cells
//! which the stream and the service set while they work anyway. One mechanism
//! covers handshakes, slow heads, slow bodies, answers nobody takes, idle
//! connections and the end of serving. Deadlines are therefore coarse: up to
//! one tick late. The requests of an HTTP/2 connection have a pulse each.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    task::Waker,
    time::Duration,
};

use super::{
    head::{HeadMarks, HeadScan},
    upgrade::Takeover,
};
use crate::{
    limits::H2_RESETS_MAX,
    telemetry::metrics::{HttpCounters, Reaped},
};

/// How long a peer may take for what. Defaults in `Deadlines::default`.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// How often connections are looked at.
    pub tick: Duration,
    /// From the first byte (or the connection) to the end of the head; and for
    /// the handshake before it.
    pub head: Duration,
    /// For the whole body.
    pub body: Duration,
    /// Bytes a second a body must keep up once half of its time is over.
    pub body_bytes_per_s_min: u64,
    /// Without a single byte being taken while an answer waits.
    pub write: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(1),
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            body_bytes_per_s_min: 256,
            write: Duration::from_secs(10),
            // Above the 60 s after which common balancers reuse nothing, so
            // that they close first and never meet a closed connection.
            idle: Duration::from_secs(75),
        }
    }
}

/// What the connection is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// TLS is being agreed on.
    Handshake,
    /// HTTP/2 was agreed on and nothing was asked yet.
    Opening,
    /// HTTP/2: the requests have a pulse each.
    Shared,
    /// Nothing was read since the last answer.
    Idle,
    /// Bytes of a head came; it is not complete.
    Head,
    /// The handler runs and the body is not complete.
    Body,
    /// The handler runs; how long is its own matter.
    Handling,
    /// The answer is on its way out.
    Writing,
    /// The answer is a stream: how long it lasts is its own matter.
    Streaming,
    /// It has left HTTP: only a socket that stays full is still looked at.
    Upgraded,
}

/// What is to become of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Serve on.
    Live,
    /// Finish the request in flight, then close.
    Drain,
    /// Close now.
    Cut,
}

/// One connection's signs of life, shared by its stream, its task and the
/// worker's reaper; all on one thread.
#[derive(Debug)]
pub(super) struct Pulse {
    clock: Rc<Cell<u32>>,
    phase: Cell<Phase>,
    since: Cell<u32>,
    body_bytes: Cell<u64>,
    /// The tick at which a write first found the socket full.
    blocked: Cell<Option<u32>>,
    fate: Cell<Fate>,
    scan: RefCell<HeadScan>,
    waker: RefCell<Option<Waker>>,
    /// Of an HTTP/2 connection: a pulse for each request, used again when
    /// nobody else holds it. As many as there were requests at one time.
    requests: RefCell<Vec<Rc<Pulse>>>,
    /// Of an HTTP/2 request: its connection.
    connection: Option<Weak<Pulse>>,
    /// Requests that were begun and dropped, less those that were answered.
    resets: Cell<u32>,
    /// Who has the connection when the answer that is going out is out.
    takeover: RefCell<Option<Takeover>>,
}

impl Pulse {
    fn new(clock: &Rc<Cell<u32>>, connection: Option<Weak<Self>>) -> Rc<Self> {
        Rc::new(Self {
            clock: Rc::clone(clock),
            phase: Cell::new(Phase::Head),
            since: Cell::new(clock.get()),
            body_bytes: Cell::new(0),
            blocked: Cell::new(None),
            fate: Cell::new(Fate::Live),
            scan: RefCell::default(),
            waker: RefCell::default(),
            requests: RefCell::default(),
            connection,
            resets: Cell::new(0),
            takeover: RefCell::default(),
        })
    }

    /// TLS is to be agreed on first.
    pub(super) fn handshake(&self) {
        self.enter(Phase::Handshake);
    }

    /// The handshake is done; the first head may take its time anew.
    pub(super) fn agreed(&self, multiplexed: bool) {
        self.enter(if multiplexed {
            Phase::Opening
        } else {
            Phase::Head
        });
    }

    /// A pulse for one more request of this connection.
    pub(super) fn request(self: &Rc<Self>) -> Rc<Self> {
        self.enter(Phase::Shared);
        let mut requests = self.requests.borrow_mut();
        let free = requests.iter().find(|pulse| Rc::strong_count(pulse) == 1);
        let pulse = if let Some(free) = free {
            Rc::clone(free)
        } else {
            let fresh = Self::new(&self.clock, Some(Rc::downgrade(self)));
            requests.push(Rc::clone(&fresh));
            fresh
        };
        // A request that comes while serving ends is one of the last.
        pulse.fate.set(self.fate.get());
        pulse
    }

    /// The answer of this request was given away whole.
    pub(super) fn finished(&self) {
        if let Some(connection) = self.parent() {
            let resets = connection.resets.get();
            connection.resets.set(resets.saturating_sub(1));
        }
    }

    /// This request was dropped before it had its answer. Too many of them end
    /// the connection: politely first, then at once.
    pub(super) fn abandoned(&self) {
        let Some(connection) = self.parent() else {
            return;
        };
        let resets = connection.resets.get() + 1;
        connection.resets.set(resets);
        if resets > 2 * H2_RESETS_MAX {
            connection.condemn(Fate::Cut);
        } else if resets > H2_RESETS_MAX && connection.fate.get() == Fate::Live {
            connection.condemn(Fate::Drain);
        }
    }

    /// Whether requests were dropped beyond measure.
    pub(super) fn is_abused(&self) -> bool {
        self.resets.get() > H2_RESETS_MAX
    }

    fn parent(&self) -> Option<Rc<Self>> {
        self.connection.as_ref().and_then(Weak::upgrade)
    }

    /// Bytes came in.
    pub(super) fn received(&self, bytes: &[u8]) {
        match self.phase.get() {
            Phase::Idle => {
                self.enter(Phase::Head);
                self.scan.borrow_mut().feed(bytes);
            }
            Phase::Head => self.scan.borrow_mut().feed(bytes),
            // A body is counted as it is read. Otherwise the start of a
            // pipelined request: its time begins when the answer before it is
            // out. The frames of HTTP/2 say nothing by themselves.
            _ => {}
        }
    }

    /// A piece of the body was read.
    pub(super) fn body_piece(&self, length: usize) {
        let bytes = self.body_bytes.get() + length as u64;
        self.body_bytes.set(bytes);
    }

    /// The head is complete and the handler begins. Returns what the raw bytes
    /// of the head looked like.
    pub(super) fn head_complete(&self, has_body: bool) -> HeadMarks {
        self.body_bytes.set(0);
        self.enter(if has_body {
            Phase::Body
        } else {
            Phase::Handling
        });
        self.scan.take().marks()
    }

    /// The body is complete.
    pub(super) fn body_complete(&self) {
        self.enter(Phase::Handling);
    }

    /// The handler has answered.
    pub(super) fn answered(&self) {
        self.enter(Phase::Writing);
    }

    /// What the handler answered is a stream.
    pub(super) fn streaming(&self) {
        self.enter(Phase::Streaming);
    }

    /// The answer on its way is the last thing said in HTTP.
    pub(super) fn leave_http(&self, takeover: Takeover) {
        *self.takeover.borrow_mut() = Some(takeover);
    }

    /// Who has the connection now that HTTP has ended on it, if anybody.
    pub(super) fn taken_over(&self) -> Option<Takeover> {
        let takeover = self.takeover.take()?;
        self.enter(Phase::Upgraded);
        Some(takeover)
    }

    /// A write went through, or found the socket full.
    pub(super) fn wrote(&self, progress: bool) {
        if progress {
            self.blocked.set(None);
        } else if self.blocked.get().is_none() {
            self.blocked.set(Some(self.clock.get()));
        }
    }

    /// Everything that was to be written is written.
    pub(super) fn flushed(&self) {
        if self.phase.get() == Phase::Writing {
            self.enter(Phase::Idle);
        }
    }

    /// What is to become of the connection; asked at every poll of its task.
    pub(super) fn fate(&self, waker: &Waker) -> Fate {
        let mut own = self.waker.borrow_mut();
        // A task keeps its waker: cloned once, compared ever after.
        if !own.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *own = Some(waker.clone());
        }
        self.fate.get()
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.clock.get());
    }

    fn condemn(&self, fate: Fate) {
        self.fate.set(fate);
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
        for request in self.open_requests() {
            request.condemn(fate);
        }
    }

    /// Those of its requests that are under way. Waking their tasks does not
    /// run them: the list is not touched meanwhile.
    fn open_requests(&self) -> Vec<Rc<Self>> {
        let requests = self.requests.borrow();
        let open = requests.iter().filter(|one| Rc::strong_count(one) > 1);
        open.cloned().collect()
    }
}

/// Looks at all connections of one worker.
pub(super) struct Reaper {
    clock: Rc<Cell<u32>>,
    ticks: Ticks,
    pulses: RefCell<Vec<Weak<Pulse>>>,
}

/// The deadlines, counted in ticks.
struct Ticks {
    head: u32,
    body: u32,
    write: u32,
    idle: u32,
    body_bytes_per_tick: u64,
}

impl Ticks {
    fn of(deadlines: &Deadlines) -> Self {
        let tick = deadlines.tick.as_millis().max(1);
        // Rounded up: nobody is cut before their time.
        let ticks =
            |time: Duration| u32::try_from(time.as_millis().div_ceil(tick)).unwrap_or(u32::MAX / 2);
        Self {
            head: ticks(deadlines.head),
            body: ticks(deadlines.body),
            write: ticks(deadlines.write),
            idle: ticks(deadlines.idle),
            body_bytes_per_tick: deadlines.body_bytes_per_s_min
                * u64::try_from(tick).unwrap_or(1_000)
                / 1_000,
        }
    }
}

impl Reaper {
    pub(super) fn new(deadlines: &Deadlines) -> Self {
        Self {
            clock: Rc::default(),
            ticks: Ticks::of(deadlines),
            pulses: RefCell::default(),
        }
    }

    /// A new connection. It has the head's time for its first request: a
    /// client that connects and says nothing is no better than a slow one.
    pub(super) fn watch(&self) -> Rc<Pulse> {
        let pulse = Pulse::new(&self.clock, None);
        self.pulses.borrow_mut().push(Rc::downgrade(&pulse));
        pulse
    }

    /// One tick: cuts what is too slow and forgets what is gone.
    pub(super) fn tick(&self, counters: &HttpCounters) {
        let now = self.clock.get().wrapping_add(1);
        self.clock.set(now);
        self.pulses.borrow_mut().retain(|weak| {
            let Some(pulse) = weak.upgrade() else {
                return false;
            };
            if pulse.fate.get() == Fate::Cut {
                return true;
            }
            if pulse.phase.get() == Phase::Shared {
                self.tick_requests(&pulse, now, counters);
            }
            if let Some(why) = self.ticks.overdue(&pulse, now) {
                counters.reaped(why);
                pulse.condemn(Fate::Cut);
            }
            true
        });
    }

    /// The same for the requests of an HTTP/2 connection, each by itself. A
    /// slow body costs its request; an answer that is not taken costs the
    /// connection, because nothing else wakes what waits for its client.
    fn tick_requests(&self, connection: &Pulse, now: u32, counters: &HttpCounters) {
        let open = connection.open_requests();
        for request in &open {
            if request.fate.get() == Fate::Cut {
                continue;
            }
            match self.ticks.overdue(request, now) {
                Some(Reaped::Write) => {
                    counters.reaped(Reaped::Write);
                    connection.condemn(Fate::Cut);
                    return;
                }
                Some(why) => {
                    counters.reaped(why);
                    request.condemn(Fate::Cut);
                }
                None => {}
            }
        }
        if !open.is_empty() {
            connection.since.set(now);
        } else if connection.fate.get() == Fate::Drain
            && now.wrapping_sub(connection.since.get()) > 1
        {
            // Told to go and with nothing left: a client that does not hang
            // up by itself is not waited for.
            connection.condemn(Fate::Cut);
        }
    }

    /// Decides the fate of all connections that are still free to be told.
    pub(super) fn condemn(&self, fate: Fate) {
        // Waking a task does not run it: the list is not touched meanwhile.
        for pulse in self.pulses.borrow().iter().filter_map(Weak::upgrade) {
            if pulse.fate.get() == Fate::Live {
                pulse.condemn(fate);
            }
        }
    }
}

impl Ticks {
    fn overdue(&self, pulse: &Pulse, now: u32) -> Option<Reaped> {
        // A tick begins somewhere inside a second, so only what is *more* than
        // its number of ticks old is surely over its time.
        let age = now.wrapping_sub(pulse.since.get());
        if let Some(blocked) = pulse.blocked.get()
            && now.wrapping_sub(blocked) > self.write
        {
            return Some(Reaped::Write);
        }
        match pulse.phase.get() {
            Phase::Handshake if age > self.head => Some(Reaped::Handshake),
            Phase::Idle | Phase::Shared if age > self.idle => Some(Reaped::Idle),
            Phase::Head | Phase::Opening if age > self.head => Some(Reaped::Head),
            // Each piece that HTTP/2 takes begins anew; the socket of HTTP/1
            // is looked at above.
            Phase::Writing if pulse.connection.is_some() && age > self.write => Some(Reaped::Write),
            Phase::Body if age > self.body => Some(Reaped::Body),
            Phase::Body
                if age > self.body / 2
                    && pulse.body_bytes.get() < self.body_bytes_per_tick * u64::from(age) =>
            {
                Some(Reaped::Body)
            }
            _ => None,
        }
    }
}

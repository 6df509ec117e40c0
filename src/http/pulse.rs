//! Is this connection still moving?
//!
//! Instead of one timer for each request and direction, every worker ticks
//! once a second and looks at the [`Pulse`] of its connections: a few cells
//! which the stream and the service set while they work anyway. One mechanism
//! covers slow heads, slow bodies, answers nobody takes, idle connections and
//! the end of serving. Deadlines are therefore coarse: up to one tick late.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    task::Waker,
    time::Duration,
};

use super::head::{HeadMarks, HeadScan};
use crate::telemetry::metrics::{HttpCounters, Reaped};

/// How long a peer may take for what. Defaults in `Deadlines::default`.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// How often connections are looked at.
    pub tick: Duration,
    /// From the first byte (or the connection) to the end of the head.
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
}

impl Pulse {
    /// Bytes came in.
    pub(super) fn received(&self, bytes: &[u8]) {
        match self.phase.get() {
            Phase::Idle => {
                self.enter(Phase::Head);
                self.scan.borrow_mut().feed(bytes);
            }
            Phase::Head => self.scan.borrow_mut().feed(bytes),
            Phase::Body => self
                .body_bytes
                .set(self.body_bytes.get() + bytes.len() as u64),
            // The start of a pipelined request: its time begins when the
            // answer before it is out.
            Phase::Handling | Phase::Writing | Phase::Streaming => {}
        }
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

    /// Whether the connection is to end.
    pub(super) fn is_ending(&self) -> bool {
        self.fate.get() != Fate::Live
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
        let pulse = Rc::new(Pulse {
            clock: Rc::clone(&self.clock),
            phase: Cell::new(Phase::Head),
            since: Cell::new(self.clock.get()),
            body_bytes: Cell::new(0),
            blocked: Cell::new(None),
            fate: Cell::new(Fate::Live),
            scan: RefCell::default(),
            waker: RefCell::default(),
        });
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
            if pulse.fate.get() != Fate::Cut
                && let Some(why) = self.ticks.overdue(&pulse, now)
            {
                counters.reaped(why);
                pulse.condemn(Fate::Cut);
            }
            true
        });
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
            Phase::Idle if age > self.idle => Some(Reaped::Idle),
            Phase::Head if age > self.head => Some(Reaped::Head),
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

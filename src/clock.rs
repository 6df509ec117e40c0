//! What time is it, and where does randomness come from?
//!
//! The only place that reads the wall clock or the system's random source.
//! Both are handed down as trait objects, so that a simulation can replace
//! them; the pure core takes a time as a plain argument. With them goes where
//! long work is done, because threads are as little repeatable as a clock.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Milliseconds since the Unix epoch, the only form of wall time we pass on.
pub type UnixMs = u64;

/// A source of wall time.
pub trait Clock: Send + Sync + 'static {
    /// The time now. May jump in either direction: wall time is never used for
    /// ordering, only for expiry, freshness and display.
    fn now_ms(&self) -> UnixMs;
}

/// A source of unpredictable bytes.
pub trait Entropy: Send + Sync + 'static {
    /// Fills the buffer completely.
    fn fill(&self, buffer: &mut [u8]);
}

/// Where work is done that would keep others waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongWork {
    /// On a thread beside the runtime's.
    OnThreads,
    /// Where it comes up: what happens then follows from its order alone.
    InPlace,
}

/// Clock and randomness as they are handed down through the program.
#[derive(Clone)]
pub struct Ambient {
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// What is done with long work.
    pub long_work: LongWork,
}

impl Ambient {
    /// The real clock and the operating system's random source.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            long_work: LongWork::OnThreads,
        }
    }

    /// Shorthand for the time now.
    pub fn now_ms(&self) -> UnixMs {
        self.clock.now_ms()
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// How long to wait after so many failures in a row: doubled each time, and
    /// between half and all of it, so that a fleet does not come back in step.
    pub fn backoff(&self, failures: u32, first: Duration, longest: Duration) -> Duration {
        let longest = first
            .saturating_mul(1 << failures.saturating_sub(1).min(10))
            .min(longest);
        let jitter = u32::from(self.bytes::<1>()[0]);
        longest / 2 + longest / 2 * jitter / 255
    }

    /// `N` random bytes as lower-case hexadecimal digits.
    pub fn hex<const N: usize>(&self) -> String {
        crate::snapshot::hex(&self.bytes::<N>())
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> UnixMs {
        // A clock before 1970 reads as 0: every signed document is then from
        // the future, which the trust checks report as a wrong clock.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            })
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // Without randomness no key and no journal id would be safe: there is
        // nothing sensible to go on with.
        getrandom::fill(buffer).expect("the operating system's random source failed");
    }
}

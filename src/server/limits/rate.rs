//! How many are too many in a while?
//!
//! Token buckets as one number each (GCRA: the time at which a bucket would be
//! full again), changed by compare-and-swap: no lock, no allocation, and every
//! worker sees the same bucket. Pure but for the number: the time is given.

use std::{
    hash::BuildHasher,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use rustc_hash::FxBuildHasher;

use crate::{current::KeySlot, limits::KEY_SLOTS};

const NS_PER_S: u64 = 1_000_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Between two tokens.
    every_ns: u64,
    /// What a full bucket is ahead by.
    burst_ns: u64,
}

impl Rate {
    /// So many a second, and at the most so many at once; none when it is off.
    pub(super) fn new(per_s: u32, burst: u32) -> Option<Self> {
        let every_ns = NS_PER_S.checked_div(u64::from(per_s))?.max(1);
        Some(Self {
            every_ns,
            burst_ns: every_ns.saturating_mul(u64::from(burst.max(1)) - 1),
        })
    }
}

/// Buckets that all fill at one rate. Their number is fixed; what is told apart
/// by more than that shares one, which limits more and never less.
#[derive(Debug)]
pub(super) struct Buckets {
    rate: Rate,
    full_at_ns: Box<[AtomicU64]>,
}

impl Buckets {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            full_at_ns: (0..KEY_SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Takes a token of a key's bucket, or says in how many nanoseconds there
    /// is one.
    pub(super) fn take_of_key(&self, key: KeySlot, now_ns: u64) -> Result<(), u64> {
        self.take(key.0 as usize, now_ns)
    }

    /// The same for a key and an address together.
    pub(super) fn take_of_address(
        &self,
        key: KeySlot,
        address: IpAddr,
        now_ns: u64,
    ) -> Result<(), u64> {
        // Whoever crafts addresses to meet another's bucket has to have them.
        let bucket = FxBuildHasher.hash_one((key, counted_as(address)));
        self.take(bucket as usize, now_ns)
    }

    fn take(&self, bucket: usize, now_ns: u64) -> Result<(), u64> {
        let full_at = &self.full_at_ns[bucket % self.full_at_ns.len()];
        let Rate { every_ns, burst_ns } = self.rate;
        let mut known = full_at.load(Relaxed);
        loop {
            let ahead_ns = known.saturating_sub(now_ns);
            if ahead_ns > burst_ns {
                return Err(ahead_ns - burst_ns);
            }
            let next = now_ns.max(known).saturating_add(every_ns);
            // Nothing else is published by this number.
            match full_at.compare_exchange_weak(known, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(newer) => known = newer,
            }
        }
    }
}

/// Whole seconds to wait, rounded up: a client that comes back then finds one.
pub(super) fn whole_seconds(ns: u64) -> u32 {
    u32::try_from(ns.div_ceil(NS_PER_S)).unwrap_or(u32::MAX)
}

/// One subscriber holds a /64 of IPv6 addresses and could use them all.
fn counted_as(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        // The upper half; no such network is as small as an IPv4 address.
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = NS_PER_S;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let buckets = Buckets::new(Rate::new(10, 3).expect("a rate"));
        let key = KeySlot(7);
        let start = 5 * S;
        for _ in 0..3 {
            assert_eq!(buckets.take_of_key(key, start), Ok(()));
        }
        let wait = buckets.take_of_key(key, start).expect_err("it is empty");
        assert_eq!(wait, S / 10);
        assert_eq!(whole_seconds(wait), 1);
        assert!(buckets.take_of_key(key, start + wait - 1).is_err());
        assert_eq!(buckets.take_of_key(key, start + wait), Ok(()));
        assert!(buckets.take_of_key(key, start + wait).is_err());
        // Another key has its own, and a rest fills the burst and no more.
        assert_eq!(buckets.take_of_key(KeySlot(8), start), Ok(()));
        let later = start + 100 * S;
        let taken = (0..10).filter(|_| buckets.take_of_key(key, later).is_ok());
        assert_eq!(taken.count(), 3);
    }

    #[test]
    fn over_a_long_time_the_rate_holds_whatever_the_pattern() {
        let buckets = Buckets::new(Rate::new(100, 20).expect("a rate"));
        let mut taken = 0_u64;
        let mut now = S;
        for step in 0..100_000_u64 {
            taken += u64::from(buckets.take_of_key(KeySlot(1), now).is_ok());
            now += (step * 7_919) % (2 * S / 1_000);
        }
        let allowed = (now - S) * 100 / S + 20;
        assert!(taken <= allowed, "{taken} of {allowed}");
        assert!(taken + 21 >= allowed, "{taken} of {allowed}");
    }

    #[test]
    fn many_workers_take_no_more_than_one_would() {
        let buckets = Buckets::new(Rate::new(1, 500).expect("a rate"));
        let taken: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let tries = (0..1_000).map(|_| buckets.take_of_key(KeySlot(3), S));
                        tries.filter(Result::is_ok).count()
                    })
                })
                .collect();
            let ended = workers
                .into_iter()
                .map(|worker| worker.join().expect("a count"));
            ended.sum()
        });
        assert_eq!(taken, 500);
    }

    #[test]
    fn addresses_of_one_network_share_a_bucket() {
        let buckets = Buckets::new(Rate::new(1, 1).expect("a rate"));
        let take = |key, text: &str| {
            let address: IpAddr = text.parse().expect("an address");
            buckets.take_of_address(KeySlot(key), address, S).is_ok()
        };
        assert!(take(1, "2001:db8::1"));
        assert!(!take(1, "2001:db8::2"));
        assert!(take(1, "2001:db8:0:1::1"));
        assert!(take(2, "2001:db8::1"), "another key");
        assert!(take(1, "10.0.0.1"));
        assert!(take(1, "10.0.0.2"));
        assert!(!take(1, "::ffff:10.0.0.2"));
        assert!(Rate::new(0, 10).is_none());
    }
}

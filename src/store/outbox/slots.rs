//! Which of the webhooks that are due may be sent now?
//!
//! So many at once, and of them only a share for one host: a receiver that
//! hangs holds up its own messages and nobody else's. What came of an attempt
//! may not be noted (the disk is full, say); then the message is due at once
//! in the database, and it is here that it waits.

use std::collections::{BTreeMap, BTreeSet};

use crate::{clock::UnixMs, limits, store::engine::OutboxPlace};

/// How long a message waits whose last attempt could not be noted.
const HOLD_MS: u64 = 60_000;

/// Messages that wait so. With as many nothing is sent until some have waited
/// long enough: storage does not work.
const HELD_MAX: usize = 1_024;

/// What is under way, and what must wait.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Ids that are under way.
    ids: BTreeSet<String>,
    /// How many of them each host has.
    hosts: BTreeMap<String, usize>,
    /// Ids whose last attempt was not noted, and until when they wait.
    held: BTreeMap<String, UnixMs>,
    /// How far the last look came: the next one goes on there, so that a long
    /// row for one host hides nothing behind it.
    pub(super) reached: OutboxPlace,
}

impl Slots {
    /// Whether nothing more may be sent now. Ends waits that are over.
    pub(super) fn are_full(&mut self, now: UnixMs) -> bool {
        self.held.retain(|_, until| now < *until);
        self.ids.len() >= limits::WEBHOOKS_AT_ONCE_MAX
            || self.held.len() + self.ids.len() > HELD_MAX
    }

    /// Takes a slot for a message, if it may have one.
    pub(super) fn take(&mut self, id: &str, host: &str) -> bool {
        let taken = self.hosts.get(host).copied().unwrap_or(0);
        if taken >= limits::WEBHOOKS_AT_ONCE_PER_HOST_MAX
            || self.ids.contains(id)
            || self.held.contains_key(id)
        {
            return false;
        }
        self.ids.insert(id.to_owned());
        self.hosts.insert(host.to_owned(), taken + 1);
        true
    }

    /// An attempt is over; `noted` says whether the outbox knows.
    pub(super) fn done(&mut self, id: &str, host: &str, noted: bool, now: UnixMs) {
        self.ids.remove(id);
        if let Some(taken) = self.hosts.get_mut(host) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                self.hosts.remove(host);
            }
        }
        if !noted {
            self.held.insert(id.to_owned(), now.saturating_add(HOLD_MS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_takes_its_share_and_no_more() {
        let mut slots = Slots::default();
        let share = limits::WEBHOOKS_AT_ONCE_PER_HOST_MAX;
        for number in 0..share {
            assert!(slots.take(&format!("m{number}"), "slow"));
        }
        assert!(!slots.take("more", "slow"));
        assert!(slots.take("other", "quick"), "others have the rest");
        assert!(!slots.take("other", "quick"), "it is under way");
        slots.done("m0", "slow", true, 1);
        assert!(slots.take("more", "slow"));
        let free = limits::WEBHOOKS_AT_ONCE_MAX - share - 1;
        assert!(!slots.are_full(1));
        for number in 0..free {
            assert!(slots.take(&format!("n{number}"), &format!("host {number}")));
        }
        assert!(slots.are_full(1));
    }

    #[test]
    fn a_message_whose_attempt_was_not_noted_waits_and_so_do_all_when_too_many_do() {
        let mut slots = Slots::default();
        assert!(slots.take("m", "h"));
        slots.done("m", "h", false, 1);
        assert!(!slots.are_full(HOLD_MS));
        assert!(!slots.take("m", "h"));
        assert!(!slots.are_full(1 + HOLD_MS));
        assert!(slots.take("m", "h"), "long enough");
        for number in 0..HELD_MAX {
            slots.done(&format!("m{number}"), "h", false, 1);
        }
        assert!(slots.are_full(2));
        assert!(!slots.are_full(1 + HOLD_MS));
    }
}

//! By what are the flags known that a client has?
//!
//! By the number of a revision, so that all edges mean the same by it. Numbers
//! grow, because proxies between an edge and its clients compare them. While a
//! release is held back, the older one serves under the number of the newer
//! timestamp: then its own number stands beside, for an edge that holds nothing
//! back has other flags under the first.

use std::{fmt, str::FromStr};

use super::Flags;
use crate::snapshot::model::Revision;

/// What stands between the two numbers of a mark.
const OF: &str = "-of-";

/// By what flags are known. Ordered by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlagMark {
    /// The number of their events.
    pub event: u32,
    /// That of the release they are of, while a newer one is held back.
    held_at: Option<u32>,
}

/// The text is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number, or two with \"-of-\" between them")]
pub struct NoFlagMark;

impl FlagMark {
    /// Of a revision.
    pub fn of(revision: Revision) -> Self {
        Self {
            event: event_of(revision),
            held_at: None,
        }
    }

    /// Of the release of one revision under the control document of another.
    pub fn of_held(serves: Revision, timestamp: Revision) -> Self {
        Self {
            event: event_of(timestamp),
            held_at: Some(event_of(serves)),
        }
    }

    /// Of flags that come from a file, which has no revision that others would
    /// know: whoever has the same flags has the same number.
    pub(super) fn of_content(flags: &Flags) -> Self {
        let [first, second, third, fourth, ..] = *flags.fingerprint();
        Self {
            event: u32::from_be_bytes([first, second, third, fourth]) >> 1,
            held_at: None,
        }
    }
}

/// The number of a revision among events: as it is, as long as 31 bits have
/// room for it, because clients in some languages read no more. A raised epoch
/// counts from one again, and may not be taken for the epoch before: their
/// numbers lie hundreds of millions apart.
fn event_of(revision: Revision) -> u32 {
    const APART: u32 = 0x1e37_79b9;
    const MAX: u32 = i32::MAX as u32;
    let shift = revision.epoch.wrapping_mul(APART);
    (revision.number as u32).wrapping_add(shift) & MAX
}

impl fmt::Display for FlagMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.event)?;
        match self.held_at {
            Some(held_at) => write!(f, "{OF}{held_at}"),
            None => Ok(()),
        }
    }
}

impl FromStr for FlagMark {
    type Err = NoFlagMark;

    fn from_str(text: &str) -> Result<Self, NoFlagMark> {
        let number = |text: &str| text.parse().map_err(|_| NoFlagMark);
        let (event, held_at) = match text.split_once(OF) {
            Some((event, held_at)) => (event, Some(number(held_at)?)),
            None => (text, None),
        };
        Ok(Self {
            event: number(event)?,
            held_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(epoch: u32, number: u64) -> Revision {
        Revision { epoch, number }
    }

    #[test]
    fn events_of_epochs_are_told_apart() {
        let of = |epoch, number| event_of(revision(epoch, number));
        assert_eq!(of(0, 17), 17);
        let numbers = [of(0, 17), of(1, 17), of(2, 17), of(0, 18), of(1, 1)];
        let distinct: std::collections::BTreeSet<u32> = numbers.into_iter().collect();
        assert_eq!(distinct.len(), numbers.len());
        assert!(of(9, 1_767_225_600) <= i32::MAX as u32);
    }

    #[test]
    fn a_mark_is_read_as_it_is_written_and_nothing_else_is() {
        let held = FlagMark::of_held(revision(0, 1), revision(0, 3));
        assert_eq!(held.to_string(), "3-of-1");
        for mark in [held, FlagMark::of(revision(0, 3)), FlagMark::default()] {
            assert_eq!(mark.to_string().parse(), Ok(mark));
        }
        assert_ne!(held, FlagMark::of(revision(0, 3)));
        for text in [
            "",
            "-of-",
            "3-of-",
            "-of-3",
            "3-of-x",
            "3-of-1-of-1",
            "-3",
            "4294967296",
        ] {
            assert_eq!(text.parse::<FlagMark>(), Err(NoFlagMark), "{text}");
        }
    }
}

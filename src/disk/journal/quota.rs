//! How much of the disk may the journal take, and whose records take it?
//!
//! Three bounds. All files together: what is configured, or half of the file
//! system when that is less ([`Quota::fit`]). How full that is: a warning at
//! 80 %, no records at 95 %, each with a way back below it, so that nothing
//! flaps ([`Pressure`]). And the records of one owner that are not settled
//! ([`Owner`]): an environment whose ledger is away is refused before it can
//! take the room of the others. What others have settled and its records hold
//! up is given back when it is worth the work ([`is_worth_thinning`]).

/// Percent of the cap from which operators are warned, and below which they
/// are not any more.
const HIGH_FROM: u64 = 80;
const HIGH_UNTIL: u64 = 75;

/// Percent of the cap from which no record is taken. The rest is for records
/// that were accepted already and for a last one that is large.
const FULL_FROM: u64 = 95;
const FULL_UNTIL: u64 = 90;

/// Segments that the cap is divided into at least where it had to be lowered:
/// segments are given back as a whole.
const SEGMENTS_MIN: u64 = 8;

/// The part of the cap that settled records hold when they are given back. All
/// segments are read for it: four bytes for each that is freed, at most.
const HELD_PART: u64 = 4;
/// And when the journal fills up: rather sixteen than refuse a record.
const HELD_PART_PRESSED: u64 = 16;

/// Whether so many bytes of settled records are to be given back; `left` is
/// what the last thinning could not free.
pub(super) fn is_worth_thinning(held: u64, left: u64, pressure: Pressure, bytes_max: u64) -> bool {
    let part = match pressure {
        Pressure::Low => HELD_PART,
        Pressure::High | Pressure::Full => HELD_PART_PRESSED,
    };
    held.saturating_sub(left) >= (bytes_max / part).max(1)
}

/// What all segments together may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Of all segments, those of earlier runs included.
    pub total_bytes_max: u64,
    /// Of one.
    pub segment_bytes: u64,
}

impl Quota {
    /// What is configured, within half of a file system of this size: the
    /// other half is for whatever else lives there. One whose size nobody
    /// knows is taken for large enough.
    pub fn fit(self, file_system_bytes: Option<u64>) -> Self {
        let half = file_system_bytes.map_or(u64::MAX, |bytes| bytes / 2);
        if self.total_bytes_max <= half {
            return self;
        }
        let segment_bytes_max = (half / SEGMENTS_MIN).max(2 * super::DATA_START);
        Self {
            total_bytes_max: half,
            segment_bytes: self.segment_bytes.min(segment_bytes_max),
        }
    }
}

/// How full the journal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// There is room.
    #[default]
    Low,
    /// Somebody should look why upstream takes so little.
    High,
    /// No record is taken until segments are given back.
    Full,
}

impl Pressure {
    /// The state after it stood here.
    pub(super) fn next(self, occupied: u64, bytes_max: u64) -> Self {
        let reaches = |percent: u64| {
            u128::from(occupied) * 100 >= u128::from(bytes_max) * u128::from(percent)
        };
        let full = if self == Self::Full {
            FULL_UNTIL
        } else {
            FULL_FROM
        };
        let high = if self == Self::Low {
            HIGH_FROM
        } else {
            HIGH_UNTIL
        };
        if reaches(full) {
            Self::Full
        } else if reaches(high) {
            Self::High
        } else {
            Self::Low
        }
    }

    /// Its name in status and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::High => "high",
            Self::Full => "full",
        }
    }
}

/// Whose record it is: an index of the accounts the journal was opened with.
/// What nobody has an account for is counted in no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(pub u16);

/// Bytes of records that are not settled, by owner.
pub(super) struct Accounts {
    bytes: Vec<u64>,
    bytes_max: u64,
}

impl Accounts {
    pub(super) fn new(owners: usize, bytes_max: u64) -> Self {
        Self {
            bytes: vec![0; owners],
            bytes_max,
        }
    }

    /// Whether so many more are within the owner's share. A first record is
    /// always taken: a share smaller than it would never take any.
    pub(super) fn allows(&self, owner: Owner, bytes: u64) -> bool {
        let used = self.bytes.get(usize::from(owner.0));
        used.is_none_or(|used| *used == 0 || used + bytes <= self.bytes_max)
    }

    pub(super) fn charge(&mut self, owner: Owner, bytes: u64) {
        if let Some(used) = self.bytes.get_mut(usize::from(owner.0)) {
            *used += bytes;
        }
    }

    pub(super) fn discharge(&mut self, owner: Owner, bytes: u64) {
        if let Some(used) = self.bytes.get_mut(usize::from(owner.0)) {
            *used = used.saturating_sub(bytes);
        }
    }

    /// Of every owner.
    pub(super) fn all(&self) -> Vec<u64> {
        self.bytes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Quota = Quota {
        total_bytes_max: 8 << 30,
        segment_bytes: 64 << 20,
    };

    #[test]
    fn half_of_a_small_file_system_is_the_cap_in_smaller_segments() {
        assert_eq!(WANTED.fit(None), WANTED);
        assert_eq!(WANTED.fit(Some(16 << 30)), WANTED);
        let small = WANTED.fit(Some(64 << 20));
        assert_eq!(small.total_bytes_max, 32 << 20);
        assert_eq!(small.segment_bytes, 4 << 20);
        let large = WANTED.fit(Some(10 << 30));
        assert_eq!(large.total_bytes_max, 5 << 30);
        assert_eq!(large.segment_bytes, 64 << 20);
    }

    #[test]
    fn each_threshold_is_left_lower_than_it_was_reached() {
        let mut pressure = Pressure::default();
        let mut walk = |percents: &[u64]| {
            let steps = percents.iter().map(|percent| {
                pressure = pressure.next(*percent, 100);
                pressure
            });
            steps.collect::<Vec<_>>()
        };
        use Pressure::{Full, High, Low};
        assert_eq!(
            walk(&[79, 80, 79, 75, 74, 79]),
            [Low, High, High, High, Low, Low]
        );
        assert_eq!(
            walk(&[95, 94, 90, 89, 94, 95]),
            [Full, Full, Full, High, High, Full]
        );
        assert_eq!(walk(&[0]), [Low]);
    }

    #[test]
    fn settled_records_go_when_that_is_worth_the_reading() {
        let worth = |held, left, pressure| is_worth_thinning(held, left, pressure, 1600);
        assert!(!worth(399, 0, Pressure::Low) && worth(400, 0, Pressure::Low));
        assert!(!worth(400, 1, Pressure::Low) && worth(500, 100, Pressure::Low));
        assert!(worth(100, 0, Pressure::Full) && !worth(99, 0, Pressure::High));
        assert!(!is_worth_thinning(0, 0, Pressure::Full, 1));
    }

    #[test]
    fn an_owner_is_held_to_the_share_and_others_are_not_asked() {
        let mut accounts = Accounts::new(2, 100);
        assert!(accounts.allows(Owner(0), 500), "a first one");
        accounts.charge(Owner(0), 90);
        assert!(accounts.allows(Owner(0), 10) && !accounts.allows(Owner(0), 11));
        assert!(accounts.allows(Owner(1), 90) && accounts.allows(Owner(7), 900));
        accounts.charge(Owner(7), 900);
        accounts.discharge(Owner(0), 20);
        assert!(accounts.allows(Owner(0), 30));
        assert_eq!(accounts.all(), [70, 0]);
    }
}

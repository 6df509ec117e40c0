//! How old may the truth be, and what is done when it is older?
//!
//! fresh → stale, past the fresh-until time → expired. Where the clock is
//! behind what was signed, nobody can tell: that counts as stale, since nobody
//! can vouch for freshness, and never as expired, since such a clock is not
//! believed about expiry. What follows is the operator's choice for each
//! environment, and travels with it: judging a request reads nothing else.

use crate::{clock::UnixMs, limits::CLOCK_SKEW_MS_MAX};

/// The signed times of what is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// When the timestamp in force was signed. It is signed after everything
    /// it names, so a clock before this is wrong, ours or the publisher's.
    pub issued_ms: UnixMs,
    /// After this the edge calls itself stale.
    pub fresh_until_ms: UnixMs,
    /// After this the timestamp has expired.
    pub expires_ms: UnixMs,
}

/// What a clock makes of signed times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// As new as upstream promised.
    Fresh,
    /// Past its fresh-until time.
    Stale,
    /// Past the end of its life.
    Expired,
    /// The clock is behind what was signed.
    Unjudged,
}

impl Age {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Fresh, Self::Stale, Self::Expired, Self::Unjudged];

    /// As status and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Unjudged => "clock-behind",
        }
    }
}

impl Freshness {
    /// What this clock makes of it.
    pub fn age(&self, now: UnixMs) -> Age {
        if now.saturating_add(CLOCK_SKEW_MS_MAX) < self.issued_ms {
            Age::Unjudged
        } else if now <= self.fresh_until_ms {
            Age::Fresh
        } else if now <= self.expires_ms {
            Age::Stale
        } else {
            Age::Expired
        }
    }

    /// The next time at which it is of another age, if it is ever.
    pub fn turns_ms(&self, now: UnixMs) -> Option<UnixMs> {
        match self.age(now) {
            Age::Fresh => self.fresh_until_ms.checked_add(1),
            Age::Stale => self.expires_ms.checked_add(1),
            Age::Expired => None,
            Age::Unjudged => self.issued_ms.checked_sub(CLOCK_SKEW_MS_MAX),
        }
    }

    /// Whether answers carry the stale mark.
    pub fn is_stale(&self, now: UnixMs) -> bool {
        self.age(now) != Age::Fresh
    }
}

/// What is done when the truth is old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Everybody is served, and the answers are marked.
    #[default]
    Serve,
    /// Users of whom anything is known are served; others would begin on
    /// something that may be withdrawn, and are refused.
    RefuseNewUsers,
    /// Nobody is served.
    Refuse,
}

impl Policy {
    /// As settings and status call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::RefuseNewUsers => "refuse-new-users",
            Self::Refuse => "refuse",
        }
    }
}

/// What an operator chose for an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// While it is stale, or nobody can tell.
    pub on_stale: Policy,
    /// When it has expired.
    pub on_expired: Policy,
}

impl Policies {
    /// The policy for this age. Fresh is always served.
    pub fn at(self, age: Age) -> Policy {
        match age {
            Age::Fresh => Policy::Serve,
            Age::Stale | Age::Unjudged => self.on_stale,
            Age::Expired => self.on_expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_goes_by_the_signed_times_and_only_by_a_clock_that_can_be_right() {
        let skew = CLOCK_SKEW_MS_MAX;
        let issued = 10 * skew;
        let freshness = Freshness {
            issued_ms: issued,
            fresh_until_ms: issued + 100,
            expires_ms: issued + 200,
        };
        let cases = [
            (0, Age::Unjudged),
            (issued - skew - 1, Age::Unjudged),
            (issued - skew, Age::Fresh),
            (issued + 100, Age::Fresh),
            (issued + 101, Age::Stale),
            (issued + 200, Age::Stale),
            (issued + 201, Age::Expired),
            (u64::MAX, Age::Expired),
        ];
        for (now, expected) in cases {
            assert_eq!(freshness.age(now), expected, "{now}");
            assert_eq!(freshness.is_stale(now), expected != Age::Fresh, "{now}");
            match freshness.turns_ms(now) {
                None => assert_eq!(expected, Age::Expired, "{now}"),
                Some(then) => {
                    assert_eq!(freshness.age(then - 1), expected, "{now}");
                    assert_ne!(freshness.age(then), expected, "{now}");
                }
            }
        }
    }

    #[test]
    fn a_clock_nobody_believes_never_makes_anything_expired() {
        let policies = Policies {
            on_stale: Policy::Serve,
            on_expired: Policy::Refuse,
        };
        assert_eq!(policies.at(Age::Unjudged), Policy::Serve);
        assert_eq!(policies.at(Age::Expired), Policy::Refuse);
        let strict = Policies {
            on_stale: Policy::Refuse,
            on_expired: Policy::Refuse,
        };
        assert_eq!(strict.at(Age::Unjudged), Policy::Refuse);
        assert_eq!(strict.at(Age::Fresh), Policy::Serve);
    }
}

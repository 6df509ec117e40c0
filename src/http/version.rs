//! Do two of our programs fit each other?
//!
//! Edge and store tell each other their version in a header of every call. One
//! minor apart in either direction works, so that a fleet can be upgraded one
//! by one; what is further apart is tried all the same, and told.

/// The header, in both directions.
pub const VERSION_HEADER: &str = "flowgate-version";

/// Ours.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How far another program's version is from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The same minor.
    Same,
    /// One minor older or newer, which works.
    Near,
    /// Further apart, which nobody promises.
    Far,
    /// Not a version.
    Unknown,
}

impl Fit {
    /// Of another program's version to ours.
    pub fn of(other: &str) -> Self {
        let (Some(own), Some(other)) = (minor(VERSION), minor(other)) else {
            return Self::Unknown;
        };
        match (own.0 == other.0, own.1.abs_diff(other.1)) {
            (true, 0) => Self::Same,
            (true, 1) => Self::Near,
            _ => Self::Far,
        }
    }

    /// As status and listings call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Near => "one-minor-apart",
            Self::Far => "too-far-apart",
            Self::Unknown => "unknown",
        }
    }
}

/// Major and minor.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    let number = |part: Option<&str>| part?.parse().ok();
    Some((number(parts.next())?, number(parts.next())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_minor_apart_fits() {
        let (major, own) = minor(VERSION).expect("our version");
        assert_eq!(Fit::of(VERSION), Fit::Same);
        assert_eq!(Fit::of(&format!("{major}.{own}.99-rc.1")), Fit::Same);
        assert_eq!(Fit::of(&format!("{major}.{}.0", own + 1)), Fit::Near);
        assert_eq!(Fit::of(&format!("{major}.{}.0", own + 2)), Fit::Far);
        assert_eq!(Fit::of(&format!("{}.{own}.0", major + 1)), Fit::Far);
        for odd in ["", "1", "x.y", "1.x.0"] {
            assert_eq!(Fit::of(odd), Fit::Unknown, "{odd}");
        }
    }
}

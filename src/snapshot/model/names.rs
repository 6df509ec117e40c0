//! How are revisions and names compared?
//!
//! A revision is two numbers, a name is 64 bits of it.

use std::{fmt, str::FromStr};

/// `epoch.N`: one counter per environment, raised by every release or control
/// document. Ordered by epoch first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Raised only by a root document.
    pub epoch: u32,
    /// Only grows within an epoch.
    pub number: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, RevisionError> {
        let (epoch, number) = text.split_once('.').ok_or(RevisionError)?;
        // `+7` parses as a number in Rust; a revision has digits only.
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(epoch) || !digits(number) {
            return Err(RevisionError);
        }
        Ok(Self {
            epoch: epoch.parse().map_err(|_| RevisionError)?,
            number: number.parse().map_err(|_| RevisionError)?,
        })
    }
}

/// The text was not `epoch.N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a revision of the form epoch.N, such as 0.17")]
pub struct RevisionError;

/// A name reduced to 64 bits (murmur3 x64 128, lower half). Progress in memory
/// is keyed by these, so that looking a state up compares integers; compile
/// refuses the version in which two names would collide.
macro_rules! name_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The key of this name.
            pub fn of(name: &str) -> Self {
                Self(crate::snapshot::name_hash(name))
            }
        }
    };
}

name_key!(
    /// A flow's uid.
    FlowKey
);
name_key!(
    /// A block's uid.
    BlockKey
);
name_key!(
    /// A transition name; of gates also a path's uid.
    NameKey
);
name_key!(
    /// A deployment's uid.
    DeploymentKey
);

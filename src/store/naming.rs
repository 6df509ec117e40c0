//! What is something called that a file gives no uid?
//!
//! In a store it gets random bits, and the store remembers them. Where nobody
//! remembers, the uid is made of the names alone: the same files lead to the
//! same uids, on any machine and in any order, and progress stays with what it
//! belongs to. A renamed flow is then another flow, unless its file gives the
//! uid it had.

use super::{
    deploying::{fresh_salt, fresh_uid},
    flags::Segments,
};
use crate::{
    clock::Ambient,
    snapshot::{hex, sha256},
};

/// Where uids and salts come from.
#[derive(Clone, Copy)]
pub(super) enum Naming<'a> {
    /// Random, to be remembered.
    Random(&'a Ambient),
    /// From the names.
    Derived,
}

impl Naming<'_> {
    /// A uid for a thing of a kind with these names.
    pub(super) fn uid(self, kind: &str, names: &[&str]) -> String {
        match self {
            Self::Random(ambient) => fresh_uid(ambient),
            Self::Derived => hex(&derived::<12>(kind, names)),
        }
    }

    /// A number for a segment, which nobody has yet.
    pub(super) fn segment_id(self, name: &str, taken: &Segments) -> i64 {
        let first = match self {
            Self::Random(_) => taken.keys().next_back().copied().unwrap_or(0),
            Self::Derived => {
                let [a, b, c, d] = derived::<4>("segment", &[name]);
                i64::from(i32::from_be_bytes([a & 0x3f, b, c, d]))
            }
        };
        let mut free = (first + 1..).filter(|id| !taken.contains_key(id));
        free.next().unwrap_or(first)
    }

    /// A salt for a rollout with these names.
    pub(super) fn salt(self, names: &[&str]) -> String {
        match self {
            Self::Random(ambient) => fresh_salt(ambient),
            Self::Derived => hex(&derived::<8>("salt", names)),
        }
    }
}

/// The uid an environment has where no store made it.
pub(super) fn environment_uid(name: &str) -> String {
    hex(&derived::<16>("environment", &[name]))
}

/// As many bytes of a hash over all names, each with its length, so that no
/// two lists of names read alike.
fn derived<const N: usize>(kind: &str, names: &[&str]) -> [u8; N] {
    let mut text = Vec::new();
    for name in std::iter::once(&kind).chain(names) {
        text.extend_from_slice(&(name.len() as u64).to_be_bytes());
        text.extend_from_slice(name.as_bytes());
    }
    let mut bytes = [0; N];
    for (byte, hashed) in bytes.iter_mut().zip(sha256(&text)) {
        *byte = hashed;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_uids_depend_on_every_name_and_on_where_it_ends() {
        let uid = |kind: &str, names: &[&str]| Naming::Derived.uid(kind, names);
        assert_eq!(uid("flow", &["tour"]), uid("flow", &["tour"]));
        assert_eq!(uid("flow", &["tour"]).len(), 24);
        assert_ne!(uid("flow", &["tour"]), uid("block", &["tour"]));
        assert_ne!(uid("block", &["a", "bc"]), uid("block", &["ab", "c"]));
        assert_ne!(uid("path", &["a", "", "b"]), uid("path", &["a", "b"]));
        let ambient = Ambient::system();
        let random = Naming::Random(&ambient);
        assert_ne!(random.uid("flow", &["tour"]), random.uid("flow", &["tour"]));
    }
}

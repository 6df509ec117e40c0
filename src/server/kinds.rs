//! Which kinds of keys are meant?
//!
//! A route names those that open it, and a refusal names them to its caller.

use crate::snapshot::wire::KeyKind;

/// A set of key kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    /// Of these.
    pub(super) const fn of(kinds: &[KeyKind]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < kinds.len() {
            bits |= 1 << kinds[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Whether this kind is in the set.
    pub(crate) const fn contains(self, kind: KeyKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// For people: `blocks or server`.
    pub(crate) fn describe(self) -> String {
        let own = KeyKind::ALL.into_iter().filter(|kind| self.contains(*kind));
        own.map(KeyKind::name).collect::<Vec<_>>().join(" or ")
    }
}

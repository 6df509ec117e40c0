//! How is a subject named, in memory and towards the ledger?
//!
//! A [`Key`] is what the maps compare: bytes on the stack, unambiguous whatever
//! stands in the ids. A [`Name`] is what the ledger is asked with.

use smallvec::SmallVec;

use super::event::{MembershipDocument, membership_hash, subject_hash};
use crate::{
    current::EnvironmentSlot,
    limits::{SID_BYTES_MAX, SUBJECT_ID_BYTES_MAX},
};

/// What a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A user.
    User,
    /// A group.
    Group,
    /// A percentage decision.
    Membership,
}

/// What nearly all keys of users take, with room to spare; longer ones are
/// allocated. Every future that has a key is larger by this.
const USUAL: usize = 64;

/// Key bytes, on the stack so that a hit usually allocates nothing.
struct Key(SmallVec<[u8; USUAL]>);

/// Of a user or a group: kind, environment slot, id.
pub(super) struct SubjectKey(Key);

/// Of a percentage decision: kind, environment slot, deployment, id and
/// conversation, each that may be followed by another with its length.
pub(super) struct MembershipKey(Key);

impl Key {
    fn head(kind: Kind, slot: EnvironmentSlot) -> Self {
        let mut key = Self(SmallVec::new());
        key.push(&[kind as u8]);
        key.push(&slot.0.to_le_bytes());
        key
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

impl SubjectKey {
    /// The key of this id. Longer ids are refused at the door, and no map
    /// shall ever hold one, so it is asserted.
    pub(super) fn new(kind: Kind, slot: EnvironmentSlot, id: &str) -> Self {
        assert!(id.len() <= SUBJECT_ID_BYTES_MAX, "the id was not checked");
        let mut key = Key::head(kind, slot);
        key.push(id.as_bytes());
        Self(key)
    }

    /// As the maps compare it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0.0
    }
}

impl MembershipKey {
    /// The key of this decision; none when one of the parts is longer than
    /// such parts are, or the id cannot stand in a path: an attribute may hold
    /// any text.
    pub(super) fn new(slot: EnvironmentSlot, name: &MembershipName<'_>) -> Option<Self> {
        let conversation = name.conversation.unwrap_or_default();
        let fits = !matches!(name.id, "" | "." | "..")
            && name.deployment.len() <= SID_BYTES_MAX
            && name.id.len() <= SUBJECT_ID_BYTES_MAX
            && conversation.len() <= SUBJECT_ID_BYTES_MAX;
        if !fits {
            return None;
        }
        let mut key = Key::head(Kind::Membership, slot);
        for part in [name.deployment, name.id] {
            // Both limits fit.
            key.push(&(part.len() as u16).to_le_bytes());
            key.push(part.as_bytes());
        }
        key.push(&[u8::from(name.conversation.is_some())]);
        key.push(conversation.as_bytes());
        Some(Self(key))
    }

    /// As the maps compare it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0.0
    }
}

/// Names a percentage decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct MembershipName<'a> {
    /// Uid of the deployment.
    pub(super) deployment: &'a str,
    /// The id that was hashed.
    pub(super) id: &'a str,
    /// Set when the decision stands for one conversation only.
    pub(super) conversation: Option<&'a str>,
}

impl<'a> MembershipName<'a> {
    /// Of the decision that a record carries.
    pub(super) fn of(membership: &'a MembershipDocument) -> Self {
        Self {
            deployment: &membership.deployment,
            id: &membership.id,
            conversation: membership.conversation.as_deref(),
        }
    }
}

/// Names a subject towards the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name<'a> {
    /// A user.
    User(&'a str),
    /// A group.
    Group(&'a str),
    /// A percentage decision.
    Membership(MembershipName<'a>),
}

/// The same for a call that outlives its request.
#[derive(Debug)]
pub(super) enum OwnedName {
    /// A user.
    User(Box<str>),
    /// A group.
    Group(Box<str>),
    /// Deployment, id and conversation.
    Membership(Box<str>, Box<str>, Option<Box<str>>),
}

impl Name<'_> {
    /// The id of a user or a group, or the one that was hashed.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::User(id) | Self::Group(id) => id,
            Self::Membership(name) => name.id,
        }
    }

    /// As the change stream names it.
    pub(super) fn hash(&self) -> u64 {
        match self {
            Self::User(id) => subject_hash("user", &[id]),
            Self::Group(id) => subject_hash("group", &[id]),
            Self::Membership(name) => membership_hash(name.deployment, name.id, name.conversation),
        }
    }

    /// Owned.
    pub(super) fn to_owned(self) -> OwnedName {
        match self {
            Self::User(id) => OwnedName::User(id.into()),
            Self::Group(id) => OwnedName::Group(id.into()),
            Self::Membership(name) => OwnedName::Membership(
                name.deployment.into(),
                name.id.into(),
                name.conversation.map(Into::into),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: EnvironmentSlot = EnvironmentSlot(3);

    fn key(deployment: &str, id: &str, conversation: Option<&str>) -> Vec<u8> {
        let name = MembershipName {
            deployment,
            id,
            conversation,
        };
        let key = MembershipKey::new(SLOT, &name).expect("it fits");
        key.bytes().to_vec()
    }

    #[test]
    fn no_two_decisions_have_one_key() {
        let keys = [
            key("d", "ab", None),
            key("d", "ab", Some("")),
            key("d", "a", Some("b")),
            key("da", "b", None),
            key("d", "a\0", Some("b")),
            key("d", "a", Some("\0b")),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[at + 1..].contains(one), "{one:?}");
        }
    }

    #[test]
    fn a_decision_with_a_part_that_does_not_fit_has_no_key() {
        let long = "x".repeat(SUBJECT_ID_BYTES_MAX + 1);
        let fits = &long[1..];
        for (id, conversation, expected) in [
            (long.as_str(), None, false),
            ("a", Some(long.as_str()), false),
            ("..", None, false),
            ("", None, false),
            (fits, Some(fits), true),
        ] {
            let name = MembershipName {
                deployment: &long[..SID_BYTES_MAX],
                id,
                conversation,
            };
            assert_eq!(MembershipKey::new(SLOT, &name).is_some(), expected);
        }
    }
}

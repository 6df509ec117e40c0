//! Who may ask for what, as far as a snapshot says it?
//!
//! Keys by their hashes, and the rules for everybody who holds a public one.
//! What a request shows is compared with this by whoever has the request.

use crate::snapshot::{
    envelope::{KeyError, PublicKey},
    wire::KeyKind,
};

/// A key's compiled form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// SHA-256 of the key text.
    pub sha256: [u8; 32],
    /// What it may do.
    pub kind: KeyKind,
    /// What else it may do: a token that an operator gives to an edge without
    /// a store says nothing of its kind, and opens what any application asks
    /// about flags.
    pub also: Option<KeyKind>,
    /// For people.
    pub name: Box<str>,
    /// Project sids it may see; empty means all.
    pub projects: Box<[Box<str>]>,
    /// Every request with it comes over this channel.
    pub channel: Option<Box<str>>,
    /// Origins whose pages may use it; empty means all.
    pub origins: Box<[Box<str>]>,
}

impl Key {
    /// Whether flows of this project are visible with this key.
    pub fn sees(&self, project: &str) -> bool {
        self.projects.is_empty() || self.projects.iter().any(|own| &**own == project)
    }

    /// Whether it is of one of these kinds.
    pub fn is_one_of(&self, has: impl Fn(KeyKind) -> bool) -> bool {
        has(self.kind) || self.also.is_some_and(has)
    }

    /// Whether pages of this origin, as their browser writes it, may use it.
    pub fn welcomes(&self, origin: &[u8]) -> bool {
        self.origins.is_empty() || self.origins.iter().any(|own| own.as_bytes() == origin)
    }
}

/// What whoever holds a public key may do in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRules {
    /// Whether users may come without a signed token.
    pub unsigned: Unsigned,
    /// Whose signatures make a user's token good; no id twice.
    pub user_keys: Box<[UserKey]>,
    /// Whether no flow takes `force` from public keys.
    pub refuse_force: bool,
    /// Properties that browsers may set, sorted; none for every property.
    pub browser_properties: Option<Box<[Box<str>]>>,
}

/// Whether a public key alone is enough to act as any user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsigned {
    /// It is.
    Allowed,
    /// Somebody chose that it is not.
    Refused,
    /// Nobody chose, and the environment is not one to try things in.
    NotChosen,
}

/// A public key that verifies users' tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserKey {
    id: Box<str>,
    key: PublicKey,
}

impl UserKey {
    /// From the id it goes by and standard base64 of its 32 bytes.
    pub fn parse(id: &str, base64: &str) -> Result<Self, KeyError> {
        Ok(Self {
            id: id.into(),
            key: PublicKey::of(id, base64)?,
        })
    }

    /// What a token may name as `kid`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The 32 bytes of the key.
    pub fn bytes(&self) -> &[u8; 32] {
        self.key.bytes()
    }

    /// Whether the other half of this key signed the message.
    pub fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.signed(message, signature)
    }
}

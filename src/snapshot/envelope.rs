//! Who signed these bytes, and for which role?
//!
//! A small DSSE-style envelope over exact bytes: nothing is ever
//! re-serialised. [`Unverified`] is what was fetched; only
//! [`Unverified::verify`] makes [`VerifiedBytes`].

/// What a document is for; part of the signed bytes, so that a document
/// signed for one role never passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Who may sign what.
    Root,
    /// What is current.
    Timestamp,
    /// What an environment contains.
    Release,
    /// What is switched off at once.
    Control,
}

/// An Ed25519 signing key.
pub struct SigningKey {}

impl SigningKey {
    /// From its 32 secret bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        todo!()
    }
    /// The 32 secret bytes (for writing the key file).
    pub fn seed(&self) -> [u8; 32] {
        todo!()
    }
    /// First 16 hexadecimal digits of SHA-256 of the public key.
    pub fn id(&self) -> String {
        todo!()
    }
    /// Standard base64 of the public key.
    pub fn public_base64(&self) -> String {
        todo!()
    }
}

/// Signs a payload for a role: the bytes of an envelope file.
pub fn seal(role: Role, payload: &[u8], keys: &[&SigningKey]) -> Vec<u8> {
    todo!()
}

/// A parsed envelope nobody has checked.
#[derive(Debug)]
pub struct Unverified {}

/// The payload of an envelope that enough keys of the role have signed. Cannot
/// be made anywhere else.
#[derive(Debug)]
pub struct VerifiedBytes {}

impl VerifiedBytes {
    /// The exact signed payload.
    pub fn payload(&self) -> &[u8] {
        todo!()
    }
}

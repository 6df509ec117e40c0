//! Which keys may sign, and what makes a key acceptable?
//!
//! A public key is known by its id, which is derived from it, so two names
//! never stand for one key and no list of keys can count one twice. Weak keys
//! and second spellings of a key are refused before any signature is read.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer, VerifyingKey};

use crate::{limits::SIGNATURES_MAX, snapshot};

/// Digits of a key id.
const KEY_ID_DIGITS: usize = 16;

/// An Ed25519 signing key. The secret is wiped from memory when it is dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From its 32 secret bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The 32 secret bytes (for writing the key file).
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// First 16 hexadecimal digits of SHA-256 of the public key.
    pub fn id(&self) -> String {
        key_id(self.0.verifying_key().as_bytes())
    }

    /// Standard base64 of the public key.
    pub fn public_base64(&self) -> String {
        STANDARD.encode(self.0.verifying_key().as_bytes())
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    /// The id only: a secret must not reach a log by way of a struct.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.id()).finish()
    }
}

/// The id of a public key.
pub(super) fn key_id(public: &[u8; 32]) -> String {
    let mut id = snapshot::sha256_hex(public);
    id.truncate(KEY_ID_DIGITS);
    id
}

/// Whether a text has the form of a key id.
pub(super) fn is_key_id(text: &str) -> bool {
    text.len() == KEY_ID_DIGITS && snapshot::is_lower_hex(text)
}

/// What is wrong with a key, or with a role's list of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not base64 of 32 bytes, or not a point of the curve in its one spelling.
    #[error("key {id} is not an Ed25519 public key, expected base64 of its 32 bytes")]
    NotAKey {
        /// The id it stands under.
        id: String,
    },
    /// A key for which signatures can be made without a secret.
    #[error("key {id} has small order, expected a key generated at random")]
    Weak {
        /// The id it stands under.
        id: String,
    },
    /// The id is not derived from the key.
    #[error("found key id {found}, expected {expected} (first 16 digits of the key's SHA-256)")]
    WrongId {
        /// The id it stands under.
        found: String,
        /// The id the key has.
        expected: String,
    },
    /// One id twice in a role.
    #[error("key id {id} is listed twice in one role, expected once")]
    Duplicate {
        /// The repeated id.
        id: String,
    },
    /// A role names a key that the document does not hold.
    #[error("key id {id} is not among the document's keys")]
    Unknown {
        /// The id without a key.
        id: String,
    },
    /// A threshold that is always or never reached.
    #[error("found threshold {found}, expected 1 to {expected}")]
    Threshold {
        /// As written.
        found: u32,
        /// The number of keys, or of signatures an envelope may carry.
        expected: usize,
    },
}

/// A public key that has passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::snapshot) struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a key that stands under the id derived from it.
    pub(in crate::snapshot) fn parse(id: &str, base64: &str) -> Result<Self, KeyError> {
        let bytes = Self::decoded(id, base64)?;
        let expected = key_id(&bytes);
        if id != expected {
            return Err(KeyError::WrongId {
                found: id.to_owned(),
                expected,
            });
        }
        Self::from_bytes(id, bytes)
    }

    /// Reads a key that goes by a name somebody chose.
    pub(in crate::snapshot) fn of(id: &str, base64: &str) -> Result<Self, KeyError> {
        Self::from_bytes(id, Self::decoded(id, base64)?)
    }

    /// Its 32 bytes.
    pub(in crate::snapshot) fn bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether its other half signed the message. Strict: one valid signature
    /// for a key and a message, and no components of small order.
    pub(in crate::snapshot) fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }

    fn decoded(id: &str, base64: &str) -> Result<[u8; 32], KeyError> {
        let bytes = STANDARD.decode(base64).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| KeyError::NotAKey { id: id.to_owned() })
    }

    fn from_bytes(id: &str, bytes: [u8; 32]) -> Result<Self, KeyError> {
        let not_a_key = || KeyError::NotAKey { id: id.to_owned() };
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| not_a_key())?;
        if key.is_weak() {
            return Err(KeyError::Weak { id: id.to_owned() });
        }
        // A few points have a second encoding, hence a second id.
        if key.to_edwards().compress().as_bytes() != &bytes {
            return Err(not_a_key());
        }
        Ok(Self(key))
    }
}

/// The keys of one role and how many of them must sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers {
    keys: BTreeMap<String, PublicKey>,
    threshold: usize,
}

impl Signers {
    /// From a role's list, looked up among the keys of the same document.
    pub(in crate::snapshot) fn new(
        known: &BTreeMap<String, PublicKey>,
        ids: &[String],
        threshold: u32,
    ) -> Result<Self, KeyError> {
        let mut keys = BTreeMap::new();
        for id in ids {
            let key = known
                .get(id)
                .ok_or_else(|| KeyError::Unknown { id: id.clone() })?;
            if keys.insert(id.clone(), key.clone()).is_some() {
                return Err(KeyError::Duplicate { id: id.clone() });
            }
        }
        let expected = keys.len().min(SIGNATURES_MAX);
        match usize::try_from(threshold) {
            Ok(threshold) if (1..=expected).contains(&threshold) => Ok(Self { keys, threshold }),
            _ => Err(KeyError::Threshold {
                found: threshold,
                expected,
            }),
        }
    }

    /// Signatures needed.
    pub(super) fn threshold(&self) -> usize {
        self.threshold
    }

    /// Whether this key of the role signed the message; none for a key that is
    /// not of the role.
    pub(super) fn signed(&self, id: &str, message: &[u8], signature: &[u8; 64]) -> Option<bool> {
        Some(self.keys.get(id)?.signed(message, signature))
    }
}

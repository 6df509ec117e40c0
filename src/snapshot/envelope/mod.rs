//! Who signed these bytes, and for which role?
//!
//! A small DSSE-style envelope over exact bytes: nothing is ever
//! re-serialised. [`Unverified`] is what was fetched; only
//! [`Unverified::verify`] makes [`VerifiedBytes`], so that a function which
//! takes those cannot be handed something unsigned. Expiry, versions and
//! environments are not known here; they are the business of `trust`.

mod key;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};

pub(super) use self::key::PublicKey;
pub use self::key::{KeyError, Signers, SigningKey};
use super::{
    json::{self, JsonError},
    wire::{EnvelopeFile, SignatureEntry},
};
use crate::limits::{DOCUMENT_BYTES_MAX, SIGNATURES_MAX};

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

impl Role {
    /// As it stands in a root document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Release => "release",
            Self::Control => "control",
        }
    }

    /// The payload type of an envelope of this role.
    pub fn payload_type(self) -> &'static str {
        match self {
            Self::Root => "application/vnd.flowgate.root+json;v=1",
            Self::Timestamp => "application/vnd.flowgate.timestamp+json;v=1",
            Self::Release => "application/vnd.flowgate.release+json;v=1",
            Self::Control => "application/vnd.flowgate.control+json;v=1",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a file is not an envelope that enough keys of the role have signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Longer than any document may be.
    #[error("found {found} bytes, expected at most {expected}")]
    TooLong {
        /// Length of the file.
        found: usize,
        /// The limit.
        expected: usize,
    },
    /// Not JSON, ambiguous JSON, or not the members of an envelope.
    #[error("the file is not an envelope")]
    Malformed(#[source] JsonError),
    /// The payload is not canonical base64.
    #[error("the payload is not base64 (standard alphabet, padded)")]
    Payload,
    /// None, or more than an envelope may carry.
    #[error("found {found} signatures, expected 1 to {expected}")]
    SignatureCount {
        /// How many there are.
        found: usize,
        /// The limit.
        expected: usize,
    },
    /// A key id or signature that cannot be one.
    #[error(
        "signature {position} is malformed, expected 16 hexadecimal digits and base64 of 64 bytes"
    )]
    Signature {
        /// Counted from 0.
        position: usize,
    },
    /// One key signs twice.
    #[error("key id {keyid} signs twice, expected one signature for each key")]
    DuplicateKeyId {
        /// The repeated id.
        keyid: String,
    },
    /// Signed for something else.
    #[error("found payload type {found:?}, expected {expected:?}")]
    WrongType {
        /// As the envelope says.
        found: String,
        /// What the role has.
        expected: &'static str,
    },
    /// Not enough keys of the role have signed exactly these bytes.
    #[error(
        "found {found} valid signatures by keys of the role, {invalid} invalid and {foreign} by other keys, expected {expected} valid"
    )]
    BelowThreshold {
        /// Valid, by different keys of the role.
        found: usize,
        /// By keys of the role over other bytes.
        invalid: usize,
        /// By keys the role does not have.
        foreign: usize,
        /// The role's threshold.
        expected: usize,
    },
}

impl EnvelopeError {
    /// A stable label for metrics and status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "envelope_too_long",
            Self::Malformed(_) => "envelope_malformed",
            Self::Payload => "envelope_payload",
            Self::SignatureCount { .. } => "signature_count",
            Self::Signature { .. } => "signature_malformed",
            Self::DuplicateKeyId { .. } => "signature_duplicate",
            Self::WrongType { .. } => "wrong_payload_type",
            Self::BelowThreshold { .. } => "below_threshold",
        }
    }
}

/// Signs a payload for a role: the bytes of an envelope file. Deterministic:
/// the same keys in the same order make the same file.
pub fn seal(role: Role, payload: &[u8], keys: &[&SigningKey]) -> Vec<u8> {
    let message = signed_bytes(role.payload_type(), payload);
    let signatures = keys
        .iter()
        .map(|key| SignatureEntry {
            keyid: key.id(),
            sig: STANDARD.encode(key.sign(&message)),
        })
        .collect();
    let file = EnvelopeFile {
        payload_type: role.payload_type().to_owned(),
        payload: STANDARD.encode(payload),
        signatures,
    };
    // Three strings and a list of strings: nothing here can fail to serialise.
    serde_json::to_vec(&file).expect("an envelope serialises")
}

/// What is signed: DSSE's pre-authentication encoding. The lengths make sure
/// that no other type and payload give the same bytes.
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// A parsed envelope nobody has checked.
#[derive(Debug)]
pub struct Unverified {
    payload_type: String,
    payload: Arc<[u8]>,
    /// At least one, with different key ids.
    signatures: Vec<(String, [u8; 64])>,
}

impl Unverified {
    /// Reads an envelope file within its limits. Says nothing about who made it.
    pub fn parse(file: &[u8]) -> Result<Self, EnvelopeError> {
        if file.len() > DOCUMENT_BYTES_MAX {
            return Err(EnvelopeError::TooLong {
                found: file.len(),
                expected: DOCUMENT_BYTES_MAX,
            });
        }
        let file: EnvelopeFile = json::parse(file).map_err(EnvelopeError::Malformed)?;
        if !(1..=SIGNATURES_MAX).contains(&file.signatures.len()) {
            return Err(EnvelopeError::SignatureCount {
                found: file.signatures.len(),
                expected: SIGNATURES_MAX,
            });
        }
        let mut signatures = Vec::with_capacity(file.signatures.len());
        let mut seen = BTreeSet::new();
        for (position, entry) in file.signatures.into_iter().enumerate() {
            let malformed = || EnvelopeError::Signature { position };
            if !key::is_key_id(&entry.keyid) {
                return Err(malformed());
            }
            if !seen.insert(entry.keyid.clone()) {
                return Err(EnvelopeError::DuplicateKeyId { keyid: entry.keyid });
            }
            let signature = STANDARD.decode(&entry.sig).map_err(|_| malformed())?;
            let signature = signature.try_into().map_err(|_| malformed())?;
            signatures.push((entry.keyid, signature));
        }
        let payload = STANDARD
            .decode(&file.payload)
            .map_err(|_| EnvelopeError::Payload)?;
        Ok(Self {
            payload_type: file.payload_type,
            payload: payload.into(),
            signatures,
        })
    }

    /// The payload, if it is meant for the role and enough of the role's keys
    /// have signed it. Signatures by other keys are ignored, so that a file
    /// can be signed for two generations of a role at once.
    pub fn verify(&self, role: Role, signers: &Signers) -> Result<VerifiedBytes, EnvelopeError> {
        if self.payload_type != role.payload_type() {
            return Err(EnvelopeError::WrongType {
                found: self.payload_type.clone(),
                expected: role.payload_type(),
            });
        }
        let message = signed_bytes(role.payload_type(), &self.payload);
        let (mut found, mut invalid, mut foreign) = (0, 0, 0);
        // Key ids differ, so every key counts once.
        for (keyid, signature) in &self.signatures {
            match signers.signed(keyid, &message, signature) {
                Some(true) => found += 1,
                Some(false) => invalid += 1,
                None => foreign += 1,
            }
        }
        if found < signers.threshold() {
            return Err(EnvelopeError::BelowThreshold {
                found,
                invalid,
                foreign,
                expected: signers.threshold(),
            });
        }
        Ok(VerifiedBytes {
            payload: Arc::clone(&self.payload),
        })
    }

    /// The payload before anybody has checked it. A root document names the
    /// keys it is signed with itself; nothing else may be read this way.
    pub(super) fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }
}

/// The payload of an envelope that enough keys of the role have signed. Cannot
/// be made anywhere else.
#[derive(Clone, Debug)]
pub struct VerifiedBytes {
    payload: Arc<[u8]>,
}

impl VerifiedBytes {
    /// The exact signed payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

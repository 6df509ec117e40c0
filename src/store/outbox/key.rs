//! Who signs webhooks?
//!
//! An Ed25519 key of its own, made at the first start and kept beside the
//! database in the form of the Standard Webhooks (`whsk_…`); receivers are
//! given the public one (`whpk_…`). It signs nothing else, so that losing it
//! touches no snapshot.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};

use crate::{
    clock::{Ambient, UnixMs},
    store::signing::{SigningError, read, refuse_readable, write_private},
};

const SECRET: &str = "whsk_";
const PUBLIC: &str = "whpk_";

/// Longer than any key file of ours.
const FILE_BYTES_MAX: usize = 1_024;

/// The key that signs webhooks.
pub struct WebhookKey(SigningKey);

impl WebhookKey {
    /// The key in this file, which is made when there is none.
    pub fn open(path: &Path, ambient: &Ambient) -> Result<Self, SigningError> {
        if !path.exists() {
            let seed = ambient.bytes::<32>();
            let text = format!("{SECRET}{}\n", STANDARD.encode(seed));
            write_private(path, text.as_bytes())?;
        }
        refuse_readable(path)?;
        let bytes = read(path, FILE_BYTES_MAX)?;
        let seed = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| STANDARD.decode(text.trim().strip_prefix(SECRET)?).ok())
            .and_then(|seed| <[u8; 32]>::try_from(seed).ok());
        let seed = seed.ok_or_else(|| SigningError::Content {
            path: path.display().to_string(),
            why: format!("expected {SECRET} and base64 of 32 bytes"),
        })?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// For receivers.
    pub fn public(&self) -> String {
        format!(
            "{PUBLIC}{}",
            STANDARD.encode(self.0.verifying_key().to_bytes())
        )
    }

    /// The headers that let a receiver check a message.
    pub(super) fn sign(&self, id: &str, now: UnixMs, body: &[u8]) -> [(String, String); 3] {
        let seconds = now / 1000;
        let mut signed = format!("{id}.{seconds}.").into_bytes();
        signed.extend_from_slice(body);
        let signature = STANDARD.encode(self.0.sign(&signed).to_bytes());
        [
            ("webhook-id".to_owned(), id.to_owned()),
            ("webhook-timestamp".to_owned(), seconds.to_string()),
            ("webhook-signature".to_owned(), format!("v1a,{signature}")),
        ]
    }
}

impl std::fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WebhookKey").field(&self.public()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_kept_private_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webhooks.key");
        let first = WebhookKey::open(&path, &Ambient::system()).unwrap();
        let again = WebhookKey::open(&path, &Ambient::system()).unwrap();
        assert_eq!(first.public(), again.public());
        assert!(!format!("{first:?}").contains(SECRET));
        std::fs::write(&path, "whsk_AAAA").unwrap();
        let wrong = WebhookKey::open(&path, &Ambient::system()).unwrap_err();
        assert!(matches!(wrong, SigningError::Content { .. }), "{wrong}");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webhooks.key");
        WebhookKey::open(&path, &Ambient::system()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let wrong = WebhookKey::open(&path, &Ambient::system()).unwrap_err();
        assert!(matches!(wrong, SigningError::Readable { .. }), "{wrong}");
    }
}

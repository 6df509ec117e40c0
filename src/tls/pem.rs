//! What stands in the files?
//!
//! Certificates and keys as PEM, within a bound, and judged: a key that
//! everybody can read, a certificate out of its time or of another key is
//! found here and not by the first client.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_rustls::rustls::{
    self, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};
use webpki::{EndEntityCert, KeyUsage};

use super::TlsError;
use crate::{clock::UnixMs, limits::TLS_FILE_BYTES_MAX};

/// The bits of a mode by which everybody has a file.
const EVERYBODY: u32 = 0o007;

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// Our certificate, then those between it and an authority.
    pub certificate: PathBuf,
    /// The private key of the first of them.
    pub key: PathBuf,
}

/// A file's path and what is in it.
pub type Content = (PathBuf, Vec<u8>);

/// Reads a file whole.
pub(super) fn read(path: &Path) -> Result<Content, TlsError> {
    let unreadable = |cause| TlsError::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let bound = TLS_FILE_BYTES_MAX as u64 + 1;
    file.take(bound)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > TLS_FILE_BYTES_MAX {
        let path = path.to_owned();
        return Err(TlsError::TooLong { path });
    }
    Ok((path.to_owned(), bytes))
}

/// Reads a private key's file, unless everybody can. A group may: that is how
/// orchestrators hand secrets to a process without root.
pub(super) fn read_key(path: &Path) -> Result<Content, TlsError> {
    let found = std::fs::metadata(path).map_err(|cause| TlsError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    let mode = found.permissions().mode() & 0o7777;
    if mode & EVERYBODY != 0 {
        let path = path.to_owned();
        return Err(TlsError::OpenKey { path, mode });
    }
    read(path)
}

/// All certificates of a file; at least one.
pub(super) fn certificates(
    (path, bytes): &Content,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |why: String| TlsError::Pem {
        path: path.clone(),
        wanted: "certificate",
        why,
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let found = found.map_err(|error| bad(error.to_string()))?;
    if found.is_empty() {
        return Err(bad("there is no block of one".to_owned()));
    }
    Ok(found)
}

/// The authorities of a file.
pub(super) fn authorities(content: &Content) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(content)? {
        roots.add(certificate).map_err(|error| TlsError::Refused {
            path: content.0.clone(),
            why: error.to_string(),
        })?;
    }
    Ok(roots)
}

/// A certificate with its key, fit to be shown now, and when it expires.
pub(super) fn identity(
    certificate: &Content,
    (key_path, key): &Content,
    now: UnixMs,
) -> Result<(CertifiedKey, UnixMs), TlsError> {
    let chain = certificates(certificate)?;
    let path = || certificate.0.clone();
    let refused = |why: String| TlsError::Refused { path: path(), why };
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Pem {
        path: key_path.clone(),
        wanted: "private key",
        // It never quotes the key.
        why: error.to_string(),
    })?;
    let first = chain.first().map(|first| first.as_ref().to_vec());
    let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
    let pair = pair.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
            certificate: path(),
            key: key_path.clone(),
        },
        other => refused(other.to_string()),
    })?;
    let first = CertificateDer::from(first.unwrap_or_default());
    let (from_s, until_s) = validity(&first).map_err(refused)?;
    let now_s = now / 1_000;
    if now_s < from_s {
        return Err(TlsError::NotYet {
            path: path(),
            from_s,
        });
    }
    if now_s > until_s {
        return Err(TlsError::Expired {
            path: path(),
            since_s: until_s,
        });
    }
    Ok((pair, until_s.saturating_mul(1_000)))
}

/// From when to when a certificate is valid, in seconds. The verifier that
/// judges the certificates of others is asked at both ends of time, and its
/// refusals name the bounds.
fn validity(certificate: &CertificateDer<'_>) -> Result<(u64, u64), String> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|error| error.to_string())?;
    let ask = |seconds: u64| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let usage = KeyUsage::server_auth();
        parsed
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &[],
                &[],
                time,
                usage,
                None,
                None,
            )
            .err()
    };
    let from = match ask(0) {
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => not_before.as_secs(),
        // Valid since before the epoch.
        _ => 0,
    };
    let until = match ask(u64::MAX) {
        Some(webpki::Error::CertExpired { not_after, .. }) => not_after.as_secs(),
        Some(webpki::Error::InvalidCertValidity) => {
            return Err("it ends before it begins".to_owned());
        }
        Some(error) => return Err(error.to_string()),
        None => u64::MAX,
    };
    Ok((from, until))
}

//! What is wrong with certificates and keys?
//!
//! Each error names the file, what was found, and how to mend it: they reach
//! the operator at the start, and the log when a file is read again.

use std::{io, path::PathBuf};

use jiff::Timestamp;
use tokio_rustls::rustls;

use crate::limits::TLS_FILE_BYTES_MAX;

/// Why files do not serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is not there, or not ours to read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Something else than certificates.
    #[error("{} is longer than {TLS_FILE_BYTES_MAX} bytes, which no certificate file is", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// Everybody on the machine could be us.
    #[error(
        "the private key {} can be read by everybody (mode {mode:04o}); close it with chmod o-rwx",
        path.display()
    )]
    OpenKey {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// No block of the kind that is expected.
    #[error("{} holds no {wanted}: {why} (expected PEM)", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// A certificate, or a private key.
        wanted: &'static str,
        /// What the reader said.
        why: String,
    },
    /// Certificate and key are no pair.
    #[error(
        "the private key {} does not belong to the first certificate in {} (expected the key it was made for, \
         and our own certificate before those of authorities)",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificates.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// Its time is over.
    #[error("the certificate in {} has expired at {} (expected one that is valid now)", path.display(), moment(*since_s))]
    Expired {
        /// Which.
        path: PathBuf,
        /// Seconds since the Unix epoch.
        since_s: u64,
    },
    /// Its time has not come; more often the clock is wrong.
    #[error(
        "the certificate in {} is valid from {} on and not before (is the clock right?)",
        path.display(),
        moment(*from_s)
    )]
    NotYet {
        /// Which.
        path: PathBuf,
        /// Seconds since the Unix epoch.
        from_s: u64,
    },
    /// Well-formed, and of no use all the same.
    #[error("{} cannot be used: {why}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// What rustls said.
        why: String,
    },
    /// Nobody could be trusted.
    #[error(
        "the system has no certificates of authorities (install ca-certificates, or name a file of them)"
    )]
    NoRoots,
    /// The algorithms that are built in do not go together.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// A time as people read it.
fn moment(seconds: u64) -> String {
    let known = i64::try_from(seconds).ok();
    let known = known.and_then(|seconds| Timestamp::from_second(seconds).ok());
    known.map_or_else(|| "a time far away".to_owned(), |time| time.to_string())
}

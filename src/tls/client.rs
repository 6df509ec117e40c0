//! Whom do we believe when we call, and what do we show?
//!
//! The system's authorities, or those of a file and nobody else; our own
//! certificate where we have one. The name in the url must be in the other
//! side's certificate, always.

use std::{path::PathBuf, sync::Arc};

use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, client::ResolvesClientCert, crypto::ring, sign::SingleCertAndKey,
};

use super::{
    IdentityFiles, TlsError,
    pem::{self, Content},
    renewal::{Made, Source},
};
use crate::clock::UnixMs;

/// What a client's handshakes use.
pub type ClientTls = Arc<ClientConfig>;

/// The files of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// Who we are; none shows nothing.
    pub identity: Option<IdentityFiles>,
    /// Authorities in place of the system's.
    pub ca: Option<PathBuf>,
}

impl ClientFiles {
    /// Whether anything could change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Source for ClientFiles {
    type Value = ClientTls;

    fn read(&self) -> Result<Vec<Content>, TlsError> {
        let mut read = Vec::new();
        if let Some(identity) = &self.identity {
            read.push(pem::read(&identity.certificate)?);
            read.push(pem::read_key(&identity.key)?);
        }
        if let Some(path) = &self.ca {
            read.push(pem::read(path)?);
        }
        Ok(read)
    }

    fn make(&self, read: &[Content], now: UnixMs) -> Result<Made<ClientTls>, TlsError> {
        let (identity, ca) = match (&self.identity, read) {
            (Some(_), [certificate, key, rest @ ..]) => {
                (Some(pem::identity(certificate, key, now)?), rest.first())
            }
            _ => (None, read.first()),
        };
        let roots = match ca {
            Some(content) => pem::authorities(content)?,
            None => Some(system_roots())
                .filter(|roots| !roots.is_empty())
                .ok_or(TlsError::NoRoots)?,
        };
        let expires_ms = identity.as_ref().map(|(_, expires_ms)| *expires_ms);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match identity {
            Some((pair, _)) => {
                let shown: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(pair));
                builder.with_client_cert_resolver(shown)
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Made {
            value: Arc::new(config),
            expires_ms,
        })
    }
}

/// The configuration of a client that is made once and asks once.
pub fn client_config(files: &ClientFiles, now: UnixMs) -> Result<ClientTls, TlsError> {
    Ok(files.make(&files.read()?, now)?.value)
}

/// What all our clients use that are not told otherwise: the system's
/// authorities. Without any the calls that need TLS fail and say so; calls
/// without TLS go on. None when the provider has no protocol in common with
/// this library.
pub fn client_tls() -> Option<ClientConfig> {
    let roots = system_roots();
    if roots.is_empty() {
        tracing::warn!("the system has no certificates: calls over https will fail");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let versions = builder.with_safe_default_protocol_versions().ok()?;
    Some(versions.with_root_certificates(roots).with_no_client_auth())
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate of the system cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    roots
}

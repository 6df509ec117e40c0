//! How does a listener show who it is?
//!
//! TLS 1.2 and 1.3 with rustls' choices, HTTP/2 and HTTP/1.1 by ALPN, tickets
//! that only this configuration opens: a new one means that everybody who
//! resumes is looked at again. With authorities of clients, a client without a
//! certificate of theirs is not let in.

use std::{path::PathBuf, sync::Arc};

use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::SingleCertAndKey,
};

use super::{
    IdentityFiles, TlsError,
    pem::{self, Content},
    renewal::{Made, Source},
};
use crate::clock::UnixMs;

/// Protocols offered, the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a listener's handshakes use.
pub type ServerTls = Arc<ServerConfig>;

/// The files of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// Who we are.
    pub identity: IdentityFiles,
    /// Whose certificates clients have to show; none asks for none.
    pub client_ca: Option<PathBuf>,
}

impl Source for ServerFiles {
    type Value = ServerTls;

    fn read(&self) -> Result<Vec<Content>, TlsError> {
        let mut read = vec![
            pem::read(&self.identity.certificate)?,
            pem::read_key(&self.identity.key)?,
        ];
        if let Some(path) = &self.client_ca {
            read.push(pem::read(path)?);
        }
        Ok(read)
    }

    fn make(&self, read: &[Content], now: UnixMs) -> Result<Made<ServerTls>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match read.get(2) {
            Some(content) => {
                let roots = Arc::new(pem::authorities(content)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                let verifier = verifier.map_err(|error| TlsError::Refused {
                    path: content.0.clone(),
                    why: error.to_string(),
                })?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let (pair, expires_ms) = pem::identity(&read[0], &read[1], now)?;
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
        config.ticketer = ring::Ticketer::new()?;
        // Tickets carry the session: nothing to remember, nothing to lock.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Made {
            value: Arc::new(config),
            expires_ms: Some(expires_ms),
        })
    }
}

//! Whom do our own clients believe over TLS?
//!
//! The certificate authorities of the system, with one crypto provider for the
//! whole program. Without any the calls that need TLS fail and say so; calls
//! without TLS go on.

use std::sync::Arc;

use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// The settings of a client, or none when the provider has no protocol in
/// common with this library.
pub fn client_tls() -> Option<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate of the system cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!("the system has no certificates: calls over https will fail");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let versions = builder.with_safe_default_protocol_versions().ok()?;
    Some(versions.with_root_certificates(roots).with_no_client_auth())
}

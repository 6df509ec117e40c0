//! How does an edge prove who it is, and whose word does it take?
//!
//! TLS of the admin listener and towards upstream. The public listener's own
//! section is the store's as well.

use std::path::PathBuf;

use crate::{
    address::Address,
    config::{
        key::{Key, Kind, Preset},
        reader::Reader,
        tls::{self, ListenerTls},
    },
};

/// Of the section `admin`.
pub(super) const ADMIN_KEYS: &[Key] = &[
    Key {
        name: "admin.tls_certificate",
        flag: "admin-tls-certificate",
        kind: Kind::File,
        preset: Preset::Optional("\"/etc/flowgate/tls/tls.crt\""),
        secret: None,
        doc: "PEM file with the certificate of the admin listener, as tls.certificate is of the public one.",
    },
    Key {
        name: "admin.tls_key",
        flag: "admin-tls-key",
        kind: Kind::File,
        preset: Preset::Optional("\"/etc/flowgate/tls/tls.key\""),
        secret: None,
        doc: "PEM file with its private key.",
    },
    Key {
        name: "admin.tls_client_ca",
        flag: "admin-tls-client-ca",
        kind: Kind::File,
        preset: Preset::Optional("\"/etc/flowgate/tls/operators.crt\""),
        secret: None,
        doc: "PEM file with authorities of clients. With it probes and scrapers have to show a certificate; it is \
              the only lock this listener can have.",
    },
];

/// Of the section `upstream`.
pub(super) const UPSTREAM_KEYS: &[Key] = &[
    Key {
        name: "upstream.tls_ca",
        flag: "upstream-tls-ca",
        kind: Kind::File,
        preset: Preset::Optional("\"/etc/flowgate/tls/ca.crt\""),
        secret: None,
        doc: "PEM file with the authorities an https upstream is believed by, in place of the system's. Read again \
              when it changes and on SIGHUP, like the two below.",
    },
    Key {
        name: "upstream.tls_certificate",
        flag: "upstream-tls-certificate",
        kind: Kind::File,
        preset: Preset::Optional("\"/etc/flowgate/tls/edge.crt\""),
        secret: None,
        doc: "PEM file with the certificate this edge shows to an upstream that asks for one.",
    },
    Key {
        name: "upstream.tls_key",
        flag: "upstream-tls-key",
        kind: Kind::File,
        preset: Preset::Optional("\"/etc/flowgate/tls/edge.key\""),
        secret: None,
        doc: "PEM file with its private key.",
    },
];

/// What an edge proves to upstream, and believes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Authorities in place of the system's.
    pub ca: Option<PathBuf>,
    /// A certificate and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// TLS of one listener, which a socket file has no use for.
pub(super) fn listener(
    reader: &mut Reader,
    (listen, address): (&str, &Address),
    begin: &str,
) -> Option<ListenerTls> {
    let tls = tls::listener(reader, begin)?;
    if address.tcp().is_none() {
        let rule = format!(
            "cannot be used while {listen} is a socket file (its mode says who may connect)"
        );
        reader.broken(&format!("{begin}certificate"), &rule);
    }
    Some(tls)
}

/// TLS towards upstream.
pub(super) fn upstream<'u>(
    reader: &mut Reader,
    mut urls: impl Iterator<Item = &'u str>,
) -> UpstreamTls {
    let config = UpstreamTls {
        ca: reader.optional_text("upstream.tls_ca").map(PathBuf::from),
        identity: tls::identity(reader, "upstream.tls_"),
    };
    if config != UpstreamTls::default() && !urls.any(|url| url.starts_with("https:")) {
        let key = if config.ca.is_some() {
            "upstream.tls_ca"
        } else {
            "upstream.tls_certificate"
        };
        reader.broken(
            key,
            "is of no use while upstream.url is http (make it https)",
        );
    }
    config
}

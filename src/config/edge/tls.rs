//! How does an edge prove who it is, and whose word does it take?
//!
//! TLS of the admin listener and towards upstream, and the section `proxies`.
//! The public listener's own section is the store's as well.

use std::{net::IpAddr, path::PathBuf};

use ipnet::IpNet;

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

/// Of the section `proxies`.
pub(super) const PROXY_KEYS: &[Key] = &[
    Key {
        name: "proxies.trusted",
        flag: "proxies-trusted",
        kind: Kind::Words,
        preset: Preset::Value("[]"),
        secret: None,
        doc: "Networks such as \"10.0.0.0/8\" whose proxies are believed when they say on whose behalf they ask; \
              \"unix\" stands for whoever connects to a socket file. None by default, because whoever is believed \
              can claim any address.",
    },
    Key {
        name: "proxies.header",
        flag: "proxies-header",
        kind: Kind::Choice {
            now: &["x-forwarded-for", "forwarded"],
            later: &[],
        },
        preset: Preset::Value("\"x-forwarded-for\""),
        secret: None,
        doc: "The header those proxies add a hop to. Only this one is read: the other may come from the caller as it \
              is.",
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

/// Which proxies are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxiesConfig {
    /// Their networks.
    pub networks: Vec<IpNet>,
    /// Whoever connects to a socket file.
    pub local: bool,
    /// They set `Forwarded`, not `X-Forwarded-For`.
    pub forwarded: bool,
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

/// The section `proxies`.
pub(super) fn proxies(reader: &mut Reader) -> ProxiesConfig {
    let mut config = ProxiesConfig {
        forwarded: reader.text("proxies.header") == "forwarded",
        ..ProxiesConfig::default()
    };
    for word in reader.words("proxies.trusted") {
        let address = word.parse::<IpAddr>().map(IpNet::from);
        if word == "unix" {
            config.local = true;
        } else if let Ok(network) = word.parse().or(address) {
            config.networks.push(network);
        } else {
            let rule = format!(
                "{word:?} is no network (expected one such as \"10.0.0.0/8\", an address, or \"unix\")"
            );
            reader.broken("proxies.trusted", &rule);
        }
    }
    config
}

//! Which proxies in front of a server are believed?
//!
//! The section `proxies`, of an edge as of a store.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    key::{Key, Kind, Preset},
    reader::Reader,
};

/// The section `proxies`.
pub(super) const KEYS: &[Key] = &[
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

/// Reads the section.
pub(super) fn read(reader: &mut Reader) -> ProxiesConfig {
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

//! How are the connections of Dopt's clients kept alive?
//!
//! The section `socket`.

use std::time::Duration;

use crate::config::{
    key::{Key, Kind, Preset},
    reader::Reader,
};

/// Of the section.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "socket.ping_interval_s",
        flag: "ping-interval-s",
        kind: Kind::Number { min: 1, max: 300 },
        preset: Preset::Value("25"),
        secret: None,
        doc: "Seconds between two pings on a socket of Dopt's clients. Below the 30 s after which the first proxies \
              give an idle connection up.",
    },
    Key {
        name: "socket.ping_timeout_s",
        flag: "ping-timeout-s",
        kind: Kind::Number { min: 1, max: 300 },
        preset: Preset::Value("20"),
        secret: None,
        doc: "Seconds a client has for the answer to a ping. Clients close a socket themselves, and connect again, \
              when no ping came for the sum of both.",
    },
];

/// Pings on sockets.
#[derive(Clone, Copy, Debug)]
pub struct SocketConfig {
    /// Between two pings.
    pub ping_interval: Duration,
    /// For the answer to one.
    pub ping_timeout: Duration,
}

/// The section.
pub(super) fn read(reader: &mut Reader) -> SocketConfig {
    SocketConfig {
        ping_interval: reader.seconds("socket.ping_interval_s"),
        ping_timeout: reader.seconds("socket.ping_timeout_s"),
    }
}

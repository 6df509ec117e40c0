//! How much may applications ask of an edge, and whose pages may ask?
//!
//! The sections `limits` and `cors`.

use std::time::Duration;

use crate::config::{
    key::{Key, Kind, Preset},
    reader::Reader,
};

/// Of the section `limits`.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "limits.connections_max",
        flag: "connections-max",
        kind: Kind::Number {
            min: 16,
            max: 1_000_000,
        },
        preset: Preset::Value("20000"),
        secret: None,
        doc: "Open connections of applications. Each costs a file descriptor and a few kilobytes: raise the \
              process's descriptor limit together with it.",
    },
    Key {
        name: "limits.connections_per_address_max",
        flag: "connections-per-address-max",
        kind: Kind::Number {
            min: 1,
            max: 1_000_000,
        },
        preset: Preset::Value("20000"),
        secret: None,
        doc: "Open connections from one address. As high as the limit above by default, because behind a load \
              balancer all of them come from one.",
    },
    Key {
        name: "limits.min_revision_wait_ms",
        flag: "min-revision-wait-ms",
        kind: Kind::Number {
            min: 0,
            max: 60_000,
        },
        preset: Preset::Value("2000"),
        secret: None,
        doc: "Milliseconds a request waits for a revision it asks for (Flowgate-Min-Revision) and that is not here \
              yet. A connected edge has it within milliseconds; who waits longer is better told to come again.",
    },
    Key {
        name: "limits.streams_max",
        flag: "streams-max",
        kind: Kind::Number {
            min: 0,
            max: 1_000_000,
        },
        preset: Preset::Value("10000"),
        secret: None,
        doc: "Streams of changes open at a time (/v1/changes), each on a connection of its own. Half of the \
              connections, so that streams leave room for requests; further ones are answered 503.",
    },
    Key {
        name: "limits.streams_per_key_max",
        flag: "streams-per-key-max",
        kind: Kind::Number {
            min: 0,
            max: 1_000_000,
        },
        preset: Preset::Value("10000"),
        secret: None,
        doc: "Of them with one key. As high as the limit above by default, because most edges serve one \
              application with one key; lower it where several share an edge.",
    },
];

/// Of the section `cors`.
pub(super) const CORS_KEYS: &[Key] = &[Key {
    name: "cors.origins",
    flag: "cors-origins",
    kind: Kind::Words,
    preset: Preset::Value("[\"*\"]"),
    secret: None,
    doc: "Origins whose pages may call the edge from a browser. Any by default, because public keys give \
              nothing but one user's evaluated results.",
}];

/// Bounds of what applications may take.
#[derive(Clone, Copy, Debug)]
pub struct LimitsConfig {
    /// In all.
    pub connections_max: usize,
    /// From one address.
    pub connections_per_address_max: usize,
    /// For a revision that is asked for.
    pub min_revision_wait: Duration,
    /// Streams of changes in all.
    pub streams_max: usize,
    /// Streams of changes with one key.
    pub streams_per_key_max: usize,
}

/// Whose pages may call the edge from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Every page.
    Any,
    /// Pages of these origins, as browsers write them.
    List(Vec<String>),
}

/// The section `limits`.
pub(super) fn read(reader: &mut Reader) -> LimitsConfig {
    LimitsConfig {
        connections_max: reader.count("limits.connections_max"),
        connections_per_address_max: reader.count("limits.connections_per_address_max"),
        min_revision_wait: reader.millis("limits.min_revision_wait_ms"),
        streams_max: reader.count("limits.streams_max"),
        streams_per_key_max: reader.count("limits.streams_per_key_max"),
    }
}

/// Origins as browsers write them, or any.
pub(super) fn origins(reader: &mut Reader) -> CorsOrigins {
    let list = reader.words("cors.origins");
    if list.iter().any(|origin| origin == "*") {
        if list.len() > 1 {
            reader.broken(
                "cors.origins",
                "names \"*\" beside other origins (keep one of the two)",
            );
        }
        return CorsOrigins::Any;
    }
    for origin in &list {
        // What browsers send has a scheme and no path; anything else would
        // never match, silently.
        let scheme = origin.split_once("://").map(|(_, host)| host);
        if scheme.is_none_or(|host| host.is_empty() || host.contains('/')) {
            let rule =
                format!("{origin:?} is not an origin (expected such as https://app.example.com)");
            reader.broken("cors.origins", &rule);
        }
    }
    CorsOrigins::List(list)
}

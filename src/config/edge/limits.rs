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
        name: "limits.requests_per_s_per_key",
        flag: "requests-per-s-per-key",
        kind: Kind::Number {
            min: 0,
            max: 1_000_000,
        },
        preset: Preset::Value("0"),
        secret: None,
        doc: "Requests a second of one key over all connections to this edge; more are answered 429 with \
              Retry-After. 0 for any number: the edge sheds load by itself, and how much a key is meant to ask is \
              known only to whom it was given.",
    },
    Key {
        name: "limits.requests_burst",
        flag: "requests-burst",
        kind: Kind::Number {
            min: 1,
            max: 1_000_000,
        },
        preset: Preset::Value("100"),
        secret: None,
        doc: "How many requests of one key may come at once, after a rest, where their rate is limited.",
    },
    Key {
        name: "limits.unseen_users_per_s",
        flag: "unseen-users-per-s",
        kind: Kind::Number {
            min: 0,
            max: 1_000_000,
        },
        preset: Preset::Value("0"),
        secret: None,
        doc: "Users a second whom this edge does not have in memory, of one public key and one address; more are \
              answered 429. Each costs a read of the ledger and may become a new user there. 0 for any number, \
              because behind a load balancer all users come from one address; set it where pages call the edge \
              directly, such as 5.",
    },
    Key {
        name: "limits.unseen_users_burst",
        flag: "unseen-users-burst",
        kind: Kind::Number {
            min: 1,
            max: 1_000_000,
        },
        preset: Preset::Value("50"),
        secret: None,
        doc: "How many such users may come at once, after a rest, where they are limited.",
    },
    Key {
        name: "limits.in_flight_max",
        flag: "in-flight-max",
        kind: Kind::Number {
            min: 1,
            max: 1_000_000,
        },
        preset: Preset::Value("20000"),
        secret: None,
        doc: "Requests under way at one time, over all workers. As it fills up, ever fewer kinds of requests are \
              taken (503): first no new connections, then no lists, no evaluations that must ask the ledger, no \
              evaluations, no steps. One key gets at most three quarters of it (429).",
    },
    Key {
        name: "limits.queue_ms_max",
        flag: "queue-ms-max",
        kind: Kind::Number {
            min: 0,
            max: 60_000,
        },
        preset: Preset::Value("250"),
        secret: None,
        doc: "How long ready work may wait for its turn at its worker. While even the shortest wait is longer, one \
              kind of requests after the other is refused, in the order above. 0 to refuse nothing for it.",
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
        doc: "Streams of changes (/v1/changes) and flags (/api/client/streaming) and sockets of Dopt's clients \
              (/v2/socket/) open at a time, each on a connection of its own. Half of the connections, so that they \
              leave room for requests; further streams are answered 503 or, of flags, 429, further sockets closed to \
              come again later.",
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
    /// A second, of one key; 0 for any number.
    pub requests_per_s_per_key: u32,
    /// At once, of one key.
    pub requests_burst: u32,
    /// Users a second that memory does not have, of one public key and address.
    pub unseen_users_per_s: u32,
    /// Such users at once.
    pub unseen_users_burst: u32,
    /// Requests under way.
    pub in_flight_max: usize,
    /// Longest wait of ready work; 0 for any.
    pub queue_ms_max: u64,
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
        requests_per_s_per_key: small(reader, "limits.requests_per_s_per_key"),
        requests_burst: small(reader, "limits.requests_burst"),
        unseen_users_per_s: small(reader, "limits.unseen_users_per_s"),
        unseen_users_burst: small(reader, "limits.unseen_users_burst"),
        in_flight_max: reader.count("limits.in_flight_max"),
        queue_ms_max: reader.count("limits.queue_ms_max") as u64,
        streams_max: reader.count("limits.streams_max"),
        streams_per_key_max: reader.count("limits.streams_per_key_max"),
    }
}

/// A number whose bound is far below what the type holds.
fn small(reader: &mut Reader, key: &str) -> u32 {
    u32::try_from(reader.count(key)).unwrap_or(u32::MAX)
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

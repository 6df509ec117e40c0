//! How does an edge reach the control plane?
//!
//! The section `upstream`: where it is, what is trusted of it, and how often it
//! is asked.

use std::{path::PathBuf, time::Duration};

use super::tls::{self, UpstreamTls};
use crate::config::{
    key::{Key, Kind, Preset},
    reader::Reader,
};

/// Of the section.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "upstream.kind",
        flag: "upstream",
        kind: Kind::Choice {
            now: &["http"],
            later: &["nats", "file", "unleash"],
        },
        preset: Preset::Value("\"http\""),
        secret: None,
        doc: "How snapshots come in and progress goes out.",
    },
    Key {
        name: "upstream.url",
        flag: "upstream-url",
        kind: Kind::HttpUrl,
        preset: Preset::Required("\"http://127.0.0.1:7080\""),
        secret: None,
        doc: "Where the store is, http or https. Required.",
    },
    Key {
        name: "upstream.trust_root",
        flag: "trust-root",
        kind: Kind::File,
        preset: Preset::Required("\"/etc/flowgate/root.json\""),
        secret: None,
        doc: "The signed root document this edge trusts, copied from the store's signing folder by hand. Required: \
              an edge without it could be fed by anybody.",
    },
    Key {
        name: "upstream.timeout_ms",
        flag: "upstream-timeout-ms",
        kind: Kind::Number {
            min: 50,
            max: 120_000,
        },
        preset: Preset::Value("5000"),
        secret: None,
        doc: "Milliseconds one call to upstream may take, waiting time of a long poll not counted. Long enough for \
              a slow disk there, short enough that a user who is read through does not hang.",
    },
    Key {
        name: "upstream.poll_wait_s",
        flag: "upstream-poll-wait-s",
        kind: Kind::Number { min: 0, max: 60 },
        preset: Preset::Value("30"),
        secret: None,
        doc: "Seconds upstream holds a question for the newest revision open when there is none. Below the minute \
              after which many load balancers cut idle connections.",
    },
    Key {
        name: "upstream.backoff_min_ms",
        flag: "upstream-backoff-min-ms",
        kind: Kind::Number {
            min: 10,
            max: 60_000,
        },
        preset: Preset::Value("200"),
        secret: None,
        doc: "Milliseconds before the first repetition of a call that failed; doubled each time, with jitter.",
    },
    Key {
        name: "upstream.backoff_max_ms",
        flag: "upstream-backoff-max-ms",
        kind: Kind::Number {
            min: 10,
            max: 600_000,
        },
        preset: Preset::Value("10000"),
        secret: None,
        doc: "Milliseconds between repetitions at the most: how long after upstream is back an edge may go on \
              without noticing.",
    },
];

/// The way to the control plane, over HTTP.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Without a trailing slash.
    pub url: String,
    /// What is proved and believed when the url is https.
    pub tls: UpstreamTls,
    /// An envelope file of a root document.
    pub trust_root: PathBuf,
    /// Of one call, a long poll's wait not counted.
    pub timeout: Duration,
    /// Of one long poll.
    pub poll_wait: Duration,
    /// Before the first repetition.
    pub backoff_min: Duration,
    /// Between repetitions at the most.
    pub backoff_max: Duration,
}

/// The section, with the rules between its values.
pub(super) fn read(reader: &mut Reader) -> UpstreamConfig {
    // Read for its rule; there is one kind so far.
    reader.text("upstream.kind");
    let url = reader.text("upstream.url");
    let config = UpstreamConfig {
        tls: tls::upstream(reader, &url),
        url,
        trust_root: reader.path("upstream.trust_root"),
        timeout: reader.millis("upstream.timeout_ms"),
        poll_wait: reader.seconds("upstream.poll_wait_s"),
        backoff_min: reader.millis("upstream.backoff_min_ms"),
        backoff_max: reader.millis("upstream.backoff_max_ms"),
    };
    if config.backoff_min > config.backoff_max {
        reader.broken(
            "upstream.backoff_min_ms",
            "is above upstream.backoff_max_ms",
        );
    }
    config
}

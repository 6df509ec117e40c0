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
            now: &["http", "file"],
            later: &["nats", "unleash"],
        },
        preset: Preset::Value("\"http\""),
        secret: None,
        doc: "How snapshots come in: over HTTP from a store or from another edge, or from a folder of signed files.",
    },
    Key {
        name: "upstream.url",
        flag: "upstream-url",
        kind: Kind::HttpUrl,
        preset: Preset::Optional("\"http://127.0.0.1:7080\""),
        secret: None,
        doc: "Where the store is, or the edge that passes snapshots on, http or https. Required for kind http.",
    },
    Key {
        name: "upstream.path",
        flag: "upstream-path",
        kind: Kind::Path,
        preset: Preset::Optional("\"/srv/flowgate/snapshots\""),
        secret: None,
        doc: "Folder of signed files, as `flowgate snapshot sign` leaves it. Required for kind file.",
    },
    Key {
        name: "upstream.reread_ms",
        flag: "upstream-reread-ms",
        kind: Kind::Number {
            min: 20,
            max: 600_000,
        },
        preset: Preset::Value("1000"),
        secret: None,
        doc: "Milliseconds between two looks at the folder of kind file. A look costs one question to the file \
              system for each environment; a shared one may want longer.",
    },
    Key {
        name: "upstream.ledger_url",
        flag: "ledger-url",
        kind: Kind::HttpUrl,
        preset: Preset::Optional("\"http://127.0.0.1:7080\""),
        secret: None,
        doc: "Where progress goes: always a store. Without it, upstream.url. Below an edge that passes snapshots on \
              it has to be set, because progress is not passed on. With kind file and neither of the two there is no \
              ledger: steps stay in this edge's own journal.",
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

/// Where snapshots come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotOrigin {
    /// A store, or an edge that passes them on; without a trailing slash.
    Http(String),
    /// A folder of signed files, and how often it is looked at.
    File {
        /// The folder.
        path: PathBuf,
        /// Between two looks.
        reread: Duration,
    },
}

/// The way to the control plane.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Where snapshots come from.
    pub origin: SnapshotOrigin,
    /// Where progress goes, without a trailing slash; none: it stays here.
    pub ledger_url: Option<String>,
    /// What is proved and believed where a url is https.
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

impl UpstreamConfig {
    /// Whether anything is asked over HTTP, which takes an edge key.
    pub(super) fn needs_keys(&self) -> bool {
        matches!(self.origin, SnapshotOrigin::Http(_)) || self.ledger_url.is_some()
    }
}

impl UpstreamConfig {
    /// Whether anything is called over TLS.
    pub fn is_secure(&self) -> bool {
        let origin = match &self.origin {
            SnapshotOrigin::Http(url) => Some(url),
            SnapshotOrigin::File { .. } => None,
        };
        let mut urls = origin.into_iter().chain(&self.ledger_url);
        urls.any(|url| url.starts_with("https:"))
    }
}

/// The section, with the rules between its values.
pub(super) fn read(reader: &mut Reader) -> UpstreamConfig {
    let url = reader.optional_text("upstream.url");
    let origin = origin(reader, url.as_deref());
    let ledger_url = reader.optional_text("upstream.ledger_url").or(url.clone());
    let urls = [url.as_deref(), ledger_url.as_deref()];
    let config = UpstreamConfig {
        origin,
        tls: tls::upstream(reader, urls.into_iter().flatten()),
        ledger_url,
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

fn origin(reader: &mut Reader, url: Option<&str>) -> SnapshotOrigin {
    let path = reader.optional_text("upstream.path");
    let reread = reader.millis("upstream.reread_ms");
    if reader.text("upstream.kind") == "file" {
        if !reader.is_set("upstream.path") {
            reader.require("upstream.path", "for upstream.kind = \"file\"");
        }
        return SnapshotOrigin::File {
            path: path.unwrap_or_default().into(),
            reread,
        };
    }
    if !reader.is_set("upstream.url") {
        reader.require("upstream.url", "for upstream.kind = \"http\"");
    }
    if path.is_some() {
        reader.broken(
            "upstream.path",
            "is only read with upstream.kind = \"file\" (set the kind, or leave the path out)",
        );
    }
    SnapshotOrigin::Http(url.unwrap_or_default().to_owned())
}

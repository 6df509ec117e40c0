//! What can an operator set on the edge?
//!
//! The table of its keys, each with its default, unit and reason. Ceilings that
//! protect the process and are the same everywhere are in `limits`; what stands
//! here is a choice. The two keys of the log are the same on every surface.

use super::key::{Key, Kind, Preset, Surface};
use crate::limits;

/// Everything that can be set on `flowgate edge`.
pub const EDGE: Surface = Surface {
    name: "edge",
    about: "Settings of `flowgate edge`, the evaluation proxy, each with its default.",
    keys: &[
        Key {
            name: "listen",
            flag: "listen",
            kind: Kind::Address,
            preset: Preset::Value("\"127.0.0.1:7070\""),
            secret: None,
            doc: "Where applications connect. Port 0 picks a free one. Loopback by default, because opening it to a \
                  network is a decision.",
        },
        Key {
            name: "data",
            flag: "data",
            kind: Kind::Path,
            preset: Preset::Value("\"./flowgate-edge\""),
            secret: None,
            doc: "Folder of the last good snapshots and of the journal; made when missing, locked while in use. It has \
                  to survive restarts: it holds steps that upstream does not have yet.",
        },
        Key {
            name: "workers",
            flag: "workers",
            kind: Kind::Number { min: 0, max: 1024 },
            preset: Preset::Value("0"),
            secret: None,
            doc: "Threads that serve requests; 0 takes one for each core.",
        },
        Key {
            name: "on_unknown_subject",
            flag: "on-unknown-subject",
            kind: Kind::Choice {
                now: &["serve-as-new", "refuse"],
                later: &[],
            },
            preset: Preset::Value("\"serve-as-new\""),
            secret: None,
            doc: "What a user gets who is not in memory while upstream cannot be asked: served as if new (marked, and \
                  every step kept), or refused.",
        },
        Key {
            name: "admin.listen",
            flag: "admin",
            kind: Kind::Address,
            preset: Preset::Value("\"127.0.0.1:7071\""),
            secret: None,
            doc: "Where /health, /ready, /metrics and /status are served. Apart from applications, so that a full \
                  public listener never hides the process's health.",
        },
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
            doc: "Where the store is. Required.",
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
        Key {
            name: "environment.*.key",
            flag: "environment-key",
            kind: Kind::Text,
            preset: Preset::Required("\"edge-development-…\""),
            secret: Some("environment-key-file"),
            doc: "One section for each environment this edge serves; this is its edge key. At least one is required. \
                  As a flag: --environment-key NAME=KEY (others on the machine can read flags; prefer the file).",
        },
        Key {
            name: "environment.*.required",
            flag: "environment-required",
            kind: Kind::Truth,
            preset: Preset::Value("true"),
            secret: None,
            doc: "Whether the edge calls itself ready only when this environment answers.",
        },
        Key {
            name: "journal.segment_mb",
            flag: "journal-segment-mb",
            kind: Kind::Number { min: 4, max: 1024 },
            preset: Preset::Value("64"),
            secret: None,
            doc: "MiB of one journal file. It is filled with zeros ahead of time; larger files mean fewer of them to \
                  prepare, smaller ones are given back sooner.",
        },
        Key {
            name: "journal.total_mb",
            flag: "journal-total-mb",
            kind: Kind::Number {
                min: 8,
                max: 1_048_576,
            },
            preset: Preset::Value("8192"),
            secret: None,
            doc: "MiB all journal files may take together; when full, writes answer 503 and reads go on. Keep it below \
                  half of the file system, so that a long absence of upstream cannot fill the disk.",
        },
        Key {
            name: "journal.ack",
            flag: "journal-ack",
            kind: Kind::Choice {
                now: &["disk", "memory"],
                later: &["upstream"],
            },
            preset: Preset::Value("\"disk\""),
            secret: None,
            doc: "When a step is acknowledged: when it is synced to disk, or at once. With memory a crash of the \
                  machine loses the newest acknowledged steps.",
        },
        Key {
            name: "subjects.cached_max",
            flag: "subjects-cached-max",
            kind: Kind::Number {
                min: 1_000,
                max: 100_000_000,
            },
            preset: Preset::Value("200000"),
            secret: None,
            doc: "Users kept in memory; the ones used least make room. About half a kilobyte each in a flow of five \
                  blocks.",
        },
        Key {
            name: "subjects.pending_max",
            flag: "subjects-pending-max",
            kind: Kind::Number {
                min: 1_000,
                max: limits::PENDING_RECORDS_MAX as u64,
            },
            preset: Preset::Value("1000000"),
            secret: None,
            doc: "Steps kept in memory until upstream has them; when full, writes answer 503 and reads go on.",
        },
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
            name: "stop.grace_ms",
            flag: "grace-ms",
            kind: Kind::Number {
                min: 0,
                max: 600_000,
            },
            preset: Preset::Value("0"),
            secret: None,
            doc: "Milliseconds between calling itself not ready and no longer accepting connections. Set it to the \
                  interval at which your load balancer asks for readiness; 0 suits everything that has none.",
        },
        Key {
            name: "stop.drain_ms",
            flag: "drain-ms",
            kind: Kind::Number {
                min: 0,
                max: 600_000,
            },
            preset: Preset::Value("10000"),
            secret: None,
            doc: "Milliseconds running requests get to finish, and after that the journal to be shipped; what is left \
                  is shipped by the next start. Below the 30 s after which orchestrators kill.",
        },
        Key {
            name: "cors.origins",
            flag: "cors-origins",
            kind: Kind::Words,
            preset: Preset::Value("[\"*\"]"),
            secret: None,
            doc: "Origins whose pages may call the edge from a browser. Any by default, because public keys give \
                  nothing but one user's evaluated results.",
        },
        LOG_LEVEL,
        LOG_FORMAT,
    ],
};

/// The same on every surface. SIGHUP reads it again.
pub(crate) const LOG_LEVEL: Key = Key {
    name: "log.level",
    flag: "log-level",
    kind: Kind::Choice {
        now: &["off", "error", "warn", "info", "debug", "trace"],
        later: &[],
    },
    preset: Preset::Value("\"info\""),
    secret: None,
    doc: "The lowest level that is logged. Read again on SIGHUP.",
};

/// The same on every surface.
pub(crate) const LOG_FORMAT: Key = Key {
    name: "log.format",
    flag: "log-format",
    kind: Kind::Choice {
        now: &["human", "json"],
        later: &[],
    },
    preset: Preset::Value("\"human\""),
    secret: None,
    doc: "Lines for people, or one JSON object a line. Logs go to standard error.",
};

//! Where does an edge listen, what does it work with, and how does it end?
//!
//! The keys without a section and the sections `admin` and `stop`.

use std::time::Duration;

use crate::config::{
    key::{Key, Kind, Preset},
    reader::Reader,
};

/// Without a section.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "listen",
        flag: "listen",
        kind: Kind::Address,
        preset: Preset::Value("\"127.0.0.1:7070\""),
        secret: None,
        doc: "Where applications connect: an address (port 0 picks a free one), or unix: and the absolute path of a \
              socket file, which owner and group may use. Loopback by default, because opening it to a network is \
              a decision.",
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
];

/// Of the section `admin`.
pub(super) const ADMIN_KEYS: &[Key] = &[Key {
    name: "admin.listen",
    flag: "admin",
    kind: Kind::Address,
    preset: Preset::Value("\"127.0.0.1:7071\""),
    secret: None,
    doc: "Where /health, /ready, /metrics and /status are served. Apart from applications, so that a full \
              public listener never hides the process's health.",
}];

/// Of the section `stop`.
pub(super) const STOP_KEYS: &[Key] = &[
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
];

/// What a user gets whom the edge does not know while upstream is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSubject {
    /// Answers as to somebody new.
    ServeAsNew,
    /// 503.
    Refuse,
}

/// Deadlines of a stop.
#[derive(Clone, Copy, Debug)]
pub struct StopConfig {
    /// Not ready, still accepting.
    pub grace: Duration,
    /// For running requests, and again for the last shipping attempt.
    pub drain: Duration,
}

/// What happens to users nobody knows.
pub(super) fn on_unknown_subject(reader: &mut Reader) -> UnknownSubject {
    match reader.text("on_unknown_subject").as_str() {
        "refuse" => UnknownSubject::Refuse,
        _ => UnknownSubject::ServeAsNew,
    }
}

/// The section `stop`.
pub(super) fn stop(reader: &mut Reader) -> StopConfig {
    StopConfig {
        grace: reader.millis("stop.grace_ms"),
        drain: reader.millis("stop.drain_ms"),
    }
}

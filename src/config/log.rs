//! How is logged?
//!
//! The section `log`, which is the same on every surface.

use super::key::{Key, Kind, Preset};

/// The section.
pub(super) const KEYS: &[Key] = &[LOG_LEVEL, LOG_FORMAT];

/// The same on every surface. SIGHUP reads it again.
pub(super) const LOG_LEVEL: Key = Key {
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
pub(super) const LOG_FORMAT: Key = Key {
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

/// How and how much is logged; the same on every surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The lowest level that is written.
    pub level: LogLevel,
    /// For people or for machines.
    pub format: LogFormat,
}

/// Levels of the log, from nothing to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing at all.
    Off,
    /// What an operator must act on.
    Error,
    /// What an operator should know of.
    Warn,
    /// What happened to the process: starts, stops, new revisions.
    Info,
    /// What happened to a request or a batch.
    Debug,
    /// Everything.
    Trace,
}

/// Forms of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line.
    Human,
    /// One JSON object a line.
    Json,
}

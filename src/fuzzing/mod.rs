//! What must hold of every parser, whatever bytes it is given?
//!
//! [`TARGETS`] are plain functions over bytes, kept beside what they try; they
//! panic when something does not hold. `cargo test` runs each over its corpus
//! in `tests/fuzz/corpus` and over seeded changes of it ([`changed`]);
//! `tests/fuzz/run` lets libFuzzer search for hours.

#[cfg(test)]
mod changed;
mod texts;

use crate::{disk::journal, server, snapshot, store, usage};

/// A parser and what must hold of it.
#[derive(Clone, Copy)]
pub struct Target {
    /// As its corpus is called.
    pub name: &'static str,
    /// Panics when something does not hold.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("envelope", snapshot::fuzzing::envelope),
    target("root", snapshot::fuzzing::root),
    target("timestamp", snapshot::fuzzing::timestamp),
    target("release", snapshot::fuzzing::release),
    target("control", snapshot::fuzzing::control),
    target("pack", snapshot::fuzzing::pack),
    target("frame", snapshot::fuzzing::frame),
    target("blob", snapshot::fuzzing::blob),
    target("part", snapshot::fuzzing::part),
    target("segments", journal::fuzzing::segments),
    target("damage", journal::fuzzing::damage),
    target("target", server::fuzzing::target),
    target("request", server::fuzzing::request),
    target("packet", server::fuzzing::packet),
    target("ticket", server::fuzzing::ticket),
    target("user-token", server::fuzzing::user_token),
    target("usage", server::fuzzing::usage),
    target("usage-record", usage::fuzzing::record),
    target("expression", texts::expression),
    target("rule", texts::rule),
    target("token", texts::token),
    target("inputs", texts::inputs),
    target("event", texts::event),
    target("project", store::fuzzing::project),
    target("line", store::fuzzing::line),
    target("batch", store::fuzzing::batch),
    target("cursor", store::fuzzing::cursor),
];

/// The target of this name.
pub fn named(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

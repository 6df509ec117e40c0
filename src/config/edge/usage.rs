//! What does an edge keep of the use of flags until its store has it?
//!
//! The section `usage`.

use crate::config::{
    key::{Key, Kind, Preset},
    reader::Reader,
};

/// Of the section.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "usage.count_evaluations",
        flag: "count-evaluations",
        kind: Kind::Truth,
        preset: Preset::Value("false"),
        secret: None,
        doc: "Whether the edge counts the flags it evaluates for frontends, for clients that tell nothing of their \
              use. Those that do would count twice, so it is off.",
    },
    Key {
        name: "usage.journal_mb",
        flag: "usage-journal-mb",
        kind: Kind::Number {
            min: 4,
            max: 65_536,
        },
        preset: Preset::Value("64"),
        secret: None,
        doc: "Megabytes that the use of flags may take on disk until the store has it; half of the file system at \
              the most. Enough for days without a store; what comes on top is dropped and counted.",
    },
];

/// The use of flags.
#[derive(Clone, Copy, Debug)]
pub struct UsageConfig {
    /// Whether the edge's own evaluations are counted.
    pub count_evaluations: bool,
    /// What the journal may take.
    pub journal_bytes_max: u64,
}

/// The section.
pub(super) fn read(reader: &mut Reader) -> UsageConfig {
    const MB: u64 = 1024 * 1024;
    UsageConfig {
        count_evaluations: reader.truth("usage.count_evaluations"),
        journal_bytes_max: reader.number("usage.journal_mb") * MB,
    }
}

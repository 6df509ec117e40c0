//! How much may progress take, on disk and in memory?
//!
//! The sections `journal` and `subjects`.

use crate::{
    config::{
        key::{Key, Kind, Preset},
        reader::Reader,
    },
    limits,
};

/// Bytes of a mebibyte, the unit of sizes on disk.
const MIB: u64 = 1024 * 1024;

/// Of the section `journal`.
pub(super) const KEYS: &[Key] = &[
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
        doc: "MiB all journal files may take together, or half of the file system if that is less. At 80 % a warning \
              is logged; from 95 % on writes answer 503 and reads go on, until upstream has taken enough.",
    },
    Key {
        name: "journal.environment_share_percent",
        flag: "journal-environment-share-percent",
        kind: Kind::Number { min: 1, max: 100 },
        preset: Preset::Value("50"),
        secret: None,
        doc: "Percent of that which the steps of one environment may take until upstream has them; above it writes \
              of this environment alone answer 503, so that development cannot fill the disk of production. A \
              single environment may take all of it.",
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
];

/// Of the section `subjects`.
pub(super) const SUBJECT_KEYS: &[Key] = &[
    Key {
        name: "subjects.cached_max",
        flag: "subjects-cached-max",
        kind: Kind::Number {
            min: 1_000,
            max: 100_000_000,
        },
        preset: Preset::Value("200000"),
        secret: None,
        doc: "Users kept in memory; the ones used least make room. About a kilobyte each in a flow of five \
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
        doc: "Steps that upstream does not have yet, of all users; when full, writes answer 503 and reads go on.",
    },
    Key {
        name: "subjects.resident_max",
        flag: "subjects-resident-max",
        kind: Kind::Number {
            min: 100,
            max: 100_000_000,
        },
        preset: Preset::Value("100000"),
        secret: None,
        doc: "Users with such steps whose whole state is pinned in memory. Of further ones only the places of their \
              records are kept (16 bytes each) and the state may make room like that of any other user; it is read \
              back from upstream and the journal when they come again. Enough for hours without upstream at ten \
              new users a second, and about 100 MB.",
    },
];

/// The journal of progress.
#[derive(Clone, Copy, Debug)]
pub struct JournalConfig {
    /// Of one file.
    pub segment_bytes: u64,
    /// Of all files.
    pub total_bytes_max: u64,
    /// Of that, what one environment's unsettled steps may take.
    pub environment_share_percent: u64,
    /// What a success answer promises.
    pub ack: Ack,
}

/// What a success answer to a step promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is synced to this edge's disk.
    Disk,
    /// It is in this process's memory.
    Memory,
}

/// Bounds of memory for users.
#[derive(Clone, Copy, Debug)]
pub struct SubjectsConfig {
    /// Users kept from upstream.
    pub cached_max: u64,
    /// Steps upstream does not have yet.
    pub pending_max: usize,
    /// Users with such steps whose state is pinned in memory.
    pub resident_max: usize,
}

/// The section, with the rule between its values.
pub(super) fn read(reader: &mut Reader) -> JournalConfig {
    let config = JournalConfig {
        segment_bytes: reader.number("journal.segment_mb") * MIB,
        total_bytes_max: reader.number("journal.total_mb") * MIB,
        environment_share_percent: reader.number("journal.environment_share_percent"),
        ack: match reader.text("journal.ack").as_str() {
            "memory" => Ack::Memory,
            _ => Ack::Disk,
        },
    };
    // One file is written while the next is prepared.
    if config.segment_bytes * 2 > config.total_bytes_max {
        reader.broken(
            "journal.total_mb",
            "is below twice journal.segment_mb (one file is written while the next is prepared)",
        );
    }
    config
}

/// The section `subjects`.
pub(super) fn subjects(reader: &mut Reader) -> SubjectsConfig {
    SubjectsConfig {
        cached_max: reader.number("subjects.cached_max"),
        pending_max: reader.count("subjects.pending_max"),
        resident_max: reader.count("subjects.resident_max"),
    }
}

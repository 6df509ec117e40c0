//! For whom are the addresses good by which browsers follow changes?
//!
//! The section `changes`.

use std::time::Duration;

use crate::config::{
    Secret,
    key::{Key, Kind, Preset},
    reader::Reader,
};

/// Shorter texts could be guessed.
const SECRET_BYTES_MIN: usize = 32;

/// Of the section.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "changes.ticket_life_s",
        flag: "ticket-life-s",
        kind: Kind::Number { min: 1, max: 3_600 },
        preset: Preset::Value("60"),
        secret: None,
        doc: "Seconds in which a stream can be opened with a ticket of /v1/changes/tickets. Long enough for a page \
              that loads slowly, short enough that an address found in a log is of no use.",
    },
    Key {
        name: "changes.ticket_secret",
        flag: "ticket-secret",
        kind: Kind::Text,
        preset: Preset::Optional("\"at least 32 characters, the same on every edge\""),
        secret: Some("ticket-secret-file"),
        doc: "What tickets are sealed with. Without it each process makes its own at the start, and a ticket opens \
              a stream only on the edge that gave it; set it where several edges share an address.",
    },
];

/// Tickets for streams of changes.
#[derive(Clone, Debug)]
pub struct ChangesConfig {
    /// Of a ticket.
    pub ticket_life: Duration,
    /// Shared by edges; none: every process has its own.
    pub ticket_secret: Option<Secret>,
}

/// The section, with the rule for its secret.
pub(super) fn read(reader: &mut Reader) -> ChangesConfig {
    let secret = reader.secret("changes.ticket_secret");
    let length = secret.expose().len();
    if (1..SECRET_BYTES_MIN).contains(&length) {
        let rule = format!(
            "has {length} bytes (expected at least {SECRET_BYTES_MIN}, such as from `openssl rand -hex 32`)"
        );
        reader.broken("changes.ticket_secret", &rule);
    }
    ChangesConfig {
        ticket_life: reader.seconds("changes.ticket_life_s"),
        ticket_secret: (length > 0).then_some(secret),
    }
}

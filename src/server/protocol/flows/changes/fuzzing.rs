//! What must hold of a ticket, whatever its text?
//!
//! A target of `crate::fuzzing`: nothing opens that was not sealed here, what
//! was sealed says the same when it is opened, and it has one spelling.

use std::{sync::LazyLock, time::Duration};

use super::ticket::{Office, Ticket};
use crate::clock::Ambient;

static OFFICE: LazyLock<Office> =
    LazyLock::new(|| Office::new(None, Duration::from_secs(60), &Ambient::system()));

/// The inside of a ticket, and the same bytes as the text of one.
pub(crate) fn ticket(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(OFFICE.open(text).is_err(), "nobody sealed it");
    }
    let Some(ticket) = Ticket::of_bytes(bytes) else {
        return;
    };
    assert_eq!(ticket.to_bytes(), bytes, "a ticket has one spelling");
    let text = OFFICE.seal(&ticket);
    if let Ok(opened) = OFFICE.open(&text) {
        assert_eq!(opened.to_bytes(), bytes);
    }
}

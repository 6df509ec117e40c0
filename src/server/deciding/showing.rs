//! Does an answer rest on what the client has written before?
//!
//! A write's answer carries a token; shown to any edge, it makes the next read
//! no older than that write, or honest about being older. Most requests show
//! none and pay one look at their headers.

use super::Inquiry;
use crate::{
    progress::Token,
    server::{EdgeService, error::Invalid, sent::Sent, target::place},
};

/// The token a request shows, if it shows one.
pub(crate) fn token(sent: &Sent<'_>) -> Result<Option<Token>, Invalid> {
    const WHAT: &str = "Flowgate-Token";
    let Some(value) = sent.token.value(WHAT)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    read(WHAT, &text).map(Some)
}

/// A token as text.
pub(crate) fn read(what: &'static str, text: &str) -> Result<Token, Invalid> {
    text.parse().map_err(|_| Invalid::Value {
        what,
        found: text.to_owned(),
        expected: "a token as the answer to a write gave it",
    })
}

impl Inquiry<'_> {
    /// Waits, within bounds, until what is read of the user includes the
    /// record; true when the answer will be older than it.
    pub(crate) async fn is_behind(&self, edge: &EdgeService, token: Option<&Token>) -> bool {
        match token {
            None => false,
            Some(token) => {
                let place = place(self.access);
                !edge.progress.includes(&place, self.who.user, token).await
            }
        }
    }
}

//! What does our own API (`/v1`) say?
//!
//! JSON in, JSON out; errors are problem documents. Bodies are strict: a
//! member nobody knows is refused, since ignoring it would mean doing
//! something else than was asked.

mod changes;
mod evaluate;
mod explain;
mod identify;
mod step;
mod wire;

#[cfg(any(test, fuzzing))]
pub(crate) use changes::fuzz_ticket;
pub use changes::{Changes, ChangesOptions};
pub(crate) use changes::{EVENT_NAMES, TicketError, event_stream, hear, sell};
pub(crate) use evaluate::evaluate;
pub(crate) use explain::explain;
pub(crate) use identify::identify;
pub(crate) use step::{intent, transition};

use hyper::{HeaderMap, header::HeaderName};

use self::wire::{SubjectBody, Text};
use crate::{
    clock::UnixMs,
    evaluate::FlowState,
    progress::{Token, event::EventId},
    server::{
        auth::Access,
        deciding::{Inquiry, channel},
        error::{Fault, Invalid},
        protocol::write_text,
    },
    snapshot::NameKey,
};

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longer than any UUID, ULID or hash somebody would take.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Who asks what over which channel, as a body says it.
fn inquiry<'r>(
    access: Access<'r>,
    subject: &'r SubjectBody<'_>,
    named: Option<&'r Text<'_>>,
    now: UnixMs,
) -> Result<Inquiry<'r>, Fault> {
    let who = subject.check(access)?;
    let channel = channel(access.key, named.map(AsRef::as_ref))?;
    Inquiry::open(access, who, channel, (now, now))
}

/// The event id of a request with an `Idempotency-Key`. The meaning is the
/// route, what it names and the body: the same key with anything else is a
/// client's mistake and ends as 409.
fn event_id(
    headers: &HeaderMap,
    route: &str,
    parameter: &str,
    body: &[u8],
) -> Result<Option<EventId>, Invalid> {
    const WHAT: &str = "Idempotency-Key";
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Invalid::Repeated { what: WHAT });
    }
    let key = value.to_str().map_err(|_| Invalid::Value {
        what: WHAT,
        found: "bytes beyond visible ASCII".to_owned(),
        expected: "visible ASCII",
    })?;
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(Invalid::Length {
            what: WHAT,
            found: key.len(),
            expected: "1 to 255 characters",
        });
    }
    let mut meaning = Vec::with_capacity(route.len() + parameter.len() + body.len() + 2);
    for part in [route.as_bytes(), parameter.as_bytes(), body] {
        meaning.extend_from_slice(part);
        // No part can run into the next.
        meaning.push(0);
    }
    Ok(Some(EventId {
        key: NameKey::of(key).0,
        // Reading from memory cannot fail.
        body: murmur3::murmur3_32(&mut meaning.as_slice(), 0).unwrap_or_default(),
    }))
}

/// A state as it stands in answers.
fn state_json(state: Option<&FlowState>) -> &'static str {
    let flags = state.map(|state| (state.started, state.stopped, state.finished));
    match flags {
        None | Some((false, false, false)) => {
            r#"{"started":false,"stopped":false,"finished":false}"#
        }
        Some((true, false, false)) => r#"{"started":true,"stopped":false,"finished":false}"#,
        Some((true, true, _)) => r#"{"started":true,"stopped":true,"finished":false}"#,
        Some((true, false, true)) => r#"{"started":true,"stopped":false,"finished":true}"#,
        Some((false, true, _)) => r#"{"started":false,"stopped":true,"finished":false}"#,
        Some((false, false, true)) => r#"{"started":false,"stopped":false,"finished":true}"#,
    }
}

/// Appends `,"token":"…"` when there is one.
fn write_token(out: &mut Vec<u8>, token: Option<&Token>) {
    if let Some(token) = token {
        out.extend_from_slice(b",\"token\":");
        write_text(out, &token.to_string());
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn id(key: &'static str, parameter: &str, body: &[u8]) -> Option<EventId> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY.clone(), HeaderValue::from_static(key));
        event_id(&headers, "start", parameter, body).expect("a valid key")
    }

    #[test]
    fn an_event_id_is_the_key_and_the_meaning() {
        let one = id("k", "flow", b"{}").expect("a key was given");
        assert_eq!(id("k", "flow", b"{}"), Some(one));
        let other_body = id("k", "flow", b"{ }").expect("a key was given");
        assert_eq!(other_body.key, one.key);
        assert_ne!(other_body.body, one.body);
        assert_ne!(id("k", "flow2", b"{}"), Some(one));
        assert_ne!(id("l", "flow", b"{}").map(|id| id.key), Some(one.key));
        assert!(matches!(
            event_id(&HeaderMap::new(), "start", "flow", b""),
            Ok(None)
        ));
    }

    #[test]
    fn an_unusable_key_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY.clone(), HeaderValue::from_static(""));
        assert!(event_id(&headers, "start", "", b"").is_err());
        headers.insert(IDEMPOTENCY_KEY.clone(), HeaderValue::from_static("a"));
        headers.append(IDEMPOTENCY_KEY.clone(), HeaderValue::from_static("b"));
        assert!(event_id(&headers, "start", "", b"").is_err());
    }
}

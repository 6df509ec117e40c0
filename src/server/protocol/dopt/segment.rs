//! What does Segment tell of users and groups?
//!
//! Its webhook destination sends every message of a source: those that
//! identify somebody are taken, all others are acknowledged and count nothing.
//! Where a shared secret is configured, every message must bear its signature,
//! and then speaks for any user: it comes from a server that signs.

use std::{collections::BTreeMap, fmt, sync::Arc};

use hyper::header::HeaderName;
use ring::hmac;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    identify::{GroupBody, IdentifyBody},
    users::{counted, take_group},
};
use crate::{
    http::{
        Answer,
        json::{self, Object},
    },
    progress::event::EventId,
    server::{
        EdgeService,
        asked::Posted,
        auth::Access,
        error::{AuthError, Fault, Invalid},
        signed::Person,
    },
    snapshot::name_hash,
};

static X_SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// The shared secrets of environments that have one.
#[derive(Clone, Default)]
pub struct SegmentSecrets(Arc<BTreeMap<String, hmac::Key>>);

impl fmt::Debug for SegmentSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl SegmentSecrets {
    /// Secrets by the names of environments. HMAC-SHA1 is Segment's choice; it
    /// does not rest on what SHA-1 has lost.
    pub fn new<'s>(secrets: impl Iterator<Item = (&'s str, &'s str)>) -> Self {
        let key =
            |secret: &str| hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let keys = secrets.map(|(name, secret)| (name.to_owned(), key(secret)));
        Self(Arc::new(keys.collect()))
    }

    /// Whether the request is signed; an error where it should be and is not.
    fn verify(&self, posted: &Posted<'_>, environment: &str) -> Result<bool, AuthError> {
        let Some(key) = self.0.get(environment) else {
            return Ok(false);
        };
        let sent = posted.asked.headers().get(&X_SIGNATURE);
        let sent = sent.and_then(|sent| bytes_of(sent.as_bytes()));
        let sent = sent.ok_or(AuthError::Signature)?;
        let good = hmac::verify(key, &posted.bytes, &sent);
        good.map(|()| true).map_err(|_| AuthError::Signature)
    }
}

/// The bytes that hexadecimal digits stand for.
fn bytes_of(digits: &[u8]) -> Option<Vec<u8>> {
    let pairs = digits.chunks(2).map(|pair| {
        let is_pair = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
        let text = std::str::from_utf8(pair).ok().filter(|_| is_pair)?;
        u8::from_str_radix(text, 16).ok()
    });
    pairs.collect()
}

/// What kind of message it is; of most nothing else is read.
#[derive(Debug, Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

/// A message that may identify somebody.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    group_id: Option<String>,
    #[serde(default)]
    traits: Option<Map<String, Value>>,
    /// The same when the message is sent again.
    #[serde(default)]
    message_id: Option<String>,
}

/// `POST /identify/segment`.
pub(super) async fn segment(edge: &EdgeService, posted: &Posted<'_>) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let environment = &access.environment.snapshot.environment;
    let is_signed = edge.segment.verify(posted, environment)?;
    let access = match is_signed {
        true => Access {
            person: Person::Anyone,
            ..access
        },
        false => access,
    };
    let kind: Kind = json::parse(&posted.bytes, json::Limits::default())?;
    if !matches!(kind.kind.as_str(), "identify" | "group") {
        return Ok(counted(0));
    }
    let message: Message = json::parse(&posted.bytes, json::Limits::default())?;
    let count = if kind.kind == "group" {
        group(edge, access, message).await?
    } else {
        user(edge, access, message).await?
    };
    Ok(counted(count))
}

async fn user(edge: &EdgeService, access: Access<'_>, message: Message) -> Result<usize, Fault> {
    // Of visitors without a name nothing is known here.
    let Some(identifier) = message.user_id else {
        return Ok(0);
    };
    let body = IdentifyBody {
        identifier,
        properties: message.traits.unwrap_or_default(),
        groups: Vec::new(),
    };
    take(edge, access, body, message.message_id.as_deref()).await
}

async fn group(edge: &EdgeService, access: Access<'_>, message: Message) -> Result<usize, Fault> {
    let group = GroupBody {
        identifier: message.group_id.ok_or(Invalid::Missing {
            what: "groupId",
            expected: "the group that the traits are of",
        })?,
        properties: message.traits.unwrap_or_default(),
    };
    let Some(identifier) = message.user_id else {
        access.check_somebody()?;
        take_group(edge, access, group).await?;
        return Ok(1);
    };
    let body = IdentifyBody {
        identifier,
        properties: Map::new(),
        groups: vec![Object(group)],
    };
    take(edge, access, body, message.message_id.as_deref()).await
}

/// A message that comes again must not undo what came after it: its id stands
/// for it, whatever Segment has changed in the envelope.
async fn take(
    edge: &EdgeService,
    access: Access<'_>,
    body: IdentifyBody,
    message_id: Option<&str>,
) -> Result<usize, Fault> {
    let mut request = body.checked(edge, access)?;
    request.id = message_id.map(|id| EventId {
        key: name_hash(&format!("segment\n{id}")),
        body: 0,
    });
    edge.progress.identify(request).await?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_as_pairs_of_digits() {
        assert_eq!(bytes_of(b"00fFa1"), Some(vec![0, 255, 161]));
        for text in ["0", "0g", "+1", "0 1", "é"] {
            assert_eq!(bytes_of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let secrets = SegmentSecrets::new([("production", "very secret")].into_iter());
        assert_eq!(format!("{secrets:?}"), "{\"production\"}");
    }
}

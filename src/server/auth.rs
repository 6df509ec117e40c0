//! Whose request is it, and may they ask this?
//!
//! A key comes as `x-api-key`, `Authorization: KEY` or `Authorization: Bearer
//! KEY`, and where nothing else can be sent as HTTP Basic. Only hashes are compared; the hash of the last key is remembered with
//! the connection, beside the header it came in. The memory holds no part of a
//! snapshot: whether the hash is known is asked of the live value every time,
//! so a revoked key is refused with the next request. A key with origins is
//! refused to pages of others; whoever sends no `Origin` is no such page.

use std::{borrow::Cow, cell::RefCell, net::IpAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{error::AuthError, route::Route, sent::Sent, signed::Person};
use crate::{
    current::{Environment, Environments, KeySlot, Opened},
    snapshot::{Key, sha256},
};

/// What a connection remembers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    last: RefCell<Option<Hashed>>,
}

/// A key as it was sent, and its hash.
#[derive(Debug)]
struct Hashed {
    sent: Box<[u8]>,
    sha256: [u8; 32],
}

impl Memory {
    /// The hash of the key of a request; none without one.
    pub(crate) fn presented(&self, sent: &Sent<'_>) -> Option<[u8; 32]> {
        presented(sent, false).map(|key| self.hash(&key))
    }

    /// The hash of a key, computed once for each key of a connection.
    fn hash(&self, key: &[u8]) -> [u8; 32] {
        let mut last = self.last.borrow_mut();
        match &*last {
            Some(known) if *known.sent == *key => known.sha256,
            _ => {
                let sha256 = sha256(key);
                *last = Some(Hashed {
                    sent: key.into(),
                    sha256,
                });
                sha256
            }
        }
    }
}

/// The environment a key opened, the key, and what goes with the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'e> {
    pub(crate) environment: &'e Arc<Environment>,
    pub(crate) key: &'e Key,
    pub(crate) slot: KeySlot,
    pub(crate) route: Route,
    /// Where it comes from.
    pub(crate) from: IpAddr,
    /// As whom it may act.
    pub(crate) person: Person,
    /// Whether it comes from a page.
    pub(crate) is_browser: bool,
}

impl<'e> Access<'e> {
    /// Of a key that was found, as nobody and from no page.
    pub(crate) fn of(opened: Opened<'e>, route: Route, from: IpAddr) -> Self {
        Self {
            environment: opened.environment,
            key: opened.key,
            slot: opened.slot,
            route,
            from,
            person: Person::Nobody { chosen: false },
            is_browser: false,
        }
    }

    /// Whether the request may act as this user.
    pub(crate) fn check_user(&self, user: &str) -> Result<(), AuthError> {
        match self.person {
            Person::Anyone => Ok(()),
            Person::Only(own) if own == sha256(user.as_bytes()) => Ok(()),
            Person::Only(_) => Err(AuthError::OtherUser),
            Person::Nobody { chosen } => Err(self.unsigned(chosen)),
        }
    }

    /// Whether the request may act for a group alone: as anyone, or at least
    /// as somebody.
    pub(crate) fn check_somebody(&self) -> Result<(), AuthError> {
        match self.person {
            Person::Anyone | Person::Only(_) => Ok(()),
            Person::Nobody { chosen } => Err(self.unsigned(chosen)),
        }
    }

    fn unsigned(&self, chosen: bool) -> AuthError {
        AuthError::Unsigned {
            environment: self.environment.snapshot.environment.clone(),
            chosen,
        }
    }

    /// Whether the request may set these properties. Pages may set those that
    /// the environment lists, if it lists any.
    pub(crate) fn check_properties(
        &self,
        properties: &Map<String, Value>,
    ) -> Result<(), AuthError> {
        let listed = &self.environment.snapshot.access.browser_properties;
        let Some(listed) = listed.as_ref().filter(|_| self.is_browser) else {
            return Ok(());
        };
        let is_listed = |name: &str| listed.binary_search_by(|own| (**own).cmp(name)).is_ok();
        match properties.keys().find(|name| !is_listed(name)) {
            None => Ok(()),
            Some(name) => Err(AuthError::Property {
                found: name.as_str().into(),
                expected: listed.join(", ").into(),
            }),
        }
    }
}

/// Finds the key of a request in the live value and checks that it opens the
/// route. As whom the request may act is not known yet.
pub(crate) fn authorize<'e>(
    live: &'e Environments,
    memory: &Memory,
    sent: &Sent<'_>,
    route: Route,
    from: IpAddr,
) -> Result<Access<'e>, AuthError> {
    let presented = presented(sent, route.takes_basic()).ok_or(AuthError::Missing)?;
    let hash = memory.hash(&presented);
    let unknown = || match live.is_complete() {
        true => AuthError::Unknown,
        false => AuthError::NotYet,
    };
    let opened = live.key(&hash).ok_or_else(unknown)?;
    let key = opened.key;
    let expected = route.permission();
    if !key.is_one_of(|kind| expected.contains(kind)) {
        return Err(AuthError::Kind {
            found: key.kind,
            expected,
        });
    }
    let origin = sent.origin;
    if origin.is_some_and(|origin| !key.welcomes(origin.as_bytes())) {
        return Err(AuthError::Origin);
    }
    Ok(Access {
        // A key that is tied to pages stands in them, whatever else sends it.
        is_browser: key.kind.is_public() && (origin.is_some() || !key.origins.is_empty()),
        ..Access::of(opened, route, from)
    })
}

/// The name of the environment whose key this is.
pub(crate) fn environment<'e>(
    live: &'e Environments,
    memory: &Memory,
    sent: &Sent<'_>,
) -> Option<&'e str> {
    let opened = live.key(&memory.presented(sent)?)?;
    Some(&opened.environment.snapshot.environment)
}

/// The key as it was sent.
fn presented<'r>(sent: &Sent<'r>, takes_basic: bool) -> Option<Cow<'r, [u8]>> {
    if let Some(key) = sent.api_key {
        return Some(Cow::Borrowed(key.as_bytes()));
    }
    let value = sent.authorization?.as_bytes();
    if takes_basic && let Some(credentials) = after(value, b"Basic ") {
        return basic(credentials).map(Cow::Owned);
    }
    let key = after(value, b"Bearer ").unwrap_or(value);
    Some(Cow::Borrowed(key))
}

/// What follows the scheme.
fn after<'v>(value: &'v [u8], scheme: &[u8]) -> Option<&'v [u8]> {
    let (own, rest) = value.split_at_checked(scheme.len())?;
    own.eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_ascii_start())
}

/// The key in HTTP Basic: the password, or the user name where that is empty.
fn basic(credentials: &[u8]) -> Option<Vec<u8>> {
    let text = STANDARD.decode(credentials).ok()?;
    let colon = text.iter().position(|byte| *byte == b':')?;
    let (name, password) = (&text[..colon], &text[colon + 1..]);
    let key = if password.is_empty() { name } else { password };
    (!key.is_empty()).then(|| key.to_vec())
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, header::HeaderValue};

    use super::*;

    #[test]
    fn a_key_comes_in_three_forms() {
        let cases: [(&str, &str, &str); 5] = [
            ("x-api-key", "k1", "k1"),
            ("authorization", "k1", "k1"),
            ("authorization", "Bearer k1", "k1"),
            ("authorization", "bearer  k1", "k1"),
            ("authorization", "Bearer-k1", "Bearer-k1"),
        ];
        for (name, value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            let found = presented(&Sent::of(&headers), false);
            assert_eq!(found.as_deref(), Some(expected.as_bytes()), "{value}");
        }
        assert_eq!(presented(&Sent::default(), false), None);
    }

    #[test]
    fn a_key_comes_as_basic_only_where_nothing_else_can() {
        // "k1:", "x:k1", ":k1", "k1", ":".
        let cases = [
            ("Basic azE6", Some("k1")),
            ("basic eDprMQ==", Some("k1")),
            ("Basic Omsx", Some("k1")),
            ("Basic azE=", None),
            ("Basic Og==", None),
            ("Basic ***", None),
            ("Bearer k1", Some("k1")),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(
                hyper::header::AUTHORIZATION,
                HeaderValue::from_static(value),
            );
            let found = presented(&Sent::of(&headers), true);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{value}");
            let found = presented(&Sent::of(&headers), false);
            assert_ne!(found.as_deref(), Some(&b""[..]));
            if after(value.as_bytes(), b"Basic ").is_some() {
                assert_eq!(found.as_deref(), Some(value.as_bytes()), "{value}");
            }
        }
    }

    #[test]
    fn a_connection_remembers_the_last_key_only() {
        let memory = Memory::default();
        assert_eq!(memory.hash(b"a"), sha256(b"a"));
        assert_eq!(memory.hash(b"a"), sha256(b"a"));
        assert_eq!(memory.hash(b"b"), sha256(b"b"));
        assert_eq!(memory.hash(b"a"), sha256(b"a"));
    }
}

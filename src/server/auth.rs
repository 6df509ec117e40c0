//! Whose request is it, and may they ask this?
//!
//! A key comes as `x-api-key`, `Authorization: KEY` or `Authorization: Bearer
//! KEY`. Only hashes are compared; the hash of the last key is remembered with
//! the connection, beside the header it came in. The memory holds no part of a
//! snapshot: whether the hash is known is asked of the live value every time,
//! so a revoked key is refused with the next request. A key with origins is
//! refused to pages of others; whoever sends no `Origin` is no such page.

use std::{cell::RefCell, net::IpAddr, sync::Arc};

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
        presented(sent).map(|key| self.hash(key))
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
            Person::Nobody { chosen } => Err(AuthError::Unsigned {
                environment: self.environment.snapshot.environment.clone(),
                chosen,
            }),
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
    let presented = presented(sent).ok_or(AuthError::Missing)?;
    let hash = memory.hash(presented);
    let unknown = || match live.is_complete() {
        true => AuthError::Unknown,
        false => AuthError::NotYet,
    };
    let opened = live.key(&hash).ok_or_else(unknown)?;
    let key = opened.key;
    let expected = route.permission();
    if !expected.contains(key.kind) {
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
fn presented<'r>(sent: &Sent<'r>) -> Option<&'r [u8]> {
    if let Some(key) = sent.api_key {
        return Some(key.as_bytes());
    }
    let value = sent.authorization?.as_bytes();
    match value.split_at_checked("Bearer ".len()) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"Bearer ") => {
            Some(key.trim_ascii_start())
        }
        _ => Some(value),
    }
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
            let found = presented(&Sent::of(&headers));
            assert_eq!(found, Some(expected.as_bytes()), "{value}");
        }
        assert_eq!(presented(&Sent::default()), None);
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

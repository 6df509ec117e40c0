//! Whose request is it, and may they ask this?
//!
//! A key comes as `x-api-key`, `Authorization: KEY` or `Authorization: Bearer
//! KEY`. Only hashes are compared; the hash of the last key is remembered with
//! the connection, beside the header it came in. The memory holds no part of a
//! snapshot: whether the hash is known is asked of the live value every time,
//! so a revoked key is refused with the next request.

use std::{cell::RefCell, sync::Arc};

use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderName},
};

use super::{error::AuthError, route::Route};
use crate::{
    current::{Environment, Environments},
    snapshot::{Key, sha256},
};

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

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
    pub(crate) fn presented(&self, headers: &HeaderMap) -> Option<[u8; 32]> {
        presented(headers).map(|key| self.hash(key))
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

/// The environment a key opened, and the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'e> {
    pub(crate) environment: &'e Arc<Environment>,
    pub(crate) key: &'e Key,
}

/// Finds the key of a request in the live value and checks that it opens the
/// route.
pub(crate) fn authorize<'e>(
    live: &'e Environments,
    memory: &Memory,
    headers: &HeaderMap,
    route: Route,
) -> Result<Access<'e>, AuthError> {
    let presented = presented(headers).ok_or(AuthError::Missing)?;
    let hash = memory.hash(presented);
    let unknown = || match live.is_complete() {
        true => AuthError::Unknown,
        false => AuthError::NotYet,
    };
    let (environment, key) = live.key(&hash).ok_or_else(unknown)?;
    let expected = route.permission();
    if !expected.contains(key.kind) {
        return Err(AuthError::Kind {
            found: key.kind,
            expected,
        });
    }
    Ok(Access { environment, key })
}

/// The name of the environment whose key this is.
pub(crate) fn environment<'e>(
    live: &'e Environments,
    memory: &Memory,
    headers: &HeaderMap,
) -> Option<&'e str> {
    let (environment, _) = live.key(&memory.hash(presented(headers)?))?;
    Some(&environment.snapshot.environment)
}

/// The key as it was sent.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(&X_API_KEY) {
        return Some(key.as_bytes());
    }
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    match value.split_at_checked("Bearer ".len()) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"Bearer ") => {
            Some(key.trim_ascii_start())
        }
        _ => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_key_comes_in_three_forms() {
        let cases: [(&HeaderName, &str, &str); 5] = [
            (&X_API_KEY, "k1", "k1"),
            (&AUTHORIZATION, "k1", "k1"),
            (&AUTHORIZATION, "Bearer k1", "k1"),
            (&AUTHORIZATION, "bearer  k1", "k1"),
            (&AUTHORIZATION, "Bearer-k1", "Bearer-k1"),
        ];
        for (name, value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name.clone(), HeaderValue::from_static(value));
            assert_eq!(presented(&headers), Some(expected.as_bytes()), "{value}");
        }
        assert_eq!(presented(&HeaderMap::new()), None);
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

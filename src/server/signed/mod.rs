//! Is this request really from the user it is for?
//!
//! Whoever holds a public key could act as any user. Where that is refused, an
//! application's back end signs a token for each user, and the page sends it
//! as `Flowgate-User-Token`. Signatures are remembered by the hash of the
//! whole token; everything that can change (time, keys in force) is asked
//! again every time.

#[cfg(any(test, fuzzing))]
pub(in crate::server) mod fuzzing;
#[cfg(test)]
mod tests;
mod token;

pub(crate) use token::TokenError;

use std::cell::RefCell;

use self::token::{Claims, verify};
use super::sent::Single;
use crate::{
    clock::UnixMs,
    current::{Environment, EnvironmentSlot},
    limits::USER_TOKENS_REMEMBERED,
    snapshot::{Unsigned, sha256, wire::KeyKind},
};

/// As whom a request may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Person {
    /// As any user: the key is trusted, or unsigned users are allowed.
    Anyone,
    /// As the user whose id has this SHA-256.
    Only([u8; 32]),
    /// As nobody: a signed token is missing. Whether somebody chose that.
    Nobody { chosen: bool },
}

/// Tokens a worker has verified.
#[derive(Debug, Default)]
pub(crate) struct SignedUsers {
    /// By the first bytes of the token's hash; a newer one takes the place of
    /// an older. Empty until the first token comes. Only who holds a signed
    /// token can put anything in here.
    known: RefCell<Vec<Option<Verified>>>,
}

/// A token whose signature is good.
#[derive(Clone, Copy, Debug)]
struct Verified {
    token_sha256: [u8; 32],
    environment: EnvironmentSlot,
    claims: Claims,
}

impl SignedUsers {
    /// As whom a request may act that sent this as its user's token.
    pub(crate) fn person(
        &self,
        environment: &Environment,
        kind: KeyKind,
        token: Single<'_>,
        now: impl FnOnce() -> UnixMs,
    ) -> Result<Person, TokenError> {
        let token = match token {
            Single::Once(token) => token,
            Single::Repeated => return Err(TokenError::Several),
            Single::Absent => {
                let unsigned = environment.snapshot.access.unsigned;
                return Ok(match unsigned {
                    Unsigned::Allowed => Person::Anyone,
                    _ if !kind.is_public() => Person::Anyone,
                    _ => Person::Nobody {
                        chosen: unsigned == Unsigned::Refused,
                    },
                });
            }
        };
        // A token that is sent counts, also where none is asked for.
        let claims = self.claims(environment, token.as_bytes())?;
        claims.check_time(now())?;
        Ok(Person::Only(claims.user_sha256))
    }

    fn claims(&self, environment: &Environment, token: &[u8]) -> Result<Claims, TokenError> {
        let token_sha256 = sha256(token);
        let at = usize::from(u16::from_be_bytes([token_sha256[0], token_sha256[1]]));
        let at = at % USER_TOKENS_REMEMBERED;
        let keys = &environment.snapshot.access.user_keys;
        if let Some(Some(known)) = self.known.borrow().get(at)
            && known.token_sha256 == token_sha256
            && known.environment == environment.slot
            && keys.iter().any(|key| *key.bytes() == known.claims.key)
        {
            return Ok(known.claims);
        }
        let claims = verify(token, keys, &environment.snapshot.environment)?;
        let mut known = self.known.borrow_mut();
        known.resize(USER_TOKENS_REMEMBERED, None);
        known[at] = Some(Verified {
            token_sha256,
            environment: environment.slot,
            claims,
        });
        Ok(claims)
    }
}

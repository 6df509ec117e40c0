//! What does a user's token say, and who says so?
//!
//! A JWT (RFC 7519) in its compact form, signed with Ed25519 (`EdDSA`, RFC
//! 8037). Strict where libraries were caught being kind (RFC 8725): one
//! algorithm whatever the header asks for, unpadded base64url in its one
//! spelling, no repeated members, no critical extensions, a length cap before
//! anything is read. Pure.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    clock::UnixMs,
    limits::{SUBJECT_ID_BYTES_MAX, USER_TOKEN_BYTES_MAX, USER_TOKEN_SKEW_MS},
    snapshot::{UserKey, check_part, sha256},
};

/// Why a token counts for nothing. Nothing of the token is repeated: what
/// stands in it may be somebody's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("it is given more than once")]
    Several,
    #[error("it is longer than {USER_TOKEN_BYTES_MAX} bytes")]
    Length,
    #[error("it is not three parts of unpadded base64url, separated by dots")]
    Form,
    #[error("its header is not a JSON object with alg and each member once")]
    Header,
    #[error("its algorithm is not EdDSA")]
    Algorithm,
    #[error("its header asks for extensions (crit), and there are none")]
    Critical,
    #[error(
        "environment {0} has no user keys (add one with `flowgate env set {0} --user-key add:…`)"
    )]
    NoKeys(Box<str>),
    #[error("its kid names none of the environment's user keys")]
    UnknownKey,
    #[error("its signature is not good for any of the keys it may be from")]
    Signature,
    #[error("its claims are not a JSON object with sub, aud and exp, each member once")]
    Claims,
    #[error("its aud is not environment {0}")]
    Audience(Box<str>),
    #[error("it has expired (exp)")]
    Expired,
    #[error("it does not hold yet (nbf)")]
    NotYet,
}

/// What a token with a good signature says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// SHA-256 of the user id.
    pub(super) user_sha256: [u8; 32],
    /// The key that signed it.
    pub(super) key: [u8; 32],
    expires_s: u64,
    from_s: u64,
}

impl Claims {
    /// Whether it holds now, give or take what clocks differ by.
    pub(super) fn check_time(&self, now: UnixMs) -> Result<(), TokenError> {
        if now
            >= self
                .expires_s
                .saturating_mul(1_000)
                .saturating_add(USER_TOKEN_SKEW_MS)
        {
            return Err(TokenError::Expired);
        }
        if now.saturating_add(USER_TOKEN_SKEW_MS) < self.from_s.saturating_mul(1_000) {
            return Err(TokenError::NotYet);
        }
        Ok(())
    }
}

/// The part before the first dot. What else stands there (`typ`, `cty`) says
/// nothing that is asked here.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// The part between the dots. Applications may add claims of their own.
#[derive(Deserialize)]
struct Payload {
    sub: String,
    aud: Audience,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
}

/// One audience, or a list with it (RFC 7519, section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Reads a token and checks everything but the time.
pub(super) fn verify(
    token: &[u8],
    keys: &[UserKey],
    environment: &str,
) -> Result<Claims, TokenError> {
    if token.len() > USER_TOKEN_BYTES_MAX {
        return Err(TokenError::Length);
    }
    let token = std::str::from_utf8(token).map_err(|_| TokenError::Form)?;
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Form);
    };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Form);
    let head = decoded(header)?;
    let head: Header<'_> = object(&head).ok_or(TokenError::Header)?;
    if head.alg != "EdDSA" {
        return Err(TokenError::Algorithm);
    }
    if head.crit.is_some() {
        return Err(TokenError::Critical);
    }
    let claims = decoded(payload)?;
    let signature: [u8; 64] = decoded(signature)?
        .try_into()
        .map_err(|_| TokenError::Signature)?;
    let message = &token.as_bytes()[..header.len() + 1 + payload.len()];
    let key = signer(message, &signature, keys, head.kid.as_deref(), environment)?;
    claimed(&claims, environment, key)
}

/// The key that signed the message: the one named, or any.
fn signer<'k>(
    message: &[u8],
    signature: &[u8; 64],
    keys: &'k [UserKey],
    named: Option<&str>,
    environment: &str,
) -> Result<&'k UserKey, TokenError> {
    if keys.is_empty() {
        return Err(TokenError::NoKeys(environment.into()));
    }
    let is_meant = |key: &&UserKey| named.is_none_or(|named| named == key.id());
    let mut meant = keys.iter().filter(is_meant).peekable();
    if meant.peek().is_none() {
        return Err(TokenError::UnknownKey);
    }
    meant
        .find(|key| key.signed(message, signature))
        .ok_or(TokenError::Signature)
}

/// What a payload with a good signature claims.
fn claimed(payload: &[u8], environment: &str, key: &UserKey) -> Result<Claims, TokenError> {
    let payload: Payload = object(payload).ok_or(TokenError::Claims)?;
    if !(1..=SUBJECT_ID_BYTES_MAX).contains(&payload.sub.len()) {
        return Err(TokenError::Claims);
    }
    let is_meant = match &payload.aud {
        Audience::One(one) => one == environment,
        Audience::Several(several) => several.iter().any(|one| one == environment),
    };
    if !is_meant {
        return Err(TokenError::Audience(environment.into()));
    }
    Ok(Claims {
        user_sha256: sha256(payload.sub.as_bytes()),
        key: *key.bytes(),
        expires_s: payload.exp,
        from_s: payload.nbf.unwrap_or(0),
    })
}

/// A JSON object in which no member stands twice, at any depth.
fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    check_part(bytes).ok()?;
    // Derived readers take arrays as well.
    (bytes.trim_ascii_start().first() == Some(&b'{'))
        .then(|| serde_json::from_slice(bytes).ok())
        .flatten()
}

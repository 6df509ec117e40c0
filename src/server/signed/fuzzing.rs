//! What must hold of a user's token, whatever stands in it?
//!
//! A target of `crate::fuzzing`: nothing passes that nobody signed, and what
//! was signed speaks for the user it names, in this environment alone.

use std::sync::LazyLock;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ed25519_dalek::{Signer, SigningKey};

use super::token::verify;
use crate::snapshot::{UserKey, sha256};

const ENVIRONMENT: &str = "production";

static KEYS: LazyLock<(SigningKey, Vec<UserKey>)> = LazyLock::new(|| {
    let signing = SigningKey::from_bytes(&[7; 32]);
    let public = STANDARD.encode(signing.verifying_key().as_bytes());
    let key = UserKey::parse("k1", &public).expect("a key is one");
    (signing, vec![key])
});

/// Header and claims, separated by a line feed; they are signed here.
pub(crate) fn token(bytes: &[u8]) {
    let (signing, keys) = &*KEYS;
    assert!(
        verify(bytes, keys, ENVIRONMENT).is_err(),
        "nobody signed it"
    );
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (header, claims) = (&bytes[..at], &bytes[at + 1..]);
    let encoded = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = signing.sign(message.as_bytes()).to_bytes();
    let token = format!("{message}.{}", encoded(&signature));
    let Ok(verified) = verify(token.as_bytes(), keys, ENVIRONMENT) else {
        return;
    };
    // Read with the most lenient reader there is, it says the same.
    let claims: serde_json::Value = serde_json::from_slice(claims).expect("claims are JSON");
    let user = claims["sub"].as_str().expect("a user is named");
    assert_eq!(verified.user_sha256, sha256(user.as_bytes()));
    let audience = &claims["aud"];
    let named = audience.as_array().map_or_else(
        || *audience == ENVIRONMENT,
        |several| several.iter().any(|one| *one == ENVIRONMENT),
    );
    assert!(named, "it is for {audience}");
    let header: serde_json::Value = serde_json::from_slice(header).expect("a header is JSON");
    assert_eq!(header["alg"], "EdDSA");
    assert!(header.get("crit").is_none_or(serde_json::Value::is_null));
    // The same claims under another environment's name are not for it.
    if audience.is_string() {
        assert!(verify(token.as_bytes(), keys, "staging").is_err());
    }
}

//! What may whoever holds a public key do in an environment?
//!
//! Changes to the rules that travel in a snapshot's settings: whether users
//! may come unsigned, whose signatures count, and what public keys are refused.
//! A rule that no edge could read is refused here.

use base64::{Engine, engine::general_purpose};

use crate::{
    limits,
    snapshot::{
        UserKey, sha256_hex,
        wire::{AccessPart, UnsignedUsers, UserKeyPart},
    },
};

/// A change; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessChange {
    /// Whether users may come unsigned; the inner none takes the choice back.
    pub unsigned_users: Option<Option<UnsignedUsers>>,
    /// Keys whose signatures count from now on.
    pub add_user_keys: Vec<NewUserKey>,
    /// Ids of keys whose signatures count no longer.
    pub remove_user_keys: Vec<String>,
    /// Whether no flow takes `force` from public keys.
    pub refuse_force: Option<bool>,
    /// Properties browsers may set; the inner none lets them set any.
    pub browser_properties: Option<Option<Vec<String>>>,
}

/// A key for users' tokens as somebody gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUserKey {
    /// What tokens may name as `kid`; without one it is made from the key.
    pub id: Option<String>,
    /// PEM, or base64 of the 32 bytes in either alphabet.
    pub key: String,
}

/// Why the rules stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Not an Ed25519 public key.
    #[error(
        "user key {id:?} is not an Ed25519 public key (expected the PEM that `openssl pkey -pubout` \
         writes, or base64 of its 32 bytes)"
    )]
    NotAKey {
        /// The id it was to have.
        id: String,
    },
    /// An id is a name in tokens and listings.
    #[error(
        "{what} {found:?} does not fit (expected 1 to {max} bytes of printable text)",
        max = limits::ACCESS_NAME_BYTES_MAX
    )]
    Name {
        /// What was to be named.
        what: &'static str,
        /// As given.
        found: String,
    },
    /// Another key goes by this id.
    #[error("a user key {0:?} exists (remove it first, or choose another id)")]
    Taken(String),
    /// No key goes by this id.
    #[error("no user key is named {found:?} (expected one of: {expected})")]
    Unknown {
        /// As asked.
        found: String,
        /// Ids there are.
        expected: String,
    },
    /// More than a rotation needs.
    #[error("there would be {0} user keys (expected at most {max})", max = limits::USER_KEYS_MAX)]
    TooMany(usize),
    /// More properties than a user may have.
    #[error(
        "{0} properties are listed for browsers (expected at most {max})",
        max = limits::BROWSER_PROPERTIES_MAX
    )]
    TooManyProperties(usize),
}

/// The rules after a change.
pub(super) fn changed(
    before: &AccessPart,
    change: &AccessChange,
) -> Result<AccessPart, AccessError> {
    let mut access = before.clone();
    if let Some(unsigned_users) = change.unsigned_users {
        access.unsigned_users = unsigned_users;
    }
    for id in &change.remove_user_keys {
        let at = access.user_keys.iter().position(|key| key.id == *id);
        let Some(at) = at else {
            let ids: Vec<&str> = access.user_keys.iter().map(|key| &*key.id).collect();
            return Err(AccessError::Unknown {
                found: id.clone(),
                expected: ids.join(", "),
            });
        };
        access.user_keys.remove(at);
    }
    for new in &change.add_user_keys {
        let key = user_key(new)?;
        if access.user_keys.iter().any(|known| known.id == key.id) {
            return Err(AccessError::Taken(key.id));
        }
        access.user_keys.push(key);
    }
    if access.user_keys.len() > limits::USER_KEYS_MAX {
        return Err(AccessError::TooMany(access.user_keys.len()));
    }
    if let Some(refuse_force) = change.refuse_force {
        access.refuse_force = refuse_force;
    }
    if let Some(listed) = &change.browser_properties {
        let mut names = listed.iter().flatten();
        names.try_for_each(|name| named("property", name))?;
        let found = listed.as_ref().map_or(0, Vec::len);
        if found > limits::BROWSER_PROPERTIES_MAX {
            return Err(AccessError::TooManyProperties(found));
        }
        access.browser_properties.clone_from(listed);
    }
    Ok(access)
}

fn named(what: &'static str, name: &str) -> Result<(), AccessError> {
    let fits = !name.is_empty()
        && name.len() <= limits::ACCESS_NAME_BYTES_MAX
        && !name.chars().any(char::is_control);
    fits.then_some(()).ok_or_else(|| AccessError::Name {
        what,
        found: name.to_owned(),
    })
}

/// A key as it is published, in its one spelling.
fn user_key(new: &NewUserKey) -> Result<UserKeyPart, AccessError> {
    let bytes = public_key(&new.key);
    // The first 16 digits of its hash, as for keys that sign snapshots.
    let derived = bytes.map(|bytes| sha256_hex(&bytes)[..16].to_owned());
    let id = new.id.clone().or(derived).unwrap_or_default();
    let not_a_key = || AccessError::NotAKey { id: id.clone() };
    let public = general_purpose::STANDARD.encode(bytes.ok_or_else(not_a_key)?);
    named("user key", &id)?;
    UserKey::parse(&id, &public).map_err(|_| not_a_key())?;
    Ok(UserKeyPart { id, public })
}

/// The 32 bytes of a public key, from PEM or base64.
fn public_key(text: &str) -> Option<[u8; 32]> {
    /// What stands before the 32 bytes in the DER of RFC 8410.
    const PREFIX: [u8; 12] = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    let text = text.trim();
    let pem = text
        .strip_prefix("-----BEGIN PUBLIC KEY-----")
        .and_then(|text| text.strip_suffix("-----END PUBLIC KEY-----"));
    if let Some(body) = pem {
        let body: String = body.split_ascii_whitespace().collect();
        let der = general_purpose::STANDARD.decode(body).ok()?;
        return der.strip_prefix(&PREFIX)?.try_into().ok();
    }
    let bytes = general_purpose::STANDARD.decode(text);
    let bytes = bytes.or_else(|_| general_purpose::URL_SAFE_NO_PAD.decode(text));
    bytes.ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.2, and the PEM of RFC 8410, section 10.1.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    fn key(id: Option<&str>, key: &str) -> NewUserKey {
        NewUserKey {
            id: id.map(ToOwned::to_owned),
            key: key.to_owned(),
        }
    }

    fn adding(keys: &[NewUserKey]) -> AccessChange {
        AccessChange {
            add_user_keys: keys.to_vec(),
            ..AccessChange::default()
        }
    }

    #[test]
    fn keys_come_as_pem_or_base64_and_go_by_id() {
        let change = adding(&[key(None, X), key(Some("login"), PEM)]);
        let access = changed(&AccessPart::default(), &change).expect("two keys");
        let ids: Vec<&str> = access.user_keys.iter().map(|key| &*key.id).collect();
        assert_eq!((ids[0].len(), ids[1]), (16, "login"));
        assert_eq!(
            access.user_keys[0].public,
            "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
        );
        let again = changed(&access, &adding(&[key(Some("login"), X)]));
        assert_eq!(again, Err(AccessError::Taken("login".to_owned())));
        let removing = |id: &str| AccessChange {
            remove_user_keys: vec![id.to_owned()],
            ..AccessChange::default()
        };
        let left = changed(&access, &removing("login")).expect("it is there");
        assert_eq!(left.user_keys.len(), 1);
        assert!(matches!(
            changed(&left, &removing("login")),
            Err(AccessError::Unknown { .. })
        ));
    }

    #[test]
    fn what_no_edge_could_read_is_refused() {
        let none = AccessPart::default();
        for bad in [
            "",
            "AAAA",
            "-----BEGIN PUBLIC KEY-----AAAA-----END PUBLIC KEY-----",
        ] {
            assert!(matches!(
                changed(&none, &adding(&[key(None, bad)])),
                Err(AccessError::NotAKey { .. })
            ));
        }
        // The neutral point: everybody can sign for it.
        let weak = format!("AQ{}=", "A".repeat(41));
        assert!(changed(&none, &adding(&[key(None, &weak)])).is_err());
        assert!(matches!(
            changed(&none, &adding(&[key(Some("a\nb"), X)])),
            Err(AccessError::Name { .. })
        ));
        let many: Vec<NewUserKey> = (0..=limits::USER_KEYS_MAX)
            .map(|number| key(Some(&number.to_string()), X))
            .collect();
        assert_eq!(
            changed(&none, &adding(&many)),
            Err(AccessError::TooMany(many.len()))
        );
    }
}

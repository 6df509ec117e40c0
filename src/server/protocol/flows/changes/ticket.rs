//! For whom is this address good?
//!
//! A ticket holds a subject, the hash of the key it was asked for with, the
//! key's environment and when it ends, sealed (ChaCha20-Poly1305): whoever
//! finds it in a log learns nothing from it, and whoever changes it has none.
//! It may be used again while it lives, as a browser does that reconnects.
//! Whether the key is still good is asked of the live value at every use.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::{
    clock::{Ambient, UnixMs},
    limits::{SID_BYTES_MAX, SUBJECT_ID_BYTES_MAX},
    snapshot::sha256,
};

/// Says what is sealed, so that nothing else sealed with this secret passes.
const PURPOSE: &[u8] = b"flowgate ticket for changes 1";

/// The longest ticket: an environment and three ids, as text.
const TEXT_BYTES_MAX: usize = 2 * (SID_BYTES_MAX + 3 * SUBJECT_ID_BYTES_MAX);

/// Whose changes are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    pub(super) user: Box<str>,
    pub(super) group: Option<Box<str>>,
    pub(super) conversation: Option<Box<str>>,
}

/// What a ticket says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// From then on it is of no use.
    pub(super) expires_ms: UnixMs,
    /// SHA-256 of the key it was asked for with.
    pub(super) key: [u8; 32],
    pub(super) environment_uid: Box<str>,
    pub(super) followed: Followed,
}

/// Why a ticket opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TicketError {
    /// Cut, changed, or sealed with another secret.
    #[error("the ticket was not given by this edge, or is not complete")]
    Unknown,
    /// Too late.
    #[error("the ticket's time is over")]
    Expired,
    /// The key is revoked, or may not do this any more.
    #[error("the key for which the ticket was given is not good any more")]
    Key,
}

/// Where tickets are sealed and opened.
pub(crate) struct Office {
    sealing: LessSafeKey,
    life_ms: u64,
    ambient: Ambient,
}

impl Office {
    pub(super) fn new(secret: Option<&str>, life: Duration, ambient: &Ambient) -> Self {
        let key = match secret {
            // Of any length: the hash makes a key of it, for this use alone.
            Some(secret) => sha256(&[PURPOSE, secret.as_bytes()].concat()),
            None => ambient.bytes(),
        };
        let sealing = UnboundKey::new(&CHACHA20_POLY1305, &key);
        Self {
            sealing: LessSafeKey::new(sealing.expect("the cipher takes keys of 32 bytes")),
            life_ms: u64::try_from(life.as_millis()).unwrap_or(u64::MAX),
            ambient: ambient.clone(),
        }
    }

    /// When a ticket ends that is given now.
    pub(super) fn expires_ms(&self) -> UnixMs {
        self.ambient.now_ms().saturating_add(self.life_ms)
    }

    /// The time it is.
    pub(super) fn now(&self) -> UnixMs {
        self.ambient.now_ms()
    }

    /// The ticket as text.
    pub(super) fn seal(&self, ticket: &Ticket) -> String {
        // Random: two of four thousand million tickets have the same one with
        // a chance of one in eight thousand million.
        let nonce: [u8; NONCE_LEN] = self.ambient.bytes();
        let mut sealed = ticket.to_bytes();
        let unique = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .sealing
            .seal_in_place_separate_tag(unique, Aad::from(PURPOSE), &mut sealed)
            .expect("a ticket is far below what the cipher takes");
        let bytes = [&nonce[..], &sealed, tag.as_ref()].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a ticket says, if it was sealed here and its time is not over.
    pub(super) fn open(&self, text: &str) -> Result<Ticket, TicketError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TicketError::Unknown);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text);
        let mut bytes = bytes.map_err(|_| TicketError::Unknown)?;
        let (nonce, sealed) = bytes
            .split_at_mut_checked(NONCE_LEN)
            .ok_or(TicketError::Unknown)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce);
        let nonce = nonce.map_err(|_| TicketError::Unknown)?;
        // Compares the tag in constant time.
        let plain = self
            .sealing
            .open_in_place(nonce, Aad::from(PURPOSE), sealed)
            .map_err(|_| TicketError::Unknown)?;
        let ticket = Ticket::of_bytes(plain).ok_or(TicketError::Unknown)?;
        if self.ambient.now_ms() >= ticket.expires_ms {
            return Err(TicketError::Expired);
        }
        Ok(ticket)
    }
}

impl Ticket {
    /// Time, hash, then the texts, each with its length and an empty one for
    /// none: ids are never empty.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&self.expires_ms.to_le_bytes());
        bytes.extend_from_slice(&self.key);
        let followed = &self.followed;
        for text in [
            &*self.environment_uid,
            &*followed.user,
            followed.group.as_deref().unwrap_or_default(),
            followed.conversation.as_deref().unwrap_or_default(),
        ] {
            // Ids have at most 512 bytes.
            bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (time, rest) = bytes.split_first_chunk::<8>()?;
        let (key, mut rest) = rest.split_first_chunk::<32>()?;
        let mut text = || -> Option<Option<Box<str>>> {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_le_bytes(*length));
            let (text, after) = after.split_at_checked(length)?;
            rest = after;
            let text = std::str::from_utf8(text).ok()?;
            Some((!text.is_empty()).then(|| text.into()))
        };
        let (environment_uid, user) = (text()??, text()??);
        let (group, conversation) = (text()?, text()?);
        rest.is_empty().then(|| Self {
            expires_ms: u64::from_le_bytes(*time),
            key: *key,
            environment_uid,
            followed: Followed {
                user,
                group,
                conversation,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    fn ticket(expires_ms: UnixMs) -> Ticket {
        Ticket {
            expires_ms,
            key: [7; 32],
            environment_uid: "env_1".into(),
            followed: Followed {
                user: "ann".into(),
                group: None,
                conversation: Some("c-9".into()),
            },
        }
    }

    #[test]
    fn a_ticket_says_what_was_put_into_it_and_shows_nothing() {
        let office = Office::new(None, LIFE, &Ambient::system());
        let given = ticket(office.expires_ms());
        let text = office.seal(&given);
        assert_eq!(office.open(&text), Ok(given.clone()));
        assert_eq!(
            office.open(&text),
            Ok(given.clone()),
            "again, while it lives"
        );
        let raw = URL_SAFE_NO_PAD.decode(&text).expect("base64");
        assert!(!raw.windows(3).any(|three| three == b"ann"));
        assert_ne!(office.seal(&given), text, "no two look alike");
    }

    #[test]
    fn the_longest_subject_fits() {
        let office = Office::new(None, LIFE, &Ambient::system());
        let long: Box<str> = "x".repeat(SUBJECT_ID_BYTES_MAX).into();
        let mut given = ticket(office.expires_ms());
        given.environment_uid = "e".repeat(SID_BYTES_MAX).into();
        given.followed = Followed {
            user: long.clone(),
            group: Some(long.clone()),
            conversation: Some(long),
        };
        assert_eq!(office.open(&office.seal(&given)), Ok(given));
    }

    #[test]
    fn no_ticket_survives_a_change_anywhere() {
        let office = Office::new(None, LIFE, &Ambient::system());
        let raw = URL_SAFE_NO_PAD
            .decode(office.seal(&ticket(office.expires_ms())))
            .expect("base64");
        for at in 0..raw.len() {
            let mut forged = raw.clone();
            forged[at] ^= 1;
            let forged = URL_SAFE_NO_PAD.encode(forged);
            assert_eq!(office.open(&forged), Err(TicketError::Unknown), "byte {at}");
            let cut = URL_SAFE_NO_PAD.encode(&raw[..at]);
            assert_eq!(office.open(&cut), Err(TicketError::Unknown), "cut at {at}");
        }
        for text in ["", "=", "a b", "ä", &"A".repeat(TEXT_BYTES_MAX + 1)] {
            assert_eq!(office.open(text), Err(TicketError::Unknown), "{text}");
        }
    }

    #[test]
    fn edges_with_one_secret_open_each_others_tickets_and_no_others() {
        let ambient = Ambient::system();
        let secret = "s".repeat(32);
        let office = |secret| Office::new(secret, LIFE, &ambient);
        let (one, two) = (office(Some(secret.as_str())), office(Some(secret.as_str())));
        let text = one.seal(&ticket(one.expires_ms()));
        assert!(two.open(&text).is_ok());
        for other in [
            office(None),
            office(Some("another secret of 32 characters!")),
        ] {
            assert_eq!(other.open(&text), Err(TicketError::Unknown));
        }
    }

    #[test]
    fn a_ticket_ends() {
        let office = Office::new(None, LIFE, &Ambient::system());
        let over = office.seal(&ticket(office.ambient.now_ms()));
        assert_eq!(office.open(&over), Err(TicketError::Expired));
    }
}

//! On what terms is a key given out, and is a text fit to be one?
//!
//! What a key sees and where it may be used, checked before it is made. A text
//! that comes from elsewhere is taken only if nobody can guess it: unlike a
//! generated one it may have been made up by a person.

use super::{
    keys::{KeyError, environment_uid},
    rights::{Rights, Role},
    workspace::{StoredKeyKind, Workspace},
};
use crate::{limits, snapshot::compile::channel_fault};

/// What a key sees and where it may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyTerms {
    /// Project sids it may see; empty means all.
    pub projects: Vec<String>,
    /// Every request with it comes over this channel.
    pub channel: Option<String>,
    /// Origins whose pages may use it; empty means all.
    pub origins: Vec<String>,
    /// What an `admin` key may do; everything when nothing is said.
    pub role: Option<Role>,
    /// Names of the environments it may do that in; empty means all.
    pub environments: Vec<String>,
}

impl KeyTerms {
    /// Refuses what a key of this kind cannot be held to.
    pub(super) fn check(&self, workspace: &Workspace, kind: StoredKeyKind) -> Result<(), KeyError> {
        let known = |sid: &String| workspace.projects.contains_key(sid);
        if let Some(project) = self.projects.iter().find(|sid| !known(sid)) {
            return Err(KeyError::UnknownProject(project.clone()));
        }
        refuse_channel(kind, self.channel.as_deref())?;
        refuse_origins(kind, &self.origins)
    }

    /// What a key on these terms may do in the store; none for the kinds that
    /// applications and edges have.
    pub(super) fn rights(
        &self,
        workspace: &Workspace,
        kind: StoredKeyKind,
    ) -> Result<Option<Rights>, KeyError> {
        if kind != StoredKeyKind::Admin {
            let is_plain = self.role.is_none() && self.environments.is_empty();
            let refused = KeyError::NoRights { kind: kind.name() };
            return if is_plain { Ok(None) } else { Err(refused) };
        }
        let uids = self.environments.iter();
        let mut environments: Vec<String> = uids
            .map(|name| environment_uid(workspace, name))
            .collect::<Result<_, _>>()?;
        environments.sort();
        environments.dedup();
        Ok(Some(Rights {
            role: self.role.unwrap_or(Role::Admin),
            environments,
        }))
    }
}

/// Only keys whose requests are decided by deployments can be bound.
fn refuse_channel(kind: StoredKeyKind, channel: Option<&str>) -> Result<(), KeyError> {
    let Some(channel) = channel else {
        return Ok(());
    };
    match kind {
        StoredKeyKind::Blocks
        | StoredKeyKind::Client
        | StoredKeyKind::Frontend
        | StoredKeyKind::Server => {}
        StoredKeyKind::Users | StoredKeyKind::Edge | StoredKeyKind::Admin => {
            return Err(KeyError::Unbound { kind: kind.name() });
        }
    }
    channel_fault(channel).map_or(Ok(()), |fault| Err(KeyError::Channel(fault)))
}

/// Only keys that stand in pages have origins.
fn refuse_origins(kind: StoredKeyKind, origins: &[String]) -> Result<(), KeyError> {
    if origins.is_empty() {
        return Ok(());
    }
    if !kind.published().is_some_and(|kind| kind.is_public()) {
        return Err(KeyError::NotInPages { kind: kind.name() });
    }
    if origins.len() > limits::ORIGINS_PER_KEY_MAX {
        return Err(KeyError::TooManyOrigins(origins.len()));
    }
    let wrong = origins.iter().find(|origin| !is_origin(origin));
    wrong.map_or(Ok(()), |origin| Err(KeyError::Origin(origin.clone())))
}

/// Whether a browser could send this as `Origin`: a scheme and a host, in
/// lower case, without a path. Anything else would never match, silently.
fn is_origin(text: &str) -> bool {
    let fits =
        |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':' | b'[' | b']');
    let host = text.split_once("://").map_or("", |(_, host)| host);
    let scheme = text.split("://").next().unwrap_or_default();
    text.len() <= limits::ACCESS_NAME_BYTES_MAX
        && !host.is_empty()
        && host.bytes().all(fits)
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
}

/// Bits that a text from elsewhere must have by the look of it. 32 random
/// hexadecimal digits come to about 110 when they are counted like this, and
/// one in many thousands to less than 90; a sentence or a word with digits to
/// less than 40.
const ENTROPY_BITS_MIN: u32 = 70;

/// Longest text of a key; generated ones and those of others are a fraction.
const KEY_TEXT_BYTES_MAX: usize = 512;

/// Refuses a text that does not travel in a header, or that can be guessed.
pub(super) fn refuse_guessable(text: &str) -> Result<(), KeyError> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > KEY_TEXT_BYTES_MAX || !visible {
        return Err(KeyError::Text);
    }
    // `project:environment.secret` and `kind-environment-secret`: what stands
    // before the secret is no secret.
    let secret = text.rsplit(['.', ':']).next().unwrap_or(text);
    let found = entropy_bits(secret);
    if found < ENTROPY_BITS_MIN {
        return Err(KeyError::Guessable {
            found,
            expected: ENTROPY_BITS_MIN,
        });
    }
    Ok(())
}

/// Bits of entropy by the frequencies of characters, where a repetition counts
/// once, and words between dashes and characters that go on a run (`abc`,
/// `777`, `9876`) not at all. An estimate from above: what looks random may
/// still have been made up.
fn entropy_bits(secret: &str) -> u32 {
    let is_word = |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let separated = secret.contains(['-', '_']);
    let parts = secret.split(['-', '_']);
    let unknown: String = parts.filter(|part| !separated || !is_word(part)).collect();
    let bytes = unknown.as_bytes();
    let bytes = &bytes[..period(bytes)];
    let mut counts = [0_u32; 128];
    let mut total = 0_u32;
    for (at, byte) in bytes.iter().enumerate() {
        let step = |at: usize| i16::from(bytes[at]) - i16::from(bytes[at - 1]);
        let goes_on = at >= 2 && step(at) == step(at - 1) && step(at).abs() <= 1;
        if !goes_on {
            counts[usize::from(byte & 127)] += 1;
            total += 1;
        }
    }
    let all = f64::from(total);
    let bits = counts.iter().filter(|count| **count > 0).map(|count| {
        let count = f64::from(*count);
        count * (all / count).log2()
    });
    bits.sum::<f64>() as u32
}

/// The length after which a text repeats itself to its end.
fn period(bytes: &[u8]) -> usize {
    let repeats = |length: &usize| (*length..bytes.len()).all(|at| bytes[at] == bytes[at - length]);
    (1..bytes.len()).find(repeats).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Ambient;

    #[test]
    fn texts_made_up_by_people_are_refused_and_random_ones_taken() {
        for guessable in [
            "",
            "secret",
            "default:development.unleash-insecure-api-token",
            "*:*.password1234567890",
            "*:*.unleash-insecure-admin-api-token",
            "correct-horse-battery-staple-and-some-more-words-2024",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
            "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz",
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            "with space 964a287e1b728cb5f4f3e0120df92cb5964a287e1b728c",
            "a:b.964a287e1b7\n28cb5f4f3e0120df92cb5",
        ] {
            assert!(refuse_guessable(guessable).is_err(), "{guessable}");
        }
        let ambient = Ambient::system();
        for _ in 0..200 {
            for secret in [
                ambient.hex::<16>(),
                ambient.hex::<28>(),
                ambient.hex::<32>(),
            ] {
                let text = format!("default:development.{secret}");
                assert_eq!(refuse_guessable(&text), Ok(()), "{text}");
            }
        }
        assert!(refuse_guessable("*:*.964a287e1b728cb5f4f3e0120df92cb5").is_ok());
        assert!(refuse_guessable(&"x9".repeat(300)).is_err());
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in [
            "https://app.example",
            "http://localhost:3000",
            "app://-",
            "https://[::1]:8",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "app.example",
            "https://",
            "https://a/",
            "https://A.example",
            "null",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}

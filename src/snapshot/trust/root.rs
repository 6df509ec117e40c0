//! Who may sign what, once a root document has been checked?
//!
//! A [`Root`] exists only when the whole document is usable: every key is
//! sound, every list names known keys once, every threshold can be reached.
//! So later checks choose a rule and need not ask whether it makes sense.

use std::collections::BTreeMap;

use super::TrustError;
use crate::{
    limits::{SID_BYTES_MAX, TIMESTAMP_LIFE_MS_MAX},
    snapshot::{
        envelope::{KeyError, PublicKey, Role, Signers},
        json,
        wire::{RoleRule, RootDocument},
    },
};

/// What makes a root document unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootFault {
    /// One of its keys.
    #[error("a key of the document is refused")]
    Key(#[source] KeyError),
    /// The keys or the threshold of a role.
    #[error("the keys of role {role} are refused")]
    Role {
        /// Which role.
        role: Role,
        /// Why.
        source: KeyError,
    },
    /// Versions count from 1.
    #[error("found version 0, expected 1 or more")]
    VersionZero,
    /// A timestamp must live, and not forever.
    #[error("found a timestamp life of {found} ms, expected 1 to {expected}")]
    TimestampLife {
        /// As written.
        found: u64,
        /// The limit.
        expected: u64,
    },
    /// A pattern that matches nothing or costs too much.
    #[error("a {role} rule's environment has {found} bytes, expected 1 to {expected}")]
    Pattern {
        /// Which role.
        role: Role,
        /// Its length.
        found: usize,
        /// The limit.
        expected: usize,
    },
}

/// A root document in which everything holds together.
#[derive(Clone, Debug)]
pub(super) struct Root {
    document: RootDocument,
    /// Sign the next root.
    signers: Signers,
    release: Vec<Rule>,
    timestamp: Vec<Rule>,
    control: Vec<Rule>,
}

/// Keys of a role for the environments that match.
#[derive(Clone, Debug)]
struct Rule {
    pattern: String,
    signers: Signers,
}

impl Root {
    /// Reads and validates; whether it is signed is the caller's question.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, TrustError> {
        let document: RootDocument =
            json::parse(payload).map_err(|source| TrustError::Malformed {
                document: Role::Root,
                source,
            })?;
        Self::validate(document).map_err(TrustError::Root)
    }

    fn validate(document: RootDocument) -> Result<Self, RootFault> {
        if document.version == 0 {
            return Err(RootFault::VersionZero);
        }
        if !(1..=TIMESTAMP_LIFE_MS_MAX).contains(&document.timestamp_life_ms_max) {
            return Err(RootFault::TimestampLife {
                found: document.timestamp_life_ms_max,
                expected: TIMESTAMP_LIFE_MS_MAX,
            });
        }
        let mut keys = BTreeMap::new();
        for (id, text) in &document.keys {
            let key = PublicKey::parse(id, text).map_err(RootFault::Key)?;
            keys.insert(id.clone(), key);
        }
        let own = &document.roles.root;
        let signers = signers(&keys, Role::Root, &own.keyids, own.threshold)?;
        Ok(Self {
            signers,
            release: rules(&keys, Role::Release, &document.roles.release)?,
            timestamp: rules(&keys, Role::Timestamp, &document.roles.timestamp)?,
            control: rules(&keys, Role::Control, &document.roles.control)?,
            document,
        })
    }

    pub(super) fn document(&self) -> &RootDocument {
        &self.document
    }

    /// The epoch an environment is in.
    pub(super) fn epoch(&self, environment_uid: &str) -> u32 {
        self.document
            .epochs
            .get(environment_uid)
            .copied()
            .unwrap_or(0)
    }

    /// Who signs the next root.
    pub(super) fn root_signers(&self) -> &Signers {
        &self.signers
    }

    /// Who signs documents of a role for an environment: an exact name beats
    /// every pattern, and among equals there must be one only.
    pub(super) fn signers(&self, role: Role, environment: &str) -> Result<&Signers, TrustError> {
        let rules = match role {
            Role::Root => return Ok(&self.signers),
            Role::Release => &self.release,
            Role::Timestamp => &self.timestamp,
            Role::Control => &self.control,
        };
        let exact: Vec<_> = rules.iter().filter(|r| r.pattern == environment).collect();
        let applying = if exact.is_empty() {
            let matching = rules.iter().filter(|r| matches(&r.pattern, environment));
            matching.collect()
        } else {
            exact
        };
        match applying[..] {
            [rule] => Ok(&rule.signers),
            [] => Err(TrustError::NoRule {
                role,
                environment: environment.to_owned(),
            }),
            [first, second, ..] => Err(TrustError::AmbiguousRule {
                role,
                environment: environment.to_owned(),
                first: first.pattern.clone(),
                second: second.pattern.clone(),
            }),
        }
    }
}

fn signers(
    keys: &BTreeMap<String, PublicKey>,
    role: Role,
    ids: &[String],
    threshold: u32,
) -> Result<Signers, RootFault> {
    Signers::new(keys, ids, threshold).map_err(|source| RootFault::Role { role, source })
}

fn rules(
    keys: &BTreeMap<String, PublicKey>,
    role: Role,
    rules: &[RoleRule],
) -> Result<Vec<Rule>, RootFault> {
    let rule = |rule: &RoleRule| {
        let found = rule.environment.len();
        if !(1..=SID_BYTES_MAX).contains(&found) {
            return Err(RootFault::Pattern {
                role,
                found,
                expected: SID_BYTES_MAX,
            });
        }
        Ok(Rule {
            pattern: rule.environment.clone(),
            signers: signers(keys, role, &rule.keyids, rule.threshold)?,
        })
    };
    rules.iter().map(rule).collect()
}

/// Whether a pattern, in which `*` stands for any text or none, matches the
/// whole name. Each piece between stars is taken at its first place, which is
/// enough when every gap may have any length.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    let mut pieces = rest.split('*');
    // `split` yields at least one piece; the last one is bound to the end.
    let tail = pieces.next_back().unwrap_or("");
    for piece in pieces {
        match name.split_once(piece) {
            Some((_, after)) => name = after,
            None => return false,
        }
    }
    name.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text_or_none() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "production"),
            ("prod*", "prod"),
            ("*-eu", "a-eu"),
            ("a*b*c", "a-b-b-c"),
            ("a**c", "ac"),
            ("*a*", "bab"),
        ] {
            assert!(matches(pattern, name), "{pattern} and {name}");
        }
    }

    #[test]
    fn what_stands_outside_the_stars_must_be_there() {
        for (pattern, name) in [
            ("prod", "production"),
            ("prod*", "pro"),
            ("*-eu", "a-us"),
            ("a*b*c", "a-c"),
            ("ab*ba", "aba"),
            ("a*b*b", "ab"),
        ] {
            assert!(!matches(pattern, name), "{pattern} and {name}");
        }
    }
}

//! What does the query of a Dopt request say?
//!
//! Keys nobody knows are ignored, because generated clients add their own;
//! a known key given twice is refused, because two readers would pick
//! different ones. Values are borrowed from the request unless they must be
//! decoded.

use std::{borrow::Cow, str::FromStr};

use super::error::Invalid;
use crate::{
    evaluate::{Tag, can_name},
    limits::{SUBJECT_ID_BYTES_MAX, TRANSITIONS_PER_CALL_MAX},
};

/// What a plus sign stands for. Dopt's JavaScript SDKs put ids into the query
/// as they are, generated clients encode them as forms do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    /// Itself.
    Literal,
    /// A space.
    Space,
}

/// The known keys of the query, decoded; not judged yet.
#[derive(Debug, Default)]
pub(crate) struct Query<'q> {
    user: Option<Cow<'q, str>>,
    group: Option<Cow<'q, str>>,
    version: Option<Cow<'q, str>>,
    tag: Option<Cow<'q, str>>,
    include: Option<Cow<'q, str>>,
    force: Option<Cow<'q, str>>,
    /// In the order given; the only key that may repeat.
    transitions: Vec<Cow<'q, str>>,
}

const USER: &str = "userIdentifier";
const GROUP: &str = "groupIdentifier";

impl<'q> Query<'q> {
    /// Reads the raw query of a request.
    pub(crate) fn parse(raw: &'q str, plus: Plus) -> Result<Self, Invalid> {
        let mut query = Self::default();
        for (key, value) in raw_pairs(raw) {
            let key = decode(key, plus, "query")?;
            let (what, place) = match &*key {
                USER => (USER, &mut query.user),
                GROUP => (GROUP, &mut query.group),
                "version" => ("version", &mut query.version),
                "tag" => ("tag", &mut query.tag),
                "include" => ("include", &mut query.include),
                "force" => ("force", &mut query.force),
                "transitions" => {
                    let name = decode(value, plus, "transitions")?;
                    query.transitions.push(name);
                    continue;
                }
                _ => continue,
            };
            if place.replace(decode(value, plus, what)?).is_some() {
                return Err(Invalid::Repeated { what });
            }
        }
        Ok(query)
    }

    /// The user; every route needs one.
    pub(crate) fn user(&self) -> Result<&str, Invalid> {
        let user = self.user.as_deref().ok_or(Invalid::Missing {
            what: USER,
            expected: "a user id of 1 to 512 bytes",
        })?;
        subject_id(USER, user)
    }

    /// The group, if one is named. An empty one counts as none: SDKs send the
    /// key with nothing behind it.
    pub(crate) fn group(&self) -> Result<Option<&str>, Invalid> {
        match self.group.as_deref() {
            None | Some("") => Ok(None),
            Some(group) => subject_id(GROUP, group).map(Some),
        }
    }

    /// The version: exactly one of `version` and `tag`. Older SDKs send the
    /// tag under the name `version`.
    pub(crate) fn tag(&self) -> Result<Tag, Invalid> {
        match (self.version.as_deref(), self.tag.as_deref()) {
            (Some(version), None) => version_tag(version),
            (None, Some(tag)) => Tag::from_str(tag).map_err(|_| Invalid::Value {
                what: "tag",
                found: tag.to_owned(),
                expected: VERSION_EXPECTED,
            }),
            (None, None) => Err(Invalid::Missing {
                what: "version",
                expected: "version or tag",
            }),
            (Some(_), Some(_)) => Err(Invalid::Both {
                one: "version",
                other: "tag",
            }),
        }
    }

    /// Whether blocks are asked for.
    pub(crate) fn include_blocks(&self) -> Result<bool, Invalid> {
        match self.include.as_deref() {
            None | Some("") => Ok(false),
            Some("block") => Ok(true),
            Some(other) => Err(Invalid::Value {
                what: "include",
                found: other.to_owned(),
                expected: "block",
            }),
        }
    }

    /// Whether `force` was given, and its value.
    pub(crate) fn force(&self) -> Result<Option<bool>, Invalid> {
        match self.force.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Invalid::Value {
                what: "force",
                found: other.to_owned(),
                expected: "true or false",
            }),
        }
    }

    /// The transition names, at least one and none twice.
    pub(crate) fn transitions(&self) -> Result<&[Cow<'q, str>], Invalid> {
        transition_names(&self.transitions)?;
        Ok(&self.transitions)
    }
}

/// Names and values of a raw query, not decoded.
fn raw_pairs(raw: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut begin = 0;
    // By the byte: searches cost more where all is as short as here.
    let pairs = raw.as_bytes().split(|byte| *byte == b'&').map(move |pair| {
        let pair = &raw[begin..begin + pair.len()];
        begin += pair.len() + 1;
        pair
    });
    let pairs = pairs.filter(|pair| !pair.is_empty());
    pairs.map(|pair| match pair.bytes().position(|byte| byte == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, ""),
    })
}

/// Names and values of a query, decoded.
pub(crate) fn pairs(
    raw: &str,
    plus: Plus,
) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, str>), Invalid>> {
    raw_pairs(raw).map(move |(name, value)| {
        let decoded = |text| decode(text, plus, "query");
        Ok((decoded(name)?, decoded(value)?))
    })
}

const VERSION_EXPECTED: &str = "a version number from 0, uncommitted or latest";

/// `3`, and `3.0` as clients send it for which a version is a double.
fn version_tag(text: &str) -> Result<Tag, Invalid> {
    let whole = match text.split_once('.') {
        Some((whole, zeros))
            if !zeros.is_empty()
                && zeros.bytes().all(|b| b == b'0')
                && whole.bytes().all(|b| b.is_ascii_digit()) =>
        {
            whole
        }
        _ => text,
    };
    Tag::from_str(whole).map_err(|_| Invalid::Value {
        what: "version",
        found: text.to_owned(),
        expected: VERSION_EXPECTED,
    })
}

/// A user, group or conversation id within its limits.
pub(crate) fn subject_id<'t>(what: &'static str, text: &'t str) -> Result<&'t str, Invalid> {
    if text.is_empty() || text.len() > SUBJECT_ID_BYTES_MAX {
        return Err(Invalid::Length {
            what,
            found: text.len(),
            expected: "1 to 512 bytes",
        });
    }
    if !can_name(text) {
        return Err(Invalid::Value {
            what,
            found: text.to_owned(),
            expected: "no control characters, and neither . nor ..",
        });
    }
    Ok(text)
}

/// Checks a list of transition names.
pub(crate) fn transition_names<T: AsRef<str>>(names: &[T]) -> Result<(), Invalid> {
    const WHAT: &str = "transitions";
    if names.is_empty() {
        return Err(Invalid::Missing {
            what: WHAT,
            expected: "at least one transition name",
        });
    }
    if names.len() > TRANSITIONS_PER_CALL_MAX {
        return Err(Invalid::Length {
            what: WHAT,
            found: names.len(),
            expected: "at most 32 names",
        });
    }
    for (at, name) in names.iter().enumerate() {
        let name = name.as_ref();
        if name.is_empty() || names[..at].iter().any(|other| other.as_ref() == name) {
            return Err(Invalid::Value {
                what: WHAT,
                found: name.to_owned(),
                expected: "names that are not empty and not repeated",
            });
        }
    }
    Ok(())
}

/// Percent-decodes; a percent sign that begins no escape stands for itself,
/// since the SDKs that do not encode let it through.
fn decode<'t>(raw: &'t str, plus: Plus, what: &'static str) -> Result<Cow<'t, str>, Invalid> {
    if !raw.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(raw));
    }
    let spaced = match plus {
        Plus::Space if raw.contains('+') => Cow::Owned(raw.replace('+', " ")),
        _ => Cow::Borrowed(raw),
    };
    if !raw.contains('%') {
        return Ok(spaced);
    }
    let bytes = Cow::from(percent_encoding::percent_decode_str(&spaced)).into_owned();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_) => Err(Invalid::Value {
            what,
            found: raw.to_owned(),
            expected: "percent-encoded UTF-8",
        }),
    }
}

// The texts above name the limits.
const _: () = assert!(SUBJECT_ID_BYTES_MAX == 512 && TRANSITIONS_PER_CALL_MAX == 32);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Query<'_> {
        Query::parse(raw, Plus::Space).expect("it parses")
    }

    #[test]
    fn a_plus_is_what_the_client_meant() {
        let raw = "userIdentifier=joe+test%2Bx@x.com";
        let form = Query::parse(raw, Plus::Space).expect("it parses");
        assert_eq!(form.user().expect("it is there"), "joe test+x@x.com");
        let sdk = Query::parse(raw, Plus::Literal).expect("it parses");
        assert_eq!(sdk.user().expect("it is there"), "joe+test+x@x.com");
    }

    #[test]
    fn ids_are_decoded_and_borrowed_where_they_can_be() {
        let query = parse("userIdentifier=d/%C3%A9%2&x=1&&flag&groupIdentifier=g1");
        assert_eq!(query.user().expect("it is there"), "d/é%2");
        assert_eq!(query.group().expect("fine"), Some("g1"));
        assert!(matches!(query.group, Some(Cow::Borrowed("g1"))));
        assert!(Query::parse("userIdentifier=%ff", Plus::Space).is_err());
        assert!(parse("userIdentifier=").user().is_err());
        let long = format!("userIdentifier={}", "u".repeat(513));
        assert!(parse(&long).user().is_err());
        assert_eq!(parse("groupIdentifier=").group().expect("fine"), None);
    }

    #[test]
    fn an_id_that_no_path_can_carry_is_refused() {
        for id in [".", "..", "a\0b", "a\r\nb", "\u{7f}", "\u{85}", "\t"] {
            assert!(subject_id(USER, id).is_err(), "{id:?}");
        }
        for id in [
            "...",
            "./",
            "a b",
            "a/../b",
            "😀",
            "\u{202e}x",
            "%2e%2e",
            "?",
        ] {
            assert!(subject_id(USER, id).is_ok(), "{id:?}");
        }
    }

    #[test]
    fn a_known_key_given_twice_is_refused() {
        let error = Query::parse("userIdentifier=a&userIdentifier=a", Plus::Space);
        assert!(matches!(error, Err(Invalid::Repeated { what: USER })));
        let encoded = Query::parse("version=1&%76ersion=2", Plus::Space);
        assert!(matches!(
            encoded,
            Err(Invalid::Repeated { what: "version" })
        ));
    }

    #[test]
    fn versions_are_whole_numbers_or_tags() {
        let cases = [
            ("version=3", Some(Tag::Number(3))),
            ("version=3.0", Some(Tag::Number(3))),
            ("version=3.00", Some(Tag::Number(3))),
            ("version=0", Some(Tag::Number(0))),
            ("version=latest", Some(Tag::Latest)),
            ("tag=latest", Some(Tag::Latest)),
            ("tag=uncommitted", Some(Tag::Number(0))),
            ("tag=7", Some(Tag::Number(7))),
            ("version=3.5", None),
            ("version=3.", None),
            ("version=latest.0", None),
            ("version=-1", None),
            ("version=NaN", None),
            ("version=+3", None),
            ("version=", None),
            ("version=4294967296", None),
            ("tag=newest", None),
            ("version=1&tag=latest", None),
            ("", None),
        ];
        for (raw, expected) in cases {
            assert_eq!(parse(raw).tag().ok(), expected, "{raw}");
        }
    }

    #[test]
    fn transitions_are_at_least_one_and_unique() {
        let query = parse("transitions=a&transitions=b%20c");
        let names = query.transitions().expect("two names");
        assert_eq!(names, ["a", "b c"]);
        for raw in ["", "transitions=a&transitions=a", "transitions="] {
            assert!(parse(raw).transitions().is_err(), "{raw}");
        }
    }

    #[test]
    fn flags_have_two_values() {
        assert_eq!(parse("force=true").force().expect("fine"), Some(true));
        assert_eq!(parse("").force().expect("fine"), None);
        assert!(parse("force=1").force().is_err());
        assert!(parse("include=block").include_blocks().expect("fine"));
        assert!(parse("include=blocks").include_blocks().is_err());
    }
}

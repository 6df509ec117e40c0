//! Which of two semantic versions comes first?
//!
//! Semantic Versioning 2.0, strictly: three numbers without leading zeros,
//! then pre-release identifiers and build metadata, of which the latter do not
//! count. A version in a context is only borrowed; the one it is compared with
//! was cut apart when it was compiled.

use std::cmp::Ordering;

/// A version, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version<'a> {
    core: [u64; 3],
    /// Without the hyphen; empty for a release.
    pre: &'a str,
}

/// A version as somebody wrote it into a constraint.
#[derive(Debug)]
pub(super) struct Release {
    core: [u64; 3],
    pre: Box<str>,
}

impl Release {
    /// Reads one; none where the text is no version.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Version { core, pre } = Version::parse(text)?;
        Some(Self {
            core,
            pre: pre.into(),
        })
    }

    /// To compare with.
    pub(super) fn version(&self) -> Version<'_> {
        Version {
            core: self.core,
            pre: &self.pre,
        }
    }
}

impl<'a> Version<'a> {
    /// Reads one; none where the text is no version.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (text, build) = cut(text, '+');
        let (core, pre) = cut(text, '-');
        let mut numbers = core.split('.');
        let mut next = || numbers.next().and_then(number);
        let core = [next()?, next()?, next()?];
        let sound = numbers.next().is_none()
            && build.is_none_or(|build| build.split('.').all(is_identifier))
            && pre.is_none_or(|pre| {
                pre.split('.')
                    .all(|one| is_identifier(one) && !is_padded(one))
            });
        sound.then_some(Self {
            core,
            pre: pre.unwrap_or_default(),
        })
    }

    /// By precedence: a pre-release comes before its release.
    pub(super) fn order(self, other: Self) -> Ordering {
        let by_core = self.core.cmp(&other.core);
        by_core.then_with(|| match (self.pre, other.pre) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (a, b) => a
                .split('.')
                .map(Identifier)
                .cmp(b.split('.').map(Identifier)),
        })
    }
}

/// The text before the first such character, and what follows it if it is there.
fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    }
}

fn number(digits: &str) -> Option<u64> {
    let sound = is_digits(digits) && !is_padded(digits);
    sound.then(|| digits.parse().ok()).flatten()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_padded(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && is_digits(text)
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// One identifier of a pre-release. Numbers come before words; they have no
/// leading zeros, so the longer one is the larger, whatever its size.
#[derive(PartialEq, Eq)]
struct Identifier<'a>(&'a str);

impl Ord for Identifier<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (is_digits(self.0), is_digits(other.0)) {
            (true, true) => (self.0.len(), self.0).cmp(&(other.0.len(), other.0)),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.0.cmp(other.0),
        }
    }
}

impl PartialOrd for Identifier<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Version;

    #[test]
    fn versions_stand_in_the_order_of_the_standard() {
        let ascending = [
            "0.9.9",
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0-99999999999999999999998",
            "1.0.0-99999999999999999999999",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.2.0",
            "1.10.0",
            "2.0.0-0",
        ];
        let versions = ascending.map(|text| Version::parse(text).unwrap());
        for (at, one) in versions.iter().enumerate() {
            for (place, other) in versions.iter().enumerate() {
                assert_eq!(one.order(*other), at.cmp(&place), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn build_metadata_does_not_count() {
        let parse = |text| Version::parse(text).unwrap();
        assert_eq!(parse("1.2.3+a.01"), parse("1.2.3"));
        assert_eq!(parse("1.2.3-x.-+a-b"), parse("1.2.3-x.-"));
    }

    #[test]
    fn texts_that_are_no_versions_are_none() {
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-a..b",
            "1.2.3+a..b",
            "01.2.3",
            "1.02.3",
            "1.2.03",
            "1.2.3-01",
            "1.2.3-é",
            "1.2.x",
            "1.2.-3",
            " 1.2.3",
            "1.2.3 ",
            "1..3",
            "+1.2.3",
            "99999999999999999999.0.0",
            "1.2.3+a+b",
        ] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_order_is_one(a in "[0-9a-c.+-]{0,12}|.{0,12}", b in "[01].[01].[01](-[0-2a]{1,2}(\\.[0-2a])?)?") {
            if let (Some(a), Some(b)) = (Version::parse(&a), Version::parse(&b)) {
                prop_assert_eq!(a.order(b), b.order(a).reverse());
            }
        }
    }
}

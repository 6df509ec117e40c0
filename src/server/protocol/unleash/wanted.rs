//! Which of the flags does a client that evaluates for itself ask for?
//!
//! `namePrefix` and `project` narrow what its token sees, and what is asked
//! twice is refused where it can be meant only once. The header
//! `Unleash-Client-Spec` says whether the client knows segments; one that does
//! not say so gets them written into the flags.

use hyper::HeaderMap;

use crate::{
    limits::FLAG_NAME_BYTES_MAX,
    server::{
        error::Invalid,
        query::{Plus, pairs},
    },
    snapshot::{Key, flags::FlagScope},
};

/// Since when clients of Unleash's specification know segments.
const SEGMENTS_SINCE: (u32, u32) = (4, 2);

/// What a query says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What names are to begin with; empty for all.
    pub(super) prefix: Box<str>,
    /// Of these projects; none for all.
    pub(super) projects: Vec<Box<str>>,
}

impl Wanted {
    pub(super) fn of_query(query: &str) -> Result<Self, Invalid> {
        let mut prefix = None;
        let mut projects = Vec::new();
        for pair in pairs(query, Plus::Space) {
            let (name, value) = pair?;
            match &*name {
                "namePrefix" if prefix.is_some() => {
                    return Err(Invalid::Repeated { what: "namePrefix" });
                }
                "namePrefix" => prefix = Some(value.into_owned().into_boxed_str()),
                "project" => projects.push(value.into_owned().into_boxed_str()),
                _ => {}
            }
        }
        let prefix = prefix.unwrap_or_default();
        if prefix.len() > FLAG_NAME_BYTES_MAX {
            return Err(Invalid::Length {
                what: "namePrefix",
                found: prefix.len(),
                expected: "at most 255 bytes, as names have",
            });
        }
        Ok(Self { prefix, projects })
    }

    /// The same within what a key may see.
    pub(super) fn scope<'s>(&'s self, key: &'s Key) -> FlagScope<'s> {
        FlagScope {
            key,
            projects: &self.projects,
            prefix: &self.prefix,
        }
    }

    /// The projects that are answered for, as clients are told.
    pub(super) fn projects_told<'t>(&'t self, key: &'t Key) -> Vec<&'t str> {
        let asked = self.projects.iter().filter(|own| key.sees(own));
        match (&*self.projects, &*key.projects) {
            ([], []) => vec!["*"],
            ([], seen) => seen.iter().map(|own| &**own).collect(),
            _ => asked.map(|own| &**own).collect(),
        }
    }
}

// The text above names the limit.
const _: () = assert!(FLAG_NAME_BYTES_MAX == 255);

/// Whether the client knows segments, so far as it says.
pub(super) fn knows_segments(headers: &HeaderMap) -> bool {
    let sent = headers.get("unleash-client-spec");
    let text = sent.and_then(|value| value.to_str().ok());
    text.and_then(version)
        .is_some_and(|own| own >= SEGMENTS_SINCE)
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().split('.');
    let first = numbers.next()?.parse().ok()?;
    let second = numbers.next().map_or(Some(0), |own| own.parse().ok())?;
    Some((first, second))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn clients_of_the_specification_4_2_know_segments() {
        for (sent, expected) in [
            (Some("4.2.0"), true),
            (Some("4.10.1"), true),
            (Some("5.2.0"), true),
            (Some("5"), true),
            (Some("4.1.9"), false),
            (Some("4"), false),
            (Some("v5.0.0"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert("unleash-client-spec", HeaderValue::from_static(sent));
            }
            assert_eq!(knows_segments(&headers), expected, "{sent:?}");
        }
    }

    #[test]
    fn a_query_narrows_by_projects_and_one_prefix() {
        let wanted = Wanted::of_query("project=shop&namePrefix=a%2Eb&project=desk&tag=x:y");
        let wanted = wanted.expect("it is understood");
        assert_eq!(&*wanted.prefix, "a.b");
        let projects: Vec<&str> = wanted.projects.iter().map(|own| &**own).collect();
        assert_eq!(projects, ["shop", "desk"]);
        assert_eq!(Wanted::of_query(""), Ok(Wanted::default()));
        assert!(Wanted::of_query("namePrefix=a&namePrefix=b").is_err());
        assert!(Wanted::of_query(&format!("namePrefix={}", "x".repeat(256))).is_err());
    }
}

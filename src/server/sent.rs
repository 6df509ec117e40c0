//! Which headers of a request are looked at?
//!
//! Those that mean something to most routes are found in one pass over the few
//! that were sent. A lookup by name hashes the name anew for each request, most
//! of the time to find nothing.

use hyper::{HeaderMap, header::HeaderValue};

use super::error::Invalid;

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent<'r> {
    /// `x-api-key`, the first one.
    pub(crate) api_key: Option<&'r HeaderValue>,
    /// `Authorization`, the first one.
    pub(crate) authorization: Option<&'r HeaderValue>,
    /// The page that asks.
    pub(crate) origin: Option<&'r HeaderValue>,
    /// `Flowgate-Min-Revision`.
    pub(crate) min_revision: Single<'r>,
    /// `Flowgate-Token`.
    pub(crate) token: Single<'r>,
    /// `Flowgate-User-Token`.
    pub(crate) user_token: Single<'r>,
    /// Whether the caller names its package, as JavaScript SDKs do.
    pub(crate) names_package: bool,
}

/// A header that may come once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Single<'r> {
    /// It did not come.
    #[default]
    Absent,
    /// It came once.
    Once(&'r HeaderValue),
    /// Two readers would pick different ones.
    Repeated,
}

impl<'r> Sent<'r> {
    /// Looks at all of them.
    pub(crate) fn of(headers: &'r HeaderMap) -> Self {
        let mut sent = Self::default();
        // Names are in lower case here, however they were sent.
        for (name, value) in headers {
            match name.as_str() {
                "x-api-key" => first(&mut sent.api_key, value),
                "authorization" => first(&mut sent.authorization, value),
                "origin" => first(&mut sent.origin, value),
                "flowgate-min-revision" => sent.min_revision.add(value),
                "flowgate-token" => sent.token.add(value),
                "flowgate-user-token" => sent.user_token.add(value),
                "x-pkg-name" => sent.names_package = true,
                _ => {}
            }
        }
        sent
    }
}

fn first<'r>(place: &mut Option<&'r HeaderValue>, value: &'r HeaderValue) {
    place.get_or_insert(value);
}

impl<'r> Single<'r> {
    fn add(&mut self, value: &'r HeaderValue) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }

    /// Its value, if it came; `what` names it.
    pub(crate) fn value(self, what: &'static str) -> Result<Option<&'r HeaderValue>, Invalid> {
        match self {
            Self::Absent => Ok(None),
            Self::Once(value) => Ok(Some(value)),
            Self::Repeated => Err(Invalid::Repeated { what }),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::*;

    #[test]
    fn the_first_of_several_keys_counts_and_a_single_header_comes_once() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("X-Api-Key", "k1"),
            ("x-api-key", "k2"),
            ("Origin", "https://app.example"),
            ("FLOWGATE-TOKEN", "t1"),
            ("flowgate-user-token", "u1"),
            ("flowgate-user-token", "u2"),
            ("X-Pkg-Name", "@dopt/javascript"),
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_static(value));
        }
        let sent = Sent::of(&headers);
        let text = |value: Option<&HeaderValue>| value.map(|value| value.as_bytes().to_vec());
        assert_eq!(text(sent.api_key), Some(b"k1".to_vec()));
        assert_eq!(text(sent.authorization), None);
        assert_eq!(text(sent.origin), Some(b"https://app.example".to_vec()));
        let token = sent.token.value("Flowgate-Token");
        assert_eq!(text(token.expect("it came once")), Some(b"t1".to_vec()));
        assert!(sent.user_token.value("Flowgate-User-Token").is_err());
        let absent = sent.min_revision.value("Flowgate-Min-Revision");
        assert_eq!(text(absent.expect("it did not come")), None);
        assert!(sent.names_package);
        assert!(!Sent::of(&HeaderMap::new()).names_package);
    }
}

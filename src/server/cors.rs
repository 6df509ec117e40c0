//! May a page of another origin read the answer?
//!
//! Keys, not cookies, say who asks, so `*` gives nothing away; an operator may
//! still name the origins. Clients that are no browsers send no `Origin` and
//! get none of these headers.

use hyper::{
    StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderValue, VARY,
    },
};

use crate::http::{self, Answer};

/// Whose pages may read answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Every page.
    #[default]
    Any,
    /// Pages of these origins, as browsers write them.
    List(Vec<String>),
}

/// The answer to a preflight. Whether the origin is welcome is said by
/// [`cross_origin`], as for every other answer.
pub(crate) fn preflight() -> Answer {
    let mut answer = http::empty(StatusCode::NO_CONTENT);
    let headers = answer.headers_mut();
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "x-api-key, authorization, content-type, idempotency-key, flowgate-min-revision, \
             flowgate-token, flowgate-user-token, last-event-id, x-pkg-name, x-pkg-version, \
             x-fern-language, x-fern-sdk-name, x-fern-sdk-version, x-fern-runtime, \
             x-fern-runtime-version, if-none-match, unleash-appname, unleash-instanceid, \
             unleash-connection-id, unleash-sdk, unleash-client-spec, unleash-interval",
        ),
        // What browsers cap the lifetime of a preflight at.
        (ACCESS_CONTROL_MAX_AGE, "7200"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Lets a page of a welcome origin read the answer, errors included, and the
/// headers its SDK looks for.
pub(crate) fn cross_origin(welcome: &Origins, origin: Option<&HeaderValue>, answer: &mut Answer) {
    let Some(origin) = origin else {
        return;
    };
    let headers = answer.headers_mut();
    match welcome {
        Origins::Any => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        Origins::List(list) => {
            // A cache must not hand one page's permission to another.
            headers.append(VARY, HeaderValue::from_static("origin"));
            if !list.iter().any(|own| own.as_bytes() == origin.as_bytes()) {
                return;
            }
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "X-Dopt-Intent-Side-Effects, Flowgate-Revision, Flowgate-Snapshot-Age, \
             Flowgate-Stale, Retry-After, ETag",
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(welcome: &Origins, origin: Option<&'static str>) -> Option<String> {
        let origin = origin.map(HeaderValue::from_static);
        let mut answer = preflight();
        cross_origin(welcome, origin.as_ref(), &mut answer);
        let value = answer.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN)?;
        Some(value.to_str().expect("ascii").to_owned())
    }

    #[test]
    fn only_welcome_origins_read_answers() {
        let list = Origins::List(vec!["https://app.example".to_owned()]);
        let app = Some("https://app.example");
        assert_eq!(allowed(&list, app).as_deref(), app);
        assert_eq!(allowed(&list, Some("https://evil.example")), None);
        assert_eq!(allowed(&list, None), None);
        assert_eq!(allowed(&Origins::Any, app).as_deref(), Some("*"));
        assert_eq!(allowed(&Origins::Any, None), None);
    }
}

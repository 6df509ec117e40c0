//! Which headers does an answer carry?
//!
//! Every evaluated answer says what it was evaluated against. The values
//! change once a second or once a snapshot, so each worker keeps them ready
//! instead of formatting them per request.

use std::cell::RefCell;

use hyper::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue},
};

use crate::{
    clock::UnixMs,
    current::{Environment, EnvironmentSlot},
    http::{self, Answer},
    snapshot::Revision,
};

static FLOWGATE_REVISION: HeaderName = HeaderName::from_static("flowgate-revision");
static FLOWGATE_SNAPSHOT_AGE: HeaderName = HeaderName::from_static("flowgate-snapshot-age");
static FLOWGATE_STALE: HeaderName = HeaderName::from_static("flowgate-stale");
static SIDE_EFFECTS: HeaderName = HeaderName::from_static("x-dopt-intent-side-effects");

/// Room for the headers of an answer, also to a page: a map that grows is built
/// twice. One more would be no small allocation any more, and those of stale
/// answers to pages are rare.
const HEADERS: usize = 6;

/// What one environment's answers say about the snapshot, ready to be sent.
#[derive(Debug)]
struct Stamp {
    slot: EnvironmentSlot,
    revision: Revision,
    revision_value: HeaderValue,
    age_s: u64,
    age_value: HeaderValue,
}

/// The stamps of a worker.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    /// One for each environment asked for so far; few.
    list: RefCell<Vec<Stamp>>,
}

impl Stamps {
    /// Puts the stamp of the environment on an answer's headers.
    fn mark(&self, headers: &mut HeaderMap, environment: &Environment, now: UnixMs) {
        let revision = environment.snapshot.revision;
        let age_s = now.saturating_sub(environment.freshness.issued_ms) / 1_000;
        let mut list = self.list.borrow_mut();
        let at = match list.iter().position(|stamp| stamp.slot == environment.slot) {
            Some(at) => at,
            None => {
                list.push(Stamp {
                    slot: environment.slot,
                    revision,
                    revision_value: text_value(&revision.to_string()),
                    age_s,
                    age_value: HeaderValue::from(age_s),
                });
                list.len() - 1
            }
        };
        if let Some(stamp) = list.get_mut(at) {
            if stamp.revision != revision {
                stamp.revision = revision;
                stamp.revision_value = text_value(&revision.to_string());
            }
            if stamp.age_s != age_s {
                stamp.age_s = age_s;
                stamp.age_value = HeaderValue::from(age_s);
            }
            headers.insert(FLOWGATE_REVISION.clone(), stamp.revision_value.clone());
            headers.insert(FLOWGATE_SNAPSHOT_AGE.clone(), stamp.age_value.clone());
        }
        if environment.freshness.is_stale(now) {
            let value = HeaderValue::from_static("true");
            headers.insert(FLOWGATE_STALE.clone(), value);
        }
    }

    /// 200 with a JSON body, evaluated against the environment.
    pub(crate) fn evaluated(
        &self,
        environment: &Environment,
        now: UnixMs,
        body: Vec<u8>,
    ) -> Answer {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.mark(&mut headers, environment, now);
        let mut answer = Answer::new(body.into());
        *answer.headers_mut() = headers;
        answer
    }

    /// The answer as it is made elsewhere, with the stamp of the environment.
    pub(crate) fn stamped(
        &self,
        environment: &Environment,
        now: UnixMs,
        mut answer: Answer,
    ) -> Answer {
        self.mark(answer.headers_mut(), environment, now);
        answer
    }

    /// 204 of a Dopt intent or transition: whether a change follows by push.
    pub(crate) fn stepped(&self, environment: &Environment, now: UnixMs, changed: bool) -> Answer {
        let mut answer = http::empty(StatusCode::NO_CONTENT);
        let value = HeaderValue::from_static(if changed { "true" } else { "false" });
        let headers = answer.headers_mut();
        headers.insert(SIDE_EFFECTS.clone(), value);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.mark(headers, environment, now);
        answer
    }
}

/// Marks an answer about a subject nobody could be asked about: whatever the
/// snapshot's age, this may not be how the user stands.
pub(crate) fn mark_assumed(mut answer: Answer, assumed: bool) -> Answer {
    if assumed {
        let value = HeaderValue::from_static("true");
        answer.headers_mut().insert(FLOWGATE_STALE.clone(), value);
    }
    answer
}

/// A revision has digits and a dot only; should that ever change, an empty
/// header is better than no answer.
fn text_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

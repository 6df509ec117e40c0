//! What is sent to an edge that may ask?
//!
//! Everything comes from the shelf as it stands when the request is answered.
//! Parts leave as they lie in memory, without being copied: a first pull of a
//! large environment must not keep a worker from its applications.

use std::time::Duration;

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH},
};

use super::{Distribution, DistributionError, Document, path::names};
use crate::{
    distribution::{Offer, Offered, Shelf},
    http::{self, Answer, AnswerBody, Body},
    limits::{LONG_POLL_MS_MAX, PARTS_ANSWER_BYTES_MAX, PARTS_PER_REQUEST_MAX},
    server::{
        EdgeService,
        asked::Asked,
        error::{AuthError, Fault, Invalid, RouteError},
    },
    snapshot::{frame, sha256_of_hex},
};

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// Answers one request of another edge.
pub(crate) async fn answer(
    service: &EdgeService,
    asked: Asked<'_>,
    body: Body,
    document: Document,
) -> Result<Answer, Fault> {
    // Switched off it is as if it did not exist.
    let Some(distribution) = &service.distribution else {
        return Err(RouteError::NoSuchPath.into());
    };
    let (environment, name) = names(asked.head.uri.path());
    let shelf = permitted(service, distribution, asked, environment)?;
    match document {
        Document::Timestamp => timestamp(shelf, asked).await,
        Document::Parts => {
            let bytes = body.read(document.body_bytes_max()).await?;
            let wanted = hashes(&bytes)?;
            Ok(parts(&*offer(shelf)?, &wanted))
        }
        Document::Progress => Err(DistributionError::NoLedger.into()),
        _ => file(&*offer(shelf)?, document, name),
    }
}

/// The shelf of the environment, if the key of the request opens it.
fn permitted<'d>(
    service: &EdgeService,
    distribution: &'d Distribution,
    asked: Asked<'_>,
    environment: &str,
) -> Result<&'d Shelf, Fault> {
    let hash = asked.key_hash().ok_or(AuthError::Missing)?;
    let Some((opened, shelf)) = distribution.opened_by(&hash) else {
        return Err(match service.current.load().key(&hash) {
            Some(_) => DistributionError::ApplicationKey.into(),
            None => AuthError::Unknown.into(),
        });
    };
    if opened == environment {
        return Ok(shelf);
    }
    Err(DistributionError::Environment.into())
}

fn offer(shelf: &Shelf) -> Result<std::sync::Arc<Offer>, DistributionError> {
    shelf.now().ok_or(DistributionError::NotYet)
}

/// The timestamp in force; with `wait`, held back while it is the one the edge
/// has already.
async fn timestamp(shelf: &Shelf, asked: Asked<'_>) -> Result<Answer, Fault> {
    let wait = wait(asked.head.uri.query().unwrap_or_default())?;
    let known = asked.headers().get(IF_NONE_MATCH);
    let known = known
        .and_then(|tags| tags.to_str().ok())
        .unwrap_or_default();
    let is_known = |offer: &Offer| known.split(',').any(|tag| tag.trim() == offer.etag);
    let mut watch = shelf.watch();
    let news = watch.wait_for(|offered: &Offered| {
        let new = offered.offer.as_ref().is_some_and(|offer| !is_known(offer));
        new || offered.is_ending
    });
    // Whichever ends it, what stands on the shelf then is the answer.
    drop(tokio::time::timeout(wait, news).await);
    let offer = offer(shelf)?;
    let mut answer = match is_known(&offer) {
        true => http::empty(StatusCode::NOT_MODIFIED),
        false => http::json_bytes(StatusCode::OK, JSON, offer.timestamp.clone()),
    };
    tag(&mut answer, &offer.etag);
    Ok(answer)
}

/// A document or part that never changes.
fn file(offer: &Offer, document: Document, name: &str) -> Result<Answer, Fault> {
    let number = || name.parse::<u64>().ok();
    let (media_type, found) = match document {
        Document::Root => (JSON, number().and_then(|number| offer.root(number))),
        Document::Release => (JSON, number().and_then(|number| offer.release(number))),
        Document::Control => (JSON, number().and_then(|number| offer.control(number))),
        _ => (BYTES, offer.part(name)),
    };
    let Some(bytes) = found else {
        return Err(DistributionError::NoDocument {
            what: document.name(),
            name: name.chars().take(64).collect(),
        }
        .into());
    };
    let mut answer = http::json_bytes(StatusCode::OK, media_type, bytes);
    // Not for shared caches: they would hand it to whoever comes without key.
    let caching = HeaderValue::from_static("private, max-age=31536000, immutable");
    answer.headers_mut().insert(CACHE_CONTROL, caching);
    if document == Document::Part {
        tag(&mut answer, &format!("\"{name}\""));
    }
    Ok(answer)
}

/// As many of the parts as fit, at least the first one there is.
fn parts(offer: &Offer, wanted: &[String]) -> Answer {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut total = 0;
    for sha256 in wanted {
        let (Some(hash), Some(bytes)) = (sha256_of_hex(sha256), offer.part(sha256)) else {
            continue;
        };
        let head = frame::head(&hash, bytes.len());
        total += head.len() + bytes.len();
        if !pieces.is_empty() && total > PARTS_ANSWER_BYTES_MAX {
            break;
        }
        pieces.push(Bytes::copy_from_slice(&head));
        pieces.push(bytes);
    }
    let mut answer = Answer::new(AnswerBody::pieces(pieces));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(BYTES));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn tag(answer: &mut Answer, etag: &str) {
    // Hexadecimal digits and quotes.
    if let Ok(value) = HeaderValue::from_str(etag) {
        answer.headers_mut().insert(ETAG, value);
    }
}

const HASHES: &str = "a JSON array of at most 4096 hashes of 64 hexadecimal digits";
const _: () = assert!(PARTS_PER_REQUEST_MAX == 4096);

fn hashes(body: &[u8]) -> Result<Vec<String>, Invalid> {
    let wrong = |found: String| Invalid::Value {
        what: "body",
        found,
        expected: HASHES,
    };
    let wanted: Vec<String> =
        serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
    if wanted.len() > PARTS_PER_REQUEST_MAX {
        return Err(wrong(format!("{} hashes", wanted.len())));
    }
    match wanted.iter().find(|hash| sha256_of_hex(hash).is_none()) {
        Some(odd) => Err(wrong(odd.clone())),
        None => Ok(wanted),
    }
}

/// `wait=30s` or `wait=500ms`, at most what a long poll may take; without it
/// nothing is waited for.
fn wait(query: &str) -> Result<Duration, Invalid> {
    let mut waits = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("wait="));
    let Some(text) = waits.next() else {
        return Ok(Duration::ZERO);
    };
    if waits.next().is_some() {
        return Err(Invalid::Repeated { what: "wait" });
    }
    let (digits, unit_ms) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 1_000),
        (None, None) => ("", 1),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u64> = is_number.then(|| digits.parse().ok()).flatten();
    let wait_ms = number.and_then(|number| number.checked_mul(unit_ms));
    let within = wait_ms.filter(|ms| *ms <= LONG_POLL_MS_MAX);
    within.map(Duration::from_millis).ok_or(Invalid::Value {
        what: "wait",
        found: text.to_owned(),
        expected: "a time such as 30s or 500ms, at most 60s",
    })
}

#[cfg(test)]
mod tests {
    use hyper::body::Body as _;

    use super::*;
    use crate::{
        distribution::Roots,
        snapshot::{pack::Pack, sha256_hex},
    };

    #[test]
    fn a_wait_has_a_unit_and_a_bound() {
        for (query, ms) in [
            ("", 0),
            ("wait=0s", 0),
            ("wait=60s", 60_000),
            ("wait=5ms", 5),
        ] {
            assert_eq!(wait(query), Ok(Duration::from_millis(ms)), "{query}");
        }
        for query in [
            "wait=", "wait=5", "wait=61s", "wait=-1s", "wait=+1s", "wait=s",
        ] {
            assert!(wait(query).is_err(), "{query}");
        }
        let huge = format!("wait={}s", u64::MAX);
        assert!(wait(&huge).is_err());
        assert!(matches!(
            wait("wait=1s&wait=2s"),
            Err(Invalid::Repeated { .. })
        ));
    }

    #[test]
    fn only_lists_of_hashes_are_asked_for() {
        let hash = "a".repeat(64);
        assert_eq!(
            hashes(format!("[{hash:?}]").as_bytes()),
            Ok(vec![hash.clone()])
        );
        let many = serde_json::to_vec(&vec![&hash; PARTS_PER_REQUEST_MAX + 1]);
        for body in [
            b"{}".to_vec(),
            b"[\"A\"]".to_vec(),
            b"[".to_vec(),
            many.expect("JSON"),
        ] {
            assert!(hashes(&body).is_err());
        }
    }
    #[test]
    fn a_full_answer_leaves_parts_out_and_never_the_first() {
        let large = |byte: u8| vec![byte; PARTS_ANSWER_BYTES_MAX / 2];
        let shelf = Shelf::default();
        let named = |bytes: Vec<u8>| (sha256_hex(&bytes), bytes);
        let pack = Pack {
            blobs: [1, 2, 3].map(|byte| named(large(byte))).into(),
            ..Pack::default()
        };
        let wanted: Vec<String> = pack.blobs.keys().cloned().collect();
        let roots = Roots {
            version: 1,
            files: Vec::new(),
        };
        shelf.put(&roots, (1, 1), pack);
        let offer = shelf.now().expect("an offer");
        let length = |wanted: &[String]| {
            let answer = parts(&offer, wanted);
            answer.body().size_hint().exact().expect("a known length")
        };
        let one = (PARTS_ANSWER_BYTES_MAX / 2 + 40) as u64;
        assert_eq!(length(&wanted), one, "two and their heads are too long");
        assert_eq!(length(&wanted[..1]), one);
        assert_eq!(length(&["0".repeat(64)]), 0);
    }
}

//! Does the client have the answer already, and how is it sent?
//!
//! A tag is made of everything an answer depends on, before it is made: what
//! the flags are, what of the context some flag looks at, what the key may see.
//! So it is the same on every edge with the same flags, and a client that has
//! the answer costs no evaluation. Compressed and plain answers are different
//! bytes, and have different tags.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    HeaderMap, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue,
        IF_NONE_MATCH, VARY,
    },
};
use sha2::{Digest, Sha256};

use crate::{
    clock::UnixMs,
    http::{Answer, empty},
    limits::COMPRESS_BYTES_MIN,
    server::{EdgeService, auth::Access},
    snapshot::{flags::FlagMark, hex},
};

/// Bytes of the hash that stand in a tag: more than enough to never meet.
const TAG_BYTES: usize = 16;

/// What an answer depends on.
pub(super) struct Ingredients(Sha256);

impl Ingredients {
    /// Flags and the projects the key sees, and what is asked of them.
    pub(super) fn of(access: Access<'_>, what: &str) -> Self {
        let mut own = Self(Sha256::new());
        own.add(access.environment.snapshot.flags.fingerprint());
        own.add(what.as_bytes());
        for project in &access.key.projects {
            own.add(project.as_bytes());
        }
        own
    }

    /// One more thing. With its length, so that no two lists are the same.
    pub(super) fn add(&mut self, thing: &[u8]) {
        self.0.update((thing.len() as u64).to_le_bytes());
        self.0.update(thing);
    }

    /// What they come to, in hexadecimal.
    pub(super) fn hash(self) -> String {
        hex(&self.0.finalize()[..TAG_BYTES])
    }
}

/// How a request is answered, whatever the answer.
pub(super) struct Reply<'r> {
    pub(super) edge: &'r EdgeService,
    pub(super) access: Access<'r>,
    pub(super) headers: &'r HeaderMap,
    pub(super) now: UnixMs,
}

impl Reply<'_> {
    /// The answer with this tag, unless the client has it. Without a tag it
    /// never has: chance decided something.
    pub(super) fn unless_known(
        &self,
        hash: Option<String>,
        make: impl FnOnce() -> Vec<u8>,
    ) -> Answer {
        let takes_gzip = takes_gzip(self.headers);
        let tag = hash.map(|hash| tag_of(&hash, takes_gzip));
        let known = tag.as_deref().is_some_and(|tag| has(self.headers, tag));
        let body = (!known).then(|| whole(make().into(), takes_gzip));
        self.tagged(tag.as_deref(), body)
    }

    /// The marks in the tags that the client has. Unleash's own servers write
    /// numbers with and without quotes.
    pub(super) fn marks_had(&self) -> Had {
        let mut marks = Vec::new();
        for tag in tags(self.headers) {
            if tag == "*" {
                return Had::Anything;
            }
            let inner = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
            let mark = inner.strip_suffix(ENCODED).unwrap_or(inner);
            marks.extend(mark.parse::<FlagMark>());
        }
        Had::Marks(marks)
    }

    /// An answer under the mark of the flags; none when the client has it.
    pub(super) fn at_mark(&self, mark: FlagMark, body: Option<Bytes>) -> Answer {
        let takes_gzip = takes_gzip(self.headers);
        let tag = tag_of(&mark.to_string(), takes_gzip);
        self.tagged(Some(&tag), body.map(|body| whole(body, takes_gzip)))
    }

    fn tagged(&self, tag: Option<&str>, body: Option<Answer>) -> Answer {
        let mut answer = body.unwrap_or_else(|| empty(StatusCode::NOT_MODIFIED));
        let headers = answer.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // Digits, letters, hyphens and quotes are always a header.
        if let Some(tag) = tag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
            headers.insert(ETAG, tag);
        }
        let environment = self.access.environment;
        self.edge.stamps.stamped(environment, self.now, answer)
    }
}

/// What a client that follows flags says it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Had {
    /// Whatever there is.
    Anything,
    /// What was in force at one of these; none for nothing.
    Marks(Vec<FlagMark>),
}

/// What the tags of compressed answers end with.
const ENCODED: &str = "-gzip";

fn tag_of(text: &str, takes_gzip: bool) -> String {
    let encoded = if takes_gzip { ENCODED } else { "" };
    format!("\"{text}{encoded}\"")
}

/// JSON, compressed where that is worth it.
fn whole(body: Bytes, takes_gzip: bool) -> Answer {
    let worth_it = takes_gzip && body.len() >= COMPRESS_BYTES_MIN;
    let compressed = worth_it.then(|| compressed(&body)).flatten();
    let is_compressed = compressed.is_some();
    let mut answer = Answer::new(compressed.map_or(body, Bytes::from).into());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if is_compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// The fastest way: answers about flags repeat themselves so much that more
/// effort hardly makes them smaller.
fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    let room = Vec::with_capacity(body.len() / 4);
    let mut encoder = GzEncoder::new(room, Compression::fast());
    // Into memory it cannot fail; if it did, the plain answer would do.
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// Whether the client takes gzip: it is named, or everything is, and not
/// refused by a weight of nothing.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut by_any = false;
    for coding in values.flat_map(|value| value.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        let is_wanted = weight
            .trim()
            .parse::<f32>()
            .is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return is_wanted,
            "*" => by_any = is_wanted,
            _ => {}
        }
    }
    by_any
}

/// Whether the client has the answer with this tag, as RFC 9110 compares them
/// for this purpose: a weak one is as good.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    tags(headers).any(|own| own == "*" || own.strip_prefix("W/").unwrap_or(own) == tag)
}

/// What stands in `If-None-Match`.
fn tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: hyper::header::HeaderName, values: &[&'static str]) -> HeaderMap {
        let values = values.iter();
        let values = values.map(|value| (name.clone(), HeaderValue::from_static(value)));
        values.collect()
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (values, expected) in [
            (&["gzip"] as &[_], true),
            (&["br, GZIP;q=0.5"], true),
            (&["br", "gzip"], true),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["gzip;q=0, *"], false),
            (&["br"], false),
            (&["identity"], false),
            (&[], false),
        ] {
            let headers = headers(ACCEPT_ENCODING, values);
            assert_eq!(takes_gzip(&headers), expected, "{values:?}");
        }
    }

    #[test]
    fn a_tag_is_known_in_every_form_a_client_sends_it() {
        for (values, expected) in [
            (&["\"a\""] as &[_], true),
            (&["W/\"a\""], true),
            (&["\"b\", \"a\""], true),
            (&["\"b\"", "\"a\""], true),
            (&["*"], true),
            (&["\"a-gzip\""], false),
            (&["a"], false),
            (&[], false),
        ] {
            let headers = headers(IF_NONE_MATCH, values);
            assert_eq!(has(&headers, "\"a\""), expected, "{values:?}");
        }
    }

    #[test]
    fn what_is_compressed_is_the_same_again() {
        let body = b"{\"toggles\":[]}".repeat(200);
        let compressed = compressed(&body).expect("it is compressed");
        assert!(compressed.len() * 10 < body.len());
        let mut again = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&*compressed);
        std::io::Read::read_to_end(&mut decoder, &mut again).expect("gzip");
        assert_eq!(again, body);
    }

    #[test]
    fn lists_that_differ_in_their_seams_have_different_hashes() {
        let hash = |things: [&str; 2]| {
            let mut own = Ingredients(Sha256::new());
            things.iter().for_each(|thing| own.add(thing.as_bytes()));
            own.hash()
        };
        assert_ne!(hash(["ab", "c"]), hash(["a", "bc"]));
        assert_eq!(hash(["ab", "c"]).len(), 32);
    }
}

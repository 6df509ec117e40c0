//! Is this head one that every HTTP implementation reads the same way?
//!
//! Two looks at it: at the raw bytes as they arrive, for what hyper's parser
//! forgives and then hides (bare line feeds; a Content-Length beside a
//! Transfer-Encoding, which hyper drops), and at the parsed head. Ambiguous
//! heads are how requests are smuggled past a proxy in front of us. HTTP/2 has
//! no lines and no second length; its codec refuses what is malformed there.

use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    header::{CONTENT_ENCODING, HOST, TRANSFER_ENCODING},
    http::request::Parts,
};
use memchr::memchr_iter;

use crate::limits::HEADERS_MAX;

/// What the raw bytes of a head showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HeadMarks {
    bare_line_feed: bool,
    content_length: bool,
    transfer_encoding: bool,
}

/// Reads a head's lines as they arrive. A pipelined head that came in one read
/// with the request before it is not seen; hyper then closes the connection
/// after a request that had both lengths, which is as safe.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    marks: HeadMarks,
    /// The first bytes of a line that came in several reads.
    prefix: [u8; PREFIX],
    /// Bytes of the current line so far.
    length: usize,
    /// The last of them.
    last: u8,
    /// The request line was seen: the next empty line ends the head.
    begun: bool,
    done: bool,
}

/// As much of a line as is needed to know its header.
const PREFIX: usize = "transfer-encoding:".len();

impl HeadScan {
    /// The next bytes of the connection.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut begin = 0;
        for end in memchr_iter(b'\n', bytes) {
            if self.done {
                return;
            }
            let part = &bytes[begin..end];
            begin = end + 1;
            if self.length == 0 {
                self.line(part, part.last().copied());
                continue;
            }
            self.keep(part);
            let (prefix, known) = (self.prefix, self.length.min(PREFIX));
            self.line(&prefix[..known], Some(self.last));
            self.length = 0;
        }
        if !self.done {
            self.keep(&bytes[begin..]);
        }
    }

    /// A part of a line that has no end yet.
    fn keep(&mut self, part: &[u8]) {
        if self.length < PREFIX {
            let take = part.len().min(PREFIX - self.length);
            self.prefix[self.length..self.length + take].copy_from_slice(&part[..take]);
        }
        self.length += part.len();
        self.last = part.last().copied().unwrap_or(self.last);
    }

    /// A whole line without its line feed, or the beginning of one, and the
    /// byte before the line feed.
    fn line(&mut self, start: &[u8], before: Option<u8>) {
        if before != Some(b'\r') {
            self.marks.bare_line_feed = true;
        }
        match start {
            [] | [b'\r'] => self.done = self.begun,
            _ if !self.begun => self.begun = true,
            [b'c' | b'C', ..] => {
                self.marks.content_length |= has_name(start, b"content-length:");
            }
            [b't' | b'T', ..] => {
                self.marks.transfer_encoding |= has_name(start, b"transfer-encoding:");
            }
            _ => {}
        }
    }

    /// What was seen.
    pub(super) fn marks(&self) -> HeadMarks {
        self.marks
    }
}

fn has_name(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name))
}

/// Why a request is refused before anybody looks at its route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Inadmissible {
    #[error("a line of the head ends in a bare line feed; expected CR LF")]
    BareLineFeed,
    #[error("both Content-Length and Transfer-Encoding are given; expected one of them")]
    TwoLengths,
    #[error("the Transfer-Encoding is not chunked alone; expected that, once, or none")]
    TransferEncoding,
    #[error("found {0} Host headers, expected exactly one")]
    Hosts(usize),
    #[error("the Host header is no host; expected a name or an address, and a port or none")]
    Host,
    #[error("the request target names another authority than the Host header")]
    OtherAuthority,
    #[error("the request target has a scheme that is not served; expected http or https")]
    Scheme,
    #[error("the request has no authority; expected :authority, or a Host header")]
    NoAuthority,
    #[error("found {0} headers, expected at most {HEADERS_MAX}")]
    TooMany(usize),
    #[error("method {0} is not served")]
    Method(Method),
    #[error("the body has a Content-Encoding; expected none")]
    Encoded,
}

impl Inadmissible {
    /// The status it is answered with.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// The checks every request passes, whatever it asks for.
pub(super) fn admit(head: &Parts, marks: HeadMarks) -> Result<(), Inadmissible> {
    if marks.bare_line_feed {
        return Err(Inadmissible::BareLineFeed);
    }
    if marks.content_length && marks.transfer_encoding {
        return Err(Inadmissible::TwoLengths);
    }
    // One look at each of the few headers costs less than looking two names up.
    let (mut host, mut hosts, mut encoded) = (None, 0, false);
    let mut chunked = false;
    for (name, value) in &head.headers {
        if *name == HOST {
            host = Some(value.as_bytes());
            hosts += 1;
        } else if *name == CONTENT_ENCODING {
            encoded = true;
        } else if *name == TRANSFER_ENCODING {
            // hyper looks at the end of the last one only. A proxy that looks
            // elsewhere would see another end of the body.
            if chunked
                || !value
                    .as_bytes()
                    .trim_ascii()
                    .eq_ignore_ascii_case(b"chunked")
            {
                return Err(Inadmissible::TransferEncoding);
            }
            chunked = true;
        }
    }
    let host = match host {
        Some(host) if hosts == 1 => host,
        _ => return Err(Inadmissible::Hosts(hosts)),
    };
    if !is_host(host) {
        return Err(Inadmissible::Host);
    }
    // CONNECT first: its target is an authority of its own kind.
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(Inadmissible::Method(head.method.clone()));
    }
    check_authority(&head.uri, host)?;
    if encoded {
        return Err(Inadmissible::Encoded);
    }
    Ok(())
}

/// The same for HTTP/2, where `:authority` stands in for Host and may come
/// beside it, saying the same.
pub(super) fn admit_multiplexed(head: &Parts) -> Result<(), Inadmissible> {
    if head.headers.len() > HEADERS_MAX {
        return Err(Inadmissible::TooMany(head.headers.len()));
    }
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(Inadmissible::Method(head.method.clone()));
    }
    let hosted = head.headers.contains_key(HOST);
    match head.uri.authority() {
        Some(authority) if !is_host(authority.as_str().as_bytes()) => {
            return Err(Inadmissible::Host);
        }
        None if !hosted => return Err(Inadmissible::NoAuthority),
        _ => {}
    }
    if hosted {
        check_authority(&head.uri, one_host(&head.headers)?)?;
    } else {
        check_scheme(&head.uri)?;
    }
    if head.headers.contains_key(CONTENT_ENCODING) {
        return Err(Inadmissible::Encoded);
    }
    Ok(())
}

fn one_host(headers: &HeaderMap) -> Result<&[u8], Inadmissible> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => Ok(host.as_bytes()),
        (Some(_), None) => Err(Inadmissible::Host),
        (None, _) => Err(Inadmissible::Hosts(0)),
        (Some(_), Some(_)) => Err(Inadmissible::Hosts(2 + hosts.count())),
    }
}

/// Whether these can be the bytes of a Host (RFC 9112, section 3.2: anything
/// else is a 400). Whoever sees a path, a user or a list in it reads another
/// host out of it than the next one does.
fn is_host(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| HOST_BYTES[usize::from(*byte)])
}

/// Which bytes those are; a table, because every request has some.
static HOST_BYTES: [bool; 256] = {
    let mut fits = [false; 256];
    let mut byte = 0;
    while byte < fits.len() {
        fits[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~:[]%!$&'()*+;=";
    let mut at = 0;
    while at < others.len() {
        fits[others[at] as usize] = true;
        at += 1;
    }
    fits
};

fn check_scheme(uri: &Uri) -> Result<(), Inadmissible> {
    match uri.scheme_str() {
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(Inadmissible::Scheme),
    }
}

fn check_authority(uri: &Uri, host: &[u8]) -> Result<(), Inadmissible> {
    check_scheme(uri)?;
    match uri.authority() {
        None => Ok(()),
        Some(named) if named.as_str().as_bytes().eq_ignore_ascii_case(host) => Ok(()),
        Some(_) => Err(Inadmissible::OtherAuthority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks_of(head: &[u8], chunk: usize) -> HeadMarks {
        let mut scan = HeadScan::default();
        for part in head.chunks(chunk) {
            scan.feed(part);
        }
        scan.marks()
    }

    #[test]
    fn a_multiplexed_head_names_one_authority() {
        let head = |uri: &str, headers: &[(&str, &str)]| {
            let mut request = hyper::Request::builder().uri(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(()).expect("a request").into_parts().0
        };
        let host = |host| [("host", host)];
        assert_eq!(admit_multiplexed(&head("https://a:1/", &[])), Ok(()));
        assert_eq!(admit_multiplexed(&head("https://a/", &host("A"))), Ok(()));
        assert_eq!(admit_multiplexed(&head("/", &host("a"))), Ok(()));
        let two = [("host", "a"), ("host", "a")];
        let encoded = [("content-encoding", "gzip")];
        let many = vec![("x", "y"); HEADERS_MAX + 1];
        type Case<'c> = (&'c str, &'c [(&'c str, &'c str)], Inadmissible);
        let refused: [Case<'_>; 7] = [
            ("/", &[], Inadmissible::NoAuthority),
            ("https://a/", &host("b"), Inadmissible::OtherAuthority),
            ("https://a/", &two, Inadmissible::Hosts(2)),
            ("https://u@a/", &[], Inadmissible::Host),
            ("ftp://a/", &[], Inadmissible::Scheme),
            ("https://a/", &encoded, Inadmissible::Encoded),
            ("https://a/", &many, Inadmissible::TooMany(HEADERS_MAX + 1)),
        ];
        for (uri, headers, why) in refused {
            assert_eq!(admit_multiplexed(&head(uri, headers)), Err(why), "{uri}");
        }
    }

    #[test]
    fn a_transfer_encoding_is_chunked_alone() {
        let admitted = |codings: &[&str]| {
            let mut request = hyper::Request::builder().header(HOST, "a");
            for coding in codings {
                request = request.header(TRANSFER_ENCODING, *coding);
            }
            let head = request.body(()).expect("a request").into_parts().0;
            admit(&head, HeadMarks::default())
        };
        for good in [&[][..], &["chunked"], &["Chunked"], &[" chunked\t"]] {
            assert_eq!(admitted(good), Ok(()), "{good:?}");
        }
        // hyper takes each of these for chunked, as the last word of the last
        // header is.
        for bad in [
            &["gzip, chunked"][..],
            &["identity, chunked"],
            &["chunked, chunked"],
            &[",chunked"],
            &["cow", "chunked"],
            &["chunked", "chunked"],
        ] {
            assert_eq!(
                admitted(bad),
                Err(Inadmissible::TransferEncoding),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn marks_are_the_same_however_the_head_is_cut() {
        let clean = HeadMarks::default();
        let both = HeadMarks {
            content_length: true,
            transfer_encoding: true,
            ..clean
        };
        let bare = HeadMarks {
            bare_line_feed: true,
            ..clean
        };
        let cases: [(&[u8], HeadMarks); 6] = [
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\nbody", clean),
            (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", clean),
            (
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-Length:3\r\n\r\n",
                both,
            ),
            (b"GET / HTTP/1.1\nHost: a\r\n\r\n", bare),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", bare),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n", bare),
        ];
        for (head, expected) in cases {
            for chunk in [1, 2, 3, 7, head.len()] {
                let text = String::from_utf8_lossy(head);
                assert_eq!(marks_of(head, chunk), expected, "{text:?} by {chunk}");
            }
        }
    }
}

//! What may the head of an HTTP/2 request say?
//!
//! Frames that are well-formed around heads that are not, or that would mean
//! something else to the next parser: how a request is smuggled out of HTTP/2
//! into HTTP/1 behind it. A name or value that cannot be one ends the
//! connection, anything else its stream.

use super::{
    frames::{Frames, PROTOCOL, hold, post},
    h2::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM,
        End::{self, Goaway, Reset, Status},
        HEADERS, WHOLE, block, frame, good,
    },
};
use crate::tls::Site;

/// A good request with one of its headers replaced, or one more behind it.
fn with(key: &str, at: usize, header: (&str, &str)) -> Vec<u8> {
    let mut headers = good(key);
    if at < headers.len() {
        headers[at] = header;
    } else {
        headers.push(header);
    }
    frame(HEADERS, WHOLE, 1, &block(headers))
}

const LAST: usize = usize::MAX;

/// What a head says, in a frame that is well-formed.
pub(super) const MEANINGS: &[(&str, Frames, End)] = &[
    (
        "trailers may be told",
        |key| with(key, LAST, ("te", "trailers")),
        Status(200),
    ),
    (
        "a name in capitals",
        |key| with(key, LAST, ("X-Y", "z")),
        Goaway(PROTOCOL),
    ),
    (
        "a name with a space",
        |key| with(key, LAST, ("x y", "z")),
        Goaway(PROTOCOL),
    ),
    (
        "a name with a line break",
        |key| with(key, LAST, ("x\r\ny", "z")),
        Goaway(PROTOCOL),
    ),
    (
        "a name with a colon",
        |key| with(key, LAST, ("x:y", "z")),
        Goaway(PROTOCOL),
    ),
    (
        "a name of nothing",
        |key| with(key, LAST, ("", "z")),
        Goaway(PROTOCOL),
    ),
    (
        "a value with a line break",
        |key| with(key, LAST, ("x", "y\r\nz: 1")),
        Goaway(PROTOCOL),
    ),
    (
        "a value with a zero",
        |key| with(key, LAST, ("x", "y\0z")),
        Goaway(PROTOCOL),
    ),
    (
        "a header of HTTP/1: connection",
        |key| with(key, LAST, ("connection", "close")),
        Reset(PROTOCOL),
    ),
    (
        "a header of HTTP/1: transfer-encoding",
        |key| with(key, LAST, ("transfer-encoding", "chunked")),
        Reset(PROTOCOL),
    ),
    (
        "a header of HTTP/1: keep-alive",
        |key| with(key, LAST, ("keep-alive", "timeout=1")),
        Reset(PROTOCOL),
    ),
    (
        "a header of HTTP/1: upgrade",
        |key| with(key, LAST, ("upgrade", "h2c")),
        Reset(PROTOCOL),
    ),
    (
        "a header of HTTP/1: proxy-connection",
        |key| with(key, LAST, ("proxy-connection", "x")),
        Reset(PROTOCOL),
    ),
    (
        "another te than trailers",
        |key| with(key, LAST, ("te", "gzip")),
        Reset(PROTOCOL),
    ),
    (
        "a second method",
        |key| with(key, LAST, (":method", "POST")),
        Reset(PROTOCOL),
    ),
    (
        "a second path",
        |key| with(key, 3, (":method", "GET")),
        Reset(PROTOCOL),
    ),
    (
        "a path behind the headers",
        |key| {
            let mut headers = good(key);
            headers.swap(3, 4);
            frame(HEADERS, WHOLE, 1, &block(headers))
        },
        Reset(PROTOCOL),
    ),
    (
        "a field of an answer",
        |key| with(key, 1, (":status", "200")),
        Reset(PROTOCOL),
    ),
    (
        "a field nobody knows",
        |key| with(key, 1, (":surprise", "1")),
        Goaway(PROTOCOL),
    ),
    (
        "no path",
        |key| {
            let mut headers = good(key);
            headers.remove(3);
            frame(HEADERS, WHOLE, 1, &block(headers))
        },
        Reset(PROTOCOL),
    ),
    (
        "no method",
        |key| frame(HEADERS, WHOLE, 1, &block(good(key).split_off(1))),
        Reset(PROTOCOL),
    ),
    (
        "no scheme",
        |key| {
            let mut headers = good(key);
            headers.remove(1);
            frame(HEADERS, WHOLE, 1, &block(headers))
        },
        Reset(PROTOCOL),
    ),
    (
        "no authority",
        |key| {
            let mut headers = good(key);
            headers.remove(2);
            frame(HEADERS, WHOLE, 1, &block(headers))
        },
        Status(400),
    ),
    (
        "an empty path",
        |key| with(key, 3, (":path", "")),
        Reset(PROTOCOL),
    ),
    (
        "a path without its slash",
        |key| with(key, 3, (":path", "v1/openapi.json")),
        Reset(PROTOCOL),
    ),
    (
        "a path with a space",
        |key| with(key, 3, (":path", "/v1/openapi.json HTTP/1.1")),
        Reset(PROTOCOL),
    ),
    (
        "a path with a line break",
        |key| with(key, 3, (":path", "/v1/openapi.json\r\nx: y")),
        Reset(PROTOCOL),
    ),
    (
        "a path that climbs",
        |key| with(key, 3, (":path", "/v1/../metrics")),
        Status(400),
    ),
    (
        "a path that begins twice",
        |key| with(key, 3, (":path", "//v1/openapi.json")),
        Status(404),
    ),
    (
        "an authority with a user",
        |key| with(key, 2, (":authority", "u@localhost")),
        Status(400),
    ),
    (
        "an authority with a path",
        |key| with(key, 2, (":authority", "localhost/x")),
        Reset(PROTOCOL),
    ),
    (
        "an authority with a space",
        |key| with(key, 2, (":authority", "local host")),
        Reset(PROTOCOL),
    ),
    (
        "another host",
        |key| with(key, LAST, ("host", "elsewhere")),
        Status(400),
    ),
    (
        "the same host",
        |key| with(key, LAST, ("host", "localhost")),
        Status(200),
    ),
    (
        "a scheme that is not served",
        |key| with(key, 1, (":scheme", "ftp")),
        Status(400),
    ),
    (
        "a scheme that is none",
        |key| with(key, 1, (":scheme", "ht tp")),
        Reset(PROTOCOL),
    ),
    (
        "a method that is none",
        |key| with(key, 0, (":method", "GE T")),
        Goaway(PROTOCOL),
    ),
    (
        "a method nobody serves",
        |key| with(key, 0, (":method", "PURGE")),
        Status(405),
    ),
    (
        "a connect with a protocol",
        |key| {
            let mut headers = good(key);
            headers[0] = (":method", "CONNECT");
            headers.insert(1, (":protocol", "websocket"));
            frame(HEADERS, WHOLE, 1, &block(headers))
        },
        Reset(PROTOCOL),
    ),
    (
        "a head larger than allowed",
        |key| {
            let long = "y".repeat(4_000);
            let mut headers = good(key);
            headers.extend([
                ("a", &*long),
                ("b", &*long),
                ("c", &*long),
                ("d", &*long),
                ("e", &*long),
            ]);
            let block = block(headers);
            let mut sent = frame(HEADERS, END_STREAM, 1, &block[..16_000]);
            sent.extend(frame(CONTINUATION, END_HEADERS, 1, &block[16_000..]));
            sent
        },
        Status(431),
    ),
    (
        "a length that is none",
        |key| post(1, key, &[("content-length", "x")]),
        Reset(PROTOCOL),
    ),
    (
        "a body shorter than it says",
        |key| {
            let mut sent = post(1, key, &[("content-length", "9")]);
            sent.extend(frame(DATA, END_STREAM, 1, b"{}"));
            sent
        },
        Reset(PROTOCOL),
    ),
    (
        "a body longer than it says",
        |key| {
            let mut sent = post(1, key, &[("content-length", "1")]);
            sent.extend(frame(DATA, END_STREAM, 1, b"{}"));
            sent
        },
        Reset(PROTOCOL),
    ),
    (
        "a head that says there is a body, and none",
        |key| with(key, LAST, ("content-length", "5")),
        Reset(PROTOCOL),
    ),
];

#[test]
fn every_head_of_a_stream_says_one_thing() {
    let site = Site::start();
    hold(&site, MEANINGS);
}

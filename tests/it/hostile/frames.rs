//! Which frames of HTTP/2 are read, and what ends a connection?
//!
//! Each case is sent on a connection of its own, behind a preface and settings
//! unless it is about those, and has one end: the status of stream 1, a reset
//! of that stream alone, or the reason the whole connection ends for (RFC 9113,
//! section 7). Then another connection is served as if nothing had been.

use flowgate::limits::H2_STREAMS_MAX;

use super::h2::{
    ACK, CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM,
    End::{self, Goaway, Gone, Reset, Status},
    GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY, PUSH, RESET, SETTINGS, WHOLE, WINDOW, block,
    frame, good,
};
use crate::tls::Site;

/// Reasons, as RFC 9113 numbers them.
pub(super) const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const REFUSED: u32 = 7;

pub(super) type Frames = fn(&str) -> Vec<u8>;

/// A good request on this stream.
fn get(stream: u32, key: &str) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &block(good(key)))
}

/// A good head that a body of this stream follows.
pub(super) fn post(stream: u32, key: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut headers = good(key);
    headers[0] = (":method", "POST");
    headers[3] = (":path", "/v1/evaluate");
    headers.extend(more);
    frame(HEADERS, END_HEADERS, stream, &block(headers))
}

fn settings(number: u16, value: u32) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.extend(value.to_be_bytes());
    frame(SETTINGS, 0, 0, &payload)
}

/// Something, then a good request: whatever is forgiven leads to a 200.
fn then_get(mut first: Vec<u8>, key: &str) -> Vec<u8> {
    first.extend(get(1, key));
    first
}

/// Frames as such. The codec names most of what is malformed a breach of the
/// protocol, where the RFC has words for sizes and for compression.
const FRAMES: &[(&str, Frames, End)] = &[
    ("a good request", |key| get(1, key), Status(200)),
    (
        "settings of an odd length",
        |key| then_get(frame(SETTINGS, 0, 0, &[0; 5]), key),
        Goaway(PROTOCOL),
    ),
    (
        "settings of a stream",
        |key| then_get(frame(SETTINGS, 0, 1, &[]), key),
        Goaway(PROTOCOL),
    ),
    (
        "an acknowledgement with content",
        |key| then_get(frame(SETTINGS, ACK, 0, &[0; 6]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a setting of push that is none",
        |key| then_get(settings(2, 2), key),
        Goaway(PROTOCOL),
    ),
    (
        "a window that is too large",
        |key| then_get(settings(4, 1 << 31), key),
        Goaway(PROTOCOL),
    ),
    (
        "frames that are too small",
        |key| then_get(settings(5, 16_383), key),
        Goaway(PROTOCOL),
    ),
    (
        "frames that are too large",
        |key| then_get(settings(5, 1 << 24), key),
        Goaway(PROTOCOL),
    ),
    (
        "a setting nobody knows",
        |key| then_get(settings(0x1234, 7), key),
        Status(200),
    ),
    (
        "a table without end",
        |key| then_get(settings(1, u32::MAX), key),
        Status(200),
    ),
    (
        "a table of nothing",
        |key| then_get(settings(1, 0), key),
        Status(200),
    ),
    (
        "a list of headers of nothing",
        |key| then_get(settings(6, 0), key),
        Status(200),
    ),
    (
        "a ping of 7 bytes",
        |key| then_get(frame(PING, 0, 0, &[0; 7]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a ping of a stream",
        |key| then_get(frame(PING, 0, 1, &[0; 8]), key),
        Goaway(PROTOCOL),
    ),
    (
        "an answer to no ping",
        |key| then_get(frame(PING, ACK, 0, &[9; 8]), key),
        Status(200),
    ),
    (
        "a farewell of a stream",
        |key| then_get(frame(GOAWAY, 0, 1, &[0; 8]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a farewell of 7 bytes",
        |key| then_get(frame(GOAWAY, 0, 0, &[0; 7]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a window larger by nothing",
        |key| then_get(frame(WINDOW, 0, 0, &[0; 4]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a window larger than any",
        |key| then_get(frame(WINDOW, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), key),
        Goaway(FLOW_CONTROL),
    ),
    (
        "a window of 3 bytes",
        |key| then_get(frame(WINDOW, 0, 0, &[0; 3]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a window of a stream that is not there",
        |key| then_get(frame(WINDOW, 0, 1, &[0, 0, 0, 1]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a stream's window larger than any",
        |key| {
            let mut sent = post(1, key, &[]);
            sent.extend(frame(WINDOW, 0, 1, &[0x7f, 0xff, 0xff, 0xff]));
            sent
        },
        Reset(FLOW_CONTROL),
    ),
    (
        "a stream's window larger by nothing",
        |key| {
            let mut sent = post(1, key, &[]);
            sent.extend(frame(WINDOW, 0, 1, &[0; 4]));
            sent
        },
        Goaway(PROTOCOL),
    ),
    (
        "a reset of no stream",
        |key| then_get(frame(RESET, 0, 0, &[0; 4]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a reset of a stream that is not there",
        |key| then_get(frame(RESET, 0, 1, &[0; 4]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a reset of 3 bytes",
        |key| then_get(frame(RESET, 0, 1, &[0; 3]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a priority of no stream",
        |key| then_get(frame(PRIORITY, 0, 0, &[0; 5]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a priority of 4 bytes",
        |key| then_get(frame(PRIORITY, 0, 1, &[0; 4]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a stream that waits for itself",
        |key| then_get(frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 0]), key),
        Reset(PROTOCOL),
    ),
    (
        "a promise by a client",
        |key| then_get(frame(PUSH, END_HEADERS, 1, &[0, 0, 0, 2]), key),
        Goaway(PROTOCOL),
    ),
    (
        "a frame nobody knows",
        |key| then_get(frame(0xfa, 0xff, 0, &[7; 100]), key),
        Status(200),
    ),
    (
        "a frame longer than allowed",
        |key| then_get(frame(DATA, 0, 1, &[0; 16_385]), key),
        Gone,
    ),
    (
        "data of no stream",
        |key| then_get(frame(DATA, 0, 0, b"x"), key),
        Goaway(PROTOCOL),
    ),
    (
        "data of a stream that is not there",
        |key| then_get(frame(DATA, 0, 1, b"x"), key),
        Goaway(PROTOCOL),
    ),
    (
        "data that is nothing but padding",
        |key| {
            let mut sent = post(1, key, &[]);
            sent.extend(frame(DATA, PADDED, 1, &[9, 0]));
            sent
        },
        Goaway(PROTOCOL),
    ),
];

/// Heads, and the frames they come in. Continuations that were collected without
/// end are RUSTSEC-2024-0332.
const BLOCKS: &[(&str, Frames, End)] = &[
    ("a head of no stream", |key| get(0, key), Goaway(PROTOCOL)),
    (
        "a head of the server's streams",
        |key| get(2, key),
        Goaway(PROTOCOL),
    ),
    (
        "a stream lower than the last",
        |key| [get(3, key), get(1, key)].concat(),
        Goaway(PROTOCOL),
    ),
    (
        "a head with too much padding",
        |_| frame(HEADERS, WHOLE | PADDED, 1, &[200, 0, 0]),
        Goaway(PROTOCOL),
    ),
    (
        "a head that is no compression",
        |_| frame(HEADERS, WHOLE, 1, &[0x80]),
        Goaway(PROTOCOL),
    ),
    (
        "a header of a table that is empty",
        |_| frame(HEADERS, WHOLE, 1, &[0xff, 0x80, 0x01]),
        Goaway(PROTOCOL),
    ),
    (
        "a table larger than was agreed on",
        |_| frame(HEADERS, WHOLE, 1, &[0x3f, 0xe1, 0xff, 0x03]),
        Goaway(PROTOCOL),
    ),
    (
        "a text without its end",
        |_| frame(HEADERS, WHOLE, 1, &[0, 10, b'x']),
        Goaway(PROTOCOL),
    ),
    (
        "a length without its end",
        |_| {
            frame(
                HEADERS,
                WHOLE,
                1,
                &[0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            )
        },
        Goaway(PROTOCOL),
    ),
    (
        "a continuation of nothing",
        |key| frame(CONTINUATION, END_HEADERS, 1, &block(good(key))),
        Goaway(PROTOCOL),
    ),
    (
        "a continuation of another stream",
        |key| {
            let mut sent = frame(HEADERS, END_STREAM, 1, &block(good(key)));
            sent.extend(frame(CONTINUATION, END_HEADERS, 3, &[]));
            sent
        },
        Goaway(PROTOCOL),
    ),
    (
        "a ping within a head",
        |key| {
            let mut sent = frame(HEADERS, END_STREAM, 1, &block(good(key)));
            sent.extend(frame(PING, 0, 0, &[0; 8]));
            sent
        },
        Goaway(PROTOCOL),
    ),
    (
        "a head in two frames",
        |key| {
            let block = block(good(key));
            let mut sent = frame(HEADERS, END_STREAM, 1, &block[..9]);
            sent.extend(frame(CONTINUATION, END_HEADERS, 1, &block[9..]));
            sent
        },
        Status(200),
    ),
    (
        "continuations without end",
        |key| {
            let mut sent = frame(HEADERS, END_STREAM, 1, &block(good(key)));
            for _ in 0..10_000 {
                sent.extend(frame(CONTINUATION, 0, 1, &block([("x", "y")])));
            }
            sent
        },
        Gone,
    ),
    (
        "empty continuations without end",
        |key| {
            let mut sent = frame(HEADERS, END_STREAM, 1, &block(good(key)));
            for _ in 0..10_000 {
                sent.extend(frame(CONTINUATION, 0, 1, &[]));
            }
            sent
        },
        Gone,
    ),
];

/// What is allowed once and sent very often.
const FLOODS: &[(&str, Frames, End)] = &[
    (
        "settings",
        |key| then_get(settings(3, 100).repeat(5_000), key),
        Status(200),
    ),
    (
        "pings",
        |key| then_get(frame(PING, 0, 0, &[1; 8]).repeat(5_000), key),
        Status(200),
    ),
    (
        "windows",
        |key| then_get(frame(WINDOW, 0, 0, &[0, 0, 0, 1]).repeat(5_000), key),
        Status(200),
    ),
    (
        "priorities",
        |key| then_get(frame(PRIORITY, 0, 9, &[0; 5]).repeat(5_000), key),
        Status(200),
    ),
    (
        "frames nobody knows",
        |key| then_get(frame(0xfa, 0, 0, &[1; 8]).repeat(5_000), key),
        Status(200),
    ),
    (
        "empty data",
        |key| {
            let mut sent = post(1, key, &[]);
            sent.extend(frame(DATA, 0, 1, &[]).repeat(5_000));
            sent.extend(frame(DATA, END_STREAM, 1, b"{}"));
            sent
        },
        Gone,
    ),
];

/// How many cases there are.
pub(super) fn count() -> usize {
    // The preface has two of its own, and so have streams.
    4 + [FRAMES, BLOCKS, FLOODS]
        .map(<[_]>::len)
        .iter()
        .sum::<usize>()
}

fn is_served(site: &Site, key: &str) -> bool {
    let mut connection = Connection::begun(site);
    connection.send(&get(1, key));
    connection.end_of(1) == Status(200)
}

#[track_caller]
pub(super) fn hold(site: &Site, cases: &[(&str, Frames, End)]) {
    let key = site.edge.key("blocks");
    let mut wrong = Vec::new();
    for (name, frames, expected) in cases {
        let mut connection = Connection::begun(site);
        connection.send(&frames(&key));
        let found = connection.end_of(1);
        if !expected.is(found) {
            wrong.push(format!("{found:?}, expected {expected:?}: {name}"));
        }
        if matches!(found, Reset(_)) {
            // Only the stream was ended.
            connection.send(&get(99, &key));
            assert_eq!(connection.end_of(99), Status(200), "{name}");
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(is_served(site, &key));
}

#[test]
fn every_frame_has_its_place_and_its_form() {
    let site = Site::start();
    hold(&site, FRAMES);
    hold(&site, BLOCKS);
    let key = site.edge.key("blocks");
    let mut without_settings = Connection::open(&site);
    without_settings.send(&[PREFACE, &get(1, &key)].concat());
    // The codec does not insist: what was not said has its first value.
    assert_eq!(without_settings.end_of(1), Status(200));
    let mut of_the_past = Connection::open(&site);
    of_the_past.send(b"GET /v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(Gone.is(of_the_past.end_of(1)));
    assert!(is_served(&site, &key));
}

#[test]
fn what_is_allowed_once_is_not_allowed_without_end() {
    let site = Site::start();
    hold(&site, FLOODS);
    let key = site.edge.key("blocks");
    // One stream more than there may be is refused, and the others are not.
    let mut crowded = Connection::begun(&site);
    for number in 0..=H2_STREAMS_MAX {
        crowded.send(&post(1 + 2 * number, &key, &[]));
    }
    assert_eq!(crowded.end_of(1 + 2 * H2_STREAMS_MAX), Reset(REFUSED));
    crowded.send(&frame(DATA, END_STREAM, 1, b"{"));
    assert_eq!(crowded.end_of(1), Status(400));
    // Streams begun to be dropped (RUSTSEC-2023-0034 and RUSTSEC-2024-0003). Who ends the connection depends on how they
    // arrive: the codec, which counts those nobody has looked at yet, or we.
    let mut dropping = Connection::begun(&site);
    for number in 0..2_000 {
        let stream = 1 + 2 * number;
        dropping.send(&post(stream, &key, &[]));
        dropping.send(&frame(RESET, 0, stream, &[0, 0, 0, 8]));
    }
    let end = dropping.end_of(1);
    assert!(Gone.is(end), "{end:?}");
    assert!(is_served(&site, &key));
}

//! How does a case speak HTTP/2 frame by frame?
//!
//! A connection over TLS on which frames are written as bytes, also those that
//! no library would send. Header blocks are literals without compression, so
//! that a name or value can be anything.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use crate::tls::Site;

/// What a client begins with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// Flags.
pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;

/// Both ends of a request without a body.
pub(super) const WHOLE: u8 = END_STREAM | END_HEADERS;

/// How a connection answers what it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The request of stream 1 has this status.
    Status(u16),
    /// Stream 1 is reset for this reason, and the connection lives.
    Reset(u32),
    /// The connection ends for this reason.
    Goaway(u32),
    /// The connection ends. Whether the reason is read before a reset takes it
    /// away is a matter of luck when much was sent behind what it ends for.
    Gone,
}

impl End {
    /// Whether this is what was found.
    pub(super) fn is(self, found: Self) -> bool {
        self == found || (self == Self::Gone && matches!(found, Self::Goaway(_)))
    }
}

/// One frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of these literals.
pub(super) fn block<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            text_of(text.as_bytes(), &mut bytes);
        }
    }
    bytes
}

/// A text with its length before it, in as many bytes as that needs.
fn text_of(text: &[u8], bytes: &mut Vec<u8>) {
    if let Some(mut rest) = text.len().checked_sub(127) {
        bytes.push(127);
        while rest >= 128 {
            bytes.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        bytes.push(rest as u8);
    } else {
        bytes.push(text.len() as u8);
    }
    bytes.extend(text);
}

/// The head of a good request.
pub(super) fn good(key: &str) -> Vec<(&str, &str)> {
    vec![
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/v1/openapi.json"),
        ("x-api-key", key),
    ]
}

/// A connection on which HTTP/2 was agreed on and nothing was said.
pub(super) struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Connection {
    pub(super) fn open(site: &Site) -> Self {
        let stream = site.stream(b"h2");
        Self { stream }
    }

    /// Begins as every client does.
    pub(super) fn begun(site: &Site) -> Self {
        let mut connection = Self::open(site);
        connection.send(PREFACE);
        connection.send(&frame(SETTINGS, 0, 0, &[]));
        connection
    }

    /// The server may have closed already; what it said is still read.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes));
        drop(self.stream.flush());
    }

    /// Type, flags, stream and payload of the next frame.
    fn next(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & (u32::MAX >> 1);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some((head[3], stream, payload))
    }

    /// What becomes of a stream, or of all of them.
    pub(super) fn end_of(&mut self, stream: u32) -> End {
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
        };
        while let Some((kind, of, payload)) = self.next() {
            match kind {
                // Why, behind the last stream that was served.
                GOAWAY => return End::Goaway(number(&payload[4..8])),
                RESET if of == stream => return End::Reset(number(&payload)),
                HEADERS if of == stream => return End::Status(status(&payload)),
                _ => {}
            }
        }
        End::Gone
    }
}

/// The status a header block begins with.
fn status(block: &[u8]) -> u16 {
    // A new size of the table may come first.
    let at = block.iter().position(|byte| byte & 0xe0 != 0x20);
    match &block[at.expect("a field")..] {
        [indexed @ 0x88..=0x8e, ..] => {
            [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)]
        }
        [0x08 | 0x18 | 0x48, length, text @ ..] => {
            let text = &text[..usize::from(length & 0x7f)];
            match length & 0x80 {
                0 => text
                    .iter()
                    .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')),
                _ => digits(text),
            }
        }
        other => panic!("no status but {other:?}"),
    }
}

/// Three digits as Huffman writes them: 0 to 2 in five bits, others in six.
fn digits(text: &[u8]) -> u16 {
    let mut bits = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut taken = |count: u32| (0..count).fold(0, |sum, _| sum << 1 | bits.next().unwrap_or(1));
    let mut number = 0;
    for _ in 0..3 {
        let first = taken(5);
        let digit = match first {
            0..=2 => first,
            // Six bits from 0b011001 on are 3 to 9.
            _ => (first << 1 | taken(1)) - 0b01_1001 + 3,
        };
        number = number * 10 + u16::from(digit);
    }
    number
}

#[test]
fn statuses_are_read_as_they_are_written() {
    assert_eq!(status(&[0x88]), 200);
    assert_eq!(status(&[0x20, 0x8d]), 404);
    assert_eq!(status(b"\x08\x03405"), 405);
    // 421 and 307 as Huffman writes them.
    assert_eq!(digits(&[0b0110_1000, 0b0100_0001]), 421);
    assert_eq!(digits(&[0b0110_0100, 0b0000_1110, 0b1111_1111]), 307);
}

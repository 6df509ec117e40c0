//! How does a story send exactly these bytes?
//!
//! Client libraries tidy requests up and hide what an answer looks like on the
//! wire. Here a request is a text, and the answer is what came back until the
//! connection was closed.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use super::DEADLINE;

/// An answer, taken apart.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Sends `METHOD target` with these headers and body to a `http://` address.
/// Host and `Connection: close` are added.
#[track_caller]
pub fn raw(url: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> RawAnswer {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    let mut head = format!("{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).expect("the head");
    // A server that refuses the head may close before it has read the body.
    drop(stream.write_all(body));
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    taken_apart(&bytes)
}

#[track_caller]
fn taken_apart(bytes: &[u8]) -> RawAnswer {
    let text = String::from_utf8_lossy(bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("not an HTTP answer: {text:?}"));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|code| code.parse().ok());
    RawAnswer {
        status: status.unwrap_or_else(|| panic!("no status in {head:?}")),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

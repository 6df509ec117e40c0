//! How does a story follow server-sent events?
//!
//! On a socket of its own, read piece by piece: what comes is what a browser
//! would get, and nothing waits longer than the deadline of all stories.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::DEADLINE;

/// An open stream of events.
pub(crate) struct Events {
    reader: BufReader<TcpStream>,
    /// The head of the answer.
    pub(crate) head: String,
    /// Text that came and was not looked at.
    rest: String,
    /// When the last event was complete.
    pub(crate) at: Instant,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Events {
    /// Asks for a stream; the answer may be a refusal.
    #[track_caller]
    pub(crate) fn ask(url: &str, path: &str, key: &str) -> Self {
        Self::ask_with(url, path, key, "")
    }

    /// The same after an event that was told before.
    #[track_caller]
    pub(crate) fn ask_after(url: &str, path: &str, key: &str, id: &str) -> Self {
        Self::ask_with(url, path, key, &format!("last-event-id: {id}\r\n"))
    }

    #[track_caller]
    fn ask_with(url: &str, path: &str, key: &str, more: &str) -> Self {
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let key = match key {
            "" => String::new(),
            key => format!("x-api-key: {key}\r\n"),
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{key}{more}\r\n");
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = reader.read_line(&mut head).expect("a head");
            assert!(read > 0, "the answer ends in its head: {head}");
        }
        Self {
            reader,
            head,
            rest: String::new(),
            at: Instant::now(),
        }
    }

    /// Asks for a stream that must be given.
    #[track_caller]
    pub(crate) fn open(url: &str, path: &str, key: &str) -> Self {
        let events = Self::ask(url, path, key);
        assert_eq!(events.status(), 200, "{}", events.head);
        events
    }

    pub(crate) fn status(&self) -> u16 {
        self.head[9..12].parse().expect("a status")
    }

    /// The next event; none when the stream has ended.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, after)) = self.rest.split_once("\n\n") {
                let (block, after) = (block.to_owned(), after.to_owned());
                self.rest = after;
                let line = |name: &str| {
                    let mut lines = block.lines();
                    lines.find_map(|line| line.strip_prefix(name).map(str::to_owned))
                };
                // A comment is no event.
                let Some(name) = line("event: ") else {
                    continue;
                };
                self.at = Instant::now();
                return Some(Event {
                    name,
                    id: line("id: ").expect("an id"),
                    data: serde_json::from_str(&line("data: ").expect("data")).expect("JSON"),
                });
            }
            let piece = self.piece()?;
            self.rest.push_str(&piece);
        }
    }

    /// The next event, which must be of this name.
    #[track_caller]
    pub(crate) fn expect(&mut self, name: &str) -> Value {
        let event = self.next().expect("the stream goes on");
        assert_eq!(event.name, name, "{event:?}");
        event.data
    }

    /// Events until one is right.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, right: impl Fn(&Event) -> bool) -> Event {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < DEADLINE, "it never came: {what}");
            let event = self.next();
            let event = event.unwrap_or_else(|| panic!("the stream ended before: {what}"));
            if right(&event) {
                return event;
            }
        }
    }

    /// Whether nothing comes for so long.
    pub(crate) fn is_silent(&mut self, time: Duration) -> bool {
        let stream = self.reader.get_ref();
        stream.set_read_timeout(Some(time)).expect("a timeout");
        let silent = self.rest.is_empty() && self.reader.fill_buf().is_err();
        let stream = self.reader.get_ref();
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        silent
    }

    /// One chunk of the body; none at its end, or when it broke off.
    fn piece(&mut self) -> Option<String> {
        let mut size = String::new();
        if self.reader.read_line(&mut size).ok()? == 0 {
            return None;
        }
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
        if size == 0 {
            return None;
        }
        let mut bytes = vec![0; size + 2];
        self.reader.read_exact(&mut bytes).ok()?;
        bytes.truncate(size);
        Some(String::from_utf8(bytes).expect("text"))
    }
}

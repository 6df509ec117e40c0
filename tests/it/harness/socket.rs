//! How does a story hold a socket as Dopt's clients do?
//!
//! A websocket on a blocking stream and socket.io's packets as text, so that a
//! story can also say what no client says. Pings are answered on the way
//! unless a story wants otherwise.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket,
    protocol::{CloseFrame, Role},
};

use super::DEADLINE;

/// An open websocket.
pub(crate) struct Socket {
    inner: WebSocket<TcpStream>,
    /// Whether engine.io's pings are answered.
    pub(crate) answers_pings: bool,
}

/// What came of an upgrade.
pub(crate) enum Upgrade {
    Opened(Box<Socket>),
    /// The head and what else came.
    Refused(String),
}

impl Socket {
    /// Asks for the upgrade.
    #[track_caller]
    pub(crate) fn ask(url: &str, query: &str) -> Upgrade {
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let request = format!(
            "GET /v2/socket/?{query} HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut head = Vec::new();
        let mut byte = [0];
        // Not a byte beyond the head: the rest belongs to the websocket.
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        if !head.starts_with("HTTP/1.1 101") {
            return Upgrade::Refused(head);
        }
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Upgrade::Opened(Box::new(Self {
            inner: WebSocket::from_raw_socket(stream, Role::Client, None),
            answers_pings: true,
        }))
    }

    /// The websocket of a user, and its first packet.
    #[track_caller]
    pub(crate) fn open(url: &str, user: &str) -> (Self, Value) {
        let query = format!("endUserIdentifier={user}&EIO=4&transport=websocket");
        let Upgrade::Opened(mut socket) = Self::ask(url, &query) else {
            panic!("the upgrade was refused");
        };
        let first = socket.text().expect("a first packet");
        let json = first.strip_prefix('0').expect("an open packet");
        let opened = serde_json::from_str(json).expect("JSON");
        (*socket, opened)
    }

    /// A socket of a user that is let in and told so.
    #[track_caller]
    pub(crate) fn connect(url: &str, user: &str, key: &str) -> Self {
        let (mut socket, _) = Self::open(url, user);
        socket.say(&format!("40/v2/client,{{\"x-api-key\":\"{key}\"}}"));
        let connected = socket.text().expect("an answer to CONNECT");
        assert!(
            connected.starts_with("40/v2/client,{\"sid\":\""),
            "{connected}"
        );
        assert_eq!(socket.text().as_deref(), Some("42/v2/client,[\"ready\"]"));
        socket
    }

    /// Sends a text; a socket that is gone takes it, too.
    pub(crate) fn say(&mut self, text: &str) {
        drop(self.inner.send(Message::text(text)));
    }

    /// Sends an event.
    pub(crate) fn emit(&mut self, event: &Value) {
        self.say(&format!("42/v2/client,{event}"));
    }

    /// Bytes that are no text.
    pub(crate) fn say_binary(&mut self, bytes: &[u8]) {
        drop(self.inner.send(Message::binary(bytes.to_vec())));
    }

    /// The next text that is no ping; none at the end.
    #[track_caller]
    pub(crate) fn text(&mut self) -> Option<String> {
        match self.next() {
            Ok(text) => Some(text),
            Err(Ended::Closed(_) | Ended::Lost) => None,
            Err(Ended::Silent) => panic!("nothing came within the deadline"),
        }
    }

    /// The next event and its argument.
    #[track_caller]
    pub(crate) fn event(&mut self) -> (String, Value) {
        let text = self.text().expect("an event");
        let json = text
            .strip_prefix("42/v2/client,")
            .unwrap_or_else(|| panic!("{text}"));
        let mut values: Vec<Value> = serde_json::from_str(json).expect("JSON");
        let argument = if values.len() > 1 {
            values.remove(1)
        } else {
            Value::Null
        };
        (values[0].as_str().expect("a name").to_owned(), argument)
    }

    /// The first event of which this is so; those before are passed over.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, right: impl Fn(&str, &Value) -> bool) -> Value {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            let (name, argument) = self.event();
            if right(&name, &argument) {
                return argument;
            }
        }
        panic!("never came: {what}");
    }

    /// The close frame, whatever comes before it; none when the connection
    /// ends without.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> Option<CloseFrame> {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            match self.next() {
                Ok(_) => {}
                Err(Ended::Closed(frame)) => return frame,
                Err(Ended::Lost) => return None,
                Err(Ended::Silent) => break,
            }
        }
        panic!("it is not closed within the deadline");
    }

    /// Whether nothing comes for so long, pings aside.
    pub(crate) fn is_silent(&mut self, time: Duration) -> bool {
        matches!(self.next_within(time), Err(Ended::Silent))
    }

    /// Cuts the connection without a word.
    pub(crate) fn cut(self) {
        drop(self.inner.get_ref().shutdown(std::net::Shutdown::Both));
    }

    fn next(&mut self) -> Result<String, Ended> {
        self.next_within(DEADLINE)
    }

    /// The next text but pings, which go on for ever.
    fn next_within(&mut self, time: Duration) -> Result<String, Ended> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Ended::Silent);
            }
            let waiting = self.inner.get_ref().set_read_timeout(Some(left));
            waiting.expect("a timeout");
            match self.inner.read() {
                Ok(Message::Text(text)) if text == "2" => {
                    if self.answers_pings {
                        self.say("3");
                    }
                }
                Ok(Message::Text(text)) => return Ok(text.to_string()),
                Ok(Message::Close(frame)) => {
                    drop(self.inner.flush());
                    return Err(Ended::Closed(frame));
                }
                Ok(_) => {}
                Err(Error::Io(error))
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    return Err(Ended::Silent);
                }
                Err(_) => return Err(Ended::Lost),
            }
        }
    }
}

enum Ended {
    Closed(Option<CloseFrame>),
    Lost,
    Silent,
}

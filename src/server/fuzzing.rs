//! What must hold of a request, whatever stands in it?
//!
//! Targets of `crate::fuzzing`. A whole request goes over a real connection to
//! a real edge: it gets an answer of the table, in the form that clients parse,
//! and one that is refused has stored nothing.

use std::{
    cell::RefCell,
    io::{ErrorKind, Read, Write},
    mem::ManuallyDrop,
    net::TcpStream,
    time::Duration,
};

use hyper::Method;

pub(crate) use super::{
    protocol::{
        dopt::fuzz_packet as packet, flows::fuzz_ticket as ticket, unleash::fuzzing::usage,
    },
    signed::fuzzing::token as user_token,
};
use super::{
    query::{Plus, Query},
    route::{Protocol, route},
    tests::{harness::Harness, installation},
};

/// Longer than any answer takes on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests that one edge answers before its journal fills up.
const REQUESTS_PER_EDGE: u32 = 2_000;

/// Method and raw target, separated by a space.
pub(crate) fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some((method, target)) = text.split_once(' ') else {
        return;
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    let (path, raw) = target.split_once('?').unwrap_or((target, ""));
    Protocol::of(path);
    if let Ok(matched) = route(&method, path) {
        let mut segments = path.split('/');
        assert!(segments.all(|segment| segment != ".."), "{path:?}");
        assert!(path.starts_with('/') && !path.contains(['\\', ';']));
        // What is encoded is decoded once, and never into another segment.
        let slashes = matched.parameter.matches('/').count();
        let encoded = path.to_ascii_lowercase().matches("%2f").count();
        assert!(slashes <= encoded, "{path:?} gives {:?}", matched.parameter);
    }
    for plus in [Plus::Literal, Plus::Space] {
        let Ok(query) = Query::parse(raw, plus) else {
            continue;
        };
        if let Ok(user) = query.user() {
            assert!((1..=512).contains(&user.len()) && !user.contains(char::is_control));
        }
        query.group().ok();
        query.tag().ok();
        query.include_blocks().ok();
        query.force().ok();
        if let Ok(names) = query.transitions() {
            assert!((1..=32).contains(&names.len()));
        }
    }
}

/// A request as text: a line `METHOD key target`, where the key is one of the
/// words below, lines of headers, an empty line, the body.
pub(crate) fn request(bytes: &[u8]) {
    let Some(asked) = Asked::read(bytes) else {
        return;
    };
    FACE.with(|face| {
        let mut face = face.borrow_mut();
        let face = match &mut *face {
            Some(face) if face.left > 0 => face,
            old => old.insert(Face::new()),
        };
        face.ask(&asked);
    });
}

thread_local! {
    // Not dropped with its thread: the runtime's own values may be gone by then.
    static FACE: ManuallyDrop<RefCell<Option<Face>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// What is sent.
struct Asked {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Asked {
    /// What would change how the message is framed is for other tests.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
            Some(at) => (&bytes[..at], &bytes[at + 2..]),
            None => (bytes, &[][..]),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let mut words = lines.next()?.splitn(3, |byte| *byte == b' ');
        let (method, key, target) = (words.next()?, words.next()?, words.next()?);
        let is_known = [
            &b"GET"[..],
            b"POST",
            b"PUT",
            b"DELETE",
            b"OPTIONS",
            b"PATCH",
        ];
        let is_odd = |byte: &u8| *byte <= b' ' || *byte == 0x7f;
        if !is_known.contains(&method) || target.is_empty() || target.iter().any(is_odd) {
            return None;
        }
        let mut out = [method, b" ", target, b" HTTP/1.1\r\nhost: edge\r\n"].concat();
        let key = match key {
            b"server" => installation::SERVER,
            b"blocks" => installation::BLOCKS,
            b"users" => installation::USERS,
            b"web" => installation::WEB,
            b"elsewhere" => installation::ELSEWHERE,
            _ => "",
        };
        if !key.is_empty() {
            out.extend_from_slice(format!("x-api-key: {key}\r\n").as_bytes());
        }
        for line in lines {
            let name = line
                .split(|byte| *byte == b':')
                .next()?
                .to_ascii_lowercase();
            let frames = [
                &b"host"[..],
                b"content-length",
                b"transfer-encoding",
                b"connection",
                b"upgrade",
                b"expect",
                b"trailer",
                b"te",
                b"http2-settings",
                b"keep-alive",
            ];
            let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
            let is_sound = !name.is_empty() && name.iter().all(is_token) && line.len() > name.len();
            let is_odd = |byte: &u8| *byte < b' ' || *byte == 0x7f;
            if !is_sound || frames.contains(&&*name) || line.iter().any(is_odd) {
                return None;
            }
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        Some(Self {
            head: out,
            body: body.to_vec(),
        })
    }
}

/// An edge and a connection to it.
struct Face {
    harness: Harness,
    stream: Option<TcpStream>,
    left: u32,
}

impl Face {
    fn new() -> Self {
        Self {
            harness: Harness::start(),
            stream: None,
            left: REQUESTS_PER_EDGE,
        }
    }

    fn ask(&mut self, asked: &Asked) {
        self.left -= 1;
        let before = self.harness.journal.status().last_seq;
        let answer = self.answer(asked);
        let after = self.harness.journal.status().last_seq;
        answer.check();
        if (400..500).contains(&answer.status) {
            assert_eq!(before, after, "{} and something was stored", answer.status);
        }
    }

    /// The answer on the connection there is, or on a new one: an edge may
    /// close one between two requests.
    fn answer(&mut self, asked: &Asked) -> Answer {
        if let Some(stream) = self.stream.take()
            && let Some(answer) = self.answer_on(stream, asked)
        {
            return answer;
        }
        let stream = TcpStream::connect(self.harness.address()).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let answer = self.answer_on(stream, asked);
        answer.expect("a new connection is answered on")
    }

    fn answer_on(&mut self, stream: TcpStream, asked: &Asked) -> Option<Answer> {
        let mut sent = &stream;
        // A refusal may come before the whole body was sent.
        sent.write_all(&asked.head).ok();
        sent.write_all(&asked.body).ok();
        let (answer, is_open) = Answer::read(&stream)?;
        if is_open {
            self.stream = Some(stream);
        }
        Some(answer)
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// Reads one answer, and whether the connection goes on. None: it was
    /// closed before the first byte.
    fn read(mut stream: &TcpStream) -> Option<(Self, bool)> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        match stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("no answer in time: {error}"),
        }
        let mut more = |bytes: &mut Vec<u8>| {
            let count = stream.read(&mut buffer).expect("it answers in time");
            assert!(count > 0, "it closed inside of an answer");
            bytes.extend_from_slice(&buffer[..count]);
        };
        let end = loop {
            match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => more(&mut bytes),
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
        // A stream of events has no end of its own.
        let is_bounded = length.is_some();
        while bytes.len() < end + length.unwrap_or(0) {
            more(&mut bytes);
        }
        let answer = Self {
            status: head[9..12].parse().expect("a status"),
            body: bytes.split_off(end),
            head,
        };
        let is_open =
            (is_bounded || answer.status == 204) && !answer.head.contains("connection: close");
        Some((answer, is_open))
    }

    fn check(&self) {
        const KNOWN: [u16; 15] = [
            200, 202, 204, 304, 400, 401, 403, 404, 405, 409, 413, 414, 415, 429, 503,
        ];
        let Self { status, head, .. } = self;
        assert!(KNOWN.contains(status), "{head}");
        if matches!(status, 429 | 503) {
            let after = head.split("retry-after: ").nth(1).expect(head);
            let after = after.split("\r\n").next().map(str::parse::<u64>);
            assert!(matches!(after, Some(Ok(1..))), "{head}");
        }
        let is_json = head.contains("json\r\n");
        assert!(is_json || *status < 400 || self.body.is_empty(), "{head}");
        if is_json {
            let value: serde_json::Result<serde_json::Value> = serde_json::from_slice(&self.body);
            assert!(value.is_ok_and(|value| value.is_object()), "{head}");
        }
    }
}

//! Who stands between edge and store, and what do they do to documents?
//!
//! A small HTTP proxy, one thread a connection and one request a connection.
//! What it does to answers can be changed while it runs.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crate::harness::{DEADLINE, RawAnswer};

/// What to answer to a path instead of what the store says; none leaves it.
pub(crate) type Tamper = Arc<dyn Fn(&str, &RawAnswer) -> Option<Vec<u8>> + Send + Sync>;

/// How it treats who connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It answers.
    #[default]
    Serve,
    /// It hangs up.
    Away,
    /// It takes the request and says nothing.
    Silent,
    /// It answers as a store of this version does, which knows no reports.
    Version(String),
    /// It answers 503 to paths that end like this, and the store hears nothing.
    Refuses(&'static str),
    /// It answers byte by byte, so slowly that no answer ever ends.
    Drips,
}

/// The running proxy; ends when dropped.
pub(crate) struct Proxy {
    pub(crate) url: String,
    /// Requests for timestamps so far.
    pub(crate) asked: Arc<AtomicUsize>,
    /// Heads of the requests for users so far.
    users: Arc<Mutex<Vec<String>>>,
    tamper: Arc<Mutex<Option<Tamper>>>,
    mood: Arc<Mutex<Mood>>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// Stands before the store at this address.
    pub(crate) fn before(store: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let proxy = Self {
            url,
            asked: Arc::default(),
            users: Arc::default(),
            tamper: Arc::default(),
            mood: Arc::default(),
            stop: Arc::default(),
        };
        let store = store.trim_start_matches("http://").to_owned();
        let (tamper, stop) = (proxy.tamper.clone(), proxy.stop.clone());
        let (asked, mood) = (proxy.asked.clone(), proxy.mood.clone());
        let users = proxy.users.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (store, tamper, asked) = (store.clone(), tamper.clone(), asked.clone());
                let (mood, stop, users) = (mood.clone(), stop.clone(), users.clone());
                // A connection that breaks is one the edge has to live with.
                std::thread::spawn(move || {
                    let Some(mood) = attended(&mood, &stop) else {
                        return;
                    };
                    drop(serve(stream, &store, (&tamper, &mood), (&asked, &users)));
                });
            }
        });
        proxy
    }

    /// From now on answers are changed like this.
    pub(crate) fn tamper(
        &self,
        change: impl Fn(&str, &RawAnswer) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) {
        *self.tamper.lock().expect("the proxy") = Some(Arc::new(change));
    }

    /// From now on answers are left as they are.
    pub(crate) fn behave(&self) {
        *self.tamper.lock().expect("the proxy") = None;
    }

    /// Heads of the requests for users so far.
    pub(crate) fn users(&self) -> Vec<String> {
        self.users.lock().expect("the proxy").clone()
    }

    /// From now on it treats who connects like this.
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().expect("the proxy") = mood;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let address = self.url.trim_start_matches("http://");
        drop(TcpStream::connect(address));
    }
}

fn serve(
    stream: std::io::Result<TcpStream>,
    store: &str,
    (tamper, mood): (&Mutex<Option<Tamper>>, &Mood),
    (asked, users): (&AtomicUsize, &Mutex<Vec<String>>),
) -> std::io::Result<()> {
    let mut edge = stream?;
    edge.set_read_timeout(Some(DEADLINE))?;
    let request = request(&mut edge)?;
    let path = request.path.clone();
    if path.contains("/timestamp") {
        asked.fetch_add(1, Ordering::Relaxed);
    }
    if path.contains("/users") {
        users.lock().expect("the proxy").push(request.head.clone());
    }
    let forwarded = match mood {
        Mood::Refuses(end) if path.ends_with(end) => RawAnswer {
            status: 503,
            headers: Vec::new(),
            body: b"{}".to_vec(),
        },
        Mood::Version(_) if path.ends_with("/status") => RawAnswer {
            status: 404,
            headers: Vec::new(),
            body: b"{}".to_vec(),
        },
        _ => forward(store, &request)?,
    };
    let version = match mood {
        Mood::Version(version) => Some(version.as_str()),
        _ => forwarded.header("flowgate-version"),
    };
    let change = tamper.lock().expect("the proxy").clone();
    let changed = change.and_then(|change| change(&path, &forwarded));
    let (status, body) = match changed {
        Some(body) => (200, body),
        None => (forwarded.status, forwarded.body.clone()),
    };
    let mut head = format!(
        "HTTP/1.1 {status} proxied\r\nconnection: close\r\ncontent-length: {}\r\n",
        // As many seconds as a story never takes.
        if *mood == Mood::Drips {
            100_000
        } else {
            body.len()
        }
    );
    // Also beside a changed body: a validator promises nothing.
    if let Some(etag) = forwarded.header("etag") {
        head.push_str(&format!("etag: {etag}\r\n"));
    }
    if let Some(version) = version {
        head.push_str(&format!("flowgate-version: {version}\r\n"));
    }
    head.push_str("\r\n");
    edge.write_all(head.as_bytes())?;
    if *mood == Mood::Drips {
        // Until the edge hangs up: the pause is the attack.
        for byte in body.iter().cycle() {
            edge.write_all(&[*byte])?;
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
    edge.write_all(&body)
}

/// The mood a connection is served in; none when it is not. Silence lasts as
/// long as the mood does.
fn attended(mood: &Mutex<Mood>, stop: &AtomicBool) -> Option<Mood> {
    while !stop.load(Ordering::Relaxed) {
        match mood.lock().expect("the proxy").clone() {
            Mood::Silent => {}
            Mood::Away => return None,
            mood => return Some(mood),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    None
}

struct Request {
    path: String,
    head: String,
    body: Vec<u8>,
}

fn request(stream: &mut TcpStream) -> std::io::Result<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end + 4);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let found = name.eq_ignore_ascii_case("content-length");
        found.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    while body.len() < length.unwrap_or(0) {
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => body.extend_from_slice(&buffer[..read]),
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok(Request { path, head, body })
}

fn forward(store: &str, request: &Request) -> std::io::Result<RawAnswer> {
    let mut stream = TcpStream::connect(store)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut lines = request.head.split("\r\n");
    let mut head = format!("{}\r\n", lines.next().unwrap_or_default());
    for line in lines {
        if !line.to_ascii_lowercase().starts_with("connection:") {
            head.push_str(line);
            head.push_str("\r\n");
        }
    }
    head.push_str("connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&request.body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    RawAnswer::parse(&bytes).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

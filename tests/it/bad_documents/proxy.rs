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

/// The running proxy; ends when dropped.
pub(crate) struct Proxy {
    pub(crate) url: String,
    /// Requests for timestamps so far.
    pub(crate) asked: Arc<AtomicUsize>,
    tamper: Arc<Mutex<Option<Tamper>>>,
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
            tamper: Arc::default(),
            stop: Arc::default(),
        };
        let store = store.trim_start_matches("http://").to_owned();
        let (tamper, stop) = (proxy.tamper.clone(), proxy.stop.clone());
        let asked = proxy.asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (store, tamper, asked) = (store.clone(), tamper.clone(), asked.clone());
                // A connection that breaks is one the edge has to live with.
                std::thread::spawn(move || drop(serve(stream, &store, &tamper, &asked)));
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
    tamper: &Mutex<Option<Tamper>>,
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    let mut edge = stream?;
    edge.set_read_timeout(Some(DEADLINE))?;
    let request = request(&mut edge)?;
    let path = request.path.clone();
    if path.contains("/timestamp") {
        asked.fetch_add(1, Ordering::Relaxed);
    }
    let forwarded = forward(store, &request)?;
    let change = tamper.lock().expect("the proxy").clone();
    let changed = change.and_then(|change| change(&path, &forwarded));
    let (status, body) = match changed {
        Some(body) => (200, body),
        None => (forwarded.status, forwarded.body.clone()),
    };
    let mut head = format!(
        "HTTP/1.1 {status} proxied\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    // Also beside a changed body: a validator promises nothing.
    if let Some(etag) = forwarded.header("etag") {
        head.push_str(&format!("etag: {etag}\r\n"));
    }
    head.push_str("\r\n");
    edge.write_all(head.as_bytes())?;
    edge.write_all(&body)
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

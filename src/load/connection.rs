//! What does one connection of a load do?
//!
//! It waits until its next request is due, sends it, and reads the whole
//! answer. While it is busy, what becomes due waits, and that time counts. The
//! connection is driven by the same future as its requests: there is nothing
//! to supervise.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::{Either, select};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::plan::{Few, Load, Target, numbers};
use crate::http::client_tls;

/// The runtime's timer knows milliseconds. The rest is waited for awake, so
/// that a request leaves when it is due.
const AWAKE: Duration = Duration::from_millis(2);

/// A request that leaves so much after it was due, although its connection was
/// free, is late by the generator's fault.
const LATE: Duration = Duration::from_millis(5);

/// Longest time the histogram can hold, in microseconds.
const LONGEST_US: u64 = 60 * 60 * 1_000_000;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

type Open = (
    SendRequest<Full<Bytes>>,
    Connection<TokioIo<Box<dyn Socket>>, Full<Bytes>>,
);

/// One connection, and what it has seen.
pub(super) struct Lane<'l> {
    load: &'l Load,
    target: &'l Target,
    number: usize,
    tls: Option<TlsConnector>,
    open: Option<Open>,
    tally: Tally,
}

/// What was seen.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Microseconds from when a request was due to its whole answer.
    pub(super) times: Histogram<u64>,
    /// Answers by status.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Requests without an answer.
    pub(super) failed: u64,
    /// Some of the reasons.
    pub(super) reasons: Few,
    /// Requests that left late by the generator's fault.
    pub(super) late: u64,
    /// Requests that were due and never left: the run was over.
    pub(super) unsent: u64,
    /// When the last answer came, from the beginning of what counts.
    pub(super) last: Duration,
}

impl<'l> Lane<'l> {
    pub(super) fn new(load: &'l Load, number: usize) -> Self {
        let target = &load.targets[number % load.targets.len()];
        let tls = target.is_secure.then(client_tls).flatten();
        // Bounds that are constants and in order: it cannot fail.
        let times = Histogram::new_with_max(LONGEST_US, 3).expect("a histogram of these bounds");
        Self {
            load,
            target,
            number,
            tls: tls.map(|tls| TlsConnector::from(Arc::new(tls))),
            open: None,
            tally: Tally {
                times,
                statuses: BTreeMap::new(),
                failed: 0,
                reasons: Few::default(),
                late: 0,
                unsent: 0,
                last: Duration::ZERO,
            },
        }
    }

    /// Opens the connection; a failure shows with the first request.
    pub(super) async fn connect(&mut self) {
        let opened = tokio::time::timeout(self.load.patience, self.opened());
        self.open = opened.await.ok().and_then(Result::ok);
    }

    /// Sends what is due until the end of the run.
    pub(super) async fn run(mut self, begin: Instant) -> Tally {
        let first_counted = self.load.first_counted();
        let counted_from = begin + self.load.warm_up;
        let end = counted_from + self.load.duration;
        for number in numbers(self.load, self.number) {
            let due = begin + self.load.due(number);
            let was_free = Instant::now() <= due;
            wait_until(due).await;
            let now = Instant::now();
            let counts = number >= first_counted;
            if now > end {
                self.tally.unsent += u64::from(counts);
                continue;
            }
            if counts && was_free && now.duration_since(due) > LATE {
                self.tally.late += 1;
            }
            let request = self.load.request(self.target, number);
            let asked = tokio::time::timeout(self.load.patience, self.ask(request)).await;
            let answered = Instant::now();
            let outcome = match asked {
                Ok(outcome) => outcome,
                Err(_) => Err(format!(
                    "no answer within {} ms",
                    self.load.patience.as_millis()
                )),
            };
            if counts {
                let took = answered.duration_since(due);
                self.tally
                    .add(outcome, took, answered.duration_since(counted_from));
            }
        }
        self.tally
    }

    /// One request on the open connection, or on a new one. A server may close
    /// a kept connection at any time: what had not left by then is sent again.
    async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<u16, String> {
        if let Some(open) = self.open.take() {
            match self.exchange(open, request.clone()).await {
                Err(error) if error.is_canceled() => {}
                told => return told.map_err(|error| error.to_string()),
            }
        }
        let open = self.opened().await?;
        let told = self.exchange(open, request).await;
        told.map_err(|error| error.to_string())
    }

    /// One request on a connection, which is kept when it can be.
    async fn exchange(&mut self, open: Open, request: Request<Full<Bytes>>) -> hyper::Result<u16> {
        let (mut sender, mut connection) = open;
        let told = {
            let exchange = pin!(async {
                sender.ready().await?;
                let answer = sender.send_request(request).await?;
                let status = answer.status().as_u16();
                answer.into_body().collect().await?;
                Ok(status)
            });
            match select(exchange, &mut connection).await {
                Either::Left((told, _)) => told,
                Either::Right((_, exchange)) => {
                    // Nothing waits for an end that has gone.
                    drop(connection);
                    return exchange.await;
                }
            }
        };
        if told.is_ok() {
            self.open = Some((sender, connection));
        }
        told
    }

    async fn opened(&self) -> Result<Open, String> {
        let (host, port) = (self.target.host.as_str(), self.target.port);
        let tcp = TcpStream::connect((host, port)).await;
        let tcp = tcp.map_err(|error| format!("cannot connect: {error}"))?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        let socket: Box<dyn Socket> = if self.target.is_secure {
            let tls = self.tls.as_ref().ok_or("no certificates to check with")?;
            let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
            let stream = tls.connect(name, tcp).await;
            Box::new(stream.map_err(|error| format!("no TLS: {error}"))?)
        } else {
            Box::new(tcp)
        };
        let opened = http1::handshake(TokioIo::new(socket)).await;
        opened.map_err(|error| error.to_string())
    }
}

impl Tally {
    fn add(&mut self, outcome: Result<u16, String>, took: Duration, at: Duration) {
        match outcome {
            Ok(status) => {
                *self.statuses.entry(status).or_default() += 1;
                let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.times.saturating_record(us.max(1));
                self.last = self.last.max(at);
            }
            Err(reason) => {
                self.failed += 1;
                self.reasons.add(reason);
            }
        }
    }
}

/// Returns when the time has come, and not a timer's tick later.
async fn wait_until(due: Instant) {
    if let Some(asleep) = due.checked_sub(AWAKE)
        && asleep > Instant::now()
    {
        tokio::time::sleep_until(asleep).await;
    }
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

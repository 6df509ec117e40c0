//! What is counted, and how does it reach a scrape?
//!
//! One [`Metrics`] value is handed down; there is no global registry. What is
//! counted for each request is counted by the thread that serves it, in plain
//! counters nobody else writes, and summed when somebody scrapes: counting
//! costs a load and a store, never a contended cache line.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::limits::{self, LimitCounters, LimitNames};

/// A counter that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it. Only the owning thread calls this: there is no atomic
    /// read-modify-write, because there is nobody to race with.
    pub fn add(&self, by: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(by), Relaxed);
    }

    /// What was counted so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Why a connection was cut by the reaper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// The handshake took too long.
    Handshake,
    /// The head of a request came too slowly.
    Head,
    /// The body of a request came too slowly.
    Body,
    /// The peer did not take the answer.
    Write,
    /// Nothing was asked for a long time.
    Idle,
    /// Requests were begun and dropped beyond measure.
    Resets,
}

impl Reaped {
    const ALL: [Self; 6] = [
        Self::Handshake,
        Self::Head,
        Self::Body,
        Self::Write,
        Self::Idle,
        Self::Resets,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Head => "head",
            Self::Body => "body",
            Self::Write => "write",
            Self::Idle => "idle",
            Self::Resets => "resets",
        }
    }
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unagreed {
    /// What came is not TLS, or HTTP in the clear.
    NotTls,
    /// Versions, algorithms or protocols have nothing in common.
    Incompatible,
    /// A client's certificate was asked for and not shown.
    NoCertificate,
    /// A client's certificate was shown and refused.
    Certificate,
    /// The client refused us; most often it does not know our authority.
    Alert,
    /// The client went away.
    Gone,
}

impl Unagreed {
    const ALL: [Self; 6] = [
        Self::NotTls,
        Self::Incompatible,
        Self::NoCertificate,
        Self::Certificate,
        Self::Alert,
        Self::Gone,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::NoCertificate => "no_certificate",
            Self::Certificate => "certificate",
            Self::Alert => "alert",
            Self::Gone => "gone",
        }
    }
}

/// What one thread of a listener counts.
#[derive(Debug, Default)]
pub struct HttpCounters {
    /// Connections taken (acceptor).
    pub accepted: Counter,
    /// Connections closed at once because of a cap (acceptor).
    pub refused: Counter,
    /// Errors of accept itself, such as no file descriptors left (acceptor).
    pub accept_errors: Counter,
    /// Connections closed at once because the worker is behind (worker).
    pub turned_away: Counter,
    /// Connections that ended (worker).
    pub closed: Counter,
    /// Requests hyper could not parse (worker).
    pub malformed: Counter,
    /// Requests refused before any route was looked at (worker).
    pub inadmissible: Counter,
    /// Handlers that panicked (worker).
    pub panics: Counter,
    /// Addresses of a trusted proxy that could not be read (worker).
    pub unreadable_hops: Counter,
    reaped: [Counter; Reaped::ALL.len()],
    unagreed: [Counter; Unagreed::ALL.len()],
}

impl HttpCounters {
    /// Counts a connection that was cut.
    pub fn reaped(&self, why: Reaped) {
        self.reaped[why as usize].add(1);
    }

    /// How many connections were cut for this reason.
    pub fn reaped_count(&self, why: Reaped) -> u64 {
        self.reaped[why as usize].get()
    }

    /// Counts a handshake that failed.
    pub fn unagreed(&self, why: Unagreed) {
        self.unagreed[why as usize].add(1);
    }
}

/// Status classes, by the first digit of the status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is live may be, and refused for.
const OLD_STATES: [&str; 3] = ["stale", "expired", "clock-behind"];

/// What one worker counts of the requests it answers.
#[derive(Debug)]
pub struct RequestCounters {
    routes: &'static [&'static str],
    answers: Box<[[Counter; 5]]>,
    /// No key, or one nobody knows.
    pub unauthorized: Counter,
    /// A known key of the wrong kind.
    pub forbidden: Counter,
    /// By [`OLD_STATES`].
    refused_old: [Counter; OLD_STATES.len()],
    /// Automatic starts that could not be stored; the read was answered.
    pub starts_not_stored: Counter,
    /// The same for states that migration made.
    pub migrations_not_stored: Counter,
    /// The same for percentage decisions.
    pub memberships_not_stored: Counter,
}

impl RequestCounters {
    /// Counts an answer. `route` is an index into the names given at creation.
    pub fn answered(&self, route: usize, status: u16) {
        let class = usize::from(status / 100).wrapping_sub(1);
        if let Some(counter) = self.answers.get(route).and_then(|row| row.get(class)) {
            counter.add(1);
        }
    }

    /// Counts a refusal because what is live is too old, by what it is.
    pub fn too_old(&self, state: &str) {
        if let Some(at) = OLD_STATES.iter().position(|own| *own == state) {
            self.refused_old[at].add(1);
        }
    }
}

/// The one value that is handed down. Cloning it is cheap.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    threads: Arc<Threads>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// With everything this file counts already registered.
    pub fn new() -> Self {
        let threads = Arc::new(Threads::default());
        let mut registry = Registry::with_prefix("flowgate");
        registry.register_collector(Box::new(Arc::clone(&threads)));
        Self {
            registry: Arc::new(Mutex::new(registry)),
            threads,
        }
    }

    /// Counters for one thread of the listener with this name.
    pub fn http(&self, listener: &'static str) -> Arc<HttpCounters> {
        let counters = Arc::new(HttpCounters::default());
        let mut all = lock(&self.threads.http);
        all.push((listener, Arc::clone(&counters)));
        counters
    }

    /// Counters for one worker that answers these routes.
    pub fn requests(&self, routes: &'static [&'static str]) -> Arc<RequestCounters> {
        let counters = Arc::new(RequestCounters {
            routes,
            answers: routes.iter().map(|_| Default::default()).collect(),
            unauthorized: Counter::default(),
            forbidden: Counter::default(),
            refused_old: Default::default(),
            starts_not_stored: Counter::default(),
            migrations_not_stored: Counter::default(),
            memberships_not_stored: Counter::default(),
        });
        lock(&self.threads.requests).push(Arc::clone(&counters));
        counters
    }

    /// Counters for one worker that refuses what is too much.
    pub fn limits(&self, names: &'static LimitNames) -> Arc<LimitCounters> {
        let counters = Arc::new(LimitCounters::new(names));
        lock(&self.threads.limits).push(Arc::clone(&counters));
        counters
    }

    /// Lets another room register what it measures.
    pub fn register(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut lock(&self.registry));
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut out = String::with_capacity(4096);
        text::encode(&mut out, &lock(&self.registry))?;
        Ok(out)
    }
}

/// A panic while a list was pushed to leaves a complete list behind.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The counters of all threads, summed by whoever scrapes.
#[derive(Debug, Default)]
struct Threads {
    http: Mutex<Vec<(&'static str, Arc<HttpCounters>)>>,
    requests: Mutex<Vec<Arc<RequestCounters>>>,
    limits: Mutex<Vec<Arc<LimitCounters>>>,
}

impl Collector for Threads {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.encode_http(&mut encoder)?;
        self.encode_requests(&mut encoder)?;
        limits::encode(&mut encoder, &lock(&self.limits))
    }
}

/// A counter's name, its help and where its value stands.
type HttpRow = (&'static str, &'static str, fn(&HttpCounters) -> u64);

const HTTP_ROWS: [HttpRow; 8] = [
    ("connections_accepted", "Connections taken", |c| {
        c.accepted.get()
    }),
    ("connections_refused", "Closed at once by a cap", |c| {
        c.refused.get()
    }),
    (
        "connections_turned_away",
        "Closed at once under too much load",
        |c| c.turned_away.get(),
    ),
    ("accept_errors", "Errors of accept itself", |c| {
        c.accept_errors.get()
    }),
    ("requests_malformed", "Requests that do not parse", |c| {
        c.malformed.get()
    }),
    (
        "requests_inadmissible",
        "Requests refused before routing",
        |c| c.inadmissible.get(),
    ),
    ("handler_panics", "Handlers that panicked", |c| {
        c.panics.get()
    }),
    (
        "proxy_hops_unreadable",
        "Requests of a trusted proxy whose client could not be read",
        |c| c.unreadable_hops.get(),
    ),
];

/// What reads could not keep: its name, its help and where its value stands.
type UnstoredRow = (&'static str, &'static str, fn(&RequestCounters) -> u64);

const UNSTORED_ROWS: [UnstoredRow; 3] = [
    (
        "starts_not_stored",
        "Automatic starts that could not be stored; the read was answered",
        |c| c.starts_not_stored.get(),
    ),
    (
        "migrations_not_stored",
        "Migrated states that could not be stored; the read was answered",
        |c| c.migrations_not_stored.get(),
    ),
    (
        "memberships_not_stored",
        "Percentage decisions that could not be stored; the read was answered",
        |c| c.memberships_not_stored.get(),
    ),
];

impl Threads {
    fn encode_http(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let threads = lock(&self.http);
        let mut listeners: Vec<&'static str> = threads.iter().map(|(name, _)| *name).collect();
        listeners.sort_unstable();
        listeners.dedup();
        let sum = |listener: &str, of: &dyn Fn(&HttpCounters) -> u64| -> u64 {
            let own = threads.iter().filter(|(name, _)| *name == listener);
            own.map(|(_, counters)| of(counters)).sum()
        };

        for (name, help, of) in HTTP_ROWS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for &listener in &listeners {
                let value = ConstCounter::new(sum(listener, &of));
                value.encode(family.encode_family(&[("listener", listener)])?)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "connections_reaped",
            "Connections cut because they were too slow or idle",
            None,
            MetricType::Counter,
        )?;
        for &listener in &listeners {
            for why in Reaped::ALL {
                let value = ConstCounter::new(sum(listener, &|c| c.reaped_count(why)));
                let labels = [("listener", listener), ("why", why.name())];
                value.encode(family.encode_family(&labels)?)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "handshakes_failed",
            "TLS handshakes that failed",
            None,
            MetricType::Counter,
        )?;
        for &listener in &listeners {
            for why in Unagreed::ALL {
                let value = sum(listener, &|c| c.unagreed[why as usize].get());
                // Listeners in the clear have no such time series.
                if value > 0 {
                    let labels = [("listener", listener), ("why", why.name())];
                    ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        let mut family = encoder.encode_descriptor(
            "connections_open",
            "Connections now open",
            None,
            MetricType::Gauge,
        )?;
        for &listener in &listeners {
            // Acceptor and workers count on their own; in between a scrape may
            // see the end of a connection before its beginning.
            let accepted = sum(listener, &|c| c.accepted.get());
            let open = accepted.saturating_sub(sum(listener, &|c| c.closed.get()));
            let value = ConstGauge::new(i64::try_from(open).unwrap_or(i64::MAX));
            value.encode(family.encode_family(&[("listener", listener)])?)?;
        }
        Ok(())
    }

    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let workers = lock(&self.requests);
        let Some(first) = workers.first() else {
            return Ok(());
        };
        let mut family = encoder.encode_descriptor(
            "requests",
            "Requests answered, by route and status class",
            None,
            MetricType::Counter,
        )?;
        for (at, &route) in first.routes.iter().enumerate() {
            for (class, &status) in CLASSES.iter().enumerate() {
                let rows = workers.iter().filter_map(|w| w.answers.get(at));
                let value: u64 = rows.map(|row| row[class].get()).sum();
                // A route never asked for with this outcome is no time series.
                if value > 0 {
                    let labels = [("route", route), ("status", status)];
                    ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        let mut family = encoder.encode_descriptor(
            "auth_failures",
            "Requests without a key that may do this",
            None,
            MetricType::Counter,
        )?;
        let unauthorized: u64 = workers.iter().map(|w| w.unauthorized.get()).sum();
        let forbidden: u64 = workers.iter().map(|w| w.forbidden.get()).sum();
        for (why, value) in [("unauthorized", unauthorized), ("forbidden", forbidden)] {
            ConstCounter::new(value).encode(family.encode_family(&[("why", why)])?)?;
        }
        let (name, help) = (
            "requests_refused_old",
            "Requests for which what is live is too old",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (at, state) in OLD_STATES.into_iter().enumerate() {
            let value: u64 = workers.iter().map(|w| w.refused_old[at].get()).sum();
            ConstCounter::new(value).encode(family.encode_family(&[("state", state)])?)?;
        }
        for (name, help, of) in UNSTORED_ROWS {
            let value = workers.iter().map(|w| of(w)).sum();
            let family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::<u64>::new(value).encode(family)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_sums_the_threads_of_a_listener() {
        let metrics = Metrics::new();
        let (one, two) = (metrics.http("edge"), metrics.http("edge"));
        one.accepted.add(3);
        two.closed.add(1);
        two.reaped(Reaped::Body);
        let routes = &["flow_get", "evaluate"];
        let (a, b) = (metrics.requests(routes), metrics.requests(routes));
        a.answered(0, 200);
        b.answered(0, 204);
        b.answered(1, 503);

        let text = metrics.encode().expect("it encodes");
        for line in [
            "flowgate_connections_accepted_total{listener=\"edge\"} 3",
            "flowgate_connections_open{listener=\"edge\"} 2",
            "flowgate_connections_reaped_total{listener=\"edge\",why=\"body\"} 1",
            "flowgate_requests_total{route=\"flow_get\",status=\"2xx\"} 2",
            "flowgate_requests_total{route=\"evaluate\",status=\"5xx\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}

//! How do operators look at a running edge?
//!
//! `/health` says that the process answers, `/ready` that every required
//! environment answers an evaluation, `/metrics` and `/status` the rest.
//! What is live is read from the live value itself; what only other rooms
//! know (attempts, backlog) comes from a [`StatusSource`].

use std::{fmt, net::SocketAddr, rc::Rc, sync::Arc};

use hyper::{Method, StatusCode, header::ALLOW, header::HeaderValue};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use serde_json::{Value, json};

use crate::{
    clock::{Ambient, UnixMs},
    current::{Current, Environment},
    evaluate::{Subject, SubjectView, Tag, decide},
    http::{Answer, Request, Service, json_bytes, problem},
    telemetry::metrics::Metrics,
};

/// What other rooms know about the state of the process.
pub trait StatusSource: Send + Sync + 'static {
    /// The facts now. Called for each scrape and status request; cheap.
    fn facts(&self) -> Facts;
}

/// See [`StatusSource`].
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The process is stopping: not ready, whatever it could answer.
    pub stopping: bool,
    /// Every environment this edge is to serve, live or not.
    pub environments: Vec<EnvironmentFacts>,
    /// How progress is doing.
    pub progress: ProgressFacts,
}

/// One environment as configuration and refresh know it.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentFacts {
    /// Its name.
    pub name: String,
    /// Not ready without it.
    pub required: bool,
    /// How its refresh is doing.
    pub refresh: RefreshFacts,
}

/// How refreshing one environment goes.
#[derive(Clone, Debug, Default)]
pub struct RefreshFacts {
    /// When upstream was asked last.
    pub last_attempt_ms: Option<UnixMs>,
    /// When it answered last with something that was accepted or not newer.
    pub last_success_ms: Option<UnixMs>,
    /// Failed attempts so far.
    pub failures: u64,
    /// What is live came from this edge's disk and was not confirmed since.
    pub from_disk: bool,
    /// The current pack was damaged and the one before it came up.
    pub fell_back: bool,
    /// Why the last attempt failed; none after a success.
    pub error: Option<String>,
}

/// How progress is doing.
#[derive(Clone, Debug, Default)]
pub struct ProgressFacts {
    /// Whether writes are taken.
    pub writable: bool,
    /// Records that are not applied upstream yet.
    pub backlog_records: u64,
    /// Bytes the journal takes on disk.
    pub journal_bytes: u64,
    /// Journals of earlier runs that are not empty yet.
    pub journals_open: u64,
    /// Shipped records so far by outcome: applied, already, superseded, dead.
    pub outcomes: [u64; 4],
    /// Commits of the journal that failed.
    pub failed_commits: u64,
    /// Users in memory, about.
    pub users_cached: u64,
    /// Background tasks that panicked and have ended.
    pub task_panics: u64,
    /// Why the last shipping attempt failed; none after a success.
    pub error: Option<String>,
}

/// What the admin listener needs.
#[derive(Clone)]
pub struct Admin {
    /// The live snapshots.
    pub current: Arc<Current>,
    /// Wall time.
    pub ambient: Ambient,
    /// What was counted.
    pub metrics: Metrics,
    /// What other rooms know.
    pub status: Arc<dyn StatusSource>,
}

impl Admin {
    /// Registers what is measured at a scrape. Once, before the first service.
    pub fn register(&self) {
        let measured = Measured(self.clone());
        self.metrics
            .register(|registry| registry.register_collector(Box::new(measured)));
    }

    /// The service of a worker; one is enough.
    pub fn service(&self) -> AdminService {
        AdminService(self.clone())
    }
}

/// Answers operators.
pub struct AdminService(Admin);

impl Service for AdminService {
    type Memory = ();

    fn connected(&self, _: SocketAddr) {}

    async fn call(self: Rc<Self>, _: Rc<()>, request: Request) -> Answer {
        let path = request.uri().path();
        if !matches!(path, "/health" | "/ready" | "/metrics" | "/status") {
            let text = "expected /health, /ready, /metrics or /status";
            return problem(StatusCode::NOT_FOUND, "not_found_error", text);
        }
        if request.method() != Method::GET {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let mut answer = problem(status, "invalid_request_error", "expected GET");
            let headers = answer.headers_mut();
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
            return answer;
        }
        match path {
            "/health" => json_answer(StatusCode::OK, &json!({"status": "ok"})),
            "/ready" => self.0.ready(),
            "/metrics" => self.0.scrape(),
            _ => json_answer(StatusCode::OK, &self.0.report()),
        }
    }
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    json_bytes(status, "application/json", body.to_string())
}

impl Admin {
    fn ready(&self) -> Answer {
        let facts = self.status.facts();
        let missing = self.missing(&facts);
        if facts.stopping || !missing.is_empty() {
            let state = if facts.stopping {
                "stopping"
            } else {
                "waiting"
            };
            let body = json!({"status": state, "missing": missing});
            return json_answer(StatusCode::SERVICE_UNAVAILABLE, &body);
        }
        json_answer(StatusCode::OK, &json!({"status": "ready"}))
    }

    /// Required environments that do not answer an evaluation.
    fn missing<'f>(&self, facts: &'f Facts) -> Vec<&'f str> {
        let live = self.current.load();
        let now = self.ambient.now_ms();
        let required = facts.environments.iter().filter(|facts| facts.required);
        let names = required.map(|facts| facts.name.as_str());
        names
            .filter(|name| {
                live.named(name)
                    .is_none_or(|environment| !answers(environment, now))
            })
            .collect()
    }

    fn scrape(&self) -> Answer {
        match self.metrics.encode() {
            Ok(text) => json_bytes(
                StatusCode::OK,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                text,
            ),
            Err(_) => problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_server_error",
                "the metrics could not be written",
            ),
        }
    }

    fn report(&self) -> Value {
        let facts = self.status.facts();
        let live = self.current.load();
        let now = self.ambient.now_ms();
        let environments = facts.environments.iter().map(|facts| {
            let environment = live.named(&facts.name).map(|live| &**live);
            environment_report(facts, environment, now)
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ready": !facts.stopping && self.missing(&facts).is_empty(),
            "stopping": facts.stopping,
            "environments": environments.collect::<Vec<_>>(),
            "progress": {
                "writable": facts.progress.writable,
                "backlog_records": facts.progress.backlog_records,
                "journal_bytes": facts.progress.journal_bytes,
                "journals_open": facts.progress.journals_open,
                "failed_commits": facts.progress.failed_commits,
                "shipped": shipped(&facts.progress.outcomes),
                "users_cached": facts.progress.users_cached,
                "error": facts.progress.error,
            },
        })
    }
}

/// Names of [`ProgressFacts::outcomes`], in order.
const OUTCOMES: [&str; 4] = ["applied", "already", "superseded", "dead"];

fn shipped(outcomes: &[u64; 4]) -> Value {
    let named = OUTCOMES.iter().zip(outcomes);
    named
        .map(|(name, count)| ((*name).to_owned(), Value::from(*count)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn environment_report(facts: &EnvironmentFacts, live: Option<&Environment>, now: UnixMs) -> Value {
    let set_aside = live.map(|live| {
        let list = live.snapshot.set_aside.iter();
        list.map(|left| json!({"flow": left.flow, "version": left.version, "why": left.why}))
            .collect::<Vec<_>>()
    });
    json!({
        "name": facts.name,
        "required": facts.required,
        "live": live.is_some(),
        "revision": live.map(|live| live.snapshot.revision.to_string()),
        "age_s": live.map(|live| age_s(live, now)),
        "stale": live.map(|live| live.freshness.is_stale(now)),
        "flows": live.map(|live| live.snapshot.flows.len()),
        "set_aside": set_aside.unwrap_or_default(),
        "last_attempt_ms": facts.refresh.last_attempt_ms,
        "last_success_ms": facts.refresh.last_success_ms,
        "failures": facts.refresh.failures,
        "from_disk": facts.refresh.from_disk,
        "fell_back": facts.refresh.fell_back,
        "error": facts.refresh.error,
    })
}

fn age_s(environment: &Environment, now: UnixMs) -> u64 {
    now.saturating_sub(environment.freshness.issued_ms) / 1_000
}

/// Whether an evaluation comes to an answer. An environment without flows
/// answers everything with "unknown flow", which is an answer.
fn answers(environment: &Environment, now: UnixMs) -> bool {
    let nobody = Subject::default();
    let view = SubjectView {
        user: &nobody,
        group: None,
        attributes: None,
        conversation: None,
    };
    let snapshot = &environment.snapshot;
    let sid = snapshot.flows.keys().next().map_or("", |sid| sid);
    let decision = decide(snapshot, &view, sid, Tag::Latest, |_| true, now);
    snapshot.flows.is_empty() || decision.flow.is_some()
}

/// Gauges whose values are looked up at the scrape.
struct Measured(Admin);

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured").finish_non_exhaustive()
    }
}

impl Collector for Measured {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let facts = self.0.status.facts();
        let now = self.0.ambient.now_ms();
        let live = self.0.current.load();
        let rows: [(&str, &str, fn(&Environment, UnixMs) -> u64); 4] = [
            ("snapshot_revision", "Number of the revision", |live, _| {
                live.snapshot.revision.number
            }),
            ("snapshot_age_seconds", "Since it was signed", age_s),
            (
                "snapshot_stale",
                "1 past its fresh-until time",
                |live, now| u64::from(live.freshness.is_stale(now)),
            ),
            (
                "snapshot_set_aside",
                "Flows and versions left out",
                |live, _| live.snapshot.set_aside.len() as u64,
            ),
        ];
        for (name, help, of) in rows {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for environment in live.all() {
                let labels = [("environment", &*environment.snapshot.environment)];
                gauge(of(environment, now)).encode(family.encode_family(&labels)?)?;
            }
        }
        let progress = &facts.progress;
        for (name, help, value) in [
            (
                "progress_writable",
                "1 while writes are taken",
                u64::from(progress.writable),
            ),
            (
                "progress_backlog_records",
                "Not applied upstream yet",
                progress.backlog_records,
            ),
            (
                "journal_bytes",
                "Bytes of the journal on disk",
                progress.journal_bytes,
            ),
            (
                "journal_failed_commits",
                "Commits of the journal that failed",
                progress.failed_commits,
            ),
            (
                "journals_open",
                "Journals of earlier runs that are not shipped yet",
                progress.journals_open,
            ),
            ("users_cached", "Users in memory", progress.users_cached),
            (
                "task_panics",
                "Background tasks that panicked and have ended",
                progress.task_panics,
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            gauge(value).encode(metric)?;
        }
        let help = "Records the ledger has settled";
        let mut family = encoder.encode_descriptor("records", help, None, MetricType::Gauge)?;
        for (outcome, count) in OUTCOMES.iter().zip(progress.outcomes) {
            let labels = [("outcome", *outcome)];
            gauge(count).encode(family.encode_family(&labels)?)?;
        }
        let help = "Refreshes that failed";
        let mut family =
            encoder.encode_descriptor("refresh_failures", help, None, MetricType::Gauge)?;
        for environment in &facts.environments {
            let labels = [("environment", environment.name.as_str())];
            gauge(environment.refresh.failures).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

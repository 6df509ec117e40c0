//! How do operators look at a running edge?
//!
//! `/health` says that the process answers, `/ready` that every required
//! environment answers an evaluation, `/metrics` and `/status` the rest.
//! What is live is read from the live value itself; what only other rooms
//! know (attempts, backlog) comes from a [`StatusSource`].

mod facts;
mod measured;

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use hyper::{Method, StatusCode, header::ALLOW, header::HeaderValue};
use serde_json::{Value, json};

pub use facts::{
    ChangesFacts, EnvironmentFacts, Facts, JournalFacts, ProgressFacts, RefreshFacts, StatusSource,
};

use self::{facts::OUTCOMES, measured::Measured};

use crate::{
    clock::{Ambient, UnixMs},
    current::{Current, Environment},
    evaluate::{Ask, Subject, SubjectView, decide},
    http::{Answer, Request, Service, json_bytes, problem, scrape},
    telemetry::metrics::Metrics,
};

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
            "/metrics" => scrape(&self.0.metrics),
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
            "progress": progress_report(&facts.progress),
        })
    }
}

fn progress_report(progress: &ProgressFacts) -> Value {
    let shipped: serde_json::Map<String, Value> = OUTCOMES
        .into_iter()
        .zip(progress.outcomes)
        .map(|(name, count)| (name.to_owned(), count.into()))
        .collect();
    json!({
        "writable": progress.refuses.is_none(),
        "refuses": progress.refuses,
        "backlog_records": progress.backlog_records,
        "journal_bytes": progress.journal.bytes,
        "journals_open": progress.journals_open,
        "shipped": shipped,
        "forks": progress.forks,
        "users_cached": progress.users_cached,
        "steps_capped": progress.steps_capped,
        "users_resident": progress.users_resident,
        "users_on_disk": progress.users_on_disk,
        "failed_commits": progress.journal.failed_commits,
        "task_panics": progress.task_panics,
        "error": progress.error,
        "journal": journal_report(&progress.journal),
    })
}

fn journal_report(journal: &JournalFacts) -> Value {
    let unsettled: serde_json::Map<String, Value> = journal
        .unsettled_bytes
        .iter()
        .map(|(name, bytes)| (name.clone(), (*bytes).into()))
        .collect();
    json!({
        "bytes": journal.bytes,
        "bytes_max": journal.bytes_max,
        "occupied_bytes": journal.occupied_bytes,
        "pressure": journal.pressure,
        "unsettled_bytes": unsettled,
        "environment_bytes_max": journal.environment_bytes_max,
        "quarantined_bytes": journal.quarantined_bytes,
        "error": journal.error,
    })
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
        "changes": {
            "connected": facts.changes.connected,
            "last_answer_ms": facts.changes.last_answer_ms,
            "changes": facts.changes.changes,
            "gaps": facts.changes.gaps,
            "error": facts.changes.error,
        },
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
    let ask = Ask {
        sid,
        ..Ask::default()
    };
    let decision = decide(snapshot, &view, &ask, |_| true, now);
    snapshot.flows.is_empty() || decision.flow.is_some()
}

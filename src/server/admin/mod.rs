//! How do operators look at a running edge?
//!
//! `/health` says that the process answers, `/ready` that every required
//! environment answers an evaluation, `/metrics` and `/status` the rest.
//! What is live is read from the live value itself; what only other rooms
//! know (attempts, backlog) comes from a [`StatusSource`].

mod facts;
mod heard;
mod measured;
mod ready;
mod report;
mod supply;

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use hyper::{Method, StatusCode, header::ALLOW, header::HeaderValue};
use serde_json::{Value, json};

pub use facts::{
    ChangeFacts, ChangesFacts, EnvironmentFacts, Facts, HeldFacts, JournalFacts, ProgressFacts,
    RefreshFacts, StatusSource, UpstreamFacts,
};

pub(super) use heard::Heard;

use self::measured::Measured;

use crate::{
    clock::{Ambient, UnixMs},
    current::{Current, Environment},
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
            "/ready" => self.0.ready(request.uri().query().unwrap_or_default()),
            "/metrics" => scrape(&self.0.metrics),
            _ => json_answer(StatusCode::OK, &self.0.report()),
        }
    }
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    json_bytes(status, "application/json", body.to_string())
}

/// Since the timestamp in force was signed.
fn age_s(environment: &Environment, now: UnixMs) -> u64 {
    seconds_since(environment.freshness.issued_ms, now)
}

fn seconds_since(then: UnixMs, now: UnixMs) -> u64 {
    now.saturating_sub(then) / 1_000
}

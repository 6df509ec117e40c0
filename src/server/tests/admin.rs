//! What operators see.
//! The admin listener beside a running edge.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use super::{
    harness::{Harness, ask},
    installation::BLOCKS,
};
use crate::{
    http::{self, Deadlines, Listener, Options},
    server::{Admin, EnvironmentFacts, Facts, StatusSource},
};

struct Known(Mutex<Facts>);

impl StatusSource for Known {
    fn facts(&self) -> Facts {
        self.0.lock().expect("no panic").clone()
    }
}

fn required(name: &str) -> EnvironmentFacts {
    EnvironmentFacts {
        name: name.to_owned(),
        required: true,
        ..EnvironmentFacts::default()
    }
}

/// The admin listener of this edge.
fn serve(edge: &Harness, known: &Arc<Known>) -> http::Server {
    let admin = Admin {
        current: Arc::clone(&edge.edge.current),
        ambient: edge.edge.ambient.clone(),
        metrics: edge.edge.metrics.clone(),
        status: known.clone(),
    };
    admin.register();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let options = Options {
        name: "admin",
        workers: NonZeroUsize::MIN,
        connections_max: 10,
        connections_per_address_max: 10,
        deadlines: Deadlines::default(),
    };
    let server = http::serve(listener, options, &edge.edge.metrics, move |_| {
        admin.service()
    });
    server.expect("threads start")
}

#[tokio::test]
async fn ready_means_that_every_required_environment_answers() {
    let edge = Harness::start();
    let facts = Facts {
        environments: vec![required("development")],
        ..Facts::default()
    };
    let known = Arc::new(Known(Mutex::new(facts)));
    let server = serve(&edge, &known);
    let get = async |path: &str| ask(server.address(), "GET", path, &[], "").await;

    assert_eq!(get("/health").await.status, 200);
    assert_eq!(get("/ready").await.status, 200);
    edge.get(BLOCKS, "/v2/flow/welcome?version=1&userIdentifier=u")
        .await;
    let metrics = get("/metrics").await;
    assert_eq!(metrics.status, 200);
    let status = get("/status").await.json();
    let environment = &status["environments"][0];
    assert_eq!(environment["revision"], "0.17");
    assert_eq!(environment["live"], true);
    assert_eq!(status["ready"], true);
    let text = edge.edge.metrics.encode().expect("it encodes");
    for line in [
        "flowgate_requests_total{route=\"dopt_flow\",status=\"2xx\"} 1",
        "flowgate_snapshot_revision{environment=\"development\"} 17",
        "flowgate_records_total{outcome=\"dead\"} 0",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }

    known
        .0
        .lock()
        .expect("no panic")
        .environments
        .push(required("production"));
    let reply = get("/ready").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["missing"][0], "production");
    known.0.lock().expect("no panic").environments.pop();
    known.0.lock().expect("no panic").stopping = true;
    assert_eq!(get("/ready").await.json()["status"], "stopping");
    assert_eq!(get("/nothing").await.status, 404);
    let wrong = ask(server.address(), "POST", "/health", &[], "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET")));
}

#[tokio::test]
async fn a_journal_that_cannot_write_stops_nothing_but_writes() {
    let edge = Harness::start();
    let mut optional = required("development");
    optional.required = false;
    let mut facts = Facts {
        environments: vec![optional],
        ..Facts::default()
    };
    facts.progress.refuses = Some("disk");
    let known = Arc::new(Known(Mutex::new(facts)));
    let server = serve(&edge, &known);
    let get = async |path: &str| ask(server.address(), "GET", path, &[], "").await;
    for (path, status) in [
        ("/ready", 200),
        // Nothing is required, so nothing is missing.
        ("/ready?for=write", 200),
        ("/ready?environment=development", 200),
        ("/ready?environment=development&for=read", 200),
        ("/ready?environment=development&for=write", 503),
        ("/ready?environment=production", 404),
        ("/ready?for=both", 400),
    ] {
        assert_eq!(get(path).await.status, status, "{path}");
    }
    let body = get("/ready?environment=development&for=write").await.json();
    assert_eq!(body["missing"][0], "development");
    assert_eq!(body["why"][0]["reason"], "journal", "{body}");
    known.0.lock().expect("no panic").environments[0].required = true;
    let status = get("/status").await.json();
    assert_eq!(
        (&status["ready"], &status["ready_for_writes"]),
        (&true.into(), &false.into())
    );
}

#[tokio::test]
async fn silence_has_an_age_and_a_bound() {
    let edge = Harness::start();
    let now = edge.edge.ambient.now_ms();
    let mut environment = required("development");
    environment.silent_after_ms = 70_000;
    // A task that died right after it asked, and a stream that is fine.
    environment.refresh.last_attempt_ms = Some(now - 100_000);
    environment.refresh.root_expires_ms = Some(now - 5_000);
    environment.refresh.failures = vec![("upstream_away", 3), ("fork", 1)];
    environment.changes.last_answer_ms = Some(now - 1_000);
    let known = Arc::new(Known(Mutex::new(Facts {
        environments: vec![environment],
        ..Facts::default()
    })));
    let server = serve(&edge, &known);
    let status = ask(server.address(), "GET", "/status", &[], "")
        .await
        .json();
    let own = &status["environments"][0];
    assert_eq!(own["silent"], true, "{own}");
    assert_eq!(own["changes"]["silent"], false, "{own}");
    assert!(own["last_attempt_age_s"].as_u64() >= Some(100), "{own}");
    assert_eq!(own["failures"], 4, "{own}");
    assert_eq!(own["failures_by_reason"]["fork"], 1, "{own}");
    let text = edge.edge.metrics.encode().expect("it encodes");
    let own = "environment=\"development\"";
    for line in [
        format!("flowgate_refresh_silent{{{own}}} 1"),
        format!("flowgate_changes_silent{{{own}}} 0"),
        format!("flowgate_refresh_failures_total{{{own},reason=\"upstream_away\"}} 3"),
        format!("flowgate_snapshot_epoch{{{own}}} 0"),
        format!("flowgate_snapshot_state{{{own},state=\"fresh\"}} 1"),
        format!("flowgate_root_expires_in_seconds{{{own}}} -"),
        "flowgate_min_revision_waits_total{outcome=\"late\"} 0".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is missing in\n{text}");
    }
    // Nothing to say yet is not 0 seconds.
    assert!(!text.contains("flowgate_refresh_last_confirmed_age_seconds{"));
}

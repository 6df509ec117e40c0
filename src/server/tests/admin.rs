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

#[tokio::test]
async fn ready_means_that_every_required_environment_answers() {
    let edge = Harness::start();
    let facts = Facts {
        environments: vec![required("development")],
        ..Facts::default()
    };
    let known = Arc::new(Known(Mutex::new(facts)));
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
    let server = server.expect("threads start");
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

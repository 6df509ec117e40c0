//! Do real answers look as the OpenAPI documents say?
//!
//! The documents are fetched from running processes; what those answer, good
//! and refused, is held against the schemas of each operation and status.

mod schema;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Dev, body_of};

/// A server and what it says of itself.
struct Told<'c> {
    document: Value,
    client: &'c Client,
}

impl Told<'_> {
    /// Sends a request and checks the answer of this status; a good request
    /// has to fit as well.
    #[track_caller]
    fn call(&self, told: &str, path: &str, body: &Value, status: u16) -> Value {
        let pointer = format!("/paths/{}/post", told.replace('~', "~0").replace('/', "~1"));
        let operation = self.document.pointer(&pointer);
        let operation = operation.unwrap_or_else(|| panic!("{told} is not told"));
        let request = &operation["requestBody"]["content"]["application/json"]["schema"];
        if status == 200 {
            let faults = schema::faults(&self.document, request, body, "request");
            assert!(faults.is_empty(), "{told}: {faults:#?}");
        }
        let answer = self
            .client
            .send(Method::POST, path, &[], Some(body.to_string()));
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, status, "{told}: {}", answer.text);
        let content = &operation["responses"][status.to_string()]["content"];
        let media = answer.header("content-type");
        let expected = &content[media]["schema"];
        assert!(
            expected.is_object(),
            "{told}: {status} as {media} is not told"
        );
        let value = answer.json();
        let faults = schema::faults(&self.document, expected, &value, "answer");
        assert!(faults.is_empty(), "{told}: {faults:#?}");
        value
    }
}

#[test]
fn the_edge_answers_as_its_document_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = Dev::start(folder.path());
    let client = dev.edge("server");
    let document = body_of(
        &Client::new(&dev.program.text("edge_url"), "").get("/v1/openapi.json"),
        200,
    );
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let edge = Told {
        document,
        client: &client,
    };

    let ada = json!({"user": "ada", "attributes": {"tags": ["vip"]}});
    let asked = json!({"subject": ada, "flows": {"onboarding-tour": "latest", "nope": null, "initial-setup": 1},
        "start": true, "include": ["blocks"]});
    let evaluated = edge.call("/v1/evaluate", "/v1/evaluate", &asked, 200);
    let tour = &evaluated["decisions"]["onboarding-tour"];
    assert_eq!(tour["served"], true, "{evaluated}");
    let channel = json!({"subject": ada, "channel": "intercom:acme", "start": true});
    edge.call("/v1/evaluate", "/v1/evaluate", &channel, 200);

    let step = json!({"subject": {"user": "ada"}, "version": tour["version"]});
    for intent in ["stop", "reset", "finish", "start"] {
        let (told, path) = (
            format!("/v1/flows/{{sid}}/{intent}"),
            format!("/v1/flows/onboarding-tour/{intent}"),
        );
        edge.call(&told, &path, &step, 200);
        edge.call(&told, &format!("/v1/flows/nope/{intent}"), &step, 404);
    }
    let again = json!({"subject": {"user": "bob"}, "flows": {"onboarding-tour": "latest"}, "start": true, "include": ["blocks"]});
    let bob = edge.call("/v1/evaluate", "/v1/evaluate", &again, 200);
    let block = bob["decisions"]["onboarding-tour"]["blocks"]
        .as_array()
        .expect("blocks")
        .iter()
        .find(|block| block["state"]["active"] == true)
        .expect("an active block")
        .clone();
    let uid = block["uid"].as_str().expect("a uid");
    let told = "/v1/blocks/{uid}/transition";
    let moved =
        json!({"subject": {"user": "bob"}, "version": tour["version"], "transitions": ["nowhere"]});
    edge.call(told, &format!("/v1/blocks/{uid}/transition"), &moved, 400);
    edge.call(told, "/v1/blocks/nope/transition", &moved, 404);

    let known = json!({"identifier": "ada", "properties": {"plan": "pro"},
        "groups": [{"identifier": "acme", "properties": {"size": 3}}]});
    edge.call("/v1/identify", "/v1/identify", &known, 200);
    let two = json!([known, {"identifier": "bob"}]);
    edge.call("/v1/identify", "/v1/identify", &two, 200);
    let why = json!({"subject": ada, "flow": "onboarding-tour"});
    edge.call("/v1/explain", "/v1/explain", &why, 200);
    edge.call(
        "/v1/changes/tickets",
        "/v1/changes/tickets",
        &json!({"subject": {"user": "ada"}}),
        200,
    );

    for path in [
        "/v1/evaluate",
        "/v1/identify",
        "/v1/explain",
        "/v1/changes/tickets",
    ] {
        edge.call(path, path, &json!({"unknown": 1}), 400);
    }
    let nobody = Told {
        document: edge.document.clone(),
        client: &Client::new(&dev.program.text("edge_url"), "blocks-development-nobody"),
    };
    nobody.call("/v1/evaluate", "/v1/evaluate", &asked, 401);
    let public = Told {
        document: edge.document.clone(),
        client: &dev.edge("blocks"),
    };
    public.call("/v1/explain", "/v1/explain", &why, 403);
    let long = json!({"subject": {"user": "x"}, "flows": {"a": "x".repeat(70_000)}});
    edge.call("/v1/evaluate", "/v1/evaluate", &long, 413);
}

#[test]
fn the_store_answers_edges_as_its_document_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = Dev::start(folder.path());
    let url = dev.program.text("store_url");
    let document = body_of(&Client::new(&url, "").get("/edge/v1/openapi.json"), 200);
    let client = Client::new(&url, &dev.key("development", "edge"));
    body_of(
        &dev.edge("blocks")
            .get("/v2/flow/onboarding-tour?tag=latest&userIdentifier=ada"),
        200,
    );
    let base = "/edge/v1/environments/{env}";
    let questions = [
        ("timestamp", "timestamp", 200),
        ("root/{version}", "root/1", 200),
        ("root/{version}", "root/99", 404),
        ("users/{id}", "users/ada", 200),
        ("groups/{id}", "groups/acme", 200),
        ("memberships/{deployment}/{id}", "memberships/none/ada", 200),
        ("changes", "changes", 200),
        ("changes", "changes?wait=long", 400),
    ];
    for (told, asked, status) in questions {
        let operation = &document["paths"][format!("{base}/{told}")]["get"];
        let answer = client.get(&format!("/edge/v1/environments/development/{asked}"));
        assert_eq!(answer.status, status, "{asked}: {}", answer.text);
        let media = answer.header("content-type");
        let expected = &operation["responses"][status.to_string()]["content"][media]["schema"];
        assert!(
            expected.is_object(),
            "{asked}: {status} as {media} is not told"
        );
        let faults = schema::faults(&document, expected, &answer.json(), "answer");
        assert!(faults.is_empty(), "{asked}: {faults:#?}");
    }
}

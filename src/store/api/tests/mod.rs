//! What the store answers, request by request.

mod asked;
mod bodies;
mod conditions;
mod environment_names;
mod following;
mod names;
mod paging;
mod reads;
mod rights;
mod terms;

use serde_json::{Value, json};

use super::*;
use crate::{
    clock::Ambient,
    progress::event::Batch,
    snapshot::{Revision, frame::frames, sha256_hex},
    store::{
        EnvironmentChange, KeyName, Timing,
        signing::Signing,
        tests::{House, demo},
    },
};

/// A store, its answers and two keys.
struct Desk {
    api: Api,
    edge: String,
    admin: String,
    house: House,
}

impl Desk {
    fn new() -> Self {
        Self::of(House::new())
    }

    /// With the real clock, for what happens at the same time.
    fn with(ambient: Ambient) -> Self {
        Self::of(House::with(ambient))
    }

    fn of(house: House) -> Self {
        let store = Arc::new(house.open());
        store.import(&demo()).unwrap();
        // Asked for where that is what a test is about.
        let free = EnvironmentChange {
            confirm_changes: Some(false),
            ..EnvironmentChange::default()
        };
        store.set_environment("production", &free).unwrap();
        let key = |kind, environment: Option<&str>| {
            let name = KeyName {
                kind,
                environment: environment.map(ToOwned::to_owned),
                name: "test".to_owned(),
            };
            store.create_key(&name, &[]).unwrap().key
        };
        let edge = key(StoredKeyKind::Edge, Some("production"));
        let admin = key(StoredKeyKind::Admin, None);
        store.publish().unwrap();
        house.wait(1_000);
        Self {
            api: Api::new(store),
            edge,
            admin,
            house,
        }
    }

    fn revision(&self) -> Revision {
        self.api
            .store
            .watch("production")
            .unwrap()
            .borrow()
            .revision
    }

    async fn send(&self, key: &str, method: &str, target: &str, body: &str) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            key: Some(key.to_owned()),
            if_none_match: None,
            if_match: None,
            request_id: None,
            confirm: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
            from: None,
        };
        self.api.handle(request).await
    }

    async fn edge(&self, target: &str) -> Response {
        let target = format!("/edge/v1/environments/production/{target}");
        self.send(&self.edge, "GET", &target, "").await
    }

    async fn admin(&self, method: &str, target: &str, body: &str) -> Response {
        let target = format!("/admin/v1/{target}");
        self.send(&self.admin, method, &target, body).await
    }

    async fn poll(&self, wait: &str, etag: Option<String>) -> Response {
        let request = Request {
            method: "GET".to_owned(),
            path: "/edge/v1/environments/production/timestamp".to_owned(),
            query: format!("wait={wait}"),
            key: Some(self.edge.clone()),
            if_none_match: etag,
            if_match: None,
            ..Request::default()
        };
        self.api.handle(request).await
    }
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

#[tokio::test]
async fn every_refusal_is_a_problem_document_that_says_what_was_expected() {
    let desk = Desk::new();
    let timestamp = "/edge/v1/environments/production/timestamp";
    let cases = [
        (desk.edge.as_str(), "GET", "/nothing", 404),
        (&desk.edge, "POST", timestamp, 405),
        (
            &desk.edge,
            "GET",
            "/edge/v1/environments/production/timestamp?wait=soon",
            400,
        ),
        (
            &desk.edge,
            "GET",
            "/edge/v1/environments/production/timestamp?later=1",
            400,
        ),
        (
            &desk.edge,
            "GET",
            "/edge/v1/environments/development/timestamp",
            403,
        ),
        (
            &desk.edge,
            "GET",
            "/edge/v1/environments/nowhere/timestamp",
            403,
        ),
        (&desk.admin, "GET", timestamp, 403),
        (&desk.edge, "GET", "/admin/v1/environments", 403),
        ("edge-production-wrong", "GET", timestamp, 401),
        (
            &desk.admin,
            "GET",
            "/admin/v1/users/u?environment=nowhere",
            404,
        ),
        (&desk.admin, "GET", "/admin/v1/users/u", 400),
        (
            &desk.admin,
            "GET",
            "/admin/v1/export?environment=nowhere",
            404,
        ),
    ];
    for (key, method, target, status) in cases {
        let response = desk.send(key, method, target, "").await;
        assert_eq!(response.status, status, "{method} {target}");
        assert_eq!(response.content_type, Some("application/problem+json"));
        let problem = body(&response);
        assert_eq!(problem["status"], status);
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
        assert!(!response.body.windows(8).any(|part| part == b"-wrong\"}"));
    }
    let no_key = desk
        .api
        .handle(Request {
            method: "GET".to_owned(),
            path: timestamp.to_owned(),
            ..Request::default()
        })
        .await;
    assert_eq!(no_key.status, 401);
    let wrong_method = desk.send(&desk.edge, "POST", timestamp, "").await;
    assert_eq!(wrong_method.allow, Some("GET"));
}

#[tokio::test]
async fn an_edge_fetches_everything_a_timestamp_names() {
    let desk = Desk::new();
    let timestamp = desk.edge("timestamp").await;
    assert_eq!(timestamp.status, 200);
    assert_eq!(
        timestamp.etag.as_deref(),
        Some(format!("\"{}\"", sha256_hex(&timestamp.body)).as_str())
    );
    assert_eq!(desk.edge("root/1").await.status, 200);
    assert_eq!(desk.edge("root/2").await.status, 404);
    assert_eq!(desk.edge("releases/2").await.status, 200);
    assert_eq!(desk.edge("releases/9").await.status, 404);
    assert_eq!(desk.edge("control/1").await.status, 200);
    let in_force = desk.api.store.engine.blobs_in_force().unwrap();
    let wanted: Vec<&String> = in_force.iter().collect();
    let mut asked: Vec<String> = wanted.iter().map(|sha| (*sha).clone()).collect();
    asked.push("0".repeat(64));
    let list = serde_json::to_string(&asked).unwrap();
    let target = "/edge/v1/environments/production/parts";
    let framed = desk.send(&desk.edge, "POST", target, &list).await;
    let found = frames(&framed.body).unwrap();
    assert_eq!(found.len(), wanted.len(), "the unknown one is left out");
    for (sha, bytes) in found {
        assert_eq!(sha256_hex(bytes), sha);
        let single = desk.edge(&format!("parts/{sha}")).await;
        assert_eq!(single.body, bytes);
        assert!(single.immutable);
    }
    for wrong in ["{}", "[\"abc\"]", "[1]", ""] {
        let answer = desk.send(&desk.edge, "POST", target, wrong).await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_known_timestamp_is_not_sent_again() {
    let desk = Desk::new();
    let etag = desk.edge("timestamp").await.etag;
    let same = desk.poll("0s", etag.clone()).await;
    assert_eq!((same.status, same.etag), (304, etag));
    assert!(same.body.is_empty());
    let other = desk.poll("0s", Some("\"other\"".to_owned())).await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn a_long_poll_ends_with_the_next_publish() {
    let desk = Desk::new();
    let etag = desk.edge("timestamp").await.etag;
    let change = json!({"kind": "server", "environment": "production", "name": "new"}).to_string();
    let (polled, made) = tokio::join!(
        desk.poll("60s", etag.clone()),
        desk.admin("POST", "keys", &change)
    );
    assert_eq!(made.status, 201);
    assert_eq!(polled.status, 200);
    assert_ne!(polled.etag, etag);
}

#[tokio::test]
async fn progress_is_taken_and_read_back() {
    let desk = Desk::new();
    let workspace = desk.api.store.workspace();
    let environment = workspace.environment("production").unwrap();
    let batch =
        json!({"journal": "j", "previous": "", "records": [{"seq": 4, "wall_ms": 1, "event": {
        "environment": "production", "environment_uid": environment.uid, "user": "a/b",
        "revision": "0.1", "decided_ms": 5, "edge": "e", "base": "absent",
        "operation": {"op": "identify", "properties": {"plan": "pro"},
                      "groups": [{"identifier": "acme"}]}}}]})
        .to_string();
    let target = "/edge/v1/environments/production/progress";
    let answer = desk.send(&desk.edge, "POST", target, &batch).await;
    assert_eq!(answer.status, 200);
    assert_eq!(body(&answer)["outcomes"][0]["outcome"], "applied");
    assert_eq!(body(&answer)["watermark"], 4);
    assert_eq!(
        body(&desk.edge("users/a%2Fb").await)["properties"]["plan"],
        "pro"
    );
    assert_eq!(body(&desk.edge("users/unseen").await)["doc_rev"], 0);
    assert_eq!(body(&desk.edge("groups/acme").await)["doc_rev"], 1);
    let shown = desk
        .admin("GET", "users/a%2Fb?environment=production", "")
        .await;
    assert_eq!(body(&shown)["identifier"], "a/b");
    let fork = batch.replace("\"previous\":\"\"", "\"previous\":\"zz\"");
    assert_eq!(
        desk.send(&desk.edge, "POST", target, &fork).await.status,
        409
    );
    assert_eq!(
        desk.send(&desk.edge, "POST", target, "{}").await.status,
        400
    );
    let records = vec![
        serde_json::from_str::<Batch>(&batch)
            .unwrap()
            .records
            .remove(0);
        limits::SHIP_RECORDS_MAX + 1
    ];
    let long = Batch {
        journal: "k".to_owned(),
        previous: String::new(),
        records,
    };
    let long = serde_json::to_string(&long).unwrap();
    assert_eq!(
        desk.send(&desk.edge, "POST", target, &long).await.status,
        400
    );
    let close = "/edge/v1/environments/production/journals/j/close";
    assert_eq!(desk.send(&desk.edge, "POST", close, "").await.status, 204);
}

#[tokio::test]
async fn an_import_answers_with_the_revision_that_holds_it() {
    let desk = Desk::new();
    let before = desk.revision();
    let project = "flowgate: project/1\nproject: more\nflows: [{sid: extra}]\n";
    let answer = desk.admin("POST", "import", project).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let after = desk.revision();
    assert!(after > before);
    assert_eq!(body(&answer)["revisions"]["production"], after.to_string());
    assert_eq!(body(&answer)["changes"][1]["kind"], "flow-created");
    let files = json!({"files": [{"name": "a.yaml", "content": project}]}).to_string();
    let again = desk.admin("POST", "import", &files).await;
    assert_eq!(body(&again)["changes"], json!([]));
    let faulty = desk
        .admin("POST", "import", "flowgate: project/1\ncolour: red\n")
        .await;
    assert_eq!(faulty.status, 422);
    assert_eq!(body(&faulty)["faults"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn imports_at_once_are_all_in_force_when_they_are_answered() {
    let desk = Desk::with(Ambient::system());
    let import = |n: u8| {
        let desk = &desk;
        async move {
            let project =
                format!("flowgate: project/1\nproject: p{n}\nflows: [{{sid: extra{n}}}]\n");
            let answer = desk.admin("POST", "import", &project).await;
            assert_eq!(answer.status, 200);
            let revision = body(&answer)["revisions"]["production"].clone();
            revision.as_str().unwrap().parse::<Revision>().unwrap()
        }
    };
    let before = desk.revision();
    let flows = desk.api.store.workspace().flows.len();
    let (one, two, three) = tokio::join!(import(1), import(2), import(3));
    let after = desk.revision();
    assert_eq!(one.max(two).max(three), after);
    assert!(one.min(two).min(three) > before);
    assert_eq!(desk.api.store.due(), Due::Nothing);
    assert_eq!(desk.api.store.workspace().flows.len(), flows + 3);
}

#[tokio::test]
async fn keys_are_made_listed_rotated_and_revoked() {
    let desk = Desk::new();
    let named = json!({"kind": "blocks", "environment": "production", "name": "web"});
    let made = desk.admin("POST", "keys", &named.to_string()).await;
    assert_eq!(made.status, 201);
    let text = body(&made)["key"].as_str().unwrap().to_owned();
    let again = desk.admin("POST", "keys", &named.to_string()).await;
    assert_eq!(again.status, 409);
    desk.house.wait(1_000);
    let rotated = desk.admin("POST", "keys/rotate", &named.to_string()).await;
    assert_eq!(rotated.status, 201);
    desk.house.wait(1_000);
    let mut one = named.clone();
    one["last"] = body(&made)["last"].clone();
    let revoked = desk.admin("POST", "keys/revoke", &one.to_string()).await;
    assert_eq!(body(&revoked).as_array().unwrap().len(), 1);
    let listed = desk.admin("GET", "keys?environment=production", "").await;
    let listing = String::from_utf8(listed.body.to_vec()).unwrap();
    assert!(!listing.contains(&text) && listing.contains("\"web\""));
    let unknown = desk.admin("POST", "keys/revoke", &one.to_string()).await;
    assert_eq!(unknown.status, 404);
    for wrong in [
        json!({"kind": "blocks", "name": "x"}),
        json!({"kind": "admin", "environment": "production", "name": "x"}),
        json!({"kind": "blocks", "environment": "production", "name": ""}),
        json!({"kind": "blocks", "environment": "production", "name": "x", "projects": ["no"]}),
    ] {
        let answer = desk.admin("POST", "keys", &wrong.to_string()).await;
        assert_eq!(answer.status, 422, "{wrong}");
    }
}

#[tokio::test]
async fn an_export_comes_back_through_import_without_a_change() {
    let desk = Desk::new();
    let export = desk.admin("GET", "export", "").await;
    assert_eq!(export.content_type, Some("application/yaml"));
    let text = String::from_utf8(export.body.to_vec()).unwrap();
    let answer = desk.admin("POST", "import", &text).await;
    assert_eq!(body(&answer)["changes"], json!([]));
    let listed = body(&desk.admin("GET", "environments", "").await);
    let environments = &listed["environments"];
    assert_eq!(environments[1]["name"], "production");
    assert_eq!(environments[1]["type"], "production");
    assert_eq!(environments[0]["drafts"], true);
}

#[test]
fn a_user_is_shown_with_the_names_of_flows_and_blocks() {
    let desk = Desk::new();
    let workspace = desk.api.store.workspace();
    let flow = &workspace.flows["onboarding-tour"];
    let block = &flow.versions[&1].part.blocks[0];
    let state = |flow: &str, version| {
        json!({"flow": flow, "version": version,
               "blocks": [{"block": block.uid}, {"block": "gone"}]})
    };
    let document = json!({"identifier": "ada", "doc_rev": 1,
        "flows": [state(&flow.uid, 1), state(&flow.uid, 99), state("gone", 1)]});
    let document = serde_json::from_value(document).unwrap();
    let answer = admin::with_sids(&workspace, &document).unwrap();
    let flows = answer["flows"].as_array().unwrap();
    assert_eq!(flows[0]["sid"], "onboarding-tour");
    assert_eq!(flows[0]["flow"], flow.uid.as_str());
    assert_eq!(flows[0]["blocks"][0]["sid"], block.sid.as_str());
    assert!(flows[0]["blocks"][1].get("sid").is_none());
    assert_eq!(flows[1]["sid"], "onboarding-tour");
    assert!(flows[1]["blocks"][0].get("sid").is_none());
    assert!(flows[2].get("sid").is_none());
}

#[test]
fn nobody_without_the_right_key_may_send_a_body() {
    let desk = Desk::new();
    let asks = |key: Option<&str>, path: &str| {
        let request = Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            key: key.map(ToOwned::to_owned),
            ..Request::default()
        };
        desk.api.admit(&request).map_err(|refusal| refusal.status)
    };
    let (edge, admin) = (Some(desk.edge.as_str()), Some(desk.admin.as_str()));
    let progress = "/edge/v1/environments/production/progress";
    assert_eq!(asks(edge, progress), Ok(limits::SHIP_BYTES_MAX));
    assert_eq!(
        asks(admin, "/admin/v1/import"),
        Ok(limits::IMPORT_BYTES_MAX)
    );
    assert_eq!(
        asks(admin, "/admin/v1/keys"),
        Ok(limits::ADMIN_BODY_BYTES_MAX)
    );
    assert_eq!(asks(None, "/admin/v1/import"), Err(401));
    assert_eq!(asks(Some("guessed"), "/admin/v1/import"), Err(401));
    assert_eq!(asks(edge, "/admin/v1/import"), Err(403));
    assert_eq!(asks(admin, progress), Err(403));
    let other = "/edge/v1/environments/development/progress";
    assert_eq!(asks(edge, other), Err(403));
    assert_eq!(asks(admin, "/nothing"), Err(404));
}

#[test]
fn a_store_with_nothing_published_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let signing = Signing::create(&folder.path().join("s"), &Ambient::system()).unwrap();
    let database = folder.path().join("store.db");
    let store = Store::open(&database, signing, Ambient::system(), Timing::default()).unwrap();
    assert!(store.watch("production").unwrap().borrow().serial > 0);
    assert!(matches!(
        store.watch("nowhere"),
        Err(StoreError::UnknownEnvironment { .. })
    ));
}

//! Do environments and projects come and go as they are told to, with edges
//! below a running store?

use std::path::Path;

use serde_json::{Value, json};

use super::{Ended, ended};
use crate::harness::{Client, Dev, Edge, Site, Store, body_of, eventually, flowgate, project};

#[track_caller]
fn says(store: &Store, words: &[&str]) -> Ended {
    ended(&mut store.command(words))
}

/// What an edge answers for a user, whatever that is.
fn evaluated(edge: &Client, user: &str) -> Value {
    let body = json!({"subject": {"user": user}, "flows": {"announcement": "latest"}});
    edge.post("/v1/evaluate", &body).json()
}

fn reason(edge: &Client, user: &str) -> Value {
    evaluated(edge, user)["decisions"]["announcement"]["reason"].clone()
}

fn environment(edge: &Edge, name: &str) -> Value {
    let status = body_of(&edge.admin().get("/status"), 200);
    let found = status["environments"].as_array().expect("a list").iter();
    let mut own = found.filter(|one| one["name"] == name);
    own.next().expect("the environment").clone()
}

fn store_and_project(folder: &Path) -> Store {
    let store = Store::start(folder);
    store.import(&project(folder, "Hello"));
    store
}

#[test]
fn an_edge_is_pointed_at_an_environment_that_was_just_made_and_follows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store_and_project(folder.path());
    let words = ["env", "create", "eu", "--type", "production"];
    let made = says(&store, &[&words[..], &["--output", "json"]].concat());
    let made = made.with(0).json();
    assert_eq!(
        (&made["revision"], &made["confirm_changes"]),
        (&json!("0.1"), &json!(true))
    );
    says(&store, &words)
        .with(2)
        .complains_of(&["\"eu\" exists"]);
    let edge = Edge::start_for("eu", folder.path(), (&store, store.url()), &[]);
    edge.ready();
    let client = edge.client("server");
    assert_eq!(
        evaluated(&client, "ada")["decisions"]["announcement"]["version"],
        1
    );
    // Its users are real: a script has to say that it means it.
    let disable = ["flow", "disable", "announcement", "--environment", "eu"];
    says(&store, &disable).with(2).complains_of(&[
        "nothing was done",
        "\"announcement\" in environment eu",
        "--yes",
    ]);
    assert_ne!(reason(&client, "ada"), "disabled");
    says(&store, &[&disable[..], &["--yes"]].concat()).with(0);
    eventually("the edge hears of it", || {
        (reason(&client, "ada") == "disabled").then_some(())
    });
    // Deprecated: served as ever, and the edge says what it is.
    says(&store, &["env", "deprecate", "eu", "--yes"]).with(0);
    eventually("the edge knows", || {
        (environment(&edge, "eu")["deprecated"] == true).then_some(())
    });
    let key = [
        "key",
        "create",
        "--kind",
        "client",
        "--environment",
        "eu",
        "--name",
        "late",
    ];
    says(&store, &key).with(2).complains_of(&["deprecated"]);
    let listed = says(&store, &["env", "list"]).with(0).out;
    assert!(
        listed.contains("deprecated") && listed.contains("confirmed"),
        "{listed}"
    );
}

#[test]
fn edges_of_a_deleted_environment_serve_what_they_have_and_say_why() {
    let site = Site::start();
    let server = site.edge.client("server");
    assert_eq!(
        evaluated(&server, "ada")["decisions"]["announcement"]["version"],
        1
    );
    eventually("the store heard of the edge", || {
        let edges = says(&site.store, &["edges", "--output", "json"])
            .with(0)
            .json();
        edges.as_array().filter(|list| !list.is_empty()).map(drop)
    });
    let delete = ["env", "delete", "development"];
    // Whoever deletes names what is deleted, and stops its edges or forces it.
    says(&site.store, &[&delete[..], &["--force"]].concat())
        .with(2)
        .complains_of(&["users included", "--yes"]);
    let meant = [&delete[..], &["--yes"]].concat();
    says(&site.store, &meant)
        .with(2)
        .complains_of(&["are running", "force"]);
    says(&site.store, &[&meant[..], &["--force"]].concat()).with(0);
    eventually("the edge says why it hears nothing", || {
        let error = environment(&site.edge, "development")["error"].clone();
        let words = error.as_str().unwrap_or_default().to_owned();
        (words.contains("410") && words.contains("was deleted")).then_some(())
    });
    let body = json!({"subject": {"user": "bob"}, "version": 1});
    body_of(&server.post("/v1/flows/announcement/start", &body), 200);
    assert_eq!(site.title(), "Hello");
    let listed = says(&site.store, &["env", "list", "--output", "json"])
        .with(0)
        .json();
    let names: Vec<&Value> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|own| &own["name"])
        .collect();
    assert_eq!(names, ["production"]);
    // Its name is free, and means another one: the edge of old stays outside.
    says(&site.store, &["env", "create", "development"]).with(0);
    let user = site.store.user("bob");
    assert_eq!(user.expect("the new one answers")["doc_rev"], 0);
    assert_eq!(site.title(), "Hello");
}

#[test]
fn a_clone_lets_the_same_users_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut dev = Dev::start(folder.path());
    dev.import(
        "flowgate: project/1\nproject: harbor\nflows:\n- sid: help\n  versions:\n  \
         - { number: 1, blocks: [{ sid: card, type: card }], paths: [{ from: entry, to: card }] }\n",
    );
    let data = folder.path().join("dev").display().to_string();
    let runs = |words: &[&str]| ended(flowgate().args(words).args(["--data", &data]));
    let words = [
        "deployment",
        "create",
        "half",
        "--flow",
        "help",
        "--channel",
        "web",
    ];
    runs(&[&words[..], &["--percentage", "50"]].concat()).with(0);
    let words = [
        "env",
        "clone",
        "development",
        "staging",
        "--keys",
        "--output",
        "json",
    ];
    let cloned = runs(&words).with(0).json();
    assert_eq!(
        cloned["deployments"].as_u64().map(|count| count > 0),
        Some(true),
        "{cloned}"
    );
    assert!(
        cloned["keys"]
            .as_array()
            .is_some_and(|keys| keys.len() >= 6),
        "{cloned}"
    );
    // Another edge is told of it by its next start.
    drop(dev);
    dev = Dev::start(folder.path());
    let url = dev.program.text("edge_url");
    let members = |environment: &str| -> Vec<Value> {
        let client = Client::new(&url, &dev.key(environment, "server"));
        let decided = (0..40).map(|user| {
            let body = json!({"subject": {"user": format!("u{user}")}, "channel": "web",
                "flows": {"help": "latest"}});
            let answer = body_of(&client.post("/v1/evaluate", &body), 200);
            answer["decisions"]["help"]["membership"]["in"].clone()
        });
        decided.collect()
    };
    let (one, other) = (members("development"), members("staging"));
    assert_eq!(one, other);
    assert!(
        one.contains(&json!(true)) && one.contains(&json!(false)),
        "{one:?}"
    );
}

#[test]
fn a_flow_is_seen_only_where_its_project_is_active() {
    let site = Site::start();
    let server = site.edge.client("server");
    assert_eq!(
        evaluated(&server, "ada")["decisions"]["announcement"]["version"],
        1
    );
    let set = |words: &[&str]| {
        let words = [&["project", "set", "demo", "--yes"], words].concat();
        says(&site.store, &words)
    };
    set(&["--deactivate", "development"]).with(0);
    eventually("the edge sees it no longer", || {
        (evaluated(&server, "ada")["decisions"]["announcement"]["version"] != 1).then_some(())
    });
    set(&["--deactivate", "production"])
        .with(2)
        .complains_of(&["nowhere"]);
    let listed = says(&site.store, &["project", "list"]).with(0).out;
    assert!(listed.contains("demo     production"), "{listed}");
    set(&["--everywhere"]).with(0);
    eventually("it is back", || {
        let answer = evaluated(&server, "ada");
        (answer["decisions"]["announcement"]["version"] == 1).then_some(())
    });
    says(
        &site.store,
        &[
            "project",
            "create",
            "empty",
            "--environments",
            "development",
        ],
    )
    .with(0);
    says(&site.store, &["project", "delete", "demo"])
        .with(2)
        .complains_of(&["delete that first"]);
    says(&site.store, &["project", "delete", "empty"]).with(0);
    says(&site.store, &["project", "show", "empty"])
        .with(2)
        .complains_of(&["does not exist"]);
}

//! Do flags go from authors to applications?
//!
//! `flowgate dev` and the command line on one side, Unleash's paths on the
//! other: per environment, with segments and variants, for tokens of some
//! projects, and out again as a file that changes nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Dev, body_of, eventually, flowgate, run};

/// A running dev, and the command line on it.
struct Desk {
    dev: Dev,
    folder: tempfile::TempDir,
}

impl Desk {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dev = Dev::start(folder.path());
        Self { dev, folder }
    }

    /// Runs a command; what it printed, or what it complained of.
    fn tries(&self, words: &[&str]) -> Result<String, String> {
        let data = self.folder.path().join("dev");
        let output = run(flowgate().args(words).arg("--data").arg(data));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    #[track_caller]
    fn does(&self, words: &[&str]) -> String {
        let done = self.tries(words);
        done.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).expect("a file");
        file
    }

    fn client(&self, environment: &str, kind: &str) -> Client {
        let url = self.dev.program.text("edge_url");
        Client::new(&url, &self.dev.key(environment, kind))
    }

    /// A flag as a frontend of the environment gets it for a context.
    fn toggle(&self, environment: &str, flag: &str, context: &str) -> Value {
        let client = self.client(environment, "frontend");
        let answer = client.get(&format!("/api/frontend/features/{flag}?{context}"));
        match answer.status {
            200 => answer.json(),
            _ => Value::Null,
        }
    }

    /// Waits until a flag is so for a context.
    #[track_caller]
    fn becomes(&self, environment: &str, flag: &str, context: &str, enabled: bool) {
        let what = format!("{flag} is {enabled} in {environment} for {context}");
        eventually(&what, || {
            (self.toggle(environment, flag, context)["enabled"] == enabled).then_some(())
        });
    }
}

fn words(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn the_flags_of_the_demo_are_served_as_its_files_say() {
    let desk = Desk::start();
    desk.becomes(
        "production",
        "board-view",
        "email=mo@harbor.example&userId=mo",
        true,
    );
    let friendly = desk.toggle(
        "production",
        "checkout-button",
        "userId=ada&properties[plan]=team",
    );
    assert_eq!(friendly["variant"]["name"], "friendly", "{friendly}");
    assert_eq!(friendly["impressionData"], true);
    for (context, expected) in [
        ("userId=ada&plan=team&appVersion=2.4.0", true),
        ("userId=ada&plan=team&appVersion=2.3.9", false),
        ("userId=ada&plan=free&appVersion=2.4.0", false),
    ] {
        let toggle = desk.toggle("production", "exports", context);
        assert_eq!(toggle["enabled"], expected, "{context}: {toggle}");
    }
    let off = desk.toggle("production", "read-only", "userId=ada");
    assert_eq!(off["enabled"], false);
    let spec = [("unleash-client-spec", "5.2.0")];
    let backend = desk.client("production", "client");
    let features = backend.send(Method::GET, "/api/client/features", &spec, None);
    let features = body_of(&features.expect("an answer"), 200);
    let names = features["features"].as_array().expect("a list").iter();
    let names: Vec<&str> = names.filter_map(|own| own["name"].as_str()).collect();
    let expected = [
        "board-view",
        "checkout-button",
        "export-to-pdf",
        "exports",
        "read-only",
    ];
    assert_eq!(names, expected);
    assert_eq!(features["segments"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_flag_is_made_let_out_and_taken_back_from_the_command_line() {
    let desk = Desk::start();
    desk.does(&[
        "flag",
        "create",
        "new-cart",
        "--project",
        "harbor",
        "--type",
        "experiment",
    ]);
    desk.becomes("production", "new-cart", "userId=ada", false);
    // On, and for everybody: so says a strategy of its own.
    desk.does(&["flag", "enable", "new-cart", "--environment", "production"]);
    desk.becomes("production", "new-cart", "userId=ada", true);
    assert_eq!(
        desk.toggle("development", "new-cart", "userId=ada")["enabled"],
        false
    );
    let shown = desk.does(&["flag", "show", "new-cart"]);
    assert!(shown.contains("pre-live, on in production"), "{shown}");
    let rolled = ["flag", "set", "new-cart", "--environment", "production"];
    desk.does(&[&rolled[..], &["--rollout", "0", "--stickiness", "userId"]].concat());
    desk.becomes("production", "new-cart", "userId=ada", false);

    // A segment decides, and follows its own changes.
    let people = desk.file(
        "people.json",
        r#"[{"contextName": "userId", "operator": "IN", "values": ["ada"]}]"#,
    );
    let make = [
        "segment",
        "create",
        "testers",
        "--project",
        "harbor",
        "--constraints",
    ];
    desk.does(&[&make[..], &[&words(&people)]].concat());
    let rules = r#"[{"name": "default", "segments": ["testers"],
        "variants": [{"name": "only", "weight": 1000, "payload": {"type": "string", "value": "x"}}]}]"#;
    let rules = desk.file("rules.json", rules);
    desk.does(&[&rolled[..], &["--strategies", &words(&rules)]].concat());
    desk.becomes("production", "new-cart", "userId=ada", true);
    let variant = &desk.toggle("production", "new-cart", "userId=ada")["variant"];
    assert_eq!(variant["payload"]["value"], "x", "{variant}");
    assert_eq!(
        desk.toggle("production", "new-cart", "userId=bob")["enabled"],
        false
    );
    fs::write(
        &people,
        r#"[{"contextName": "userId", "operator": "IN", "values": ["bob"]}]"#,
    )
    .expect("a file");
    desk.does(&[
        "segment",
        "set",
        "testers",
        "--constraints",
        &words(&people),
    ]);
    desk.becomes("production", "new-cart", "userId=bob", true);
    let refused = desk
        .tries(&["segment", "delete", "testers"])
        .expect_err("it is in use");
    assert!(
        refused.contains("flag \"new-cart\" in production"),
        "{refused}"
    );

    // What would be done is not done.
    let told = desk.does(&[
        "flag",
        "disable",
        "new-cart",
        "--environment",
        "production",
        "--dry-run",
    ]);
    assert!(
        told.contains("would be done: flag-disabled: new-cart in production"),
        "{told}"
    );
    assert_eq!(
        desk.toggle("production", "new-cart", "userId=bob")["enabled"],
        true
    );
    desk.does(&["flag", "disable", "new-cart", "--environment", "production"]);
    desk.becomes("production", "new-cart", "userId=bob", false);
    let shown = desk.does(&["flag", "show", "new-cart"]);
    assert!(shown.contains("pre-live, on nowhere"), "{shown}");

    let refused = desk
        .tries(&["flag", "delete", "new-cart"])
        .expect_err("it is not archived");
    assert!(refused.contains("archive it first"), "{refused}");
    desk.does(&["flag", "archive", "new-cart"]);
    eventually("it is gone", || {
        let answer = desk
            .client("production", "frontend")
            .get("/api/frontend/features/new-cart");
        (answer.status == 404).then_some(())
    });
    let listed = desk.does(&["flag", "list", "--archived"]);
    assert!(
        listed.contains("new-cart") && listed.contains("archived"),
        "{listed}"
    );
    desk.does(&["flag", "delete", "new-cart"]);
    desk.does(&["segment", "delete", "testers"]);
}

#[test]
fn a_token_of_one_project_sees_its_flags_and_an_export_changes_nothing() {
    let desk = Desk::start();
    desk.dev.import(
        "flowgate: project/1\nproject: desk\nflags:\n  - name: chat\n    environments: { development: { enabled: true } }\n",
    );
    let made = desk.does(&[
        "key",
        "create",
        "--kind",
        "frontend",
        "--environment",
        "development",
        "--name",
        "pages",
        "--projects",
        "desk",
        "--output",
        "json",
    ]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let key = made["key"].as_str().expect("a key");
    let pages = Client::new(&desk.dev.program.text("edge_url"), key);
    eventually("the key opens its own project and no other", || {
        let answer = pages.get("/api/frontend");
        if answer.status != 200 {
            return None;
        }
        let toggles = answer.json()["toggles"].clone();
        let names: Vec<&str> = toggles
            .as_array()?
            .iter()
            .filter_map(|own| own["name"].as_str())
            .collect();
        (names == ["chat"]).then_some(())
    });
    let exported = desk.does(&["export"]);
    let file = desk.file("exported.yaml", &exported);
    let again = desk.does(&["import", &words(&file)]);
    assert_eq!(again.trim(), "nothing to change");

    let faulty = "flowgate: project/1\nproject: desk\nflags:\n  - { name: chat, type: toggle }\n  \
                  - { name: more, environments: { nowhere: {}, production: { strategies: [ { name: flexibleRollout, parameters: { rollout: x } } ] } } }\n";
    let file = desk.file("faulty.yaml", faulty);
    let refused = desk
        .tries(&["import", &words(&file)])
        .expect_err("it is refused");
    assert!(
        refused.contains("flag \"chat\": type is \"toggle\""),
        "{refused}"
    );
    assert!(
        refused.contains("flag \"more\", environment production, strategy 1"),
        "{refused}"
    );
    assert_eq!(desk.does(&["export"]), exported, "nothing was taken");
}

#[test]
fn strategies_are_put_by_whoever_has_read_them() {
    let desk = Desk::start();
    let store = desk.dev.store();
    let path = "/admin/v1/flags/board-view/environments/production/strategies";
    let read = store.get(path);
    let tag = read.header("etag").to_owned();
    let put = |condition: &[(&str, &str)]| {
        let body = json!([{"name": "default"}]).to_string();
        let sent = store.send(reqwest::Method::PUT, path, condition, Some(body));
        sent.expect("an answer")
    };
    assert_eq!(put(&[]).status, 428);
    let done = put(&[("if-match", &tag)]);
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.json()["changes"][0]["kind"], "flag-strategies");
    let late = put(&[("if-match", &tag)]);
    assert_eq!(late.status, 412, "{}", late.text);
    desk.becomes("production", "board-view", "userId=anybody", true);
    assert_eq!(store.get("/admin/v1/flags/nowhere").status, 404);
    let shown = body_of(&store.get("/admin/v1/flags/board-view"), 200);
    assert_eq!(shown["stage"], "pre-live", "{shown}");
}

#[test]
fn an_export_of_an_unleash_server_is_taken_and_served() {
    let desk = Desk::start();
    let export = json!({
        "version": 4,
        "features": [{"name": "from-there", "type": "release", "project": "default", "impressionData": true}],
        "featureEnvironments": [{"featureName": "from-there", "environment": "default", "enabled": true}],
        "featureStrategies": [{"id": "a", "featureName": "from-there", "environment": "default",
            "strategyName": "flexibleRollout", "constraints": [], "sortOrder": 1,
            "parameters": {"rollout": "100", "stickiness": "userId", "groupId": "from-there"}}],
        "featureStrategySegments": [{"featureStrategyId": "a", "segmentId": 3}],
        "segments": [{"id": 3, "name": "only ada", "constraints": [
            {"contextName": "userId", "operator": "IN", "values": ["ada"]}]}],
        "contextFields": [{"name": "userId"}],
    });
    let file = desk.file("export.json", &export.to_string());
    let told = desk.does(&["import", &words(&file), "--format", "unleash"]);
    for said in ["became production", "1 context fields", "flag-created"] {
        assert!(told.contains(said), "{said} not in {told}");
    }
    desk.becomes("production", "from-there", "userId=ada", true);
    assert_eq!(
        desk.toggle("production", "from-there", "userId=bob")["enabled"],
        false
    );
}

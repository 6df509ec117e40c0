//! Do users come in from a file as it says, and out again the same?

use std::{
    io::Write,
    path::Path,
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use super::{Ended, ended};
use crate::harness::{Store, eventually};

/// Users and groups in every form there is.
const USERS: &str = r#"{"group":"acme","properties":{"plan":"pro","tags":["a","b"]}}
{"user":"ann","properties":{"age":31,"nested":{"deep":[1,{"x":null}]}},"groups":[{"identifier":"acme","properties":{"seats":3}},{"identifier":"ops"}]}

{"user":"joe+test@x.com","properties":{"vip":true,"ratio":0.5}}
  {"user":"\u00e9 /ü","properties":{}}  
{"user":"bare"}"#;

struct Place {
    store: Store,
    folder: tempfile::TempDir,
}

impl Place {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            store: Store::start(folder.path()),
            folder,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Imports a file with this text.
    #[track_caller]
    fn import(&self, text: &[u8], flags: &[&str]) -> Ended {
        let file = self.path().join("users.jsonl");
        std::fs::write(&file, text).expect("a file");
        let mut command = self.store.command(&["user", "import"]);
        ended(command.arg(&file).args(["--output", "json"]).args(flags))
    }

    #[track_caller]
    fn export(&self, environment: &str) -> String {
        let words = ["user", "export", "--environment", environment];
        ended(&mut self.store.command(&words)).with(0).out
    }

    fn revision(&self, user: &str) -> Value {
        self.store.user(user).expect("the store answers")["doc_rev"].clone()
    }

    /// An import from standard input that waits for more.
    fn begin(&self) -> Child {
        let mut command = self.store.command(&["user", "import", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).spawn().expect("it starts")
    }
}

fn tally(created: u64, changed: u64, unchanged: u64) -> Value {
    json!({"created": created, "changed": changed, "unchanged": unchanged})
}

#[test]
fn a_file_of_users_is_taken_once_and_comes_out_the_same() {
    let place = Place::open();
    // Only said, at first.
    let would = place
        .import(USERS.as_bytes(), &["--dry-run"])
        .with(0)
        .json();
    assert_eq!(would["users"], tally(4, 0, 0));
    assert_eq!(would["groups"], tally(2, 1, 0));
    assert_eq!(
        (&would["dryRun"], &would["lines"]),
        (&json!(true), &json!(6))
    );
    assert_eq!(place.revision("ann"), 0);
    assert_eq!(place.export("development"), "");
    // Then done.
    let done = place.import(USERS.as_bytes(), &[]).with(0).json();
    assert_eq!(done["users"], tally(4, 0, 0));
    assert_eq!(done["groups"], tally(2, 1, 0));
    assert_eq!(done["refused"], json!([]));
    let ann = place.store.user("ann").expect("an answer");
    assert_eq!(
        ann["properties"],
        json!({"age": 31, "nested": {"deep": [1, {"x": null}]}})
    );
    assert_eq!(ann["groups"], json!(["acme", "ops"]));
    assert!(
        ann["created_ms"].is_u64() && ann["updated_ms"].is_u64(),
        "{ann}"
    );
    // The second time there is nothing to do.
    let again = place.import(USERS.as_bytes(), &[]).with(0).json();
    assert_eq!(again["users"], tally(0, 0, 4));
    assert_eq!(again["groups"], tally(0, 0, 3));
    assert_eq!(place.revision("ann"), 1);
    // What comes out goes in again, here and elsewhere.
    let out = place.export("development");
    assert_eq!(out.lines().count(), 6, "{out}");
    let same = place.import(out.as_bytes(), &[]).with(0).json();
    assert_eq!(same["users"], tally(0, 0, 4));
    let other = place.import(out.as_bytes(), &["--environment", "production"]);
    assert_eq!(other.with(0).json()["users"], tally(4, 0, 0));
    assert_eq!(place.export("production"), out);
    assert!(
        out.contains("\"tags\":[\"a\",\"b\"]") && out.contains("0.5"),
        "{out}"
    );
}

/// Nothing is taken by a dry run, and it said "what came before is taken".
#[test]
fn an_import_that_stops_says_what_is_taken() {
    let place = Place::open();
    let nowhere = ["--environment", "nope", "--dry-run"];
    let tried = place.import(USERS.as_bytes(), &nowhere).with(2);
    tried.complains_of(&["stopped; nothing was written, it was a dry run"]);
    let stopped = place.import(USERS.as_bytes(), &nowhere[..2]).with(2);
    stopped.complains_of(&["stopped; nothing was taken"]);
    let bad = "{}\n".repeat(100);
    let tried = place.import(bad.as_bytes(), &["--dry-run"]).with(2);
    tried.complains_of(&["given up at line 100; nothing was written, it was a dry run"]);
    let good = format!("{USERS}\n{}", "{\"user\":\"bo\"}\n".repeat(300));
    let given_up = place.import(format!("{good}{bad}").as_bytes(), &[]).with(2);
    given_up.complains_of(&["given up at line 406; the good ones up to line 257 are taken"]);
}

#[test]
fn lines_merge_by_property_and_null_removes() {
    let place = Place::open();
    place.import(USERS.as_bytes(), &[]).with(0);
    let lines = concat!(
        "\u{feff}{\"user\":\"ann\",\"properties\":{\"age\":null,\"plan\":\"pro\"}}\r\n",
        "{\"user\":\"bare\"}\r\n",
        "{\"group\":\"acme\",\"properties\":{\"tags\":null}}\r\n",
    );
    let done = place.import(lines.as_bytes(), &[]).with(0).json();
    assert_eq!(
        (&done["users"], &done["groups"]),
        (&tally(0, 1, 1), &tally(0, 1, 0))
    );
    let ann = place.store.user("ann").expect("an answer");
    assert_eq!(ann["properties"]["plan"], "pro");
    assert!(ann["properties"].get("age").is_none(), "{ann}");
    assert_eq!(
        ann["groups"],
        json!(["acme", "ops"]),
        "nobody is put out of a group"
    );
    let out = place.export("development");
    assert!(
        out.contains("{\"group\":\"acme\",\"properties\":{\"plan\":\"pro\",\"seats\":3}}"),
        "{out}"
    );
}

#[test]
fn every_bad_line_is_told_of_by_its_number_and_the_others_are_taken() {
    let place = Place::open();
    let half = |from: usize| -> Value {
        let names = (from..from + 200).map(|n| (format!("p{n}"), json!(1)));
        Value::Object(names.collect())
    };
    let long = "x".repeat(600 * 1024);
    let text = [
        json!({"user": "ann", "properties": half(0)}).to_string(),
        "{\"user\":\"half".to_owned(),
        json!({"user": "bob", "propertys": {}}).to_string(),
        json!({"user": ""}).to_string(),
        // Only with what is there already is it too much, and then none of it.
        json!({"user": "ann", "properties": half(200), "groups": [{"identifier": "never"}]})
            .to_string(),
        json!({"user": "cid", "properties": {"p": long}}).to_string(),
        json!({"group": "g", "groups": []}).to_string(),
        json!({"user": "dan", "properties": {"last": true}}).to_string(),
    ];
    let ended = place.import(text.join("\n").as_bytes(), &[]).with(1);
    let done = ended.json();
    let refused = done["refused"].as_array().expect("a list");
    let lines: Vec<&Value> = refused.iter().map(|one| &one["line"]).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
    ended.complains_of(&[
        "line 2: found",
        "line 3: ",
        "propertys",
        "line 4: found \"\" (0 bytes)",
        "line 5: the user would have 400 properties (expected at most 256)",
        "line 6: found a line of more than 524288 bytes",
        "line 7: found groups of a group",
    ]);
    assert_eq!(done["users"], tally(2, 0, 0));
    assert_eq!(place.revision("ann"), 1);
    assert_eq!(place.revision("dan"), 1);
    let out = place.export("development");
    assert!(!out.contains("never"), "{out}");
    // A file that is something else is given up, with the reason.
    let nonsense = "no json\n".repeat(500);
    let ended = place.import(nonsense.as_bytes(), &[]).with(2);
    ended.complains_of(&["line 100: ", "given up at line 100"]);
    assert!(!ended.error.contains("line 101: "), "{}", ended.error);
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let place = Place::open();
    let ended = place
        .import(b"{\"user\":\"a\"}", &["--environment", "nowhere"])
        .with(2);
    ended.complains_of(&["nowhere", "development"]);
    let mut command = place.store.command(&["user", "import", "no-such-file"]);
    super::ended(&mut command)
        .with(2)
        .complains_of(&["no-such-file"]);
    let mut command = place
        .store
        .command(&["user", "export", "--environment", "nowhere"]);
    super::ended(&mut command)
        .with(2)
        .complains_of(&["nowhere"]);
    let admin = place.store.admin();
    let path = "/admin/v1/environments/development/users";
    let many: Vec<Value> = (0..257).map(|n| json!({"user": format!("u{n}")})).collect();
    assert_eq!(admin.post(path, &json!({"lines": many})).status, 400);
    assert_eq!(admin.post(path, &json!({"lines": 1})).status, 400);
    assert_eq!(admin.get(&format!("{path}?kind=flows")).status, 400);
    assert_eq!(admin.get(&format!("{path}?befor=a")).status, 400);
    // Nobody but an author may.
    let edge = crate::harness::Client::new(place.store.url(), &place.store.key("edge"));
    assert_eq!(edge.post(path, &json!({"lines": []})).status, 403);
}

fn users(from: usize, to: usize) -> String {
    (from..to)
        .map(|n| format!("{{\"user\":\"u{n:05}\",\"properties\":{{\"n\":{n}}}}}\n"))
        .collect()
}

#[test]
fn a_store_that_dies_has_whole_batches_and_the_import_is_run_again() {
    const ALL: usize = 10_100;
    let mut place = Place::open();
    let mut importing = place.begin();
    let mut input = importing.stdin.take().expect("a pipe");
    input.write_all(users(0, 300).as_bytes()).expect("it reads");
    eventually("the first lines are taken", || {
        (place.revision("u00255") == 1).then_some(())
    });
    place.store.program.kill();
    // It may have ended by the time it should read on.
    drop(input.write_all(users(300, ALL).as_bytes()));
    drop(input);
    let output = importing.wait_with_output().expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("stopped behind line 256"), "{error}");
    assert!(error.contains("can be run again"), "{error}");
    assert!(output.stdout.is_empty());

    place.store.restart();
    let taken = place.export("development").lines().count();
    assert_eq!(taken, 256, "whole calls and nothing else");
    let ended = place.import(users(0, ALL).as_bytes(), &[]).with(0);
    let done = ended.json();
    assert_eq!(done["users"], tally((ALL - 256) as u64, 0, 256));
    ended.complains_of(&["lines so far"]);
    let out = place.export("development");
    assert_eq!(out.lines().count(), ALL);
    let first: Value = serde_json::from_str(out.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first, json!({"user": "u00000", "properties": {"n": 0}}));
}

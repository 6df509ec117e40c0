//! What does a newcomer find after `flowgate dev`?
//!
//! The first start, the printed line, the demo project walked to its ends,
//! the second start, and everything that may stand in the way of a start.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Dev, body_of, check_dopt_error, check_flow, flowgate, run};

const KINDS: [&str; 6] = ["blocks", "users", "client", "frontend", "server", "edge"];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn the_first_start_is_ready_and_writes_a_private_file() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    assert_eq!(dev.admin().get("/ready").status, 200);
    let path = folder.path().join("dev/dev.json");
    let text = std::fs::read_to_string(&path).expect("dev.json");
    let written: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(written, dev.program.ready, "printed and written agree");
    let mode = std::fs::metadata(&path).expect("dev.json").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let mut members: Vec<&String> = written.as_object().expect("an object").keys().collect();
    members.sort();
    assert_eq!(
        members,
        [
            "admin_key",
            "edge_admin_url",
            "edge_url",
            "environments",
            "store_url"
        ]
    );
    for environment in ["development", "production"] {
        let keys = written["environments"][environment].as_object();
        let keys = keys.expect("an environment");
        assert_eq!(keys.len(), KINDS.len(), "{keys:?}");
        for kind in KINDS {
            let key = keys[kind].as_str().expect("a key");
            assert!(
                key.starts_with(&format!("{kind}-{environment}-")),
                "{key} for {kind}"
            );
        }
    }
    let status = body_of(&dev.admin().get("/status"), 200);
    assert_eq!(status["ready"], true, "{status}");
    assert_eq!(status["environments"].as_array().map(Vec::len), Some(2));
    // The keys belong to their environments.
    let url = dev.program.text("edge_url");
    for environment in ["development", "production"] {
        let client = Client::new(&url, &dev.key(environment, "blocks"));
        let flow = client.get("/v2/flow/onboarding-tour?tag=latest&userIdentifier=ada");
        check_flow(&body_of(&flow, 200), false);
    }
}

/// A program that speaks to people, ended when dropped.
struct Spoken {
    child: Child,
    text: String,
}

impl Spoken {
    /// Reads what it prints up to a line with this beginning.
    fn until(mut command: Command, last: &str) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut spoken = Self {
            child: child.expect("it starts"),
            text: String::new(),
        };
        let stdout = spoken.child.stdout.take().expect("a pipe");
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("text");
            spoken.text.push_str(&line);
            spoken.text.push('\n');
            if line.starts_with(last) {
                return spoken;
            }
        }
        panic!("it ended without {last:?}: {}", spoken.text);
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_printed_curl_line_works_as_it_stands() {
    let folder = folder();
    let spoken = Spoken::until(Dev::command(folder.path()), "Ctrl-C");
    assert!(spoken.text.contains("without TLS"), "{}", spoken.text);
    let begin = spoken.text.find("curl").expect("a curl line");
    let end = begin + spoken.text[begin..].find("\n\n").expect("its end");
    let line = &spoken.text[begin..end];
    let flow = if Command::new("curl").arg("--version").output().is_ok() {
        let output = run(Command::new("sh").args(["-c", line]));
        assert!(output.status.success(), "{line}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    } else {
        // What stands between quotes is the header and the address.
        let quoted: Vec<&str> = line.split('\'').collect();
        let key = quoted[1].strip_prefix("x-api-key: ").expect("a key");
        let (url, path) = quoted[3].split_at(quoted[3].find("/v2/").expect("a path"));
        body_of(&Client::new(url, key).get(path), 200)
    };
    check_flow(&flow, true);
    assert_eq!(flow["state"]["started"], true, "{flow}");
    assert!(!spoken.text.contains("docker"), "{}", spoken.text);
}

/// The blocks of the tour by their own sids.
fn block<'f>(flow: &'f Value, sid: &str) -> &'f Value {
    let blocks = flow["blocks"].as_array().expect("blocks");
    let qualified = format!("onboarding-tour.{sid}");
    let mut blocks = blocks.iter();
    blocks
        .find(|block| block["sid"] == qualified.as_str())
        .unwrap_or_else(|| panic!("no {qualified} in {flow}"))
}

fn tour(client: &Client, user: &str) -> Value {
    let path = format!("/v2/flow/onboarding-tour?tag=latest&include=block&userIdentifier={user}");
    let flow = body_of(&client.get(&path), 200);
    check_flow(&flow, true);
    flow
}

fn take(client: &Client, flow: &Value, sid: &str, name: &str, user: &str) {
    let uid = block(flow, sid)["uid"].as_str().expect("a uid");
    let path =
        format!("/v2/block/{uid}/transition?version=1&transitions={name}&userIdentifier={user}");
    let answer = client
        .send(Method::POST, &path, &[], Some("{}".into()))
        .expect("an answer");
    assert_eq!(answer.status, 204, "{}", answer.text);
    assert_eq!(answer.header("x-dopt-intent-side-effects"), "true", "{sid}");
}

#[test]
fn the_tour_ends_where_the_plan_leads() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let (blocks, users) = (dev.edge("blocks"), dev.edge("users"));
    let endings = [
        ("team", "invite-colleagues", "discover-team-plan"),
        ("free", "discover-team-plan", "invite-colleagues"),
    ];
    for (plan, shown, hidden) in endings {
        let body = json!({"identifier": plan, "properties": {"plan": plan}});
        assert_eq!(users.post("/identify", &body).status, 204);
        let mut flow = tour(&blocks, plan);
        assert_eq!(flow["state"]["started"], true);
        assert_eq!(block(&flow, "welcome-tour")["state"]["active"], true);
        for item in ["create-project", "add-task", "board-view", "notifications"] {
            assert_eq!(block(&flow, item)["state"]["active"], true, "{item}");
            take(&blocks, &flow, item, "next", plan);
            flow = tour(&blocks, plan);
            assert_eq!(block(&flow, item)["transitioned"]["next"], true);
        }
        assert_eq!(
            block(&flow, "welcome-tour")["transitioned"]["complete"],
            true
        );
        assert_eq!(block(&flow, shown)["state"]["active"], true, "{flow}");
        assert_eq!(block(&flow, hidden)["state"]["entered"], false, "{flow}");
        take(&blocks, &flow, shown, "complete", plan);
        let flow = tour(&blocks, plan);
        assert_eq!(flow["state"]["finished"], true, "{flow}");
    }
    // Whoever dismisses the tour is done with it at once.
    let flow = tour(&blocks, "busy");
    take(&blocks, &flow, "welcome-tour", "dismiss", "busy");
    assert_eq!(tour(&blocks, "busy")["state"]["finished"], true);
}

#[test]
fn a_draft_is_seen_in_development_only() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let development = dev.edge("blocks");
    let production = Client::new(
        &dev.program.text("edge_url"),
        &dev.key("production", "blocks"),
    );
    let read = |client: &Client, version: &str| {
        client.get(&format!(
            "/v2/flow/welcome-modal?{version}&include=block&userIdentifier=ada"
        ))
    };
    for version in ["version=0", "tag=uncommitted"] {
        let flow = body_of(&read(&development, version), 200);
        check_flow(&flow, true);
        assert_eq!(flow["version"], 0, "{flow}");
        assert_eq!(flow["state"]["started"], true, "{flow}");
        assert_eq!(flow["blocks"][0]["sid"], "welcome-modal.welcome");
        let details = check_dopt_error(&read(&production, version), 404, "not_found_error");
        assert!(details.contains("`drafts`"), "the switch: {details}");
        assert!(details.contains("production"), "{details}");
    }
    for client in [&development, &production] {
        let flow = body_of(&read(client, "tag=latest"), 200);
        check_flow(&flow, true);
        assert_eq!(flow["version"], 0, "{flow}");
        assert_eq!(flow["state"]["started"], false, "{flow}");
        assert_eq!(flow["blocks"], json!([]), "{flow}");
    }
}

#[test]
fn the_second_start_finds_keys_and_progress() {
    let folder = folder();
    let mut dev = Dev::start(folder.path());
    let before = dev.program.ready["environments"].clone();
    let admin_key = dev.program.text("admin_key");
    let client = dev.edge("blocks");
    let flow = tour(&client, "ada");
    take(&client, &flow, "create-project", "next", "ada");
    // Without a chance to clean up, so that the journal has to be recovered.
    dev.program.kill();
    let again = Dev::start(folder.path());
    assert_eq!(again.program.ready["environments"], before);
    assert_eq!(again.program.text("admin_key"), admin_key);
    let flow = tour(&again.edge("blocks"), "ada");
    assert_eq!(block(&flow, "add-task")["state"]["active"], true, "{flow}");
    assert_eq!(
        block(&flow, "create-project")["state"]["exited"],
        true,
        "{flow}"
    );
}

#[test]
fn what_stands_in_the_way_of_a_start_is_named() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let refused = |command: &mut Command, expected: &[&str]| {
        let output = run(command);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        for expected in expected {
            assert!(text.contains(expected), "no {expected} in: {text}");
        }
        assert!(!text.contains("panicked"), "{text}");
    };
    // Another process owns the folder.
    refused(&mut Dev::command(folder.path()), &["in use", "process"]);
    // Another process owns the port.
    let other = tempfile::tempdir().expect("a folder");
    let address = dev.program.text("edge_url").replace("http://", "");
    let mut command = crate::harness::flowgate();
    command
        .args(["dev", "--edge", &address, "--store", "127.0.0.1:0"])
        .args(["--admin", "127.0.0.1:0", "--data"])
        .arg(other.path().join("dev"));
    refused(&mut command, &[&address, "in use"]);
    // The first one noticed nothing.
    assert_eq!(dev.admin().get("/ready").status, 200);
}

#[test]
fn an_unreadable_dev_json_is_not_written_over() {
    let folder = folder();
    drop(Dev::start(folder.path()));
    let path = folder.path().join("dev/dev.json");
    std::fs::write(&path, "{\"edge_url\":").expect("half a file");
    let output = run(&mut Dev::command(folder.path()));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("dev.json"), "{text}");
    let left = std::fs::read_to_string(&path).expect("the file");
    assert_eq!(left, "{\"edge_url\":");
}

/// Found by trying it: a revoked admin key was printed at every start, and no
/// command could say what to do about it.
#[test]
fn an_admin_key_that_was_revoked_is_told_of_and_replaced_at_the_next_start() {
    let folder = folder();
    let mut dev = Dev::start(folder.path());
    let says = |words: &[&str]| says(folder.path(), words);
    let revoke = ["key", "revoke", "first", "--kind", "admin"];
    let refused = says(&revoke);
    assert!(!refused.status.success(), "the last one is not revoked");
    let create = ["key", "create", "ann", "--kind", "admin"];
    assert!(says(&create).status.success());
    assert!(says(&revoke).status.success());
    let dead = dev.program.text("admin_key");
    let refused = says(&["key", "list"]);
    assert_eq!(refused.status.code(), Some(2));
    let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        complaint.contains("dev.json is not valid any more")
            && complaint.contains("start it again"),
        "{complaint}"
    );

    drop(dev);
    dev = Dev::start(folder.path());
    let fresh = dev.program.text("admin_key");
    assert_ne!(fresh, dead);
    assert!(says(&["key", "list"]).status.success());
    let log = || std::fs::read_to_string(folder.path().join("dev.log")).expect("a log");
    assert!(log().contains("was not valid any more"), "{}", log());
    // That one stays.
    drop(dev);
    dev = Dev::start(folder.path());
    assert_eq!(dev.program.text("admin_key"), fresh);
    assert!(!log().contains("was not valid any more"), "{}", log());
}

/// A command about the store of `flowgate dev` in this folder.
fn says(folder: &Path, words: &[&str]) -> Output {
    run(flowgate().args(words).arg("--data").arg(folder.join("dev")))
}

#[track_caller]
fn done(folder: &Path, words: &[&str]) -> Output {
    let output = says(folder, words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    output
}

/// Keys of a kind that are not revoked, as the store lists them.
#[track_caller]
fn valid_keys(folder: &Path, kind: &str) -> Vec<Value> {
    let listed = done(folder, &["key", "list", "--output", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let keys = listed.as_array().expect("a list").iter();
    keys.filter(|key| key["kind"] == kind && key["revoked_ms"].is_null())
        .cloned()
        .collect()
}

/// The key among them whose text this is.
#[track_caller]
fn name_of<'k>(keys: &'k [Value], text: &str) -> &'k str {
    let ends = |key: &&Value| text.ends_with(key["last"].as_str().expect("its end"));
    let found = keys.iter().find(ends);
    let found = found.unwrap_or_else(|| panic!("{text} is none of {keys:?}"));
    found["name"].as_str().expect("a name")
}

/// Found by a review: the name of a new key was made of the number of keys, and
/// a start failed when there was a key of that name.
#[test]
fn a_new_key_gets_the_first_name_that_is_free() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let revoked = dev.key("development", "blocks");
    let blocks = ["--kind", "blocks", "--environment", "development"];
    let of_blocks = |verb, name| [&["key", verb, name], &blocks[..]].concat();
    done(folder.path(), &of_blocks("create", "dev-3"));
    done(folder.path(), &of_blocks("revoke", "dev"));
    for name in ["dev", "dev-4"] {
        done(folder.path(), &["key", "create", name, "--kind", "admin"]);
    }
    let again = says(folder.path(), &["key", "create", "dev", "--kind", "admin"]);
    let complaint = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        complaint.contains("a key of kind admin named \"dev\" exists"),
        "{complaint}"
    );
    done(
        folder.path(),
        &["key", "revoke", "first", "--kind", "admin"],
    );
    drop(dev);

    let dev = Dev::start(folder.path());
    let admin = valid_keys(folder.path(), "admin");
    assert_eq!(name_of(&admin, &dev.program.text("admin_key")), "dev-2");
    let fresh = dev.key("development", "blocks");
    assert_ne!(fresh, revoked);
    let blocks = valid_keys(folder.path(), "blocks");
    assert_eq!(name_of(&blocks, &fresh), "dev-2");
}

/// Found by a review: each start that failed left keys whose text nobody had,
/// an admin key among them, and the guard of the last one counted it.
#[test]
fn starts_that_fail_leave_no_key_that_nobody_has() {
    let folder = folder();
    let file = folder.path().join("dev/dev.json");
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let in_use = other.local_addr().expect("its address").to_string();
    let fails = |edge: &str, why: &str| {
        let mut command = flowgate();
        command.args(["dev", "--edge", edge, "--store", "127.0.0.1:0"]);
        command.args(["--admin", "127.0.0.1:0", "--data"]);
        let output = run(command.arg(folder.path().join("dev")));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(why), "no {why} in: {text}");
    };
    for _ in 0..2 {
        fails(&in_use, "in use");
    }
    let question = ["explain", "--flow", "onboarding-tour", "--user", "ada"];
    let unanswered = says(folder.path(), &question);
    let complaint = String::from_utf8_lossy(&unanswered.stderr).into_owned();
    assert!(complaint.contains("names no edge"), "{complaint}");
    let dev = Dev::start(folder.path());
    for kind in KINDS {
        let keys = valid_keys(folder.path(), kind);
        assert_eq!(keys.len(), 2, "one for each environment: {keys:?}");
        for environment in ["development", "production"] {
            assert_eq!(name_of(&keys, &dev.key(environment, kind)), "dev");
        }
    }
    done(folder.path(), &["key", "create", "ann", "--kind", "admin"]);
    done(
        folder.path(),
        &["key", "revoke", "first", "--kind", "admin"],
    );
    drop(dev);

    // Where dev.json cannot be written, no key is made at all.
    let dead = std::fs::read_to_string(&file).expect("dev.json");
    let obstacle = file.with_extension("json.new");
    std::fs::create_dir(&obstacle).expect("a folder");
    fails("127.0.0.1:0", "dev.json");
    std::fs::remove_dir(&obstacle).expect("it is empty");
    assert_eq!(std::fs::read_to_string(&file).expect("dev.json"), dead);
    for _ in 0..2 {
        fails(&in_use, "in use");
    }
    let dev = Dev::start(folder.path());
    let admin = valid_keys(folder.path(), "admin");
    let mut names: Vec<&str> = admin
        .iter()
        .filter_map(|key| key["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["ann", "dev"]);
    assert_eq!(name_of(&admin, &dev.program.text("admin_key")), "dev");
}

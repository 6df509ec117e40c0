//! Does an edge that is left alone stay within its bounds?
//!
//! Each bound is reached on a real disk with the store away, said to callers
//! and operators, and left again by itself.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    bad_documents::proxy::{Mood, Proxy},
    harness::{
        Answer, Client, Edge, Program, Site, Store, body_of, check_problem, eventually, flowgate,
        project,
    },
};

fn progress(edge: &Edge) -> Value {
    body_of(&edge.admin().get("/status"), 200)["progress"].clone()
}

fn metric(edge: &Edge, line: &str) -> bool {
    edge.admin().get("/metrics").text.contains(line)
}

fn start(client: &Client, user: &str) -> Answer {
    let body = json!({"subject": {"user": user}, "version": 1});
    client.post("/v1/flows/announcement/start", &body)
}

/// An identify call near the largest body, for a user of its own.
fn large(client: &Client, user: usize) -> Answer {
    let properties: serde_json::Map<String, Value> = (0..15)
        .map(|n| (format!("p{n}"), json!("x".repeat(4000))))
        .collect();
    let body = json!({"identifier": format!("big-{user}"), "properties": properties});
    client.post("/v1/identify", &body)
}

fn drained(edge: &Edge) -> Option<()> {
    let progress = progress(edge);
    (progress["backlog_records"] == 0 && progress["journals_open"] == 0).then_some(())
}

/// A store and an edge that serves two of its environments.
struct TwoEnvironments {
    folder: tempfile::TempDir,
    store: Store,
    proxy: Proxy,
    edge: Edge,
    production: Client,
}

impl TwoEnvironments {
    fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::start(folder.path());
        store.import(&project(folder.path(), "Hello"));
        let key = store.key_of("production", "edge", "edge-production");
        let server = store.key_of("production", "server", "server-production");
        let second = format!("production={key}");
        let flags = [&["--environment-key", second.as_str()], flags].concat();
        let proxy = Proxy::before(store.url());
        let edge = Edge::start_below(folder.path(), &store, &proxy.url, &flags);
        edge.ready();
        let production = Client::new(&edge.program.text("edge_url"), &server);
        Self {
            folder,
            store,
            proxy,
            edge,
            production,
        }
    }
}

#[test]
fn one_environment_cannot_use_up_the_journal_of_another() {
    let flags = [
        "--journal-total-mb",
        "8",
        "--journal-environment-share-percent",
        "10",
    ];
    let mut site = TwoEnvironments::start(&flags);
    let development = site.edge.client("server");
    site.store.program.kill();
    let taken = (0..100).position(|user| large(&development, user).status != 200);
    let taken = taken.expect("a tenth of 8 MiB is full before 6 MB are written");
    assert!(taken > 5, "only {taken} records fit into 800 KB");
    let refused = large(&development, 999);
    let problem = check_problem(&refused, 503, "journal-share");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|text| text.contains("share"))
    );
    assert!(refused.header("retry-after").parse::<u64>().is_ok());
    // The other environment goes on, and so does reading.
    assert_eq!(large(&site.production, 0).status, 200);
    let status = progress(&site.edge);
    assert_eq!(status["writable"], true, "{status}");
    let unsettled = &status["journal"]["unsettled_bytes"];
    let used = unsettled["development"].as_u64().expect("bytes");
    let bound = status["journal"]["environment_bytes_max"].as_u64();
    assert!(Some(used) <= bound && used > 500_000, "{status}");
    assert!(unsettled["production"].as_u64() < Some(100_000), "{status}");
    assert!(metric(
        &site.edge,
        "journal_unsettled_bytes{environment=\"development\"}"
    ));
    site.store.restart();
    eventually("the share is given back", || {
        (large(&development, 1_000).status == 200).then_some(())
    });
    eventually("all of it is shipped", || drained(&site.edge));
    let unsettled = progress(&site.edge)["journal"]["unsettled_bytes"].clone();
    assert_eq!(unsettled, json!({"development": 0, "production": 0}));
}

#[test]
fn what_one_environment_cannot_ship_does_not_hold_up_the_room_of_another() {
    let flags = ["--journal-total-mb", "16", "--journal-segment-mb", "4"];
    let mut site = TwoEnvironments::start(&flags);
    site.proxy.set(Mood::Refuses("/production/progress"));
    let development = site.edge.client("server");
    // More than twice the journal, with steps of the other in every segment.
    for round in 0..45 {
        assert_eq!(start(&site.production, &format!("pam-{round}")).status, 200);
        for user in 0..14 {
            eventually("there is room", || {
                let answer = large(&development, round * 14 + user);
                (answer.status == 200).then_some(())
            });
        }
    }
    eventually("its steps are shipped", || {
        let unsettled = &progress(&site.edge)["journal"]["unsettled_bytes"];
        (unsettled["development"] == 0).then_some(())
    });
    let journal = progress(&site.edge)["journal"].clone();
    assert!(journal["bytes"].as_u64() <= Some(16 << 20), "{journal}");
    assert_ne!(journal["unsettled_bytes"]["production"], 0, "{journal}");
    // And once more over a start that finds what is left.
    site.edge.program.kill();
    site.proxy.set(Mood::Serve);
    site.edge.restart(site.folder.path());
    eventually("the journal is emptied and closed", || drained(&site.edge));
    let store = site.store.admin();
    for round in 0..45 {
        let path = format!("/admin/v1/users/pam-{round}?environment=production");
        assert_eq!(body_of(&store.get(&path), 200)["doc_rev"], 1, "{round}");
    }
}

#[test]
fn a_journal_with_steps_of_an_environment_that_is_away_stays_until_it_is_back() {
    let mut site = TwoEnvironments::start(&[]);
    site.store.program.kill();
    assert_eq!(start(&site.edge.client("server"), "ann").status, 200);
    assert_eq!(start(&site.production, "pam").status, 200);
    site.edge.program.kill();
    site.store.restart();
    // The other environment is taken out of the configuration, for two runs.
    let folder = site.folder.path().to_owned();
    let usual = site.edge.command(&folder);
    let mut arguments: Vec<_> = usual.get_args().map(ToOwned::to_owned).collect();
    let at = arguments
        .iter()
        .position(|word| word.to_string_lossy().starts_with("production="))
        .expect("it was given");
    arguments.drain(at - 1..=at);
    for _ in 0..2 {
        let mut command = flowgate();
        command.args(&arguments);
        let mut program = Program::start(command, &folder.join("alone.log"));
        let admin = Client::new(&program.text("edge_admin_url"), "");
        eventually("its own steps are shipped", || {
            let status = body_of(&admin.get("/status"), 200);
            (status["progress"]["backlog_records"] == 0).then_some(())
        });
        let status = body_of(&admin.get("/status"), 200);
        assert_ne!(status["progress"]["journals_open"], 0, "{status}");
        program.terminate();
    }
    let ann = site.store.user("ann").expect("a document");
    assert_eq!(ann["doc_rev"], 1, "once: {ann}");
    site.edge.restart(&folder);
    eventually("the journal is emptied and closed", || drained(&site.edge));
    let client = site.store.admin();
    let path = "/admin/v1/users/pam?environment=production";
    assert_eq!(body_of(&client.get(path), 200)["doc_rev"], 1);
}

#[test]
fn a_disk_that_fails_is_said_and_found_again() {
    let mut site = Site::start();
    let server = site.edge.client("server");
    site.store.program.kill();
    let journal = site.path().join("edge/journal");
    let elsewhere = site.path().join("edge/elsewhere");
    fs::rename(&journal, &elsewhere).expect("the folder is there");
    // What is open is written on; then no further file can be made.
    let refused = (0..400).find(|user| {
        large(&server, *user);
        progress(&site.edge)["refuses"] == "disk"
    });
    assert!(refused.is_some(), "{}", progress(&site.edge));
    let answer = large(&server, 9_999);
    let problem = check_problem(&answer, 503, "progress-unavailable");
    assert!(answer.header("retry-after").parse::<u64>().is_ok());
    assert!(!problem.to_string().contains("edge/journal"), "{problem}");
    let status = progress(&site.edge);
    assert_eq!(status["writable"], false);
    assert!(status["journal"]["error"].is_string(), "{status}");
    assert!(metric(&site.edge, "progress_refuses{reason=\"disk\"} 1"));
    assert_eq!(site.edge.admin().get("/ready").status, 200, "reads go on");
    assert_eq!(site.title(), "Hello");
    fs::rename(&elsewhere, &journal).expect("it is put back");
    eventually("writes are taken again", || {
        (large(&server, 10_000).status == 200).then_some(())
    });
    assert_eq!(progress(&site.edge)["refuses"], Value::Null);
    site.store.restart();
    eventually("all of it is shipped", || drained(&site.edge));
}

fn signal(program: &Program, name: &str) {
    let pid = program.pid().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()), "{name}");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("it is copied");
        }
    }
}

#[test]
fn two_edges_on_copies_of_one_folder_both_ship_everything_once() {
    let mut site = Site::start();
    let original = site.edge.client("server");
    site.store.program.kill();
    for user in ["before-1", "before-2"] {
        assert_eq!(start(&original, user).status, 200);
    }
    // The folder is copied while the edge runs, as a machine's image is.
    let copied = site.path().join("copied");
    copy_folder(&site.path().join("edge"), &copied);
    let mut command = site.edge.bare_command();
    command.arg("--data").arg(&copied);
    let copy = Program::start(command, &site.path().join("copied.log"));
    let second = Client::new(&copy.text("edge_url"), &site.edge.key("server"));
    assert_eq!(start(&second, "of-copy").status, 200);
    assert_eq!(start(&original, "of-original").status, 200);
    // The copy ships and closes the journal that both have.
    signal(&site.edge.program, "-STOP");
    site.store.restart();
    let admin = Client::new(&copy.text("edge_admin_url"), "");
    eventually("the copy is drained", || {
        let status = &body_of(&admin.get("/status"), 200)["progress"];
        (status["backlog_records"] == 0 && status["journals_open"] == 0).then_some(())
    });
    signal(&site.edge.program, "-CONT");
    eventually("the original is drained", || drained(&site.edge));
    let status = progress(&site.edge);
    assert_eq!(status["forks"], 1, "{status}");
    assert_ne!(status["journal"]["quarantined_bytes"], 0, "{status}");
    assert!(metric(&site.edge, "journal_forks_total 1"));
    let log = site.edge.program.log();
    assert!(log.contains("copied"), "{log}");
    // It goes on, and a restart does not bring anything twice.
    assert_eq!(start(&original, "later").status, 200);
    eventually("the later step is shipped", || drained(&site.edge));
    site.edge.program.kill();
    let folder = site.path().to_owned();
    site.edge.restart(&folder);
    eventually("nothing is left", || drained(&site.edge));
    for user in ["before-1", "before-2", "of-copy", "of-original", "later"] {
        let document = site.store.user(user).expect("a document");
        assert_eq!(document["doc_rev"], 1, "{user}: {document}");
    }
}

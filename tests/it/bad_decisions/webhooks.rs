//! Does a webhook reach whom it is for, whatever happens to the store?
//!
//! The real store and edge as processes, and a listener that counts: every
//! passed webhook arrives at least once, always under the same id, also when
//! the store is killed at any moment; where it may not go nothing goes, and
//! neither logs nor answers repeat what the url and the headers hold.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use crate::harness::{Client, Edge, Store, body_of, eventually, run};

/// A call that came.
#[derive(Clone, Debug)]
struct Call {
    line: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// Somebody who listens, and refuses for as long as he likes.
struct Receiver {
    address: String,
    calls: Arc<Mutex<Vec<Call>>>,
    refuses: Arc<AtomicBool>,
}

impl Receiver {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let receiver = Self {
            address: listener.local_addr().expect("an address").to_string(),
            calls: Arc::default(),
            refuses: Arc::default(),
        };
        let (calls, refuses) = (receiver.calls.clone(), receiver.refuses.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(call) = answer(stream, refuses.load(Ordering::SeqCst)) {
                    calls.lock().expect("no panic under it").push(call);
                }
            }
        });
        receiver
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("no panic under it").clone()
    }

    /// The users who arrived, each with the ids under which they did.
    fn ids(&self) -> BTreeMap<String, Vec<String>> {
        let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for call in self.calls() {
            let user = call.body["user"].as_str().unwrap_or_default().to_owned();
            let id = call.body["id"].as_str().unwrap_or_default().to_owned();
            assert_eq!(call.headers["webhook-id"], id, "{call:?}");
            let seen = ids.entry(user).or_default();
            if !seen.contains(&id) {
                seen.push(id);
            }
        }
        ids
    }
}

/// Reads one request and answers it; none when the connection broke.
fn answer(stream: TcpStream, refuses: bool) -> Option<Call> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: BTreeMap<String, String> = lines
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let status = if refuses {
        "500 Not Now"
    } else {
        "204 No Content"
    };
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    reader.get_mut().write_all(text.as_bytes()).ok()?;
    Some(Call {
        line: lines.first()?.clone(),
        headers,
        body: serde_json::from_slice(&body).ok()?,
    })
}

/// A flow that calls at its start.
fn project(url: &str) -> String {
    format!(
        r#"
flowgate: project/1
project: calls
flows:
  - sid: calling
    versions:
      - number: 1
        entry: everyone
        blocks:
          - {{ sid: tell, type: webhook, url: "{url}", headers: {{ authorization: Bearer hidden-word, webhook-id: mine, user-agent: shop }} }}
          - {{ sid: card, type: card }}
        paths: [{{ from: entry, to: tell }}, {{ from: tell, on: done, to: card }}]
"#
    )
}

/// A store with these flags, an edge, and the flow on both.
struct Scene {
    store: Store,
    edge: Edge,
    // Last, so that the processes are gone before it is removed.
    folder: tempfile::TempDir,
}

impl Scene {
    fn set(url: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::start_with(folder.path(), flags);
        let file = folder.path().join("project.yaml");
        std::fs::write(&file, project(url)).expect("a file");
        store.import(&file);
        let edge = Edge::start_below(folder.path(), &store, store.url(), &[]);
        edge.ready();
        Self {
            store,
            edge,
            folder,
        }
    }

    #[track_caller]
    fn start(&self, user: &str) {
        let server = self.edge.client("server");
        let body = json!({"subject": {"user": user, "conversation": "c"}, "version": 1});
        let answer = body_of(&server.post("/v1/flows/calling/start", &body), 200);
        assert_eq!(answer["changed"], true, "{answer}");
    }
}

const OPEN: [&str; 4] = [
    "--webhooks-allow-http",
    "true",
    "--webhooks-allow-private",
    "true",
];

#[test]
fn a_webhook_arrives_signed_and_complete() {
    let receiver = Receiver::open();
    let url = format!("http://{}/hook?token=t-1", receiver.address);
    let scene = Scene::set(&url, &OPEN);
    scene.start("ada");
    let call = eventually("the call", || receiver.calls().first().cloned());
    assert_eq!(call.line, "POST /hook?token=t-1 HTTP/1.1");
    for (member, value) in [
        ("environment", json!("development")),
        ("user", json!("ada")),
        ("conversation", json!("c")),
        ("flow", json!("calling")),
        ("version", json!(1)),
        ("block", json!("tell")),
    ] {
        assert_eq!(call.body[member], value, "{call:?}");
    }
    assert_eq!(call.headers["authorization"], "Bearer hidden-word");
    assert_eq!(call.headers["host"], receiver.address);
    let id = call.body["id"].as_str().expect("an id");
    assert_eq!(call.headers["webhook-id"], id, "an author's is replaced");
    assert!(
        call.headers["webhook-signature"].starts_with("v1a,"),
        "{call:?}"
    );
    // A step that changes nothing calls nobody, and another user has another id.
    let server = scene.edge.client("server");
    let body = json!({"subject": {"user": "ada", "conversation": "c"}, "version": 1});
    let again = body_of(&server.post("/v1/flows/calling/start", &body), 200);
    assert_eq!(again["changed"], false, "{again}");
    scene.start("bea");
    eventually("the other call", || {
        receiver.ids().contains_key("bea").then_some(())
    });
    let ids = receiver.ids();
    assert_eq!(ids["ada"].len(), 1, "{ids:?}");
    assert_ne!(ids["ada"], ids["bea"]);
    // A reset begins anew, and so it is another call.
    body_of(&server.post("/v1/flows/calling/reset", &body), 200);
    eventually("the call of the reset", || {
        (receiver.ids()["ada"].len() == 2).then_some(())
    });
}

#[test]
fn a_store_that_is_killed_again_and_again_delivers_each_under_one_id() {
    let receiver = Receiver::open();
    let url = format!("http://{}/hook", receiver.address);
    let mut scene = Scene::set(&url, &OPEN);
    let mut users = Vec::new();
    for round in 0..6 {
        for number in 0..20 {
            let user = format!("u-{round}-{number}");
            scene.start(&user);
            users.push(user);
        }
        // At another moment of shipping and calling in every round.
        let enough = round * 21;
        eventually("the moment", || {
            (receiver.calls().len() >= enough).then_some(())
        });
        scene.store.program.kill();
        scene.store.restart();
    }
    eventually("everybody's call", || {
        (receiver.ids().len() == users.len()).then_some(())
    });
    let ids = receiver.ids();
    for user in &users {
        assert_eq!(ids[user].len(), 1, "{user}: {:?}", ids[user]);
    }
    println!(
        "{} calls for {} webhooks",
        receiver.calls().len(),
        users.len()
    );
}

#[test]
fn a_receiver_that_refuses_is_called_again_under_the_same_id_after_a_kill() {
    let receiver = Receiver::open();
    receiver.refuses.store(true, Ordering::SeqCst);
    let url = format!("http://{}/hook?token=hidden-word", receiver.address);
    let mut scene = Scene::set(&url, &OPEN);
    scene.start("ada");
    eventually("a first call", || receiver.calls().first().map(drop));
    eventually("a line about it", || {
        let log = scene.store.program.log();
        log.contains("a webhook failed and is tried again")
            .then_some(())
    });
    let log = scene.store.program.log();
    assert!(log.contains("answered 500 (expected 2xx)"), "{log}");
    assert!(!log.contains("hidden-word"), "{log}");
    scene.store.program.kill();
    receiver.refuses.store(false, Ordering::SeqCst);
    scene.store.restart();
    eventually("a second call", || {
        (receiver.calls().len() >= 2).then_some(())
    });
    assert_eq!(receiver.ids()["ada"].len(), 1, "{:?}", receiver.ids());
    let log = scene.store.program.log();
    assert!(!log.contains("hidden-word"), "{log}");
}

#[test]
fn where_nothing_may_go_nothing_goes_and_no_secret_is_told() {
    let receiver = Receiver::open();
    let port = receiver.address.rsplit(':').next().expect("a port");
    for (flags, url, why) in [
        (
            &[][..],
            format!("http://127.0.0.1:{port}/?token=hidden-word"),
            "the url is http",
        ),
        (
            &OPEN[..2],
            format!("http://127.0.0.1:{port}/?token=hidden-word"),
            "the host 127.0.0.1 is not on the public network",
        ),
        (
            &OPEN[..2],
            format!("http://localhost:{port}/hidden-word"),
            "the host localhost is not on the public network",
        ),
        (
            &OPEN[..2],
            format!("http://[::ffff:127.0.0.1]:{port}/?token=hidden-word"),
            "is not on the public network",
        ),
        // Written so that only a resolver would see through it.
        (
            &OPEN[..2],
            format!("http://2130706433:{port}/?token=hidden-word"),
            "the host 127.0.0.1 is not on the public network",
        ),
        (
            &OPEN[..2],
            "http://169.254.169.254/latest/meta-data/hidden-word".to_owned(),
            "the host 169.254.169.254 is not on the public network",
        ),
        (
            &[][..],
            format!("https://127.0.0.1:{port}/?token=hidden-word"),
            "not on the public network",
        ),
    ] {
        let scene = Scene::set(&url, flags);
        scene.start("ada");
        eventually(why, || {
            scene.store.program.log().contains(why).then_some(())
        });
        let log = scene.store.program.log();
        assert!(!log.contains("hidden-word"), "{log}");
        let shown =
            run(&mut scene
                .store
                .command(&["user", "show", "ada", "--environment", "development"]));
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("calling"), "{shown}");
        assert!(!shown.contains("hidden-word"), "{shown}");
        // The edge has no business with it at all.
        let edge = scene.edge.program.log() + &scene.edge.admin().get("/status").text;
        assert!(!edge.contains("hidden-word"), "{edge}");
    }
    assert!(receiver.calls().is_empty(), "{:?}", receiver.calls());
}

#[test]
fn receivers_that_never_answer_hold_nobody_else_up_for_long() {
    // Takes every connection and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = mute.local_addr().expect("an address");
    let held = Arc::new(Mutex::new(Vec::new()));
    let holding = held.clone();
    std::thread::spawn(move || {
        for stream in mute.incoming().flatten() {
            holding.lock().expect("no panic under it").push(stream);
        }
    });
    let scene = Scene::set(&format!("http://{address}/"), &OPEN);
    // More than are called at one time.
    for number in 0..40 {
        scene.start(&format!("u-{number}"));
    }
    eventually("the first calls", || {
        (held.lock().expect("no panic under it").len() >= 32).then_some(())
    });
    // The author points the webhook to somebody who answers: it is content.
    let receiver = Receiver::open();
    let file = scene.folder.path().join("mended.yaml");
    std::fs::write(&file, project(&format!("http://{}/", receiver.address))).expect("a file");
    scene.store.import(&file);
    scene.start("ada");
    eventually("everybody's call", || {
        (receiver.ids().len() == 41).then_some(())
    });
    assert!(receiver.ids().values().all(|ids| ids.len() == 1));
}

/// What the store's log says of webhooks, as the command prints it.
#[track_caller]
fn listed(store: &Store, flags: &[&str]) -> Vec<Value> {
    let words = [&["webhook", "list", "--output", "json"], flags].concat();
    let output = run(&mut store.command(&words));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(!said.contains("hidden-word"), "{said}");
    serde_json::from_str(&said).expect("a list")
}

#[test]
fn the_log_of_deliveries_tells_what_happened_and_gives_another_try() {
    let receiver = Receiver::open();
    receiver.refuses.store(true, Ordering::SeqCst);
    let url = format!(
        "http://{}/hook/hidden-word?token=hidden-word",
        receiver.address
    );
    let mut scene = Scene::set(&url, &OPEN);
    scene.start("ada");
    let waiting = eventually("a failed attempt", || {
        let rows = listed(&scene.store, &["--state", "waiting"]);
        rows.into_iter().find(|row| row["attempts"] != json!([]))
    });
    for (member, value) in [
        ("environment", json!("development")),
        ("user", json!("ada")),
        ("flow", json!("calling")),
        ("version", json!(1)),
        ("block", json!("tell")),
        ("receiver", json!(format!("http://{}", receiver.address))),
    ] {
        assert_eq!(waiting[member], value, "{waiting}");
    }
    assert_eq!(waiting["attempts"][0]["status"], 500, "{waiting}");
    assert!(waiting["next_ms"].is_u64(), "{waiting}");
    // All of its attempts but one take a day: they are written into the
    // database of a store that is down.
    scene.store.program.kill();
    let database = rusqlite::Connection::open(scene.folder.path().join("store/store.db"));
    let database = database.expect("the database");
    let changed = database.execute("UPDATE outbox SET attempts = 11, next_ms = 0", []);
    assert_eq!(changed.expect("it is written"), 1);
    drop(database);
    scene.store.restart();
    let dead = eventually("it is given up", || {
        listed(&scene.store, &["--state", "given-up"]).pop()
    });
    let id = dead["id"].as_str().expect("an id").to_owned();
    assert_eq!(dead["id"], waiting["id"]);
    assert_eq!(
        dead["attempts"][0], waiting["attempts"][0],
        "the log is kept"
    );
    assert_eq!(dead["next_ms"], Value::Null);
    let table = run(&mut scene.store.command(&["webhook", "list"]));
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("answered 500 (expected 2xx)"), "{table}");
    assert!(!table.contains("hidden-word"), "{table}");
    receiver.refuses.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        let output = run(&mut scene.store.command(&["webhook", "retry", &id]));
        assert!(output.status.success(), "{output:?}");
    }
    let done = eventually("it is delivered", || {
        listed(&scene.store, &["--state", "delivered", "--user", "ada"]).pop()
    });
    assert_eq!(done["id"], id.as_str());
    let last = done["attempts"].as_array().and_then(|list| list.last());
    assert_eq!(last.expect("attempts")["status"], 204, "{done}");
    assert_eq!(receiver.ids()["ada"], [id]);
    let unknown = run(&mut scene.store.command(&["webhook", "retry", "msg_none"]));
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    let page = scene.store.admin().get("/metrics").text;
    for counted in [
        "flowgate_webhook_attempts_total{outcome=\"delivered\"} 1",
        "flowgate_webhook_attempts_total{outcome=\"given_up\"} 1",
    ] {
        assert!(page.contains(counted), "{page}");
    }
    // Edge keys open nothing of it, and what is asked wrongly is said.
    let path = "/admin/v1/environments/development/webhooks";
    let edge = Client::new(scene.store.url(), &scene.store.key("edge"));
    assert_eq!(edge.get(path).status, 403);
    for (query, status) in [
        ("?state=gone", 400),
        ("?limit=0", 400),
        ("?limit=501", 400),
        ("?after=x", 400),
        ("?flow=none", 404),
        ("?what=x", 400),
        ("?limit=1&user=ada&flow=calling", 200),
    ] {
        let answer = scene.store.admin().get(&format!("{path}{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
    }
    // The store that is started anew tells the same.
    scene.store.program.kill();
    scene.store.restart();
    assert_eq!(listed(&scene.store, &[]), [done]);
}

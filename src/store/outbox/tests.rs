//! Webhook stories against receivers on this machine.

use std::{collections::BTreeSet, sync::Mutex};

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;
use crate::{
    progress::event::{Batch, ShippedRecord},
    store::{
        PageAsk,
        engine::DeliveryState,
        tests::{House, file},
    },
};

pub(super) const WHERE: &str = "production";
pub(super) const FREE: WebhookRules = WebhookRules {
    allow_http: true,
    allow_private: true,
};

/// A request as a receiver got it.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines();
        let found = lines.find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_default()
    }
}

/// Somebody who is called, and answers each call with the next of `answers`
/// (the last one again and again).
pub(super) struct Receiver {
    pub(super) url: String,
    pub(super) got: mpsc::Receiver<Got>,
}

impl Receiver {
    pub(super) async fn new(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
        let (sender, got) = mpsc::channel(100);
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            let mut answer = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                answer = answers.next().unwrap_or(answer);
                if let Some(got) = read(&mut stream).await {
                    drop(sender.send(got).await);
                }
                if answer.is_empty() {
                    // Never answers.
                    tokio::spawn(async move {
                        let mut rest = Vec::new();
                        drop(stream.read_to_end(&mut rest).await);
                    });
                } else {
                    drop(stream.write_all(&answer).await);
                }
            }
        });
        Self { url, got }
    }

    pub(super) async fn next(&mut self) -> Got {
        self.got.recv().await.unwrap()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Got> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.split("content-length: ").nth(1)?;
            let length: usize = length.lines().next()?.parse().ok()?;
            if body.len() >= length {
                return Some(Got {
                    head: head.to_owned(),
                    body: body.as_bytes().to_vec(),
                });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

pub(super) fn answer(status: &str, more: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n{more}\r\n")
        .into_bytes()
}

/// A store whose flow calls somebody when its card is left.
pub(super) struct Site {
    pub(super) house: House,
    pub(super) store: Arc<Store>,
    public: String,
}

impl Site {
    pub(super) fn new(url: &str) -> Self {
        Self::calling(&format!("url: '{url}', headers: {{x-team: blue}}"))
    }

    pub(super) fn calling(webhook: &str) -> Self {
        let house = House::new();
        let store = Arc::new(house.open());
        let project = format!(
            "
flowgate: project/1
project: shop
flows:
  - sid: hello
    uid: hello
    versions:
      - number: 1
        blocks:
          - {{sid: first, uid: first, type: card}}
          - {{sid: tell, uid: tell, type: webhook, {webhook}}}
          - {{sid: last, uid: last, type: card}}
        paths:
          - {{from: entry, to: first}}
          - {{from: first, on: complete, to: tell}}
          - {{from: tell, on: done, to: last}}
"
        );
        store.import(&file(&project)).unwrap();
        Self {
            house,
            store,
            public: String::new(),
        }
    }

    fn outbox(&mut self, rules: WebhookRules) -> Outbox {
        let path = self.house.folder.path().join("webhooks.key");
        let key = WebhookKey::open(&path, &self.house.ambient).unwrap();
        self.public = key.public();
        Outbox::new(self.store.clone(), rules, key, self.house.ambient.clone())
    }

    /// A user starts, leaves the card, and so passes the webhook.
    pub(super) fn batch(&self, journal: &str, user: &str) -> Batch {
        let environment = self.store.workspace().environment(WHERE).unwrap().clone();
        let state = |blocks: Value| json!({"flow": "hello", "version": 1, "started": true, "blocks": blocks});
        let event = |operation: Value, state: Value, outcomes: Value, base: Value| {
            let event = json!({"environment": WHERE, "environment_uid": environment.uid,
                "user": user, "group": "acme", "revision": "0.1", "decided_ms": 1_800_000_000_000_u64,
                "operation": operation, "outcomes": outcomes, "states": [state], "base": base,
                "edge": "e"});
            serde_json::from_value(event).unwrap()
        };
        let start = event(
            json!({"op": "start", "flow": "hello", "version": 1, "generation": 0, "force": false}),
            state(json!([{"block": "first", "active": true}])),
            json!([]),
            json!({"document": 0}),
        );
        let left = event(
            json!({"op": "transition", "flow": "hello", "version": 1, "generation": 0,
                "block": "first", "names": ["complete"]}),
            state(
                json!([{"block": "first", "exited": true, "taken": ["complete"]},
                {"block": "tell", "exited": true}, {"block": "last", "active": true}]),
            ),
            json!([{"block": "tell", "webhook": true}]),
            json!({"record": {"journal": journal, "seq": 1}}),
        );
        let record = |seq, event| ShippedRecord {
            seq,
            wall_ms: 1,
            event,
        };
        Batch {
            journal: journal.to_owned(),
            previous: String::new(),
            records: vec![record(1, start), record(2, left)],
        }
    }

    pub(super) fn due(&self) -> Vec<OutboxEntry> {
        let start = OutboxPlace::default();
        let due = self.store.engine.outbox_due(UnixMs::MAX, &start, 1_000);
        due.unwrap()
    }

    /// The newest of the log.
    pub(super) fn log(&self, state: Option<DeliveryState>) -> Vec<Delivery> {
        let asked = Deliveries {
            state,
            page: PageAsk::first(100),
            ..Deliveries::default()
        };
        self.store.deliveries(WHERE, &asked).unwrap().webhooks
    }

    /// Attempts what is due once.
    pub(super) async fn round(&mut self, rules: WebhookRules) {
        let outbox = self.outbox(rules);
        for due in outbox.due(&mut Slots::default()).await {
            outbox.attempt(due).await;
        }
    }
}

/// What an attempt at this url fails with.
async fn refusal(url: &str, rules: WebhookRules) -> String {
    let mut site = Site::new(url);
    site.store.ship(WHERE, &site.batch("a", "u")).unwrap();
    site.round(rules).await;
    site.due().remove(0).log.remove(0).why.unwrap()
}

#[tokio::test]
async fn a_passed_webhook_is_delivered_once_and_signed() {
    let mut receiver = Receiver::new(vec![answer("204 No Content", "")]).await;
    let mut site = Site::new(&receiver.url);
    let batch = site.batch("a", "u");
    site.store.ship(WHERE, &batch).unwrap();
    site.store.ship(WHERE, &batch).unwrap();
    site.store.ship(WHERE, &site.batch("b", "u")).unwrap();
    assert_eq!(site.due().len(), 1, "one for each record that was applied");
    let id = site.due()[0].id.clone();
    site.round(FREE).await;
    let got = receiver.next().await;
    assert!(
        got.head.starts_with("POST /hook?x=1 HTTP/1.1"),
        "{}",
        got.head
    );
    assert_eq!(got.header("x-team"), "blue");
    assert_eq!(got.header("webhook-id"), id);
    let body: Value = serde_json::from_slice(&got.body).unwrap();
    let expected = json!({"id": id, "environment": WHERE, "user": "u", "group": "acme",
        "flow": "hello", "version": 1, "block": "tell", "at": "2027-01-15T08:00:00Z"});
    assert_eq!(body, expected);
    verify(&site.public, &got);
    assert!(site.due().is_empty());
    site.round(FREE).await;
    assert!(receiver.got.try_recv().is_err(), "delivered once");
}

/// As a receiver checks it.
fn verify(public: &str, got: &Got) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let key = STANDARD
        .decode(public.strip_prefix("whpk_").unwrap())
        .unwrap();
    let key = VerifyingKey::from_bytes(&key.try_into().unwrap()).unwrap();
    let (id, time) = (got.header("webhook-id"), got.header("webhook-timestamp"));
    let mut signed = format!("{id}.{time}.").into_bytes();
    signed.extend_from_slice(&got.body);
    let signature = got
        .header("webhook-signature")
        .strip_prefix("v1a,")
        .unwrap();
    let signature = Signature::from_slice(&STANDARD.decode(signature).unwrap()).unwrap();
    key.verify(&signed, &signature).unwrap();
}

#[tokio::test]
async fn a_failure_is_tried_again_later_under_the_same_id_also_after_a_restart() {
    let failing = answer("500 Internal Server Error", "");
    let mut receiver = Receiver::new(vec![failing, answer("200 OK", "")]).await;
    let mut site = Site::new(&receiver.url);
    site.store.ship(WHERE, &site.batch("a", "u")).unwrap();
    site.round(FREE).await;
    let first = receiver.next().await;
    let failed = &site.due()[0].log[0];
    assert_eq!(failed.status, Some(500));
    assert!(failed.why.as_ref().unwrap().contains("500"), "{failed:?}");
    site.round(FREE).await;
    assert!(receiver.got.try_recv().is_err(), "not before its time");
    let Site { house, store, .. } = site;
    drop(store);
    let store = Arc::new(house.open());
    let mut site = Site {
        house,
        store,
        public: String::new(),
    };
    site.house.wait(FIRST_PAUSE_MS);
    site.round(FREE).await;
    let second = receiver.next().await;
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body, second.body);
    assert!(site.due().is_empty());
}

#[tokio::test]
async fn what_fails_too_often_is_given_up_and_forgotten_with_time() {
    let receiver = Receiver::new(vec![answer("404 Not Found", "")]).await;
    let mut site = Site::new(&receiver.url);
    site.store.ship(WHERE, &site.batch("a", "u")).unwrap();
    for attempt in 1..=limits::WEBHOOK_ATTEMPTS_MAX {
        assert_eq!(site.due().len(), 1, "attempt {attempt}");
        site.round(FREE).await;
        site.house.wait(PAUSE_MS_MAX);
    }
    assert!(site.due().is_empty());
    let dead = site.log(Some(DeliveryState::GivenUp));
    assert_eq!(dead.len(), 1);
    let tried = limits::WEBHOOK_ATTEMPTS_MAX as usize;
    assert_eq!(dead[0].attempts.len(), tried);
    assert!(dead[0].attempts.iter().all(|own| own.status == Some(404)));
    let now = site.house.ambient.now_ms();
    site.store.sweep(now).unwrap();
    assert_eq!(site.log(None).len(), 1);
    let later = now + crate::store::Retention::default().dead_letter_ms;
    site.store.sweep(later).unwrap();
    assert!(site.log(None).is_empty());
}

#[tokio::test]
async fn what_is_not_allowed_is_never_connected_to() {
    let mut receiver = Receiver::new(vec![answer("200 OK", "")]).await;
    let port = receiver.url.split([':', '/']).nth(4).unwrap().to_owned();
    let http = WebhookRules {
        allow_http: true,
        allow_private: false,
    };
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
    ] {
        let why = refusal(&format!("http://{host}:{port}/"), http).await;
        assert!(why.contains("not on the public network"), "{host}: {why}");
    }
    let metadata = refusal("http://169.254.169.254/latest/meta-data", http).await;
    assert!(metadata.contains("not on the public network"), "{metadata}");
    let plain = refusal(&receiver.url, WebhookRules::default()).await;
    assert!(plain.contains("expected https"), "{plain}");
    assert!(receiver.got.try_recv().is_err());
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let mut target = Receiver::new(vec![answer("200 OK", "")]).await;
    let location = format!("location: {}\r\n", target.url);
    let receiver = Receiver::new(vec![answer("302 Found", &location)]).await;
    let why = refusal(&receiver.url, FREE).await;
    assert!(why.contains("302"), "{why}");
    assert!(target.got.try_recv().is_err());
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_left_after_the_deadline() {
    let receiver = Receiver::new(vec![Vec::new()]).await;
    let why = refusal(&receiver.url, FREE).await;
    assert!(why.contains("took longer than"), "{why}");
}

#[tokio::test]
async fn a_large_answer_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let sent = Arc::new(Mutex::new(0_usize));
    let counted = Arc::clone(&sent);
    let endless = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(&[b'x'; 65_536]).await.is_ok() {
            *counted.lock().unwrap() += 65_536;
        }
    });
    let mut site = Site::new(&url);
    site.store.ship(WHERE, &site.batch("a", "u")).unwrap();
    site.round(FREE).await;
    endless.await.unwrap();
    assert!(site.due().is_empty(), "its status was its answer");
    assert!(*sent.lock().unwrap() < 100_000_000, "hung up on");
}

#[tokio::test]
async fn an_https_url_speaks_tls_and_nothing_less() {
    let mut receiver = Receiver::new(vec![answer("200 OK", "")]).await;
    let url = receiver.url.replace("http://", "https://");
    let private = WebhookRules {
        allow_http: false,
        allow_private: true,
    };
    // The receiver hangs up on what is no request of its own.
    let why = refusal(&url, private).await;
    assert!(!why.is_empty());
    assert!(receiver.got.try_recv().is_err(), "nothing in the clear");
}

#[tokio::test]
async fn the_outbox_runs_by_itself_when_something_is_taken() {
    let mut receiver = Receiver::new(vec![answer("200 OK", "")]).await;
    let mut site = Site::new(&receiver.url);
    let running = tokio::spawn(site.outbox(FREE).run());
    for user in ["u", "v", "w"] {
        site.store.ship(WHERE, &site.batch(user, user)).unwrap();
    }
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        ids.insert(receiver.next().await.header("webhook-id").to_owned());
    }
    assert_eq!(ids.len(), 3);
    running.abort();
}

#[test]
fn pauses_grow_to_a_bound_and_are_spread() {
    for attempts in 0..40 {
        let (short, long) = (pause_ms(attempts, 0), pause_ms(attempts, u64::MAX));
        assert!(
            short >= FIRST_PAUSE_MS / 2 && long <= PAUSE_MS_MAX,
            "{attempts}"
        );
        assert!(short >= long / 2);
    }
    assert_eq!(pause_ms(39, 0), PAUSE_MS_MAX / 2);
}

#[tokio::test]
async fn a_host_with_a_long_row_hides_nobody_behind_it() {
    let mut site = Site::new("http://slow.example/");
    let outbox = site.outbox(FREE);
    let uid = site
        .store
        .workspace()
        .environment(WHERE)
        .unwrap()
        .uid
        .clone();
    let effect = |flow: &str| WebhookEffect {
        environment: WHERE.to_owned(),
        environment_uid: uid.clone(),
        user: "u".to_owned(),
        group: None,
        conversation: None,
        flow: flow.to_owned(),
        version: 1,
        block: "tell".to_owned(),
        at_ms: 1,
    };
    let rows = PAGE * PAGES_PER_LOOK + 1;
    let mut post = |outbox: &mut dyn crate::store::engine::LedgerTransaction| {
        for number in 0..rows {
            outbox.post(&format!("m{number}"), &effect("hello"), 1)?;
        }
        outbox.post("behind", &effect("of another host"), 2)?;
        Ok(crate::store::engine::Ending::Commit)
    };
    site.store.engine.ledger(&uid, &mut post).unwrap();
    let mut slots = Slots::default();
    let first = outbox.due(&mut slots).await;
    assert_eq!(first.len(), limits::WEBHOOKS_AT_ONCE_PER_HOST_MAX);
    assert!(first.iter().all(|due| due.host == "slow.example"));
    let next = outbox.due(&mut slots).await;
    let ids: Vec<&str> = next.iter().map(|due| due.entry.id.as_str()).collect();
    assert_eq!(ids, ["behind"]);
}

//! Does the log of deliveries say what happened, and what is filled in?
//!
//! Stories against receivers on this machine, on the same site as the others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    tests::{FREE, Receiver, Site, WHERE, answer},
    *,
};
use crate::store::{PageAsk, engine::DeliveryState};

#[tokio::test]
async fn tokens_are_filled_in_everywhere_and_nothing_else_is_changed() {
    let mut receiver = Receiver::new(vec![answer("200 OK", "")]).await;
    let base = receiver.url.split("/hook").next().unwrap().to_owned();
    let mut site = Site::calling(&format!(
        "url: '{base}/${{flow.identifier}}/${{user.identifier}}?v=${{flow.version}}', \
         headers: {{x-user: 'u=${{user.identifier}}'}}, \
         body: {{text: '${{user.identifier}} in ${{flow.name}}', at: ['${{timestamp}}', 1]}}"
    ));
    let user = "a/b?\r\nx-evil: 1\",ü";
    site.store.ship(WHERE, &site.batch("a", user)).unwrap();
    site.round(FREE).await;
    let got = receiver.next().await;
    let encoded = "a%2Fb%3F%0D%0Ax-evil:%201%22%2C%C3%BC";
    let line = format!("POST /hello/{encoded}?v=1 HTTP/1.1");
    assert_eq!(got.head.lines().next().unwrap(), line);
    assert_eq!(got.header("x-user"), format!("u={encoded}"));
    assert_eq!(got.header("x-evil"), "");
    let body: Value = serde_json::from_slice(&got.body).unwrap();
    let text = format!("{user} in hello");
    assert_eq!(
        body,
        json!({"text": text, "at": ["2027-01-15T08:00:00Z", 1]})
    );
    assert_eq!(site.log(None)[0].receiver, Some(base));
}

#[tokio::test]
async fn a_user_who_climbs_out_of_the_path_calls_nobody() {
    let mut receiver = Receiver::new(vec![answer("200 OK", "")]).await;
    let base = receiver.url.split("/hook").next().unwrap();
    let webhook = format!("url: '{base}/users/${{user.identifier}}/x'");
    let mut site = Site::calling(&webhook);
    site.store.ship(WHERE, &site.batch("a", "..")).unwrap();
    site.round(FREE).await;
    let log = site.log(None);
    let why = log[0].attempts[0].why.as_ref().unwrap();
    assert!(why.contains("another path"), "{why}");
    assert!(receiver.got.try_recv().is_err());
}

#[tokio::test]
async fn what_was_given_up_is_delivered_when_it_is_asked_for() {
    let failing = answer("503 Service Unavailable", "");
    let count = limits::WEBHOOK_ATTEMPTS_MAX as usize;
    let mut answers = vec![failing; count];
    answers.push(answer("200 OK", ""));
    let mut receiver = Receiver::new(answers).await;
    let mut site = Site::new(&receiver.url);
    site.store.ship(WHERE, &site.batch("a", "u")).unwrap();
    for _ in 0..count {
        site.round(FREE).await;
        site.house.wait(PAUSE_MS_MAX);
    }
    let dead = site.log(Some(DeliveryState::GivenUp)).remove(0);
    assert_eq!((dead.attempts.len(), dead.next_ms), (count, None));
    assert_eq!(
        (&*dead.flow, &*dead.block, &*dead.user),
        ("hello", "tell", "u")
    );
    site.round(FREE).await;
    let again = site.store.deliver_again(WHERE, &dead.id).unwrap();
    assert_eq!(again.state, DeliveryState::Waiting);
    assert_eq!(again, site.store.deliver_again(WHERE, &dead.id).unwrap());
    site.round(FREE).await;
    let mut ids = BTreeSet::new();
    for _ in 0..=count {
        ids.insert(receiver.next().await.header("webhook-id").to_owned());
    }
    assert_eq!(ids.len(), 1, "always the same");
    let done = site.store.deliver_again(WHERE, &dead.id).unwrap();
    assert_eq!(done.state, DeliveryState::Delivered);
    let last = done.attempts.last().unwrap();
    assert_eq!((last.status, &last.why), (Some(200), &None));
    site.round(FREE).await;
    assert!(receiver.got.try_recv().is_err(), "delivered once");
    let unknown = site.store.deliver_again(WHERE, "msg_none").unwrap_err();
    assert!(unknown.to_string().contains("msg_none"), "{unknown}");
    // A delivered one is forgotten sooner than one that was given up.
    let now = site.house.ambient.now_ms();
    site.store.sweep(now).unwrap();
    assert_eq!(site.log(None).len(), 1);
    site.store
        .sweep(now + limits::WEBHOOKS_DELIVERED_KEPT_MS + 1)
        .unwrap();
    assert!(site.log(None).is_empty());
}

#[tokio::test]
async fn the_log_is_read_in_pages_and_by_what_it_says() {
    let receiver = Receiver::new(vec![answer("200 OK", "")]).await;
    let mut site = Site::new(&receiver.url);
    for user in ["a", "b", "c", "d", "e"] {
        site.house.wait(1);
        site.store.ship(WHERE, &site.batch(user, user)).unwrap();
    }
    let page = |asked: Deliveries| site.store.deliveries(WHERE, &asked);
    let mut users = Vec::new();
    let mut after = None;
    loop {
        let asked = Deliveries {
            page: PageAsk {
                after,
                count_max: 2,
            },
            ..Deliveries::default()
        };
        let found = page(asked).unwrap();
        assert!(found.webhooks.len() <= 2);
        users.extend(found.webhooks.into_iter().map(|own| own.user));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(users, ["e", "d", "c", "b", "a"]);
    let of = |user: Option<&str>, flow: Option<&str>| Deliveries {
        user: user.map(ToOwned::to_owned),
        flow: flow.map(ToOwned::to_owned),
        page: PageAsk::first(100),
        ..Deliveries::default()
    };
    assert_eq!(page(of(Some("c"), None)).unwrap().webhooks.len(), 1);
    assert_eq!(page(of(None, Some("hello"))).unwrap().webhooks.len(), 5);
    assert!(page(of(Some("nobody"), None)).unwrap().webhooks.is_empty());
    assert!(page(of(None, Some("other"))).is_err());
    let wrong = Deliveries {
        page: PageAsk {
            after: Some("x".to_owned()),
            count_max: 2,
        },
        ..Deliveries::default()
    };
    assert!(page(wrong).is_err());
    assert_eq!(site.log(Some(DeliveryState::Waiting)).len(), 5);
    assert_eq!(site.store.engine.deliveries_waiting().unwrap(), 5);
    site.round(FREE).await;
    assert_eq!(site.log(Some(DeliveryState::Delivered)).len(), 5);
    assert_eq!(site.store.engine.deliveries_waiting().unwrap(), 0);
}

#[test]
fn the_log_of_deliveries_is_bounded() {
    let site = Site::new("http://example.com/");
    site.store.ship(WHERE, &site.batch("a", "u")).unwrap();
    let path = site.house.folder.path().join("store.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    let copies = limits::WEBHOOKS_DELIVERED_KEPT_MAX;
    connection
        .execute(
            "INSERT INTO outbox (id, environment_uid, effect, attempts, next_ms, delivered_ms)
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
             SELECT 'old' || n, environment_uid, effect, 0, 0, n FROM outbox, n",
            [i64::try_from(copies).unwrap()],
        )
        .unwrap();
    let attempt = Attempt {
        at_ms: site.house.ambient.now_ms(),
        status: Some(200),
        why: None,
    };
    let id = site.due().remove(0).id;
    let engine = &site.store.engine;
    engine
        .attempted(&id, &attempt, &Attempted::Delivered)
        .unwrap();
    let count: i64 = connection
        .query_row("SELECT COUNT(*) FROM outbox", [], |row| row.get(0))
        .unwrap();
    assert_eq!(usize::try_from(count).unwrap(), copies);
    let uid = &site
        .store
        .workspace()
        .environment(WHERE)
        .unwrap()
        .uid
        .clone();
    assert!(engine.delivery(uid, &id).unwrap().is_some());
    assert!(
        engine.delivery(uid, "old1").unwrap().is_none(),
        "the oldest"
    );
    // And so is what one row tells.
    for _ in 0..limits::WEBHOOK_ATTEMPTS_KEPT_MAX + 5 {
        engine
            .attempted(&id, &attempt, &Attempted::Delivered)
            .unwrap();
    }
    let entry = engine.delivery(uid, &id).unwrap().unwrap();
    assert_eq!(entry.log.len(), limits::WEBHOOK_ATTEMPTS_KEPT_MAX);
}

#[tokio::test]
async fn a_webhook_that_cannot_be_read_is_given_up_and_stops_no_other() {
    let mut receiver = Receiver::new(vec![answer("200 OK", "")]).await;
    let mut site = Site::new(&receiver.url);
    site.store.ship(WHERE, &site.batch("a", "u")).unwrap();
    let path = site.house.folder.path().join("store.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute("UPDATE outbox SET effect = '{'", [])
        .unwrap();
    site.house.wait(1);
    site.store.ship(WHERE, &site.batch("b", "v")).unwrap();
    site.round(FREE).await;
    let got = receiver.next().await;
    assert!(String::from_utf8_lossy(&got.body).contains("\"user\":\"v\""));
    let left: i64 = connection
        .query_row(
            "SELECT COUNT(*) FROM outbox WHERE dead_ms IS NULL AND delivered_ms IS NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
    let read: Vec<String> = site.log(None).into_iter().map(|own| own.user).collect();
    assert_eq!(read, ["v"], "what cannot be read is left out");
}

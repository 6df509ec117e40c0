//! What becomes of those who are not let in, or do not behave?

use std::time::Duration;

use serde_json::json;

use super::{follow, watch};
use crate::harness::{Site, Socket, Upgrade, body_of, eventually};

#[test]
fn a_key_that_is_not_good_is_told_so_and_why() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let users = site.edge.key("server");
    for (auth, expected) in [
        ("{\"x-api-key\":\"wrong\"}".to_owned(), "key"),
        (format!("{{\"x-api-key\":\"{users}\"}}"), "blocks"),
        ("{}".to_owned(), "no key"),
        (String::new(), "no key"),
        ("[7".to_owned(), "no key"),
    ] {
        let (mut socket, _) = Socket::open(&url, "ann");
        socket.say(&format!("40/v2/client,{auth}"));
        let text = socket.text().expect("an answer");
        assert!(text.starts_with("44/v2/client,{\"message\":\""), "{text}");
        assert!(text.contains(expected), "{auth}: {text}");
        assert!(!text.contains(&users), "{text}");
        let frame = socket.closed().expect("a close frame");
        assert_eq!(u16::from(frame.code), 1000, "{frame:?}");
    }
    // Another namespace is refused, and the right one is still welcome.
    let (mut socket, _) = Socket::open(&url, "ann");
    socket.say("40/other,{}");
    let text = socket.text().expect("an answer");
    assert!(text.starts_with("44/other,{\"message\":"), "{text}");
    let key = site.edge.key("blocks");
    socket.say(&format!("40/v2/client,{{\"x-api-key\":\"{key}\"}}"));
    assert!(
        socket
            .text()
            .expect("an answer")
            .starts_with("40/v2/client,")
    );
}

#[test]
fn an_upgrade_that_is_none_is_answered_as_json() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    for (query, expected) in [
        ("EIO=4&transport=websocket", "endUserIdentifier"),
        ("endUserIdentifier=&EIO=4", "endUserIdentifier"),
        ("endUserIdentifier=a&EIO=3", "expected 4"),
        (
            "endUserIdentifier=a&EIO=4&transport=polling",
            "expected websocket",
        ),
        ("endUserIdentifier=a&endUserIdentifier=b", "more than once"),
    ] {
        match Socket::ask(&url, query) {
            Upgrade::Opened(_) => panic!("{query} was let in"),
            Upgrade::Refused(head) => assert!(head.starts_with("HTTP/1.1 400 "), "{query}: {head}"),
        }
        let answer = site
            .edge
            .client("blocks")
            .get(&format!("/v2/socket/?{query}"));
        assert_eq!(answer.status, 400, "{}", answer.text);
        let json = answer.json();
        assert_eq!(json["code"], "invalid_request_error", "{json}");
        // Without an upgrade that is what is said.
        assert!(
            json["details"]
                .as_str()
                .expect("text")
                .contains("websocket"),
            "{expected}"
        );
    }
}

#[test]
fn whoever_writes_what_no_client_writes_is_sent_away_alone() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let mut other = follow(&site, "other");
    let long = format!("42/v2/client,[\"watch:flow\",\"{}\",1]", "x".repeat(20_000));
    for (packet, code) in [
        ("9", 1002),
        ("42/v2/client,{}", 1002),
        ("42/v2/client,[[[[", 1002),
        ("451-/v2/client,[]", 1002),
        (long.as_str(), 1009),
    ] {
        let mut socket = follow(&site, "ann");
        socket.say(packet);
        let frame = socket.closed().expect("a close frame");
        assert_eq!(u16::from(frame.code), code, "{frame:?}");
    }
    let mut socket = follow(&site, "ann");
    socket.say_binary(&[4, 2]);
    let frame = socket.closed().expect("a close frame");
    assert_eq!(u16::from(frame.code), 1003, "{frame:?}");
    // Before the key is known it is the same.
    let (mut socket, _) = Socket::open(&url, "ann");
    socket.say("hello");
    let frame = socket.closed().expect("a close frame");
    assert_eq!(u16::from(frame.code), 1002, "{frame:?}");
    watch(&mut other);
}

#[test]
fn a_flood_of_watches_ends_its_socket_and_no_other() {
    let site = Site::start();
    let mut other = follow(&site, "other");
    let mut socket = follow(&site, "ann");
    let flood = std::thread::spawn(move || {
        for at in 0..5_000 {
            socket.emit(&json!(["watch:flow", format!("nope-{at}"), -1]));
        }
        socket.closed()
    });
    let frame = flood.join().expect("it ends");
    if let Some(frame) = frame {
        assert_eq!(u16::from(frame.code), 1008, "{frame:?}");
    }
    watch(&mut other);
    let ended = eventually("the end is counted", || {
        let text = site.edge.admin().get("/metrics").text;
        let line = text
            .lines()
            .find(|line| line.contains("how=\"flood\""))?
            .to_owned();
        line.ends_with(" 1").then_some(line)
    });
    assert!(ended.contains("socket_ends_total"), "{ended}");
}

#[test]
fn there_is_an_end_to_what_one_socket_watches() {
    let site = Site::start();
    let mut socket = follow(&site, "ann");
    for at in 0..300 {
        // Flows that are not there may be published later.
        socket.emit(&json!(["watch:flow", format!("later-{at}"), 1]));
    }
    socket.until("a refusal", |name, text| {
        name == "error" && text.as_str().is_some_and(|text| text.contains("too many"))
    });
    // What was watched before still is.
    body_of(
        &site
            .edge
            .client("blocks")
            .get("/v2/flow/announcement?version=1&userIdentifier=ann"),
        200,
    );
    socket.until("the start", |name, flow| {
        name == "flow" && flow["state"]["started"] == true
    });
}

#[test]
fn a_client_that_answers_no_ping_is_let_go() {
    let site = Site::start_with(&["--ping-interval-s", "1", "--ping-timeout-s", "1"]);
    let mut silent = follow(&site, "ann");
    silent.answers_pings = false;
    let mut alive = follow(&site, "bob");
    // Longer than both together.
    assert!(alive.is_silent(Duration::from_secs(3)));
    let frame = silent.closed().expect("a close frame");
    assert_eq!(u16::from(frame.code), 1001, "{frame:?}");
    watch(&mut alive);
}

#[test]
fn a_revoked_key_ends_its_sockets_and_no_others() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let doomed = site.store.key_of("development", "blocks", "doomed");
    let mut socket = eventually("the edge knows the key", || {
        let (mut socket, _) = Socket::open(&url, "ann");
        socket.say(&format!("40/v2/client,{{\"x-api-key\":\"{doomed}\"}}"));
        let text = socket.text()?;
        text.starts_with("40").then_some(socket)
    });
    let mut other = follow(&site, "ann");
    site.store.revoke("blocks", "doomed");
    let frame = socket.closed().expect("a close frame");
    assert_eq!((u16::from(frame.code), &*frame.reason), (1008, "key"));
    watch(&mut other);
}

#[test]
fn sockets_have_their_number() {
    let site = Site::start_with(&["--streams-max", "2"]);
    let url = site.edge.program.text("edge_url");
    let _first = follow(&site, "ann");
    let second = follow(&site, "bob");
    let key = site.edge.key("blocks");
    let connect = format!("40/v2/client,{{\"x-api-key\":\"{key}\"}}");
    let (mut third, _) = Socket::open(&url, "cid");
    third.say(&connect);
    // Not 44, after which clients never come again.
    let frame = third.closed().expect("a close frame");
    assert_eq!(u16::from(frame.code), 1013, "{frame:?}");
    second.cut();
    eventually("the seat is free again", || {
        let (mut third, _) = Socket::open(&url, "cid");
        third.say(&connect);
        third.text().filter(|text| text.starts_with("40"))
    });
}

//! What does a client hear, and when?

use std::time::Duration;

use serde_json::json;

use super::{block, complete, follow, watch};
use crate::{
    changes::Pair,
    harness::{Site, Socket, body_of, check_block, eventually, run},
};

const READ: &str = "/v2/flow/announcement?version=1&include=block&userIdentifier=";

#[test]
fn a_watch_is_answered_at_once_and_a_step_is_pushed() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let (mut socket, opened) = Socket::open(&url, "ann");
    assert_eq!(opened["pingInterval"], 25_000, "{opened}");
    assert_eq!(opened["pingTimeout"], 20_000, "{opened}");
    assert_eq!(opened["upgrades"], json!([]), "{opened}");
    let key = site.edge.key("blocks");
    socket.say(&format!("40/v2/client,{{\"x-api-key\":\"{key}\"}}"));
    socket.text().expect("an answer to CONNECT");
    assert_eq!(socket.event().0, "ready");

    // Nobody has begun: a watch changes nothing.
    let (blocks, flow) = watch(&mut socket);
    assert_eq!(flow["state"]["started"], false, "{flow}");
    for own in blocks.as_object().expect("blocks").values() {
        check_block(own);
        assert_eq!(own["state"]["active"], false, "{own}");
    }
    // A read starts the flow: what it answers is pushed, too.
    let client = site.edge.client("blocks");
    let read = body_of(&client.get(&format!("{READ}ann")), 200);
    let blocks = socket.until("the card", |name, _| name == "blocks");
    assert_eq!(
        block(&blocks, "announcement.card"),
        &read["blocks"][0],
        "a push says what a read says"
    );
    assert!(blocks.as_object().expect("blocks").len() == 1, "{blocks}");
    let flow = socket.until("the start", |name, _| name == "flow");
    assert_eq!(flow["state"]["started"], true, "{flow}");

    let card = read["blocks"][0]["uid"].as_str().expect("a uid");
    let (status, changed) = complete(&client, card, "ann", "transitions=complete");
    assert_eq!((status, changed.as_str()), (204, "true"));
    let blocks = socket.until("both blocks", |name, _| name == "blocks");
    assert_eq!(
        block(&blocks, "announcement.card")["transitioned"]["complete"],
        true
    );
    assert_eq!(
        block(&blocks, "announcement.thanks")["state"]["active"],
        true
    );
    // The flow itself has not changed, and others' steps are none of ours.
    body_of(&client.get(&format!("{READ}bob")), 200);
    assert!(socket.is_silent(Duration::from_millis(300)));
}

#[test]
fn a_watch_of_blocks_hears_of_blocks_and_a_watch_of_nothing_of_nothing() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let card = site.card();
    let mut socket = Socket::connect(&url, "ann", &site.edge.key("blocks"));
    socket.emit(&json!(["watch:block", card, 1]));
    // A flow that failed to load at the client, as react 3.3 writes it.
    socket.emit(&json!(["watch:flow", "nope", -1]));
    for (event, expected) in [
        (json!(["watch:flow", "nope", 1]), "nope"),
        (json!(["watch:block", "nope", 1]), "uid of a block"),
        (
            json!(["watch:flow", "announcement", "newest"]),
            "expected a number",
        ),
        (json!(["watch:channel", "c"]), "unknown event"),
    ] {
        socket.emit(&event);
        let (name, text) = socket.event();
        assert_eq!(name, "error", "{event}: {text}");
        let text = text.as_str().expect("a text");
        assert!(text.contains(expected), "{event}: {text}");
    }
    body_of(&site.edge.client("blocks").get(&format!("{READ}ann")), 200);
    let (name, blocks) = socket.event();
    assert_eq!(name, "blocks", "{blocks}");
    block(&blocks, "announcement.card");
    assert!(socket.is_silent(Duration::from_millis(300)), "no flow");
    socket.emit(&json!(["watch:flow", "announcement", 7]));
    let (name, text) = socket.event();
    assert_eq!(name, "error", "{text}");
    assert!(text.to_string().contains('7'), "{text}");
}

#[test]
fn a_step_on_one_edge_is_pushed_by_the_other() {
    let pair = Pair::start();
    let url = pair.second.program.text("edge_url");
    let mut socket = Socket::connect(&url, "ann", &pair.second.key("blocks"));
    watch(&mut socket);
    let client = pair.first.client("blocks");
    let read = body_of(&client.get(&format!("{READ}ann")), 200);
    let flow = socket.until("the start", |name, _| name == "flow");
    assert_eq!(flow["state"]["started"], true, "{flow}");
    let card = read["blocks"][0]["uid"].as_str().expect("a uid");
    complete(&client, card, "ann", "transitions=complete");
    socket.until("the step", |name, blocks| {
        name == "blocks" && block(blocks, "announcement.thanks")["state"]["active"] == true
    });
    // A read on that edge is never older than what it has pushed.
    let read = body_of(
        &pair.second.client("blocks").get(&format!("{READ}ann")),
        200,
    );
    assert_eq!(read["blocks"][1]["state"]["active"], true, "{read}");
}

#[test]
fn a_switch_and_new_content_are_pushed() {
    let site = Site::start();
    body_of(&site.edge.client("blocks").get(&format!("{READ}ann")), 200);
    let mut socket = follow(&site, "ann");
    let switch = |word| {
        let words = ["flow", word, "announcement", "--environment", "development"];
        let output = run(&mut site.store.command(&words));
        assert!(output.status.success(), "{output:?}");
    };
    switch("disable");
    let blocks = socket.until("nothing is active", |name, _| name == "blocks");
    assert_eq!(
        block(&blocks, "announcement.card")["state"]["active"],
        false
    );
    switch("enable");
    let blocks = socket.until("it is active again", |name, _| name == "blocks");
    assert_eq!(block(&blocks, "announcement.card")["state"]["active"], true);
    site.publish("Second");
    let blocks = socket.until("the content", |name, _| name == "blocks");
    let card = block(&blocks, "announcement.card");
    assert_eq!(card["fields"][0]["value"], "Second", "{card}");
    assert_eq!(card["state"]["active"], true, "{card}");
}

#[test]
fn a_step_that_was_not_taken_heals_what_the_client_shows() {
    let site = Site::start();
    let client = site.edge.client("blocks");
    let read = body_of(&client.get(&format!("{READ}ann")), 200);
    let card = read["blocks"][0]["uid"].as_str().expect("a uid");
    let thanks = read["blocks"][1]["uid"].as_str().expect("a uid");
    let mut socket = follow(&site, "ann");
    for (uid, names, expected) in [
        (card, "transitions=bogus", 400),
        (thanks, "transitions=complete", 204),
    ] {
        let (status, _) = complete(&client, uid, "ann", names);
        assert_eq!(status, expected, "{names}");
        let blocks = socket.until("all blocks", |name, _| name == "blocks");
        assert_eq!(block(&blocks, "announcement.card")["state"]["active"], true);
        let flow = socket.until("the flow", |name, _| name == "flow");
        assert_eq!(flow["state"]["started"], true, "{flow}");
    }
    // Without a key nobody makes anything be said.
    let path = format!("/v2/block/{card}/transition?version=1&userIdentifier=ann&transitions=x");
    let stranger = crate::harness::Client::new(&site.edge.program.text("edge_url"), "nobody");
    stranger
        .send(reqwest::Method::POST, &path, &[], Some("{}".into()))
        .expect("an answer");
    assert!(socket.is_silent(Duration::from_millis(300)));
}

#[test]
fn the_newest_version_stays_what_it_was_until_it_is_asked_for() {
    let site = Site::start();
    body_of(&site.edge.client("blocks").get(&format!("{READ}ann")), 200);
    let url = site.edge.program.text("edge_url");
    let mut socket = Socket::connect(&url, "ann", &site.edge.key("blocks"));
    socket.emit(&json!(["watch:flow", "announcement", "latest"]));
    let flow = socket.until("the flow", |name, _| name == "flow");
    assert_eq!(flow["version"], 1, "{flow}");
    let text = std::fs::read_to_string(site.path().join("project.yaml")).expect("the project");
    let second = text.replace(
        "    versions:\n",
        "    versions:\n      - number: 2\n        migration: restart-in-progress\n        \
         entry: everyone\n        blocks: [{ sid: alone, type: card }]\n        \
         paths: [{ from: entry, to: alone }]\n",
    );
    let file = site.path().join("second.yaml");
    std::fs::write(&file, second).expect("a project file");
    site.store.import(&file);
    let client = site.edge.client("blocks");
    eventually("version 2 is there", || {
        let answer = client.get("/v2/flow/announcement?tag=latest&userIdentifier=bob");
        (answer.json()["version"] == 2).then_some(())
    });
    // Its migration belongs to a request of the user.
    assert!(socket.is_silent(Duration::from_millis(300)));
    socket.emit(&json!(["watch:flow", "announcement", "latest"]));
    let flow = socket.until("the flow", |name, _| name == "flow");
    assert_eq!(flow["version"], 2, "{flow}");
}

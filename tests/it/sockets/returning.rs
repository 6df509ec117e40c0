//! What does a client hear that comes again?

use serde_json::json;

use super::{block, complete, follow, watch};
use crate::{
    changes::Pair,
    harness::{Site, Socket, body_of, eventually},
};

const READ: &str = "/v2/flow/announcement?version=1&include=block&userIdentifier=";

#[test]
fn a_client_that_names_nothing_goes_on_with_what_it_followed() {
    let site = Site::start();
    let client = site.edge.client("blocks");
    let socket = follow(&site, "ann");
    socket.cut();
    // What happens in the gap is what it must hear.
    body_of(&client.get(&format!("{READ}ann")), 200);
    let url = site.edge.program.text("edge_url");
    let key = site.edge.key("blocks");
    eventually("the edge knows that it is gone", || {
        let text = site.edge.admin().get("/metrics").text;
        text.contains("sockets_open 0").then_some(())
    });
    let mut again = Socket::connect(&url, "ann", &key);
    let blocks = again.until("the card", |name, _| name == "blocks");
    assert_eq!(block(&blocks, "announcement.card")["state"]["active"], true);
    let flow = again.until("the flow", |name, _| name == "flow");
    assert_eq!(flow["version"], 1, "{flow}");
    // And it goes on.
    complete(&client, &site.card(), "ann", "transitions=complete");
    again.until("the step", |name, blocks| {
        name == "blocks" && block(blocks, "announcement.thanks")["state"]["active"] == true
    });
}

#[test]
fn on_an_edge_that_never_saw_it_a_client_hears_of_what_its_user_has_begun() {
    let mut pair = Pair::start();
    let client = pair.first.client("blocks");
    let read = body_of(&client.get(&format!("{READ}ann")), 200);
    let url = pair.first.program.text("edge_url");
    let mut socket = Socket::connect(&url, "ann", &pair.first.key("blocks"));
    watch(&mut socket);
    eventually("the ledger has the start", || {
        pair.store
            .user("ann")
            .filter(|user| !user["flows"].is_null())
    });
    pair.first.program.kill();
    assert_eq!(socket.closed(), None, "no word of a process that is killed");
    let url = pair.second.program.text("edge_url");
    let mut again = Socket::connect(&url, "ann", &pair.second.key("blocks"));
    let flow = again.until("the flow", |name, _| name == "flow");
    assert_eq!(flow["state"]["started"], true, "{flow}");
    let card = read["blocks"][0]["uid"].as_str().expect("a uid");
    let client = pair.second.client("blocks");
    eventually("the other edge takes the step", || {
        let (_, changed) = complete(&client, card, "ann", "transitions=complete");
        (changed == "true").then_some(())
    });
    again.until("the step", |name, blocks| {
        name == "blocks" && block(blocks, "announcement.thanks")["state"]["active"] == true
    });
}

#[test]
fn what_nobody_could_say_when_a_client_came_is_asked_again() {
    let mut pair = Pair::start();
    let client = pair.first.client("blocks");
    body_of(&client.get(&format!("{READ}ann")), 200);
    eventually("the ledger has the start", || {
        pair.store
            .user("ann")
            .filter(|user| !user["flows"].is_null())
    });
    pair.store.program.kill();
    let url = pair.second.program.text("edge_url");
    let mut socket = Socket::connect(&url, "ann", &pair.second.key("blocks"));
    eventually("it was asked in vain", || {
        let text = pair.second.admin().get("/metrics").text;
        (!text.contains("flowgate_users_read_total 0")).then_some(())
    });
    pair.store.restart();
    let flow = socket.until("the flow", |name, _| name == "flow");
    assert_eq!(flow["state"]["started"], true, "{flow}");
}

#[test]
fn a_restart_closes_sockets_and_never_disconnects_them() {
    let mut site = Site::start();
    let mut socket = follow(&site, "ann");
    // One that has not connected yet, too.
    let url = site.edge.program.text("edge_url");
    let (mut early, _) = Socket::open(&url, "bob");
    assert_eq!(site.edge.program.terminate(), Some(0));
    for socket in [&mut socket, &mut early] {
        let frame = socket.closed().expect("a close frame");
        assert_eq!(u16::from(frame.code), 1001, "{frame:?}");
    }
}

#[test]
fn two_sockets_of_one_user_hear_the_same() {
    let site = Site::start();
    let mut first = follow(&site, "ann");
    let mut second = follow(&site, "ann");
    let client = site.edge.client("blocks");
    body_of(&client.get(&format!("{READ}ann")), 200);
    for socket in [&mut first, &mut second] {
        let flow = socket.until("the start", |name, _| name == "flow");
        assert_eq!(flow["state"]["started"], true, "{flow}");
    }
    // A client that leaves, leaves alone.
    first.say("41/v2/client,");
    let frame = first.closed().expect("a close frame");
    assert_eq!(u16::from(frame.code), 1000);
    second.emit(&json!(["watch:flow", "announcement", 1]));
    second.until("the flow", |name, _| name == "flow");
}

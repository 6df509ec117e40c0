//! Do the sockets of Dopt's clients carry what they should, and only that?
//!
//! [`pushing`]: what clients hear of steps, switches and new content, on one
//! edge and over two. [`returning`]: clients that come again. [`refusing`]:
//! bad keys, bad packets, floods and silence. The published clients themselves
//! are tried in `tests/clients`; here is what they do not do.

mod pushing;
mod refusing;
mod returning;

use serde_json::{Value, json};

use crate::harness::{Client, Site, Socket};

/// A transition of the card, as the SDK asks it; its status and side effects.
#[track_caller]
fn complete(edge: &Client, uid: &str, user: &str, names: &str) -> (u16, String) {
    let path = format!("/v2/block/{uid}/transition?version=1&userIdentifier={user}&{names}");
    let answer = edge
        .send(reqwest::Method::POST, &path, &[], Some("{}".into()))
        .expect("an answer");
    let changed = answer.header("x-dopt-intent-side-effects").to_owned();
    (answer.status, changed)
}

/// A user's socket that follows the announcement and was told of it.
#[track_caller]
fn follow(site: &Site, user: &str) -> Socket {
    let url = site.edge.program.text("edge_url");
    let mut socket = Socket::connect(&url, user, &site.edge.key("blocks"));
    watch(&mut socket);
    socket
}

/// Watches the announcement; what was pushed of it at once.
#[track_caller]
fn watch(socket: &mut Socket) -> (Value, Value) {
    socket.emit(&json!(["watch:flow", "announcement", 1]));
    let (name, blocks) = socket.event();
    assert_eq!(name, "blocks", "{blocks}");
    let (name, flow) = socket.event();
    assert_eq!(name, "flow", "{flow}");
    assert_eq!(flow["sid"], "announcement", "{flow}");
    assert!(flow.get("blocks").is_none(), "{flow}");
    (blocks, flow)
}

/// The only block of a push with this sid.
#[track_caller]
fn block<'b>(blocks: &'b Value, sid: &str) -> &'b Value {
    let all = blocks.as_object().expect("blocks by uid");
    let mut found = all.values().filter(|block| block["sid"] == sid);
    found
        .next()
        .unwrap_or_else(|| panic!("no {sid} in {blocks}"))
}

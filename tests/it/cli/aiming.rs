//! Which server is asked when a `flowgate dev` has left addresses and keys here,
//! and who gets to see those keys?

use std::{io::ErrorKind, net::TcpListener, path::Path};

use serde_json::{Value, json};

use super::{Ended, ended};
use crate::harness::{Dev, flowgate};

/// A command in a folder.
#[track_caller]
fn said_in(folder: &Path, words: &[&str]) -> Ended {
    ended(flowgate().current_dir(folder).args(words))
}

/// A folder in which a `flowgate dev` has run.
fn with_dev_json(info: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join(".flowgate")).expect("a data folder");
    let file = folder.path().join(".flowgate/dev.json");
    std::fs::write(file, info.to_string()).expect("dev.json");
    folder
}

const EXPLAIN: [&str; 5] = ["explain", "--flow", "onboarding-tour", "--user", "ada"];

/// Found by a review: a command that named another store sent it the key of
/// `./.flowgate`, and told to start `flowgate dev` again when that was refused.
#[test]
fn keys_that_lie_here_are_for_the_servers_that_lie_here() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let elsewhere = format!("http://{}", other.local_addr().expect("its address"));
    let folder = tempfile::tempdir().expect("a folder");
    let dev = Dev::start(folder.path());
    let (store, edge) = (dev.program.text("store_url"), dev.program.text("edge_url"));
    let here = with_dev_json(&dev.program.ready);

    // What is not said is read, and it may be said as well.
    for to in [&[][..], &["--to", &store], &["--to", &format!("{store}/")]] {
        said_in(here.path(), &[&["flow", "list"], to].concat()).with(0);
    }
    for url in [&[][..], &["--url", &edge], &["--url", &format!("{edge}/")]] {
        said_in(here.path(), &[&EXPLAIN, url].concat()).with(0);
    }
    // Another server does not get to see the keys: it is not even asked.
    said_in(here.path(), &["flow", "list", "--to", &elsewhere])
        .with(64)
        .complains_of(&["no admin key was given", "--data"]);
    said_in(
        here.path(),
        &[&EXPLAIN[..], &["--url", &elsewhere]].concat(),
    )
    .with(64)
    .complains_of(&["no server key", "--data"]);
    other.set_nonblocking(true).expect("a listener");
    let asked = other.accept().map(|(_, from)| from);
    let unasked = asked.expect_err("nobody connected").kind();
    assert_eq!(unasked, ErrorKind::WouldBlock);
}

#[test]
fn only_the_store_of_dev_json_is_mended_by_another_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = Dev::start(folder.path());
    let store = dev.program.text("store_url");
    let info = |store_url: &str| {
        let mut info = dev.program.ready.clone();
        info["store_url"] = json!(store_url);
        info["admin_key"] = json!("admin-of-another-store");
        with_dev_json(&info)
    };
    let again = "start it again";
    let own = info(&store);
    for to in [&[][..], &["--to", &store]] {
        let refused = said_in(own.path(), &[&["flow", "list"], to].concat()).with(2);
        refused.complains_of(&["401", "./.flowgate/dev.json is not valid any more", again]);
    }
    // A folder that is named is meant, also for another store; but that one
    // gets no other key by a start of this one.
    let foreign = info("http://127.0.0.1:9");
    let words = ["flow", "list", "--data", ".flowgate", "--to", &store];
    let refused = said_in(foreign.path(), &words).with(2);
    refused.complains_of(&["401", "give an admin key of this store"]);
    assert!(!refused.error.contains(again), "{}", refused.error);
}

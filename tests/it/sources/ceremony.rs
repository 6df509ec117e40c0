//! Does a running edge follow every rotation of the signing keys?

use super::{Folder, done, word};
use crate::harness::{Site, eventually};

#[test]
fn an_edge_walks_the_chain_of_roots_of_its_store() {
    let mut site = Site::start();
    let signing = word(&site.path().join("signing"));
    for (role, title) in [
        ("timestamp", "Second"),
        ("release", "Third"),
        ("control", "Fourth"),
        ("root", "Fifth"),
    ] {
        done(&["key", "signing", "rotate", "--folder", &signing, role]);
        site.store.program.terminate();
        site.store.restart();
        site.publish(title);
        eventually(&format!("what the new {role} key allows is served"), || {
            (site.title() == title).then_some(())
        });
    }
    let shown = done(&["key", "signing", "show", "--folder", &signing]);
    assert!(shown.starts_with("root 5 "), "{shown}");
    // From its own disk as well, with the root it was given at first.
    site.store.program.kill();
    site.edge.program.kill();
    let folder = site.path().to_owned();
    site.edge.restart(&folder);
    assert_eq!(site.title(), "Fifth");
}

#[test]
fn the_root_key_is_away_but_for_rotations() {
    let site = Site::start();
    let signing = site.path().join("signing");
    let root_key = signing.join("keys/root.json");
    let medium = site.path().join("medium.json");
    std::fs::rename(&root_key, &medium).expect("it is taken away");
    let refused = crate::harness::run(crate::harness::flowgate().args([
        "key",
        "signing",
        "rotate",
        "--folder",
        &word(&signing),
        "timestamp",
    ]));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("keys/root.json"), "{text}");
    site.publish("Second");
    eventually("it is served", || (site.title() == "Second").then_some(()));
    std::fs::rename(&medium, &root_key).expect("it is brought back");
    done(&[
        "key",
        "signing",
        "rotate",
        "--folder",
        &word(&signing),
        "timestamp",
    ]);
}

#[test]
fn a_folder_follows_rotations_by_signing_again() {
    let folder = Folder::new("First");
    let first_root = folder.path().join("given.json");
    std::fs::copy(folder.trust_root(), &first_root).expect("a copy");
    let edge = super::Running::start(
        folder.command("edge", &first_root),
        &folder.path().join("edge.log"),
    );
    edge.serves(&folder.key, "First");
    let signing = word(&folder.path().join("signing"));
    for role in ["release", "root", "timestamp", "control"] {
        done(&["key", "signing", "rotate", "--folder", &signing, role]);
    }
    folder.build("Second");
    folder.sign();
    edge.serves(&folder.key, "Second");
}

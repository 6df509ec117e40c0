//! What do commands about keys change, and how soon does the edge know?

use std::time::Instant;

use serde_json::Value;

use super::{Ended, ended, said};
use crate::harness::{Client, Site, eventually};

const FLOW: &str = "/v2/flow/announcement?version=1&userIdentifier=ada";

/// `key …` for one key of the development environment.
#[track_caller]
fn key(site: &Site, verb: &str, kind: &str, name: &str, more: &[&str]) -> Ended {
    let mut command = site.store.command(&["key", verb]);
    command.args([
        "--kind",
        kind,
        "--environment",
        "development",
        "--name",
        name,
    ]);
    ended(command.args(more))
}

#[track_caller]
fn secret(ended: &Ended) -> String {
    let made = ended.json();
    made["key"].as_str().expect("a key").to_owned()
}

/// Waits until a key gets this status; prints how long that took.
#[track_caller]
fn becomes(site: &Site, secret: &str, status: u16) {
    let client = Client::new(&site.edge.program.text("edge_url"), secret);
    let begun = Instant::now();
    eventually(&format!("the key gets {status}"), || {
        (client.get(FLOW).status == status).then_some(())
    });
    println!(
        "a key got {status} after {:?} (goal: a second)",
        begun.elapsed()
    );
}

#[test]
fn a_key_opens_the_edge_from_its_making_to_its_revocation() {
    let site = Site::start();
    let first = secret(&key(&site, "create", "blocks", "web", &["--output", "json"]).with(0));
    assert!(first.starts_with("blocks-development-"), "{first}");
    becomes(&site, &first, 200);
    let again = key(&site, "create", "blocks", "web", &[]).with(2);
    again.complains_of(&["web"]);

    // A rotation makes a second secret beside the first.
    let second = secret(&key(&site, "rotate", "blocks", "web", &["--output", "json"]).with(0));
    assert_ne!(first, second);
    becomes(&site, &second, 200);
    becomes(&site, &first, 200);

    // The list shows both and neither secret.
    let mut list = site
        .store
        .command(&["key", "list", "--environment", "development"]);
    let listed = ended(list.args(["--output", "json"])).with(0);
    assert!(!listed.out.contains(&first) && !listed.out.contains(&second));
    let keys = listed.json();
    let own: Vec<&Value> = keys
        .as_array()
        .into_iter()
        .flatten()
        .filter(|key| key["name"] == "web")
        .collect();
    assert_eq!(own.len(), 2, "{keys}");
    let table = ended(&mut site.store.command(&["key", "list"])).with(0).out;
    assert!(
        table.contains("ENDS WITH") && table.contains("web"),
        "{table}"
    );

    // One secret is revoked by its last characters, then all of the name.
    let last = own.iter().find_map(|key| {
        let last = key["last"].as_str()?;
        first.ends_with(last).then(|| last.to_owned())
    });
    let last = last.expect("the last characters of the first secret");
    key(&site, "revoke", "blocks", "web", &["--last", &last]).with(0);
    becomes(&site, &first, 401);
    becomes(&site, &second, 200);
    key(&site, "revoke", "blocks", "web", &[]).with(0);
    becomes(&site, &second, 401);
    key(&site, "revoke", "blocks", "nothing", &[])
        .with(2)
        .complains_of(&["nothing"]);
    // Others are untouched, and a restart forgets nothing.
    becomes(&site, &site.edge.key("blocks"), 200);
    let mut site = site;
    let folder = site.path().to_owned();
    site.edge.program.kill();
    site.edge.restart(&folder);
    becomes(&site, &second, 401);
}

#[test]
fn an_overlap_ends_by_itself() {
    let site = Site::start();
    let first = secret(&key(&site, "create", "blocks", "web", &["--output", "json"]).with(0));
    becomes(&site, &first, 200);
    let more = ["--overlap-s", "1", "--output", "json"];
    let second = secret(&key(&site, "rotate", "blocks", "web", &more).with(0));
    becomes(&site, &second, 200);
    becomes(&site, &first, 401);
    becomes(&site, &second, 200);
}

#[test]
fn a_key_of_one_project_sees_no_other() {
    let site = Site::start();
    let more = ["--projects", "other", "--output", "json"];
    let made = key(&site, "create", "blocks", "narrow", &more);
    if made.code == 2 {
        // A project has to exist before a key can be for it.
        made.complains_of(&["other"]);
        let file = site.path().join("other.yaml");
        std::fs::write(&file, "flowgate: project/1\nproject: other\n").expect("a file");
        site.store.import(&file);
    }
    let made = key(&site, "create", "blocks", "narrow-2", &more).with(0);
    becomes(&site, &secret(&made), 404);
}

#[test]
fn admin_keys_open_the_store_and_can_be_revoked() {
    let site = Site::start();
    let mut command = site.store.command(&["key", "create", "--kind", "admin"]);
    let made = ended(command.args(["--name", "ada", "--output", "json"])).with(0);
    let admin = secret(&made);
    let list = |key: &str| said(&["key", "list", "--to", site.store.url(), "--key", key]);
    list(&admin).with(0);
    let mut command = site.store.command(&["key", "revoke", "--kind", "admin"]);
    ended(command.args(["--name", "ada"])).with(0);
    list(&admin).with(2).complains_of(&["401"]);
    // Keys of applications author nothing.
    list(&site.edge.key("server")).with(2);
    said(&["key", "list", "--to", site.store.url()])
        .with(64)
        .complains_of(&["FLOWGATE_ADMIN_KEY"]);
}

#[test]
fn signing_keys_are_made_rotated_and_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let signing = folder.path().join("signing").display().to_string();
    let with = |words: &[&str]| {
        let words: Vec<&str> = ["key", "signing"].iter().chain(words).copied().collect();
        said(&[&words[..], &["--folder", &signing]].concat())
    };
    with(&["create"]).with(0);
    with(&["create"]).with(2).complains_of(&[&signing]);
    let first = with(&["show", "--output", "json"]).with(0).json();
    assert_eq!(first["root_version"], 1, "{first}");
    for (number, role) in [
        (2, "timestamp"),
        (3, "release"),
        (4, "control"),
        (5, "root"),
    ] {
        with(&["rotate", role]).with(0);
        let shown = with(&["show", "--output", "json"]).with(0).json();
        assert_eq!(shown["root_version"], number, "{shown}");
    }
    // No secret is ever shown.
    let shown = with(&["show"]).with(0).out;
    for role in ["root", "release", "timestamp", "control"] {
        let path = folder.path().join(format!("signing/keys/{role}.json"));
        let text = std::fs::read_to_string(path).expect("a key file");
        let file: Value = serde_json::from_str(&text).expect("JSON");
        let seed = file["seed"].as_str().expect("a seed");
        assert!(!shown.contains(seed) && shown.contains(file["keyid"].as_str().unwrap_or("?")));
    }
}

#[test]
fn an_edge_follows_a_rotation_of_every_role() {
    let mut site = Site::start();
    let folder = site.path().join("signing").display().to_string();
    for role in ["timestamp", "release", "control", "root"] {
        said(&["key", "signing", "rotate", role, "--folder", &folder]).with(0);
        site.store.program.kill();
        site.store.restart();
        site.publish(role);
        eventually("what the new key signed", || {
            (site.title() == role).then_some(())
        });
    }
    // An edge that only knows the first root walks the whole chain.
    let first = site.path().join("signing/roots/1.json");
    let mut edge = site.edge.bare_command_with_root(&first);
    edge.arg("--data").arg(site.path().join("late"));
    let late = crate::harness::Program::start(edge, &site.path().join("late.log"));
    let admin = Client::new(&late.text("edge_admin_url"), "");
    eventually("the late edge is ready", || {
        (admin.get("/ready").status == 200).then_some(())
    });
}

#[test]
fn an_admin_key_of_a_role_does_what_the_role_may_and_says_what_is_missing() {
    let site = Site::start();
    let mut command = site
        .store
        .command(&["key", "create", "ann", "--kind", "admin"]);
    command.args(["--role", "editor", "--environments", "development"]);
    let ann = secret(&ended(command.args(["--output", "json"])).with(0));
    let with = |words: &[&str]| {
        let place = ["--to", site.store.url(), "--key", ann.as_str()];
        said(&[words, &place].concat())
    };
    let disable = ["flow", "disable", "announcement", "--environment"];
    with(&[&disable[..], &["development"]].concat()).with(0);
    with(&[&disable[..], &["production"]].concat())
        .with(2)
        .complains_of(&["403", "production", "development"]);
    with(&["key", "list"])
        .with(2)
        .complains_of(&["403", "?environment="]);
    let listed = with(&["key", "list", "--environment", "development"]).with(0);
    assert!(listed.out.contains("ROLE"), "{}", listed.out);
    with(&["key", "create", "x", "--kind", "admin"])
        .with(2)
        .complains_of(&["403", "role admin"]);
    let all = ended(&mut site.store.command(&["key", "list"])).with(0).out;
    assert!(all.contains("editor in development"), "{all}");
}

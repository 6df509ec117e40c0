//! What never stands in what a command prints, also when it fails?
//!
//! Secrets at every place where commands take one, right and wrong ones, and
//! places that are damaged. What people paste into a ticket when something
//! fails is what a command printed.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{MARK, canary};
use crate::harness::{Site, flowgate, run};

/// A file that only its owner may read.
fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    std::fs::write(&path, text).expect("a file");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, mode).expect("a mode");
    path
}

/// Runs it; it may end as it likes, but has to say something else. Commands
/// that are to fail do.
#[track_caller]
fn says_nothing(what: &str, fails: bool, command: &mut Command) {
    let output = run(command);
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains(MARK), "{what}: {said}");
    assert_eq!(output.status.code() != Some(0), fails, "{what}: {said}");
    assert!(!said.is_empty(), "{what} says nothing at all");
}

/// The same for a command that must fail.
#[track_caller]
fn hides(what: &str, command: &mut Command) {
    says_nothing(what, true, command);
}

fn words(words: &[&str]) -> Command {
    let mut command = flowgate();
    command.args(words);
    command
}

#[test]
fn no_command_repeats_a_key() {
    let site = Site::start();
    let (folder, store) = (site.path(), site.store.url());
    let edge = site.edge.program.text("edge_url");
    let key = canary("key");
    let list = ["flow", "list", "--to", store];
    hides(
        "a wrong variable",
        words(&list).env("FLOWGATE_ADMIN_KEY", &key),
    );
    hides("a wrong flag", words(&list).args(["--key", &key]));
    let broken = format!("{key}\u{7}");
    hides("no possible key", words(&list).args(["--key", &broken]));
    let away = format!("http://ops:{key}@127.0.0.1:1/");
    hides(
        "a url",
        &mut words(&["flow", "list", "--key", "k", "--to", &away]),
    );
    hides("a url of an edge", &mut words(&["health", "--url", &away]));
    let unknown = format!("ftp://ops:{key}@127.0.0.1/");
    hides(
        "no url",
        &mut words(&["flow", "list", "--key", "k", "--to", &unknown]),
    );
    hides(
        "no url of an edge",
        &mut words(&["health", "--url", &unknown]),
    );

    let explain = [
        "explain",
        "--user",
        "ada",
        "--flow",
        "announcement",
        "--url",
        &edge,
    ];
    hides("a wrong key", words(&explain).args(["--key", &key]));
    let lines = file(folder, "lines", &format!("{key}\n{key}\n"));
    hides(
        "a file of keys",
        words(&explain).arg("--key-file").arg(&lines),
    );
    let load = [
        "load",
        &edge,
        "--read",
        "announcement",
        "--rate",
        "5",
        "--duration-s",
        "1",
    ];
    hides("a wrong key of load", words(&load).args(["--key", &key]));
    hides("a url of load", words(&load).arg(&away));
    let header = format!("Flowgate-User-Token {key}");
    hides("no header", words(&load).args(["--header", &header]));
    let header = format!("Flowgate-User-Token: {key}\u{7}");
    hides(
        "no possible header",
        words(&load).args(["--header", &header]),
    );

    let weak = file(folder, "weak", &format!("default:development.{MARK}"));
    let create = [
        "key",
        "create",
        "web",
        "--kind",
        "blocks",
        "--environment",
        "development",
    ];
    hides(
        "a weak token",
        site.store.command(&create).arg("--from").arg(&weak),
    );
    let hashed = file(folder, "hashed", &format!("{key} two words"));
    hides("no key to hash", words(&["key", "hash"]).arg(&hashed));
    let info = format!("{{\"store_url\":\"{store}\",\"admin_key\":[\"{key}\"]}}");
    file(folder, "dev/dev.json", &info);
    let mut damaged = words(&["flow", "list", "--data"]);
    hides("a damaged dev.json", damaged.arg(folder.join("dev")));
    says_nothing(
        "the keys there are",
        false,
        &mut site.store.command(&["key", "list"]),
    );
}

#[test]
fn no_fault_of_settings_repeats_a_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let key = canary("key");
    for (what, text) in [
        (
            "a list",
            format!("[environment.development]\nkey = [\"{key}\"]\n"),
        ),
        (
            "a number",
            format!("[environment.development]\nkey = 1\nkye = \"{key}\"\n"),
        ),
        (
            "two keys",
            format!("[environment.development]\nkey = \"{key}\"\nkey = \"{key}\"\n"),
        ),
        (
            "two forms",
            format!("[environment.development]\nkey = \"{key}\"\nkey_file = \"no\"\n"),
        ),
        (
            "no end",
            format!("[environment.development]\nkey = \"{key}\n"),
        ),
        (
            "no quotes",
            format!("[environment.development]\nkey = {key}\n"),
        ),
        (
            "a control character",
            format!("[environment.development]\nkey = \"{key}\\u0007\"\n"),
        ),
        (
            "a table",
            format!("[environment.development.key]\nis = \"{key}\"\n"),
        ),
        (
            "a short secret",
            format!("[changes]\nticket_secret = \"{MARK}\"\n"),
        ),
        (
            "a url with a user",
            format!("[upstream]\nurl = \"http://ops:{key}@127.0.0.1:1\"\n"),
        ),
        (
            "no url",
            format!("[upstream]\nurl = \"ops:{key}@127.0.0.1:1\"\n"),
        ),
        (
            "a collector's url",
            format!("[telemetry]\notlp_url = \"http://ops:{key}@127.0.0.1:1/?a\"\n"),
        ),
    ] {
        let file = file(folder, "edge.toml", &text);
        let mut check = words(&["config", "check", "--for", "edge"]);
        hides(what, check.arg(&file));
    }
    let edge = || words(&["edge", "--trust-root", "nowhere"]);
    hides(
        "a flag without a name",
        edge().args(["--environment-key", &key]),
    );
    let named = format!("development={key}\u{7}");
    hides("a flag", edge().args(["--environment-key", &named]));
    let (name, secret) = ("FLOWGATE_CHANGES__TICKET_SECRET", MARK);
    hides("a variable", edge().env(name, secret));
    let name = "FLOWGATE_ENVIRONMENT__DEVELOPMENT__KYE";
    hides("a variable by another name", edge().env(name, &key));
}

#[test]
fn no_damaged_secret_is_repeated() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let signing = path.join("signing");
    let made = run(words(&["key", "signing", "create", "--folder"]).arg(&signing));
    assert!(made.status.success(), "{made:?}");
    let seed = canary("seed");
    let store = || {
        let mut command = words(&["store", "--listen", "127.0.0.1:0", "--data"]);
        command
            .arg(path.join("store"))
            .arg("--signing")
            .arg(&signing);
        command
    };
    let release = signing.join("keys/release.json");
    let good = std::fs::read_to_string(&release).expect("a key");
    for text in [
        seed.clone(),
        format!("[\"{seed}\"]"),
        format!("{{\"role\":\"release\",\"keyid\":\"0\",\"seed\":\"{seed}\"}}"),
        format!("{{\"role\":\"release\",\"keyid\":\"0\",\"seed\":[\"{seed}\"]}}"),
        format!("{{\"role\":\"release\",\"keyid\":\"0\",\"{seed}\":\"\"}}"),
    ] {
        file(path, "signing/keys/release.json", &text);
        hides(&text.replace(MARK, ""), &mut store());
    }
    file(path, "signing/keys/release.json", &good);
    file(path, "store/webhooks.key", &seed);
    hides("a damaged key of webhooks", &mut store());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{seed}\n-----END PRIVATE KEY-----\n");
    for text in [seed, pem] {
        let key = file(path, "tls.key", &text);
        let mut store = store();
        store.arg("--tls-key").arg(&key);
        hides(
            "a damaged key of TLS",
            store.arg("--tls-certificate").arg(&key),
        );
    }
}

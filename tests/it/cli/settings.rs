//! Which codes do commands end with, and how are settings judged?

use super::{ended, said};
use crate::harness::{Dev, flowgate};

#[test]
fn wrong_usage_ends_with_64_in_every_family() {
    for words in [
        &[][..],
        &["nothing"],
        &["dev", "--nothing"],
        &["edge", "--workers"],
        &["store", "--listen", "here"],
        &["health", "--url", "not a url"],
        &["config", "check"],
        &["config", "print-defaults", "nothing"],
        &["import"],
        &[
            "import",
            "--format",
            "unleash",
            "--map-environment",
            "a",
            "file",
        ],
        &["export", "--to", "ftp://127.0.0.1", "--key", "k"],
        &["key", "create", "--kind", "nothing", "--name", "n"],
        &["key", "signing", "rotate"],
        &["snapshot", "verify", "folder"],
        &["user", "show"],
    ] {
        let ended = said(words);
        assert_eq!(ended.code, 64, "{words:?}: {}", ended.error);
        assert!(!ended.error.is_empty(), "{words:?} says nothing");
    }
}

#[test]
fn what_cannot_be_done_ends_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing").display().to_string();
    // Port 1 of loopback: nobody listens there.
    let nobody = ["--to", "http://127.0.0.1:1", "--key", "k"];
    for words in [
        &["import", &missing][..],
        &["export"],
        &["key", "list"],
        &["user", "show", "ada"],
    ] {
        let ended = ended(flowgate().args(words).args(nobody)).with(2);
        ended.complains_of(&["flowgate: "]);
    }
    for words in [
        &["key", "signing", "show", "--folder", &missing][..],
        &["key", "signing", "rotate", "root", "--folder", &missing],
        &["snapshot", "verify", &missing, "--trust-root", &missing],
    ] {
        said(words).with(2).complains_of(&["missing"]);
    }
    // Nobody to ask is not well, which is an answer.
    let ended = said(&["health", "--url", "http://127.0.0.1:1"]).with(1);
    ended.complains_of(&["cannot be reached"]);
}

#[test]
fn help_and_version_are_results() {
    for words in [&["--help"][..], &["--version"], &["key", "--help"]] {
        let ended = said(words).with(0);
        assert!(!ended.out.is_empty() && ended.error.is_empty());
    }
    // Every setting stands in the help of its command.
    let help = said(&["edge", "--help"]).with(0).out;
    for flag in ["--listen", "--journal-total-mb", "--environment-key-file"] {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn health_tells_alive_from_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = Dev::start(folder.path());
    let url = dev.program.text("edge_admin_url");
    assert_eq!(said(&["health", "--url", &url]).with(0).out, "healthy\n");
    let ready = said(&["health", "--ready", "--url", &url]).with(0);
    assert_eq!(ready.out, "ready\n");
    // As the container image asks: the listener comes from a variable.
    let address = url.trim_start_matches("http://");
    let ended = ended(flowgate().args(["health", "--ready"]).env(
        "FLOWGATE_ADMIN__LISTEN",
        address.replace("127.0.0.1", "0.0.0.0"),
    ));
    ended.with(0);
}

#[test]
fn an_edge_without_a_snapshot_is_alive_and_not_ready() {
    let site = crate::harness::Site::start();
    let mut edge = site.edge.bare_command();
    edge.arg("--data").arg(site.path().join("fresh"));
    let mut site = site;
    site.store.program.kill();
    let edge = crate::harness::Program::start(edge, &site.path().join("fresh.log"));
    let url = edge.text("edge_admin_url");
    said(&["health", "--url", &url]).with(0);
    let ended = said(&["health", "--ready", "--url", &url]).with(1);
    ended.complains_of(&["503", "development"]);
}

#[test]
fn every_fault_of_a_file_is_reported_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("edge.toml");
    let text = r#"
listen = "nowhere"
wokers = 2
[upstream]
kind = "nats"
url = "ftp://x"
timeout_ms = 1
[journal]
segment_mb = "large"
ack = "upstream"
[stop]
drain_ms = -1
[nothing]
a = 1
"#;
    std::fs::write(&file, text).expect("a file");
    let name = file.display().to_string();
    let ended = said(&["config", "check", &name, "--for", "edge"]).with(64);
    ended.complains_of(&[
        "listen",
        "nowhere",
        "wokers",
        "upstream.kind",
        "nats",
        "upstream.url",
        "upstream.timeout_ms",
        "upstream.trust_root",
        "journal.segment_mb",
        "journal.ack",
        "stop.drain_ms",
        "nothing",
        "environment",
    ]);
    // A start finds the very same faults and starts nothing.
    let start = said(&["edge", "--config", &name]).with(64);
    for line in ended.error.lines().filter(|line| line.starts_with("  ")) {
        assert!(start.error.contains(line), "{line} in {}", start.error);
    }
}

#[test]
fn printed_defaults_are_settings_without_faults() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.toml");
    for surface in ["store", "dev", "edge"] {
        let printed = said(&["config", "print-defaults", surface]).with(0).out;
        let kept = std::fs::read_to_string(format!(
            "{}/config/{surface}.toml",
            env!("CARGO_MANIFEST_DIR")
        ));
        assert_eq!(kept.expect("the kept file"), printed, "{surface}");
        std::fs::write(&file, &printed).expect("a file");
        let name = file.display().to_string();
        let checked = said(&["config", "check", &name, "--for", surface]);
        if surface == "edge" {
            // What has no default is asked for, and nothing else.
            let ended = checked.with(64);
            ended.complains_of(&["upstream.url", "upstream.trust_root", "environment"]);
            let faults = ended.error.lines().filter(|line| line.starts_with("  "));
            assert_eq!(faults.count(), 3, "{}", ended.error);
        } else {
            checked.with(0);
        }
    }
    // Variables beat the file, and are checked as well.
    let checked = ended(
        flowgate()
            .args(["config", "check", "--for", "store"])
            .arg(&file)
            .env("FLOWGATE_PUBLISH__FRESH_FOR_S", "soon"),
    );
    checked
        .with(64)
        .complains_of(&["FLOWGATE_PUBLISH__FRESH_FOR_S", "soon"]);
}

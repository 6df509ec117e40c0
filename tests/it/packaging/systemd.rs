//! The units: commands, settings and times, and systemd's own opinion.

use std::process::Command;

use super::{Map, Stand, check_variables, check_words, file, number, stop_ms};
use crate::harness::run;

/// Where the units expect the binary.
const BINARY: &str = "/usr/local/bin/flowgate";

/// Settings by name; some may stand several times.
fn unit(name: &str) -> Vec<(String, String)> {
    let text = file(&format!("config/flowgate-{name}.service"));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[track_caller]
fn one(unit: &[(String, String)], key: &str) -> String {
    let mut found = unit.iter().filter(|(own, _)| own == key);
    let (_, value) = found.next().unwrap_or_else(|| panic!("no {key}"));
    assert!(found.next().is_none(), "{key} stands twice");
    value.clone()
}

fn seconds(unit: &[(String, String)], key: &str) -> u64 {
    let text = one(unit, key);
    let digits = text.strip_suffix('s').expect("seconds");
    digits.parse().expect("a number")
}

fn variables(unit: &[(String, String)], credentials: &str) -> Map {
    let own = unit.iter().filter(|(key, _)| key == "Environment");
    let pairs = own.map(|(_, pair)| pair.split_once('=').expect("NAME=VALUE"));
    pairs
        .map(|(name, value)| (name.to_owned(), value.replace("%d", credentials)))
        .collect()
}

#[test]
fn the_units_say_what_the_program_understands() {
    for name in ["edge", "store"] {
        let unit = unit(name);
        let start = one(&unit, "ExecStart");
        let mut words = start.split_whitespace().map(str::to_owned);
        assert_eq!(words.next().as_deref(), Some(BINARY));
        let words: Vec<String> = words.collect();
        assert_eq!(words[0], name);
        check_words(&words);
        let stand = Stand::new();
        let credentials = unit.iter().filter(|(key, _)| key == "LoadCredential");
        for (_, credential) in credentials {
            stand.hold(credential.split(':').next().expect("a name"));
        }
        let folder = stand.folder.path().display().to_string();
        let variables = variables(&unit, &folder);
        check_variables(name, &variables);
        let state = format!("/var/lib/{}", one(&unit, "StateDirectory"));
        assert_eq!(
            variables["FLOWGATE_DATA"], state,
            "the one folder it may write to"
        );
        assert!(one(&unit, "ExecReload").contains("-HUP"));
        for (key, value) in [
            ("Type", "exec"),
            ("DynamicUser", "yes"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            ("StateDirectoryMode", "0700"),
        ] {
            assert_eq!(one(&unit, key), value, "{key} of {name}");
        }
    }
}

#[test]
fn the_units_leave_room_for_connections_and_for_stopping() {
    let edge = unit("edge");
    let defaults = Map::new();
    let descriptors: u64 = one(&edge, "LimitNOFILE").parse().expect("a number");
    let connections = number("edge", &defaults, "limits.connections_max");
    assert!(descriptors > connections + 1_000, "{descriptors}");
    assert!(seconds(&edge, "TimeoutStopSec") * 1000 > stop_ms(&defaults));
    assert!(seconds(&unit("store"), "TimeoutStopSec") >= 10);
}

#[test]
fn systemd_accepts_the_units_and_finds_them_confined() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("the units were NOT verified: there is no systemd-analyze on this machine");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["edge", "store"] {
        let file_name = format!("flowgate-{name}.service");
        let text = file(&format!("config/{file_name}"));
        let path = folder.path().join(file_name);
        // It must be there to be accepted.
        let text = text.replace(BINARY, env!("CARGO_BIN_EXE_flowgate"));
        std::fs::write(&path, text).expect("a unit");
        let output = run(Command::new("systemd-analyze").arg("verify").arg(&path));
        let said = String::from_utf8_lossy(&output.stderr);
        let own: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("flowgate-"))
            .collect();
        assert!(output.status.success() && own.is_empty(), "{said}");
        // Of 100, where less is better; older releases cannot tell.
        let words = ["security", "--offline=yes", "--threshold=20"];
        let output = run(Command::new("systemd-analyze").args(words).arg(&path));
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("unrecognized option") {
            println!("how {name} is confined was NOT judged: systemd-analyze is too old");
            continue;
        }
        assert!(output.status.success(), "{output:?}");
    }
}

//! Is everything true that the files say which others run us by?
//!
//! The Dockerfile, the systemd units and the Kubernetes manifests name
//! commands, flags, variables, ports and times of this program. Nobody
//! compiles them, so they are read here and held against the binary. What
//! needs a daemon is run where there is one, and says so where there is none.

mod image;
mod kubernetes;
mod systemd;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::harness::{flowgate, run};

/// Variables, or settings by their dotted names.
type Map = BTreeMap<String, String>;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Asks the binary itself whether a start with these variables would be one
/// without faults. What no file can know, a test fills in.
#[track_caller]
fn check_variables(surface: &str, variables: &Map) {
    let folder = tempfile::tempdir().expect("a folder");
    let rest = folder.path().join("rest.toml");
    let own = |name: &str| variables.keys().any(|own| own.starts_with(name));
    let mut text = String::new();
    if surface == "edge" {
        if !own("FLOWGATE_UPSTREAM__URL") {
            text.push_str("upstream.url = \"http://127.0.0.1:1\"\n");
        }
        if !own("FLOWGATE_UPSTREAM__TRUST_ROOT") {
            let root = folder.path().join("root.json");
            std::fs::write(&root, "{}").expect("a file");
            text.push_str(&format!("upstream.trust_root = {root:?}\n"));
        }
        if !own("FLOWGATE_ENVIRONMENT__") {
            text.push_str("environment.production.key = \"edge-production-0123456789abcdef\"\n");
        }
    }
    std::fs::write(&rest, text).expect("a file");
    let output = run(flowgate()
        .args(["config", "check", "--for", surface])
        .arg(&rest)
        .envs(variables));
    assert!(
        output.status.success(),
        "{surface}: {variables:?}: {output:?}"
    );
}

/// Whether the command line would be understood.
#[track_caller]
fn check_words(words: &[String]) {
    let output = run(flowgate().args(words).arg("--help"));
    assert!(output.status.success(), "{words:?}: {output:?}");
}

/// The settings that a surface has with these variables.
fn setting(surface: &str, variables: &Map, key: &str) -> String {
    let variable = format!("FLOWGATE_{}", key.to_uppercase().replace('.', "__"));
    if let Some(value) = variables.get(&variable) {
        return value.clone();
    }
    let output = run(flowgate().args(["config", "print-defaults", surface]));
    let text = String::from_utf8(output.stdout).expect("text");
    let table: toml::Table = text.parse().expect("TOML");
    let mut value = toml::Value::Table(table);
    for part in key.split('.') {
        value = value[part].clone();
    }
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn number(surface: &str, variables: &Map, key: &str) -> u64 {
    setting(surface, variables, key).parse().expect("a number")
}

/// Milliseconds an edge may take from the signal to its end.
fn stop_ms(variables: &Map) -> u64 {
    let drain = number("edge", variables, "stop.drain_ms");
    number("edge", variables, "stop.grace_ms") + 2 * drain
}

/// A place for whatever a file expects in `/etc` or from a secret.
struct Stand {
    folder: tempfile::TempDir,
}

impl Stand {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// A file with something in it, in place of `path`.
    fn hold(&self, path: &str) -> PathBuf {
        let own = self.folder.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(own.parent().expect("a folder")).expect("a folder");
        std::fs::write(&own, "edge-production-0123456789abcdef\n").expect("a file");
        own
    }
}

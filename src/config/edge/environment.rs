//! Which environments does an edge serve, and on what terms?
//!
//! One section `environment.NAME` for each.

use crate::{
    config::{
        Secret,
        key::{Key, Kind, Preset},
        reader::Reader,
    },
    limits,
};

/// Of each section.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "environment.*.key",
        flag: "environment-key",
        kind: Kind::Text,
        preset: Preset::Required("\"edge-development-…\""),
        secret: Some("environment-key-file"),
        doc: "One section for each environment this edge serves; this is its edge key. At least one is required. \
              As a flag: --environment-key NAME=KEY (others on the machine can read flags; prefer the file).",
    },
    Key {
        name: "environment.*.required",
        flag: "environment-required",
        kind: Kind::Truth,
        preset: Preset::Value("true"),
        secret: None,
        doc: "Whether the edge calls itself ready only when this environment answers.",
    },
];

/// One environment the edge serves.
#[derive(Clone, Debug)]
pub struct EnvironmentConfig {
    /// Its name upstream.
    pub name: String,
    /// The edge key that pulls its snapshots.
    pub key: Secret,
    /// Whether readiness waits for it.
    pub required: bool,
}

/// The sections of environments, sorted by name.
pub(super) fn read(reader: &mut Reader) -> Vec<EnvironmentConfig> {
    let names = reader.instances("environment");
    if names.is_empty() {
        reader.broken(
            "environment",
            "no environment is configured (add a section [environment.NAME] with its edge key)",
        );
    }
    if names.len() > limits::ENVIRONMENTS_MAX {
        let rule = format!(
            "{} environments are configured, at most {} are served by one edge",
            names.len(),
            limits::ENVIRONMENTS_MAX
        );
        reader.broken("environment", &rule);
    }
    for name in &names {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > limits::SID_BYTES_MAX || !name.chars().all(allowed) {
            let rule = "is not a name of an environment (expected letters, digits, - and _)";
            reader.broken(&format!("environment.{name}"), rule);
        }
    }
    let one = |name: String| EnvironmentConfig {
        key: reader.secret(&format!("environment.{name}.key")),
        required: reader.truth(&format!("environment.{name}.required")),
        name,
    };
    names.into_iter().map(one).collect()
}

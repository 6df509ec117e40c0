//! Which environments does an edge serve, and on what terms?
//!
//! One section `environment.NAME` for each.

use std::collections::BTreeSet;

use super::distribution;
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
        preset: Preset::Optional("\"edge-development-…\""),
        secret: Some("environment-key-file"),
        doc: "One section for each environment this edge serves; this is its edge key, required unless snapshots come \
              from a folder and there is no ledger. At least one section is required. \
              As a flag: --environment-key NAME=KEY (others on the machine can read flags; prefer the file).",
    },
    Key {
        name: "environment.*.ledger_key",
        flag: "environment-ledger-key",
        kind: Kind::Text,
        preset: Preset::Optional("\"edge-development-…\""),
        secret: Some("environment-ledger-key-file"),
        doc: "Edge key for the store at upstream.ledger_url, where that is not who serves the snapshots. \
              Without it, the environment's key.",
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
    /// The edge key that pulls its snapshots; empty where none is needed.
    pub key: Secret,
    /// The edge key that ships its progress; empty where none is needed.
    pub ledger_key: Secret,
    /// Whether readiness waits for it.
    pub required: bool,
    /// SHA-256 of the keys by which other edges pull its snapshots from here.
    pub downstream: Vec<[u8; 32]>,
}

/// The sections of environments, sorted by name.
pub(super) fn read(reader: &mut Reader, needs_keys: bool) -> Vec<EnvironmentConfig> {
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
    let one = |name: String| {
        let (key, ledger_key) = keys(reader, &name, needs_keys);
        EnvironmentConfig {
            key,
            ledger_key,
            required: reader.truth(&format!("environment.{name}.required")),
            downstream: distribution::downstream(reader, &name),
            name,
        }
    };
    let environments: Vec<EnvironmentConfig> = names.into_iter().map(one).collect();
    let mut hashes = BTreeSet::new();
    for own in &environments {
        let known = own.downstream.iter().filter(|hash| !hashes.insert(**hash));
        if known.count() > 0 {
            reader.broken_unshown(
                &format!("environment.{}.downstream_key_hashes", own.name),
                "has a hash that is listed already (every key opens one environment)",
            );
        }
    }
    environments
}

/// The keys for snapshots and for progress.
fn keys(reader: &mut Reader, environment: &str, needs_keys: bool) -> (Secret, Secret) {
    let name = format!("environment.{environment}.key");
    if needs_keys && !reader.is_set(&name) {
        reader.require(&name, "to ask upstream");
    }
    let key = reader.secret(&name);
    let name = format!("environment.{environment}.ledger_key");
    let ledger_key = match reader.is_set(&name) {
        true => reader.secret(&name),
        false => key.clone(),
    };
    (key, ledger_key)
}

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
    Key {
        name: "environment.*.guard_contexts",
        flag: "environment-guard-contexts",
        kind: Kind::Number {
            min: 0,
            max: limits::GUARD_CONTEXTS_MAX,
        },
        preset: Preset::Value("0"),
        secret: None,
        doc: "Recent requests on which a new release is judged before it serves; 0 judges none. They are kept in \
              the data folder, readable by its owner alone, with the ids and properties of their users: turning \
              this on is a decision. 1000 tells a change of one percent.",
    },
    Key {
        name: "environment.*.guard_percent",
        flag: "environment-guard-percent",
        kind: Kind::Number { min: 0, max: 100 },
        preset: Preset::Value("20"),
        secret: None,
        doc: "Percent of the judged users of any flow who may gain or lose it by one release. Above it the release \
              is held until it is confirmed or another one is published; 100 holds none and only tells.",
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
    /// Recent requests on which a release is judged; 0 for none.
    pub guard_contexts: usize,
    /// Changed decisions above which a release is held.
    pub guard_percent: u8,
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
        guard_contexts: reader.count(&format!("environment.{name}.guard_contexts")),
        // Its key allows 0 to 100.
        guard_percent: u8::try_from(reader.count(&format!("environment.{name}.guard_percent")))
            .unwrap_or(100),
        name,
    };
    names.into_iter().map(one).collect()
}

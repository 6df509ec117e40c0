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
    Key {
        name: "environment.*.on_stale",
        flag: "environment-on-stale",
        kind: OLD,
        preset: Preset::Value("\"serve\""),
        secret: None,
        doc: "What is done past the time until which upstream calls its last word fresh: everybody is served and \
              the answers are marked; users of whom nothing is known are refused; or everybody is. Serving by \
              default, because a store that is away must not stop every application at once.",
    },
    Key {
        name: "environment.*.on_expired",
        flag: "environment-on-expired",
        kind: OLD,
        preset: Preset::Value("\"serve\""),
        secret: None,
        doc: "The same once the last word has expired, a day after it was signed unless the store says otherwise. \
              Never more lenient than on_stale.",
    },
    Key {
        name: "environment.*.segment_secret",
        flag: "environment-segment-secret",
        kind: Kind::Text,
        preset: Preset::Optional("\"at least 16 characters, as in Segment's destination\""),
        secret: Some("environment-segment-secret-file"),
        doc: "Shared secret of a Segment webhook that tells of users at /identify/segment. With it every message \
              must bear its x-signature, and may then speak for any user. Without it the key alone says who asks.",
    },
];

/// The shortest secret that nobody guesses.
const SEGMENT_SECRET_BYTES_MIN: usize = 16;

/// What can be done with what is old, the most lenient first.
const OLD: Kind = Kind::Choice {
    now: &["serve", "refuse-new-users", "refuse"],
    later: &[],
};

/// What is done with a snapshot that is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OldSnapshot {
    /// Answers, marked.
    Serve,
    /// 503 for users of whom nothing is known.
    RefuseNewUsers,
    /// 503.
    Refuse,
}

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
    /// Recent requests on which a release is judged; 0 for none.
    pub guard_contexts: usize,
    /// Changed decisions above which a release is held.
    pub guard_percent: u8,
    /// When its snapshot is stale.
    pub on_stale: OldSnapshot,
    /// When its snapshot has expired.
    pub on_expired: OldSnapshot,
    /// SHA-256 of the keys by which other edges pull its snapshots from here.
    pub downstream: Vec<[u8; 32]>,
    /// What Segment's webhooks are signed with; none where they are not.
    pub segment_secret: Option<Secret>,
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
    let environments: Vec<EnvironmentConfig> = names
        .into_iter()
        .map(|name| one(reader, name, needs_keys))
        .collect();
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

fn one(reader: &mut Reader, name: String, needs_keys: bool) -> EnvironmentConfig {
    let (key, ledger_key) = keys(reader, &name, needs_keys);
    let on_expired = format!("environment.{name}.on_expired");
    let config = EnvironmentConfig {
        key,
        ledger_key,
        required: reader.truth(&format!("environment.{name}.required")),
        guard_contexts: reader.count(&format!("environment.{name}.guard_contexts")),
        // Its key allows 0 to 100.
        guard_percent: u8::try_from(reader.count(&format!("environment.{name}.guard_percent")))
            .unwrap_or(100),
        on_stale: old(reader, &format!("environment.{name}.on_stale")),
        on_expired: old(reader, &on_expired),
        downstream: distribution::downstream(reader, &name),
        segment_secret: segment_secret(reader, &name),
        name,
    };
    if config.on_expired < config.on_stale {
        let rule = "is more lenient than on_stale (what is refused when it is stale \
                    cannot be served when it has expired)";
        reader.broken(&on_expired, rule);
    }
    config
}

fn segment_secret(reader: &mut Reader, environment: &str) -> Option<Secret> {
    let name = format!("environment.{environment}.segment_secret");
    let secret = reader.secret(&name);
    let length = secret.expose().len();
    if (1..SEGMENT_SECRET_BYTES_MIN).contains(&length) {
        let rule = format!("has {length} bytes (expected at least {SEGMENT_SECRET_BYTES_MIN})");
        reader.broken(&name, &rule);
    }
    (length > 0).then_some(secret)
}

fn old(reader: &mut Reader, key: &str) -> OldSnapshot {
    match reader.text(key).as_str() {
        "refuse" => OldSnapshot::Refuse,
        "refuse-new-users" => OldSnapshot::RefuseNewUsers,
        _ => OldSnapshot::Serve,
    }
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

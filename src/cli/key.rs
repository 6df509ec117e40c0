//! Which keys does a store have?
//!
//! Creates, lists, rotates and revokes keys of applications, edges and
//! authors. A secret is shown exactly once, by the command that made it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    admin::{Admin, Change, Target},
    console::Console,
    failure::{Failure, Outcome},
    hash::{self, GenerateArguments, HashArguments},
    signing::{self, SigningCommand},
    table::{self, Output},
};
use crate::{
    clock::Ambient,
    config::Variables,
    store::{Role, StoredKeyKind},
};

/// `flowgate key …`.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and print it, once.
    Create {
        #[command(flatten)]
        which: Which,
        /// Projects it may see [default: all].
        #[arg(long, value_delimiter = ',', value_name = "SID,…")]
        projects: Vec<String>,
        /// Every request with it comes over this channel, such as
        /// intercom:acme [default: the one a request names].
        #[arg(long, value_name = "CHANNEL")]
        channel: Option<String>,
        /// Origins whose pages may use it, such as `https://app.example.com`
        /// [default: every page].
        #[arg(long, value_delimiter = ',', value_name = "ORIGIN,…")]
        origins: Vec<String>,
        /// What an admin key may do [default: admin].
        #[arg(long, value_enum)]
        role: Option<RoleName>,
        /// Environments an admin key holds in [default: all, also those made
        /// later].
        #[arg(long, value_delimiter = ',', value_name = "ENV,…")]
        environments: Vec<String>,
        /// A file with a key from elsewhere, such as an Unleash token, that
        /// becomes this one; - for standard input [default: a random one].
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        #[command(flatten)]
        change: Change,
    },
    /// List keys, without their secrets.
    List {
        /// Only those of one environment.
        #[arg(long, value_name = "ENV")]
        environment: Option<String>,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Make a second secret for a key and print it; the old one works on.
    Rotate {
        #[command(flatten)]
        which: Which,
        /// How long the old secret still works, such as 24h, 30m or 7d
        /// [default: until it is revoked].
        #[arg(long, value_name = "DURATION", value_parser = duration_s)]
        overlap: Option<u64>,
        /// The same in seconds.
        #[arg(long, value_name = "SECONDS", conflicts_with = "overlap")]
        overlap_s: Option<u64>,
        #[command(flatten)]
        change: Change,
    },
    /// Make a key useless at once.
    Revoke {
        #[command(flatten)]
        which: Which,
        /// Only the secret with these last characters, as `key list` shows
        /// them [default: every secret of the name].
        #[arg(long, value_name = "CHARACTERS")]
        last: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Make the text of a key that no store knows, for offline snapshots and
    /// for edges below an edge.
    Generate(GenerateArguments),
    /// Print the SHA-256 of a key, which snapshots and settings know it by.
    Hash(HashArguments),
    /// Keys that sign snapshots.
    #[command(subcommand)]
    Signing(SigningCommand),
}

/// Which key; several secrets may share one name.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// What it may do.
    #[arg(long)]
    kind: KindName,
    /// Its environment; every kind but admin has one.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// For people; with --name or without it.
    #[arg(value_name = "NAME", required_unless_present = "named")]
    name: Option<String>,
    /// The same.
    #[arg(long = "name", value_name = "NAME", conflicts_with = "name")]
    named: Option<String>,
}

impl Which {
    /// What people call it.
    fn name(&self) -> &str {
        let name = self.name.as_deref().or(self.named.as_deref());
        name.unwrap_or_default()
    }

    /// The members of a request that name it.
    fn body(&self) -> Value {
        let kind = self.kind.to_possible_value();
        let kind = kind.map(|value| value.get_name().to_owned());
        let mut body = json!({"kind": kind, "name": self.name()});
        if let Some(environment) = &self.environment {
            body["environment"] = json!(environment);
        }
        body
    }
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum KindName {
    /// Public: front ends read blocks and take steps.
    Blocks,
    /// Identify only.
    Users,
    /// Back ends: the full flag configuration.
    Client,
    /// Evaluated flags.
    Frontend,
    /// Trusted: everything of /v1.
    Server,
    /// A proxy that pulls snapshots.
    Edge,
    /// Authoring.
    Admin,
}

impl KindName {
    /// As a store knows it.
    pub(super) fn stored(self) -> StoredKeyKind {
        match self {
            Self::Blocks => StoredKeyKind::Blocks,
            Self::Users => StoredKeyKind::Users,
            Self::Client => StoredKeyKind::Client,
            Self::Frontend => StoredKeyKind::Frontend,
            Self::Server => StoredKeyKind::Server,
            Self::Edge => StoredKeyKind::Edge,
            Self::Admin => StoredKeyKind::Admin,
        }
    }
}

/// Roles of admin keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RoleName {
    /// Reads.
    Viewer,
    /// Works on flows and what serves them, too.
    Editor,
    /// Keys, environments and projects, too.
    Admin,
}

impl RoleName {
    /// As a store knows it.
    fn stored(self) -> Role {
        match self {
            Self::Viewer => Role::Viewer,
            Self::Editor => Role::Editor,
            Self::Admin => Role::Admin,
        }
    }
}

/// Columns of a listing.
const COLUMNS: [(&str, &str); 11] = [
    ("environment", "ENVIRONMENT"),
    ("kind", "KIND"),
    ("name", "NAME"),
    ("last", "ENDS WITH"),
    ("projects", "PROJECTS"),
    ("channel", "CHANNEL"),
    ("origins", "ORIGINS"),
    ("role", "ROLE"),
    ("created", "CREATED"),
    ("rotated", "ROTATED"),
    ("state", "STATE"),
];

/// Runs one of them.
pub(super) fn run(
    command: KeyCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        KeyCommand::Create {
            which,
            projects,
            channel,
            origins,
            role,
            environments,
            from,
            change,
        } => {
            let mut body = which.body();
            body["projects"] = json!(projects);
            if !origins.is_empty() {
                body["origins"] = json!(origins);
            }
            if let Some(channel) = channel {
                body["channel"] = json!(channel);
            }
            if let Some(role) = role {
                body["role"] = json!(role.stored());
            }
            if !environments.is_empty() {
                body["environments"] = json!(environments);
            }
            if let Some(from) = from {
                body["text"] = json!(text_of(&from)?);
            }
            let made = change.author(variables)?.post(&["keys"], &body)?;
            made_key(console, &change, &made, "created")?;
        }
        KeyCommand::List {
            environment,
            target,
            output,
        } => {
            let environment = environment.iter();
            let query: Vec<_> = environment.map(|e| ("environment", e.as_str())).collect();
            let answer = Admin::find(&target, variables)?.list(&["keys"], &query, "keys")?;
            list(console, output, answer)?;
        }
        KeyCommand::Rotate {
            which,
            overlap,
            overlap_s,
            change,
        } => {
            let mut body = which.body();
            if let Some(overlap_s) = overlap.or(overlap_s) {
                let until = Ambient::system()
                    .now_ms()
                    .saturating_add(overlap_s.saturating_mul(1000));
                body["overlap_until_ms"] = json!(until);
            }
            let author = change.author(variables)?;
            let made = author.post(&["keys", "rotate"], &body)?;
            made_key(console, &change, &made, "rotated")?;
        }
        KeyCommand::Revoke {
            which,
            last,
            change,
        } => {
            let mut body = which.body();
            if let Some(last) = last {
                body["last"] = json!(last);
            }
            let author = change.author(variables)?;
            let ended = author.post(&["keys", "revoke"], &body)?;
            // A list that is only tried stands in an object.
            let list = ended.as_array().or_else(|| ended["answer"].as_array());
            let count = list.map_or(0, Vec::len);
            let line = format!("revoked: {count} secrets of {}", which.name());
            change.told(console, &ended, &line)?;
        }
        KeyCommand::Generate(arguments) => return hash::generate(&arguments, console),
        KeyCommand::Hash(arguments) => return hash::hash(&arguments, console),
        KeyCommand::Signing(command) => return signing::run(&command, console),
    }
    Ok(Outcome::Done)
}

/// The listing, with times and state as people read them.
fn list(console: &mut Console, output: Output, mut answer: Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, &answer);
    }
    let now = Ambient::system().now_ms();
    let Some(keys) = answer.as_array_mut() else {
        return Err(Failure::undone("the store's answer is not a list of keys"));
    };
    for key in keys.iter_mut() {
        let time = |member: &str| key[member].as_u64();
        let state = match (time("revoked_ms"), time("expires_ms")) {
            (Some(at), _) => format!("revoked {}", table::time(at)),
            (None, Some(at)) if at <= now => format!("ended {}", table::time(at)),
            (None, Some(at)) => format!("valid until {}", table::time(at)),
            (None, None) => "valid".to_owned(),
        };
        let created = time("created_ms").map(table::time);
        let places = key["environments"].as_array().into_iter().flatten();
        let places: Vec<&str> = places.filter_map(Value::as_str).collect();
        let role = match (key["role"].as_str(), places.is_empty()) {
            (None, _) => String::new(),
            (Some(role), true) => role.to_owned(),
            (Some(role), false) => format!("{role} in {}", places.join(", ")),
        };
        let rotated = time("rotated_ms").map(table::time);
        key["role"] = json!(role);
        key["rotated"] = json!(rotated);
        key["state"] = json!(state);
        key["created"] = json!(created);
    }
    table::print(console, output, &COLUMNS, keys)
}

/// A key from a file, without the line break that editors leave.
fn text_of(path: &Path) -> Result<String, Failure> {
    let read = match path.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(path),
    };
    let failed = |error| Failure::undone(format!("{}: {error}", path.display()));
    read.map(|text| text.trim().to_owned()).map_err(failed)
}

/// Seconds of a duration such as `24h`.
fn duration_s(text: &str) -> Result<u64, String> {
    let expected = || format!("{text:?} is no duration (expected such as 90s, 30m, 24h or 7d)");
    let unit = text.chars().next_back().ok_or_else(expected)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(expected()),
    };
    let number = text[..text.len() - 1].parse::<u64>().ok();
    let number = number.and_then(|number| number.checked_mul(seconds));
    number.ok_or_else(expected)
}

/// A fresh secret: alone on standard output, so that a script can take it. One
/// that is only tried has none.
fn made_key(
    console: &mut Console,
    change: &Change,
    made: &Value,
    word: &str,
) -> Result<(), Failure> {
    if change.output == Output::Json || change.is_dry() {
        let part = |member: &str| made[member].as_str().unwrap_or_default();
        let (kind, name) = (part("kind"), part("name"));
        let place = match made["environment"].as_str() {
            Some(environment) => format!(" in {environment}"),
            None => String::new(),
        };
        return change.told(console, made, &format!("{word}: {kind} key {name}{place}"));
    }
    let Some(secret) = made["key"].as_str() else {
        return Err(Failure::undone("the store's answer holds no key"));
    };
    console.line(secret)?;
    console.complain_as_is("this is the only time the key is shown\n");
    Ok(())
}

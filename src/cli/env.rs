//! Which environments does a store have, and what may public keys do there?
//!
//! Lists environments, and sets what they are for and the rules for whoever
//! holds a public key. An edge follows a change at once, as it follows a
//! publish. How they begin and end is in [`super::env_life`].

use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    admin::{Admin, TaggedChange, Target},
    console::Console,
    env_life::{self, Kind, LifeCommand},
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::{config::Variables, snapshot::wire::UnsignedUsers};

/// `flowgate env …`.
#[derive(Debug, Subcommand)]
pub(super) enum EnvCommand {
    /// List environments with their revisions and rules.
    List {
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Set what an environment is, and what public keys may do in it; what is
    /// not named stays.
    Set(Set),
    #[command(flatten)]
    Life(LifeCommand),
}

/// A change of an environment.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// Its name.
    #[arg(value_name = "ENV")]
    environment: String,
    /// What it is for.
    #[arg(long = "type", value_enum)]
    kind: Option<Kind>,
    /// Whether drafts are visible in it.
    #[arg(long, value_name = "TRUE|FALSE")]
    drafts: Option<bool>,
    /// Whether changes that its users notice have to be confirmed.
    #[arg(long, value_name = "TRUE|FALSE")]
    confirm_changes: Option<bool>,
    /// Whether whoever holds a public key may act as any user; without a
    /// choice, development and test allow it, the others refuse it.
    #[arg(long, value_enum)]
    unsigned_users: Option<Unsigned>,
    /// Whose signatures make a user's token good: add:KEY, add:ID=KEY or
    /// remove:ID, where KEY is base64 of an Ed25519 public key or @FILE with
    /// its PEM. May be given several times.
    #[arg(long, value_name = "CHANGE", value_parser = user_key)]
    user_key: Vec<UserKeyChange>,
    /// Whether public keys are refused `force` for every flow.
    #[arg(long, value_name = "TRUE|FALSE")]
    refuse_force: Option<bool>,
    /// The only properties that browsers may set [default: all].
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    browser_properties: Option<Vec<String>>,
    /// Browsers may set every property again.
    #[arg(long, conflicts_with = "browser_properties")]
    any_browser_property: bool,
    #[command(flatten)]
    change: TaggedChange,
}

/// Whether users may come without a signed token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Unsigned {
    /// A public key is enough to act as any user.
    Allow,
    /// Users come with a signed token.
    Refuse,
    /// Nobody has chosen: by the type of the environment.
    Default,
}

impl Unsigned {
    /// What somebody chose, if they did.
    pub(super) fn choice(self) -> Option<UnsignedUsers> {
        match self {
            Self::Allow => Some(UnsignedUsers::Allow),
            Self::Refuse => Some(UnsignedUsers::Refuse),
            Self::Default => None,
        }
    }
}

/// One `--user-key`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum UserKeyChange {
    Add { id: Option<String>, key: String },
    Remove(String),
}

fn user_key(text: &str) -> Result<UserKeyChange, String> {
    if let Some(id) = text.strip_prefix("remove:") {
        return Ok(UserKeyChange::Remove(id.to_owned()));
    }
    let Some(added) = text.strip_prefix("add:") else {
        return Err(format!(
            "{text:?} is no change of user keys (expected add:KEY, add:ID=KEY or remove:ID)"
        ));
    };
    // Base64 may end in `=`, and has no other.
    let (id, key) = match added.split_once('=') {
        Some((id, key)) if !key.trim_matches('=').is_empty() => (Some(id.to_owned()), key),
        _ => (None, added),
    };
    let key = key.to_owned();
    Ok(UserKeyChange::Add { id, key })
}

/// Columns of a listing.
const COLUMNS: [(&str, &str); 8] = [
    ("name", "ENVIRONMENT"),
    ("type", "TYPE"),
    ("state", "STATE"),
    ("changes", "CHANGES"),
    ("revision", "REVISION"),
    ("unsigned", "UNSIGNED USERS"),
    ("keys", "USER KEYS"),
    ("refused", "REFUSED TO PUBLIC KEYS"),
];

/// Runs one of them.
pub(super) fn run(
    command: EnvCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        EnvCommand::List { target, output } => {
            let answer =
                Admin::find(&target, variables)?.list(&["environments"], &[], "environments")?;
            list(console, output, answer)?;
        }
        EnvCommand::Life(command) => return env_life::run(command, variables, console),
        EnvCommand::Set(set) => {
            let body = set.body()?;
            let author = set.change.author(variables)?;
            let answer = author.post(&["environments", &set.environment], &body)?;
            let line = format!("set: {}", set.environment);
            set.change.told(console, &answer, &line)?;
        }
    }
    Ok(Outcome::Done)
}

impl Set {
    fn body(&self) -> Result<Value, Failure> {
        let mut body = json!({});
        if let Some(kind) = self.kind {
            body["type"] = json!(kind.name());
        }
        for (member, value) in [
            ("drafts", self.drafts),
            ("confirm_changes", self.confirm_changes),
        ] {
            if let Some(value) = value {
                body[member] = json!(value);
            }
        }
        if let Some(unsigned_users) = self.unsigned_users {
            body["unsigned_users"] = json!(unsigned_users.choice());
        }
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for change in &self.user_key {
            match change {
                UserKeyChange::Add { id, key } => {
                    added.push(json!({"id": id, "key": key_text(key)?}));
                }
                UserKeyChange::Remove(id) => removed.push(json!(id)),
            }
        }
        body["add_user_keys"] = added.into();
        body["remove_user_keys"] = removed.into();
        if let Some(refuse_force) = self.refuse_force {
            body["refuse_force"] = json!(refuse_force);
        }
        if let Some(names) = &self.browser_properties {
            body["browser_properties"] = json!(names);
        }
        if self.any_browser_property {
            body["browser_properties"] = Value::Null;
        }
        let is_change = body.as_object().is_some_and(|body| body.len() > 2);
        if !is_change && self.user_key.is_empty() {
            return Err(Failure::usage("nothing is to be set").mend(
                "name what to set, such as --unsigned-users refuse; flowgate env set --help has all",
            ));
        }
        Ok(body)
    }
}

/// A key as it was typed, or what stands in the file it names.
fn key_text(key: &str) -> Result<String, Failure> {
    let Some(path) = key.strip_prefix('@') else {
        return Ok(key.to_owned());
    };
    let failed = |error| Failure::undone(format!("{path}: {error}"));
    std::fs::read_to_string(Path::new(path)).map_err(failed)
}

/// Whether anything new begins in an environment.
pub(super) fn state(environment: &Value) -> &'static str {
    if environment["deprecated"] == true {
        "deprecated"
    } else {
        "open"
    }
}

/// The listing, with rules as people read them.
pub(super) fn list(
    console: &mut Console,
    output: Output,
    mut answer: Value,
) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, &answer);
    }
    let Some(environments) = answer.as_array_mut() else {
        return Err(Failure::undone(
            "the store's answer is not a list of environments",
        ));
    };
    for own in environments.iter_mut() {
        let access = &own["access"];
        let is_trial = matches!(own["type"].as_str(), Some("development" | "test"));
        let unsigned = match access["unsigned_users"].as_str() {
            Some("allow") => "allowed",
            Some(_) => "refused",
            None if is_trial => "allowed (not chosen)",
            None => "refused (not chosen)",
        };
        let ids = access["user_keys"].as_array().into_iter().flatten();
        let ids: Vec<&str> = ids.filter_map(|key| key["id"].as_str()).collect();
        let mut refused = Vec::new();
        if access["refuse_force"] == true {
            refused.push("force".to_owned());
        }
        if let Some(listed) = access["browser_properties"].as_array() {
            let names: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
            refused.push(format!("properties but {}", names.join(" ")));
        }
        let is_confirmed = own["confirm_changes"] == true;
        let changes = if is_confirmed { "confirmed" } else { "free" };
        let state = state(own);
        let (ids, refused) = (ids.join(", "), refused.join(", "));
        own["state"] = json!(state);
        own["changes"] = json!(changes);
        own["unsigned"] = json!(unsigned);
        own["keys"] = json!(ids);
        own["refused"] = json!(refused);
    }
    table::print(console, output, &COLUMNS, environments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_key_is_added_with_or_without_an_id_and_removed_by_it() {
        let add = |id: Option<&str>, key: &str| UserKeyChange::Add {
            id: id.map(ToOwned::to_owned),
            key: key.to_owned(),
        };
        let cases = [
            ("add:AbC+/9=", add(None, "AbC+/9=")),
            ("add:AbC-_9", add(None, "AbC-_9")),
            ("add:login=AbC+/9=", add(Some("login"), "AbC+/9=")),
            ("add:@key.pem", add(None, "@key.pem")),
            ("add:login=@key.pem", add(Some("login"), "@key.pem")),
            ("remove:login", UserKeyChange::Remove("login".to_owned())),
        ];
        for (text, expected) in cases {
            assert_eq!(user_key(text), Ok(expected), "{text}");
        }
        assert!(user_key("login").is_err());
    }
}

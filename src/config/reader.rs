//! Does each value keep the rule of its key?
//!
//! [`Reader`] turns written values into typed ones. A value that breaks its
//! rule becomes a fault and a placeholder; the placeholder is never seen,
//! because [`Reader::finish`] gives no configuration while there are faults.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use toml::{Table, Value};

use super::{
    LogConfig, LogFormat, LogLevel, Secret,
    fault::{Faults, Origin},
    key::{Key, Kind, Preset},
    settings::{Settings, Written},
};
use crate::address::{Address, without_user};

/// A value that keeps the rule of its kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Typed {
    Address(Address),
    Text(String),
    Truth(bool),
    Number(u64),
    Words(Vec<String>),
}

/// Reads settings key by key and gathers faults.
pub(crate) struct Reader {
    settings: Settings,
}

impl Reader {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings }
    }

    pub(crate) fn address(&mut self, name: &str) -> Address {
        match self.typed(name) {
            Some(Typed::Address(address)) => address,
            _ => SocketAddr::from(([127, 0, 0, 1], 0)).into(),
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> String {
        self.optional_text(name).unwrap_or_default()
    }

    pub(crate) fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.typed(name) {
            Some(Typed::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn path(&mut self, name: &str) -> PathBuf {
        self.text(name).into()
    }

    pub(crate) fn number(&mut self, name: &str) -> u64 {
        match self.typed(name) {
            Some(Typed::Number(number)) => number,
            _ => 0,
        }
    }

    /// For bounds that fit every pointer width we build for.
    pub(crate) fn count(&mut self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    pub(crate) fn millis(&mut self, name: &str) -> Duration {
        Duration::from_millis(self.number(name))
    }

    pub(crate) fn seconds(&mut self, name: &str) -> Duration {
        Duration::from_secs(self.number(name))
    }

    pub(crate) fn truth(&mut self, name: &str) -> bool {
        matches!(self.typed(name), Some(Typed::Truth(true)))
    }

    pub(crate) fn words(&mut self, name: &str) -> Vec<String> {
        match self.typed(name) {
            Some(Typed::Words(words)) => words,
            _ => Vec::new(),
        }
    }

    /// A secret from its own key or from the file named beside it.
    pub(crate) fn secret(&mut self, name: &str) -> Secret {
        let file_key = format!("{name}_file");
        let Some(file) = self.settings.values.get(&file_key).cloned() else {
            return Secret::new(self.text(name));
        };
        if self.settings.values.contains_key(name) {
            self.broken(
                &file_key,
                "stands beside the secret itself (keep one of the two)",
            );
            return Secret::new(String::new());
        }
        let path = file.value.as_str().unwrap_or_default();
        match std::fs::read_to_string(path) {
            // Editors and secret stores end a file with a line break that is
            // not part of the secret.
            Ok(text) if !text.trim_end().is_empty() => Secret::new(text.trim_end().to_owned()),
            Ok(_) => {
                self.broken(&file_key, "the file is empty, it should hold the secret");
                Secret::new(String::new())
            }
            Err(error) => {
                self.broken(
                    &file_key,
                    &format!("the secret's file cannot be read: {error}"),
                );
                Secret::new(String::new())
            }
        }
    }

    /// Whether a key, or the file of a secret, was written at all.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        let values = &self.settings.values;
        values.contains_key(name) || values.contains_key(&format!("{name}_file"))
    }

    /// Notes a key that has to be set because of another one.
    pub(crate) fn require(&mut self, name: &str, why: &str) {
        if let Some(key) = self.settings.surface.key(name) {
            self.missing(key, name, &format!("is required {why}"));
        }
    }

    /// Names chosen by the operator in a section.
    pub(crate) fn instances(&self, section: &str) -> Vec<String> {
        let names = self.settings.instances.get(section);
        names.into_iter().flatten().cloned().collect()
    }

    /// The log settings, which every surface has.
    pub(crate) fn log(&mut self) -> LogConfig {
        let level = match self.text("log.level").as_str() {
            "off" => LogLevel::Off,
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "debug" => LogLevel::Debug,
            "trace" => LogLevel::Trace,
            _ => LogLevel::Info,
        };
        let format = match self.text("log.format").as_str() {
            "json" => LogFormat::Json,
            _ => LogFormat::Human,
        };
        LogConfig { level, format }
    }

    /// Notes a rule between values that is broken, at the key to change.
    pub(crate) fn broken(&mut self, key: &str, rule: &str) {
        let written = self.settings.values.get(key);
        let origin = written.map_or(Origin::Preset, |written| written.origin.clone());
        let value = written.map(|written| self.shown(key, &written.value));
        self.settings
            .fault(key.to_owned(), value, origin, rule.to_owned());
    }

    /// The same for a value in which a secret may stand by mistake.
    pub(crate) fn broken_unshown(&mut self, key: &str, rule: &str) {
        let written = self.settings.values.get(key);
        let origin = written.map_or(Origin::Preset, |written| written.origin.clone());
        let value = Some("(not shown)".to_owned());
        self.settings
            .fault(key.to_owned(), value, origin, rule.to_owned());
    }

    /// The configuration, unless there are faults.
    pub(crate) fn finish<T>(self, config: T) -> Result<T, Faults> {
        if self.settings.faults.is_empty() {
            return Ok(config);
        }
        Err(Faults {
            surface: self.settings.surface.name,
            list: self.settings.faults,
        })
    }

    /// The value in force for a key, checked against its kind.
    fn typed(&mut self, name: &str) -> Option<Typed> {
        let key = self.settings.surface.key(name);
        // The tables are ours: a name that is not in them is a slip in this folder.
        let key = key.unwrap_or_else(|| panic!("{name} is not in the table"));
        let written = match self.settings.values.get(name) {
            Some(written) => written.clone(),
            None => Written {
                value: self.preset(key, name)?,
                origin: Origin::Preset,
            },
        };
        match check(key.kind, &written.value) {
            Ok(typed) => Some(typed),
            Err(rule) => {
                let value = self.shown(name, &written.value);
                self.settings
                    .fault(name.to_owned(), Some(value), written.origin, rule);
                None
            }
        }
    }

    fn preset(&mut self, key: &Key, name: &str) -> Option<Value> {
        match key.preset {
            Preset::Value(literal) => Some(literal_value(literal)),
            Preset::Optional(_) => None,
            Preset::Required(_) => {
                self.missing(key, name, "is required and has no default");
                None
            }
        }
    }

    /// Notes that a key has to be set, and where.
    fn missing(&mut self, key: &Key, name: &str, rule: &str) {
        let file = if key.secret.is_some() {
            format!(" or {name}_file")
        } else {
            String::new()
        };
        let rule = format!(
            "{rule} (set {name}{file} in the file, by {} or by --{})",
            super::variable_name(name),
            key.flag,
        );
        self.settings
            .fault(name.to_owned(), None, Origin::Preset, rule);
    }

    /// A value as a message may show it.
    fn shown(&self, name: &str, value: &Value) -> String {
        match self.settings.surface.key(name) {
            Some(key) if key.secret.is_some() => "(not shown)".to_owned(),
            Some(key) if key.kind == Kind::HttpUrl => match value.as_str() {
                Some(url) => Value::from(&*without_user(url)).to_string(),
                None => without_user(&value.to_string()).into_owned(),
            },
            _ => value.to_string(),
        }
    }
}

/// A default as it stands in a table. They are ours and a test reads them all.
pub(crate) fn literal_value(literal: &str) -> Value {
    let table: Table = format!("value = {literal}")
        .parse()
        .expect("a default in the table is not TOML");
    table["value"].clone()
}

/// Checks a value against a kind; the error is the rule it breaks.
pub(crate) fn check(kind: Kind, value: &Value) -> Result<Typed, String> {
    let expected = || format!("expected {}", kind.expected());
    let text = || {
        value
            .as_str()
            .filter(|text| !text.is_empty())
            .ok_or_else(expected)
    };
    match kind {
        Kind::Address => text()?.parse().map(Typed::Address).map_err(|_| expected()),
        Kind::Path | Kind::Text => Ok(Typed::Text(text()?.to_owned())),
        Kind::File => match std::fs::metadata(text()?) {
            Ok(found) if found.is_file() => Ok(Typed::Text(text()?.to_owned())),
            Ok(_) => Err("is not a file".to_owned()),
            Err(error) => Err(format!("the file cannot be read: {error}")),
        },
        Kind::Truth => value.as_bool().map(Typed::Truth).ok_or_else(expected),
        Kind::Number { min, max } => value
            .as_integer()
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| (min..=max).contains(number))
            .map(Typed::Number)
            .ok_or_else(expected),
        Kind::Choice { now, later } => {
            let word = text()?;
            if later.contains(&word) {
                return Err(format!(
                    "{word} is not supported by this version ({})",
                    expected()
                ));
            }
            let known = now.contains(&word);
            known
                .then(|| Typed::Text(word.to_owned()))
                .ok_or_else(expected)
        }
        Kind::HttpUrl => http_url(text()?).map(Typed::Text).ok_or_else(expected),
        Kind::Words => value
            .as_array()
            .and_then(|list| {
                let words = list.iter().map(|word| word.as_str().map(ToOwned::to_owned));
                words.collect::<Option<Vec<String>>>()
            })
            .map(Typed::Words)
            .ok_or_else(expected),
    }
}

/// An http or https url without a trailing slash, query or fragment, so that paths can
/// be put behind it.
fn http_url(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then(|| text.trim_end_matches('/').to_owned())
}

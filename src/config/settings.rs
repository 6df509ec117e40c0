//! What was written, and where?
//!
//! [`Settings`] collects raw values by dotted key, layer over layer, and
//! remembers where each came from. It knows names, not meaning: an unknown key
//! is a fault here, a value that breaks a rule is one in `reader`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use toml::{Table, Value};

use super::{
    fault::{Fault, Origin, nearest},
    key::{Kind, Surface},
    print::variable_name,
    variables::{ADMIN_KEY_VARIABLE, PREFIX, Variables, is_service_link},
};

/// Why a name with a dot is refused.
const DOTTED: &str = "a name in it has a dot (names have letters, digits, - and _)";

/// One value as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// Everything that was written for one surface.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) surface: &'static Surface,
    pub(crate) values: BTreeMap<String, Written>,
    /// Names chosen by the operator, by section.
    pub(crate) instances: BTreeMap<String, BTreeSet<String>>,
    pub(crate) faults: Vec<Fault>,
}

impl Settings {
    /// Nothing written yet.
    pub fn new(surface: &'static Surface) -> Self {
        Self {
            surface,
            values: BTreeMap::new(),
            instances: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    /// Adds a file. One that cannot be read is a fault like any other.
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => self.text(&name, &text),
            Err(error) => {
                self.fault(
                    name.clone(),
                    None,
                    Origin::File(name),
                    format!("the configuration file cannot be read: {error}"),
                );
                self
            }
        }
    }

    /// Adds the text of a file.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        match text.parse::<Table>() {
            Ok(table) => self.table("", table, &Origin::File(name.to_owned())),
            Err(error) => {
                let line = error.span().map_or(1, |span| {
                    1 + text
                        .get(..span.start)
                        .map_or(0, |t| t.matches('\n').count())
                });
                let rule = format!("is not valid TOML: {}", error.message());
                let origin = Origin::File(name.to_owned());
                self.fault(format!("line {line}"), None, origin, rule);
            }
        }
        self
    }

    /// Adds variables; those of other surfaces are left alone, so that one
    /// environment file may serve several commands.
    #[must_use]
    pub fn variables(mut self, variables: &Variables) -> Self {
        for (name, text) in variables.iter() {
            if name == ADMIN_KEY_VARIABLE || is_service_link(name) {
                continue;
            }
            let origin = Origin::Variable(name.to_owned());
            match self.key_of_variable(name) {
                Some(key) => self.put_text(&key, text, origin),
                None if belongs_elsewhere(name) => {}
                None => {
                    let known: Vec<String> =
                        self.surface.keys().map(|k| variable_name(k.name)).collect();
                    let hint = nearest(name, known.iter().map(String::as_str));
                    let rule = unknown("variable", hint);
                    self.fault(name.to_owned(), None, origin, rule);
                }
            }
        }
        self
    }

    /// Adds flags, as pairs of dotted key and text.
    #[must_use]
    pub fn flags(mut self, flags: &[(String, String)]) -> Self {
        for (key, text) in flags {
            let file_form = || {
                self.surface
                    .secret_of_file(key)
                    .and_then(|secret| secret.secret)
            };
            let direct = self.surface.key(key).map(|known| known.flag);
            let flag = direct.or_else(file_form).unwrap_or_default();
            self.put_text(key, text, Origin::Flag(flag.to_owned()));
        }
        self
    }

    /// Sets one key from inside the program.
    #[must_use]
    pub fn set(mut self, key: &str, text: &str) -> Self {
        self.put_text(key, text, Origin::Program);
        self
    }

    /// Refuses every value of these sections, by this rule.
    pub(crate) fn refuse(&mut self, sections: &[&str], rule: &str) {
        let is_in = |key: &&String| sections.iter().any(|own| key.starts_with(own));
        let refused: Vec<String> = self.values.keys().filter(is_in).cloned().collect();
        for key in refused {
            if let Some(written) = self.values.remove(&key) {
                self.fault(key, None, written.origin, rule.to_owned());
            }
        }
    }

    /// How many faults the layers have by themselves: unreadable files and
    /// unknown names.
    pub fn faults_so_far(&self) -> usize {
        self.faults.len()
    }

    /// Notes a fault.
    pub(crate) fn fault(
        &mut self,
        key: String,
        value: Option<String>,
        origin: Origin,
        rule: String,
    ) {
        self.faults.push(Fault {
            key,
            value,
            origin,
            rule,
        });
    }

    /// Walks a TOML table down to its values.
    fn table(&mut self, prefix: &str, table: Table, origin: &Origin) {
        for (name, value) in table {
            let has_dot = name.contains('.');
            let path = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}.{name}")
            };
            // Neither a key nor the name of an instance: it would be taken for
            // two segments, or for none.
            if has_dot {
                self.fault(path, None, origin.clone(), DOTTED.to_owned());
                continue;
            }
            match value {
                Value::Table(inner) if self.surface.key(&path).is_none() => {
                    // An instance without any key still is one: its missing
                    // key must be a fault, not silence.
                    self.note_instance(&path);
                    self.table(&path, inner, origin);
                }
                value => self.put(path, value, origin.clone()),
            }
        }
    }

    /// Takes a text from a variable, a flag or the program.
    fn put_text(&mut self, key: &str, text: &str, origin: Origin) {
        let kind = self.surface.key(key).map(|known| known.kind);
        self.put(key.to_owned(), value_of_text(kind, text), origin);
    }

    fn put(&mut self, key: String, value: Value, origin: Origin) {
        let known = self.surface.key(&key).is_some() || self.surface.secret_of_file(&key).is_some();
        if !known {
            let rule = match self.is_dotted(&key) {
                true => DOTTED.to_owned(),
                false => unknown("key", self.nearest_key(&key).as_deref()),
            };
            self.fault(key, None, origin, rule);
            return;
        }
        if let Some((instance, _)) = key.rsplit_once('.') {
            self.note_instance(instance);
        }
        self.values.insert(key, Written { value, origin });
    }

    /// Whether it would be a key if the name chosen in it had no dots.
    fn is_dotted(&self, key: &str) -> bool {
        let ends = key.split_once('.').zip(key.rsplit_once('.'));
        ends.is_some_and(|((section, _), (before, leaf))| {
            let is_longer = before.matches('.').count() > 1;
            let plain = format!("{section}.*.{leaf}");
            let surface = self.surface;
            let is_key = surface.key(&plain).is_some() || surface.secret_of_file(&plain).is_some();
            is_longer && is_key
        })
    }

    fn note_instance(&mut self, path: &str) {
        if self.surface.is_instance(path)
            && let Some((section, name)) = path.split_once('.')
        {
            let names = self.instances.entry(section.to_owned()).or_default();
            names.insert(name.to_owned());
        }
    }

    /// The nearest key; a chosen name inside an unknown key is kept.
    fn nearest_key(&self, key: &str) -> Option<String> {
        let segments: Vec<&str> = key.split('.').collect();
        let known: Vec<String> = self
            .surface
            .keys()
            .map(|known| match segments.as_slice() {
                [_, name, _] => known.name.replace('*', name),
                _ => known.name.to_owned(),
            })
            .collect();
        nearest(key, known.iter().map(String::as_str)).map(ToOwned::to_owned)
    }

    /// The dotted key a variable sets. A chosen name is matched with those the
    /// file has, because a variable cannot say `pre-prod` with its dash.
    fn key_of_variable(&self, variable: &str) -> Option<String> {
        let dotted = variable.strip_prefix(PREFIX)?.to_lowercase();
        let dotted = dotted.replace("__", ".");
        let surface = self.surface;
        if surface.key(&dotted).is_none() && surface.secret_of_file(&dotted).is_none() {
            return None;
        }
        let segments: Vec<&str> = dotted.split('.').collect();
        let [section, name, leaf] = segments.as_slice() else {
            return Some(dotted);
        };
        let written = self.instances.get(*section).and_then(|names| {
            names
                .iter()
                .find(|known| known.to_lowercase().replace('-', "_") == *name)
        });
        let name = written.map_or(*name, String::as_str);
        Some(format!("{section}.{name}.{leaf}"))
    }
}

/// A text as the TOML value its key wants; what does not fit stays a text, and
/// the rule it breaks is reported with the others.
fn value_of_text(kind: Option<Kind>, text: &str) -> Value {
    let fallback = || Value::String(text.to_owned());
    match kind {
        Some(Kind::Number { .. }) => text.parse().map_or_else(|_| fallback(), Value::Integer),
        Some(Kind::Truth) => text.parse().map_or_else(|_| fallback(), Value::Boolean),
        Some(Kind::Words) => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(|word| Value::String(word.to_owned()))
                .collect(),
        ),
        _ => fallback(),
    }
}

/// Whether another surface has this variable.
fn belongs_elsewhere(variable: &str) -> bool {
    [&super::EDGE, &super::STORE, &super::DEV]
        .into_iter()
        .any(|surface| Settings::new(surface).key_of_variable(variable).is_some())
}

fn unknown(what: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("there is no such {what} (did you mean {hint}?)"),
        None => format!("there is no such {what}"),
    }
}

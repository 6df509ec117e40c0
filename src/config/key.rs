//! What may be set, and what does a value of it look like?
//!
//! The rows of the tables that drive everything an operator sees: parsing,
//! flags and their help, variables, and the printed default files. A key with
//! a `*` in its name stands once for every name the operator chooses.

use crate::address::AddressError;

/// All settings of one command.
#[derive(Debug)]
pub struct Surface {
    /// The command: edge, store or dev.
    pub name: &'static str,
    /// First lines of the printed defaults.
    pub about: &'static str,
    /// Every key, in groups; those without a section first, sections together,
    /// because TOML wants the printed file in this order.
    pub keys: &'static [&'static [Key]],
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// `section.key`, `key`, or `section.*.key`.
    pub name: &'static str,
    /// The long flag, without the dashes.
    pub flag: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What holds when nobody sets it.
    pub preset: Preset,
    /// Only of a secret: it is never shown, may be given as a file
    /// (`<name>_file`), and this is the flag of that form.
    pub secret: Option<&'static str>,
    /// What it does, in which unit, and why the default is what it is.
    pub doc: &'static str,
}

/// What the values of a key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `IP:PORT`, port 0 picks a free one; or `unix:` and a path.
    Address,
    /// A path that need not exist yet.
    Path,
    /// A path of a file that must exist.
    File,
    /// Any text but the empty one.
    Text,
    /// true or false.
    Truth,
    /// A whole number within bounds.
    Number {
        /// Smallest allowed.
        min: u64,
        /// Largest allowed.
        max: u64,
    },
    /// One of some words.
    Choice {
        /// Those that work.
        now: &'static [&'static str],
        /// Those that a later version brings; refused by name.
        later: &'static [&'static str],
    },
    /// `http://host[:port]` or `https://host[:port]`.
    HttpUrl,
    /// A list of texts; in variables and flags separated by commas.
    Words,
}

/// What holds when nobody sets a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// This value, as TOML writes it.
    Value(&'static str),
    /// Nothing; the example (as TOML writes it) is printed as a comment.
    Optional(&'static str),
    /// It has to be set; the example is printed as a comment.
    Required(&'static str),
}

impl Kind {
    /// What is expected, for messages and help.
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Address => AddressError
                .to_string()
                .trim_start_matches("expected ")
                .to_owned(),
            Self::Path => "a path".into(),
            Self::File => "the path of a file that exists".into(),
            Self::Text => "a text".into(),
            Self::Truth => "true or false".into(),
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice { now, .. } => format!("one of {}", now.join(", ")),
            Self::HttpUrl => "a url such as http://127.0.0.1:7080 or https://store.example".into(),
            Self::Words => "a list of texts".into(),
        }
    }

    /// What stands for the value in help texts.
    pub(crate) fn placeholder(self) -> &'static str {
        match self {
            Self::Address => "ADDR",
            Self::Path => "PATH",
            Self::File => "FILE",
            Self::Text => "TEXT",
            Self::Truth => "BOOL",
            Self::Number { .. } => "NUMBER",
            Self::Choice { .. } => "WORD",
            Self::HttpUrl => "URL",
            Self::Words => "LIST",
        }
    }
}

impl Key {
    /// Whether a dotted name is this key; a `*` stands for any one segment.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let mut mine = self.name.split('.');
        let mut theirs = name.split('.');
        loop {
            match (mine.next(), theirs.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a == b || a == "*" => {}
                _ => return false,
            }
        }
    }

    /// The section, with its `*` when it has one; none for keys on top.
    pub(crate) fn section(&self) -> Option<&'static str> {
        self.name.rsplit_once('.').map(|(section, _)| section)
    }

    /// The last segment.
    pub(crate) fn leaf(&self) -> &'static str {
        self.name
            .rsplit_once('.')
            .map_or(self.name, |(_, leaf)| leaf)
    }

    /// Whether the operator chooses one segment of the name.
    pub(crate) fn is_named(&self) -> bool {
        self.name.contains(".*.")
    }
}

impl Surface {
    /// Every key, in the order of the printed file.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + Clone + use<> {
        self.keys.iter().copied().flatten()
    }

    /// The key with this dotted name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.matches(name))
    }

    /// The secret whose file form this dotted name is.
    pub(crate) fn secret_of_file(&self, name: &str) -> Option<&'static Key> {
        let secret = name.strip_suffix("_file")?;
        self.key(secret).filter(|key| key.secret.is_some())
    }

    /// Whether a dotted name is one instance of a named section, such as
    /// `environment.development`.
    pub(crate) fn is_instance(&self, name: &str) -> bool {
        let Some((section, _)) = name.split_once('.') else {
            return false;
        };
        name.matches('.').count() == 1
            && self
                .keys()
                .any(|key| key.is_named() && key.name.split('.').next() == Some(section))
    }
}

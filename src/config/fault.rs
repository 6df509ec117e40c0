//! What is wrong with the settings?
//!
//! A fault names the key, where it was set, the value (never a secret one) and
//! the rule it breaks. They are collected and reported together: one restart
//! instead of five.

use std::fmt;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table of defaults.
    Preset,
    /// A configuration file.
    File(String),
    /// An environment variable.
    Variable(String),
    /// A command line flag.
    Flag(String),
    /// The program itself, for `dev` and for tests.
    Program,
}

/// One rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The dotted key, or the file that cannot be read.
    pub key: String,
    /// The value as found; secrets are redacted.
    pub value: Option<String>,
    /// Where it was found.
    pub origin: Origin,
    /// What was expected, and how to mend it.
    pub rule: String,
}

/// Everything that is wrong, in the order in which it was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The surface whose settings they are.
    pub surface: &'static str,
    /// At least one.
    pub list: Vec<Fault>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preset => f.write_str("default"),
            Self::File(name) => write!(f, "file {name}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Program => f.write_str("set by the program"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if self.origin != Origin::Preset {
            write!(f, " ({})", self.origin)?;
        }
        write!(f, ": {}", self.rule)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        let noun = if count == 1 { "fault" } else { "faults" };
        write!(f, "{count} {noun} in the settings of {}:", self.surface)?;
        for fault in &self.list {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The known name nearest to an unknown one, when it is near enough to be a
/// slip of the hand.
pub(crate) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the name wrong is a typing mistake; more is another word.
    let bound = (unknown.chars().count() / 3).max(2);
    known
        .map(|name| (distance(unknown, name), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= bound)
        .map(|(_, name)| name)
}

/// Edits (insert, delete, replace one character) between two names.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

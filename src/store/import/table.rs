//! How is one table of a project file read?
//!
//! Member by member, so that everything wrong is found at once and every
//! member that nobody asked for is one of the faults. A member of several
//! words may be written with dashes as well.

use super::Faults;
use crate::{
    clock::UnixMs,
    limits,
    store::{called::is_blank, project_file::Node},
};

/// A table being read: members are taken out, what remains is unknown.
pub(super) struct Table<'a> {
    file: &'a str,
    pub(super) position: String,
    members: Vec<(String, Node)>,
    pub(super) faults: &'a mut Faults,
}

impl<'a> Table<'a> {
    /// Of a node that must be one.
    pub(super) fn of(
        file: &'a str,
        position: String,
        node: Node,
        faults: &'a mut Faults,
    ) -> Option<Self> {
        match node {
            Node::Table(members) => {
                let mut named: Vec<(String, Node)> = Vec::with_capacity(members.len());
                for (name, member) in members {
                    let name = joined(&name);
                    if named.iter().any(|(other, _)| *other == name) {
                        faults.add(file, &position, format!("{name} appears in two spellings"));
                    }
                    named.push((name, member));
                }
                Some(Self {
                    file,
                    position,
                    members: named,
                    faults,
                })
            }
            other => {
                faults.add(
                    file,
                    &position,
                    format!("found {} (expected a table of members)", other.kind()),
                );
                None
            }
        }
    }

    pub(super) fn fault(&mut self, rule: impl Into<String>) {
        self.faults.add(self.file, &self.position, rule);
    }

    pub(super) fn fault_of(&mut self, member: &str, found: &Node, expected: &str) {
        self.fault(format!(
            "{member} is {} (expected {expected})",
            found.kind()
        ));
    }

    /// A member, if it is there and not null.
    pub(super) fn take(&mut self, member: &str) -> Option<Node> {
        let at = self.members.iter().position(|(name, _)| name == member)?;
        Some(self.members.remove(at).1).filter(|node| *node != Node::Null)
    }

    pub(super) fn text(&mut self, member: &str) -> Option<String> {
        match self.take(member)? {
            Node::Text(text) => Some(text),
            other => {
                self.fault_of(member, &other, "text");
                None
            }
        }
    }

    /// A text that is left out where there is nothing to say.
    pub(super) fn words(&mut self, member: &str) -> Option<String> {
        let words = self.text(member)?;
        if !is_blank(&words) {
            return Some(words);
        }
        self.fault(format!(
            "{member} is {words:?} (expected a text that is not blank, or none at all)"
        ));
        None
    }

    pub(super) fn bool(&mut self, member: &str) -> Option<bool> {
        match self.take(member)? {
            Node::Bool(value) => Some(value),
            other => {
                self.fault_of(member, &other, "true or false");
                None
            }
        }
    }

    pub(super) fn list(&mut self, member: &str) -> Vec<Node> {
        match self.take(member) {
            None => Vec::new(),
            Some(Node::List(items)) => items,
            Some(other) => {
                self.fault_of(member, &other, "a list");
                Vec::new()
            }
        }
    }

    /// A name that stands in paths and source code.
    pub(super) fn sid(&mut self, member: &str) -> Option<String> {
        let sid = self.text(member)?;
        if is_name(&sid) {
            return Some(sid);
        }
        self.fault(format!(
            "{member} is {sid:?} (expected 1 to {} of the characters A-Z a-z 0-9 _ -)",
            limits::SID_BYTES_MAX
        ));
        None
    }

    /// A sid that must be there.
    pub(super) fn required_sid(&mut self, member: &str) -> Option<String> {
        if !self.has(member) {
            self.fault(format!("{member} is missing"));
            return None;
        }
        self.sid(member)
    }

    pub(super) fn has(&self, member: &str) -> bool {
        self.members
            .iter()
            .any(|(name, node)| name == member && *node != Node::Null)
    }

    /// A point in time.
    pub(super) fn time(&mut self, member: &str) -> Option<UnixMs> {
        let text = self.text(member)?;
        let time = text
            .parse::<jiff::Timestamp>()
            .ok()
            .and_then(|time| UnixMs::try_from(time.as_millisecond()).ok());
        if time.is_none() {
            self.fault(format!(
                "{member} is {text:?} (expected a time such as 2026-03-01T09:30:00Z)"
            ));
        }
        time
    }

    /// `latest` (also by leaving it out) or the number of a committed version;
    /// none when it is neither.
    pub(super) fn version(&mut self, member: &str) -> Option<Option<u32>> {
        let found = self.take(member);
        match &found {
            None => return Some(None),
            Some(Node::Text(word)) if word == "latest" => return Some(None),
            Some(Node::Number(number)) => {
                let number = number
                    .as_u64()
                    .and_then(|number| u32::try_from(number).ok());
                if let Some(number) = number.filter(|number| *number > 0) {
                    return Some(Some(number));
                }
            }
            Some(_) => {}
        }
        let found = found.map_or(serde_json::Value::Null, Node::into_value);
        self.fault(format!(
            "{member} is {found} (expected latest or a whole number from 1 on)"
        ));
        None
    }

    /// One of some words.
    pub(super) fn word<T: serde::de::DeserializeOwned>(
        &mut self,
        member: &str,
        expected: &str,
    ) -> Option<T> {
        let word = self.text(member)?;
        let named = serde_json::from_value(serde_json::Value::String(word.clone())).ok();
        if named.is_none() {
            self.fault(format!("{member} is {word:?} (expected {expected})"));
        }
        named
    }

    /// Whatever was not taken is unknown.
    pub(super) fn finish(mut self) {
        for (name, _) in std::mem::take(&mut self.members) {
            self.fault(format!("unknown member {name:?}"));
        }
    }
}

/// `some-words` as `someWords`.
fn joined(name: &str) -> String {
    let mut words = name.split('-');
    let mut joined = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        joined.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        joined.push_str(letters.as_str());
    }
    joined
}

/// Whether a text may be a sid or uid.
pub(in crate::store) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=limits::SID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

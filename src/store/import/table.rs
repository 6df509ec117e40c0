//! How is one table of a project file read?
//!
//! Member by member, so that everything wrong is found at once and every
//! member that nobody asked for is one of the faults.

use super::Faults;
use crate::{limits, store::project_file::Node};

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
            Node::Table(members) => Some(Self {
                file,
                position,
                members,
                faults,
            }),
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

    /// Refuses by name what a later release brings.
    pub(super) fn refuse_unbuilt(&mut self, members: &[&str]) {
        for member in members {
            if self.take(member).is_some() {
                self.fault(format!(
                    "{member} is not supported by this version of flowgate"
                ));
            }
        }
    }

    /// Whatever was not taken is unknown.
    pub(super) fn finish(mut self) {
        for (name, _) in std::mem::take(&mut self.members) {
            self.fault(format!("unknown member {name:?}"));
        }
    }
}

/// Whether a text may be a sid or uid.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=limits::SID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

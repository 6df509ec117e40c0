//! Which flags may somebody see who evaluates for themselves?
//!
//! Those of the projects of their key, and of these what they ask for: some
//! projects, or names that begin alike. A segment is seen where a flag of one
//! of the projects refers to it.

use super::Flag;
use crate::snapshot::model::Key;

/// What is asked for, and may be.
#[derive(Clone, Copy, Debug)]
pub struct FlagScope<'s> {
    /// Who asks.
    pub key: &'s Key,
    /// Projects that are asked for; all where none is named.
    pub projects: &'s [Box<str>],
    /// What names begin with; empty for all.
    pub prefix: &'s str,
}

impl FlagScope<'_> {
    /// Whether this flag is in it.
    pub fn has(&self, flag: &Flag) -> bool {
        self.has_named(&flag.name, &flag.project)
    }

    /// The same of a flag that may be gone.
    pub(super) fn has_named(&self, name: &str, project: &str) -> bool {
        self.sees(project) && name.starts_with(self.prefix)
    }

    /// Whether one of these projects is seen.
    pub(super) fn sees_any(&self, projects: &[Box<str>]) -> bool {
        projects.iter().any(|project| self.sees(project))
    }

    fn sees(&self, project: &str) -> bool {
        let is_asked = || self.projects.iter().any(|own| **own == *project);
        self.key.sees(project) && (self.projects.is_empty() || is_asked())
    }
}

//! Why does a flag or a segment stay as it is?
//!
//! What is wrong with what is said of it is a fault of the import it goes
//! through.

/// Why a flag or a segment stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// No flag has this name.
    #[error("flag {0:?} does not exist")]
    Unknown(String),
    /// No segment has this name or number.
    #[error("segment {found:?} does not exist (expected {expected})")]
    UnknownSegment {
        /// As asked.
        found: String,
        /// Names there are, in words.
        expected: String,
    },
    /// No project has this sid.
    #[error("project {found:?} does not exist (expected {expected})")]
    UnknownProject {
        /// As asked.
        found: String,
        /// Sids there are, in words.
        expected: String,
    },
    /// The name is another one's, perhaps of another project, perhaps archived.
    #[error("{what} {name:?} exists already, in project {project:?}{}", if *.archived { " and archived" } else { "" })]
    Taken {
        /// Flag or segment.
        what: &'static str,
        /// As asked.
        name: String,
        /// Whose it is.
        project: String,
        /// Whether it is archived.
        archived: bool,
    },
    /// Somebody changed it since it was read.
    #[error("{what} {name:?} was changed since it was read")]
    Changed {
        /// Flag or segment.
        what: &'static str,
        /// Which.
        name: String,
        /// The tag that was sent.
        found: String,
        /// That of what stands there.
        expected: String,
    },
    /// The environment has fewer strategies.
    #[error("flag {flag:?} has no strategy {found} in {environment} (expected {expected})")]
    UnknownStrategy {
        /// Which flag.
        flag: String,
        /// Where.
        environment: String,
        /// As asked, from 1 on.
        found: usize,
        /// What there is, in words.
        expected: String,
    },
    /// What applications ask for is not forgotten in one step.
    #[error("flag {0:?} is not archived (archive it first: only an archived flag is deleted)")]
    NotArchived(String),
    /// Other flags depend on it.
    #[error(
        "flag {flag:?} is in use: {} on it (delete those first, or change what they depend on)",
        depending(.by)
    )]
    DependedOn {
        /// Its name.
        flag: String,
        /// Flags, in words.
        by: Vec<String>,
    },
    /// Strategies refer to it.
    #[error("segment {segment:?} is in use by {}", .by.join(", "))]
    InUse {
        /// Its name.
        segment: String,
        /// Flags, and where.
        by: Vec<String>,
    },
    /// The text is not what was expected.
    #[error("the text cannot be read: {0}")]
    Text(String),
}

/// Who depends, in words.
pub(in crate::store) fn depending(by: &[String]) -> String {
    let verb = match by.len() {
        1 => "depends",
        _ => "depend",
    };
    format!("{} {verb}", by.join(", "))
}

//! Why does a flow stay as it is?
//!
//! What is wrong with a version itself is a fault of the import it goes through.

/// Why a flow stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// No flow has this sid.
    #[error("flow {0:?} does not exist")]
    Unknown(String),
    /// The sid is another flow's, perhaps of another project.
    #[error("flow {sid:?} exists already, in project {project:?}")]
    Taken {
        /// As asked.
        sid: String,
        /// Whose it is.
        project: String,
    },
    /// No project has this sid.
    #[error("project {found:?} does not exist (expected one of {expected})")]
    UnknownProject {
        /// As asked.
        found: String,
        /// Sids there are.
        expected: String,
    },
    /// The flow has no such version.
    #[error("flow {flow:?} has no version {found} (expected {expected})")]
    UnknownVersion {
        /// Which flow.
        flow: String,
        /// As asked.
        found: String,
        /// What there is, in words.
        expected: String,
    },
    /// Somebody wrote the version since it was read.
    #[error("{version} of flow {flow:?} was changed since it was read")]
    Changed {
        /// Which flow.
        flow: String,
        /// `the draft`, or `version` and its number.
        version: String,
        /// The tag that was sent.
        found: String,
        /// That of what stands there.
        expected: String,
    },
    /// The draft says what the newest version says.
    #[error(
        "the draft of flow {flow:?} says what version {version} says: there is nothing to commit"
    )]
    NothingToCommit {
        /// Which flow.
        flow: String,
        /// The newest.
        version: u32,
    },
    /// The draft holds what no version does.
    #[error(
        "the draft of flow {flow:?} has {changes} changes that no version has, and they would be \
         gone (say discard to restore all the same)"
    )]
    WouldDiscard {
        /// Which flow.
        flow: String,
        /// Against the nearest version.
        changes: usize,
    },
    /// Something or somebody would miss it.
    #[error("flow {flow:?} is in use: {}", .by.join("; "))]
    InUse {
        /// Which flow.
        flow: String,
        /// By what, and how to end that.
        by: Vec<String>,
    },
    /// The text is no version at all.
    #[error("the text is no version of a flow: {0}")]
    Text(String),
}

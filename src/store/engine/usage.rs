//! What does an engine keep of the use of flags?
//!
//! The seam under `store::usage`: counts by hour, when flags were asked for
//! last, applications and their instances, and how far each edge's journal has
//! come. A batch is taken whole and once, or not at all.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::EngineError;
use crate::{
    clock::UnixMs,
    usage::{HourCount, Tally, UsageBatch, UsageTaken},
};

/// Storage of the use of flags.
pub trait UsageRows: Send + Sync + 'static {
    /// Takes a batch in one transaction, if it goes on where the journal
    /// stands, and of it what is kept.
    fn take_usage(
        &self,
        environment_uid: &str,
        batch: &UsageBatch,
        kept: &UsageKept<'_>,
    ) -> Result<UsageTaken, EngineError>;
    /// When a flag was asked for last.
    fn flag_seen(&self, environment_uid: &str, flag: &str) -> Result<Option<UnixMs>, EngineError>;
    /// Flags that were ever asked for, by name, and their use.
    fn flag_usage(
        &self,
        environment_uid: &str,
        asked: &UsageAsked,
    ) -> Result<Vec<FlagUsage>, EngineError>;
    /// The use of one flag, hour by hour and application by application.
    fn hour_usage(
        &self,
        environment_uid: &str,
        flag: &str,
        hours: &std::ops::Range<UnixMs>,
    ) -> Result<Vec<HourCount>, EngineError>;
    /// Applications whose names come after this one, by name.
    fn applications(
        &self,
        environment_uid: &str,
        after: &str,
        count_max: usize,
    ) -> Result<Vec<ApplicationUsage>, EngineError>;
    /// Forgets what is older than this: hours and instances, and when flags
    /// were asked for; says how many rows went, at most so many of each kind.
    fn sweep_usage(
        &self,
        environment_uid: &str,
        before: (UnixMs, UnixMs),
        count_max: usize,
    ) -> Result<usize, EngineError>;
}

/// What is kept of a batch.
pub struct UsageKept<'k> {
    /// Hours that begin in it.
    pub hours: std::ops::Range<UnixMs>,
    /// No edge has seen anything after this, whatever its clock says.
    pub now: UnixMs,
    /// Whether a flag has this name; names that none has leave room for those.
    pub is_flag: &'k dyn Fn(&str) -> bool,
}

/// Which flags' use is asked for.
#[derive(Clone, Debug)]
pub struct UsageAsked {
    /// Hours that begin in it are summed.
    pub hours: std::ops::Range<UnixMs>,
    /// Only by this application, and only flags that it used then.
    pub app: Option<String>,
    /// Names that come after this one.
    pub after: String,
    /// At most so many flags.
    pub count_max: usize,
}

/// The use of one flag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagUsage {
    /// Its name.
    pub flag: String,
    /// When it was asked for last.
    pub seen_ms: UnixMs,
    /// By application.
    pub apps: BTreeMap<String, Tally>,
}

/// An application, and what is known of its instances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ApplicationUsage {
    /// Its name.
    pub app: String,
    /// When it was met first.
    pub first_seen_ms: UnixMs,
    /// And last.
    pub last_seen_ms: UnixMs,
    /// How many instances are known.
    pub instances: u64,
    /// Their libraries and versions.
    pub sdks: BTreeSet<String>,
    /// What these run on.
    pub platforms: BTreeSet<String>,
    /// Strategies they can evaluate.
    pub strategies: BTreeSet<String>,
    /// Proxies they came by.
    pub via: BTreeSet<String>,
}

//! How do we decide?
//!
//! Pure: data in, data out; no I/O, clock, randomness, logging or async, and
//! no input panics. [`decide()`] answers which version of a flow a subject sees
//! and why, [`explain()`] what led there; [`transition()`] moves a subject through a version; [`judge()`] answers
//! whether a flag is on; [`predicate`] is
//! the one engine under every condition.

mod bucket;
mod decide;
mod flags;
mod membership;
mod migrate;
pub mod predicate;
mod reason;
mod receipt;
mod state;
mod subject;
mod transition;

pub(crate) use bucket::Salted;
pub use bucket::bucket;
pub use decide::{Ask, Decision, Enrolled, Migrated, Tag, TagError, VersionSource, decide};
pub use flags::{FlagAsk, judge};
pub use membership::{Enrolment, Membership, deployment_of, enrolment};
pub(crate) use migrate::standing_in;
pub use migrate::{Standing, Strategies, carry, migrate};
pub use reason::Reason;
pub use receipt::{
    AlternativeJudged, EntryJudged, MigrationJudged, Pin, Receipt, RolloutId, RolloutJudged,
    RuleJudged, StrategyApplied, explain,
};
pub use state::{BlockState, FlowProgress, FlowState};
pub(crate) use subject::can_name;
pub use subject::{Profile, Subject, SubjectView};
pub use transition::{
    Effect, Judge, LiveJudge, Other, Outcome, RecordedJudge, Side, Step, StepError, Targets,
    Touched, place, reconcile, transition,
};

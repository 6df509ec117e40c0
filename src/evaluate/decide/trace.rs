//! Who looks on while it is decided?
//!
//! A decision reports what it meets. Nobody listens to [`super::decide()`],
//! and then nothing of this is left in the program; a receipt keeps it all.

use crate::{
    evaluate::{
        migrate::Standing,
        receipt::{Pin, RolloutJudged, StrategyApplied},
    },
    snapshot::Entry,
};

/// What a decision reports, in the order in which it meets it.
pub(in crate::evaluate) trait Trace<'s, 'u> {
    /// Rules are judged also when the answer is known already.
    const THOROUGH: bool = false;

    /// The subject is held to a version.
    fn pin(&mut self, _pin: Pin<'u>) {}

    /// A percentage, and where the subject falls.
    fn rollout(&mut self, _rollout: impl FnOnce() -> RolloutJudged<'s, 'u>) {}

    /// The audience is asked from here on.
    fn audience(&mut self) {}

    /// The next rules are this alternative's.
    fn alternative(&mut self, _name: Option<&'s str>) {}

    /// A rule was judged.
    fn rule(&mut self, _text: &'s str, _holds: bool) {}

    /// A state of another version is turned into one of this version.
    fn migrates(&mut self, _from: u32, _before: Standing) {}

    /// A strategy was applied.
    fn strategy(&mut self, _applied: StrategyApplied) {}

    /// How the subject stands in the version asked for.
    fn arrives(&mut self, _after: Standing) {}

    /// The state could not be copied.
    fn incompatible(&mut self) {}

    /// The entry condition was judged.
    fn entry(&mut self, _condition: &'s Entry, _holds: bool) {}
}

/// Nobody looks on.
impl Trace<'_, '_> for () {}

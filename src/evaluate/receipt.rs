//! What led to a decision, step by step?
//!
//! [`explain`] decides exactly as [`super::decide()`] does, by the same code,
//! and keeps what was met on the way: each rule and its answer, the bucket and
//! the percentage it fell under, the record, the pin, the strategies a
//! migration went through. Judged further than a decision needs it (every rule
//! of an audience that was asked), never otherwise.

use std::borrow::Cow;

use super::{
    decide::{Ask, Decision, Tag, Trace, decide_traced},
    membership::Membership,
    migrate::Standing,
    subject::SubjectView,
};
use crate::{
    clock::UnixMs,
    snapshot::{Entry, Revision, RolloutSource, Snapshot, wire::Migration, wire::Remember},
};

/// What led to a decision, in the order in which it was met. A part that is
/// none was not asked: an earlier step had settled the matter.
#[derive(Clone, Debug)]
pub struct Receipt<'s, 'u> {
    /// Of the snapshot that was decided against.
    pub revision: Revision,
    /// The time it was decided at.
    pub now: UnixMs,
    /// The tag of the request; it counts only when the source says so.
    pub tag: Tag,
    /// What it came to: flow and status, deployment, version and its source,
    /// membership, state, reason.
    pub decision: Decision<'s, 'u>,
    /// What holds the subject to the version they began.
    pub pin: Option<Pin<'u>>,
    /// The percentage as it stood, whether or not it was reached. None without
    /// an active deployment, and for a pinned subject.
    pub rollout: Option<RolloutJudged<'s, 'u>>,
    /// The alternatives of the audience, in order, every rule judged; empty for
    /// everyone. None when the audience was not asked: a record or a pin stands
    /// before it.
    pub audience: Option<Vec<AlternativeJudged<'s>>>,
    /// The way from another version's state. None when there was none to start from.
    pub migration: Option<MigrationJudged>,
    /// The entry condition. None when the flow had begun, or was not reached.
    pub entry: Option<EntryJudged<'s>>,
}

/// What holds a subject to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin<'u> {
    /// The version with a state; the highest of them.
    pub version: u32,
    /// The conversation the state belongs to; none when the user's own states pin.
    pub conversation: Option<&'u str>,
}

/// A percentage, and where the subject falls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutJudged<'s, 'u> {
    /// What is in force now.
    pub basis_points: u16,
    /// It is an entry of the schedule that is in force.
    pub scheduled: bool,
    /// Without the colon that goes between it and the id.
    pub salt: &'s str,
    /// Which id is hashed: user, group or the name of an attribute.
    pub source: RolloutId<'s>,
    /// The id itself; none when it is missing.
    pub id: Option<Cow<'u, str>>,
    /// 0..10000; none when the id is missing.
    pub bucket: Option<u16>,
    /// How long a decision stands.
    pub remember: Remember,
    /// The conversation it is remembered for, if for one.
    pub conversation: Option<&'u str>,
    /// The record that was found, whether or not it counts.
    pub record: Option<Membership>,
}

/// Which id a percentage goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutId<'s> {
    /// The user's.
    User,
    /// The group's.
    Group,
    /// Of this attribute.
    Attribute(&'s str),
}

/// One alternative of an audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlternativeJudged<'s> {
    /// For people.
    pub name: Option<&'s str>,
    /// In document order.
    pub rules: Vec<RuleJudged<'s>>,
    /// Every rule holds.
    pub holds: bool,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleJudged<'s> {
    /// Attribute, operator and value as written.
    pub text: &'s str,
    /// What it came to.
    pub holds: bool,
}

/// The way from one version's state to another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationJudged {
    /// The version whose state it began with.
    pub from: u32,
    /// How the subject stood there.
    pub before: Standing,
    /// Each version on the way up, with its strategy. Empty on the way down.
    pub steps: Vec<StrategyApplied>,
    /// How the subject stands in the version asked for. `Fresh` begins anew;
    /// the decision's state then is what is stored, or nothing.
    pub after: Standing,
    /// The state was to be copied, but the version asked for lacks a block that
    /// is active in it, or has one of another type in its place.
    pub incompatible: bool,
}

/// One strategy of a fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrategyApplied {
    /// The version it belongs to.
    pub version: u32,
    /// What it says.
    pub strategy: Migration,
    /// How the subject stood before it.
    pub before: Standing,
    /// And after it.
    pub after: Standing,
}

/// The entry condition.
#[derive(Clone, Copy, Debug)]
pub struct EntryJudged<'s> {
    /// Everyone, an expression, or only with `force`.
    pub condition: &'s Entry,
    /// What it came to.
    pub holds: bool,
}

/// Decides, and says what led there.
pub fn explain<'s, 'u>(
    snapshot: &'s Snapshot,
    subject: &SubjectView<'u>,
    ask: &Ask<'_>,
    sees: impl Fn(&str) -> bool,
    now: UnixMs,
) -> Receipt<'s, 'u> {
    let mut kept = Kept::default();
    let decision = decide_traced(snapshot, subject, ask, sees, now, &mut kept);
    Receipt {
        revision: snapshot.revision,
        now,
        tag: ask.tag,
        decision,
        pin: kept.pin,
        rollout: kept.rollout,
        audience: kept.audience,
        migration: kept.migration,
        entry: kept.entry,
    }
}

/// What is kept on the way.
#[derive(Default)]
struct Kept<'s, 'u> {
    pin: Option<Pin<'u>>,
    rollout: Option<RolloutJudged<'s, 'u>>,
    audience: Option<Vec<AlternativeJudged<'s>>>,
    migration: Option<MigrationJudged>,
    entry: Option<EntryJudged<'s>>,
}

impl<'s, 'u> Trace<'s, 'u> for Kept<'s, 'u> {
    const THOROUGH: bool = true;

    fn pin(&mut self, pin: Pin<'u>) {
        self.pin = Some(pin);
    }

    fn rollout(&mut self, rollout: impl FnOnce() -> RolloutJudged<'s, 'u>) {
        self.rollout = Some(rollout());
    }

    fn audience(&mut self) {
        self.audience = Some(Vec::new());
    }

    fn alternative(&mut self, name: Option<&'s str>) {
        self.audience
            .get_or_insert_default()
            .push(AlternativeJudged {
                name,
                rules: Vec::new(),
                holds: true,
            });
    }

    fn rule(&mut self, text: &'s str, holds: bool) {
        let alternatives = self.audience.get_or_insert_default();
        if let Some(alternative) = alternatives.last_mut() {
            alternative.rules.push(RuleJudged { text, holds });
            alternative.holds &= holds;
        }
    }

    fn migrates(&mut self, from: u32, before: Standing) {
        self.migration = Some(MigrationJudged {
            from,
            before,
            steps: Vec::new(),
            after: before,
            incompatible: false,
        });
    }

    fn strategy(&mut self, applied: StrategyApplied) {
        if let Some(migration) = &mut self.migration {
            migration.steps.push(applied);
        }
    }

    fn arrives(&mut self, after: Standing) {
        if let Some(migration) = &mut self.migration {
            migration.after = after;
        }
    }

    fn incompatible(&mut self) {
        if let Some(migration) = &mut self.migration {
            migration.after = Standing::Fresh;
            migration.incompatible = true;
        }
    }

    fn entry(&mut self, condition: &'s Entry, holds: bool) {
        self.entry = Some(EntryJudged { condition, holds });
    }
}

impl<'s> From<&'s RolloutSource> for RolloutId<'s> {
    fn from(source: &'s RolloutSource) -> Self {
        match source {
            RolloutSource::User => Self::User,
            RolloutSource::Group => Self::Group,
            RolloutSource::Attribute(asked) => Self::Attribute(asked.name()),
        }
    }
}

//! Is this flag on for this context, and with which variant?
//!
//! As Unleash's clients decide: dependencies, then strategies in their order,
//! of which the first that holds supplies the variants. Chance comes in as one
//! number for the request, from which every flag makes one draw of its own: so
//! a flag is on and has its variant by the same draw, wherever it is asked.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use super::{
    bucket::Salted,
    predicate::{Found, Predicate},
    subject::SubjectView,
};
use crate::{
    clock::UnixMs,
    snapshot::flags::{
        Choice, Dependency, Flag, Flags, Judged, Rollout, Stickiness, Strategy, StrategyRule,
        Variant, Variants,
    },
};

const HUNDRED: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// For whom these flags are judged.
#[derive(Clone, Debug)]
pub struct FlagAsk<'a> {
    /// Of the context.
    found: Found<'a>,
    /// Fixed for the request.
    now: UnixMs,
    /// Fixed for the request.
    chance: u64,
}

impl<'a> FlagAsk<'a> {
    /// Looks up whatever these flags may ask of the context.
    pub fn of(flags: &Flags, context: SubjectView<'a>, now: UnixMs) -> Self {
        Self {
            found: Found::of(&flags.asks().fields, context),
            now,
            chance: 0,
        }
    }

    /// Lets chance decide, where something is left to it.
    pub fn drawing(self, chance: u64) -> Self {
        Self { chance, ..self }
    }

    /// Whether chance may decide something.
    pub fn may_draw(&self, flags: &Flags) -> bool {
        let lacks = |field: &usize| self.found.read(*field, |_| ()).is_none();
        let draws = &flags.asks().draws;
        draws.always
            || draws.without_both.iter().any(|both| both.iter().all(lacks))
            || draws.without_any.iter().any(lacks)
    }

    fn meets(&self, condition: &Predicate) -> bool {
        condition.holds_of(&self.found, self.now)
    }
}

/// Judges a flag, which is one of `flags`.
pub fn judge<'f>(flags: &'f Flags, flag: &'f Flag, ask: &FlagAsk<'_>) -> Judged<'f> {
    let mut dependencies = flag.dependencies.iter();
    if !dependencies.all(|dependency| dependency.holds(flags, ask)) {
        return Judged::OFF;
    }
    alone(flags, flag, ask)
}

/// The same as if it depended on nothing.
fn alone<'f>(flags: &'f Flags, flag: &'f Flag, ask: &FlagAsk<'_>) -> Judged<'f> {
    if !flag.enabled {
        return Judged::OFF;
    }
    let draw = Draw::of(ask.chance, flag.key);
    let mut variants = &flag.variants;
    if !flag.strategies.is_empty() {
        let mut strategies = flag.strategies.iter();
        let Some(strategy) = strategies.find(|own| own.holds(flags, ask, draw)) else {
            return Judged::OFF;
        };
        if !strategy.variants.list.is_empty() {
            variants = &strategy.variants;
        }
    }
    Judged {
        enabled: true,
        variant: variants.chosen(ask, draw),
    }
}

impl Dependency {
    fn holds(&self, flags: &Flags, ask: &FlagAsk<'_>) -> bool {
        let judged = |place: usize| match flags.list.get(place) {
            Some(parent) => alone(flags, parent, ask),
            None => Judged::OFF,
        };
        match self {
            Self::Never => false,
            Self::Off(place) => !judged(*place).enabled,
            Self::On(place, variants) => {
                let parent = judged(*place);
                let name = parent.variant.map_or("disabled", |own| &own.name);
                parent.enabled && (variants.is_empty() || variants.iter().any(|own| **own == *name))
            }
        }
    }
}

impl Strategy {
    fn holds(&self, flags: &Flags, ask: &FlagAsk<'_>, draw: Draw) -> bool {
        let holds = |condition: &Predicate| ask.meets(condition);
        let in_segment = |place: &usize| {
            let segment = flags.segments.get(*place);
            segment.is_some_and(|segment| segment.conditions.iter().all(holds))
        };
        let in_segments = |places: &[usize]| places.iter().all(in_segment);
        self.segments.as_deref().is_some_and(in_segments)
            && self.conditions.iter().all(holds)
            && self.rule.holds(ask, draw)
    }
}

impl StrategyRule {
    fn holds(&self, ask: &FlagAsk<'_>, draw: Draw) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Among(condition) => ask.meets(condition),
            Self::Rollout(rollout) => rollout.has(ask, draw),
        }
    }
}

impl Rollout {
    fn has(&self, ask: &FlagAsk<'_>, draw: Draw) -> bool {
        let place = match self.stickiness.place(ask, self.group, HUNDRED) {
            Sticky::At(place) => place,
            Sticky::Nowhere => return false,
            Sticky::Drawn => draw.percent(),
        };
        place <= self.percent
    }
}

impl Variants {
    fn chosen(&self, ask: &FlagAsk<'_>, draw: Draw) -> Option<&Variant> {
        let mut overrides = self.overrides.iter();
        let overridden = overrides.find(|(condition, _)| ask.meets(condition));
        if let Some((_, at)) = overridden {
            return self.list.get(*at);
        }
        let Choice {
            weights,
            stickiness,
            group,
        } = self.choice.as_ref()?;
        let target = match stickiness.place(ask, *group, *weights) {
            Sticky::At(place) => place,
            Sticky::Nowhere | Sticky::Drawn => draw.among(*weights),
        };
        let mut reached = 0;
        self.list.iter().find(|variant| {
            reached += variant.weight;
            reached >= target
        })
    }
}

/// Where stickiness leads.
enum Sticky {
    /// To a place, counted from 1.
    At(u32),
    /// The field is missing.
    Nowhere,
    /// A draw decides.
    Drawn,
}

impl Stickiness {
    fn place(&self, ask: &FlagAsk<'_>, group: Salted, of: NonZeroU32) -> Sticky {
        let hashed = |id: &str| group.place(id, of);
        match self {
            Self::Random => Sticky::Drawn,
            Self::Field(field) => match ask.found.read(*field, hashed) {
                Some(place) => Sticky::At(place),
                None => Sticky::Nowhere,
            },
            Self::Default { user, session } => {
                let by_user = ask.found.read(*user, hashed);
                match by_user.or_else(|| ask.found.read(*session, hashed)) {
                    Some(place) => Sticky::At(place),
                    None => Sticky::Drawn,
                }
            }
        }
    }
}

/// The one draw of a flag in a request. Its halves are independent: one says
/// whether the flag is on, the other with which variant.
#[derive(Clone, Copy, Debug)]
struct Draw(u64);

impl Draw {
    /// Mixed as SplitMix64 does, so that flags draw independently.
    fn of(chance: u64, flag: u64) -> Self {
        let mut mixed = (chance ^ flag).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(mixed ^ (mixed >> 31))
    }

    /// 1 to 100.
    fn percent(self) -> u32 {
        self.0 as u32 % HUNDRED + 1
    }

    /// 1 to `of`.
    fn among(self, of: NonZeroU32) -> u32 {
        (self.0 >> 32) as u32 % of + 1
    }
}

//! What does a compiled flag look like to the code that evaluates it?
//!
//! In stages: bytes are read into a [`FlagsDocument`], which [`compile`] makes
//! into [`Flags`]: constraints parsed, groups spelled for hashing, flags they
//! depend on found, and each answer a frontend may get serialised once. A flag
//! that makes no sense is set aside and named; the rest serve.

mod compile;
mod document;
mod fragment;
mod history;
mod inline;
mod mark;
mod places;
mod scope;
mod strategy;
#[cfg(test)]
mod tests;
mod token;
mod unsigned;

pub use document::{FlagsDocument, FlagsError};
pub use fragment::Judged;
pub use history::{FlagHistory, FlagStep};
pub use mark::{FlagMark, NoFlagMark};
pub use places::Outcome;
pub use scope::FlagScope;
pub use token::{FlagToken, FlagTokenError};

use std::num::NonZeroU32;

use rustc_hash::FxHashMap;

use self::inline::Inlined;
use super::model::SetAside;
use crate::evaluate::{Salted, predicate::Predicate};

/// All flags of an environment.
#[derive(Debug, Default)]
pub struct Flags {
    /// Ascending by name.
    pub(crate) list: Box<[Flag]>,
    /// In the order of the document; strategies know them by their places.
    pub(crate) segments: Box<[Segment]>,
    /// Places of segments by their ids.
    places: FxHashMap<i64, usize>,
    troubles: Box<[FlagTrouble]>,
    asks: Asks,
    fingerprint: [u8; 32],
    toggles_bytes_max: usize,
}

/// What is not as its author may think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagTrouble {
    /// The flag's name as far as it has one, or the segment's id.
    pub what: Box<str>,
    /// What was found and what was expected.
    pub why: String,
    /// Whether it does not serve; else a part of it never holds.
    pub set_aside: bool,
}

/// What evaluating all flags may ask of a request.
#[derive(Debug, Default)]
pub struct Asks {
    /// Fields of the context; where one stands is its place.
    pub fields: Box<[Box<str>]>,
    /// Their places in the order of their names, which is the same wherever
    /// the same flags are.
    pub by_name: Box<[usize]>,
    /// When constraints on the time of the request change their answers, in
    /// milliseconds since the Unix epoch, ascending.
    pub times: Box<[i64]>,
    pub(crate) draws: Draws,
}

impl Asks {
    /// Whether evaluating may ask for this field.
    pub fn has(&self, field: &str) -> bool {
        let name = |place: &usize| self.fields.get(*place).map(|own| &**own);
        let found = self
            .by_name
            .binary_search_by(|own| name(own).cmp(&Some(field)));
        found.is_ok()
    }
}

/// When chance decides something.
#[derive(Debug, Default)]
pub(crate) struct Draws {
    /// Always.
    pub(crate) always: bool,
    /// Where the context has neither of these.
    pub(crate) without_both: Option<[usize; 2]>,
    /// Where it lacks one of these.
    pub(crate) without_any: Box<[usize]>,
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// What applications call it.
    pub name: Box<str>,
    /// Project sid.
    pub project: Box<str>,
    /// Hash of the name, for draws.
    pub(crate) key: u64,
    /// The first of the numbers under which its outcomes are counted.
    first_place: usize,
    pub(crate) enabled: bool,
    pub(crate) dependencies: Box<[Dependency]>,
    /// In the order in which they are judged; without any the flag is on.
    pub(crate) strategies: Box<[Strategy]>,
    pub(crate) variants: Variants,
    /// Places of the segments its strategies refer to, as far as these are
    /// there; ascending.
    refers: Box<[usize]>,
    /// The flag as its document has it, for clients that evaluate themselves.
    source: Box<[u8]>,
    /// The same for those who know no segments, where it refers to any.
    inlined: Option<Inlined>,
    /// What a frontend gets when it is on without a variant.
    on: Box<[u8]>,
    /// And when it is off.
    off: Box<[u8]>,
}

/// What another flag has to be.
#[derive(Debug)]
pub(crate) enum Dependency {
    /// Nothing satisfies it: there is no such flag, or it depends on others.
    Never,
    /// The flag is off.
    Off(usize),
    /// The flag is on, with one of these variants or, without any, whatever
    /// it has.
    On(usize, Box<[Box<str>]>),
}

/// One way for a flag to be on.
#[derive(Debug)]
pub(crate) struct Strategy {
    /// All have to hold.
    pub(crate) conditions: Box<[Predicate]>,
    /// Those of these segments, too; none when one is missing, and then it
    /// never holds.
    pub(crate) segments: Option<Box<[usize]>>,
    pub(crate) rule: StrategyRule,
    /// In the place of the flag's, if there are any.
    pub(crate) variants: Variants,
}

/// What a strategy asks beyond its constraints.
#[derive(Debug)]
pub(crate) enum StrategyRule {
    /// Nothing.
    Always,
    /// What nobody can satisfy, or we cannot.
    Never,
    /// A field is one of a list.
    Among(Predicate),
    /// A share of all.
    Rollout(Rollout),
}

/// A share of all, by hash.
#[derive(Debug)]
pub(crate) struct Rollout {
    /// Of hundred places; 0 to 100.
    pub(crate) percent: u32,
    pub(crate) stickiness: Stickiness,
    /// What is hashed before the id.
    pub(crate) group: Salted,
}

/// What a choice goes by.
#[derive(Debug)]
pub(crate) enum Stickiness {
    /// The user, else the session, else a draw.
    Default {
        /// The place of `userId`.
        user: usize,
        /// That of `sessionId`.
        session: usize,
    },
    /// A draw.
    Random,
    /// The field of the context in this place.
    Field(usize),
}

/// Variants to choose from.
#[derive(Debug, Default)]
pub(crate) struct Variants {
    /// In the order of the document.
    pub(crate) list: Box<[Variant]>,
    /// None when nothing is to be chosen.
    pub(crate) choice: Option<Choice>,
    /// Who gets which in any case; the first that holds counts.
    pub(crate) overrides: Box<[(Predicate, usize)]>,
}

/// How one of several variants is chosen.
#[derive(Debug)]
pub(crate) struct Choice {
    /// Sum of all weights.
    pub(crate) weights: NonZeroU32,
    pub(crate) stickiness: Stickiness,
    /// What is hashed before the id.
    pub(crate) group: Salted,
}

/// One of several faces of a flag that is on.
#[derive(Debug)]
pub struct Variant {
    /// What applications call it.
    pub name: Box<str>,
    pub(crate) weight: u32,
    /// Under which it is counted.
    place: usize,
    /// What a frontend gets when the flag is on with it.
    on: Box<[u8]>,
}

/// Constraints that several strategies share.
#[derive(Debug)]
pub(crate) struct Segment {
    /// What strategies call it.
    id: i64,
    /// Projects with flags that refer to it; ascending.
    projects: Box<[Box<str>]>,
    /// All have to hold.
    pub(crate) conditions: Box<[Predicate]>,
    /// As its document has it.
    source: Box<[u8]>,
    /// Its constraints as they are written there, without brackets.
    constraints: Box<[u8]>,
}

impl Flags {
    /// The flag of this name.
    pub fn named(&self, name: &str) -> Option<&Flag> {
        let at = self.list.binary_search_by(|flag| (*flag.name).cmp(name));
        self.list.get(at.ok()?)
    }

    /// All of them, ascending by name.
    pub fn list(&self) -> &[Flag] {
        &self.list
    }

    /// The segment with this id.
    fn segment(&self, id: i64) -> Option<&Segment> {
        self.segments.get(*self.places.get(&id)?)
    }

    /// Whether a segment is the one that its id leads to: of two with the same
    /// one, the last is.
    fn is_in_force(&self, segment: &Segment) -> bool {
        let own = self.segment(segment.id);
        own.is_some_and(|own| std::ptr::eq(own, segment))
    }

    /// Those that a flag refers to.
    fn segments_of(&self, flag: &Flag) -> impl Iterator<Item = &Segment> {
        let places = flag.refers.iter();
        places.filter_map(|place| self.segments.get(*place))
    }

    /// What is not as its author may think.
    pub fn troubles(&self) -> &[FlagTrouble] {
        &self.troubles
    }

    /// What of them does not serve, as a snapshot names it.
    pub(super) fn set_aside(&self) -> impl Iterator<Item = SetAside> {
        let set_aside = self.troubles.iter().filter(|own| own.set_aside);
        set_aside.map(|trouble| SetAside {
            flow: format!("flag {}", trouble.what).into(),
            version: None,
            why: trouble.why.clone(),
        })
    }

    /// What evaluating may ask of a request.
    pub fn asks(&self) -> &Asks {
        &self.asks
    }

    /// The same wherever the same flags are compiled.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

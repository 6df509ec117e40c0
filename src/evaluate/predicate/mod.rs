//! Is a condition true for this subject, now?
//!
//! One engine under three dialects: expressions go through [`lex`] and
//! [`parse`], rules of audiences through [`audience`], Unleash's constraints
//! through [`constraint`], and all end in the same [`form`]. Total: whatever
//! the properties are, the answer is a boolean, never an error, and finding it
//! allocates nothing (but what a thread keeps of a regular expression). [`eval`] walks the form over [`value`]s; every other file
//! takes care of one kind of comparing.

mod asked;
mod audience;
mod constraint;
mod date;
mod eval;
mod field;
mod form;
mod lex;
mod like;
mod loose;
mod network;
mod parse;
mod pattern;
mod semver;
mod spell;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub(super) use self::asked::AskedId;
pub use self::{
    asked::{Asked, Places},
    constraint::Constraint,
    field::Found,
};

use self::{asked::Known, eval::Scene, form::Condition};
use super::{state::BlockState, subject::SubjectView};
use crate::{
    clock::UnixMs,
    snapshot::{BlockKey, wire::RulePart},
};

/// A compiled condition.
#[derive(Debug)]
pub struct Predicate {
    root: Condition,
}

/// Why source text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at position {position}: {message}")]
pub struct ExpressionError {
    /// Byte offset into the source, from 0.
    pub position: usize,
    /// What was found and what was expected.
    pub message: String,
}

impl Predicate {
    /// Parses and compiles an expression that looks at the subject alone, as
    /// entry conditions do. Block state in it is an error.
    pub fn parse(source: &str) -> Result<Self, ExpressionError> {
        parse::parse(source, None).map(|root| Self { root })
    }

    /// Parses and compiles a branch's expression, which may also look at
    /// blocks. `block` finds the key of a block's sid in the same version.
    pub fn parse_branch(
        source: &str,
        block: &dyn Fn(&str) -> Option<BlockKey>,
    ) -> Result<Self, ExpressionError> {
        parse::parse(source, Some(block)).map(|root| Self { root })
    }

    /// Compiles a rule of an audience, or says what is wrong with it.
    pub fn rule(rule: &RulePart) -> Result<Self, String> {
        Self::rule_among(rule, &mut Places::default())
    }

    /// The same for one of the rules of an audience, which all have to share
    /// the places.
    pub fn rule_among(rule: &RulePart, places: &mut Places) -> Result<Self, String> {
        let root = Condition::Rule(audience::compile(rule, places)?);
        Ok(Self { root })
    }

    /// Compiles a constraint of Unleash, whose field has this place. One that
    /// makes no sense never holds, and [`Constraint::fault`] says why.
    pub fn constraint(constraint: &Constraint, place: usize) -> Self {
        Self {
            root: constraint::compile_or_never(constraint, place),
        }
    }

    /// Whether it holds, where there are no blocks to look at.
    pub fn holds(&self, view: &SubjectView<'_>, now: UnixMs) -> bool {
        self.holds_in(view, now, None)
    }

    /// Whether a constraint holds, of what was found of its field.
    pub fn holds_of(&self, found: &Found<'_>, now: UnixMs) -> bool {
        self.root.holds(&found.scene(now))
    }

    /// Whether it holds in a flow that stands like this. Without `blocks`
    /// block state is null; with it a block that is not listed was never entered.
    pub fn holds_in(
        &self,
        view: &SubjectView<'_>,
        now: UnixMs,
        blocks: Option<&[BlockState]>,
    ) -> bool {
        self.root.holds(&Scene {
            view: *view,
            now,
            blocks,
            found: &[],
        })
    }
}

/// One audience, judged for one subject: what several rules ask for is looked
/// up once.
pub(super) struct Judging<'v> {
    scene: Scene<'v>,
    known: Known<'v>,
}

impl<'v> Judging<'v> {
    /// Nothing is judged yet.
    pub(super) fn new(view: &SubjectView<'v>, now: UnixMs) -> Self {
        Self {
            scene: Scene {
                view: *view,
                now,
                blocks: None,
                found: &[],
            },
            known: Known::new(),
        }
    }

    /// Whether a rule of the audience holds.
    #[inline]
    pub(super) fn holds(&mut self, rule: &Predicate) -> bool {
        match &rule.root {
            Condition::Rule(rule) => rule.accepts(self.known.value(&rule.asked, &self.scene.view)),
            other => other.holds(&self.scene),
        }
    }
}

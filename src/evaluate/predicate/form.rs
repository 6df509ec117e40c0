//! What does a compiled condition look like?
//!
//! A tree of conditions over operands, in which all dialects end. Where two of
//! them mean different things by the same word, each has its own leaf; all the
//! rest they share. Property names are owned, literals are of their final
//! type, and chains of AND and OR are flat, so that depth is bounded by the
//! nesting somebody typed.

use super::{
    asked::Asked, like::Like, loose::Wanted, network::Network, pattern::Pattern, semver::Release,
    value::Number,
};
use crate::snapshot::BlockKey;

/// Something that is true or false.
#[derive(Debug)]
pub(super) enum Condition {
    /// Every one holds.
    All(Box<[Condition]>),
    /// At least one holds.
    Any(Box<[Condition]>),
    /// It does not hold; true also where it is false only because of a missing value.
    Not(Box<Condition>),
    /// Two operands stand in this relation.
    Compare(Relation, Box<[Operand; 2]>),
    /// The first lies between the others, ends included.
    Between(Box<[Operand; 3]>),
    /// The operand equals one of the list.
    In(Operand, Box<[Operand]>),
    /// The text matches.
    Like(Operand, Like),
    /// Nothing is there.
    IsNull(Operand),
    /// The array has the value as a whole element.
    Includes(Box<[Operand; 2]>),
    /// One text stands in another.
    Text(TextTest, Box<[Operand; 2]>),
    /// The operand is the boolean true.
    Truth(Operand),
    /// A rule of an audience.
    Rule(Rule),
    /// The operand, spelled out, is one of these; sorted.
    Spelled(Operand, Box<[Box<str>]>),
    /// One of these stands in the operand, spelled out.
    SpelledPart(Operand, SpelledParts),
    /// The operand is a number or spells one, and it stands so to this one.
    Numeric(Relation, Operand, f64),
    /// The operand spells a semantic version, and it stands so to this one.
    Release(Relation, Operand, Release),
    /// The operand spells an address, and it is in one of these networks.
    Within(Operand, Box<[Network]>),
    /// The pattern matches somewhere in the operand, spelled out.
    Matches(Operand, Pattern),
}

/// What an audience asks of one attribute. Flat, since a decision judges many.
#[derive(Debug)]
pub(super) struct Rule {
    /// The attribute.
    pub(super) asked: Asked,
    /// What it should be.
    pub(super) expected: Expected,
    /// Or should not; true also of what is missing.
    pub(super) negated: bool,
}

/// What an audience expects.
#[derive(Debug)]
pub(super) enum Expected {
    /// Nothing is there, or nothing is in it.
    Nothing,
    /// Something that stands so to a value.
    Loosely(LooseTest, Wanted),
}

/// How audiences compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LooseTest {
    /// The same value.
    Equals,
    /// A part of a text, or a whole element of an array.
    Contains,
    /// The beginning of a text.
    Starts,
    /// The end of a text.
    Ends,
    /// A larger number, a later time, or a text behind.
    Greater,
    /// A smaller number, an earlier time, or a text before.
    Less,
}

/// Texts of which one has to stand somewhere in another.
#[derive(Debug)]
pub(super) struct SpelledParts {
    /// Where.
    pub(super) test: TextTest,
    /// In lower case already, where case is ignored.
    pub(super) any_of: Box<[Box<str>]>,
    /// Whether what is searched is seen in lower case.
    pub(super) ignore_case: bool,
}

/// How two operands are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// `=`, `==`
    Equal,
    /// `!=`, `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Where the second text has to stand in the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    /// `startsWith`
    Starts,
    /// `endsWith`
    Ends,
    /// `contains`
    Contains,
}

/// Something with a value.
#[derive(Debug)]
pub(super) enum Operand {
    /// Nothing.
    Null,
    /// A boolean as written.
    Boolean(bool),
    /// A number as written.
    Number(Number),
    /// A text as written.
    Text(Box<str>),
    /// A date as written, in milliseconds since the Unix epoch.
    Time(i64),
    /// The time of the request.
    Now,
    /// A fixed attribute of the user or the group.
    Attribute(Root, Attribute),
    /// A property of the user or the group.
    Property(Root, PropertyPath),
    /// A field of Unleash's context, by its place among those that were found.
    Field(usize),
    /// The same, or else the time of the request.
    FieldOrNow(usize),
    /// A date moved by some milliseconds.
    Shifted(Box<Operand>, i64),
    /// A text in lower case.
    Lower(Box<Operand>),
    /// Code points of a text, or elements of an array.
    Length(Box<Operand>),
    /// A condition's answer.
    Condition(Box<Condition>),
    /// Where a block stands.
    Block(BlockKey, BlockAspect),
}

/// Whom an operand asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// The user, with request attributes laid over the properties.
    User,
    /// The group the request names.
    Group,
}

/// What everybody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    /// As the application calls them.
    Identifier,
    /// First seen.
    CreatedAt,
    /// Last identify.
    UpdatedAt,
}

/// The way to a value inside the properties.
#[derive(Debug)]
pub(super) struct PropertyPath {
    /// The property.
    pub(super) name: Box<str>,
    /// Further down.
    pub(super) deeper: Box<[Descent]>,
}

/// One step down into a nested value.
#[derive(Debug)]
pub(super) enum Descent {
    /// A member of an object.
    Member(Box<str>),
    /// An element of an array.
    Element(usize),
}

/// What can be asked of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockAspect {
    /// Reached now.
    Active,
    /// Reached at least once.
    Entered,
    /// Left by a transition.
    Exited,
}

impl Operand {
    /// Whether it is a date by itself, so that a text beside it is read as one.
    pub(super) fn is_time(&self) -> bool {
        matches!(
            self,
            Self::Time(_)
                | Self::Now
                | Self::Shifted(..)
                | Self::Attribute(_, Attribute::CreatedAt | Attribute::UpdatedAt)
        )
    }
}

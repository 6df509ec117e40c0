//! What does a condition come to in this scene?
//!
//! A walk over the compiled tree. Every branch of it ends in a boolean or in a
//! borrowed value; nothing is copied and nothing can fail.

use serde_json::Value;

use super::{
    asked,
    form::{
        Attribute, BlockAspect, Condition, Descent, Operand, PropertyPath, Relation, Root,
        SpelledParts, TextTest,
    },
    network,
    semver::Version,
    spell::spelled,
    text::Text,
    value::{Number, Seen},
};
use crate::{
    clock::UnixMs,
    evaluate::{
        state::BlockState,
        subject::{Profile, SubjectView},
    },
};

/// Everything a condition may look at.
pub(super) struct Scene<'a> {
    /// For whom.
    pub(super) view: SubjectView<'a>,
    /// Fixed for the request.
    pub(super) now: UnixMs,
    /// Sorted by key; none outside of branches.
    pub(super) blocks: Option<&'a [BlockState]>,
    /// Fields of Unleash's context, in their places; none outside of flags.
    pub(super) found: &'a [Seen<'a>],
}

impl Condition {
    /// Whether it holds.
    pub(super) fn holds(&self, scene: &Scene<'_>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|condition| condition.holds(scene)),
            Self::Any(any) => any.iter().any(|condition| condition.holds(scene)),
            Self::Not(condition) => !condition.holds(scene),
            Self::Compare(relation, sides) => {
                let [left, right] = &**sides;
                left.value(scene).stands(*relation, right.value(scene))
            }
            Self::Between(operands) => {
                let [middle, low, high] = &**operands;
                let value = middle.value(scene);
                value.stands(Relation::GreaterOrEqual, low.value(scene))
                    && value.stands(Relation::LessOrEqual, high.value(scene))
            }
            Self::In(operand, list) => {
                let value = operand.value(scene);
                list.iter()
                    .any(|one| value.stands(Relation::Equal, one.value(scene)))
            }
            Self::Like(operand, pattern) => operand
                .value(scene)
                .text()
                .is_some_and(|text| pattern.matches(text)),
            Self::IsNull(operand) => matches!(operand.value(scene), Seen::Null),
            Self::Includes(operands) => {
                let [array, wanted] = &**operands;
                includes(array.value(scene), wanted.value(scene))
            }
            Self::Text(test, operands) => {
                let [text, part] = &**operands;
                match (text.value(scene).text(), part.value(scene).text()) {
                    (Some(text), Some(part)) => test.passes(text, part),
                    _ => false,
                }
            }
            Self::Truth(operand) => matches!(operand.value(scene), Seen::Boolean(true)),
            Self::Rule(rule) => rule.accepts(rule.asked.of(&scene.view)),
            Self::Spelled(operand, any_of) => spelled(operand.value(scene), |text| {
                any_of.binary_search_by(|one| (**one).cmp(text)).is_ok()
            }),
            Self::SpelledPart(operand, parts) => {
                spelled(operand.value(scene), |text| parts.stand_in(text))
            }
            Self::Numeric(relation, operand, number) => operand
                .value(scene)
                .float()
                .is_some_and(|own| relation.holds_between(own, *number)),
            Self::Release(relation, operand, release) => spelled(operand.value(scene), |text| {
                Version::parse(text)
                    .is_some_and(|own| relation.allows(own.order(release.version())))
            }),
            Self::Within(operand, networks) => spelled(operand.value(scene), |text| {
                network::address(text)
                    .is_some_and(|address| networks.iter().any(|one| one.has(address)))
            }),
            Self::Matches(operand, pattern) => {
                spelled(operand.value(scene), |text| pattern.matches(text))
            }
        }
    }
}

impl SpelledParts {
    fn stand_in(&self, text: &str) -> bool {
        let text = match self.ignore_case {
            true => Text::new(text).lowered(),
            false => Text::new(text),
        };
        let mut any_of = self.any_of.iter();
        any_of.any(|part| self.test.passes(text, Text::new(part)))
    }
}

impl TextTest {
    fn passes(self, text: Text<'_>, part: Text<'_>) -> bool {
        match self {
            Self::Starts => text.starts_with(part),
            Self::Ends => text.ends_with(part),
            Self::Contains => text.contains(part),
        }
    }
}

fn includes(array: Seen<'_>, wanted: Seen<'_>) -> bool {
    let Seen::Array(elements) = array else {
        return false;
    };
    elements
        .iter()
        .any(|element| Seen::from(element).stands(Relation::Equal, wanted))
}

impl Operand {
    pub(super) fn value<'a>(&'a self, scene: &Scene<'a>) -> Seen<'a> {
        match self {
            Self::Null => Seen::Null,
            Self::Boolean(boolean) => Seen::Boolean(*boolean),
            Self::Number(number) => Seen::Number(*number),
            Self::Text(text) => Seen::Text(Text::new(text)),
            Self::Time(time) => Seen::Time(*time),
            Self::Now => time(Some(scene.now)),
            Self::Attribute(root, attribute) => attribute.of(asked::profile(&scene.view, *root)),
            Self::Property(root, path) => scene.property(*root, path),
            Self::Field(place) => scene.found(*place),
            Self::FieldOrNow(place) => match scene.found(*place) {
                Seen::Null => time(Some(scene.now)),
                said => said,
            },
            Self::Shifted(date, by_ms) => match date.value(scene).time() {
                Some(time) => Seen::Time(time.saturating_add(*by_ms)),
                None => Seen::Null,
            },
            Self::Lower(text) => match text.value(scene).text() {
                Some(text) => Seen::Text(text.lowered()),
                None => Seen::Null,
            },
            Self::Length(operand) => match operand.value(scene) {
                Seen::Text(text) => whole(text.length()),
                Seen::Array(elements) => whole(elements.len()),
                _ => Seen::Null,
            },
            Self::Condition(condition) => Seen::Boolean(condition.holds(scene)),
            Self::Block(key, aspect) => match scene.blocks {
                Some(blocks) => {
                    let at = blocks.binary_search_by_key(key, |block| block.key);
                    Seen::Boolean(at.is_ok_and(|at| aspect.of(&blocks[at])))
                }
                None => Seen::Null,
            },
        }
    }
}

impl<'a> Scene<'a> {
    #[inline]
    fn found(&self, place: usize) -> Seen<'a> {
        self.found.get(place).copied().unwrap_or(Seen::Null)
    }

    fn property(&self, root: Root, path: &PropertyPath) -> Seen<'a> {
        let found = path.deeper.iter().fold(
            asked::property(&self.view, root, &path.name),
            |value, step| step.down(value?),
        );
        found.map_or(Seen::Null, Seen::from)
    }
}

impl Descent {
    fn down<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Member(name) => value.as_object()?.get(&**name),
            Self::Element(place) => value.as_array()?.get(*place),
        }
    }
}

impl Attribute {
    fn of(self, profile: Option<&Profile>) -> Seen<'_> {
        match self {
            Self::Identifier => asked::identifier(profile),
            Self::CreatedAt => time(profile.and_then(|own| own.created_ms)),
            Self::UpdatedAt => time(profile.and_then(|own| own.updated_ms)),
        }
    }
}

impl BlockAspect {
    fn of(self, block: &BlockState) -> bool {
        match self {
            Self::Active => block.active,
            Self::Entered => block.entered,
            Self::Exited => block.exited,
        }
    }
}

fn time<'a>(ms: Option<UnixMs>) -> Seen<'a> {
    ms.and_then(|ms| i64::try_from(ms).ok())
        .map_or(Seen::Null, Seen::Time)
}

fn whole<'a>(count: usize) -> Seen<'a> {
    Seen::Number(Number::Whole(count as i128))
}

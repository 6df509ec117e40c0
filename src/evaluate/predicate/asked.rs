//! What is this attribute of this subject?
//!
//! Audiences and rollouts name attributes in the same way, and both find them
//! here; expressions and constraints share the look-up of properties. Rules
//! repeat attributes, so every attribute of an audience has a [`Places`] of its
//! own, and one that was [`Known`] once in a decision is not looked up again.

use std::borrow::Cow;

use serde_json::Value;

use super::{form::Root, text::Text, value::Seen};
use crate::{
    evaluate::subject::{Profile, SubjectView},
    limits::RULE_ATTRIBUTE_BYTES_MAX,
};

/// Attributes of one audience that are looked up once. Hardly an audience asks
/// for more; those beyond are looked up by every rule.
const PLACES_MAX: usize = 16;

/// What somebody who is missing has of everything.
static NOTHING: Value = Value::Null;

/// An attribute as rules and rollouts name it.
#[derive(Debug)]
pub struct Asked {
    written: Box<str>,
    root: Root,
    /// None: the identifier.
    property: Option<Box<str>>,
    /// Where it is kept during a decision.
    place: Option<usize>,
}

/// An attribute as an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evaluate) enum AskedId<'u> {
    /// A text.
    Text(&'u str),
    /// A whole number; `42.0` is one, since some languages write every number so.
    Whole(i128),
}

impl Asked {
    /// The attribute of this name, or what is wrong with the name. It is taken
    /// as a whole: a dot in it is a character like any other, except behind
    /// `group`.
    pub fn named(name: &str) -> Result<Self, String> {
        if name.is_empty() || name.len() > RULE_ATTRIBUTE_BYTES_MAX {
            return Err(format!(
                "found an attribute of {} bytes, expected 1 to {RULE_ATTRIBUTE_BYTES_MAX}",
                name.len()
            ));
        }
        let asked = |root, property: Option<&str>| Self {
            written: name.into(),
            root,
            property: property.map(Into::into),
            place: None,
        };
        let (root, own) = match name.split_once('.') {
            Some(("group", own)) => (Root::Group, own),
            Some(("user", own)) => (Root::User, own),
            _ => return Ok(asked(Root::User, Some(name))),
        };
        // Both would be read as names of properties nobody has.
        let plain = own.strip_prefix("properties.").unwrap_or(own);
        match (root, own) {
            (root, "identifier") => Ok(asked(root, None)),
            (_, "") => Err(format!(
                "found the attribute {name:?}, expected a name behind the dot"
            )),
            (Root::User, _) => Err(format!(
                "found the attribute {name:?}, expected user.identifier, or {plain:?} for a property of the user"
            )),
            (Root::Group, own) if own != plain => Err(format!(
                "found the attribute {name:?}, expected \"group.{plain}\" for a property of the group"
            )),
            (Root::Group, own) => Ok(asked(root, Some(own))),
        }
    }

    /// As it was written.
    pub fn name(&self) -> &str {
        &self.written
    }

    /// What it is of this subject.
    pub(super) fn of<'u>(&self, view: &SubjectView<'u>) -> Seen<'u> {
        match &self.property {
            None => identifier(profile(view, self.root)),
            Some(name) => property(view, self.root, name).map_or(Seen::Null, Seen::from),
        }
    }

    /// What it is of this subject as an id; anything but a text or a whole
    /// number is none.
    pub(in crate::evaluate) fn id_of<'u>(&self, view: &SubjectView<'u>) -> Option<AskedId<'u>> {
        match self.of(view) {
            Seen::Text(text) => text.as_written().map(AskedId::Text),
            Seen::Number(number) => number.whole().map(AskedId::Whole),
            _ => None,
        }
    }
}

impl<'u> AskedId<'u> {
    /// The text that is hashed.
    pub(in crate::evaluate) fn text<'b>(self, digits: &'b mut itoa::Buffer) -> &'b str
    where
        'u: 'b,
    {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => digits.format(number),
        }
    }

    /// The text, to be kept.
    pub(in crate::evaluate) fn into_text(self) -> Cow<'u, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Whole(number) => Cow::Owned(number.to_string()),
        }
    }
}

/// Which attributes of an audience have which place.
#[derive(Debug, Default)]
pub struct Places {
    taken: Vec<(Root, Box<str>)>,
}

impl Places {
    /// Gives the attribute its place, the same one to each of this name. An
    /// identifier needs none: it is at hand.
    pub(super) fn give(&mut self, asked: &mut Asked) {
        let Some(property) = &asked.property else {
            return;
        };
        let mut taken = self.taken.iter();
        let known = taken.position(|(root, name)| *root == asked.root && name == property);
        asked.place = known.or_else(|| {
            let free = self.taken.len();
            (free < PLACES_MAX).then(|| {
                self.taken.push((asked.root, property.clone()));
                free
            })
        });
    }
}

/// What one decision has looked up of one subject, for the rules of one audience.
pub(super) struct Known<'u> {
    /// None: not looked up yet.
    values: [Option<&'u Value>; PLACES_MAX],
}

impl<'u> Known<'u> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            values: [None; PLACES_MAX],
        }
    }

    /// What the attribute is of this subject, who has to be the same each time.
    #[inline]
    pub(super) fn value(&mut self, asked: &Asked, view: &SubjectView<'u>) -> Seen<'u> {
        let place = asked.place.and_then(|place| self.values.get_mut(place));
        match (&asked.property, place) {
            (Some(name), Some(place)) => {
                let look_up = || property(view, asked.root, name).unwrap_or(&NOTHING);
                Seen::from(*place.get_or_insert_with(look_up))
            }
            _ => asked.of(view),
        }
    }
}

/// Whose attributes are meant.
pub(super) fn profile<'u>(view: &SubjectView<'u>, root: Root) -> Option<&'u Profile> {
    match root {
        Root::User => Some(&view.user.profile),
        Root::Group => view.group,
    }
}

/// A property: what a request carries lies over what is stored of the user.
pub(super) fn property<'u>(view: &SubjectView<'u>, root: Root, name: &str) -> Option<&'u Value> {
    let carried = match root {
        Root::User => view.attributes.and_then(|own| own.get(name)),
        Root::Group => None,
    };
    carried.or_else(|| profile(view, root)?.properties.get(name))
}

/// A request without a user has a subject all the same: nobody is called by an
/// empty text.
pub(super) fn identifier(profile: Option<&Profile>) -> Seen<'_> {
    match profile {
        Some(profile) if !profile.identifier.is_empty() => {
            Seen::Text(Text::new(&profile.identifier))
        }
        _ => Seen::Null,
    }
}

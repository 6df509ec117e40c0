//! What is this field of Unleash's context?
//!
//! The context arrives as a subject: `userId` is the user's identifier, the
//! other fixed fields are attributes of the request, and whatever else is named
//! is a property, stored or carried. Flags repeat their fields, so each field
//! has a place, and what it is is [`Found`] once for a request. Where a rollout
//! goes by a field, its text counts, as for constraints.

use smallvec::SmallVec;

use super::{asked, eval::Scene, form::Root, spell, value::Seen};
use crate::{clock::UnixMs, evaluate::subject::SubjectView};

/// The field that is the time of the request where the request says none.
pub(super) const CURRENT_TIME: &str = "currentTime";

/// Fields that are found without allocating. Hardly anybody's flags ask for
/// more; beyond it, one allocation does for all.
const FOUND_INLINE: usize = 12;

/// What the fields are that flags ask for.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    view: SubjectView<'a>,
    /// Each in its place.
    values: SmallVec<[Seen<'a>; FOUND_INLINE]>,
}

impl<'a> Found<'a> {
    /// Looks up the fields of these names, whose order gives them their places.
    pub fn of(names: &[Box<str>], view: SubjectView<'a>) -> Self {
        let values = names.iter().map(|name| look_up(name, &view));
        Self {
            values: values.collect(),
            view,
        }
    }

    /// What a reader makes of the text of the field in this place; none where
    /// there is no text, or an empty one, which tells nobody from anybody else.
    pub fn read<T>(&self, place: usize, reader: impl FnOnce(&str) -> T) -> Option<T> {
        let told = |text: &str| (!text.is_empty()).then(|| reader(text));
        spell::read(*self.values.get(place)?, told).flatten()
    }

    /// What conditions look at.
    pub(super) fn scene(&self, now: UnixMs) -> Scene<'_> {
        Scene {
            view: self.view,
            now,
            blocks: None,
            found: &self.values,
        }
    }
}

/// Fixed fields are only what the request says: a stored property that happens
/// to be called like one does not count.
fn look_up<'a>(name: &str, view: &SubjectView<'a>) -> Seen<'a> {
    let found = match name {
        "userId" => return asked::identifier(asked::profile(view, Root::User)),
        "sessionId" | "environment" | "appName" | "remoteAddress" | CURRENT_TIME => {
            view.attributes.and_then(|own| own.get(name))
        }
        other => asked::property(view, Root::User, other),
    };
    found.map_or(Seen::Null, Seen::from)
}

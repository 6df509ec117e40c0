//! What is this field of Unleash's context?
//!
//! The context arrives as a subject: `userId` is the user's identifier, the
//! other fixed fields are attributes of the request, and whatever else is named
//! is a property, stored or carried. Where a rollout goes by a field, its text
//! counts, as for constraints.

use super::{
    eval::Scene,
    form::{Attribute, Operand, PropertyPath, Root},
    spell,
};
use crate::evaluate::subject::SubjectView;

/// The field that is the time of the request where the request says none.
pub(super) const CURRENT_TIME: &str = "currentTime";

/// A field to be read as text.
#[derive(Debug)]
pub struct Field(Operand);

impl Field {
    /// The field of this name.
    pub fn named(name: &str) -> Self {
        Self(operand(name))
    }

    /// What a reader makes of its text; none where there is no text, or an
    /// empty one, which tells nobody from anybody else.
    pub fn read<T>(&self, view: &SubjectView<'_>, reader: impl FnOnce(&str) -> T) -> Option<T> {
        let scene = Scene {
            view: *view,
            now: 0,
            blocks: None,
        };
        let told = |text: &str| (!text.is_empty()).then(|| reader(text));
        spell::read(self.0.value(&scene), told).flatten()
    }
}

/// Where a field is found. Fixed fields are only what the request says: a
/// stored property that happens to be called like one does not count.
pub(super) fn operand(name: &str) -> Operand {
    match name {
        "userId" => Operand::Attribute(Root::User, Attribute::Identifier),
        "sessionId" | "environment" | "appName" | "remoteAddress" | CURRENT_TIME => {
            Operand::Carried(name.into())
        }
        other => Operand::Property(Root::User, PropertyPath::whole(other)),
    }
}

//! Which flags and segments does a document have?
//!
//! Two forms: everything at once, as Unleash answers `/api/client/features`,
//! or the events of its delta, which are applied in their order. What a single
//! flag says is not looked at here, so that a broken one does not keep the
//! others away.

use serde_json::Value;

use crate::{
    limits::{FLAGS_BYTES_MAX, FLAGS_MAX, SEGMENTS_MAX},
    snapshot::wire::{FlagEventPart, FlagsPart, PartKind},
};

/// Flags and segments as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagsDocument {
    features: Vec<Value>,
    segments: Vec<Value>,
}

/// Why there are no flags in some bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagsError {
    /// Nobody's flags.
    #[error("found {found} bytes of flags, expected at most {FLAGS_BYTES_MAX}")]
    Bytes {
        /// How many there are.
        found: usize,
    },
    /// Not JSON, or not of this form.
    #[error(
        "no document of flags: {0} (expected {{\"features\":[…],\"segments\":[…]}} as Unleash answers /api/client/features)"
    )]
    Form(String),
    /// Too many of something.
    #[error("found {found} {what}, expected at most {expected}")]
    TooMany {
        /// Flags or segments.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        expected: usize,
    },
}

impl FlagsDocument {
    /// Reads either form.
    pub fn read(bytes: &[u8]) -> Result<Self, FlagsError> {
        if bytes.len() > FLAGS_BYTES_MAX {
            return Err(FlagsError::Bytes { found: bytes.len() });
        }
        let part: FlagsPart =
            serde_json::from_slice(bytes).map_err(|error| FlagsError::Form(error.to_string()))?;
        let document = match (part.events, part.features) {
            (None, Some(features)) => Self {
                features,
                segments: part.segments,
            },
            (Some(events), None) => Self::of_events(events),
            (None, None) => return Err(FlagsError::Form("features are missing".to_owned())),
            (Some(_), Some(_)) => {
                let both = "features and events are given together";
                return Err(FlagsError::Form(both.to_owned()));
            }
        };
        within("flags", document.features.len(), FLAGS_MAX)?;
        within("segments", document.segments.len(), SEGMENTS_MAX)?;
        Ok(document)
    }

    /// Of flags by name and segments by number, as parts have them.
    pub(crate) fn of_parts(features: Vec<Value>, segments: Vec<Value>) -> Self {
        Self { features, segments }
    }

    pub(in crate::snapshot) fn features(&self) -> &[Value] {
        &self.features
    }

    pub(in crate::snapshot) fn segments(&self) -> &[Value] {
        &self.segments
    }

    /// Each flag and segment as a part: kind, id, and what it says. What has no
    /// name is none.
    pub fn parts(&self) -> impl Iterator<Item = (PartKind, String, &Value)> {
        let features = self.features.iter().filter_map(|flag| {
            let name = flag.get("name")?.as_str()?;
            Some((PartKind::Flag, name.to_owned(), flag))
        });
        let segments = self.segments.iter().filter_map(|segment| {
            let id = segment.get("id")?.as_i64()?;
            Some((PartKind::Segment, id.to_string(), segment))
        });
        features.chain(segments)
    }

    /// What the events come to.
    fn of_events(events: Vec<FlagEventPart>) -> Self {
        let mut document = Self::default();
        for event in events {
            document.apply(event);
        }
        document
    }

    fn apply(&mut self, event: FlagEventPart) {
        match event {
            FlagEventPart::Hydration { features, segments } => {
                *self = Self { features, segments };
            }
            FlagEventPart::FeatureUpdated { feature } => {
                replace(&mut self.features, "name", feature);
            }
            FlagEventPart::FeatureRemoved { feature_name } => {
                let gone = Value::from(feature_name);
                self.features.retain(|own| own.get("name") != Some(&gone));
            }
            FlagEventPart::SegmentUpdated { segment } => {
                replace(&mut self.segments, "id", segment);
            }
            FlagEventPart::SegmentRemoved { segment_id } => {
                let gone = Value::from(segment_id);
                self.segments.retain(|own| own.get("id") != Some(&gone));
            }
        }
    }
}

/// Puts a value into the place of the one with the same `member`, or behind all.
fn replace(list: &mut Vec<Value>, member: &str, value: Value) {
    let mut places = list.iter_mut();
    match places.find(|own| own.get(member) == value.get(member)) {
        Some(place) => *place = value,
        None => list.push(value),
    }
}

fn within(what: &'static str, found: usize, expected: usize) -> Result<(), FlagsError> {
    if found > expected {
        return Err(FlagsError::TooMany {
            what,
            found,
            expected,
        });
    }
    Ok(())
}

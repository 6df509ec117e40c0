//! What does a flag say to clients that know no segments?
//!
//! The same with the constraints of its segments among its own. Segments may be
//! large and shared by many flags, so they are not written into each: what is
//! kept is the flag in pieces, between which constraints of segments belong. A
//! strategy that refers to a segment which is not there never holds, and has to
//! say so by a constraint.

use serde_json::{Map, Value};

use super::Flags;

/// Nothing is in an empty list.
const NEVER: &[u8] = br#"{"contextName":"appName","inverted":false,"operator":"IN","values":[]}"#;

/// A flag with places for its segments.
#[derive(Debug)]
pub(super) struct Inlined(Box<[Piece]>);

#[derive(Debug)]
enum Piece {
    /// Bytes of the flag.
    Own(Box<[u8]>),
    /// The constraints of the segment at this place, without brackets.
    Segment(usize),
}

/// Pieces on their way.
#[derive(Default)]
struct Pieces {
    done: Vec<Piece>,
    own: Vec<u8>,
}

impl Inlined {
    /// Of a flag as its document has it; none where no strategy refers to a
    /// segment. `place` finds a segment and says whether it has constraints.
    pub(super) fn of(flag: &Value, place: impl Fn(i64) -> Option<(usize, bool)>) -> Option<Self> {
        let Value::Object(members) = flag else {
            return None;
        };
        let strategies = members.get("strategies")?.as_array()?;
        if strategies.iter().all(|own| segments_of(own).is_empty()) {
            return None;
        }
        let mut pieces = Pieces::default();
        pieces.object(members, |pieces, name, value| match name {
            "strategies" => pieces.list(strategies, |pieces, own| pieces.strategy(own, &place)),
            _ => pieces.value(value),
        });
        Some(Self(pieces.end()))
    }

    /// How long it is with its segments.
    pub(super) fn bytes(&self, flags: &Flags) -> usize {
        let pieces = self.0.iter();
        pieces.map(|piece| piece.of(flags).len()).sum()
    }

    /// Appends it.
    pub(super) fn write(&self, out: &mut Vec<u8>, flags: &Flags) {
        for piece in &self.0 {
            out.extend_from_slice(piece.of(flags));
        }
    }
}

impl Piece {
    fn of<'p>(&'p self, flags: &'p Flags) -> &'p [u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Segment(place) => {
                let segment = flags.segments.get(*place);
                segment.map_or(&[], |own| &own.constraints)
            }
        }
    }
}

impl Pieces {
    fn value(&mut self, value: &Value) {
        self.own.extend_from_slice(value.to_string().as_bytes());
    }

    fn object<'v>(
        &mut self,
        members: impl IntoIterator<Item = (&'v String, &'v Value)>,
        mut write: impl FnMut(&mut Self, &str, &Value),
    ) {
        let mut separator = b'{';
        for (name, value) in members {
            self.own.push(separator);
            separator = b',';
            self.value(&Value::from(name.as_str()));
            self.own.push(b':');
            write(self, name, value);
        }
        if separator == b'{' {
            self.own.push(b'{');
        }
        self.own.push(b'}');
    }

    fn list(&mut self, values: &[Value], mut write: impl FnMut(&mut Self, &Value)) {
        self.own.push(b'[');
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.own.push(b',');
            }
            write(self, value);
        }
        self.own.push(b']');
    }

    fn strategy(&mut self, value: &Value, place: &impl Fn(i64) -> Option<(usize, bool)>) {
        let Value::Object(members) = value else {
            return self.value(value);
        };
        let segments = segments_of(value);
        if segments.is_empty() {
            return self.value(value);
        }
        let mut members: Map<String, Value> = members.clone();
        members.remove("segments");
        // Where there are none yet, those of the segments go here all the same.
        let own = members.entry("constraints").or_insert(Value::Null).take();
        self.object(&members, |pieces, name, value| match name {
            "constraints" => pieces.constraints(&own, segments, place),
            _ => pieces.value(value),
        });
    }

    fn constraints(
        &mut self,
        own: &Value,
        segments: &[Value],
        place: &impl Fn(i64) -> Option<(usize, bool)>,
    ) {
        let own = own.as_array().map_or(&[][..], Vec::as_slice);
        self.own.push(b'[');
        let mut is_first = true;
        let mut separate = |pieces: &mut Self| {
            if !std::mem::take(&mut is_first) {
                pieces.own.push(b',');
            }
        };
        for constraint in own {
            separate(self);
            self.value(constraint);
        }
        for segment in segments {
            match segment.as_i64().and_then(place) {
                None => {
                    separate(self);
                    self.own.extend_from_slice(NEVER);
                }
                Some((_, false)) => {}
                Some((at, true)) => {
                    separate(self);
                    self.seal();
                    self.done.push(Piece::Segment(at));
                }
            }
        }
        self.own.push(b']');
    }

    fn seal(&mut self) {
        let own = std::mem::take(&mut self.own);
        self.done.push(Piece::Own(own.into()));
    }

    fn end(mut self) -> Box<[Piece]> {
        self.seal();
        self.done.into()
    }
}

fn segments_of(strategy: &Value) -> &[Value] {
    let segments = strategy.get("segments").and_then(Value::as_array);
    segments.map_or(&[], Vec::as_slice)
}

//! Does this JSON say one thing only?
//!
//! JSON with a repeated member means different things to different readers:
//! one takes the first, one the last. What is signed must not be ambiguous, so
//! every signed document and part goes through [`parse`], which refuses a
//! repeated member at any depth, and nesting above a limit, before the typed
//! reader sees a byte.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fmt::{self, Display},
};

use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use crate::limits::DOCUMENT_DEPTH_MAX;

/// Why some bytes are not the JSON document they should be: what the reader
/// met, with line and column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Reads a document whose bytes are already within their length cap.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    check(bytes)?;
    // The typed reader refuses what follows the document.
    serde_json::from_slice(bytes).map_err(|error| JsonError(error.to_string()))
}

/// Whether a document would be read as far as its form goes: a publisher asks
/// before it signs.
pub fn check(bytes: &[u8]) -> Result<(), JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Distinct { depth: 0 }
        .deserialize(&mut reader)
        .map_err(|error| JsonError(error.to_string()))
}

/// Walks one value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Distinct {
    /// Containers around this value.
    depth: usize,
}

impl Distinct {
    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth >= DOCUMENT_DEPTH_MAX {
            return Err(E::custom(format_args!(
                "nested more than {DOCUMENT_DEPTH_MAX} levels deep"
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Distinct {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while items.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        // A tree and no hash table: its worst case does not depend on who
        // chose the names.
        let mut seen = BTreeSet::new();
        while let Some(name) = members.next_key_seed(Name)? {
            if seen.contains(&name) {
                return Err(repeated(&name));
            }
            seen.insert(name);
            members.next_value_seed(inside)?;
        }
        Ok(())
    }
}

fn repeated<E: Error>(name: impl Display) -> E {
    E::custom(format_args!(
        "member \"{name}\" occurs more than once, expected once"
    ))
}

/// A member's name, after escapes are resolved: `"a"` repeats `"\u0061"`.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Cow<'de, str>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn refusal(text: &str) -> String {
        parse::<Value>(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_member_repeated_at_any_depth_is_refused() {
        assert!(refusal(r#"{"a":1,"a":1}"#).contains("\"a\" occurs more than once"));
        assert!(refusal(r#"{"x":[0,{"b":{"c":1,"d":2,"c":3}}]}"#).contains("\"c\""));
    }

    #[test]
    fn a_repetition_hidden_behind_an_escape_is_refused() {
        assert!(refusal(r#"{"ab":1,"\u0061b":2}"#).contains("\"ab\""));
    }

    #[test]
    fn the_same_name_in_different_objects_is_no_repetition() {
        assert!(parse::<Value>(br#"{"a":{"a":[{"a":1},{"a":2}]}}"#).is_ok());
    }

    #[test]
    fn nesting_is_bounded_exactly() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse::<Value>(nested(DOCUMENT_DEPTH_MAX).as_bytes()).is_ok());
        assert!(refusal(&nested(DOCUMENT_DEPTH_MAX + 1)).contains("levels deep"));
    }

    #[test]
    fn text_after_the_document_is_refused() {
        assert!(refusal("{} {}").contains("trailing"));
        assert!(parse::<Value>(b"{}\n").is_ok());
    }
}

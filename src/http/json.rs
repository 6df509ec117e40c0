//! Is this JSON small enough to look at, and does it say what it must?
//!
//! A pre-scan over the bytes bounds nesting, array lengths and string lengths
//! before anything is built from them; then serde parses into a typed value,
//! which refuses duplicate members. What the scan lets pass may still be no
//! JSON at all: judging that is serde's work. An object is an object: the
//! arrays that serde takes for structs as well are refused.

use std::{fmt, marker::PhantomData};

use memchr::memchr2;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use crate::limits::{JSON_ARRAY_MAX, JSON_DEPTH_MAX, JSON_STRING_BYTES_MAX};

/// What a body may contain.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nesting of arrays and objects; at most [`JSON_DEPTH_MAX`].
    pub depth: usize,
    /// Elements of one array.
    pub array: usize,
    /// Bytes of one string or member name as written, escapes included.
    pub string: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: JSON_DEPTH_MAX,
            array: JSON_ARRAY_MAX,
            string: JSON_STRING_BYTES_MAX,
        }
    }
}

/// Why a body is refused.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Nested too deeply.
    #[error("nested deeper than {0} levels")]
    Depth(usize),
    /// An array with too many elements.
    #[error("an array with more than {0} elements")]
    Array(usize),
    /// A string that is too long.
    #[error("a string longer than {0} bytes")]
    String(usize),
    /// No JSON, or not the members that are expected.
    #[error("{0}")]
    Shape(serde_json::Error),
}

/// Parses a whole body, which is one object.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], limits: Limits) -> Result<T, JsonError> {
    scan(bytes, limits)?;
    let body: Result<Object<T>, _> = serde_json::from_slice(bytes);
    body.map(|Object(body)| body).map_err(JsonError::Shape)
}

/// Takes a whole body apart that is a list. Its items are not looked at: each is
/// a body of its own, to be parsed within limits.
pub fn list(bytes: &[u8]) -> Result<Vec<&RawValue>, JsonError> {
    serde_json::from_slice(bytes).map_err(JsonError::Shape)
}

/// A struct written as an object, by the names of its members. Derived code
/// also takes an array and reads members off by their order, which nobody has
/// promised and every new member would change.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

/// [`Object`] for `#[serde(deserialize_with)]`.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Seen<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Seen<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }
    deserializer.deserialize_map(Seen(PhantomData))
}

/// Checks the limits in one pass and without allocating.
fn scan(bytes: &[u8], limits: Limits) -> Result<(), JsonError> {
    // Commas seen at each level; an array of n elements has n - 1 of them.
    let mut commas = [0_usize; JSON_DEPTH_MAX + 1];
    let depth_max = limits.depth.min(JSON_DEPTH_MAX);
    let mut in_array = 0_u32;
    let mut depth = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let length = string_length(&bytes[at + 1..]);
                if length > limits.string {
                    return Err(JsonError::String(limits.string));
                }
                // Past the string and its closing quote.
                at += length + 1;
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return Err(JsonError::Depth(depth_max));
                }
                commas[depth] = 0;
                let bit = 1 << depth;
                in_array = (in_array & !bit) | (u32::from(byte == b'[') << depth);
            }
            // Closing more than was opened is no JSON; serde will say so.
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => {
                commas[depth] += 1;
                if in_array & (1 << depth) != 0 && commas[depth] >= limits.array {
                    return Err(JsonError::Array(limits.array));
                }
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Bytes up to the closing quote, or to the end where there is none.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    let next = |at| memchr2(b'"', b'\\', bytes.get(at..)?);
    while let Some(ahead) = next(at) {
        at += ahead;
        if bytes[at] == b'"' {
            return at;
        }
        // Past the backslash and what it stands before.
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const SMALL: Limits = Limits {
        depth: 3,
        array: 2,
        string: 5,
    };

    fn outcome(text: &str) -> String {
        match scan(text.as_bytes(), SMALL) {
            Ok(()) if serde_json::from_str::<Value>(text).is_ok() => "fits".to_owned(),
            Ok(()) => "shape".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn limits_hold_exactly_at_their_edge() {
        let cases = [
            (r#"{"a":[["x"],2]}"#, "fits"),
            (r#"{"a":[[[]]]}"#, "nested deeper than 3 levels"),
            ("[1,2]", "fits"),
            ("[1,2,3]", "an array with more than 2 elements"),
            (r#"{"a":1,"b":2,"c":3}"#, "fits"),
            (
                r#"[{"a":1,"b":2,"c":3},[1,2,3]]"#,
                "an array with more than 2 elements",
            ),
            (r#""12345""#, "fits"),
            (r#""123456""#, "a string longer than 5 bytes"),
            (r#"{"123456":1}"#, "a string longer than 5 bytes"),
            (r#"["[,\"",1]"#, "fits"),
            ("]]]]", "shape"),
            (r#"["a"#, "shape"),
            (r#"["\"#, "shape"),
            ("", "shape"),
        ];
        for (text, expected) in cases {
            assert_eq!(outcome(text), expected, "{text}");
        }
    }

    #[test]
    fn an_array_is_no_object() {
        #[derive(Debug, Deserialize)]
        struct Body {
            #[serde(deserialize_with = "object")]
            inner: Inner,
        }
        #[derive(Debug, Deserialize)]
        struct Inner {
            user: String,
        }
        let read = |text: &'static str| parse::<Body>(text.as_bytes(), Limits::default());
        let body = read(r#"{"inner":{"user":"a"}}"#).expect("objects");
        assert_eq!(body.inner.user, "a");
        for text in [r#"[{"user":"a"}]"#, r#"{"inner":["a"]}"#, "null", "\"a\""] {
            let error = read(text).expect_err("no object").to_string();
            assert!(error.contains("expected an object"), "{text}: {error}");
        }
    }

    #[test]
    fn duplicate_members_of_a_typed_body_are_refused() {
        #[derive(Debug, Deserialize)]
        struct Body {
            #[allow(dead_code, reason = "only its presence counts")]
            user: String,
        }
        let error = parse::<Body>(br#"{"user":"a","user":"b"}"#, Limits::default())
            .expect_err("one user is meant");
        assert!(
            error.to_string().contains("duplicate field `user`"),
            "{error}"
        );
    }
}

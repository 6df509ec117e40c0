//! Does this JSON say one thing only?
//!
//! JSON with a repeated member means different things to different readers:
//! one takes the first, one the last. What is signed must not be ambiguous, so
//! every signed document and part goes through [`parse`], which refuses a
//! repeated member at any depth, and nesting above a limit, before the typed
//! reader sees a byte. A cold start reads every part of a snapshot, so this
//! first look only finds containers and names; whether the rest is JSON at all
//! is for the typed reader to say.

use std::{borrow::Cow, collections::BTreeSet, fmt::Display};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::limits::DOCUMENT_DEPTH_MAX;

/// Why some bytes are not the JSON document they should be: what the reader
/// met, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

impl JsonError {
    fn of(error: impl Display) -> Self {
        Self(error.to_string())
    }
}

/// Reads a document whose bytes are already within their length cap.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    // Once for the whole document, and not for every string in it.
    let text = std::str::from_utf8(bytes).map_err(JsonError::of)?;
    distinct(text)?;
    // The typed reader refuses what follows the document.
    serde_json::from_str(text).map_err(JsonError::of)
}

/// Whether a document would be read as far as its form goes: a publisher asks
/// before it signs.
pub fn check(bytes: &[u8]) -> Result<(), JsonError> {
    parse::<Value>(bytes).map(drop)
}

/// Members up to which names are compared one by one; nearly every object has
/// fewer, and a tree for each would cost more than everything else here.
const FEW: usize = 16;

/// A container that is not closed yet.
enum Open<'t> {
    Array,
    Object {
        /// Where its first names stand among those of all open objects.
        own: usize,
        /// Its further names. A tree and no hash table: its worst case does
        /// not depend on who chose the names.
        many: BTreeSet<Cow<'t, str>>,
    },
}

/// Refuses repeated members and deep nesting. Exact for what is JSON; for
/// anything else it comes to some end, and the typed reader refuses it.
fn distinct(text: &str) -> Result<(), JsonError> {
    let bytes = text.as_bytes();
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    let mut name_follows = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' if open.len() >= DOCUMENT_DEPTH_MAX => {
                let levels = format_args!("nested more than {DOCUMENT_DEPTH_MAX} levels deep");
                return Err(JsonError(format!("{levels} at byte {at}")));
            }
            b'{' => {
                name_follows = true;
                open.push(Open::Object {
                    own: names.len(),
                    many: BTreeSet::new(),
                });
            }
            b'[' => {
                name_follows = false;
                open.push(Open::Array);
            }
            b'}' | b']' => {
                if let Some(Open::Object { own, .. }) = open.pop() {
                    names.truncate(own);
                }
            }
            b',' => name_follows = matches!(open.last(), Some(Open::Object { .. })),
            b'"' => {
                let begin = at + 1;
                at = string_end(bytes, begin);
                if let (true, Some(Open::Object { own, many })) = (name_follows, open.last_mut()) {
                    let name = name(text, begin, at)?;
                    let few = &names[*own..];
                    if few.contains(&name) || many.contains(&name) {
                        return Err(JsonError(format!(
                            "member \"{name}\" occurs more than once, expected once at byte {at}"
                        )));
                    }
                    if few.len() < FEW {
                        names.push(name);
                    } else {
                        many.insert(name);
                    }
                }
                name_follows = false;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Where the string that begins here has its closing quote; the end of the
/// text when it has none.
fn string_end(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin;
    while let Some(rest) = bytes.get(at..) {
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            None => break,
            Some(more) if rest[more] == b'"' => return at + more,
            // Whatever is escaped, it does not end the string.
            Some(more) => at += more + 2,
        }
    }
    bytes.len()
}

/// A member's name, after escapes are resolved: `"a"` repeats `"\u0061"`.
fn name(text: &str, begin: usize, end: usize) -> Result<Cow<'_, str>, JsonError> {
    let raw = text.get(begin..end).unwrap_or_default();
    if !raw.contains('\\') {
        return Ok(Cow::Borrowed(raw));
    }
    let quoted = text.get(begin - 1..=end).unwrap_or_default();
    let name: String = serde_json::from_str(quoted).map_err(JsonError::of)?;
    Ok(Cow::Owned(name))
}

#[cfg(test)]
mod tests {
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
    fn a_member_repeated_among_many_is_refused() {
        let members = |last: usize| {
            let named = (0..40)
                .chain([last])
                .map(|at| format!("\"m{at}\":{{\"m1\":0}}"));
            format!("{{{}}}", named.collect::<Vec<_>>().join(","))
        };
        assert!(parse::<Value>(members(40).as_bytes()).is_ok());
        assert!(refusal(&members(3)).contains("\"m3\""));
        assert!(refusal(&members(30)).contains("\"m30\""));
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
    fn what_stands_in_strings_is_no_structure() {
        assert!(parse::<Value>(br#"{"a":"{\"a\":[{,","b":["\\",{"a":"}"}],"c":"\\\""}"#).is_ok());
        assert!(refusal(r#"{"a":"}\"","b":{"x":"\\"},"a":"\\"}"#).contains("\"a\""));
    }

    #[test]
    fn what_is_not_json_is_refused_wherever_it_ends() {
        let whole = r#"{"a":["b\u0062",{"c":1.5e3}],"d":null}"#;
        assert!(check(whole.as_bytes()).is_ok());
        for length in 0..whole.len() {
            let text = &whole.as_bytes()[..length];
            assert!(check(text).is_err(), "cut at {length}");
            assert!(parse::<Value>(text).is_err(), "cut at {length}");
        }
        for text in [
            "}",
            "]]",
            "{]",
            "[}",
            "{\"a\"}",
            "{,}",
            "\u{1}",
            "{\"\\x\":1}",
        ] {
            assert!(check(text.as_bytes()).is_err(), "{text}");
            refusal(text);
        }
        assert!(check(b"\"\xff\"").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(
            proptest::sample::select(br#"{}[]",:\u61ab 0"#.to_vec()), 0..40)) {
            let read = serde_json::from_slice::<Value>(&bytes);
            // What is refused as JSON is refused here; the rest may be ambiguous.
            proptest::prop_assert!(read.is_ok() || parse::<Value>(&bytes).is_err());
        }
    }

    #[test]
    fn text_after_the_document_is_refused() {
        assert!(refusal("{} {}").contains("trailing"));
        assert!(parse::<Value>(b"{}\n").is_ok());
    }
}

//! How are texts compared without copying them?
//!
//! A [`Text`] is borrowed and may be seen in lower case. Lower case is made
//! character by character on the way through, so that `lower()` never builds a
//! string; searching in it uses a rolling hash and stays linear. Texts as they
//! are compare by bytes: in UTF-8 no character begins inside another.

use std::{
    char::ToLowercase,
    cmp::Ordering,
    iter::{Copied, FlatMap},
    slice,
    str::Chars,
};

/// A borrowed text, as it is or in lower case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    raw: &'a str,
    lower: bool,
}

/// The characters of a [`Text`]; a clone of it marks a position.
#[derive(Clone)]
pub(super) enum Characters<'a> {
    /// As they are.
    Raw(Chars<'a>),
    /// Each in lower case, where all are ASCII.
    LowerAscii(Copied<slice::Iter<'a, u8>>),
    /// Each in lower case.
    Lower(FlatMap<Chars<'a>, ToLowercase, fn(char) -> ToLowercase>),
}

impl<'a> Text<'a> {
    /// A text as it is.
    pub(super) fn new(raw: &'a str) -> Self {
        Self { raw, lower: false }
    }

    /// The same text in lower case.
    pub(super) fn lowered(self) -> Self {
        Self {
            raw: self.raw,
            lower: true,
        }
    }

    /// The text, when it is not changed on the way.
    pub(super) fn as_written(self) -> Option<&'a str> {
        (!self.lower).then_some(self.raw)
    }

    /// Its characters.
    pub(super) fn characters(self) -> Characters<'a> {
        if !self.lower {
            Characters::Raw(self.raw.chars())
        } else if self.raw.is_ascii() {
            Characters::LowerAscii(self.raw.as_bytes().iter().copied())
        } else {
            Characters::Lower(self.raw.chars().flat_map(char::to_lowercase))
        }
    }

    /// Its length in code points.
    pub(super) fn length(self) -> usize {
        self.characters().count()
    }

    /// By code points.
    pub(super) fn order(self, other: Self) -> Ordering {
        if self.lower || other.lower {
            self.characters().cmp(other.characters())
        } else {
            // The order of UTF-8 bytes is the order of code points.
            self.raw.cmp(other.raw)
        }
    }

    /// The same code points.
    #[inline]
    pub(super) fn same(self, other: Self) -> bool {
        if self.lower || other.lower {
            self.characters().eq(other.characters())
        } else {
            self.raw == other.raw
        }
    }

    /// Whether it begins with the other.
    #[inline]
    pub(super) fn starts_with(self, other: Self) -> bool {
        if let (Some(own), Some(other)) = (self.as_written(), other.as_written()) {
            return own.starts_with(other);
        }
        let mut own = self.characters();
        other.characters().all(|c| own.next() == Some(c))
    }

    /// Whether it ends with the other.
    #[inline]
    pub(super) fn ends_with(self, other: Self) -> bool {
        if let (Some(own), Some(other)) = (self.as_written(), other.as_written()) {
            return own.ends_with(other);
        }
        let mut own = self.characters();
        other.characters().rev().all(|c| own.next_back() == Some(c))
    }

    /// Whether the other stands somewhere in it.
    pub(super) fn contains(self, other: Self) -> bool {
        self.characters().skip_past(&other.characters())
    }
}

impl Iterator for Characters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self {
            Self::Raw(characters) => characters.next(),
            Self::LowerAscii(bytes) => bytes.next().map(lower),
            Self::Lower(characters) => characters.next(),
        }
    }
}

impl DoubleEndedIterator for Characters<'_> {
    fn next_back(&mut self) -> Option<char> {
        match self {
            Self::Raw(characters) => characters.next_back(),
            Self::LowerAscii(bytes) => bytes.next_back().map(lower),
            Self::Lower(characters) => characters.next_back(),
        }
    }
}

fn lower(byte: u8) -> char {
    byte.to_ascii_lowercase().into()
}

impl Characters<'_> {
    /// Moves behind the first occurrence of `needle`, or says that there is none.
    pub(super) fn skip_past(&mut self, needle: &Characters<'_>) -> bool {
        if let (Self::Raw(own), Characters::Raw(needle)) = (&mut *self, needle) {
            let (text, needle) = (own.as_str(), needle.as_str());
            return match text.find(needle) {
                Some(at) => {
                    *own = text[at + needle.len()..].chars();
                    true
                }
                None => false,
            };
        }
        self.skip_past_rolling(needle)
    }

    /// Rabin and Karp's search: one pass, and a comparison only where the
    /// hashes agree.
    fn skip_past_rolling(&mut self, needle: &Characters<'_>) -> bool {
        /// Odd, and larger than any code point.
        const BASE: u64 = 0x9E37_79B9_7F4A_7C15;
        let add = |hash: u64, c: char| hash.wrapping_mul(BASE).wrapping_add(u64::from(c));

        let length = needle.clone().count();
        let wanted = needle.clone().fold(0, add);
        let outgrown = (0..length).fold(1_u64, |power, _| power.wrapping_mul(BASE));
        let (mut head, mut tail) = (self.clone(), self.clone());
        let mut hash = 0;
        for _ in 0..length {
            let Some(entering) = head.next() else {
                return false;
            };
            hash = add(hash, entering);
        }
        loop {
            if hash == wanted && tail.clone().take(length).eq(needle.clone()) {
                *self = head;
                return true;
            }
            let (Some(entering), Some(leaving)) = (head.next(), tail.next()) else {
                return false;
            };
            hash = add(hash, entering).wrapping_sub(outgrown.wrapping_mul(u64::from(leaving)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Text;

    proptest! {
        #[test]
        fn lowered_texts_answer_like_lowered_strings(hay in "[aAbBéÉß]{0,12}", needle in "[aAbBéÉ]{0,3}") {
            let (low, text) = (hay.to_lowercase(), Text::new(&hay).lowered());
            let other = Text::new(&needle);
            prop_assert_eq!(text.contains(other), low.contains(&needle));
            prop_assert_eq!(text.starts_with(other), low.starts_with(&needle));
            prop_assert_eq!(text.ends_with(other), low.ends_with(&needle));
            prop_assert_eq!(text.same(other), low == needle);
            prop_assert_eq!(text.order(other), (*low).cmp(&*needle));
            prop_assert_eq!(Text::new(&hay).contains(other), hay.contains(&needle));
        }
    }
}

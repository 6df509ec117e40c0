//! Does a text match a LIKE pattern?
//!
//! `%` stands for any characters, `_` for one, `\` takes the next of `%`, `_`
//! and `\` as it is. The pattern is cut at its `%` when it is compiled: the
//! ends are anchored, and what stands between is searched from left to right,
//! each part once. That takes time linear in the text, where trying every
//! split would not.

use super::text::{Characters, Text};

/// Longest run with a `_` between two `%`: such a run is tried at every
/// position of the text, so its length is the factor on a linear search.
const WILD_RUN_MAX: usize = 64;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Like {
    prefix: Run,
    /// None when the pattern has no `%`: the prefix is the whole text then.
    rest: Option<Rest>,
}

/// What follows the first `%`.
#[derive(Debug)]
struct Rest {
    middle: Box<[Run]>,
    suffix: Run,
}

/// Characters between two `%`.
#[derive(Debug)]
enum Run {
    /// Without any `_`.
    Plain(Box<str>),
    /// None is any one character.
    Wild(Box<[Option<char>]>),
}

impl Like {
    /// Compiles a pattern, or says what is wrong with it.
    pub(super) fn compile(pattern: &str) -> Result<Self, &'static str> {
        let mut runs = cut(pattern)?;
        let prefix = Run::new(runs.remove(0));
        let Some(last) = runs.pop() else {
            return Ok(Self { prefix, rest: None });
        };
        runs.retain(|run| !run.is_empty());
        let middle: Box<[Run]> = runs.into_iter().map(Run::new).collect();
        let too_long = |run: &Run| matches!(run, Run::Wild(wild) if wild.len() > WILD_RUN_MAX);
        if middle.iter().any(too_long) {
            return Err("more than 64 characters with a _ between two %");
        }
        Ok(Self {
            prefix,
            rest: Some(Rest {
                middle,
                suffix: Run::new(last),
            }),
        })
    }

    /// Whether the whole text matches.
    pub(super) fn matches(&self, text: Text<'_>) -> bool {
        let mut left = text.characters();
        if !self.prefix.take_front(&mut left) {
            return false;
        }
        match &self.rest {
            None => left.next().is_none(),
            Some(rest) => {
                rest.suffix.take_back(&mut left)
                    && rest.middle.iter().all(|run| run.skip_past(&mut left))
            }
        }
    }
}

impl Run {
    fn new(characters: Vec<Option<char>>) -> Self {
        match characters.iter().copied().collect::<Option<String>>() {
            Some(plain) => Self::Plain(plain.into()),
            None => Self::Wild(characters.into()),
        }
    }

    fn take_front(&self, text: &mut Characters<'_>) -> bool {
        match self {
            Self::Plain(plain) => plain.chars().all(|c| text.next() == Some(c)),
            Self::Wild(wild) => wild.iter().all(|c| fits(*c, text.next())),
        }
    }

    fn take_back(&self, text: &mut Characters<'_>) -> bool {
        match self {
            Self::Plain(plain) => plain.chars().rev().all(|c| text.next_back() == Some(c)),
            Self::Wild(wild) => wild.iter().rev().all(|c| fits(*c, text.next_back())),
        }
    }

    fn skip_past(&self, text: &mut Characters<'_>) -> bool {
        match self {
            Self::Plain(plain) => text.skip_past(&Characters::Raw(plain.chars())),
            Self::Wild(_) => loop {
                let mut attempt = text.clone();
                if self.take_front(&mut attempt) {
                    *text = attempt;
                    return true;
                }
                if text.next().is_none() {
                    return false;
                }
            },
        }
    }
}

fn fits(wanted: Option<char>, found: Option<char>) -> bool {
    found.is_some() && (wanted.is_none() || wanted == found)
}

/// The runs between the `%`; one more than there are `%`.
fn cut(pattern: &str) -> Result<Vec<Vec<Option<char>>>, &'static str> {
    let mut runs = Vec::new();
    let mut run = Vec::new();
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        match c {
            '%' => runs.push(std::mem::take(&mut run)),
            '_' => run.push(None),
            '\\' => match characters.next() {
                Some(escaped @ ('%' | '_' | '\\')) => run.push(Some(escaped)),
                _ => return Err("a \\ that is not followed by %, _ or \\"),
            },
            other => run.push(Some(other)),
        }
    }
    runs.push(run);
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Like, Text, cut};

    /// The definition, tried exhaustively.
    fn matches_by_trying(pattern: &[Option<Option<char>>], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((None, rest)) => {
                (0..=text.len()).any(|skipped| matches_by_trying(rest, &text[skipped..]))
            }
            Some((Some(wanted), rest)) => text.split_first().is_some_and(|(found, tail)| {
                wanted.is_none_or(|c| c == *found) && matches_by_trying(rest, tail)
            }),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_what_their_definition_says(pattern in "[ab_%]{0,7}", text in "[abé]{0,8}") {
            let runs = cut(&pattern).unwrap();
            let mut parts = Vec::new();
            for (place, run) in runs.iter().enumerate() {
                if place > 0 {
                    parts.push(None);
                }
                parts.extend(run.iter().map(|c| Some(*c)));
            }
            let characters: Vec<char> = text.chars().collect();
            let like = Like::compile(&pattern).unwrap();
            prop_assert_eq!(like.matches(Text::new(&text)), matches_by_trying(&parts, &characters));
        }
    }

    #[test]
    fn a_lone_backslash_is_refused() {
        assert!(Like::compile("50\\").is_err());
        assert!(Like::compile("\\n").is_err());
        assert!(Like::compile("50\\%").unwrap().matches(Text::new("50%")));
    }

    #[test]
    fn a_long_wild_run_between_two_percent_signs_is_refused() {
        let run = format!("{}_", "a".repeat(64));
        assert!(Like::compile(&run).is_ok());
        assert!(Like::compile(&format!("%{run}%")).is_err());
    }
}

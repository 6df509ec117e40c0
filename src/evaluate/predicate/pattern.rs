//! Does this text match that regular expression?
//!
//! The dialect of RE2: no look-around, no back-references, and so linear time
//! whatever pattern and text are. Compiled once, within a size; matching is a
//! search anywhere in the text. Each thread that matches keeps room for it,
//! within a limit of its own; nobody waits for another's.

use regex::{Regex, RegexBuilder};

use crate::limits::{
    REGEX_BYTES_MAX, REGEX_CACHE_BYTES_MAX, REGEX_COMPILED_BYTES_MAX, REGEX_DEPTH_MAX,
};

/// A compiled regular expression.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Compiles one, or says what is wrong with it.
    pub(super) fn compile(source: &str, ignore_case: bool) -> Result<Self, String> {
        if source.len() > REGEX_BYTES_MAX {
            return Err(format!(
                "found a regular expression of {} bytes, expected at most {REGEX_BYTES_MAX}",
                source.len()
            ));
        }
        let compiled = RegexBuilder::new(source)
            .case_insensitive(ignore_case)
            .nest_limit(REGEX_DEPTH_MAX)
            .size_limit(REGEX_COMPILED_BYTES_MAX)
            .dfa_size_limit(REGEX_CACHE_BYTES_MAX)
            .build();
        compiled.map(Self).map_err(|error| {
            // The library draws the place over several lines.
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim();
            let why = why.strip_prefix("error: ").unwrap_or(why);
            format!("found the regular expression {source:?}, expected one of RE2's dialect: {why}")
        })
    }

    /// Whether it matches somewhere.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn what_backtracks_or_explodes_elsewhere_is_refused_or_linear() {
        let long = "a".repeat(4_000);
        for catastrophic in ["(a*)*b", "(a|a)*$b", "(a+)+$b", "(.*)*(.*)*(.*)*x"] {
            let pattern = Pattern::compile(catastrophic, false).unwrap();
            assert!(!pattern.matches(&long), "{catastrophic}");
        }
        for huge in [
            "((a{1000}){1000}){1000}".to_owned(),
            "(".repeat(200) + &")".repeat(200),
            "a".repeat(5_000),
            "(?=a)b".to_owned(),
            "(a)\\1".to_owned(),
        ] {
            let why = Pattern::compile(&huge, false).unwrap_err();
            assert!(
                why.starts_with("found ") && why.contains("expected "),
                "{why}"
            );
            assert!(!why.contains('\n'), "{why}");
        }
    }
}

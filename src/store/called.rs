//! What may people call something?
//!
//! The one rule for names that are for people, wherever they come from: of
//! projects, flows, deployments and their alternatives, segments, keys and
//! authors. They stand in listings, so an empty one leaves a hole there and a
//! control character attacks its reader. Sids have a stricter rule.

use crate::limits;

/// Whether a text is a name for people.
pub(super) fn is_name_for_people(text: &str) -> bool {
    (1..=limits::SID_BYTES_MAX).contains(&text.len())
        && !is_blank(text)
        && !text.chars().any(char::is_control)
}

/// Whether a text says nothing.
pub(super) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// What is expected of a name, for whoever gave another one.
pub(super) fn expected_name() -> String {
    format!(
        "1 to {} bytes of printable text that is not blank",
        limits::SID_BYTES_MAX
    )
}

/// What is wrong with a name that somebody gives. One that is there already was
/// taken by an earlier release, and stays.
pub(super) fn name_fault(member: &str, given: &str, so_far: Option<&str>) -> Option<String> {
    if so_far == Some(given) || is_name_for_people(given) {
        return None;
    }
    Some(format!(
        "{member} is {given:?} (expected {})",
        expected_name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_by_people() {
        let longest = "x".repeat(limits::SID_BYTES_MAX);
        for name in [
            "a",
            "Feature announcement",
            "Ünïcode ✓",
            " spaced ",
            &longest,
        ] {
            assert!(is_name_for_people(name), "{name:?}");
        }
        let longer = "x".repeat(limits::SID_BYTES_MAX + 1);
        for name in ["", " ", "\t", "\u{a0}", "a\nb", "\u{1b}[31m", &longer] {
            assert!(!is_name_for_people(name), "{name:?}");
        }
    }
}

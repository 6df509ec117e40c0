//! What of a version can never change once it is committed?
//!
//! Written down as lines: two versions have one structure exactly when their
//! lines are equal, and where they are not the lines are the explanation.
//! Values of fields, expressions and the entry condition are content and do
//! not appear.

use std::collections::HashMap;

use crate::snapshot::wire::{Migration, VersionPart};

/// Lines of a difference that are shown.
const SHOWN_LINES_MAX: usize = 20;

/// Above this many pairs of differing lines the exact difference is not looked
/// for: nobody would read it, and it takes time.
const PAIRS_MAX: usize = 1_000_000;

/// The structure of a version.
pub(super) fn lines(part: &VersionPart) -> Vec<String> {
    let sids: HashMap<&str, &str> = part
        .blocks
        .iter()
        .map(|block| (block.uid.as_str(), block.sid.as_str()))
        .collect();
    let sid = |uid: &str| sids.get(uid).copied().unwrap_or("?").to_owned();
    let mut lines = Vec::with_capacity(part.blocks.len() * 3 + part.paths.len());
    let migration = part.migration.unwrap_or(Migration::RestartInProgress);
    lines.push(format!("migration {}", word(&migration)));
    for block in &part.blocks {
        let place = block
            .container
            .as_ref()
            .map_or_else(String::new, |uid| format!(" in {}", sid(uid)));
        lines.push(format!(
            "block {} {}{place} (uid {})",
            block.sid,
            word(&block.kind),
            block.uid
        ));
        if !block.transitions.is_empty() {
            lines.push(format!("  transitions {}", block.transitions.join(", ")));
        }
        if let Some(trigger) = &block.trigger {
            let version = trigger
                .version
                .map_or("latest".to_owned(), |version| version.to_string());
            lines.push(format!(
                "  trigger {} {} at {version}",
                word(&trigger.action),
                trigger.flow_sid
            ));
        }
        for field in &block.fields {
            lines.push(format!("  field {} {}", field.sid, word(&field.kind)));
        }
    }
    for path in &part.paths {
        let from = path
            .from
            .as_ref()
            .map_or("entry".to_owned(), |uid| sid(uid));
        lines.push(format!(
            "path {from} [{}] -> {} (uid {})",
            path.on.join(", "),
            sid(&path.to),
            path.uid
        ));
    }
    lines
}

/// As it stands in files.
pub(in crate::store) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// The differing lines, those of the store with `-`, those of the file with `+`.
pub(super) fn difference(stored: &[String], given: &[String]) -> String {
    let same = |pair: &(&String, &String)| pair.0 == pair.1;
    let head = stored.iter().zip(given).take_while(same).count();
    let (stored, given) = (&stored[head..], &given[head..]);
    let tail = stored
        .iter()
        .rev()
        .zip(given.iter().rev())
        .take_while(same)
        .count();
    let stored = &stored[..stored.len() - tail];
    let given = &given[..given.len() - tail];
    let marked = if stored.len().saturating_mul(given.len()) > PAIRS_MAX {
        let gone = stored.iter().map(|line| format!("- {line}"));
        gone.chain(given.iter().map(|line| format!("+ {line}")))
            .collect()
    } else {
        marked(stored, given)
    };
    let mut text = marked[..marked.len().min(SHOWN_LINES_MAX)].join("\n");
    if marked.len() > SHOWN_LINES_MAX {
        let more = marked.len() - SHOWN_LINES_MAX;
        text.push_str(&format!("\n… and {more} more lines"));
    }
    text
}

/// The longest common subsequence by the textbook table; what is not in it is
/// marked.
fn marked(stored: &[String], given: &[String]) -> Vec<String> {
    let width = given.len() + 1;
    let mut common = vec![0_u32; (stored.len() + 1) * width];
    for (i, old) in stored.iter().enumerate().rev() {
        for (j, new) in given.iter().enumerate().rev() {
            common[i * width + j] = if old == new {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut marked = Vec::new();
    while i < stored.len() || j < given.len() {
        let both = i < stored.len() && j < given.len();
        if both && stored[i] == given[j] {
            i += 1;
            j += 1;
        } else if i < stored.len()
            && (j == given.len() || common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            marked.push(format!("- {}", stored[i]));
            i += 1;
        } else {
            marked.push(format!("+ {}", given[j]));
            j += 1;
        }
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_difference_shows_only_what_differs() {
        let stored = owned(&["a", "b", "c", "d", "e"]);
        let given = owned(&["a", "c", "x", "d", "e"]);
        assert_eq!(difference(&stored, &given), "- b\n+ x");
    }

    #[test]
    fn added_and_removed_ends_are_shown() {
        assert_eq!(difference(&owned(&["a"]), &owned(&["a", "b"])), "+ b");
        assert_eq!(difference(&owned(&["a", "b"]), &owned(&["a"])), "- b");
        assert_eq!(difference(&owned(&["a"]), &owned(&["b"])), "- a\n+ b");
    }

    #[test]
    fn a_long_difference_is_cut_and_says_so() {
        let given: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        let text = difference(&[], &given);
        assert_eq!(text.lines().count(), SHOWN_LINES_MAX + 1);
        assert!(text.ends_with("and 30 more lines"), "{text}");
    }
}

//! What does a source file say, once comments, texts and tests are left out?
//!
//! A small reader of Rust: enough of the lexer to blank comments, string
//! literals and `#[cfg(test)]` items without moving a line, and enough of the
//! grammar to spell out `use` trees. It does not resolve names; rules name
//! paths as they are imported.

use std::path::{Path, PathBuf};

/// One file of the program.
pub(super) struct Source {
    /// Relative to `src`, with forward slashes.
    pub(super) path: String,
    /// As it is.
    pub(super) text: String,
    /// Without comments, texts and test items; lines stay where they are.
    pub(super) code: String,
    /// A file that is only compiled for tests.
    pub(super) test_only: bool,
    /// Whether a `mod` line leads to it from `lib.rs` or `main.rs`.
    pub(super) reached: bool,
}

/// A word or a path in the code, with its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) line: usize,
    /// Segments of a path; a single one for a plain word.
    pub(super) path: Vec<String>,
}

impl Source {
    /// A file with this text.
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: without_tests(&blank(text)),
            test_only: false,
            reached: false,
        }
    }

    /// Every word and path of the code, `use` trees spelt out.
    pub(super) fn mentions(&self) -> Vec<Mention> {
        let tokens = tokens(&self.code);
        let mut mentions = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            // `+ use<'a>` says what a type captures and imports nothing.
            let captures = tokens.get(at + 1).is_some_and(|next| next.1 == "<");
            if tokens[at].1 == "use" && !captures {
                at = use_tree(&tokens, at + 1, &[], &mut mentions);
            } else if is_word(&tokens[at].1) {
                at = inline_path(&tokens, at, &mut mentions);
            } else {
                at += 1;
            }
        }
        mentions
    }
}

/// All files below `src`, with what the module tree says about them.
pub(super) fn read_all() -> Vec<Source> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of src") {
            let path = entry.expect("an entry of src").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(file(&root, &path));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for start in ["lib.rs", "main.rs"] {
        follow(&mut files, start, false);
    }
    files
}

fn file(root: &Path, path: &Path) -> Source {
    let relative = path.strip_prefix(root).expect("a path below src");
    let name = relative.to_string_lossy().replace('\\', "/");
    Source::new(
        &name,
        &std::fs::read_to_string(path).expect("a source file"),
    )
}

/// Marks a file and everything its `mod` lines lead to.
fn follow(files: &mut [Source], path: &str, test_only: bool) {
    let Some(found) = files.iter_mut().find(|file| file.path == path) else {
        return;
    };
    found.reached = true;
    found.test_only = test_only;
    let folder = match path.rsplit_once('/') {
        Some((folder, "mod.rs")) => format!("{folder}/"),
        Some((folder, name)) => format!("{folder}/{}/", name.trim_end_matches(".rs")),
        None => String::new(),
    };
    let all = modules(&blank(&found.text));
    let built = modules(&found.code);
    for name in all {
        let for_tests = test_only || !built.contains(&name);
        for path in [
            format!("{folder}{name}.rs"),
            format!("{folder}{name}/mod.rs"),
        ] {
            follow(files, &path, for_tests);
        }
    }
}

/// Names of modules kept in files of their own.
fn modules(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let names = tokens
        .windows(3)
        .filter(|three| three[0].1 == "mod" && is_word(&three[1].1) && three[2].1 == ";");
    names.map(|three| three[1].1.clone()).collect()
}

/// Replaces comments, texts, characters and lifetimes by spaces.
fn blank(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out: Vec<char> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped(&bytes, at);
        if end == at {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        for c in &bytes[at..end] {
            out.push(if *c == '\n' { '\n' } else { ' ' });
        }
        at = end;
    }
    out.into_iter().collect()
}

/// Where the comment, text, character or lifetime that starts here ends; the
/// same place when none starts.
fn skipped(text: &[char], at: usize) -> usize {
    let next = text.get(at + 1).copied().unwrap_or(' ');
    let word_before = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    match text[at] {
        '/' if next == '/' => position(text, at, |t| t[0] == '\n'),
        '/' if next == '*' => block_comment(text, at),
        '"' => quoted(text, at, '"'),
        'r' if !word_before && (next == '"' || next == '#') => raw(text, at),
        'b' if !word_before && next == 'r' => raw(text, at + 1).max(at),
        '\'' => {
            let escaped = next == '\\';
            let closes = text.get(at + 2) == Some(&'\'');
            if escaped || closes {
                quoted(text, at, '\'')
            } else {
                let word = |c: &char| c.is_alphanumeric() || *c == '_';
                at + 1 + text[at + 1..].iter().take_while(|c| word(c)).count()
            }
        }
        _ => at,
    }
}

fn position(text: &[char], from: usize, found: impl Fn(&[char]) -> bool) -> usize {
    (from..text.len())
        .find(|at| found(&text[*at..]))
        .unwrap_or(text.len())
}

fn block_comment(text: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut at = at;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => depth += 1,
            ('*', Some('/')) => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(text: &[char], at: usize, quote: char) -> usize {
    let mut at = at + 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn raw(text: &[char], at: usize) -> usize {
    let hashes = text[at + 1..].iter().take_while(|c| **c == '#').count();
    if text.get(at + 1 + hashes) != Some(&'"') {
        // A raw identifier such as `r#type`.
        return at;
    }
    let ends =
        |t: &[char]| t[0] == '"' && t.len() > hashes && t[1..=hashes].iter().all(|c| *c == '#');
    let end = position(text, at + 2 + hashes, ends);
    (end + 1 + hashes).min(text.len())
}

/// Blanks every item that is only built for tests.
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut out = String::with_capacity(code.len());
    // What fuzzing needs is built for tests as well, and for no program.
    const MARKS: [&str; 2] = ["#[cfg(test)]", "#[cfg(any(test, fuzzing))]"];
    while let Some(start) = MARKS.iter().filter_map(|mark| rest.find(mark)).min() {
        out.push_str(&rest[..start]);
        let end = start + item_length(&rest[start..]);
        out.extend(
            rest[start..end]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' }),
        );
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Length of an item: to its `;`, or to the brace that closes its first one.
fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    item.len()
}

/// Words, `::` and single marks, with their lines.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            let mut token = c.to_string();
            if c.is_alphanumeric() || c == '_' {
                while let Some(more) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    token.push(more);
                }
            } else if c == ':' && chars.peek() == Some(&':') {
                chars.next();
                token.push(':');
            } else if c.is_whitespace() {
                continue;
            }
            tokens.push((index + 1, token));
        }
    }
    tokens
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Notes a path such as `std::fs::read` and gives the place behind it.
fn inline_path(tokens: &[(usize, String)], start: usize, mentions: &mut Vec<Mention>) -> usize {
    let mut path = vec![tokens[start].1.clone()];
    let mut at = start + 1;
    while at + 1 < tokens.len() && tokens[at].1 == "::" && is_word(&tokens[at + 1].1) {
        path.push(tokens[at + 1].1.clone());
        at += 2;
    }
    mentions.push(Mention {
        line: tokens[start].0,
        path,
    });
    at
}

/// Notes every path of a `use` tree and gives the place behind it.
fn use_tree(
    tokens: &[(usize, String)],
    start: usize,
    prefix: &[String],
    mentions: &mut Vec<Mention>,
) -> usize {
    let mut path = prefix.to_vec();
    let mut at = start;
    while at < tokens.len() {
        let (line, token) = &tokens[at];
        match token.as_str() {
            "{" => {
                at += 1;
                while at < tokens.len() && !matches!(tokens[at].1.as_str(), "}" | ";") {
                    at = use_tree(tokens, at, &path, mentions);
                    at += usize::from(tokens.get(at).is_some_and(|t| t.1 == ","));
                }
                return at + 1;
            }
            "," | "}" | ";" => return at,
            "::" => at += 1,
            "as" => at += 2,
            word => {
                path.push(word.to_owned());
                at += 1;
                if tokens.get(at).is_none_or(|next| next.1 != "::") {
                    mentions.push(Mention {
                        line: *line,
                        path: path.clone(),
                    });
                }
            }
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(text: &str) -> Vec<String> {
        let source = Source::new("x.rs", text);
        let mentions = source.mentions();
        mentions
            .iter()
            .map(|m| format!("{}:{}", m.line, m.path.join("::")))
            .collect()
    }

    #[test]
    fn use_trees_are_spelt_out() {
        let text = "use std::{fs, io::{self, Read as R}};\nuse tokio::net::*;\n";
        assert_eq!(
            spelt(text),
            [
                "1:std::fs",
                "1:std::io::self",
                "1:std::io::Read",
                "2:tokio::net::*"
            ]
        );
    }

    #[test]
    fn what_a_type_captures_is_no_import() {
        let text = "fn a() -> impl Send + use<> { std::fs::read(x); b(); }\nuse tokio::net;\n";
        let found = spelt(text);
        assert!(found.contains(&"1:std::fs::read".to_owned()), "{found:?}");
        assert!(found.contains(&"2:tokio::net".to_owned()), "{found:?}");
    }

    #[test]
    fn comments_texts_lifetimes_and_tests_are_left_out() {
        let text = "// std::fs\nfn a<'tokio>(x: &'static str) { /* std::net /* deep */ */ \"hyper\"; r#\"reqwest\"#; '\\''; 'x'; }\n\
                    #[cfg(test)]\nmod tests { use tokio::net; fn b() { {} } }\nfn c() { std::env::var(\"}\") }\n";
        let found = spelt(text).join(" ");
        for word in ["tokio", "static", "std::net", "hyper", "reqwest", "tests"] {
            assert!(!found.contains(word), "{word} in {found}");
        }
        assert!(found.contains("5:std::env::var"), "{found}");
    }
}

//! How is a text edited by a person?
//!
//! In the editor of their choice, on a file in the folder they are in that only
//! they can read. What they wrote is kept until it was saved: nobody types a
//! thing twice because of one wrong letter.

use std::{
    io::{BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
    process::Command,
};

use super::{console::Console, failure::Failure};
use crate::{clock::Ambient, config::Variables};

/// What a draft begins with when there is nothing to begin with.
pub(super) const TEMPLATE: &str = "\
# A draft: whoever asks for the version uncommitted sees it where drafts are shown.
entry: everyone
blocks: []
paths: []
";

/// Members that say where a version comes from, which a draft does not have.
const HISTORY: [&str; 4] = ["number:", "message:", "author:", "created:"];

/// A version's text as a draft. History stands at its beginning, in lines of
/// their own; a long message goes on in lines that are indented.
pub(super) fn without_history(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut is_history = false;
    for line in text.lines() {
        let goes_on = line.starts_with([' ', '-']) || line.is_empty();
        is_history = match goes_on {
            true => is_history,
            false => HISTORY.iter().any(|member| line.starts_with(member)),
        };
        if !is_history {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The text after it was edited, and the file it stands in; none when nothing
/// was changed.
pub(super) fn edited(
    name: &str,
    before: &str,
    variables: &Variables,
) -> Result<Option<(String, PathBuf)>, Failure> {
    let editor = variables.editor().ok_or_else(|| {
        Failure::usage("no editor is known").mend("set EDITOR, or give the draft with --file")
    })?;
    let file = file_for(name, before)?;
    // As git does: an editor may be given with arguments of its own.
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(&file)
        .status()
        .map_err(|error| Failure::undone(format!("{editor} cannot be started")).because(&error))?;
    if !status.success() {
        return Err(Failure::undone(format!("{editor} ended with {status}"))
            .mend(format!("your text is in {}", file.display())));
    }
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::undone(format!("{} cannot be read as text", file.display())).because(&error)
    })?;
    if text == before {
        forget(&file);
        return Ok(None);
    }
    Ok(Some((text, file)))
}

fn file_for(name: &str, text: &str) -> Result<PathBuf, Failure> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let random = Ambient::system().hex::<4>();
    let file = PathBuf::from(format!("flowgate-{name}-{random}.yaml"));
    let made = new_private(&file).and_then(|mut made| made.write_all(text.as_bytes()));
    made.map_err(|error| {
        Failure::undone(format!("{} cannot be written", file.display())).because(&error)
    })?;
    Ok(file)
}

fn new_private(file: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(file)
}

/// Removes a text that was saved.
pub(super) fn forget(file: &Path) {
    // One that stays is in nobody's way.
    std::fs::remove_file(file).unwrap_or_default();
}

/// Asks whoever sits at the terminal; anything but yes is no.
pub(super) fn agreed(console: &mut Console, question: &str) -> Result<bool, Failure> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(
            Failure::usage("nobody can be asked: standard input is no terminal")
                .mend("say --yes to save without being asked"),
        );
    }
    console.print(&format!("{question} [y/N] "))?;
    let mut answer = String::new();
    input
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::undone("the answer cannot be read").because(&error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_becomes_a_draft_without_its_history() {
        let text = "number: 2\nmessage: |-\n  two\n\n  lines\nauthor: ada\ncreated: 2026-11-01T09:00:00Z\n\
                    migration: restart-all\nentry: everyone\nblocks:\n- sid: number:\n  type: card\n";
        assert_eq!(
            without_history(text),
            "migration: restart-all\nentry: everyone\nblocks:\n- sid: number:\n  type: card\n"
        );
        assert_eq!(without_history(TEMPLATE), TEMPLATE);
    }
}

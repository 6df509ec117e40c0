//! How do users come into a store as a file, and out of it again?
//!
//! A file of users has one JSON object a line, and may be larger than memory:
//! it is read, judged and sent a few hundred lines at a time. A line that
//! cannot be taken is told of by its number and left out; the others are taken.
//! Each call is one transaction, and the same line again changes nothing: an
//! import that was cut off is simply run again.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
};

use clap::Args;
use serde_json::{Value, json, value::RawValue};

use super::{
    admin::{Admin, Author, Change, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::{
    config::Variables,
    limits::{USER_LINE_BYTES_MAX, USER_LINES_BAD_MAX, USER_LINES_BYTES_MAX, USER_LINES_MAX},
    store::{ImportedUsers, Refused, Tally, UserLine},
};

/// Arguments of `flowgate user import`.
#[derive(Args, Debug)]
pub(super) struct ImportArguments {
    /// Lines of JSON, each a user or a group; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Into which environment.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    change: Change,
}

/// Arguments of `flowgate user export`.
#[derive(Args, Debug)]
pub(super) struct ExportArguments {
    /// Of which environment.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    target: Target,
}

/// After so many lines one is told how far it has come.
const TOLD_EVERY: u64 = 10_000;

/// `flowgate user import`.
pub(super) fn import(
    arguments: &ImportArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let author = arguments.change.author(variables)?;
    let name = arguments.file.display().to_string();
    let unreadable =
        |error: &io::Error| Failure::undone(format!("{name} cannot be read")).because(error);
    let source: Box<dyn Read> = match arguments.file.as_os_str() == "-" {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(&arguments.file).map_err(|error| unreadable(&error))?),
    };
    let mut lines = BufReader::new(source);
    let mut importing = Importing {
        arguments,
        author,
        console,
        number: 0,
        sent: 0,
        batch: Vec::new(),
        bytes: 0,
        done: ImportedUsers::default(),
        refused: Vec::new(),
    };
    while let Some(line) = next_line(&mut lines).map_err(|error| unreadable(&error))? {
        importing.line(line)?;
    }
    importing.send()?;
    importing.finish()
}

/// A line of the file.
enum Line {
    Whole(Vec<u8>),
    /// Skipped, because nothing so long can be meant.
    TooLong,
}

/// Reads up to the next end of a line; none at the end of the file.
fn next_line(source: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    // With room for the end of the line.
    let most = USER_LINE_BYTES_MAX as u64 + 2;
    let read = source.by_ref().take(most).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    let is_ended = line.last() == Some(&b'\n');
    if !is_ended && read as u64 == most {
        source.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong));
    }
    Ok(Some(Line::Whole(line)))
}

/// An import under way.
struct Importing<'a> {
    arguments: &'a ImportArguments,
    author: Author,
    console: &'a mut Console,
    /// Of the line read last, from 1.
    number: u64,
    /// Of the last line that is not waiting any more.
    sent: u64,
    /// Lines that wait, with their numbers.
    batch: Vec<(u64, Box<RawValue>)>,
    bytes: usize,
    done: ImportedUsers,
    /// Numbers of lines that were left out, and why.
    refused: Vec<(u64, String)>,
}

impl Importing<'_> {
    fn line(&mut self, line: Line) -> Result<(), Failure> {
        self.number += 1;
        let number = self.number;
        let line = match line {
            Line::Whole(line) => line,
            Line::TooLong => {
                let why = format!(
                    "found a line of more than {USER_LINE_BYTES_MAX} bytes, expected one user a line"
                );
                return self.refuse(number, why);
            }
        };
        let text = line.trim_ascii();
        // Some programs begin a file with a mark of its encoding.
        let text = match number {
            1 => text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
            _ => text,
        };
        if text.is_empty() {
            return Ok(());
        }
        if let Err(error) = UserLine::read(text) {
            return self.refuse(number, error.to_string());
        }
        if self.batch.len() == USER_LINES_MAX || self.bytes + text.len() > USER_LINES_BYTES_MAX {
            self.send()?;
        }
        let raw = serde_json::from_slice(text).map_err(|error| {
            Failure::undone(format!("line {number} cannot be sent")).because(&error)
        })?;
        self.bytes += text.len() + 1;
        self.batch.push((number, raw));
        Ok(())
    }

    fn refuse(&mut self, number: u64, why: String) -> Result<(), Failure> {
        self.console.complain(&format!("line {number}: {why}"));
        self.refused.push((number, why));
        if self.refused.len() < USER_LINES_BAD_MAX {
            return Ok(());
        }
        let taken = match (self.arguments.change.is_dry(), self.sent) {
            (true, _) => "nothing was written, it was a dry run".to_owned(),
            (false, 0) => "nothing was taken".to_owned(),
            (false, sent) => format!("the good ones up to line {sent} are taken"),
        };
        let words = format!(
            "{USER_LINES_BAD_MAX} lines cannot be taken; given up at line {number}; {taken}"
        );
        Err(Failure::undone(words).mend("mend the file and run the same command again"))
    }

    /// Sends what waits.
    fn send(&mut self) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let Some(&(last, _)) = batch.last() else {
            return Ok(());
        };
        let lines: Vec<&RawValue> = batch.iter().map(|(_, raw)| &**raw).collect();
        let body = json!({"lines": lines});
        let path = ["environments", &self.arguments.environment, "users"];
        let answer = self.author.post(&path, &body).inspect_err(|_| {
            let words = match (self.arguments.change.is_dry(), self.sent) {
                (true, _) => "stopped; nothing was written, it was a dry run".to_owned(),
                (false, 0) => "stopped; nothing was taken".to_owned(),
                (false, sent) => format!(
                    "stopped behind line {sent}; what came before is taken, and the same command \
                     can be run again"
                ),
            };
            self.console.complain(&words);
        })?;
        let answer: ImportedUsers = serde_json::from_value(answer).map_err(|error| {
            Failure::undone("the store's answer does not say what it took").because(&error)
        })?;
        add(&mut self.done.users, answer.users);
        add(&mut self.done.groups, answer.groups);
        if self.sent / TOLD_EVERY < last / TOLD_EVERY {
            self.console.complain(&format!("{last} lines so far"));
        }
        self.sent = last;
        for Refused { at, why } in answer.refused {
            let number = batch.get(at).map_or(last, |(number, _)| *number);
            self.refuse(number, why)?;
        }
        Ok(())
    }

    /// Says what was done.
    fn finish(mut self) -> Result<Outcome, Failure> {
        self.refused.sort();
        let ImportedUsers { users, groups, .. } = self.done;
        let is_dry = self.arguments.change.is_dry();
        if self.arguments.change.output == Output::Json {
            let refused = self.refused.iter();
            let refused: Vec<Value> = refused
                .map(|(line, why)| json!({"line": line, "why": why}))
                .collect();
            let answer = json!({"lines": self.number, "dryRun": is_dry, "users": users,
                "groups": groups, "refused": refused});
            table::json(self.console, &answer)?;
        } else {
            let rows = [("users", users), ("groups", groups)].map(|(what, tally)| {
                json!({"what": what, "created": tally.created, "changed": tally.changed,
                    "unchanged": tally.unchanged})
            });
            let columns = [
                ("what", "OF"),
                ("created", "NEW"),
                ("changed", "CHANGED"),
                ("unchanged", "AS THEY WERE"),
            ];
            table::print(self.console, Output::Table, &columns, &rows)?;
            let (lines, left_out) = (self.number, self.refused.len());
            let words = match is_dry {
                true => "would be imported; nothing was written",
                false => "imported",
            };
            self.console
                .line(&format!("{lines} lines, {left_out} left out; {words}"))?;
        }
        Ok(match self.refused.is_empty() {
            true => Outcome::Done,
            false => Outcome::NotSo,
        })
    }
}

fn add(sum: &mut Tally, more: Tally) {
    sum.created += more.created;
    sum.changed += more.changed;
    sum.unchanged += more.unchanged;
}

/// `flowgate user export`: groups first, then users, each in the order of ids.
pub(super) fn export(
    arguments: &ExportArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let admin = Admin::find(&arguments.target, variables)?;
    let path = ["environments", &arguments.environment, "users"];
    for kind in ["groups", "users"] {
        let mut after: Option<String> = None;
        loop {
            let place = after.as_deref().map(|after| ("after", after));
            let query: Vec<_> = std::iter::once(("kind", kind)).chain(place).collect();
            let page = admin.get(&path, &query)?;
            let mut text = String::new();
            for line in page["lines"].as_array().into_iter().flatten() {
                text.push_str(&line.to_string());
                text.push('\n');
            }
            console.print(&text)?;
            match page["next"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => break,
            }
        }
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_skipped_up_to_its_end() {
        let longest = "x".repeat(USER_LINE_BYTES_MAX);
        let file = format!("a\n{longest}\n{longest}yz\nb\n{longest}yzz");
        let mut source = BufReader::with_capacity(100, file.as_bytes());
        let mut seen = Vec::new();
        while let Some(line) = next_line(&mut source).expect("it reads") {
            seen.push(match line {
                Line::Whole(line) => line.len(),
                Line::TooLong => 0,
            });
        }
        assert_eq!(seen, [2, longest.len() + 1, 0, 2, 0]);
    }
}

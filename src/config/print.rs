//! How do the defaults look as a file?
//!
//! `config print-defaults` and the files in `config/` are this text, generated
//! from the table: every key with its default, its reason, its variable and
//! its flag. Keys that have no default stand as comments.

use std::fmt::Write;

use super::{
    key::{Key, Kind, Preset, Surface},
    variables::PREFIX,
};

/// Columns after which a comment is broken.
const COLUMNS: usize = 96;

/// The variable that sets a dotted key.
pub fn variable_name(key: &str) -> String {
    let dotted = key.replace(".*.", ".<NAME>.");
    format!("{PREFIX}{}", dotted.replace('.', "__").to_uppercase())
}

/// The file with every key of a surface and its default.
pub fn print_defaults(surface: &Surface) -> String {
    let mut text = String::new();
    comment(&mut text, surface.about);
    comment(
        &mut text,
        &format!(
            "This file is the output of `flowgate config print-defaults {}`. A variable beats the file, a flag beats both; \
             their names stand below each key.",
            surface.name
        ),
    );
    let mut section = None;
    for key in surface.keys() {
        text.push('\n');
        if key.section() != section {
            section = key.section();
            open_section(&mut text, key);
        }
        entry(&mut text, key);
    }
    text
}

fn open_section(text: &mut String, key: &Key) {
    let Some(section) = key.section() else {
        return;
    };
    let line = if key.is_named() {
        format!("# [{}]", section.replace('*', "development"))
    } else {
        format!("[{section}]")
    };
    text.push_str(&line);
    text.push('\n');
}

fn entry(text: &mut String, key: &Key) {
    comment(text, key.doc);
    if let Kind::Choice { now, .. } = key.kind {
        comment(text, &format!("One of {}.", now.join(", ")));
    }
    comment(
        text,
        &format!("{}, --{}", variable_name(key.name), key.flag),
    );
    let leaf = key.leaf();
    let (mark, value) = match key.preset {
        // A section that is a comment keeps its keys as comments.
        Preset::Value(value) if key.is_named() => ("# ", value),
        Preset::Value(value) => ("", value),
        Preset::Optional(example) | Preset::Required(example) => ("# ", example),
    };
    push_line(text, &format!("{mark}{leaf} = {value}"));
    if let Some(flag) = key.secret {
        let file_variable = variable_name(&format!("{}_file", key.name));
        comment(
            text,
            &format!("Or the path of a file that holds it: {file_variable}, --{flag}"),
        );
        push_line(
            text,
            &format!("# {leaf}_file = \"/run/secrets/flowgate-edge\""),
        );
    }
}

/// Appends words as comment lines.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > COLUMNS {
            push_line(text, &line);
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    push_line(text, &line);
}

fn push_line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    writeln!(text, "{line}").expect("a String takes every line");
}

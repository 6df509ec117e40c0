//! How is a key made and known without a store?
//!
//! `key generate` makes the text of a key, `key hash` prints what a snapshot
//! or an edge's configuration may know of it. A text that could be guessed is
//! refused: whoever has the hash could try all such texts.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    archive,
    console::Console,
    failure::{Failure, Outcome},
    key::KindName,
};
use crate::{clock::Ambient, limits, snapshot::sha256_hex, store::key_text};

/// Fewer characters are a password: 24 random ones have 128 bits or more.
const KEY_CHARACTERS_MIN: usize = 24;

/// Arguments of `flowgate key generate`.
#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    /// What it is to do; stands at the start of the key.
    #[arg(long)]
    kind: KindName,
    /// The environment it is for; stands in the key.
    #[arg(long, value_name = "ENV")]
    environment: String,
}

/// Arguments of `flowgate key hash`.
#[derive(Debug, Args)]
pub(super) struct HashArguments {
    /// File that holds the key; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// `flowgate key generate`.
pub(super) fn generate(
    arguments: &GenerateArguments,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let kind = arguments.kind.stored();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if arguments.environment.is_empty() || !arguments.environment.chars().all(plain) {
        return Err(Failure::usage(
            "--environment: expected a name of letters, digits, - and _",
        ));
    }
    let text = key_text(kind, Some(&arguments.environment), &Ambient::system());
    console.line(&text)?;
    console.complain_as_is(
        "no store knows it: put its hash where it is to open something (flowgate key hash)\n",
    );
    Ok(Outcome::Done)
}

/// `flowgate key hash`.
pub(super) fn hash(arguments: &HashArguments, console: &mut Console) -> Result<Outcome, Failure> {
    let sha256 = if arguments.file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .take(limits::HEAD_BYTES_MAX as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::undone("standard input cannot be read").because(&error))?;
        hash_of(&bytes)?
    } else {
        hash_of_file(&arguments.file, limits::HEAD_BYTES_MAX)?
    };
    console.line(&sha256)?;
    Ok(Outcome::Done)
}

/// SHA-256 of the key that a file holds.
pub(super) fn hash_of_file(path: &Path, bytes_max: usize) -> Result<String, Failure> {
    hash_of(&archive::read(path, bytes_max)?)
}

/// Of the text without the line break that editors and shells add.
fn hash_of(bytes: &[u8]) -> Result<String, Failure> {
    let text = bytes.trim_ascii();
    let visible = text.iter().all(u8::is_ascii_graphic);
    if text.len() < KEY_CHARACTERS_MIN || !visible {
        return Err(Failure::undone(format!(
            "found {} bytes that are no key: expected one line of at least {KEY_CHARACTERS_MIN} visible characters, chosen at random",
            text.len()
        ))
        .mend("flowgate key generate makes one"));
    }
    Ok(sha256_hex(text))
}

//! Which file of flags, and whose tokens?
//!
//! What turns `flowgate edge` into an edge without a control plane. Tokens may
//! come from a file: other people on the machine can read flags. Those whose
//! kind is said open what this kind may ask for, and the others everything.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use crate::{
    limits::KEYS_PER_ENVIRONMENT_MAX,
    snapshot::{flags::FlagToken, wire::KeyKind},
};

/// The arguments.
#[derive(Args)]
pub(super) struct FeaturesArguments {
    /// Serve the flags of this file and nothing else: a document as Unleash
    /// answers /api/client/features, read again when it changes. Needs no
    /// upstream, keeps nothing.
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Token that opens the flags of --features, as project:environment.secret
    /// (others on the machine can read flags; prefer --token-file).
    #[arg(long, value_name = "TOKEN", requires = "features")]
    token: Vec<String>,
    /// Token of backends alone, which get flags as they are written; several
    /// with commas between them.
    #[arg(
        long = "client-token",
        visible_alias = "client-tokens",
        value_name = "TOKEN",
        value_delimiter = ',',
        requires = "features"
    )]
    client: Vec<String>,
    /// Token of frontends alone, which get evaluated flags; likewise.
    #[arg(
        long = "frontend-token",
        visible_alias = "frontend-tokens",
        value_name = "TOKEN",
        value_delimiter = ',',
        requires = "features"
    )]
    frontend: Vec<String>,
    /// File with such tokens, one a line.
    #[arg(long, value_name = "FILE", requires = "features")]
    token_file: Option<PathBuf>,
}

impl std::fmt::Debug for FeaturesArguments {
    /// Without tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Features").field(&self.features).finish()
    }
}

impl FeaturesArguments {
    /// The file and the tokens; none where no file is named.
    pub(super) fn given(&self) -> Result<Option<(PathBuf, Vec<FlagToken>)>, Failure> {
        let Some(path) = &self.features else {
            return Ok(None);
        };
        if let Err(error) = std::fs::File::open(path) {
            let text = format!("--features {} cannot be read", path.display());
            return Err(Failure::usage(text).because(&error));
        }
        let mut texts = self.token.clone();
        if let Some(file) = &self.token_file {
            let text = std::fs::read_to_string(file).map_err(|error| {
                let text = format!("--token-file {} cannot be read", file.display());
                Failure::usage(text).because(&error)
            })?;
            let lines = text.lines().map(str::trim);
            texts.extend(lines.filter(|line| !line.is_empty()).map(ToOwned::to_owned));
        }
        let of_any = texts.iter().map(|text| (text, None));
        let of_clients = self.client.iter().map(|text| (text, Some(KeyKind::Client)));
        let frontend = Some(KeyKind::Frontend);
        let of_frontends = self.frontend.iter().map(|text| (text, frontend));
        let mut tokens: Vec<FlagToken> = Vec::with_capacity(texts.len());
        for (at, (text, kind)) in of_any.chain(of_clients).chain(of_frontends).enumerate() {
            let name = format!("token {}", at + 1);
            let token = FlagToken::parse(text, &name)
                .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
            let token = match kind {
                Some(kind) => token.only(kind),
                None => token,
            };
            let mut known = tokens.iter_mut();
            match known.find(|own| own.key().sha256 == token.key().sha256) {
                Some(known) => known.join(&token),
                None => tokens.push(token),
            }
        }
        match tokens.len() {
            0 => Err(Failure::usage(
                "--features without a token: nobody could ask (add --token, --token-file, --client-token or \
                 --frontend-token)",
            )),
            found if found > KEYS_PER_ENVIRONMENT_MAX => Err(Failure::usage(format!(
                "found {found} tokens, expected at most {KEYS_PER_ENVIRONMENT_MAX}"
            ))),
            _ => Ok(Some((path.clone(), tokens))),
        }
    }
}

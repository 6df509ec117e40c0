//! Which environment and project does a token of Unleash name?
//!
//! `project:environment.secret`, where `*` and `[]` stand for every project we
//! know of. A token of another form names neither: it opens all projects of the
//! environment `default`.

use super::super::{model::Key, sha256, wire::KeyKind};

/// The environment of tokens that name none.
const ENVIRONMENT_DEFAULT: &str = "default";

/// A token that an operator gave.
#[derive(Clone, PartialEq, Eq)]
pub struct FlagToken {
    environment: Box<str>,
    key: Key,
}

/// Why a token is none. It is not repeated here: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagTokenError {
    /// Headers carry visible characters.
    #[error("found a token with spaces or other invisible characters, expected none")]
    Characters,
    /// There is nothing before the colon, before the point or behind it.
    #[error(
        "found a token without project, environment or secret, expected project:environment.secret"
    )]
    Part,
}

impl FlagToken {
    /// Reads one. `name` is for people.
    pub fn parse(text: &str, name: &str) -> Result<Self, FlagTokenError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(FlagTokenError::Characters);
        }
        let named = text
            .split_once(':')
            .and_then(|(project, rest)| Some((project, rest.split_once('.')?)));
        let (project, environment, secret) = match named {
            Some((project, (environment, secret))) => (project, environment, secret),
            None => ("*", ENVIRONMENT_DEFAULT, text),
        };
        if [project, environment, secret]
            .iter()
            .any(|part| part.is_empty())
        {
            return Err(FlagTokenError::Part);
        }
        let projects: Box<[Box<str>]> = match project {
            "*" | "[]" => Box::default(),
            one => Box::new([one.into()]),
        };
        Ok(Self {
            environment: environment.into(),
            key: Key {
                sha256: sha256(text.as_bytes()),
                kind: KeyKind::Client,
                // The form does not say of what kind it is.
                also: Some(KeyKind::Frontend),
                name: name.into(),
                projects,
                channel: None,
                origins: Box::default(),
            },
        })
    }

    /// The same for those who ask for evaluated flags, or for those who evaluate
    /// themselves.
    #[must_use]
    pub fn only(mut self, kind: KeyKind) -> Self {
        self.key.kind = kind;
        self.key.also = None;
        self
    }

    /// Opens what another one opens, too.
    pub fn join(&mut self, other: &Self) {
        let kinds = [Some(self.key.kind), self.key.also];
        let more = [Some(other.key.kind), other.key.also].into_iter();
        self.key.also = self
            .key
            .also
            .or(more.flatten().find(|kind| !kinds.contains(&Some(*kind))));
    }

    /// The environment it opens.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// As requests show it.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_kind_or_of_both() {
        let token = || FlagToken::parse("*:dev.a1b2c3d4e5", "x").unwrap();
        let opens = |token: &FlagToken, kind| token.key().is_one_of(|own| own == kind);
        let (client, frontend) = (KeyKind::Client, KeyKind::Frontend);
        assert!(opens(&token(), client) && opens(&token(), frontend));
        let mut one = token().only(frontend);
        assert!(opens(&one, frontend) && !opens(&one, client));
        one.join(&token().only(frontend));
        assert!(!opens(&one, client));
        one.join(&token().only(client));
        assert!(opens(&one, frontend) && opens(&one, client));
        let mut both = token();
        both.join(&one);
        assert_eq!(both.key(), token().key());
    }

    #[test]
    fn a_token_names_project_and_environment_or_neither() {
        for (text, environment, project) in [
            ("*:development.a1b2c3d4e5", "development", None),
            ("[]:dev.a1b2c3d4e5", "dev", None),
            (
                "shop:production.v2_abcd.efgh_ijkl",
                "production",
                Some("shop"),
            ),
            ("a-plain-secret.with-a-point", "default", None),
        ] {
            let token = FlagToken::parse(text, "x").unwrap();
            assert_eq!(token.environment(), environment, "{text}");
            let projects: Vec<&str> = token.key().projects.iter().map(|own| &**own).collect();
            assert_eq!(projects, Vec::from_iter(project), "{text}");
        }
        for (text, expected) in [
            ("", FlagTokenError::Part),
            ("*:dev.", FlagTokenError::Part),
            ("*:dev.a1b2 c3d4", FlagTokenError::Characters),
            (":dev.a1b2c3d4e5", FlagTokenError::Part),
            ("*:.a1b2c3d4e5", FlagTokenError::Part),
        ] {
            assert_eq!(FlagToken::parse(text, "x").err(), Some(expected), "{text}");
        }
    }
}

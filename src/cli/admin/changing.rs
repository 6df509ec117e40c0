//! How does the command line change something in a store, or only try it?
//!
//! What every changing command takes, and the one way to change anything: a
//! command without [`Change`] gets no [`Author`], so none can lack `--dry-run`.
//! A dry run is answered by the store, asks nobody to confirm anything and is
//! told in the words of the change itself.

use std::{io::IsTerminal, ops::Deref};

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Admin, Target};
use crate::{
    cli::{
        asking::{Answered, Sent},
        consent::Open,
        console::Console,
        editing::agreed,
        failure::Failure,
        table::{self, Output},
    },
    config::Variables,
};

/// What every command takes that changes something.
#[derive(Debug, Args)]
pub(in crate::cli) struct Change {
    /// Only say what would be: nothing is written, made or confirmed.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) output: Output,
}

/// The same of a thing that has an entity tag.
#[derive(Debug, Args)]
pub(in crate::cli) struct TaggedChange {
    /// Only while it has this entity tag: the member etag of `show --output
    /// json`, for a draft or a version what `flow print --etag` tells; refused
    /// when somebody changed it meanwhile.
    #[arg(long, value_name = "ETAG", value_parser = entity_tag)]
    if_match: Option<String>,
    #[command(flatten)]
    change: Change,
}

/// An entity tag with its quotes, which shells like to take away.
fn entity_tag(text: &str) -> Result<String, String> {
    let bare = text.trim().trim_matches('"');
    match text.trim() {
        "*" => Ok("*".to_owned()),
        _ if bare.contains('"') || bare.chars().any(|own| own.is_control() || own == ' ') => {
            Err("expected one entity tag, such as the member etag of an answer".to_owned())
        }
        _ => Ok(format!("\"{bare}\"")),
    }
}

/// Whoever changes something, or only tries it.
#[derive(Clone)]
pub(in crate::cli) struct Author {
    admin: Admin,
    yes: bool,
    dry_run: bool,
    if_match: Option<String>,
}

impl Change {
    /// Finds the store.
    pub(in crate::cli) fn author(&self, variables: &Variables) -> Result<Author, Failure> {
        Ok(Author {
            admin: Admin::find(&self.target, variables)?,
            yes: self.target.yes,
            dry_run: self.dry_run,
            if_match: None,
        })
    }

    /// Whether nothing is to be written.
    pub(in crate::cli) fn is_dry(&self) -> bool {
        self.dry_run
    }

    /// Whether whoever calls wants to be asked nothing.
    pub(in crate::cli) fn is_agreed(&self) -> bool {
        self.target.yes
    }

    /// Whether somebody sits at a terminal and does not mean it. What is only
    /// tried needs no word of theirs.
    pub(in crate::cli) fn is_declined(
        &self,
        console: &mut Console,
        question: &str,
    ) -> Result<bool, Failure> {
        if self.target.yes || self.dry_run || !std::io::stdin().is_terminal() {
            return Ok(false);
        }
        Ok(!agreed(console, question)?)
    }

    /// Tells a change in one line such as `created: eu`, or the answer.
    pub(in crate::cli) fn told(
        &self,
        console: &mut Console,
        answer: &Value,
        line: &str,
    ) -> Result<(), Failure> {
        if self.output == Output::Json {
            return table::json(console, answer);
        }
        self.unconfirmed(console, answer)?;
        let would = if self.dry_run { "would be " } else { "" };
        console.line(&format!("{would}{line}"))
    }

    /// Tells that something is gone, of which the store has nothing to say.
    pub(in crate::cli) fn deleted(
        &self,
        console: &mut Console,
        answer: &Value,
        name: &str,
    ) -> Result<(), Failure> {
        let mut gone = json!({"deleted": name});
        if let (Value::Object(members), Value::Object(told)) = (&mut gone, answer) {
            members.extend(told.clone());
        }
        self.told(console, &gone, &format!("deleted: {name}"))
    }

    /// Ends a table of what would be, which looks like one of what is.
    pub(in crate::cli) fn ends(
        &self,
        console: &mut Console,
        answer: &Value,
    ) -> Result<(), Failure> {
        if !self.dry_run || self.output == Output::Json {
            return Ok(());
        }
        self.unconfirmed(console, answer)?;
        console.line("nothing was changed (it was a dry run)")
    }

    /// Where a change that was tried would have to be confirmed.
    pub(in crate::cli) fn unconfirmed(
        &self,
        console: &mut Console,
        answer: &Value,
    ) -> Result<(), Failure> {
        let names = answer["confirm"].as_array().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        if !self.dry_run || names.is_empty() {
            return Ok(());
        }
        console.line(&format!("to be confirmed in: {}", names.join(", ")))
    }
}

impl TaggedChange {
    /// Finds the store.
    pub(in crate::cli) fn author(&self, variables: &Variables) -> Result<Author, Failure> {
        Ok(Author {
            if_match: self.if_match.clone(),
            ..self.change.author(variables)?
        })
    }

    /// Whether whoever calls says what they have read.
    pub(in crate::cli) fn is_tagged(&self) -> bool {
        self.if_match.is_some()
    }
}

impl Deref for TaggedChange {
    type Target = Change;

    fn deref(&self) -> &Change {
        &self.change
    }
}

impl Author {
    /// The store, to read what is there.
    pub(in crate::cli) fn store(&self) -> &Admin {
        &self.admin
    }

    /// The same, who only tries.
    pub(in crate::cli) fn trying(&self) -> Self {
        Self {
            dry_run: true,
            ..self.clone()
        }
    }

    /// The same, whose change rests on what was read with this entity tag.
    /// Whoever gave one on the command line has read before.
    pub(in crate::cli) fn resting_on(mut self, etag: Option<&str>) -> Self {
        if self.if_match.is_none() {
            self.if_match = etag.map(ToOwned::to_owned);
        }
        self
    }

    /// Changes something by a POST.
    pub(in crate::cli) fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.change(Method::POST, path, &[], Some(body))
    }

    /// Changes something.
    pub(in crate::cli) fn change(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.send(&method, path, query, body.map(Value::to_string))
    }

    /// Replaces a text. What was read is said, or that any state will do.
    pub(in crate::cli) fn put_text(&self, path: &[&str], text: &str) -> Result<Value, Failure> {
        let resting = self.clone().resting_on(Some("*"));
        resting.send(&Method::PUT, path, &[], Some(text.to_owned()))
    }

    /// Asks, and where that wants to be confirmed asks whoever is there and
    /// then again.
    fn send(
        &self,
        method: &Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Value, Failure> {
        let dry = [("dryRun", "true")];
        let dry = dry.iter().filter(|_| self.dry_run);
        let query: Vec<(&str, &str)> = query.iter().chain(dry).copied().collect();
        let mut sent = Sent {
            if_match: self.if_match.clone(),
            body: body.map(String::into_bytes),
            ..Sent::default()
        };
        let ask = |sent: &Sent| self.admin.exchange(method.clone(), path, &query, sent);
        let first = ask(&sent)?;
        let Some(open) = Open::read(first.status, &first.body) else {
            return self.answer(&first);
        };
        if !self.yes {
            open.ask()?;
        }
        sent.confirm = Some(open.names());
        self.answer(&ask(&sent)?)
    }

    /// A store of another version may not know of dry runs, and then the change
    /// was made.
    fn answer(&self, answered: &Answered) -> Result<Value, Failure> {
        let answer = self.admin.json(answered)?;
        if self.dry_run && answer["dryRun"] != true {
            return Err(Failure::undone(
                "the store did not say that it was a dry run: look at what it changed",
            )
            .mend("is it of another version? flowgate audit list tells what was done"));
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_taken_with_its_quotes_and_without() {
        for text in ["\"abc\"", "abc", " abc "] {
            assert_eq!(entity_tag(text).as_deref(), Ok("\"abc\""), "{text:?}");
        }
        assert_eq!(entity_tag("*").as_deref(), Ok("*"));
        assert_eq!(entity_tag("\"\"").as_deref(), Ok("\"\""));
        for bad in ["a\"b", "\"a\", \"b\"", "a\nb"] {
            assert!(entity_tag(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_was_given_counts_before_what_was_read() {
        let target = super::super::tests::target(None, Some("k"), None);
        let change = TaggedChange {
            if_match: Some("\"given\"".to_owned()),
            change: Change {
                dry_run: true,
                target,
                output: Output::Table,
            },
        };
        let author = change.author(&Variables::default()).expect("a key");
        let author = author.resting_on(Some("\"read\""));
        assert_eq!(author.if_match.as_deref(), Some("\"given\""));
        let author = change.change.author(&Variables::default()).expect("a key");
        let author = author.resting_on(Some("\"read\""));
        assert_eq!(author.if_match.as_deref(), Some("\"read\""));
    }
}

//! Is that change really meant?
//!
//! A store refuses a change that users of some environments would notice until
//! it hears the names of these environments. At a terminal they are typed; a
//! script says `--yes`.

use std::io::{self, BufRead, IsTerminal, Write};

use serde_json::Value;

use super::{console::plain, failure::Failure};

/// A change that waits to be confirmed.
pub(super) struct Open {
    /// What it does, in the store's words.
    detail: String,
    /// In which environments.
    environments: Vec<String>,
}

impl Open {
    /// What a store wants to hear, if that is why it refused.
    pub(super) fn read(status: u16, answer: &[u8]) -> Option<Self> {
        if status != 428 {
            return None;
        }
        let problem: Value = serde_json::from_slice(answer).ok()?;
        let names = problem["environments"].as_array()?.iter();
        let environments = names.map(|name| name.as_str().map(ToOwned::to_owned));
        Some(Self {
            detail: problem["detail"].as_str()?.to_owned(),
            environments: environments.collect::<Option<_>>()?,
        })
    }

    /// The names between commas.
    pub(super) fn names(&self) -> String {
        self.environments.join(",")
    }

    /// Has the names typed by whoever sits at the terminal.
    pub(super) fn ask(&self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::undone("nobody can be asked").because(&error);
        let input = io::stdin();
        if !input.is_terminal() {
            let text = format!("nothing was done: {}", self.detail);
            return Err(Failure::undone(text)
                .mend("say --yes if it is meant; at a terminal the name is asked for"));
        }
        let mut out = io::stderr();
        let names = self.environments.join(" ");
        let question = format!(
            "{}.\nType {} to go on: ",
            plain(&self.detail),
            plain(&names)
        );
        out.write_all(question.as_bytes()).map_err(failed)?;
        out.flush().map_err(failed)?;
        let mut typed = String::new();
        input.lock().read_line(&mut typed).map_err(failed)?;
        let typed: Vec<&str> = typed.split_whitespace().collect();
        if typed == self.environments {
            return Ok(());
        }
        let found = typed.join(" ");
        Err(Failure::undone(format!(
            "nothing was done: found {found:?}, expected {names:?}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_refusal_that_names_environments_can_be_confirmed() {
        let problem = json!({"detail": "this disables flow \"tour\" in environment production",
            "environments": ["production", "eu"]});
        let open = Open::read(428, problem.to_string().as_bytes()).expect("it is open");
        assert_eq!(open.names(), "production,eu");
        assert!(Open::read(409, problem.to_string().as_bytes()).is_none());
        let other = json!({"detail": "a draft is replaced by whoever says which one was read"});
        assert!(Open::read(428, other.to_string().as_bytes()).is_none());
    }
}

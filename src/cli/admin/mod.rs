//! How does the command line talk to a store?
//!
//! One client of the store's authoring API for all commands: where it is, with
//! which key, and how its refusals become words. A key comes from `--key`, the
//! variable `FLOWGATE_ADMIN_KEY`, or the `dev.json` of a data folder. It reads
//! and nothing else; what changes something is in [`changing`].

mod changing;

pub(super) use changing::{Author, Change, TaggedChange};

use std::path::PathBuf;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    asking::{self, Answered, Asking, Sent},
    failure::Failure,
    place::{Place, Trust},
    table,
};
use crate::config::{ADMIN_KEY_VARIABLE, DevInfo, Secret, Variables};

/// Which store, and who asks.
#[derive(Args)]
pub(super) struct Target {
    /// The store [default: the one of --data, else http://127.0.0.1:7080].
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Admin key; others on the machine can read flags, so prefer the
    /// variable FLOWGATE_ADMIN_KEY.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Data folder of a `flowgate dev`, whose dev.json has address and key
    /// [default: ./.flowgate when it has one, no key is given, and no other
    /// store by --to].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Go on without asking, also where an environment wants changes confirmed.
    #[arg(long, short = 'y')]
    pub(super) yes: bool,
    #[command(flatten)]
    trust: Trust,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("to", &self.to)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// Whether the store of this `dev.json` is asked.
    fn is_for(&self, info: &DevInfo) -> bool {
        let to = self.to.as_deref();
        to.is_none_or(|to| Place::is_one(to, &info.store_url))
    }
}

/// A store that can be asked.
#[derive(Clone)]
pub(super) struct Admin {
    asking: Asking,
    /// The folder whose `dev.json` has the key and is of this store.
    folder: Option<PathBuf>,
}

/// What is asked with a body and changes nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    /// Whom a deployment would let in.
    Preview,
    /// Where steps through a version lead.
    Try,
}

impl Question {
    /// How its path ends.
    fn name(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Try => "try",
        }
    }
}

impl Admin {
    /// Finds the store and the key.
    pub(super) fn find(target: &Target, variables: &Variables) -> Result<Self, Failure> {
        let given = target
            .key
            .as_deref()
            .or_else(|| variables.value(ADMIN_KEY_VARIABLE));
        let usual = PathBuf::from("./.flowgate");
        let info = match (&target.data, given) {
            (Some(folder), _) => Some(dev_info(folder)?),
            // After `flowgate dev` the next command should just work; but a
            // key is never sent to another store than intended, neither one
            // that was given nor the one that happens to lie here.
            (None, None) => DevInfo::read(&usual.join("dev.json"))
                .ok()
                .filter(|info| target.is_for(info)),
            (None, Some(_)) => None,
        };
        let folder = info
            .as_ref()
            .filter(|info| given.is_none() && target.is_for(info))
            .map(|_| target.data.clone().unwrap_or(usual));
        let base = target
            .to
            .clone()
            .or_else(|| info.as_ref().map(|info| info.store_url.clone()))
            .unwrap_or_else(|| "http://127.0.0.1:7080".to_owned());
        let key = given
            .map(ToOwned::to_owned)
            .or_else(|| info.map(|info| info.admin_key))
            .ok_or_else(|| {
                Failure::usage("no admin key was given").mend(format!(
                    "give --key, the variable {ADMIN_KEY_VARIABLE}, or --data with the folder of a flowgate dev"
                ))
            })?;
        Ok(Self {
            asking: Asking::store(&base, Secret::new(key), &target.trust)?,
            folder,
        })
    }

    /// Asks and expects a success.
    pub(super) fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.json(&self.exchange(Method::GET, path, query, &Sent::default())?)
    }

    /// Asks for one thing; with its entity tag as a member, where it has one.
    pub(super) fn get_one(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        let answered = self.exchange(Method::GET, path, query, &Sent::default())?;
        let mut answer = self.json(&answered)?;
        if let (Some(etag), Value::Object(members)) = (answered.etag, &mut answer) {
            members.insert("etag".to_owned(), json!(etag));
        }
        Ok(answer)
    }

    /// All rows of a list, page after page.
    pub(super) fn list(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        member: &str,
    ) -> Result<Value, Failure> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let place = after.as_deref().map(|after| ("after", after));
            let query: Vec<_> = query.iter().copied().chain(place).collect();
            let mut page = self.get(path, &query)?;
            let rows = page.get_mut(member).map(Value::take);
            let Some(Value::Array(rows)) = rows else {
                let what = format!("the store's answer is not a list of {member}");
                return Err(Failure::undone(what).mend("is it of this release?"));
            };
            all.extend(rows);
            match page["next"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => return Ok(Value::Array(all)),
            }
        }
    }

    /// Asks for a text.
    pub(super) fn get_text(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<String, Failure> {
        let answered = self.exchange(Method::GET, path, query, &Sent::default())?;
        self.text(answered)
    }

    /// A text with its entity tag; none when there is no such thing, if the
    /// store calls that `missing`.
    pub(super) fn get_tagged(
        &self,
        path: &[&str],
        missing: Option<&str>,
    ) -> Result<Option<(String, String)>, Failure> {
        let answered = self.exchange(Method::GET, path, &[], &Sent::default())?;
        if missing.is_some_and(|missing| is_about(&answered, missing)) {
            return Ok(None);
        }
        let etag = answered.etag.clone().unwrap_or_default();
        Ok(Some((self.text(answered)?, etag)))
    }

    /// Asks with a body for something that changes nothing.
    pub(super) fn ask(
        &self,
        path: &[&str],
        question: Question,
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, Failure> {
        let path: Vec<&str> = path.iter().copied().chain([question.name()]).collect();
        let sent = Sent {
            body: Some(body.to_string().into_bytes()),
            ..Sent::default()
        };
        self.json(&self.exchange(Method::POST, &path, query, &sent)?)
    }

    fn exchange(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        sent: &Sent,
    ) -> Result<Answered, Failure> {
        let path: Vec<&str> = ["admin", "v1"].iter().chain(path).copied().collect();
        self.asking.exchange(method, &path, query, sent)
    }

    fn text(&self, answered: Answered) -> Result<String, Failure> {
        if answered.status != 200 {
            return Err(self.refusal(&answered));
        }
        String::from_utf8(answered.body)
            .map_err(|_| Failure::undone("the store's answer is not text"))
    }

    /// The JSON of a success; everything else is a failure.
    fn json(&self, answered: &Answered) -> Result<Value, Failure> {
        match answered.status {
            204 => Ok(Value::Null),
            200..=299 => serde_json::from_slice(&answered.body).map_err(|error| {
                Failure::undone("the store's answer is not JSON")
                    .because(&error)
                    .mend("is there a flowgate store at this address?")
            }),
            _ => Err(self.refusal(answered)),
        }
    }

    fn refusal(&self, answered: &Answered) -> Failure {
        let failure = asking::refusal("store", answered.status, &answered.body);
        match (answered.status, &self.folder) {
            // Revoked behind the back of the program that wrote it.
            (401, Some(folder)) => failure.mend(format!(
                "the key of {} is not valid any more: stop flowgate dev and start it again, it \
                 makes a new one; or give one by --key or {ADMIN_KEY_VARIABLE}",
                folder.join("dev.json").display()
            )),
            (401 | 403, _) => failure.mend(format!(
                "give an admin key of this store that may do it by --key, {ADMIN_KEY_VARIABLE} or --data"
            )),
            (412, _) => match other_change(&answered.body) {
                Some(who) => failure.mend(who).late(),
                None => failure.late(),
            },
            _ => failure,
        }
    }
}

/// Whether nothing was found, and it is called so.
fn is_about(answered: &Answered, kind: &str) -> bool {
    let problem: Option<Value> = serde_json::from_slice(&answered.body).ok();
    let own = problem.as_ref().and_then(|own| own["type"].as_str());
    answered.status == 404 && own.is_some_and(|own| own.ends_with(&format!(":{kind}")))
}

/// Whose change came first, and where it stands.
fn other_change(answer: &[u8]) -> Option<String> {
    let problem: Value = serde_json::from_slice(answer).ok()?;
    let change = &problem["change"];
    let (who, at_ms) = (change["who"]["name"].as_str()?, change["at_ms"].as_u64()?);
    let (id, at) = (change["id"].as_u64()?, table::time(at_ms));
    Some(format!(
        "{who} changed it at {at}: flowgate audit show {id}"
    ))
}

/// Addresses and keys of the data folder of a `flowgate dev`.
pub(super) fn dev_info(folder: &std::path::Path) -> Result<DevInfo, Failure> {
    let file = folder.join("dev.json");
    DevInfo::read(&file).map_err(|error| {
        Failure::undone(format!("{} cannot be read", file.display()))
            .because(&error)
            .mend("--data expects the data folder of a flowgate dev that has been started")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn target(to: Option<&str>, key: Option<&str>, data: Option<PathBuf>) -> Target {
        Target {
            to: to.map(ToOwned::to_owned),
            key: key.map(ToOwned::to_owned),
            data,
            yes: false,
            trust: Trust::default(),
        }
    }

    #[test]
    fn who_is_too_late_hears_whose_change_came_first() {
        let change = serde_json::json!({"id": 7, "at_ms": 0, "who": {"name": "ann"}});
        let answer = serde_json::json!({"detail": "it was changed", "change": change});
        let admin = Admin::find(&target(None, Some("k"), None), &Variables::default());
        let answered = Answered {
            status: 412,
            etag: None,
            body: answer.to_string().into_bytes(),
        };
        let told = admin.expect("a key").refusal(&answered).to_string();
        assert!(told.contains("ann changed it at 1970"), "{told}");
        assert!(told.contains("flowgate audit show 7"), "{told}");
    }

    #[test]
    fn the_flag_beats_the_variable_and_the_variable_beats_the_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let info = DevInfo {
            store_url: "http://127.0.0.1:9".into(),
            admin_key: "of-the-folder".into(),
            ..DevInfo::default()
        };
        info.write(&folder.path().join("dev.json"))
            .expect("dev.json");
        let data = || Some(folder.path().to_owned());
        let variables =
            Variables::of([(ADMIN_KEY_VARIABLE.to_owned(), "of-the-variable".to_owned())]);
        let none = Variables::default();
        let key = |target: &Target, variables: &Variables| {
            let admin = Admin::find(target, variables).expect("a key");
            admin.asking.aims()
        };
        assert_eq!(
            key(&target(None, Some("of-the-flag"), data()), &variables).0,
            "of-the-flag"
        );
        assert_eq!(
            key(&target(None, None, data()), &variables).0,
            "of-the-variable"
        );
        assert_eq!(
            key(&target(None, None, data()), &none),
            ("of-the-folder".to_owned(), "http://127.0.0.1:9/".to_owned())
        );
        // Whoever names both wants both.
        assert_eq!(
            key(&target(Some("http://store:1"), None, data()), &none),
            ("of-the-folder".to_owned(), "http://store:1/".to_owned())
        );
    }

    #[test]
    fn a_store_is_http_or_https_or_a_socket_file() {
        let find = |to: &str| {
            let target = target(Some(to), Some("k"), None);
            Admin::find(&target, &Variables::default())
        };
        for to in ["http://x/", "https://x:1/", "unix:/run/store.sock"] {
            let admin = find(to).expect(to);
            assert_eq!(admin.asking.aims().1, to);
        }
        for to in ["ftp://x", "unix:store.sock", "x:1", ""] {
            let failure = find(to).err().expect("a refusal");
            assert_eq!(failure.code(), 64);
            assert!(failure.to_string().contains("unix:"), "{failure}");
        }
    }
}

//! How does the command line talk to a store?
//!
//! One client of the store's authoring API for all commands: where it is, with
//! which key, and how its refusals become words. A key comes from `--key`, the
//! variable `FLOWGATE_ADMIN_KEY`, or the `dev.json` of a data folder.

use std::path::PathBuf;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{
    asking::{self, Asking, Sent},
    consent::Open,
    failure::Failure,
    place::Trust,
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
    /// [default: ./.flowgate when it has one and no key is given].
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

/// A store that can be asked.
pub(super) struct Admin {
    asking: Asking,
    yes: bool,
}

impl Admin {
    /// Finds the store and the key.
    pub(super) fn find(target: &Target, variables: &Variables) -> Result<Self, Failure> {
        let given = target
            .key
            .as_deref()
            .or_else(|| variables.value(ADMIN_KEY_VARIABLE));
        let info = match (&target.data, given) {
            (Some(folder), _) => Some(dev_info(folder)?),
            // After `flowgate dev` the next command should just work; but a
            // key that was given is never sent to another store than intended.
            (None, None) => DevInfo::read(&PathBuf::from("./.flowgate/dev.json")).ok(),
            (None, Some(_)) => None,
        };
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
            yes: target.yes,
        })
    }

    /// Whether whoever calls wants to be asked nothing.
    pub(super) fn is_agreed(&self) -> bool {
        self.yes
    }

    /// Asks and expects a success.
    pub(super) fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        let (status, answer) = self.call(Method::GET, path, query, None)?;
        json_of(status, &answer)
    }

    /// Asks for a text.
    pub(super) fn get_text(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<String, Failure> {
        let (status, answer) = self.call(Method::GET, path, query, None)?;
        if status != 200 {
            return Err(refusal(status, &answer));
        }
        String::from_utf8(answer).map_err(|_| Failure::undone("the store's answer is not text"))
    }

    /// Changes something and expects a success.
    pub(super) fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.change(Method::POST, path, &[], Some(body))
    }

    /// Changes something by another method than POST.
    pub(super) fn change(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let (status, answer) = self.call(method, path, query, body)?;
        json_of(status, &answer)
    }

    /// A text with its entity tag; none when there is no such thing.
    pub(super) fn get_tagged(&self, path: &[&str]) -> Result<Option<(String, String)>, Failure> {
        let path: Vec<&str> = ["admin", "v1"].iter().chain(path).copied().collect();
        let answered = self
            .asking
            .exchange(Method::GET, &path, &[], &Sent::default())?;
        if answered.status == 404
            && answered
                .body
                .windows(15)
                .any(|own| own == b"unknown-version")
        {
            return Ok(None);
        }
        if answered.status != 200 {
            return Err(refusal(answered.status, &answered.body));
        }
        let text = String::from_utf8(answered.body)
            .map_err(|_| Failure::undone("the store's answer is not text"))?;
        Ok(Some((text, answered.etag.unwrap_or_default())))
    }

    /// Replaces a text, on the condition that it still has this entity tag.
    pub(super) fn put_text(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        if_match: &str,
        text: &str,
    ) -> Result<Value, Failure> {
        let sent = Sent {
            if_match: Some(if_match.to_owned()),
            body: Some(text.as_bytes().to_vec()),
            ..Sent::default()
        };
        let (status, answer) = self.confirmed(&Method::PUT, path, query, sent)?;
        json_of(status, &answer)
    }

    fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), Failure> {
        let sent = Sent {
            body: body.map(|body| body.to_string().into_bytes()),
            ..Sent::default()
        };
        self.confirmed(&method, path, query, sent)
    }

    /// Asks, and where that wants to be confirmed asks whoever is there and
    /// then again.
    fn confirmed(
        &self,
        method: &Method,
        path: &[&str],
        query: &[(&str, &str)],
        mut sent: Sent,
    ) -> Result<(u16, Vec<u8>), Failure> {
        let path: Vec<&str> = ["admin", "v1"].iter().chain(path).copied().collect();
        let ask = |sent: &Sent| {
            self.asking
                .exchange(method.clone(), &path, query, sent)
                .map(|answered| (answered.status, answered.body))
        };
        let first = ask(&sent)?;
        let Some(open) = Open::read(first.0, &first.1) else {
            return Ok(first);
        };
        if !self.yes {
            open.ask()?;
        }
        sent.confirm = Some(open.names());
        ask(&sent)
    }
}

/// The JSON of a success; everything else is a failure.
fn json_of(status: u16, answer: &[u8]) -> Result<Value, Failure> {
    match status {
        204 => Ok(Value::Null),
        200..=299 => serde_json::from_slice(answer).map_err(|error| {
            Failure::undone("the store's answer is not JSON")
                .because(&error)
                .mend("is there a flowgate store at this address?")
        }),
        _ => Err(refusal(status, answer)),
    }
}

fn refusal(status: u16, answer: &[u8]) -> Failure {
    let failure = asking::refusal("store", status, answer);
    match status {
        401 | 403 => failure.mend(format!(
            "give an admin key of this store that may do it by --key, {ADMIN_KEY_VARIABLE} or --data"
        )),
        412 => match other_change(answer) {
            Some(who) => failure.mend(who),
            None => failure,
        },
        _ => failure,
    }
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

    fn target(to: Option<&str>, key: Option<&str>, data: Option<PathBuf>) -> Target {
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
        let told = refusal(412, answer.to_string().as_bytes()).to_string();
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
        assert_eq!(
            key(&target(Some("http://store:1"), None, data()), &none).1,
            "http://store:1/"
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

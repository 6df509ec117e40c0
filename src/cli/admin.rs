//! How does the command line talk to a store?
//!
//! One client of the store's authoring API for all commands: where it is, with
//! which key, and how its refusals become words. A key comes from `--key`, the
//! variable `FLOWGATE_ADMIN_KEY`, or the `dev.json` of a data folder.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use reqwest::{Method, Request, Url};
use serde_json::Value;

use super::failure::Failure;
use crate::config::{ADMIN_KEY_VARIABLE, DevInfo, Secret, Variables};

/// An import of many flows compiles and signs all of them before it answers.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest answer that is read: an export of every flow of a large store.
const ANSWER_BYTES_MAX: usize = 512 * 1024 * 1024;

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
    base: Url,
    key: Secret,
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
            base: http_base(&base)?,
            key: Secret::new(key),
        })
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
        let (status, answer) = self.call(Method::POST, path, &[], Some(body))?;
        json_of(status, &answer)
    }

    fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), Failure> {
        let mut url = self.base.clone();
        url.set_path("/admin/v1");
        if let Ok(mut segments) = url.path_segments_mut() {
            // Each segment is percent-encoded: a user id may hold anything.
            segments.extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = Request::new(method, url);
        let key = self.key.expose().parse().map_err(|_| {
            Failure::usage("the admin key holds characters no key has (was it copied whole?)")
        })?;
        request.headers_mut().insert("x-api-key", key);
        if let Some(body) = body {
            let json = reqwest::header::HeaderValue::from_static("application/json");
            request.headers_mut().insert("content-type", json);
            *request.body_mut() = Some(body.to_string().into());
        }
        runtime()?
            .block_on(ask(request, PATIENCE))
            .map_err(|error| {
                Failure::undone(format!("the store at {} cannot be asked", self.base))
                    .because(&error)
                    .mend("is it running there? --to names another one")
            })
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
    let problem: Option<Value> = serde_json::from_slice(answer).ok();
    let words = problem.map_or_else(
        || String::from_utf8_lossy(answer).trim().to_owned(),
        |problem| problem_text(&problem),
    );
    let failure = Failure::undone(format!("the store refused ({status}): {words}"));
    match status {
        401 | 403 => failure.mend(format!(
            "give an admin key of this store by --key, {ADMIN_KEY_VARIABLE} or --data"
        )),
        _ => failure,
    }
}

/// The words of a problem document: what, found and expected, and a list of
/// faults when there is one.
fn problem_text(problem: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut words = match (&problem["detail"], &problem["title"], &problem["error"]) {
        (Value::String(detail), _, _) => detail.clone(),
        (_, Value::String(title), _) => title.clone(),
        (_, _, Value::String(error)) => error.clone(),
        _ => return problem.to_string(),
    };
    for (member, word) in [("found", "found"), ("expected", "expected")] {
        let value = &problem[member];
        if !value.is_null() && !words.contains(&text(value)) {
            words.push_str(&format!(", {word} {}", text(value)));
        }
    }
    for fault in problem["faults"].as_array().into_iter().flatten() {
        let members = ["file", "position", "rule"].map(|member| fault[member].as_str());
        let said: Vec<&str> = members
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        words.push_str("\n  ");
        words.push_str(&said.join(": "));
    }
    words
}

fn dev_info(folder: &std::path::Path) -> Result<DevInfo, Failure> {
    let file = folder.join("dev.json");
    DevInfo::read(&file).map_err(|error| {
        Failure::undone(format!("{} cannot be read", file.display()))
            .because(&error)
            .mend("--data expects the data folder of a flowgate dev that has been started")
    })
}

fn http_base(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok().filter(Url::has_host);
    match url {
        Some(url) if url.scheme() == "http" => Ok(url),
        Some(url) if url.scheme() == "https" => Err(Failure::usage(format!(
            "{text} is https, which is not supported by this version"
        ))
        .mend("use an http:// url, through a tunnel when it leaves the machine")),
        _ => Err(Failure::usage(format!(
            "{text:?} is not a url such as http://127.0.0.1:7080"
        ))),
    }
}

/// Sends one request and reads its bounded answer.
pub(super) async fn ask(request: Request, patience: Duration) -> Result<(u16, Vec<u8>), AskError> {
    // No proxy: a store or an edge is asked where the operator says it is, and
    // a proxy variable meant for the internet would catch loopback as well.
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(patience)
        .build()
        .map_err(AskError::Http)?;
    let mut answer = client.execute(request).await.map_err(AskError::Http)?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(AskError::Http)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(AskError::TooLong);
        }
    }
    Ok((status, body))
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Not reached, too slow, or not HTTP.
    #[error("no answer")]
    Http(#[source] reqwest::Error),
    /// Longer than anything a store has to say.
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

/// A runtime for one call.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::undone("no runtime").because(&error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target(to: Option<&str>, key: Option<&str>, data: Option<PathBuf>) -> Target {
        Target {
            to: to.map(ToOwned::to_owned),
            key: key.map(ToOwned::to_owned),
            data,
        }
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
            (admin.key.expose().to_owned(), admin.base.to_string())
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
    fn https_is_refused_by_name() {
        let found = Admin::find(
            &target(Some("https://x"), Some("k"), None),
            &Variables::default(),
        );
        let failure = found.err().expect("a refusal");
        assert_eq!(failure.code(), 64);
        assert!(failure.to_string().contains("https"), "{failure}");
    }

    #[test]
    fn a_problem_says_found_and_expected() {
        let problem = json!({"title": "not imported", "detail": "flow \"x\" is not possible",
            "found": "gate", "expected": "card or modal",
            "faults": [{"file": "a.yaml", "position": "block \"a\"", "rule": "no path"}]});
        assert_eq!(
            problem_text(&problem),
            "flow \"x\" is not possible, found gate, expected card or modal\n  a.yaml: block \"a\": no path"
        );
    }
}

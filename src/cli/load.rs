//! How does a server bear a load?
//!
//! `flowgate load` sends requests at a fixed rate for distinct users and prints
//! how long the answers took. It works against any HTTP server: what is sent
//! is one of ours or given as method, path and body.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::Args;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde_json::json;

use super::{
    asking::{key_in, runtime},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::load::{self, Asked, Load, Target};

/// Arguments of `flowgate load`.
#[derive(Debug, Args)]
pub(super) struct LoadArguments {
    /// Servers, such as http://127.0.0.1:7070; connections take them in turn.
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// Key of the application, sent as x-api-key; others on the machine can
    /// read flags, so prefer --key-file.
    #[arg(long, value_name = "KEY", conflicts_with = "key_file")]
    key: Option<String>,
    /// File that holds the key.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Read this flow as a front end does, with its blocks (a blocks key).
    #[arg(long, value_name = "SID")]
    read: Vec<String>,
    /// Evaluate this flow with POST /v1/evaluate (a blocks or server key).
    #[arg(long, value_name = "SID")]
    evaluate: Vec<String>,
    /// Any other request: its path and query; {user} stands for the user.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Method for --path.
    #[arg(long, value_name = "METHOD", default_value = "GET", requires = "path")]
    method: String,
    /// JSON body for --path; {user} stands for the user.
    #[arg(long, value_name = "JSON", requires = "path")]
    body: Option<String>,
    /// Further header, such as 'Flowgate-Min-Revision: 0.7'.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Requests a second over all connections.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    rate: u32,
    /// Seconds that count.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    duration_s: u32,
    /// Seconds before that, which do not.
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    warm_up_s: u32,
    /// Connections, which are kept open.
    #[arg(long, value_name = "NUMBER", default_value = "32")]
    connections: NonZeroUsize,
    /// Distinct users, taken in turn.
    #[arg(long, value_name = "NUMBER", default_value = "100000")]
    users: NonZeroUsize,
    /// Milliseconds after which a request has failed.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout_ms: u32,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// `flowgate load`: 1 when the figures are not to be trusted or something was
/// refused.
pub(super) fn load(arguments: &LoadArguments, console: &mut Console) -> Result<Outcome, Failure> {
    let load = plan(arguments)?;
    let report = runtime()?.block_on(load::run(&load));
    match arguments.output {
        Output::Table => console.print(&report.text())?,
        Output::Json => table::json(console, &report.json())?,
    }
    let complaints = report.complaints();
    for complaint in &complaints {
        console.complain(complaint);
    }
    Ok(match complaints.is_empty() {
        true => Outcome::Done,
        false => Outcome::NotSo,
    })
}

fn plan(arguments: &LoadArguments) -> Result<Load, Failure> {
    let wrong = |error: load::PlanError| Failure::usage(error.to_string());
    let targets: Result<Vec<Target>, _> = arguments.urls.iter().map(|u| Target::parse(u)).collect();
    let requests = requests(arguments)?;
    if requests.is_empty() {
        return Err(Failure::usage("nothing to send found")
            .mend("say what to send: --read SID, --evaluate SID or --path PATH"));
    }
    if arguments.rate == 0 || arguments.duration_s == 0 {
        return Err(Failure::usage(
            "--rate and --duration-s of at least 1 are expected",
        ));
    }
    Ok(Load {
        targets: targets.map_err(wrong)?,
        requests,
        headers: headers(arguments)?,
        rate: f64::from(arguments.rate),
        duration: Duration::from_secs(arguments.duration_s.into()),
        warm_up: Duration::from_secs(arguments.warm_up_s.into()),
        connections: arguments.connections,
        users: arguments.users,
        patience: Duration::from_millis(arguments.timeout_ms.into()),
    })
}

fn requests(arguments: &LoadArguments) -> Result<Vec<Asked>, Failure> {
    let mut requests = Vec::new();
    for sid in &arguments.read {
        let path = format!("/v2/flow/{sid}?tag=latest&userIdentifier={{user}}&include=block");
        requests.push(Asked::new(Method::GET, &path, ""));
    }
    for sid in &arguments.evaluate {
        let body = json!({"subject": {"user": "{user}"}, "flows": {sid.as_str(): "latest"}});
        requests.push(Asked::new(Method::POST, "/v1/evaluate", &body.to_string()));
    }
    if let Some(path) = &arguments.path {
        let method: Method = arguments.method.parse().map_err(|_| {
            let method = &arguments.method;
            Failure::usage(format!("{method:?} is not a method such as GET or POST"))
        })?;
        let body = arguments.body.as_deref().unwrap_or_default();
        requests.push(Asked::new(method, path, body));
    }
    let checked: Result<Vec<Asked>, _> = requests.into_iter().collect();
    checked.map_err(|error| Failure::usage(error.to_string()))
}

fn headers(arguments: &LoadArguments) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let key = match &arguments.key_file {
        Some(file) => Some(key_in(file)?),
        None => arguments.key.clone(),
    };
    if let Some(key) = key {
        let mut value = HeaderValue::from_str(&key)
            // The text is a secret and is not repeated.
            .map_err(|_| Failure::usage("the key has characters that no header takes"))?;
        value.set_sensitive(true);
        headers.push((HeaderName::from_static("x-api-key"), value));
    }
    for text in &arguments.header {
        let parsed = text.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        headers.push(parsed.ok_or_else(|| {
            Failure::usage("--header is not a header such as 'Flowgate-Min-Revision: 0.7'")
        })?);
    }
    Ok(headers)
}

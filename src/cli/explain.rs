//! Why does this user see what they see?
//!
//! Asks an edge for the receipt of one decision and tells it in sentences, or
//! prints it as JSON, as `flowgate replay` reads it. With an archived snapshot
//! no edge is asked: then nothing stored is known, and only what is given here
//! is looked at.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    admin::dev_info,
    archive::{self, Number, Wanted},
    asking::{self, Asking, key_in},
    console::Console,
    failure::{Failure, Outcome},
    place::{Place, Trust},
    table::Output,
    told,
};
use crate::{
    clock::{Ambient, UnixMs},
    config::{DevInfo, Secret},
    evaluate::{Ask, Profile, Subject, SubjectView, Tag},
    receipt::{Inputs, Question, document},
    snapshot::{Deployment, Revision, Snapshot},
};

/// Arguments of `flowgate explain`.
#[derive(Args)]
pub(super) struct ExplainArguments {
    /// User id.
    #[arg(long, value_name = "ID")]
    user: String,
    /// The flow; without it, that of the deployment or of an exclusive channel.
    #[arg(long, value_name = "SID", conflicts_with = "deployment")]
    flow: Option<String>,
    /// A deployment by name or uid; it names flow and channel.
    #[arg(long, value_name = "NAME|UID", conflicts_with = "channel")]
    deployment: Option<String>,
    /// The channel of the request, such as web or intercom:acme.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Attributes of the request: an object as JSON.
    #[arg(long, value_name = "JSON", value_parser = object)]
    attributes: Option<Map<String, Value>>,
    /// The conversation of the request.
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// The group of the request.
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// latest, uncommitted or a number; counts where no deployment decides.
    #[arg(long, value_name = "TAG", default_value = "latest")]
    tag: Tag,
    /// Decide as if it were this time: RFC 3339, or milliseconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<UnixMs>,
    /// Decide at this revision, such as 0.17 or 17.
    #[arg(long, value_name = "N")]
    at_revision: Option<Number>,
    /// Ask no edge but this pack, edge's data folder or folder of packs.
    #[arg(
        long,
        value_name = "DIR|PACK",
        requires = "at_revision",
        requires = "trust_root",
        conflicts_with = "url"
    )]
    snapshot: Option<PathBuf>,
    /// The root document to trust, with --snapshot.
    #[arg(long, value_name = "FILE", requires = "snapshot")]
    trust_root: Option<PathBuf>,
    /// The environment: whose key of --data, or whose snapshot
    /// [default: development, or the only one of the folder].
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    #[command(flatten)]
    edge: EdgeTarget,
    /// Sentences, or the receipt as JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl std::fmt::Debug for ExplainArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExplainArguments").finish_non_exhaustive()
    }
}

/// Which edge, and who asks.
#[derive(Args)]
struct EdgeTarget {
    /// The edge [default: the one of --data, else http://127.0.0.1:7070].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Server key; others on the machine can read flags, so prefer --key-file.
    #[arg(long, value_name = "KEY", conflicts_with = "key_file")]
    key: Option<String>,
    /// File that holds a server key.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Data folder of a `flowgate dev`, whose dev.json has address and keys
    /// [default: ./.flowgate when it has one, no key is given, and no other
    /// edge by --url].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    trust: Trust,
}

/// `flowgate explain`.
pub(super) fn explain(
    arguments: &ExplainArguments,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    if arguments.flow.is_none() && arguments.deployment.is_none() && arguments.channel.is_none() {
        return Err(Failure::usage("nothing to explain is named")
            .mend("give --flow, --deployment, or an exclusive --channel"));
    }
    let text = match (&arguments.snapshot, &arguments.trust_root) {
        (Some(snapshot), Some(trust_root)) => offline(arguments, snapshot, trust_root)?,
        _ => asked(arguments)?,
    };
    if arguments.output == Output::Json {
        // As it came: reading and writing numbers again could change them.
        console.print(&format!("{}\n", text.trim_end()))?;
        return Ok(Outcome::Done);
    }
    let answer: Value = serde_json::from_str(&text).map_err(|error| {
        Failure::undone("the edge's answer is not JSON")
            .because(&error)
            .mend("is there a flowgate edge at this address?")
    })?;
    for line in told::sentences(&answer) {
        console.line(&line)?;
    }
    Ok(Outcome::Done)
}

/// The edge's answer.
fn asked(arguments: &ExplainArguments) -> Result<String, Failure> {
    let edge = arguments.edge.find(arguments.environment.as_deref())?;
    let (status, answer) = edge.call(
        Method::POST,
        &["v1", "explain"],
        &[],
        Some(&body(arguments)),
    )?;
    let text =
        String::from_utf8(answer).map_err(|_| Failure::undone("the edge's answer is not text"))?;
    if status != 200 {
        let refusal = asking::refusal("edge", status, text.as_bytes());
        return Err(match status {
            401 | 403 => {
                refusal.mend("give a server key of the environment by --key, --key-file or --data")
            }
            _ => refusal,
        });
    }
    if let Some(wanted) = arguments.at_revision {
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let found = answer["receipt"]["revision"].as_str().unwrap_or_default();
        let fits = found
            .parse()
            .is_ok_and(|found: Revision| wanted.fits(found));
        if !fits {
            return Err(Failure::undone(format!(
                "the edge serves another revision: found {found}, expected {wanted}"
            ))
            .mend(
                "an earlier revision is explained offline: --snapshot with a pack an edge kept, and --trust-root",
            ));
        }
    }
    Ok(text)
}

/// The request's body.
fn body(arguments: &ExplainArguments) -> Value {
    let mut subject = json!({"user": arguments.user});
    let optional = [
        ("group", &arguments.group),
        ("conversation", &arguments.conversation),
    ];
    for (member, value) in optional {
        if let Some(value) = value {
            subject[member] = json!(value);
        }
    }
    if let Some(attributes) = &arguments.attributes {
        subject["attributes"] = json!(attributes);
    }
    let mut body = json!({"subject": subject});
    let optional = [
        ("flow", &arguments.flow),
        ("channel", &arguments.channel),
        ("deployment", &arguments.deployment),
    ];
    for (member, value) in optional {
        if let Some(value) = value {
            body[member] = json!(value);
        }
    }
    body["tag"] = json!(crate::receipt::tag_text(arguments.tag));
    if let Some(now) = arguments.now {
        body["now"] = json!(now);
    }
    body
}

/// The receipt against an archived snapshot.
fn offline(
    arguments: &ExplainArguments,
    path: &Path,
    trust_root: &Path,
) -> Result<String, Failure> {
    let revision = arguments.at_revision.unwrap_or(Number::Alone(0));
    let wanted = Wanted {
        environment: arguments.environment.as_deref(),
        revision,
    };
    let clock = Ambient::system().now_ms();
    let snapshot = archive::at_revision(path, trust_root, wanted, clock)?;
    let (flow, channel) = place(arguments, &snapshot)?;
    let user = Subject::unseen(&arguments.user);
    let group = arguments.group.as_deref().map(|group| Profile {
        identifier: group.into(),
        ..Profile::default()
    });
    let view = SubjectView {
        user: &user,
        group: group.as_ref(),
        attributes: arguments.attributes.as_ref(),
        conversation: arguments.conversation.as_deref(),
    };
    let question = Question {
        ask: Ask {
            sid: flow,
            tag: arguments.tag,
            channel,
            membership: None,
        },
        projects: &[],
        now: arguments.now.unwrap_or(clock),
        // Whatever is stored of the user is not at hand.
        assumed: true,
    };
    let inputs = Inputs::of(&snapshot, &view, &question);
    let document = document(&snapshot, &inputs)
        .map_err(|error| Failure::undone("no receipt can be made").because(&error))?;
    Ok(document.to_string())
}

/// Flow and channel that are asked about.
fn place<'a>(
    arguments: &'a ExplainArguments,
    snapshot: &'a Snapshot,
) -> Result<(&'a str, Option<&'a str>), Failure> {
    let channel = arguments.channel.as_deref();
    if let Some(wanted) = &arguments.deployment {
        let named =
            |own: &&std::sync::Arc<Deployment>| *own.name == **wanted || *own.uid == **wanted;
        let found = snapshot.deployments.iter().find(named).ok_or_else(|| {
            let names = snapshot.deployments.iter().map(|own| &*own.name);
            let names: Vec<&str> = names.collect();
            Failure::undone(format!(
                "deployment {wanted:?} is not in the snapshot, expected one of: {}",
                names.join(", ")
            ))
        })?;
        return Ok((&found.flow_sid, Some(&found.channel)));
    }
    if let Some(flow) = &arguments.flow {
        return Ok((flow, channel));
    }
    let sole = channel.and_then(|name| snapshot.channels.get(name)?.sole.as_ref());
    let sole = sole.ok_or_else(|| {
        Failure::undone(format!(
            "channel {:?} does not name a flow, expected an exclusive channel with an active deployment",
            channel.unwrap_or_default()
        ))
        .mend("give --flow")
    })?;
    Ok((&sole.flow_sid, channel))
}

impl EdgeTarget {
    fn find(&self, environment: Option<&str>) -> Result<Asking, Failure> {
        let given = match (&self.key, &self.key_file) {
            (Some(key), _) => Some(key.clone()),
            (None, Some(file)) => Some(key_in(file)?),
            (None, None) => None,
        };
        let info = match (&self.data, &given) {
            (Some(folder), _) => Some(dev_info(folder)?),
            // Its key is sent to no other edge unasked.
            (None, None) => DevInfo::read(Path::new("./.flowgate/dev.json"))
                .ok()
                .filter(|info| {
                    let url = self.url.as_deref();
                    url.is_none_or(|url| Place::is_one(url, &info.edge_url))
                }),
            (None, Some(_)) => None,
        };
        let environment = environment.unwrap_or("development");
        let of_dev = info
            .as_ref()
            .and_then(|info| info.key(environment, "server"));
        let key = given
            .or_else(|| of_dev.map(ToOwned::to_owned))
            .ok_or_else(|| {
                Failure::usage(format!(
                    "no server key of environment {environment} was given"
                ))
                .mend("give --key, --key-file, or --data with the folder of a flowgate dev")
            })?;
        let url = match (&self.url, info) {
            (Some(url), _) => url.clone(),
            // Keys are kept before the edge is up for the first time.
            (None, Some(info)) if info.edge_url.is_empty() => {
                return Err(Failure::undone("dev.json names no edge")
                    .mend("start flowgate dev: none of its starts came so far as to have one"));
            }
            (None, Some(info)) => info.edge_url,
            (None, None) => "http://127.0.0.1:7070".to_owned(),
        };
        Asking::edge(&url, Secret::new(key), &self.trust)
    }
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match value {
        Value::Object(members) => Ok(members),
        other => Err(format!(
            "found {other}, expected an object such as {{\"tags\":[\"vip\"]}}"
        )),
    }
}

/// RFC 3339, or milliseconds.
fn time(text: &str) -> Result<UnixMs, String> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let time = text.parse::<jiff::Timestamp>().ok();
    let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    ms.ok_or_else(|| {
        format!("found {text:?}, expected a time such as 2026-11-22T07:00:00Z, or milliseconds since 1970")
    })
}

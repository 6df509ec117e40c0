//! Why is it decided so for this subject?
//!
//! One decision with everything that led to it, for server keys. It reads what
//! an evaluation reads and saves nothing: no start, no migration, no
//! membership. An unknown flow or version is a receipt with its reason.

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::wire::{SubjectBody, Text, VersionTag};
use crate::{
    clock::UnixMs,
    evaluate::{Ask, Tag, deployment_of, enrolment},
    http::{
        Answer,
        json::{self, object},
    },
    progress::Remembered,
    receipt::{self, Inputs, Question},
    server::{
        EdgeService,
        asked::Posted,
        auth::Access,
        error::{AuthError, Fault, Invalid, Missing},
        respond::mark_assumed,
        target::place,
    },
};

/// `POST /v1/explain`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainBody<'a> {
    #[serde(borrow, deserialize_with = "object")]
    subject: SubjectBody<'a>,
    #[serde(borrow, default)]
    channel: Option<Text<'a>>,
    #[serde(borrow, default)]
    flow: Option<Text<'a>>,
    #[serde(default)]
    tag: Option<VersionTag>,
    /// By name or uid; stands for flow and channel.
    #[serde(borrow, default)]
    deployment: Option<Text<'a>>,
    #[serde(default)]
    now: Option<Moment>,
}

/// A time: RFC 3339, or milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment(UnixMs);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl Visitor<'_> for Seen {
            type Value = Moment;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a time such as 2026-11-22T07:00:00Z, or milliseconds since 1970")
            }

            fn visit_u64<E: de::Error>(self, ms: u64) -> Result<Moment, E> {
                Ok(Moment(ms))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                let time = text.parse::<jiff::Timestamp>().ok();
                let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
                ms.map(Moment)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

/// `POST /v1/explain`.
pub(crate) async fn explain(edge: &EdgeService, posted: &Posted<'_>) -> Result<Answer, Fault> {
    let access = posted.access()?;
    let body: ExplainBody<'_> = json::parse(&posted.bytes, json::Limits::default())?;
    let named = body.subject.check(access)?;
    let (sid, channel) = body.place(access)?;
    let clock = edge.now();
    let environment = access.environment;
    let place = place(environment);
    let read = edge.progress.read(&place, named.user, named.group).await?;
    let view = named.view(&read);
    let deployment = deployment_of(&environment.snapshot, &sid, channel.as_deref());
    let remembered = match deployment.and_then(|deployment| enrolment(deployment, &view)) {
        Some(key) => edge.progress.membership(&place, &key).await?,
        None => Remembered {
            membership: None,
            assumed: false,
        },
    };
    let assumed = read.assumed || remembered.assumed;
    let question = Question {
        ask: Ask {
            sid: &sid,
            tag: body.tag.map_or(Tag::Latest, |VersionTag(tag)| tag),
            channel: channel.as_deref(),
            membership: remembered.membership,
        },
        projects: &access.key.projects,
        now: body.now.map_or(clock, |Moment(ms)| ms),
        assumed,
    };
    let inputs = Inputs::of(&environment.snapshot, &view, &question);
    let document = receipt::document(&environment.snapshot, &inputs);
    // Made of this snapshot a moment ago: they fit it.
    let document = document.map_err(|error| Invalid::Value {
        what: "the receipt",
        found: error.to_string(),
        expected: "inputs that can be written",
    })?;
    let answer = edge
        .stamps
        .evaluated(environment, clock, document.to_string().into_bytes());
    Ok(mark_assumed(answer, assumed))
}

impl ExplainBody<'_> {
    /// The flow and the channel that are asked about.
    fn place<'b>(
        &'b self,
        access: Access<'b>,
    ) -> Result<(Cow<'b, str>, Option<Cow<'b, str>>), Fault> {
        let snapshot = &access.environment.snapshot;
        if let Some(wanted) = &self.deployment {
            for (other, given) in [("flow", self.flow.is_some()), ("channel", self.channel.is_some())]
            {
                if given {
                    return Err(Invalid::Both {
                        one: "deployment",
                        other,
                    }
                    .into());
                }
            }
            let wanted: &str = wanted.as_ref();
            let visible = snapshot.deployments.iter().find(|own| {
                let flow = snapshot.flows.get(&own.flow_sid);
                (*own.name == *wanted || *own.uid == *wanted)
                    && flow.is_some_and(|flow| access.key.sees(&flow.project))
            });
            let found = visible.ok_or_else(|| Missing::Deployment {
                name: wanted.to_owned(),
                environment: snapshot.environment.to_string(),
            })?;
            let channel = channel_of(access, Some(&found.channel))?;
            return Ok((Cow::Borrowed(&found.flow_sid), channel));
        }
        let channel = channel_of(access, self.channel.as_ref().map(AsRef::as_ref))?;
        if let Some(flow) = &self.flow {
            return Ok((Cow::Borrowed(flow.as_ref()), channel));
        }
        let sole = channel
            .as_deref()
            .and_then(|name| snapshot.channels.get(name)?.sole.as_ref());
        let sole = sole.ok_or(Invalid::Missing {
            what: "flow",
            expected: "a flow's sid, a deployment, or an exclusive channel with an active deployment",
        })?;
        Ok((Cow::Borrowed(&sole.flow_sid), channel))
    }
}

/// The key's own channel, or the one that is named: naming another than the
/// key's is refused.
fn channel_of<'b>(
    access: Access<'b>,
    named: Option<&'b str>,
) -> Result<Option<Cow<'b, str>>, Fault> {
    let bound = access.key.channel.as_deref();
    match (bound, named) {
        (Some(bound), Some(named)) if bound != named => Err(AuthError::Channel {
            found: named.into(),
            expected: bound.into(),
        }
        .into()),
        (bound, named) => Ok(bound.or(named).map(Cow::Borrowed)),
    }
}

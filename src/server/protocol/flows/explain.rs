//! Why is it decided so for this subject?
//!
//! One decision with everything that led to it, for server keys. It reads what
//! an evaluation reads and saves nothing: no start, no migration, no
//! membership. An unknown flow or version is a receipt with its reason.

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::{
    evaluate::sole_flow,
    wire::{SubjectBody, Text, VersionTag},
};
use crate::{
    clock::UnixMs,
    evaluate::{Ask, Tag, deployment_of},
    http::{
        Answer,
        json::{self, object},
    },
    receipt::{self, Inputs, Question},
    server::{
        EdgeService,
        asked::Posted,
        auth::Access,
        deciding::{Inquiry, channel},
        error::{Fault, Invalid, Missing},
        respond::mark_assumed,
    },
    snapshot::Deployment,
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
    let who = body.subject.check(access)?;
    let deployment = body.deployment(access)?;
    let named = deployment.map(|own| &*own.channel);
    let named = named.or(body.channel.as_ref().map(AsRef::as_ref));
    let clock = edge.now();
    let now = body.now.map_or(clock, |Moment(ms)| ms);
    let inquiry = Inquiry::open(access, who, channel(access.key, named)?, (now, clock))?;
    let sid = match (deployment, &body.flow) {
        (Some(deployment), _) => &deployment.flow_sid,
        (None, Some(flow)) => flow.as_ref(),
        (None, None) => sole_flow(&inquiry)?,
    };
    let known = inquiry.known(edge, std::iter::once(sid)).await?;
    let question = Question {
        ask: Ask {
            sid,
            tag: body.tag.map_or(Tag::Latest, |VersionTag(tag)| tag),
            channel: inquiry.channel,
            membership: known.remembered(0).membership,
        },
        projects: &access.key.projects,
        now: inquiry.now,
        assumed: known.is_assumed(),
    };
    let environment = access.environment;
    let inputs = Inputs::of(&environment.snapshot, &inquiry.view(&known.read), &question);
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
    Ok(mark_assumed(answer, question.assumed))
}

impl ExplainBody<'_> {
    /// The deployment that stands for flow and channel, if one is named. It has
    /// to be the one that decides there: a receipt for another one would answer
    /// a question that nobody asked.
    fn deployment<'e>(&self, access: Access<'e>) -> Result<Option<&'e Deployment>, Fault> {
        let Some(wanted) = &self.deployment else {
            return Ok(None);
        };
        let others = [("flow", &self.flow), ("channel", &self.channel)];
        for (other, given) in others {
            if given.is_some() {
                return Err(Invalid::Both {
                    one: "deployment",
                    other,
                }
                .into());
            }
        }
        let wanted: &str = wanted.as_ref();
        let snapshot = &access.environment.snapshot;
        // A deployment of another project is as unknown as its flow.
        let visible = snapshot.deployments.iter().find(|own| {
            let flow = snapshot.flows.get(&own.flow_sid);
            (*own.name == *wanted || *own.uid == *wanted)
                && flow.is_some_and(|flow| access.key.sees(&flow.project))
        });
        let found = visible.ok_or_else(|| Missing::Deployment {
            name: wanted.to_owned(),
            environment: snapshot.environment.to_string(),
        });
        let named = found?;
        match deployment_of(snapshot, &named.flow_sid, Some(&named.channel)) {
            Some(decides) if decides.uid != named.uid => Err(Fault::Deployment {
                named: spelled(named),
                decides: spelled(decides),
                channel: named.channel.to_string(),
            }),
            _ => Ok(Some(named)),
        }
    }
}

/// By both: names are for people, and uids alone are certain.
fn spelled(deployment: &Deployment) -> String {
    format!("{} ({})", deployment.name, deployment.uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_milliseconds() {
        let read = |text: &str| serde_json::from_str::<Moment>(text).ok();
        assert_eq!(read("1700000000123"), Some(Moment(1_700_000_000_123)));
        let said = read("\"2023-11-14T22:13:20.123Z\"");
        assert_eq!(said, Some(Moment(1_700_000_000_123)));
        for bad in [
            "-1",
            "1.5",
            "\"yesterday\"",
            "\"1969-12-31T00:00:00Z\"",
            "[]",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

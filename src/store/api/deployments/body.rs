//! How is a deployment written down for authors, and read from them?
//!
//! Members have the names of project files, percentages are basis points. POST
//! makes one, PUT says everything anew (but for the salt, which survives),
//! PATCH says only what changes. A percentage that is set without a schedule
//! ends the one there is: whoever sets it by hand wants it to stay.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::super::problem::Problem;
use crate::{
    clock::UnixMs,
    http::json::Object,
    snapshot::wire::{
        AlternativePart, OnVersionChange, Remember, RolloutId, RolloutPart, RuleOperator, RulePart,
        ScheduledPart, VersionPolicy,
    },
    store::{
        DeployError, Deployment, Store, StoreError, Workspace,
        deploying::{BASIS_POINTS, fresh_salt, fresh_uid},
        known_environment,
        schedule::basis_points_at,
    },
};

/// What an author says of a deployment; what is left out depends on the method.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Body {
    environment: Option<String>,
    flow: Option<String>,
    name: Option<String>,
    channel: Option<String>,
    version: Option<Version>,
    active: Option<bool>,
    audience: Option<Vec<Object<AlternativeBody>>>,
    basis_points: Option<u16>,
    schedule: Option<Vec<Object<ScheduledBody>>>,
    salt: Option<String>,
    id: Option<RolloutId>,
    remember: Option<Remember>,
    /// Null takes it back.
    #[serde(default, deserialize_with = "given")]
    on_version_change: Option<Option<OnVersionChange>>,
}

/// Tells null from absent.
fn given<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<OnVersionChange>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// `"latest"` or a number.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Version {
    Number(u32),
    Latest(Latest),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Latest {
    Latest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlternativeBody {
    #[serde(default)]
    name: Option<String>,
    rules: Vec<Object<RuleBody>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RuleBody {
    attribute: String,
    operator: RuleOperator,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    value: Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ignore_case: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ScheduledBody {
    #[serde(deserialize_with = "time")]
    at: UnixMs,
    basis_points: u16,
}

/// RFC 3339, or milliseconds.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixMs, D::Error> {
    let found = Value::deserialize(deserializer)?;
    let ms = match &found {
        Value::String(text) => text
            .parse::<jiff::Timestamp>()
            .ok()
            .and_then(|time| u64::try_from(time.as_millisecond()).ok()),
        other => other.as_u64(),
    };
    ms.ok_or_else(|| {
        serde::de::Error::custom(format!(
            "at is {found}, expected a time such as 2026-11-22T07:00:00Z or milliseconds since 1970"
        ))
    })
}

/// The deployment a POST describes.
pub(super) fn create(
    store: &Store,
    workspace: &Workspace,
    body: Body,
) -> Result<Deployment, Problem> {
    let missing = |what: &str| {
        Problem::new(400, "missing-member", format!("{what} is missing"))
            .found("nothing")
            .expected("environment, flow, name and channel")
    };
    let environment = body.environment.as_deref();
    let environment = environment.ok_or_else(|| missing("environment"))?;
    let environment_uid = known_environment(workspace, environment)?.uid.clone();
    let sid = body.flow.clone().ok_or_else(|| missing("flow"))?;
    let flow = workspace.flows.get(&sid);
    let flow = flow.ok_or(StoreError::Deploy(DeployError::UnknownFlow(sid)))?;
    let plain = Deployment {
        uid: fresh_uid(&store.ambient),
        name: body.name.clone().ok_or_else(|| missing("name"))?,
        environment_uid,
        flow_uid: flow.uid.clone(),
        channel: body.channel.clone().ok_or_else(|| missing("channel"))?,
        policy: VersionPolicy::Latest,
        rollout: RolloutPart {
            basis_points: BASIS_POINTS,
            salt: fresh_salt(&store.ambient),
            ..RolloutPart::default()
        },
        on_version_change: None,
        active: true,
    };
    Ok(body.over(&plain))
}

/// A body that says everything: what it leaves out is as in a new one.
pub(super) fn whole(body: Body) -> Result<Body, Problem> {
    for (what, given) in [
        ("name", body.name.is_some()),
        ("channel", body.channel.is_some()),
    ] {
        if !given {
            return Err(
                Problem::new(400, "missing-member", format!("{what} is missing"))
                    .found("nothing")
                    .expected("name and channel; PATCH changes single members"),
            );
        }
    }
    Ok(Body {
        version: body.version.or(Some(Version::Latest(Latest::Latest))),
        audience: body.audience.or_else(|| Some(Vec::new())),
        basis_points: body.basis_points.or(Some(BASIS_POINTS)),
        schedule: body.schedule.or_else(|| Some(Vec::new())),
        id: body.id.or_else(|| Some(RolloutId::default())),
        remember: body.remember.or_else(|| Some(Remember::default())),
        on_version_change: body.on_version_change.or(Some(None)),
        ..body
    })
}

/// Where a deployment is stays as it is: records and receipts name it by uid.
pub(super) fn check_place(workspace: &Workspace, body: &Body, uid: &str) -> Result<(), Problem> {
    let Some(own) = workspace.deployments.get(uid) else {
        return Ok(());
    };
    let environment = workspace.environment_by_uid(&own.environment_uid);
    let flow = workspace.flow_by_uid(&own.flow_uid);
    let pairs = [
        (
            "environment",
            &body.environment,
            environment.map(|own| &own.name),
        ),
        ("flow", &body.flow, flow.map(|own| &own.sid)),
    ];
    for (what, given, expected) in pairs {
        if let (Some(given), Some(expected)) = (given, expected)
            && given != expected
        {
            return Err(Problem::new(
                422,
                "deployment-refused",
                format!("the {what} of a deployment never changes"),
            )
            .found(given)
            .expected(expected));
        }
    }
    Ok(())
}

impl Body {
    /// An old deployment with what this says.
    pub(super) fn over(self, old: &Deployment) -> Deployment {
        let rollout = &old.rollout;
        let alternatives = self.audience.map(|alternatives| {
            let parts = alternatives.into_iter().map(|Object(own)| own.part());
            parts.collect()
        });
        // Without this a step that is over would go on deciding, and one to
        // come would undo what was set.
        let by_hand = self.basis_points.map(|_| Vec::new());
        let schedule = self.schedule.or(by_hand).map(|schedule| {
            let mut schedule: Vec<ScheduledPart> = schedule
                .into_iter()
                .map(|Object(own)| ScheduledPart {
                    at_ms: own.at,
                    basis_points: own.basis_points,
                })
                .collect();
            schedule.sort_by_key(|entry| entry.at_ms);
            schedule
        });
        Deployment {
            uid: old.uid.clone(),
            environment_uid: old.environment_uid.clone(),
            flow_uid: old.flow_uid.clone(),
            name: self.name.unwrap_or_else(|| old.name.clone()),
            channel: self.channel.unwrap_or_else(|| old.channel.clone()),
            policy: match self.version {
                Some(Version::Number(number)) => VersionPolicy::Pinned(number),
                Some(Version::Latest(_)) => VersionPolicy::Latest,
                None => old.policy,
            },
            rollout: RolloutPart {
                alternatives: alternatives.unwrap_or_else(|| rollout.alternatives.clone()),
                basis_points: self.basis_points.unwrap_or(rollout.basis_points),
                schedule: schedule.unwrap_or_else(|| rollout.schedule.clone()),
                salt: self.salt.unwrap_or_else(|| rollout.salt.clone()),
                id: self.id.unwrap_or_else(|| rollout.id.clone()),
                remember: self.remember.unwrap_or(rollout.remember),
            },
            on_version_change: self.on_version_change.unwrap_or(old.on_version_change),
            active: self.active.unwrap_or(old.active),
        }
    }
}

impl AlternativeBody {
    fn part(self) -> AlternativePart {
        let rules = self.rules.into_iter().map(|Object(rule)| RulePart {
            attribute: rule.attribute,
            operator: rule.operator,
            value: rule.value,
            ignore_case: rule.ignore_case,
        });
        AlternativePart {
            name: self.name,
            rules: rules.collect(),
        }
    }
}

/// A deployment as authors read it, in the members they write.
pub(in crate::store::api) fn written(
    workspace: &Workspace,
    own: &Deployment,
    now: UnixMs,
) -> Value {
    let environment = workspace.environment_by_uid(&own.environment_uid);
    let rollout = &own.rollout;
    let audience = rollout.alternatives.iter().map(|alternative| {
        let rules = alternative.rules.iter().map(|rule| {
            json!(RuleBody {
                attribute: rule.attribute.clone(),
                operator: rule.operator,
                value: rule.value.clone(),
                ignore_case: rule.ignore_case,
            })
        });
        json!({"name": alternative.name, "rules": rules.collect::<Vec<_>>()})
    });
    let schedule = rollout.schedule.iter();
    let schedule = schedule.map(|entry| {
        json!(ScheduledBody {
            at: entry.at_ms,
            basis_points: entry.basis_points,
        })
    });
    let version = match own.policy {
        VersionPolicy::Latest => json!("latest"),
        VersionPolicy::Pinned(number) => json!(number),
    };
    json!({
        "uid": own.uid, "name": own.name, "environment": environment.map(|own| &own.name),
        "flow": workspace.flow_by_uid(&own.flow_uid).map(|flow| &flow.sid),
        "channel": own.channel, "version": version, "active": own.active,
        "audience": audience.collect::<Vec<_>>(), "basisPoints": rollout.basis_points,
        "basisPointsNow": basis_points_at(own, now),
        "schedule": schedule.collect::<Vec<_>>(), "salt": rollout.salt, "id": rollout.id,
        "remember": rollout.remember, "onVersionChange": own.on_version_change,
    })
}

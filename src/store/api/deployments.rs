//! What does the store answer about deployments?
//!
//! Members have the names of project files, percentages are basis points. A
//! deployment is named by its uid, or by its name and environment. POST makes
//! one, PUT says everything anew (but for the salt, which survives), PATCH says
//! only what changes.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::{Api, Response, admin::read, problem::Problem, route::Query, route::parameters};
use crate::{
    clock::UnixMs,
    http::json::Object,
    snapshot::wire::{
        AlternativePart, OnVersionChange, Remember, RolloutId, RolloutPart, RuleOperator, RulePart,
        ScheduledPart, VersionPolicy,
    },
    store::{
        DeployError, Deployment, Store, StoreError, Workspace,
        deploying::{BASIS_POINTS, fresh_salt, fresh_uid, full_launch},
        known_environment, touching,
    },
};

/// What an author says of a deployment; what is left out depends on the method.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Body {
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

/// What is asked of deployments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    List,
    Create,
    Show(String),
    Replace(String),
    Change(String),
    Activate(String),
    Deactivate(String),
    Delete(String),
}

/// Answers what is asked of deployments.
pub(super) async fn answer(
    api: &Api,
    asked: Asked,
    query: &Query,
    body: bytes::Bytes,
) -> Result<Response, Problem> {
    let [environment] = parameters(query, ["environment"])?;
    let environment = environment.as_deref();
    let workspace = api.store.workspace();
    let find = |which: &str| found(&workspace, environment, which).map(|own| own.uid.clone());
    let (uid, work): (String, Work) = match asked {
        Asked::List => return list(&workspace, environment),
        Asked::Show(which) => {
            return told(&workspace, found(&workspace, environment, &which)?);
        }
        Asked::Create => {
            let deployment = create(&api.store, &workspace, read(&body)?)?;
            (deployment.uid.clone(), Work::Create(Box::new(deployment)))
        }
        Asked::Replace(which) => (find(&which)?, Work::Change(Box::new(whole(read(&body)?)?))),
        Asked::Change(which) => (find(&which)?, Work::Change(Box::new(read(&body)?))),
        Asked::Activate(which) => (find(&which)?, Work::Active(true)),
        Asked::Deactivate(which) => (find(&which)?, Work::Active(false)),
        Asked::Delete(which) => (find(&which)?, Work::Delete),
    };
    let before = workspace.deployments.get(&uid).cloned();
    let made = matches!(work, Work::Create(_));
    let named = uid.clone();
    api.blocking(move |store| work.act(store, &named)).await?;
    api.settle().await?;
    let after = api.store.workspace();
    let Some(deployment) = after.deployments.get(&uid) else {
        return Ok(Response::empty(204));
    };
    let mut answer = written(&after, deployment);
    answer["notes"] = json!(notes(before.as_ref(), deployment));
    Ok(Response {
        etag: tag(&after, deployment),
        ..Response::json(if made { 201 } else { 200 }, &answer)?
    })
}

/// What is done, with the database at hand.
enum Work {
    Create(Box<Deployment>),
    Change(Box<Body>),
    Active(bool),
    Delete,
}

impl Work {
    fn act(self, store: &Store, uid: &str) -> Result<(), Problem> {
        match self {
            Self::Create(deployment) => store.put_deployment(*deployment)?,
            Self::Change(body) => {
                let workspace = store.workspace();
                check_place(&workspace, &body, uid)?;
                store.edit_deployment(uid, |old| body.over(old))?;
            }
            Self::Active(active) => store.set_deployment_active(uid, active)?,
            Self::Delete => store.delete_deployment(uid)?,
        }
        Ok(())
    }
}

/// A deployment with its tag.
fn told(workspace: &Workspace, own: &Deployment) -> Result<Response, Problem> {
    Ok(Response {
        etag: tag(workspace, own),
        ..Response::json(200, &written(workspace, own))?
    })
}

fn tag(workspace: &Workspace, own: &Deployment) -> Option<String> {
    Some(format!(
        "\"{}\"",
        touching::deployment_tag(workspace, &own.uid)
    ))
}

fn list(workspace: &Workspace, environment: Option<&str>) -> Result<Response, Problem> {
    let wanted = environment.map(|name| known_environment(workspace, name));
    let wanted = wanted.transpose()?;
    let fits = |own: &&Deployment| wanted.is_none_or(|env| env.uid == own.environment_uid);
    let mut found: Vec<&Deployment> = workspace.deployments.values().filter(fits).collect();
    found.sort_by(|a, b| (&a.environment_uid, &a.name).cmp(&(&b.environment_uid, &b.name)));
    let answer: Vec<Value> = found
        .into_iter()
        .map(|own| written(workspace, own))
        .collect();
    Response::json(200, &answer)
}

/// A deployment by uid, or by name where that names one.
fn found<'w>(
    workspace: &'w Workspace,
    environment: Option<&str>,
    which: &str,
) -> Result<&'w Deployment, Problem> {
    let wanted = environment.map(|name| known_environment(workspace, name));
    let wanted = wanted.transpose()?;
    let fits = |own: &&Deployment| {
        (own.uid == which || own.name == which)
            && wanted.is_none_or(|env| env.uid == own.environment_uid)
    };
    let mut fitting = workspace.deployments.values().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(own), None) => Ok(own),
        (Some(_), Some(_)) => Err(Problem::new(
            409,
            "ambiguous-deployment",
            format!("several environments have a deployment {which:?}"),
        )
        .found(which)
        .expected("its uid, or ?environment=NAME")),
        (None, _) => {
            let names = workspace.deployments.values().map(|own| own.name.as_str());
            let names: Vec<&str> = names.collect();
            let unknown = DeployError::UnknownDeployment(which.to_owned());
            Err(Problem::from(StoreError::Deploy(unknown))
                .found(which)
                .expected(&format!("one of: {}", names.join(", "))))
        }
    }
}

/// The deployment a POST describes.
fn create(store: &Store, workspace: &Workspace, body: Body) -> Result<Deployment, Problem> {
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
fn whole(body: Body) -> Result<Body, Problem> {
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
fn check_place(workspace: &Workspace, body: &Body, uid: &str) -> Result<(), Problem> {
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
    fn over(self, old: &Deployment) -> Deployment {
        let rollout = &old.rollout;
        let alternatives = self.audience.map(|alternatives| {
            let parts = alternatives.into_iter().map(|Object(own)| own.part());
            parts.collect()
        });
        let schedule = self.schedule.map(|schedule| {
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
pub(super) fn written(workspace: &Workspace, own: &Deployment) -> Value {
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
        "schedule": schedule.collect::<Vec<_>>(), "salt": rollout.salt, "id": rollout.id,
        "remember": rollout.remember, "onVersionChange": own.on_version_change,
    })
}

/// What an author should know about the ends of a percentage just set.
fn notes(before: Option<&Deployment>, after: &Deployment) -> Vec<&'static str> {
    let closes = |own: &Deployment| {
        let mut scheduled = own.rollout.schedule.iter();
        own.rollout.basis_points == 0 || scheduled.any(|entry| entry.basis_points == 0)
    };
    // A new deployment has excluded nobody yet.
    let launch = before.and_then(|own| full_launch(Some(own), after));
    let closed = (closes(after) && !before.is_some_and(closes)).then_some(
        "at 0 % nobody new enters and nothing is recorded; whoever was let in before stays in",
    );
    launch.into_iter().chain(closed).collect()
}

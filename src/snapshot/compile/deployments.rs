//! How are deployments put together?
//!
//! Each is checked and compiled by itself, then found its flow and its
//! channel. What cannot be served is set aside and named; its place is held by
//! an inactive one, because with nothing there the flow would be open to
//! everybody on that channel. On a channel (an exclusive one) or for a flow on
//! a channel, one deployment is active at most: of two, the later by uid is
//! set aside, so that what ran goes on.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    DeploymentFault,
    input::{Given, Input},
};
use crate::{
    evaluate::predicate::{Asked, Places, Predicate},
    limits::{
        ALTERNATIVES_MAX, CHANNEL_BYTES_MAX, RULES_PER_ALTERNATIVE_MAX, SALT_BYTES_MAX,
        SCHEDULE_ENTRIES_MAX, SID_BYTES_MAX,
    },
    snapshot::{
        model::{
            Alternative, Audience, Channel, Deployment, DeploymentKey, Flow, FlowKey,
            RolloutSource, Rule, Scheduled, SetAside,
        },
        parts::Place,
        wire::{ControlDocument, DeploymentPart, RolloutId, RolloutPart, RulePart, VersionPolicy},
    },
};

/// All of a percentage.
const BASIS_POINTS: u16 = 10_000;

/// Faults that are told of a deployment in a snapshot; whoever wrote it heard
/// of all of them from the store.
const FAULTS_TOLD_MAX: usize = 8;

/// Deployments and channels of a snapshot.
#[derive(Default)]
pub(super) struct Deployed {
    pub(super) deployments: Vec<Arc<Deployment>>,
    pub(super) channels: FxHashMap<Box<str>, Channel>,
    pub(super) set_aside: Vec<SetAside>,
    /// Those that were compiled anew.
    pub(super) made: Vec<(Option<Place>, Arc<Deployment>)>,
}

/// Compiles and links all of them.
pub(super) fn assemble(
    input: &Input<'_>,
    control: &ControlDocument,
    flows: &FxHashMap<Box<str>, Arc<Flow>>,
) -> Deployed {
    let by_uid: FxHashMap<&str, &Arc<Flow>> =
        flows.values().map(|flow| (&*flow.uid, flow)).collect();
    let inactive: FxHashSet<&str> = control
        .inactive_deployments
        .iter()
        .map(String::as_str)
        .collect();
    let mut deployed = Deployed::default();
    for channel in &input.settings.channels {
        let own = deployed.channels.entry(channel.name.as_str().into());
        // Described twice, the stricter word counts.
        own.or_default().exclusive |= channel.exclusive;
    }
    let mut uids: FxHashMap<DeploymentKey, &str> = FxHashMap::default();
    for given in &input.deployments {
        let part = given.part;
        let active = !inactive.contains(part.uid.as_str());
        let added = match by_uid.get(part.flow_uid.as_str()) {
            None => Err(format!("the flow {:?} is not served", part.flow_uid)),
            Some(flow) => match uids.insert(DeploymentKey::of(&part.uid), &part.uid) {
                None => deployed.add(given, flow, active),
                Some(other) => {
                    deployed.hold(part, flow);
                    Err(if other == part.uid {
                        format!("another deployment has the uid {other:?} already")
                    } else {
                        format!("its uid has the same hash as {other:?}")
                    })
                }
            },
        };
        if let Err(why) = added {
            let name = [&part.name, &part.uid];
            let name = name.into_iter().find(|name| !name.is_empty());
            deployed.set_aside.push(SetAside {
                flow: format!("deployment {}", name.map_or("", String::as_str)).into(),
                version: None,
                why,
            });
        }
    }
    deployed
}

impl Deployed {
    fn add(
        &mut self,
        given: &Given<'_, DeploymentPart, Deployment>,
        flow: &Flow,
        active: bool,
    ) -> Result<(), String> {
        let part = given.part;
        // A compiled deployment depends on its part and on these two.
        let same = |last: &&Arc<Deployment>| last.active == active && last.flow_sid == flow.sid;
        let compiled = match given.last.filter(same) {
            Some(last) => Arc::clone(last),
            None => match compile_deployment(part, &flow.sid, active) {
                Ok(compiled) => {
                    let compiled = Arc::new(compiled);
                    self.made.push((given.place, Arc::clone(&compiled)));
                    compiled
                }
                Err(faults) => {
                    self.hold(part, flow);
                    return Err(told(&faults));
                }
            },
        };
        let channel = self.channels.entry(compiled.channel.clone()).or_default();
        let in_force = channel.by_flow.get(&flow.key);
        let other = match &channel.sole {
            Some(sole) => Some(sole),
            None => in_force.filter(|other| other.active),
        };
        if let Some(other) = other.filter(|_| active) {
            let why = format!(
                "deployment {:?} is active {} channel {:?} already",
                other.name,
                match channel.exclusive {
                    true => "on the exclusive",
                    false => "for the same flow on",
                },
                part.channel
            );
            self.hold(part, flow);
            return Err(why);
        }
        if active || in_force.is_none() {
            channel.by_flow.insert(flow.key, Arc::clone(&compiled));
        }
        if active && channel.exclusive {
            channel.sole = Some(Arc::clone(&compiled));
        }
        self.deployments.push(compiled);
        Ok(())
    }

    /// Keeps the place of a deployment that cannot be served.
    fn hold(&mut self, part: &DeploymentPart, flow: &Flow) {
        if channel_fault(&part.channel).is_some() {
            return;
        }
        let channel = self.channels.entry(part.channel.as_str().into());
        let place = channel.or_default().by_flow.entry(flow.key);
        place.or_insert_with(|| {
            Arc::new(Deployment {
                uid: part.uid.as_str().into(),
                key: DeploymentKey::of(&part.uid),
                name: part.name.as_str().into(),
                flow: flow.key,
                flow_sid: flow.sid.clone(),
                channel: part.channel.as_str().into(),
                active: false,
                // Who looks at the place sees no draft through it.
                policy: match part.policy {
                    VersionPolicy::Pinned(0) => VersionPolicy::Latest,
                    sound => sound,
                },
                audience: Audience::default(),
                basis_points: 0,
                schedule: Box::default(),
                salt: Box::default(),
                id: RolloutSource::User,
                remember: part.rollout.remember,
                on_version_change: part.on_version_change,
            })
        });
    }
}

/// The first faults in words, and how many more there are.
fn told(faults: &[DeploymentFault]) -> String {
    let named = faults.iter().take(FAULTS_TOLD_MAX);
    let mut told: Vec<String> = named.map(ToString::to_string).collect();
    if let Some(more @ 1..) = faults.len().checked_sub(FAULTS_TOLD_MAX) {
        told.push(format!("and {more} more"));
    }
    told.join("; ")
}

/// Compiles one deployment, or says everything that is wrong with it. The
/// store validates authored deployments by this very function.
pub fn compile_deployment(
    part: &DeploymentPart,
    flow_sid: &str,
    active: bool,
) -> Result<Deployment, Vec<DeploymentFault>> {
    let mut faults = Faults(Vec::new());
    if part.uid.is_empty() || part.uid.len() > SID_BYTES_MAX {
        faults.add("uid", format!("expected 1 to {SID_BYTES_MAX} bytes"));
    }
    if let Some(fault) = channel_fault(&part.channel) {
        faults.add("channel", fault);
    }
    if part.policy == VersionPolicy::Pinned(0) {
        faults.add(
            "version",
            "found 0, expected latest or a committed version".to_owned(),
        );
    }
    let schedule = schedule(&part.rollout, &mut faults);
    let alternatives = alternatives(&part.rollout, &mut faults);
    let id = source(&part.rollout.id, &mut faults);
    if part.rollout.salt.len() > SALT_BYTES_MAX {
        faults.add("salt", format!("expected at most {SALT_BYTES_MAX} bytes"));
    }
    if !faults.0.is_empty() {
        return Err(faults.0);
    }
    Ok(Deployment {
        uid: part.uid.as_str().into(),
        key: DeploymentKey::of(&part.uid),
        name: part.name.as_str().into(),
        flow: FlowKey::of(&part.flow_uid),
        flow_sid: flow_sid.into(),
        channel: part.channel.as_str().into(),
        active,
        policy: part.policy,
        audience: Audience { alternatives },
        basis_points: part.rollout.basis_points,
        schedule,
        salt: format!("{}:", part.rollout.salt).into(),
        id,
        remember: part.rollout.remember,
        on_version_change: part.on_version_change,
    })
}

/// What is wrong with a channel's name: `platform`, or `platform:workspace`.
pub fn channel_fault(name: &str) -> Option<String> {
    let sound = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    let fits = name.len() <= CHANNEL_BYTES_MAX
        && match name.split_once(':') {
            None => sound(name),
            Some((platform, workspace)) => sound(platform) && sound(workspace),
        };
    (!fits).then(|| {
        format!(
            "found {name:?}, expected platform or platform:workspace of the characters \
             A-Z a-z 0-9 _ - . and at most {CHANNEL_BYTES_MAX} bytes"
        )
    })
}

/// Faults as they are found.
struct Faults(Vec<DeploymentFault>);

impl Faults {
    fn add(&mut self, place: impl Into<String>, rule: String) {
        self.0.push(DeploymentFault {
            place: place.into(),
            rule,
        });
    }
}

fn schedule(rollout: &RolloutPart, faults: &mut Faults) -> Box<[Scheduled]> {
    let too_much = |points: u16| {
        (points > BASIS_POINTS)
            .then(|| format!("found {points} basis points, expected 0 to {BASIS_POINTS}"))
    };
    if let Some(fault) = too_much(rollout.basis_points) {
        faults.add("percentage", fault);
    }
    if rollout.schedule.len() > SCHEDULE_ENTRIES_MAX {
        let found = rollout.schedule.len();
        faults.add(
            "schedule",
            format!("found {found} entries, expected at most {SCHEDULE_ENTRIES_MAX}"),
        );
    }
    let entries = rollout.schedule.iter().take(SCHEDULE_ENTRIES_MAX);
    for (place, entry) in entries.enumerate() {
        if let Some(fault) = too_much(entry.basis_points) {
            faults.add(format!("schedule entry {}", place + 1), fault);
        }
    }
    let mut pairs = rollout.schedule.iter().zip(rollout.schedule.iter().skip(1));
    if pairs.any(|(one, next)| one.at_ms >= next.at_ms) {
        faults.add("schedule", "expected ascending times".to_owned());
    }
    rollout
        .schedule
        .iter()
        .map(|entry| Scheduled {
            at_ms: entry.at_ms,
            basis_points: entry.basis_points,
        })
        .collect()
}

fn alternatives(rollout: &RolloutPart, faults: &mut Faults) -> Box<[Alternative]> {
    let found = rollout.alternatives.len();
    if found > ALTERNATIVES_MAX {
        faults.add(
            "audience",
            format!("found {found} alternatives, expected at most {ALTERNATIVES_MAX}"),
        );
    }
    let mut places = Places::default();
    let alternatives = rollout.alternatives.iter().enumerate();
    alternatives
        .take(ALTERNATIVES_MAX)
        .map(|(place, part)| {
            let place = format!("alternative {}", place + 1);
            let found = part.rules.len();
            if found == 0 {
                faults.add(&place, "found no rules, expected at least one".to_owned());
            }
            if found > RULES_PER_ALTERNATIVE_MAX {
                faults.add(
                    &place,
                    format!("found {found} rules, expected at most {RULES_PER_ALTERNATIVE_MAX}"),
                );
            }
            let rules = part.rules.iter().take(RULES_PER_ALTERNATIVE_MAX);
            let rules = rules.enumerate().filter_map(|(at, rule)| {
                let predicate = Predicate::rule_among(rule, &mut places);
                let predicate = predicate
                    .map_err(|why| faults.add(format!("{place}, rule {}", at + 1), why))
                    .ok()?;
                Some(Rule {
                    text: text_of(rule).into(),
                    predicate,
                })
            });
            Alternative {
                rules: rules.collect(),
                name: part.name.as_deref().map(Into::into),
            }
        })
        .collect()
}

/// A rule as a person reads it.
fn text_of(rule: &RulePart) -> String {
    // A unit variant is always written as its name.
    let operator = serde_json::to_value(rule.operator).unwrap_or_default();
    let operator = operator.as_str().unwrap_or_default();
    let case = if rule.ignore_case {
        " (ignoring case)"
    } else {
        ""
    };
    if rule.value.is_null() {
        return format!("{} {operator}", rule.attribute);
    }
    format!("{} {operator} {}{case}", rule.attribute, rule.value)
}

fn source(id: &RolloutId, faults: &mut Faults) -> RolloutSource {
    match id {
        RolloutId::User => RolloutSource::User,
        RolloutId::Group => RolloutSource::Group,
        RolloutId::Attribute(name) => {
            let asked = Asked::named(name).map_err(|why| faults.add("id", why));
            // With a fault it is never looked at.
            asked.map_or(RolloutSource::User, RolloutSource::Attribute)
        }
    }
}

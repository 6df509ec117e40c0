//! What is decided, told the slow way?
//!
//! The order of a decision, one step below the other.

use flowgate::evaluate::FlowState;
use flowgate::snapshot::wire::{
    DeploymentPart, FlowPart, OnVersionChange, Remember, RolloutId, VersionPolicy,
};
use serde_json::Value;

use super::{Memory, Person, Place, State, World, migrate, murmur, rules, steps, version};

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) sid: String,
    /// None for the newest committed version.
    pub(crate) tag: Option<u32>,
    pub(crate) channel: Option<String>,
}

/// What comes of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) reason: &'static str,
    pub(crate) served: bool,
    /// Its uid.
    pub(crate) flow: Option<String>,
    /// None without a version to show.
    pub(crate) number: Option<u32>,
    pub(crate) source: &'static str,
    pub(crate) deployment: Option<String>,
    pub(crate) enrolled: Option<Enrolled>,
    pub(crate) may_start: bool,
    /// Stored, or made.
    pub(crate) state: Option<Seen>,
    /// From which version it was made, and whether it is stored at once.
    pub(crate) made: Option<(u32, bool)>,
}

/// A state in the form in which both sides are compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen(pub(crate) FlowState);

impl From<FlowState> for Seen {
    fn from(state: FlowState) -> Self {
        Self(state)
    }
}

impl Answer {
    /// Whether the subject may step at all.
    pub(crate) fn may_step(&self) -> bool {
        match self.reason {
            "started" | "finished" | "stopped" | "entry_condition" | "pinned" | "member" => true,
            "percentage" => self.enrolled.as_ref().is_some_and(|own| own.is_in),
            _ => false,
        }
    }
}

/// How the percentage decided.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Enrolled {
    pub(crate) is_in: bool,
    pub(crate) bucket: u16,
    pub(crate) basis_points: u16,
    pub(crate) recorded: bool,
    pub(crate) to_record: Option<(bool, u16)>,
}

/// Decides.
pub(crate) fn decide(
    world: &World,
    person: &Person,
    memory: &Memory,
    question: &Question,
) -> Answer {
    let unknown = Answer {
        reason: "unknown_flow",
        source: "tag",
        ..Answer::default()
    };
    let Some(flow) = world.flows.iter().find(|flow| flow.sid == question.sid) else {
        return unknown;
    };
    let unknown = Answer {
        flow: Some(flow.uid.clone()),
        ..unknown
    };
    let deployment = deployed(world, flow, question.channel.as_deref());
    let off = world.is_disabled(flow);
    let inactive = deployment.is_some_and(|own| is_inactive(world, own));
    let pin = pin(memory, person, flow, deployment);
    if deployment.is_none() && flow.deployments_only {
        return Answer {
            reason: if off {
                "disabled"
            } else {
                "deployment_required"
            },
            number: Some(0),
            ..unknown
        };
    }
    let (wanted, source) = match (pin, deployment) {
        (Some(number), _) => (Some(number), "pin"),
        (None, Some(deployment)) => match deployment.policy {
            VersionPolicy::Latest => (world.newest(flow), "policy"),
            VersionPolicy::Pinned(number) => (Some(number), "policy"),
        },
        (None, None) => match question.tag {
            Some(number) => (Some(number), "tag"),
            None => (world.newest(flow), "tag"),
        },
    };
    let answer = Answer {
        source,
        deployment: deployment.map(|own| own.uid.clone()),
        ..unknown
    };
    let Some(number) = wanted else {
        return Answer {
            reason: if off { "disabled" } else { "empty_version" },
            number: Some(0),
            ..answer
        };
    };
    let Some(version) = world.version(&flow.uid, number) else {
        return Answer {
            reason: "unknown_version",
            number: Some(number),
            ..answer
        };
    };
    let place: Place = (flow.uid.clone(), number, person.conversation.clone());
    let stored = memory.states.get(&place).cloned();
    let mut answer = Answer {
        number: Some(number),
        state: stored.as_ref().map(seen),
        ..answer
    };
    if off || inactive {
        answer.reason = if off { "disabled" } else { "inactive" };
        return answer;
    }
    let mut let_in = if pin.is_some() {
        "pinned"
    } else {
        "entry_condition"
    };
    if let (Some(deployment), None) = (deployment, pin) {
        match admitted(world, person, memory, deployment) {
            Err((reason, enrolled)) => {
                answer.reason = reason;
                answer.enrolled = enrolled;
                return answer;
            }
            Ok(enrolled) => {
                let_in = if enrolled.recorded {
                    "member"
                } else {
                    "percentage"
                };
                answer.enrolled = Some(enrolled);
            }
        }
    }
    let mut state = stored;
    if let Some((from, save, own)) = migrate::made(world, memory, &place) {
        state = Some(own);
        answer.made = Some((from, save));
        answer.source = "migration";
    }
    answer.state = state.as_ref().map(seen);
    let begun = state.as_ref().filter(|state| state.started);
    match begun {
        Some(state) => {
            answer.reason = match state {
                State { finished: true, .. } => "finished",
                State { stopped: true, .. } => "stopped",
                _ => "started",
            };
            answer.served = true;
            answer.may_start = !version::shut_gates(version, state).is_empty();
        }
        None => {
            answer.may_start = steps::qualifies(world, person, version);
            answer.served = answer.may_start;
            answer.reason = if answer.may_start {
                let_in
            } else {
                "entry_condition"
            };
        }
    }
    answer
}

fn seen(state: &State) -> Seen {
    Seen(crate::reference::real::compact(state))
}

/// The deployment that decides: the active one, else the first by uid.
fn deployed<'w>(
    world: &'w World,
    flow: &FlowPart,
    channel: Option<&str>,
) -> Option<&'w DeploymentPart> {
    let channel = channel?;
    let mut own: Vec<&DeploymentPart> = world
        .deployments
        .iter()
        .filter(|own| own.flow_uid == flow.uid && own.channel == channel)
        .collect();
    own.sort_by_key(|deployment| (is_inactive(world, deployment), &deployment.uid));
    own.first().copied()
}

fn is_inactive(world: &World, deployment: &DeploymentPart) -> bool {
    world.control.inactive_deployments.contains(&deployment.uid)
}

/// The version that a conversation (or, under `stay`, the user) has begun.
fn pin(
    memory: &Memory,
    person: &Person,
    flow: &FlowPart,
    deployment: Option<&DeploymentPart>,
) -> Option<u32> {
    let change = deployment.and_then(|own| own.on_version_change);
    let stays = match change {
        Some(OnVersionChange::Stay) => true,
        Some(OnVersionChange::Migrate) => false,
        None => person.conversation.is_some(),
    };
    if !stays {
        return None;
    }
    let own = memory
        .states
        .keys()
        .filter(|(uid, _, conversation)| *uid == flow.uid && *conversation == person.conversation);
    own.map(|(_, number, _)| *number).max()
}

/// Recorded membership, audience, percentage.
fn admitted(
    world: &World,
    person: &Person,
    memory: &Memory,
    deployment: &DeploymentPart,
) -> Result<Enrolled, (&'static str, Option<Enrolled>)> {
    let rollout = &deployment.rollout;
    let mut points = rollout.basis_points;
    for entry in &rollout.schedule {
        if entry.at_ms <= world.now {
            points = entry.basis_points;
        }
    }
    let id = id(&rollout.id, person);
    let conversation = match rollout.remember {
        Remember::Conversation => person.conversation.clone(),
        _ => None,
    };
    let record = match (&id, rollout.remember) {
        (_, Remember::Nothing) | (None, _) => None,
        (Some(id), _) => memory
            .memberships
            .get(&(deployment.uid.clone(), id.clone(), conversation))
            .copied(),
    };
    let found = |id: &str, is_in, basis_points, recorded, to_record| Enrolled {
        is_in,
        bucket: murmur::bucket(&rollout.salt, id),
        basis_points,
        recorded,
        to_record,
    };
    match (record, &id) {
        (Some((true, at)), Some(id)) => return Ok(found(id, true, at, true, None)),
        (Some((false, at)), Some(id)) if points < 10_000 => {
            return Err(("excluded", Some(found(id, false, at, true, None))));
        }
        _ => {}
    }
    let fits = rollout.alternatives.is_empty()
        || rollout
            .alternatives
            .iter()
            .any(|one| one.rules.iter().all(|rule| rules::rule(rule, person)));
    if !fits {
        return Err(("audience_mismatch", None));
    }
    let Some(id) = id else {
        return Err(("no_rollout_id", None));
    };
    let is_in = murmur::bucket(&rollout.salt, &id) < points;
    let remembers = rollout.remember != Remember::Nothing && points > 0;
    let to_record = remembers.then_some((is_in, points));
    let enrolled = found(&id, is_in, points, false, to_record);
    if is_in {
        Ok(enrolled)
    } else {
        Err(("percentage", Some(enrolled)))
    }
}

pub(super) fn id(source: &RolloutId, person: &Person) -> Option<String> {
    match source {
        RolloutId::User => Some(person.id.clone()),
        RolloutId::Group => person.group.as_ref().map(|(id, _)| id.clone()),
        RolloutId::Attribute(name) => match rules::attribute(name, person)? {
            Value::String(text) if !text.is_empty() => Some(text),
            Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            _ => None,
        },
    }
}

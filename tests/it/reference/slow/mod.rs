//! What would a slow, obvious evaluator decide?
//!
//! Written from the rules alone, over the parts as they are published: lists
//! are searched, names are compared as text, nothing is prepared. It shares no
//! code with the evaluator it checks, not even the hash.

mod decide;
mod migrate;
mod murmur;
mod rules;
mod steps;
mod version;

use std::collections::{BTreeMap, BTreeSet};

use flowgate::snapshot::wire::{
    ChannelPart, ControlDocument, DeploymentPart, FlowPart, Remember, VersionPart,
};
use serde_json::{Map, Value};

pub(super) use decide::{Answer, Enrolled, Question, decide};
pub(super) use steps::{Came, Deed, step};

/// Everything published.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) flows: Vec<FlowPart>,
    pub(super) versions: Vec<VersionPart>,
    pub(super) deployments: Vec<DeploymentPart>,
    pub(super) channels: Vec<ChannelPart>,
    pub(super) control: ControlDocument,
    /// Conditions by their source text.
    pub(super) conditions: BTreeMap<String, Condition>,
    pub(super) now: u64,
}

/// A condition as it was generated; its text is in the parts.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Equals(String, Value),
    Greater(String, i32),
    IsNull(String),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

/// For whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) properties: Map<String, Value>,
    pub(super) group: Option<(String, Map<String, Value>)>,
    pub(super) attributes: Option<Map<String, Value>>,
    pub(super) conversation: Option<String>,
}

/// Flow uid, version, conversation.
pub(super) type Place = (String, u32, Option<String>);

/// Everything remembered of a person.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Memory {
    pub(super) states: BTreeMap<Place, State>,
    /// Deployment uid, id, conversation to in and basis points.
    pub(super) memberships: BTreeMap<(String, String, Option<String>), (bool, u16)>,
}

/// A flow's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) started: bool,
    pub(super) stopped: bool,
    pub(super) finished: bool,
    pub(super) retired: bool,
    pub(super) generation: u32,
    /// By uid; only those that were entered.
    pub(super) blocks: BTreeMap<String, Block>,
}

/// A block's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) active: bool,
    pub(super) exited: bool,
    /// Names; of gates the uids of paths.
    pub(super) taken: BTreeSet<String>,
    /// Arrived at; a gate may be counting without.
    pub(super) entered: bool,
}

impl Memory {
    /// Keeps what the answer says is to be kept.
    pub(super) fn save(&mut self, world: &World, person: &Person, answer: &Answer) {
        let deployment = world
            .deployments
            .iter()
            .find(|own| Some(&own.uid) == answer.deployment.as_ref());
        let record = answer.enrolled.as_ref().and_then(|own| own.to_record);
        if let (Some(deployment), Some(record)) = (deployment, record) {
            let rollout = &deployment.rollout;
            let id = decide::id(&rollout.id, person).expect("an id that was hashed");
            let conversation = match rollout.remember {
                Remember::Conversation => person.conversation.clone(),
                _ => None,
            };
            let key = (deployment.uid.clone(), id, conversation);
            self.memberships.insert(key, record);
        }
        let flow = answer
            .made
            .filter(|(_, save)| *save)
            .and(answer.flow.clone());
        if let (Some(flow), Some(number)) = (flow, answer.number) {
            let place = (flow, number, person.conversation.clone());
            if let Some((_, _, state)) = migrate::made(world, self, &place) {
                self.states.insert(place, state);
            }
        }
    }
}

impl World {
    pub(super) fn version(&self, flow: &str, number: u32) -> Option<&VersionPart> {
        self.versions
            .iter()
            .find(|version| version.flow_uid == flow && version.number == number)
    }

    pub(super) fn newest(&self, flow: &FlowPart) -> Option<u32> {
        flow.versions
            .iter()
            .copied()
            .filter(|number| *number > 0)
            .max()
    }

    pub(super) fn is_disabled(&self, flow: &FlowPart) -> bool {
        !flow.enabled || self.control.disabled_flows.contains(&flow.uid)
    }
}

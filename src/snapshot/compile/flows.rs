//! How are flows and versions put together?
//!
//! In the order of the content: where two flows claim the same name, the later
//! one is set aside, so that a new flow never takes an old one off the air.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Made,
    check::sid_fault,
    compile_version,
    input::{Given, Input, Source, Versions},
};
use crate::snapshot::{
    model::{BlockFlows, BlockKey, Flow, FlowKey, SetAside, Version, VersionSlot},
    parts::Outcome,
    wire::{ControlDocument, FlowPart, VersionPart},
};

/// Faults of one version that are named in `SetAside`; the store shows all.
const FAULTS_NAMED: usize = 5;

/// Flows as they are added.
pub(super) struct Assembly<'c> {
    /// Finished flows.
    pub(super) by_sid: FxHashMap<Box<str>, Arc<Flow>>,
    /// Finished flows by their blocks.
    pub(super) by_block: BlockFlows,
    /// What was left out.
    pub(super) set_aside: Vec<SetAside>,
    /// What was compiled and linked anew.
    pub(super) made: Made,
    keys: FxHashMap<FlowKey, &'c str>,
    /// Block to the sid of the flow that has it, logic blocks included.
    claims: FxHashMap<BlockKey, &'c str>,
    versions: Versions<'c>,
    broken: FxHashMap<&'c str, &'c str>,
    disabled: FxHashSet<&'c str>,
}

impl<'c> Assembly<'c> {
    /// Nothing added yet.
    pub(super) fn new(input: &'c Input<'c>, control: &'c ControlDocument) -> Self {
        let broken = input.broken.iter();
        Self {
            by_sid: FxHashMap::default(),
            by_block: BlockFlows::default(),
            set_aside: Vec::new(),
            made: Made::default(),
            keys: FxHashMap::default(),
            claims: FxHashMap::default(),
            versions: input.versions.clone(),
            broken: broken.map(|(id, why)| (id.as_str(), *why)).collect(),
            disabled: control.disabled_flows.iter().map(String::as_str).collect(),
        }
    }

    /// Adds a flow with its versions, or sets it aside.
    pub(super) fn add(&mut self, given: &Given<'c, FlowPart, Flow>) {
        let part = given.part;
        if let Some(why) = self.fault(part) {
            // Its versions go with it, unless it only repeats another flow's uid.
            for number in &part.versions {
                self.versions.remove(&(part.uid.as_str(), *number));
            }
            self.leave_out(&part.sid, None, why);
            return;
        }
        let mut numbers = part.versions.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let slots: Vec<VersionSlot> = numbers
            .into_iter()
            .map(|number| VersionSlot {
                number,
                version: self.version(part, number),
            })
            .collect();
        if let Some(why) = self.foreign_claim(part, &slots) {
            self.leave_out(&part.sid, None, why);
            return;
        }
        self.insert(given, slots.into());
    }

    /// Names versions that no flow asked for and parts that belong to none.
    pub(super) fn note_left_over(&mut self) {
        let left = std::mem::take(&mut self.versions);
        let left = left.iter();
        let mut left: Vec<_> = left
            .map(|((_, number), (source, _))| (source.flow_sid(), *number))
            .collect();
        left.sort_unstable();
        for (sid, number) in left {
            let why = "no flow lists this version".to_owned();
            self.leave_out(sid, Some(number), why);
        }
        let mut broken: Vec<_> = std::mem::take(&mut self.broken).into_iter().collect();
        broken.sort_unstable();
        for (id, why) in broken {
            self.leave_out(id, None, format!("the part cannot be read: {why}"));
        }
    }

    fn insert(&mut self, given: &Given<'c, FlowPart, Flow>, versions: Box<[VersionSlot]>) {
        let part = given.part;
        let enabled = part.enabled && !self.disabled.contains(part.uid.as_str());
        let same =
            |last: &&Arc<Flow>| last.enabled == enabled && are_same(&last.versions, &versions);
        let flow = match given.last.filter(same) {
            Some(last) => Arc::clone(last),
            None => {
                let flow = Arc::new(Flow {
                    uid: part.uid.as_str().into(),
                    key: FlowKey::of(&part.uid),
                    sid: part.sid.as_str().into(),
                    name: part.name.as_str().into(),
                    project: part.project.as_str().into(),
                    enabled,
                    refuse_public_force: part.refuse_public_force,
                    deployments_only: part.deployments_only,
                    versions,
                });
                self.made.flows.push((given.place, Arc::clone(&flow)));
                flow
            }
        };
        self.keys.insert(flow.key, &part.uid);
        for version in flow
            .versions
            .iter()
            .filter_map(|slot| slot.version.as_ref())
        {
            for index in &version.shown {
                let key = version.block(*index).key;
                self.by_block.insert(key, Arc::clone(&flow));
            }
        }
        self.by_sid.insert(flow.sid.clone(), flow);
    }

    /// What is wrong with the flow itself.
    fn fault(&self, part: &FlowPart) -> Option<String> {
        if let Some(fault) = sid_fault(&part.sid) {
            return Some(format!("sid: {fault}"));
        }
        if self.by_sid.contains_key(part.sid.as_str()) {
            return Some("another flow has the same sid".to_owned());
        }
        match self.keys.get(&FlowKey::of(&part.uid)) {
            None => None,
            Some(uid) if *uid == part.uid => Some("another flow has the same uid".to_owned()),
            Some(uid) => Some(format!("its uid has the same hash as {uid:?}")),
        }
    }

    /// Compiles a version, or sets it aside.
    fn version(&mut self, flow: &'c FlowPart, number: u32) -> Option<Arc<Version>> {
        let broken = match self.broken.is_empty() {
            true => None,
            false => {
                let id = format!("version:{}:{number}", flow.uid);
                self.broken.remove(id.as_str())
            }
        };
        let compiled = match self.versions.remove(&(flow.uid.as_str(), number)) {
            Some((source, _)) if source.flow_sid() != flow.sid => Err(format!(
                "it names the flow {:?}, expected {:?}",
                source.flow_sid(),
                flow.sid
            )),
            Some((Source::Compiled(outcome), _)) => told(outcome),
            Some((Source::Parsed(part), place)) => {
                let outcome = Arc::new(outcome(part));
                let told = told(&outcome);
                self.made.versions.push((place, outcome));
                told
            }
            None => Err(broken.map_or_else(
                || "the flow lists this version, but it is missing".to_owned(),
                |why| format!("the part cannot be read: {why}"),
            )),
        };
        compiled
            .map_err(|why| self.leave_out(&flow.sid, Some(number), why))
            .ok()
    }

    /// What is wrong with the first block that another flow has, if any;
    /// otherwise all of them belong to this flow from now on.
    fn foreign_claim(&mut self, flow: &'c FlowPart, slots: &[VersionSlot]) -> Option<String> {
        let blocks = || {
            let versions = slots.iter().filter_map(|slot| slot.version.as_deref());
            versions.flat_map(|version| &version.blocks)
        };
        for block in blocks() {
            let Some(owner) = self.claims.get(&block.key) else {
                continue;
            };
            let uid = &block.uid;
            let is_theirs = |flow: &Arc<Flow>| {
                let mut versions = flow.versions.iter().filter_map(|own| own.version.as_ref());
                versions.any(|version| version.blocks.iter().any(|own| own.uid == *uid))
            };
            return Some(match self.by_sid.get(*owner).is_some_and(is_theirs) {
                true => format!("block uid {uid:?} belongs to flow {owner:?} already"),
                false => format!("block uid {uid:?} has the same hash as one of flow {owner:?}"),
            });
        }
        let keys = blocks().map(|block| (block.key, flow.sid.as_str()));
        self.claims.extend(keys);
        None
    }

    fn leave_out(&mut self, sid: &str, version: Option<u32>, why: String) {
        self.set_aside.push(SetAside {
            flow: sid.into(),
            version,
            why,
        });
    }
}

/// What compiling a version comes to.
pub(super) fn outcome(part: &VersionPart) -> Outcome {
    Outcome {
        flow_sid: part.flow_sid.as_str().into(),
        version: compiled(part),
    }
}

/// The version, or its faults in words.
fn compiled(part: &VersionPart) -> Result<Arc<Version>, Box<str>> {
    compile_version(part).map(Arc::new).map_err(|faults| {
        let named: Vec<String> = faults
            .iter()
            .take(FAULTS_NAMED)
            .map(ToString::to_string)
            .collect();
        let more = match faults.len().checked_sub(FAULTS_NAMED) {
            None | Some(0) => String::new(),
            Some(more) => format!(", and {more} more"),
        };
        format!("{}{more}", named.join("; ")).into()
    })
}

fn told(outcome: &Outcome) -> Result<Arc<Version>, String> {
    match &outcome.version {
        Ok(version) => Ok(Arc::clone(version)),
        Err(why) => Err(why.to_string()),
    }
}

/// Whether a flow was linked with these very versions.
fn are_same(last: &[VersionSlot], now: &[VersionSlot]) -> bool {
    let same = |(one, other): (&VersionSlot, &VersionSlot)| {
        one.number == other.number
            && match (&one.version, &other.version) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (None, None) => true,
                _ => false,
            }
    };
    last.len() == now.len() && last.iter().zip(now).all(same)
}

//! How many did a deployment let in, and how far did they come?
//!
//! Reads the ledger's counters and gives them the names that authors use. Paths
//! are not counted themselves: who went along one is who left its block by a
//! name that leads there.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    DeployError, Store, StoreError, deploying,
    engine::{Counted, EngineError},
    known_environment,
    people::UserError,
    workspace::Flow,
};
use crate::snapshot::wire::{BlockKind, PathPart};

/// What percentages decided, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeploymentCounts {
    /// Percentage decisions that were recorded.
    pub judged: u64,
    /// Those that let somebody in.
    #[serde(rename = "in")]
    pub in_count: u64,
    /// Those that kept somebody out.
    #[serde(rename = "out")]
    pub out_count: u64,
    /// Those on which a start rests.
    pub started: u64,
    /// Those whose run came to its end.
    pub finished: u64,
}

/// How far the runs of a version came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Funnel {
    /// The flow's sid.
    pub flow: String,
    /// Environment name.
    pub environment: String,
    /// Version number; 0 is the draft.
    pub version: u32,
    /// Runs that were started, ever since the last reset of each.
    pub started: u64,
    /// Those of them that go on.
    pub running: u64,
    /// Those that were stopped.
    pub stopped: u64,
    /// Those that came to their end.
    pub finished: u64,
    /// Those whose conversation was over before they came to any end.
    pub expired: u64,
    /// In the order of the version.
    pub blocks: Vec<FunnelBlock>,
    /// In the order of the version.
    pub paths: Vec<FunnelPath>,
}

/// How many came to a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunnelBlock {
    /// Sid.
    pub block: String,
    /// As in a project file.
    pub kind: BlockKind,
    /// Runs that came to it.
    pub entered: u64,
    /// Runs that stand on it now.
    pub active: u64,
    /// Runs that left it.
    pub exited: u64,
}

/// How many went along a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunnelPath {
    /// Sid of the block it leaves; none for the entry.
    pub from: Option<String>,
    /// Sid of the block it leads to.
    pub to: String,
    /// Names that lead along it.
    pub names: Vec<String>,
    /// Runs that went along it when they left the block last.
    pub taken: u64,
}

impl Store {
    /// What a deployment's percentage decided.
    pub fn deployment_counts(
        &self,
        environment_uid: &str,
        deployment_uid: &str,
    ) -> Result<DeploymentCounts, StoreError> {
        let of = Counted::Deployment(deployment_uid.to_owned());
        let found = self.engine.counts(environment_uid, &of)?;
        let mut counts = DeploymentCounts::default();
        for (counter, count) in found {
            match counter.fact.as_str() {
                "judged" => counts.judged = count,
                "in" => counts.in_count = count,
                "out" => counts.out_count = count,
                "started" => counts.started = count,
                "finished" => counts.finished = count,
                _ => {}
            }
        }
        Ok(counts)
    }

    /// How far runs of a version came; without a number the newest one.
    pub fn funnel(
        &self,
        environment: &str,
        sid: &str,
        version: Option<u32>,
    ) -> Result<Funnel, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let flow = workspace.flows.get(sid);
        let flow = flow.ok_or_else(|| DeployError::UnknownFlow(sid.to_owned()))?;
        let number = version.unwrap_or_else(|| flow.latest());
        if !flow.versions.contains_key(&number) {
            return Err(UserError::UnknownVersion {
                flow: flow.sid.clone(),
                found: number,
                expected: deploying::versions_of(flow),
            }
            .into());
        }
        let told = self.tell(&environment.uid, flow, number)?;
        Ok(Funnel {
            environment: environment.name.clone(),
            ..told
        })
    }

    fn tell(&self, environment_uid: &str, flow: &Flow, number: u32) -> Result<Funnel, EngineError> {
        let of = Counted::Flow(flow.uid.clone(), number);
        let found = self.engine.counts(environment_uid, &of)?;
        let counts: BTreeMap<(String, String), u64> = found
            .into_iter()
            .map(|(own, count)| ((own.block, own.fact), count))
            .collect();
        let of = |block: &str, fact: &str| {
            let place = (block.to_owned(), fact.to_owned());
            counts.get(&place).copied().unwrap_or(0)
        };
        let part = flow.versions.get(&number).map(|own| &own.part);
        let blocks = part.map_or(&[][..], |part| &part.blocks);
        let paths = part.map_or(&[][..], |part| &part.paths);
        let sid = |uid: &str| {
            let own = blocks.iter().find(|own| own.uid == uid);
            own.map_or(uid, |own| &own.sid).to_owned()
        };
        let taken = |path: &PathPart| {
            let Some(from) = &path.from else {
                return of("", "started");
            };
            let kind = blocks.iter().find(|own| own.uid == *from);
            if kind.is_some_and(|own| own.kind == BlockKind::Gate) {
                // It has one way out and keeps no name.
                return of(from, "exited");
            }
            let by_names = counts.iter().filter(|((block, _), _)| block == from);
            let along = by_names.filter(|((_, fact), _)| leads(fact, &path.on));
            along.map(|(_, count)| count).sum()
        };
        let [started, stopped, finished, expired] =
            ["started", "stopped", "finished", "expired"].map(|fact| of("", fact));
        Ok(Funnel {
            flow: flow.sid.clone(),
            environment: String::new(),
            version: number,
            started,
            running: started.saturating_sub(stopped + finished + expired),
            stopped,
            finished,
            expired,
            blocks: blocks
                .iter()
                .map(|own| FunnelBlock {
                    block: own.sid.clone(),
                    kind: own.kind,
                    entered: of(&own.uid, "entered"),
                    active: of(&own.uid, "active"),
                    exited: of(&own.uid, "exited"),
                })
                .collect(),
            paths: paths
                .iter()
                .map(|own| FunnelPath {
                    from: own.from.as_deref().map(sid),
                    to: sid(&own.to),
                    names: own.on.clone(),
                    taken: taken(own),
                })
                .collect(),
        })
    }
}

/// Whether a fact says that one of these names was taken.
fn leads(fact: &str, names: &[String]) -> bool {
    let Some(list) = fact.strip_prefix("took ") else {
        return false;
    };
    let taken: Vec<String> = serde_json::from_str(list).unwrap_or_default();
    taken.iter().any(|own| names.contains(own))
}

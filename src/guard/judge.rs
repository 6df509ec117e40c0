//! What does a release change for those who ask now?
//!
//! A decision has changed when a subject who was served something of a flow is
//! not served any more, or the other way round. That they are served another
//! version is what releases are for; it is counted beside.

use std::collections::BTreeMap;

use super::Context;
use crate::{clock::UnixMs, evaluate::decide, limits::GUARD_DECISIONS_MIN, snapshot::Snapshot};

/// What changed for those who asked for one flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowChange {
    /// The flow.
    pub sid: Box<str>,
    /// Decisions that were made again.
    pub judged: usize,
    /// Of them: who is served something now and was not, or the other way round.
    pub changed: usize,
    /// Of them: who is served another version.
    pub moved: usize,
}

impl FlowChange {
    /// Rounded down; 0 where nothing was judged.
    pub fn percent(&self) -> u8 {
        let percent = (self.changed * 100).checked_div(self.judged);
        u8::try_from(percent.unwrap_or(0)).unwrap_or(100)
    }
}

/// What a release changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Flows that were asked for, those first that change most.
    pub flows: Vec<FlowChange>,
}

impl Verdict {
    /// The flow that changes most.
    pub fn worst(&self) -> Option<&FlowChange> {
        self.flows.first()
    }

    /// The flow that changes most, if it is more than this many percent of
    /// decisions and there are enough of them to tell.
    pub fn exceeds(&self, percent: u8) -> Option<&FlowChange> {
        let enough = |flow: &&FlowChange| flow.judged >= GUARD_DECISIONS_MIN;
        let mut flows = self.flows.iter().filter(enough);
        // Of hundredths nothing is rounded away.
        flows.find(|flow| flow.changed * 100 > usize::from(percent) * flow.judged)
    }
}

/// Decides every context under both snapshots at the same time of day.
pub fn judge<'c>(
    in_force: &Snapshot,
    candidate: &Snapshot,
    contexts: impl Iterator<Item = &'c Context>,
    now: UnixMs,
) -> Verdict {
    let mut flows: BTreeMap<&str, FlowChange> = BTreeMap::new();
    for context in contexts {
        let (view, ask) = (context.view(), context.ask());
        // Which projects a key sees is no matter of the release's flows.
        let before = decide(in_force, &view, &ask, |_| true, now);
        let after = decide(candidate, &view, &ask, |_| true, now);
        let flow = flows.entry(&context.sid).or_insert_with(|| FlowChange {
            sid: context.sid.clone(),
            ..FlowChange::default()
        });
        flow.judged += 1;
        flow.changed += usize::from(before.served != after.served);
        let both = before.served && after.served;
        flow.moved += usize::from(both && before.number != after.number);
    }
    let mut flows: Vec<FlowChange> = flows.into_values().collect();
    let share = |flow: &FlowChange| (flow.changed * 10_000).checked_div(flow.judged);
    flows.sort_by_key(|flow| std::cmp::Reverse(share(flow)));
    Verdict { flows }
}

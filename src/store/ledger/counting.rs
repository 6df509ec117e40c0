//! How many stand where?
//!
//! Counters over everything that stands in the ledger, kept in the transaction
//! that changes it: how many were judged by a deployment and what came of them,
//! how many runs of a flow version were started and ended, and how many of them
//! came through each block and left it by which names. A run is one user in one
//! conversation, or outside of any. What is forgotten by age stays counted, but
//! stands nowhere and goes on no more; what is erased does not. Pure.

use std::collections::BTreeMap;

use super::judge::is_same;
use crate::{
    progress::event::{BlockStateDocument, FlowStateDocument, MembershipRecord, UserDocument},
    store::engine::{Counted, Counter, MembershipKey},
};

/// By how much counters change.
pub(crate) type Counts = BTreeMap<Counter, i64>;

/// Counts, or takes back, one membership.
pub(crate) fn membership(
    (key, record): (&MembershipKey, &MembershipRecord),
    by: i64,
    counts: &mut Counts,
) {
    let Some(own) = &record.membership else {
        return;
    };
    let mut count = |fact: &str| {
        let counter = Counter {
            of: Counted::Deployment(key.deployment.clone()),
            block: String::new(),
            fact: fact.to_owned(),
        };
        *counts.entry(counter).or_default() += by;
    };
    count("judged");
    count(if own.is_in { "in" } else { "out" });
    if record.started {
        count("started");
    }
    if record.finished {
        count("finished");
    }
}

/// Counts what became of a user's runs. States that are gone were forgotten by
/// age, or (`erased`) never count again.
pub(crate) fn user(before: &UserDocument, after: &UserDocument, erased: bool, counts: &mut Counts) {
    for state in &after.flows {
        let known = before.flows.iter().find(|own| is_same(own, state));
        if known.is_some_and(|own| counts_the_same(own, state)) {
            continue;
        }
        if let Some(known) = known {
            run(known, -1, counts);
        }
        run(state, 1, counts);
    }
    if !erased {
        return;
    }
    for state in &before.flows {
        if !after.flows.iter().any(|own| is_same(own, state)) {
            run(state, -1, counts);
        }
    }
}

/// Counts that a run was forgotten by age: what it reached stays counted, but
/// it goes on no more and stands nowhere.
pub(crate) fn expired(state: &FlowStateDocument, counts: &mut Counts) {
    let mut count = |block: &str, fact: &str, by: i64| {
        *counts.entry(of_flow(state, block, fact)).or_default() += by;
    };
    if state.started && !state.stopped && !state.finished {
        count("", "expired", 1);
    }
    for block in state.blocks.iter().filter(|own| own.active) {
        count(&block.block, "active", -1);
    }
}

fn of_flow(state: &FlowStateDocument, block: &str, fact: &str) -> Counter {
    Counter {
        of: Counted::Flow(state.flow.clone(), state.version),
        block: block.to_owned(),
        fact: fact.to_owned(),
    }
}

fn counts_the_same(one: &FlowStateDocument, other: &FlowStateDocument) -> bool {
    let flags = |own: &FlowStateDocument| (own.started, own.stopped, own.finished);
    flags(one) == flags(other) && one.blocks == other.blocks
}

fn run(state: &FlowStateDocument, by: i64, counts: &mut Counts) {
    let mut count = |block: &str, fact: &str| {
        *counts.entry(of_flow(state, block, fact)).or_default() += by;
    };
    let flags = [
        (state.started, "started"),
        (state.stopped, "stopped"),
        (state.finished, "finished"),
    ];
    for (_, fact) in flags.into_iter().filter(|(holds, _)| *holds) {
        count("", fact);
    }
    for block in &state.blocks {
        block_facts(block, |fact| count(&block.block, fact));
    }
}

fn block_facts(block: &BlockStateDocument, mut count: impl FnMut(&str)) {
    count("entered");
    if block.active {
        count("active");
    }
    if block.exited {
        count("exited");
    }
    if !block.taken.is_empty() {
        // Together, so that who took two names of one path is one. A list of
        // texts can always be written.
        let names = serde_json::to_string(&block.taken).unwrap_or_default();
        count(&format!("took {names}"));
    }
}

//! Do flow triggers start each other for ever?
//!
//! Starting a version runs its logic at once, up to the first shown blocks. A
//! trigger that is met on the way starts another version, which does the same.
//! A chain of these that comes back to where it began has no block at which
//! anybody would be waited for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    snapshot::wire::{BlockKind, BlockPart, TriggerAction, VersionPart},
    store::workspace::Workspace,
};

/// Flow sid and version.
type Place<'w> = (&'w str, u32);

/// A trigger that a start comes by: what it does, and to which version.
struct Step<'w> {
    trigger: &'w BlockPart,
    target: Place<'w>,
}

/// Chains that come back, each as the versions it goes through and in words.
pub(super) fn rings(workspace: &Workspace) -> Vec<(Vec<(String, u32)>, String)> {
    let mut steps: BTreeMap<Place<'_>, Vec<Step<'_>>> = BTreeMap::new();
    for flow in workspace.flows.values() {
        for (number, version) in &flow.versions {
            let own = at_start(&version.part)
                .into_iter()
                .filter_map(|block| step(workspace, block));
            steps.insert((&flow.sid, *number), own.collect());
        }
    }
    let mut rings = Vec::new();
    let mut done: BTreeSet<Place<'_>> = BTreeSet::new();
    for first in steps.keys() {
        // Depth first with a stack of our own: (place, next step).
        let mut stack: Vec<(Place<'_>, usize)> = vec![(*first, 0)];
        while let Some((place, taken)) = stack.last_mut() {
            let next = steps.get(place).and_then(|own| own.get(*taken));
            let (Some(next), false) = (next, done.contains(place)) else {
                done.insert(*place);
                stack.pop();
                continue;
            };
            *taken += 1;
            let target = next.target;
            match stack.iter().position(|(place, _)| *place == target) {
                Some(at) => rings.push(spelled(&steps, &stack[at..])),
                None => stack.push((target, 0)),
            }
        }
    }
    rings
}

/// Triggers that run when the version is started, before anything is shown.
fn at_start(part: &VersionPart) -> Vec<&BlockPart> {
    let is_trigger = |block: &&BlockPart| block.kind == BlockKind::FlowTrigger;
    if !part.blocks.iter().any(|block| is_trigger(&block)) {
        return Vec::new();
    }
    let blocks: HashMap<&str, &BlockPart> = part
        .blocks
        .iter()
        .map(|block| (block.uid.as_str(), block))
        .collect();
    let mut leads: HashMap<Option<&str>, Vec<&str>> = HashMap::new();
    for path in &part.paths {
        let from = leads.entry(path.from.as_deref()).or_default();
        from.push(&path.to);
    }
    let mut met = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next: Vec<&str> = leads.get(&None).cloned().unwrap_or_default();
    while let Some(uid) = next.pop() {
        let Some(block) = blocks.get(uid).filter(|_| seen.insert(uid)) else {
            continue;
        };
        // A gate may keep the chain back; it may also let it through.
        let runs_on = matches!(
            block.kind,
            BlockKind::Boolean | BlockKind::Gate | BlockKind::Webhook | BlockKind::FlowTrigger
        );
        if runs_on {
            met.push(*block);
            next.extend(leads.get(&Some(uid)).into_iter().flatten());
        }
    }
    met.retain(is_trigger);
    met.reverse();
    met
}

/// What a trigger starts; nothing when it stops something or leads nowhere.
fn step<'w>(workspace: &'w Workspace, trigger: &'w BlockPart) -> Option<Step<'w>> {
    let part = trigger.trigger.as_ref()?;
    if !matches!(part.action, TriggerAction::Start | TriggerAction::Reset) {
        return None;
    }
    let flow = workspace.flows.get(&part.flow_sid)?;
    let number = part.version.unwrap_or_else(|| flow.latest());
    let exists = number > 0 && flow.versions.contains_key(&number);
    exists.then_some(Step {
        trigger,
        target: (&flow.sid, number),
    })
}

fn spelled(
    steps: &BTreeMap<Place<'_>, Vec<Step<'_>>>,
    ring: &[(Place<'_>, usize)],
) -> (Vec<(String, u32)>, String) {
    let mut text = String::new();
    let mut places = Vec::new();
    for ((sid, number), taken) in ring {
        places.push(((*sid).to_owned(), *number));
        let taken = taken.checked_sub(1);
        let step = taken.and_then(|at| steps.get(&(*sid, *number))?.get(at));
        let Some(step) = step else { continue };
        if text.is_empty() {
            text = format!("flow {sid:?} version {number}");
        }
        let verb = match step.trigger.trigger.as_ref().map(|part| part.action) {
            Some(TriggerAction::Reset) => "resets",
            _ => "starts",
        };
        text.push_str(&format!(
            " {verb} flow {:?} version {} (block {:?}), which",
            step.target.0, step.target.1, step.trigger.sid
        ));
    }
    let text = text.trim_end_matches(", which").to_owned();
    (places, text)
}

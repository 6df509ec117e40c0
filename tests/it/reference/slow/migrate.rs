//! What becomes of a person when the version changes, told the slow way?

use flowgate::snapshot::wire::{BlockKind, Migration};

use super::{Block, Memory, Place, State, World};

/// What is known of them on the way up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    Running,
    Carry,
    Fresh,
    Stopped,
    Done,
}

/// The state made for a version the person has none in: from which version,
/// whether it is stored at once, and the state.
pub(super) fn made(world: &World, memory: &Memory, place: &Place) -> Option<(u32, bool, State)> {
    let (flow, target, conversation) = place;
    if *target == 0 || memory.states.contains_key(place) {
        return None;
    }
    let visited: Vec<u32> = memory
        .states
        .keys()
        .filter(|(own, number, at)| own == flow && at == conversation && *number > 0)
        .map(|(_, number, _)| *number)
        .collect();
    let state_of = |number: u32| &memory.states[&(flow.clone(), number, conversation.clone())];
    if let Some(from) = visited.iter().copied().filter(|n| n < target).max() {
        let before = state_of(from);
        let mut class = class_of(before);
        if class == Class::Fresh {
            return None;
        }
        for number in from + 1..=*target {
            class = after(strategy(world, flow, number), class);
        }
        return match class {
            Class::Fresh => None,
            Class::Done => Some((from, false, flags_only(before))),
            Class::Stopped => Some((
                from,
                true,
                State {
                    started: true,
                    stopped: true,
                    retired: true,
                    generation: 1,
                    ..State::default()
                },
            )),
            Class::Running | Class::Carry => {
                carried(world, flow, from, *target, before).map(|state| (from, true, state))
            }
        };
    }
    let from = visited.into_iter().filter(|n| n > target).max()?;
    let before = state_of(from);
    let over = before.stopped || before.finished;
    over.then(|| (from, before.retired, flags_only(before)))
}

/// Numbers without a version restart what is in progress.
fn strategy(world: &World, flow: &str, number: u32) -> Migration {
    let version = world.version(flow, number);
    let strategy = version.and_then(|version| version.migration);
    strategy.unwrap_or(Migration::RestartInProgress)
}

fn class_of(state: &State) -> Class {
    if !state.started {
        Class::Fresh
    } else if state.finished {
        Class::Done
    } else if state.stopped && state.retired {
        Class::Stopped
    } else if state.stopped {
        Class::Done
    } else {
        Class::Running
    }
}

fn after(strategy: Migration, so_far: Class) -> Class {
    match (strategy, so_far) {
        (Migration::RestartAll, _) => Class::Fresh,
        (_, Class::Done) => Class::Done,
        (_, Class::Stopped) => Class::Stopped,
        (Migration::StopInProgress, _) => Class::Stopped,
        (Migration::RestartInProgress, _) | (Migration::CarryOver, Class::Fresh) => Class::Fresh,
        (Migration::CarryOver, Class::Running | Class::Carry) => Class::Carry,
    }
}

fn flags_only(before: &State) -> State {
    State {
        started: true,
        stopped: before.stopped,
        finished: before.finished,
        retired: before.retired,
        generation: 1,
        ..State::default()
    }
}

fn carried(world: &World, flow: &str, from: u32, target: u32, before: &State) -> Option<State> {
    let (old, new) = (world.version(flow, from)?, world.version(flow, target)?);
    let kind = |version: &flowgate::snapshot::wire::VersionPart, uid: &str| {
        let block = version.blocks.iter().find(|block| block.uid == uid)?;
        Some(block.kind)
    };
    let fits = before
        .blocks
        .iter()
        .filter(|(_, block)| block.active)
        .all(|(uid, _)| kind(new, uid).is_some() && kind(new, uid) == kind(old, uid));
    if !fits {
        return None;
    }
    let mut state = State {
        generation: 1,
        ..before.clone()
    };
    state
        .blocks
        .retain(|uid, _| kind(new, uid).is_some() && kind(new, uid) == kind(old, uid));
    for (uid, block) in &mut state.blocks {
        let names = super::version::names(new, uid);
        let paths = super::version::incoming(new, uid);
        block
            .taken
            .retain(|name| names.contains(name) || paths.contains(name));
    }
    // A gate that lost the paths it waits for would never be asked.
    if !super::version::shut_gates(new, &state).is_empty() {
        return None;
    }
    // An open checklist shows every item it has, and one of them can be left.
    for container in &new.blocks {
        let shows_all = matches!(container.kind, BlockKind::Checklist | BlockKind::Hints);
        let open = state
            .blocks
            .get(&container.uid)
            .is_some_and(|own| own.active);
        if !(shows_all && open) {
            continue;
        }
        let items = new
            .blocks
            .iter()
            .filter(|block| block.container.as_ref() == Some(&container.uid));
        for item in items.clone() {
            let entered = Block {
                active: true,
                entered: true,
                ..Block::default()
            };
            state.blocks.entry(item.uid.clone()).or_insert(entered);
        }
        if items.clone().all(|item| state.blocks[&item.uid].exited) {
            return None;
        }
    }
    Some(state)
}

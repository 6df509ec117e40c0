//! Where does a step lead, told the slow way?
//!
//! One list of what waits, over all flows; first come, first entered. States
//! are changed in place, and a step that comes to nothing is undone by whoever
//! holds the copy.

use std::collections::{BTreeSet, VecDeque};

use flowgate::snapshot::wire::{
    BlockKind, BlockPart, EntryCondition, PathPart, TriggerAction, VersionPart,
};

use super::{
    Block, Memory, Person, Place, State, World, migrate, rules,
    version::{incoming, items, names, part, shut_gates},
};

/// Steps that logic may take for one request, over all flows.
const LOGIC_STEPS: usize = 256;

/// What is done.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Start { force: bool },
    Reset { force: bool },
    Stop,
    Finish,
    Leave { block: String, names: Vec<String> },
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Came {
    /// Nothing changed.
    Nothing,
    /// It took effect.
    Changed,
    /// It is refused.
    Refused(&'static str),
}

/// Takes a step in a version; the states of all flows it touches are changed.
pub(crate) fn step(
    world: &World,
    person: &Person,
    memory: &mut Memory,
    place: &Place,
    deed: &Deed,
) -> Came {
    let mut run = Run {
        world,
        person,
        before: memory.clone(),
        memory: memory.clone(),
        waiting: VecDeque::new(),
        logic: 0,
    };
    let before = migrate::made(world, &run.memory, place).map(|(_, _, state)| state);
    if let Some(state) = before {
        run.memory.states.insert(place.clone(), state);
    }
    let came = run.deed(place, deed);
    if came == Came::Changed {
        *memory = run.memory;
    }
    came
}

struct Run<'w> {
    world: &'w World,
    person: &'w Person,
    /// What other versions left is looked at as it was before the step.
    before: Memory,
    memory: Memory,
    waiting: VecDeque<(Place, String)>,
    logic: usize,
}

impl<'w> Run<'w> {
    fn deed(&mut self, place: &Place, deed: &Deed) -> Came {
        let state = self.state(place).clone();
        match deed {
            Deed::Start { .. } if state.started => {
                let shut = shut_gates(self.version(place), &state);
                if shut.is_empty() {
                    return Came::Nothing;
                }
                for uid in shut {
                    self.waiting.push_back((place.clone(), uid));
                }
            }
            Deed::Start { force } => {
                if state.started || !(*force || self.qualifies(place)) {
                    return Came::Nothing;
                }
                self.begin(place);
            }
            Deed::Reset { force } => {
                let starts = *force || self.qualifies(place);
                if !starts && !state.started {
                    return Came::Nothing;
                }
                self.clear(place);
                if starts {
                    self.begin(place);
                }
            }
            Deed::Stop => {
                if !state.started || state.stopped {
                    return Came::Nothing;
                }
                self.end(place, false);
            }
            Deed::Finish => {
                if !state.started || state.finished {
                    return Came::Nothing;
                }
                self.end(place, true);
            }
            Deed::Leave { block, names } => {
                let came = self.leave(place, block, names);
                if came != Came::Changed {
                    return came;
                }
            }
        }
        self.settle();
        Came::Changed
    }

    fn leave(&mut self, place: &Place, uid: &str, given: &[String]) -> Came {
        let version = self.version(place);
        let known: Vec<String> = names(version, uid)
            .into_iter()
            .filter(|name| given.contains(name))
            .collect();
        if known.is_empty() {
            return Came::Refused("unknown_transition");
        }
        let part = part(version, uid).clone();
        let has = |name: &str| known.iter().any(|own| own == name);
        if part.kind == BlockKind::TourItem && has("next") && has("previous") {
            return Came::Refused("next_and_previous");
        }
        let state = self.state(place);
        let running = state.started && !state.stopped && !state.finished;
        let active = state.blocks.get(uid).is_some_and(|block| block.active);
        if !running || !active {
            return Came::Nothing;
        }
        if part.kind == BlockKind::TourItem {
            return self.tour(place, &part, &known[0]);
        }
        self.exit(place, uid, &known);
        self.items_left(place, &part);
        Came::Changed
    }

    fn tour(&mut self, place: &Place, item: &BlockPart, name: &str) -> Came {
        let tour = item.container.clone().unwrap_or_default();
        let items = items(self.version(place), &tour);
        let at = items.iter().position(|own| *own == item.uid).unwrap_or(0);
        if name == "previous" && at == 0 {
            return Came::Nothing;
        }
        self.mark_left(place, &item.uid, &[name.to_owned()]);
        let to = if name == "next" { at + 1 } else { at - 1 };
        match items.get(to) {
            Some(next) => self.arrive(place, &next.clone()),
            None => self.exit(place, &tour, &["complete".to_owned()]),
        }
        Came::Changed
    }

    /// A container all of whose items were left is complete.
    fn items_left(&mut self, place: &Place, item: &BlockPart) {
        if !matches!(item.kind, BlockKind::ChecklistItem | BlockKind::HintsItem) {
            return;
        }
        let container = item.container.clone().unwrap_or_default();
        let items = items(self.version(place), &container);
        let state = self.state(place);
        let left = |uid: &String| state.blocks.get(uid).is_some_and(|block| block.exited);
        let active = state.blocks.get(&container).is_some_and(|own| own.active);
        if active && items.iter().all(left) {
            self.exit(place, &container, &["complete".to_owned()]);
        }
    }

    /// Marks a block as left by these names and lets their targets wait.
    fn exit(&mut self, place: &Place, uid: &str, taken: &[String]) {
        self.mark_left(place, uid, taken);
        let version = self.version(place);
        for item in items(version, uid) {
            if let Some(block) = self.state(place).blocks.get_mut(&item) {
                block.active = false;
            }
        }
        let paths = version.paths.iter().filter(|path| {
            path.from.as_deref() == Some(uid) && path.on.iter().any(|name| taken.contains(name))
        });
        self.follow(place, version, paths);
    }

    /// Targets wait once each, in the order of the version's blocks; gates
    /// count every path.
    fn follow<'p>(
        &mut self,
        place: &Place,
        version: &VersionPart,
        paths: impl Iterator<Item = &'p PathPart>,
    ) {
        let mut targets = BTreeSet::new();
        for path in paths {
            let at = version.blocks.iter().position(|block| block.uid == path.to);
            let Some(at) = at else { continue };
            if version.blocks[at].kind == BlockKind::Gate {
                let gate = self.state(place).blocks.entry(path.to.clone()).or_default();
                gate.entered = true;
                gate.exited = false;
                gate.taken.insert(path.uid.clone());
            }
            targets.insert(at);
        }
        for at in targets {
            let uid = version.blocks[at].uid.clone();
            self.waiting.push_back((place.clone(), uid));
        }
    }

    fn begin(&mut self, place: &Place) {
        let state = self.state(place);
        *state = State {
            started: true,
            generation: state.generation,
            ..State::default()
        };
        let version = self.version(place);
        let paths = version.paths.iter().filter(|path| path.from.is_none());
        self.follow(place, version, paths);
    }

    fn clear(&mut self, place: &Place) {
        let state = self.state(place);
        *state = State {
            generation: state.generation + 1,
            ..State::default()
        };
        self.waiting.retain(|(own, _)| own != place);
    }

    fn end(&mut self, place: &Place, finished: bool) {
        let state = self.state(place);
        state.finished = finished;
        state.stopped = !finished;
        state.retired = false;
        for block in state.blocks.values_mut() {
            block.active = false;
        }
        self.waiting.retain(|(own, _)| own != place);
    }

    fn settle(&mut self) {
        while let Some((place, uid)) = self.waiting.pop_front() {
            let part = part(self.version(&place), &uid).clone();
            let logic = matches!(
                part.kind,
                BlockKind::Boolean
                    | BlockKind::Finish
                    | BlockKind::Gate
                    | BlockKind::Webhook
                    | BlockKind::FlowTrigger
            );
            if logic {
                if self.logic == LOGIC_STEPS {
                    self.waiting.clear();
                    return;
                }
                self.logic += 1;
                self.pass(&place, &part);
            } else {
                self.enter(&place, &part);
            }
        }
    }

    fn enter(&mut self, place: &Place, part: &BlockPart) {
        let known = self.state(place).blocks.get(&part.uid);
        if known.is_some_and(|block| block.active) {
            return;
        }
        self.arrive(place, &part.uid);
        let items = items(self.version(place), &part.uid);
        for item in &items {
            self.state(place).blocks.remove(item);
        }
        match part.kind {
            BlockKind::Tour => {
                if let Some(first) = items.first() {
                    self.arrive(place, first);
                }
            }
            BlockKind::Checklist | BlockKind::Hints => {
                for item in &items {
                    self.arrive(place, item);
                }
            }
            _ => {}
        }
    }

    fn pass(&mut self, place: &Place, part: &BlockPart) {
        let done = ["done".to_owned()];
        match part.kind {
            BlockKind::Finish => {
                self.arrive(place, &part.uid);
                self.end(place, true);
            }
            BlockKind::Boolean => {
                let side = self.side(place, part);
                self.arrive(place, &part.uid);
                self.exit(place, &part.uid, &[side.to_string()]);
            }
            BlockKind::Webhook => {
                self.arrive(place, &part.uid);
                self.exit(place, &part.uid, &done);
            }
            BlockKind::Gate => {
                let all = incoming(self.version(place), &part.uid);
                let gate = self
                    .state(place)
                    .blocks
                    .entry(part.uid.clone())
                    .or_default();
                if all.iter().all(|path| gate.taken.contains(path)) {
                    gate.taken.clear();
                    self.arrive(place, &part.uid);
                    self.exit(place, &part.uid, &done);
                    let gate = self
                        .state(place)
                        .blocks
                        .entry(part.uid.clone())
                        .or_default();
                    gate.taken.remove("done");
                }
            }
            BlockKind::FlowTrigger => {
                // First onwards, then the other flow: one that ends or begins
                // itself anew goes no further from where it stood.
                self.arrive(place, &part.uid);
                self.exit(place, &part.uid, &done);
                self.trigger(place, part);
            }
            _ => {}
        }
    }

    fn trigger(&mut self, place: &Place, part: &BlockPart) {
        let Some(trigger) = &part.trigger else { return };
        let flows = &self.world.flows;
        let Some(flow) = flows.iter().find(|flow| flow.sid == trigger.flow_sid) else {
            return;
        };
        // A conversation keeps to the version it has begun.
        let mut begun = None;
        for (uid, number, conversation) in self.before.states.keys() {
            if place.2.is_some() && *uid == flow.uid && *conversation == place.2 {
                begun = begun.max(Some(*number));
            }
        }
        let number = trigger.version.or(begun);
        let number = number.or_else(|| self.world.newest(flow));
        let Some(number) = number.filter(|number| flow.versions.contains(number)) else {
            return;
        };
        if self.world.is_disabled(flow) {
            return;
        }
        let other: Place = (flow.uid.clone(), number, place.2.clone());
        let made = migrate::made(self.world, &self.before, &other);
        let stored = self.memory.states.get(&other).cloned();
        let state = stored
            .or(made.map(|(_, _, state)| state))
            .unwrap_or_default();
        let acts = match trigger.action {
            TriggerAction::Start => !state.started,
            TriggerAction::Reset => true,
            TriggerAction::Stop => state.started && !state.stopped,
            TriggerAction::Finish => state.started && !state.finished,
        };
        if !acts {
            return;
        }
        self.memory.states.insert(other.clone(), state);
        match trigger.action {
            TriggerAction::Start => self.begin(&other),
            TriggerAction::Reset => {
                self.clear(&other);
                self.begin(&other);
            }
            TriggerAction::Stop => self.end(&other, false),
            TriggerAction::Finish => self.end(&other, true),
        }
    }

    fn side(&mut self, place: &Place, part: &BlockPart) -> bool {
        let source = part.expression.clone().unwrap_or_default();
        if let Some(sid) = source
            .strip_prefix("blocks[\"")
            .and_then(|rest| rest.strip_suffix("\"].exited"))
        {
            let version = self.version(place);
            let uid = version.blocks.iter().find(|block| block.sid == sid);
            let uid = uid.map(|block| block.uid.clone()).unwrap_or_default();
            let state = self.state(place);
            return state.blocks.get(&uid).is_some_and(|block| block.exited);
        }
        rules::condition(&self.world.conditions[&source], self.person)
    }

    fn qualifies(&self, place: &Place) -> bool {
        qualifies(self.world, self.person, self.version(place))
    }

    fn mark_left(&mut self, place: &Place, uid: &str, taken: &[String]) {
        let block = self.state(place).blocks.entry(uid.to_owned()).or_default();
        block.active = false;
        block.entered = true;
        block.exited = true;
        block.taken.extend(taken.iter().cloned());
    }

    fn arrive(&mut self, place: &Place, uid: &str) {
        *self.state(place).blocks.entry(uid.to_owned()).or_default() = Block {
            active: true,
            entered: true,
            ..Block::default()
        };
    }

    fn state(&mut self, place: &Place) -> &mut State {
        self.memory.states.entry(place.clone()).or_default()
    }

    fn version(&self, place: &Place) -> &'w VersionPart {
        let version = self.world.version(&place.0, place.1);
        version.expect("a version that exists")
    }
}

/// Whether the entry condition holds.
pub(crate) fn qualifies(world: &World, person: &Person, version: &VersionPart) -> bool {
    match &version.entry {
        EntryCondition::Everyone => true,
        EntryCondition::ApiOnly => false,
        EntryCondition::Expression(source) => rules::condition(&world.conditions[source], person),
    }
}

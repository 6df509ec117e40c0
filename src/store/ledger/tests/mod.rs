//! Every rule of the ledger, told by edges that share a user.

mod chain;
mod counting;
mod enrolling;
mod erasing;
mod forgetting;
mod identify;
mod importing;
mod rules;
mod several;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::*;
use crate::{
    evaluate::{FlowState, Outcome as LogicOutcome, RecordedJudge, Side, Step, transition},
    limits,
    progress::event::{
        Assumption, EventId, FlowStateDocument, GroupDocument, Intent, MembershipDocument,
        OutcomeDocument,
    },
    snapshot::{BlockKey, NameKey},
    store::{
        Store, StoreError,
        tests::{House, START, file},
    },
};

const FLOW: &str = "
flowgate: project/1
project: shop
flows:
  - sid: hello
    uid: hello
    versions:
      - number: 1
        blocks:
          - {sid: first, uid: first, type: card}
          - {sid: rich, uid: rich, type: boolean, when: user.properties.rich = true}
          - {sid: gold, uid: gold, type: card}
          - {sid: plain, uid: plain, type: card}
        paths:
          - {from: entry, to: first}
          - {from: first, on: complete, to: rich}
          - {from: rich, on: 'true', to: gold}
          - {from: rich, on: 'false', to: plain}
          - {from: gold, on: complete, to: first}
      - number: 2
        blocks: [{sid: first, uid: first, type: card}]
        paths: [{from: entry, to: first}]
";

const WHERE: &str = "production";

/// A store and the edges that write to it.
struct Scene {
    house: House,
    store: Store,
    environment: Environment,
}

impl Scene {
    fn new() -> Self {
        let house = House::new();
        let store = house.open();
        store.import(&file(FLOW)).unwrap();
        let environment = store.workspace().environment(WHERE).unwrap().clone();
        Self {
            house,
            store,
            environment,
        }
    }

    fn edge(&self, journal: &str) -> Edge<'_> {
        Edge {
            scene: self,
            journal: journal.to_owned(),
            seq: 0,
            previous: String::new(),
            waiting: Vec::new(),
            views: BTreeMap::new(),
        }
    }

    fn user(&self, user: &str) -> UserDocument {
        self.store.user(WHERE, user).unwrap()
    }

    fn active(&self, user: &str) -> Vec<String> {
        let document = self.user(user);
        let states = document.flows.iter().filter(|state| state.version == 1);
        let blocks = states.flat_map(|state| &state.blocks);
        blocks
            .filter(|block| block.active)
            .map(|block| block.block.clone())
            .collect()
    }

    fn dead(&self) -> Vec<String> {
        let letters = self.store.dead_letters(WHERE, 100).unwrap();
        letters.into_iter().map(|letter| letter.why).collect()
    }
}

/// What an edge believes of a user.
#[derive(Clone)]
struct View {
    base: Base,
    states: BTreeMap<u32, FlowState>,
}

/// An edge that decides on what it believes and journals what it did.
struct Edge<'a> {
    scene: &'a Scene,
    journal: String,
    seq: u64,
    previous: String,
    waiting: Vec<ShippedRecord>,
    views: BTreeMap<String, View>,
}

impl Edge<'_> {
    /// Reads a user from the ledger, as after a miss.
    fn read(&mut self, user: &str) {
        let document = self.scene.user(user);
        let states = document.flows.iter();
        let view = View {
            base: Base::Document(document.doc_rev),
            states: states.map(|s| (s.version, s.to_state())).collect(),
        };
        self.views.insert(user.to_owned(), view);
    }

    /// Upstream is away: takes the user for a new one.
    fn assume(&mut self, user: &str) {
        let view = View {
            base: Base::Absent,
            states: BTreeMap::new(),
        };
        self.views.insert(user.to_owned(), view);
    }

    fn start(&mut self, user: &str) -> &mut Self {
        self.step(user, 1, "start", None, &[])
    }

    fn leave(&mut self, user: &str, block: &str, name: &str) -> &mut Self {
        self.step(user, 1, "leave", Some((block, name)), &[])
    }

    fn rich(&mut self, user: &str, side: bool) -> &mut Self {
        self.step(
            user,
            1,
            "leave",
            Some(("first", "complete")),
            &[("rich", side)],
        )
    }

    fn intent(&mut self, user: &str, what: &str) -> &mut Self {
        self.step(user, 1, what, None, &[])
    }

    fn step(
        &mut self,
        user: &str,
        number: u32,
        what: &str,
        left: Option<(&str, &str)>,
        sides: &[(&str, bool)],
    ) -> &mut Self {
        if !self.views.contains_key(user) {
            self.read(user);
        }
        let versions = self.scene.store.versions_in(&self.scene.environment.uid);
        let version = versions.version("hello", number).unwrap();
        let view = self.views[user].clone();
        let before = view.states.get(&number).cloned().unwrap_or_default();
        let names = left.map(|(_, name)| [NameKey::of(name)]);
        let step = match (what, left, &names) {
            ("leave", Some((block, _)), Some(names)) => Step::Transition {
                block: version.find(BlockKey::of(block)).unwrap(),
                names,
            },
            ("start", ..) => Step::Start { force: false },
            ("reset", ..) => Step::Reset { force: false },
            ("stop", ..) => Step::Stop,
            _ => Step::Finish,
        };
        let outcomes: Vec<LogicOutcome> = sides
            .iter()
            .map(|(block, side)| LogicOutcome::Branch {
                block: (*block).into(),
                side: if *side { Side::True } else { Side::False },
            })
            .collect();
        let mut judge = RecordedJudge {
            entry: true,
            outcomes: &outcomes,
            gates_by_state: false,
            targets: &(),
        };
        let state = transition(&version, &before, &step, &mut judge)
            .unwrap()
            .state;
        let operation = operation(number, what, left, before.generation, state.generation);
        let mut event = self.event(user, operation);
        event.outcomes = outcomes.iter().map(OutcomeDocument::of).collect();
        event.states = vec![FlowStateDocument::of("hello", &version, None, &state)];
        self.push(event);
        let seq = self.seq;
        let journal = self.journal.clone();
        if let Some(view) = self.views.get_mut(user) {
            view.states.insert(number, state);
            view.base = Base::Record { journal, seq };
        }
        self
    }

    fn identify(&mut self, user: &str, properties: Value, groups: &[(&str, Value)]) -> &mut Self {
        if !self.views.contains_key(user) {
            self.read(user);
        }
        let groups = groups.iter().map(|(identifier, properties)| GroupDocument {
            identifier: (*identifier).to_owned(),
            properties: object(properties.clone()),
        });
        let operation = Operation::Identify {
            properties: object(properties),
            groups: groups.collect(),
        };
        let event = self.event(user, operation);
        self.push(event);
        let (journal, seq) = (self.journal.clone(), self.seq);
        if let Some(view) = self.views.get_mut(user) {
            view.base = Base::Record { journal, seq };
        }
        self
    }

    /// A group, and no user.
    fn identify_group(&mut self, group: &str, properties: Value) -> &mut Self {
        let group = GroupDocument {
            identifier: group.to_owned(),
            properties: object(properties),
        };
        self.views.entry(String::new()).or_insert(View {
            base: Base::Document(0),
            states: BTreeMap::new(),
        });
        let event = self.event("", Operation::IdentifyGroup { group });
        self.push(event);
        self
    }

    fn event(&self, user: &str, operation: Operation) -> Event {
        Event {
            environment: WHERE.to_owned(),
            environment_uid: self.scene.environment.uid.clone(),
            user: user.to_owned(),
            group: None,
            conversation: None,
            revision: "0.1".to_owned(),
            decided_ms: START + self.seq,
            operation,
            outcomes: Vec::new(),
            base: self.views[user].base.clone(),
            assumed: Assumption::Nothing,
            membership: None,
            states: Vec::new(),
            id: None,
            edge: self.journal.clone(),
        }
    }

    fn push(&mut self, event: Event) {
        self.seq += 1;
        self.waiting.push(ShippedRecord {
            seq: self.seq,
            wall_ms: START,
            event,
        });
    }

    /// The percentage decision of the last record.
    fn brings(&mut self, is_in: bool, basis_points: u16) -> &mut Self {
        let event = &mut self.waiting.last_mut().unwrap().event;
        event.membership = Some(MembershipDocument {
            deployment: "d".to_owned(),
            id: event.user.clone(),
            conversation: event.conversation.clone(),
            is_in,
            basis_points,
            bucket: 3_000,
        });
        self
    }

    /// A percentage decision without a start.
    fn enrol(&mut self, user: &str, is_in: bool, basis_points: u16) -> &mut Self {
        if !self.views.contains_key(user) {
            self.read(user);
        }
        let event = self.event(user, Operation::Membership);
        self.push(event);
        self.brings(is_in, basis_points)
    }

    /// The client's idempotency key of the last record.
    fn id(&mut self, key: u64, body: u32) -> &mut Self {
        self.waiting.last_mut().unwrap().event.id = Some(EventId { key, body });
        self
    }

    fn batch(&self) -> Batch {
        Batch {
            journal: self.journal.clone(),
            previous: self.previous.clone(),
            records: self.waiting.clone(),
        }
    }

    /// Ships everything waiting and says what became of it.
    fn ship(&mut self) -> Vec<RecordOutcome> {
        let batch = self.batch();
        let answer = self.scene.store.ship(WHERE, &batch).unwrap();
        assert_eq!(answer.hash, chain_hash(&batch).unwrap());
        assert_eq!(answer.watermark, Some(self.seq));
        assert_eq!(answer.outcomes.len(), batch.records.len());
        self.previous = answer.hash;
        self.waiting.clear();
        answer.outcomes
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        self.ship().into_iter().map(|one| one.outcome).collect()
    }
}

fn operation(
    version: u32,
    what: &str,
    left: Option<(&str, &str)>,
    generation: u32,
    started: u32,
) -> Operation {
    let flow = "hello".to_owned();
    let intent = |intent, restarted| Operation::Intent {
        flow: "hello".to_owned(),
        version,
        generation,
        intent,
        force: false,
        restarted,
    };
    match (what, left) {
        ("leave", Some((block, name))) => Operation::Transition {
            flow,
            version,
            generation,
            block: block.to_owned(),
            names: vec![name.to_owned()],
        },
        ("start", _) => Operation::Start {
            flow,
            version,
            generation: started,
            force: false,
        },
        ("reset", _) => intent(Intent::Reset, true),
        ("stop", _) => intent(Intent::Stop, false),
        _ => intent(Intent::Finish, false),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

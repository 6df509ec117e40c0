//! Steps that touch several flows, gates, webhooks and migrations, decided by
//! two edges at once.

use std::collections::BTreeMap;

use Outcome::{Already, Applied, Dead, Superseded};

use super::*;
use crate::{
    evaluate::{Effect, Judge, Other, Targets},
    progress::event::BlockStateDocument,
    snapshot::{Block, Trigger, compile::compile_version},
    store::{
        ledger::again::Standing,
        memory::{MemoryLedger, environment},
    },
};

/// `pair`: a gate behind two cards, and so begin `hook`, with a webhook and
/// another gate behind it, and `chain`, with a trigger of `other`. `call`: a card, then a webhook, then a
/// trigger that starts `other`. `long` has two versions.
const PARTS: &str = include_str!("several.json");

struct Flows(BTreeMap<(String, u32), Arc<Version>>);

impl Flows {
    fn new() -> Self {
        let parts: Vec<crate::snapshot::wire::VersionPart> = serde_json::from_str(PARTS).unwrap();
        let compiled = parts.iter().map(|part| {
            let version = compile_version(part).unwrap();
            ((part.flow_uid.clone(), part.number), Arc::new(version))
        });
        Self(compiled.collect())
    }
}

impl Versions for Flows {
    fn version(&self, flow_uid: &str, number: u32) -> Option<Arc<Version>> {
        self.0.get(&(flow_uid.to_owned(), number)).cloned()
    }
}

/// Decides as an edge does, on the document it has.
struct Live<'a>(Standing<'a>);

impl Judge for Live<'_> {
    fn entry(&mut self, _: &Version) -> bool {
        true
    }

    fn branch(&mut self, _: &Block, _: &[crate::evaluate::BlockState]) -> Option<Side> {
        None
    }

    fn gate(&mut self, _: &Block, complete: bool) -> Option<bool> {
        Some(complete)
    }

    fn webhook(&mut self, _: &Block) -> Option<()> {
        Some(())
    }

    fn trigger(&mut self, _: &Block, trigger: &Trigger) -> Option<Option<Other>> {
        Some(self.0.target(&trigger.flow_sid, trigger.version?))
    }
}

struct Stage {
    flows: Flows,
    ledger: MemoryLedger,
    chains: BTreeMap<String, (String, u64)>,
}

impl Stage {
    fn new() -> Self {
        Self {
            flows: Flows::new(),
            ledger: MemoryLedger::default(),
            chains: BTreeMap::new(),
        }
    }

    fn read(&self) -> UserDocument {
        self.ledger.document("u")
    }

    /// What a step looks like that is decided on this document.
    fn step(
        &self,
        on: &UserDocument,
        flow: &str,
        number: u32,
        left: Option<(&str, &str)>,
    ) -> Event {
        let version = self.flows.version(flow, number).unwrap();
        let standing = Standing::new(on, &self.flows, None);
        let before = standing.target(flow, number).unwrap().before;
        let names = left.map(|(_, name)| [NameKey::of(name)]);
        let step = match (left, &names) {
            (Some((block, _)), Some(names)) => Step::Transition {
                block: version.find(BlockKey::of(block)).unwrap(),
                names,
            },
            _ => Step::Start { force: false },
        };
        let effect = transition(&version, &before, &step, &mut Live(standing)).unwrap();
        let mut operation = operation(number, "leave", left, before.generation, 0);
        if left.is_none() {
            operation = super::operation(number, "start", None, 0, before.generation);
        }
        match &mut operation {
            Operation::Start { flow: own, .. } | Operation::Transition { flow: own, .. } => {
                flow.clone_into(own);
            }
            _ => {}
        }
        event(on, operation, &version, &effect)
    }

    /// The record of a migration that an edge made on this document.
    fn migrate(&self, on: &UserDocument) -> Event {
        let version = self.flows.version("long", 2).unwrap();
        let standing = Standing::new(on, &self.flows, None);
        let made = standing.made_again("long", 2).unwrap();
        let operation = Operation::Migrate {
            flow: "long".to_owned(),
            version: 2,
            generation: made.generation,
            from: 1,
        };
        let effect = Effect {
            changed: true,
            state: made.to_state(),
            outcomes: Vec::new(),
            others: Vec::new(),
            capped: false,
        };
        event(on, operation, &version, &effect)
    }

    fn ship(&mut self, journal: &str, event: &Event) -> RecordOutcome {
        let (previous, seq) = self.chains.remove(journal).unwrap_or_default();
        let batch = Batch {
            journal: journal.to_owned(),
            previous,
            records: vec![ShippedRecord {
                seq: seq + 1,
                wall_ms: START,
                event: event.clone(),
            }],
        };
        let place = environment("uid", WHERE);
        let mut answer = self.ledger.ship(&place, &batch, &self.flows).unwrap();
        // The answer got lost: the same batch comes again.
        let again = self.ledger.ship(&place, &batch, &self.flows).unwrap();
        assert_eq!(again.outcomes[0].outcome, Already);
        self.chains
            .insert(journal.to_owned(), (answer.hash, seq + 1));
        answer.outcomes.remove(0)
    }

    fn active(&self, flow: &str, number: u32) -> Vec<String> {
        let document = self.read();
        let mut states = document.flows.iter();
        let state = states.find(|own| own.flow == flow && own.version == number);
        let blocks = state.map(|own| own.blocks.clone()).unwrap_or_default();
        blocks
            .into_iter()
            .filter(|own| own.active)
            .map(|own| own.block)
            .collect()
    }

    fn owed(&self) -> Vec<(String, String)> {
        let posted = self.ledger.posted.values();
        let mut owed: Vec<_> = posted
            .map(|own| (own.flow.clone(), own.block.clone()))
            .collect();
        owed.sort();
        owed
    }
}

fn event(on: &UserDocument, operation: Operation, version: &Version, effect: &Effect) -> Event {
    let state =
        |version: &Version, state| FlowStateDocument::of(&version.flow_uid, version, None, state);
    let mut states = vec![state(version, &effect.state)];
    states.extend(
        effect
            .others
            .iter()
            .map(|other| state(&other.version, &other.state)),
    );
    Event {
        environment: WHERE.to_owned(),
        environment_uid: "uid".to_owned(),
        user: "u".to_owned(),
        group: None,
        conversation: None,
        revision: "0.1".to_owned(),
        decided_ms: START,
        operation,
        outcomes: effect.outcomes.iter().map(OutcomeDocument::of).collect(),
        base: Base::Document(on.doc_rev),
        assumed: Assumption::Nothing,
        membership: None,
        states,
        id: None,
        edge: "e".to_owned(),
    }
}

#[test]
fn two_edges_that_each_saw_half_of_a_gate_pass_it_together() {
    let mut stage = Stage::new();
    let start = stage.step(&stage.read(), "pair", 1, None);
    stage.ship("a", &start);
    let seen = stage.read();
    let first = stage.step(&seen, "pair", 1, Some(("a", "complete")));
    let second = stage.step(&seen, "pair", 1, Some(("b", "complete")));
    assert_eq!(stage.ship("a", &first).outcome, Applied);
    assert_eq!(stage.active("pair", 1), ["b"]);
    let passed = stage.ship("b", &second);
    assert_eq!((passed.outcome, passed.as_recorded), (Applied, false));
    assert_eq!(stage.active("pair", 1), ["end"], "the ledger has seen both");
}

/// Two edges leave `a` and `b`, each without having seen the other.
fn both_halves(stage: &mut Stage, flow: &str) {
    let start = stage.step(&stage.read(), flow, 1, None);
    stage.ship("a", &start);
    let seen = stage.read();
    let first = stage.step(&seen, flow, 1, Some(("a", "complete")));
    let second = stage.step(&seen, flow, 1, Some(("b", "complete")));
    assert_eq!(stage.ship("a", &first).outcome, Applied);
    assert_eq!(stage.ship("b", &second).outcome, Applied);
}

#[test]
fn what_depends_on_nothing_behind_a_gate_needs_no_record() {
    let mut stage = Stage::new();
    both_halves(&mut stage, "hook");
    assert_eq!(stage.active("hook", 1), ["end"]);
    assert_eq!(stage.owed(), [("hook".to_owned(), "w".to_owned())]);
}

#[test]
fn a_gate_that_had_to_stay_shut_is_opened_by_whoever_reads_next() {
    let mut stage = Stage::new();
    both_halves(&mut stage, "chain");
    assert!(stage.active("chain", 1).is_empty(), "nobody had an answer");
    // Both edges read, and both ask the gate again.
    let seen = stage.read();
    let repair = stage.step(&seen, "chain", 1, None);
    assert_eq!(stage.ship("a", &repair).outcome, Applied);
    assert_eq!(stage.active("chain", 1), ["end"]);
    assert_eq!(stage.active("other", 1), ["o"]);
    assert_eq!(stage.ship("b", &repair).outcome, Already);
    let left = stage.step(&stage.read(), "chain", 1, Some(("end", "complete")));
    assert_eq!(stage.ship("a", &left).outcome, Applied);
    assert_eq!(stage.ship("c", &repair).outcome, Already, "and once only");
}

#[test]
fn a_record_that_makes_a_document_too_large_to_be_read_is_dead() {
    let mut stage = Stage::new();
    let mut start = stage.step(&stage.read(), "pair", 1, None);
    let block = |at: usize| BlockStateDocument {
        block: format!("b{at}"),
        ..BlockStateDocument::default()
    };
    let mut large = start.states[0].clone();
    large.flow = "other".to_owned();
    large.blocks = (0..11_000).map(block).collect();
    start.states.push(large);
    assert_eq!(stage.ship("a", &start).outcome, Dead);
    assert_eq!(stage.read().doc_rev, 0);
    let why = &stage.ledger.dead[0];
    assert!(format!("{why:?}").contains("progress would have about"));
}

#[test]
fn a_trigger_is_applied_exactly_once() {
    let mut stage = Stage::new();
    let start = stage.step(&stage.read(), "call", 1, None);
    stage.ship("a", &start);
    let seen = stage.read();
    let by_one = stage.step(&seen, "call", 1, Some(("c", "complete")));
    let by_other = by_one.clone();
    assert_eq!(by_one.states.len(), 2);
    assert_eq!(stage.ship("a", &by_one).outcome, Applied);
    assert_eq!(stage.active("other", 1), ["o"]);
    assert_eq!(
        stage.owed(),
        [
            ("call".to_owned(), "w".to_owned()),
            ("other".to_owned(), "v".to_owned())
        ]
    );
    // What was started goes on, and then the other edge's record comes.
    let left = stage.step(&stage.read(), "other", 1, Some(("o", "complete")));
    assert_eq!(stage.ship("a", &left).outcome, Applied);
    assert_eq!(stage.ship("b", &by_other).outcome, Already);
    assert!(stage.active("other", 1).is_empty(), "not started again");
    assert_eq!(stage.owed().len(), 2, "each webhook is owed once");
    let touched = stage
        .read()
        .flows
        .iter()
        .all(|own| own.touched_ms.is_some());
    assert!(touched);
}

#[test]
fn a_step_that_is_run_again_takes_its_triggers_along() {
    let mut stage = Stage::new();
    let start = stage.step(&stage.read(), "call", 1, None);
    stage.ship("a", &start);
    let seen = stage.read();
    let elsewhere = stage.step(&seen, "other", 1, None);
    let step = stage.step(&seen, "call", 1, Some(("c", "complete")));
    assert_eq!(stage.ship("a", &elsewhere).outcome, Applied);
    let left = stage.step(&stage.read(), "other", 1, Some(("o", "complete")));
    stage.ship("a", &left);
    // The trigger finds its flow started: what was done there stands, and the
    // record still holds the webhook of a start that is not made twice.
    assert_eq!(stage.ship("b", &step).outcome, Applied);
    assert_eq!(stage.active("call", 1), ["last"]);
    assert!(stage.active("other", 1).is_empty());
    let of_call = ("call".to_owned(), "w".to_owned());
    assert_eq!(
        stage.owed().iter().filter(|own| **own == of_call).count(),
        1
    );
}

#[test]
fn a_migration_is_stored_as_made_and_only_once() {
    let mut stage = Stage::new();
    let start = stage.step(&stage.read(), "long", 1, None);
    stage.ship("a", &start);
    let seen = stage.read();
    let moved = stage.migrate(&seen);
    let kept = stage.ship("a", &moved);
    assert_eq!((kept.outcome, kept.as_recorded), (Applied, true));
    assert_eq!(stage.active("long", 2), ["x"]);
    let left = stage.step(&stage.read(), "long", 2, Some(("x", "complete")));
    assert_eq!(stage.ship("a", &left).outcome, Applied);
    assert_eq!(stage.ship("b", &moved).outcome, Already);
    assert_eq!(stage.active("long", 2), ["y"], "what came after it stands");
}

#[test]
fn a_migration_decided_on_something_older_is_made_again() {
    let mut stage = Stage::new();
    let start = stage.step(&stage.read(), "long", 1, None);
    stage.ship("a", &start);
    let seen = stage.read();
    let moved = stage.migrate(&seen);
    let left = stage.step(&seen, "long", 1, Some(("x", "complete")));
    assert_eq!(stage.ship("a", &left).outcome, Applied);
    let kept = stage.ship("b", &moved);
    assert_eq!((kept.outcome, kept.as_recorded), (Applied, false));
    assert_eq!(
        stage.active("long", 2),
        ["y"],
        "where the user stands by now"
    );
}

#[test]
fn a_migration_whose_source_fits_no_more_is_superseded_with_its_dependants() {
    let mut stage = Stage::new();
    let start = stage.step(&stage.read(), "long", 1, None);
    stage.ship("a", &start);
    let seen = stage.read();
    let moved = stage.migrate(&seen);
    let left = stage.step(&seen, "long", 1, Some(("x", "dismiss")));
    stage.ship("a", &left);
    assert_eq!(stage.ship("b", &moved).outcome, Superseded);
    let mut then = seen.clone();
    then.flows.extend(moved.states.clone());
    let mut dependant = stage.step(&then, "long", 2, Some(("x", "complete")));
    dependant.base = Base::Record {
        journal: "b".to_owned(),
        seq: 1,
    };
    assert_eq!(stage.ship("b", &dependant).outcome, Superseded);
    assert!(stage.ledger.dead.is_empty());
}

#[test]
fn a_migration_without_a_source_is_dead() {
    let mut stage = Stage::new();
    let mut elsewhere = stage.read();
    elsewhere.flows = stage.step(&stage.read(), "long", 1, None).states;
    let mut moved = stage.migrate(&elsewhere);
    moved.base = Base::Document(7);
    assert_eq!(stage.ship("a", &moved).outcome, Dead);
}

#[test]
fn a_start_assumed_for_a_new_user_gives_way_to_what_a_version_before_left() {
    let mut stage = Stage::new();
    let start = stage.step(&stage.read(), "long", 1, None);
    stage.ship("a", &start);
    let mut assumed = stage.step(&UserDocument::default(), "long", 2, None);
    assumed.base = Base::Absent;
    assert_eq!(stage.ship("b", &assumed).outcome, Superseded);
    assert!(stage.active("long", 2).is_empty());
}

#[test]
fn an_edge_that_could_not_ask_overwrites_no_flow_it_triggers() {
    let mut stage = Stage::new();
    let start = stage.step(&stage.read(), "call", 1, None);
    let begun = stage.ship("a", &start);
    assert_eq!(begun.outcome, Applied);
    let own_alone = stage.read();
    let other = stage.step(&own_alone, "other", 1, None);
    stage.ship("b", &other);
    let left = stage.step(&stage.read(), "other", 1, Some(("o", "complete")));
    stage.ship("b", &left);
    let identified = stage.read();
    // It knows its own records of `call`, and takes `other` for a new flow.
    let mut step = stage.step(&own_alone, "call", 1, Some(("c", "complete")));
    step.base = Base::Document(identified.doc_rev);
    step.assumed = Assumption::Rest;
    let kept = stage.ship("a", &step);
    assert_eq!((kept.outcome, kept.as_recorded), (Applied, false));
    assert_eq!(stage.active("call", 1), ["last"]);
    assert!(stage.active("other", 1).is_empty(), "as it was left");
    // What it builds on that is superseded, and not a dead letter.
    let mut believed = own_alone.clone();
    believed.flows = step.states.clone();
    let mut dependant = stage.step(&believed, "other", 1, Some(("o", "dismiss")));
    dependant.base = Base::Record {
        journal: "a".to_owned(),
        seq: 2,
    };
    assert_eq!(stage.ship("a", &dependant).outcome, Superseded);
}

#[test]
fn a_migration_of_a_superseded_state_is_superseded_with_its_dependants() {
    let mut stage = Stage::new();
    let start = stage.step(&stage.read(), "long", 1, None);
    stage.ship("a", &start);
    let left = stage.step(&stage.read(), "long", 1, Some(("x", "complete")));
    stage.ship("a", &left);
    // Upstream is away: begun anew, then carried over to the next version.
    let mut assumed = stage.step(&UserDocument::default(), "long", 1, None);
    assumed.base = Base::Absent;
    assert_eq!(stage.ship("b", &assumed).outcome, Superseded);
    let mut believed = UserDocument {
        flows: assumed.states.clone(),
        ..UserDocument::default()
    };
    let follows = |event: &mut Event, seq| {
        event.base = Base::Record {
            journal: "b".to_owned(),
            seq,
        };
    };
    let mut moved = stage.migrate(&believed);
    follows(&mut moved, 1);
    assert_eq!(stage.ship("b", &moved).outcome, Superseded);
    believed.flows.extend(moved.states.clone());
    let mut then = stage.step(&believed, "long", 2, Some(("x", "complete")));
    follows(&mut then, 2);
    assert_eq!(stage.ship("b", &then).outcome, Superseded);
    assert!(stage.active("long", 2).is_empty() && stage.ledger.dead.is_empty());
}

//! Does a slow, obvious evaluator come to the same?
//!
//! [`generate`] makes environments and people, [`slow`] decides and steps by
//! the rules alone, [`real`] does it with the program's own core; both walk
//! through the same history and are compared after every step: the decision,
//! every flow's state and every membership.

mod dice;
mod generate;
mod real;
mod slow;

pub(crate) use dice::Dice;
use slow::{Deed, Memory, Person, Question, World};

/// Environments in one run, and histories in each.
const WORLDS: u64 = 5_000;
const HISTORIES: usize = 20;

/// Things done in one history.
const DEEDS: usize = 8;

#[test]
fn a_slow_evaluator_agrees_on_one_hundred_thousand_histories() {
    let first = seed();
    let (mut histories, mut skipped, mut compared) = (0, 0, 0);
    let mut reasons = std::collections::BTreeMap::<&str, usize>::new();
    for seed in first..first + WORLDS {
        let mut dice = Dice::new(seed);
        let mut world = generate::world(&mut dice);
        let Some(mut edge) = real::Edge::new(&world) else {
            skipped += HISTORIES;
            continue;
        };
        for history in 0..HISTORIES {
            let place = format!("seed {seed}, history {history}");
            world.now = 1_000_000;
            let told = walk(&mut dice, &world, &mut edge, &place, &mut reasons);
            compared += told;
            histories += 1;
        }
    }
    println!("{histories} histories, {compared} comparisons, {skipped} skipped: {reasons:?}");
    println!("figures: histories {histories}");
    println!("figures: histories, comparisons {compared}");
    assert!(skipped * 4 < histories, "too many environments are refused");
    // What never happens is not compared either.
    for reason in [
        "unknown_flow",
        "unknown_version",
        "disabled",
        "empty_version",
        "deployment_required",
        "inactive",
        "pinned",
        "member",
        "excluded",
        "audience_mismatch",
        "no_rollout_id",
        "percentage",
        "entry_condition",
        "started",
        "finished",
        "stopped",
    ] {
        assert!(reasons.contains_key(reason), "{reason} never came up");
    }
}

/// Another seed, for whoever wants to look further.
fn seed() -> u64 {
    let given = std::env::var("FLOWGATE_REFERENCE_SEED").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// One history: the same questions and deeds on both sides.
fn walk(
    dice: &mut Dice,
    world: &World,
    edge: &mut real::Edge,
    place: &str,
    reasons: &mut std::collections::BTreeMap<&'static str, usize>,
) -> usize {
    let mut person = generate::person(dice);
    let mut memory = Memory::default();
    edge.forget();
    let talks = dice.percent(50);
    for deed in 0..DEEDS {
        let place = format!("{place}, deed {deed}");
        if talks {
            let conversations = [None, Some("c1"), Some("c1"), Some("c2")];
            person.conversation = dice.one(&conversations).map(str::to_owned);
        }
        if dice.percent(20) {
            person.properties = generate::person(dice).properties;
        }
        let question = question(dice, world);
        let wanted = deed_of(dice, world, &question);
        one(
            world,
            &person,
            &mut memory,
            edge,
            &question,
            wanted,
            &place,
            reasons,
        );
    }
    DEEDS
}

/// One question with what is done about it; none only looks.
#[allow(
    clippy::too_many_arguments,
    reason = "both sides of a comparison, and where it stands"
)]
fn one(
    world: &World,
    person: &Person,
    memory: &mut Memory,
    edge: &mut real::Edge,
    question: &Question,
    wanted: Option<(bool, Deed)>,
    place: &str,
    reasons: &mut std::collections::BTreeMap<&'static str, usize>,
) {
    let before = memory.clone();
    let context =
        || format!("{place}\n{question:?}\n{wanted:?}\n{person:?}\n{before:?}\n{world:?}");
    let expected = slow::decide(world, person, memory, question);
    let found = edge.decide(person, question);
    *reasons.entry(expected.reason).or_default() += 1;
    assert!(
        found == expected,
        "found {found:?}\nexpected {expected:?}\n{}",
        context()
    );
    let Some((by_itself, deed)) = &wanted else {
        return;
    };
    memory.save(world, person, &expected);
    edge.save(person, question);
    let flow = world.flows.iter().find(|flow| flow.sid == question.sid);
    let let_in = expected.may_step();
    if let (Some(flow), Some(number), true) = (flow, expected.number, let_in) {
        let at = (flow.uid.clone(), number, person.conversation.clone());
        if (!by_itself || expected.may_start) && fits(world, &at, deed) {
            let came = slow::step(world, person, memory, &at, deed);
            let real = edge.step(person, question, deed);
            assert!(
                came == real,
                "found {real:?}\nexpected {came:?}\n{}",
                context()
            );
        }
    }
    if let Some(difference) = edge.differs(world, memory) {
        panic!("{difference}\n{}", context());
    }
}

/// Whether the deed names a block that can be named in this version.
fn fits(world: &World, (flow, number, _): &slow::Place, deed: &Deed) -> bool {
    let Deed::Leave { block, .. } = deed else {
        return true;
    };
    let version = world.version(flow, *number);
    let mut blocks = version.into_iter().flat_map(|version| &version.blocks);
    blocks.any(|own| own.uid == *block && !generate::is_logic(own.kind))
}

fn question(dice: &mut Dice, world: &World) -> Question {
    let sid = if dice.percent(3) {
        "nowhere".to_owned()
    } else {
        dice.one(&world.flows).sid.clone()
    };
    Question {
        sid,
        tag: dice.percent(50).then(|| dice.below(5) as u32),
        channel: generate::channel(dice),
    }
}

/// What is done: an automatic start, an intent, a transition, or only looking.
fn deed_of(dice: &mut Dice, world: &World, question: &Question) -> Option<(bool, Deed)> {
    let force = dice.percent(40);
    let flow = world.flows.iter().find(|flow| flow.sid == question.sid);
    let blocks: Vec<String> = world
        .versions
        .iter()
        .filter(|version| flow.is_some_and(|flow| flow.uid == version.flow_uid))
        .flat_map(|version| version.blocks.iter().map(|block| block.uid.clone()))
        .collect();
    match dice.below(20) {
        0..=4 => Some((true, Deed::Start { force: false })),
        5 => Some((false, Deed::Start { force })),
        6 => Some((false, Deed::Reset { force })),
        7 => Some((false, Deed::Stop)),
        8 => Some((false, Deed::Finish)),
        9..=17 if !blocks.is_empty() => Some((
            false,
            Deed::Leave {
                block: dice.one(&blocks).clone(),
                names: generate::names(dice),
            },
        )),
        _ => None,
    }
}

//! Counters say what stands in the ledger, whatever happened.

use proptest::prelude::*;

use super::*;
use crate::store::{
    Where,
    engine::{Counted, Ending},
    ledger::counting,
};

const PEOPLE: [&str; 4] = ["ann", "bob", "cy", "di"];

fn counted(scene: &Scene) -> Counts {
    let all = [
        Counted::Flow("hello".to_owned(), 1),
        Counted::Flow("hello".to_owned(), 2),
        Counted::Deployment("d".to_owned()),
    ];
    let read = |of: &Counted| {
        scene
            .store
            .engine
            .counts(&scene.environment.uid, of)
            .unwrap()
    };
    let counts = all.iter().flat_map(read);
    counts
        .map(|(counter, count)| (counter, i64::try_from(count).unwrap()))
        .collect()
}

/// The same, by looking at every document.
fn recounted(scene: &Scene) -> Counts {
    let mut counts = Counts::new();
    let engine = &scene.store.engine;
    let nobody = unseen("");
    for document in engine.users_after(&scene.environment.uid, "", 100).unwrap() {
        counting::user(&nobody, &document, false, &mut counts);
    }
    let mut read = |rows: &mut dyn LedgerTransaction| {
        for user in PEOPLE {
            for (key, record) in rows.memberships_of(user)? {
                counting::membership((&key, &record), 1, &mut counts);
            }
        }
        Ok(Ending::RollBack)
    };
    engine.ledger(&scene.environment.uid, &mut read).unwrap();
    counts.retain(|_, count| *count != 0);
    counts
}

fn act(scene: &Scene, edge: &mut Edge<'_>, user: &str, what: u8) {
    let at = Where {
        flow: "hello".to_owned(),
        ..Where::default()
    };
    // What an operator cannot do changes nothing, which is looked at, too.
    match what {
        0 => drop(edge.start(user)),
        1 => drop(edge.start(user).brings(true, 5_000)),
        2 => drop(edge.rich(user, true)),
        3 => drop(edge.rich(user, false)),
        4 => drop(edge.leave(user, "gold", "complete")),
        5 => drop(edge.intent(user, "finish")),
        6 => drop(edge.intent(user, "stop")),
        7 => drop(edge.intent(user, "reset")),
        8 => drop(edge.enrol(user, true, 2_500)),
        9 => drop(edge.enrol(user, false, 2_500)),
        10 => drop(edge.enrol(user, true, 10_000)),
        11 => edge.read(user),
        12 => edge.assume(user),
        13 => drop(scene.store.erase_user(WHERE, user).unwrap()),
        14 => drop(scene.store.reset_user(WHERE, user, &at, true)),
        15 => drop(scene.store.move_user(WHERE, user, &at, (2, &[]))),
        16 => drop(
            scene
                .store
                .move_user(WHERE, user, &at, (1, &["plain".to_owned()])),
        ),
        _ if edge.waiting.is_empty() => {}
        _ => drop(edge.ship()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn counters_equal_a_recount(steps in prop::collection::vec((0..2_usize, 0..4_usize, 0..20_u8), 1..60)) {
        let scene = Scene::new();
        let mut edges = [scene.edge("a"), scene.edge("b")];
        for (edge, user, what) in steps {
            scene.house.wait(1);
            act(&scene, &mut edges[edge], PEOPLE[user], what);
        }
        for edge in edges.iter_mut().filter(|edge| !edge.waiting.is_empty()) {
            edge.ship();
        }
        prop_assert_eq!(counted(&scene), recounted(&scene));
    }
}

#[test]
fn a_deployment_counts_who_was_judged_let_in_started_and_finished() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.enrol("ann", true, 2_500)
        .enrol("bob", false, 2_500)
        .enrol("cy", true, 2_500);
    edge.start("ann").brings(true, 2_500);
    edge.start("cy").brings(true, 2_500);
    edge.intent("ann", "finish").ship();
    let counts = || {
        let uid = &scene.environment.uid;
        scene.store.deployment_counts(uid, "d").unwrap()
    };
    let expected = |in_count, out_count| crate::store::DeploymentCounts {
        judged: 3,
        in_count,
        out_count,
        started: 2,
        finished: 1,
    };
    assert_eq!(counts(), expected(2, 1));
    // Again by the same user it is no second one, and a launch moves one over.
    edge.intent("ann", "reset").intent("ann", "finish");
    edge.enrol("bob", true, 10_000).ship();
    assert_eq!(counts(), expected(3, 0));
}

#[test]
fn a_funnel_tells_blocks_and_paths() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("ann")
        .rich("ann", true)
        .leave("ann", "gold", "complete");
    edge.start("bob").rich("bob", false);
    edge.start("cy").intent("cy", "stop");
    edge.start("di").intent("di", "finish").ship();
    let told = scene.store.funnel(WHERE, "hello", Some(1)).unwrap();
    assert_eq!(
        (told.started, told.running, told.stopped, told.finished),
        (4, 2, 1, 1)
    );
    let blocks: Vec<_> = told
        .blocks
        .iter()
        .map(|own| (own.block.as_str(), own.entered, own.active, own.exited))
        .collect();
    // Ann came back to the first one: it counts as not left.
    assert_eq!(
        blocks,
        [
            ("first", 4, 1, 1),
            ("rich", 2, 0, 2),
            ("gold", 1, 0, 1),
            ("plain", 1, 1, 0)
        ]
    );
    let paths: Vec<_> = told
        .paths
        .iter()
        .map(|own| (own.from.as_deref(), own.to.as_str(), own.taken))
        .collect();
    assert_eq!(
        paths,
        [
            (None, "first", 4),
            (Some("first"), "rich", 1),
            (Some("rich"), "gold", 1),
            (Some("rich"), "plain", 1),
            (Some("gold"), "first", 1)
        ]
    );
    let newest = scene.store.funnel(WHERE, "hello", None).unwrap();
    assert_eq!((newest.version, newest.started), (2, 0));
    assert!(scene.store.funnel(WHERE, "hello", Some(9)).is_err());
}

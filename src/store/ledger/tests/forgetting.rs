//! What the ledger forgets because of its age.

use super::*;
use crate::store::Retention;

const LIFE_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// A start inside a conversation.
fn talk(edge: &mut Edge<'_>, conversation: &str) {
    edge.read("u");
    edge.views.get_mut("u").unwrap().states.clear();
    edge.start("u");
    let event = &mut edge.waiting.last_mut().unwrap().event;
    event.conversation = Some(conversation.to_owned());
    for state in &mut event.states {
        state.conversation = Some(conversation.to_owned());
    }
}

fn conversations(scene: &Scene) -> Vec<Option<String>> {
    let document = scene.user("u");
    document
        .flows
        .into_iter()
        .map(|own| own.conversation)
        .collect()
}

#[test]
fn a_conversation_is_over_at_the_next_record_after_its_life() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").ship();
    talk(&mut edge, "one");
    assert_eq!(edge.outcomes(), [Outcome::Applied]);
    scene.house.wait(LIFE_MS);
    talk(&mut edge, "two");
    edge.ship();
    assert_eq!(conversations(&scene).len(), 3, "not a moment early");
    scene.house.wait(1);
    talk(&mut edge, "three");
    assert_eq!(edge.outcomes(), [Outcome::Applied]);
    let left = [None, Some("two".to_owned()), Some("three".to_owned())];
    assert_eq!(conversations(&scene), left);
}

/// Found by review: runs went on, and stood where they had stood, for ever
/// after their conversation was over.
#[test]
fn a_run_whose_conversation_is_over_goes_on_no_more_and_stands_nowhere() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").ship();
    talk(&mut edge, "one");
    edge.ship();
    let funnel = || {
        let told = scene.store.funnel(WHERE, "hello", Some(1)).unwrap();
        let first = &told.blocks[0];
        let runs = (told.started, told.running, told.expired);
        (runs, (first.entered, first.active))
    };
    assert_eq!(funnel(), ((2, 2, 0), (2, 2)));
    scene.house.wait(LIFE_MS + 1);
    scene.store.sweep(scene.house.ambient.now_ms()).unwrap();
    assert_eq!(funnel(), ((2, 1, 1), (2, 1)));
    talk(&mut edge, "two");
    edge.ship();
    assert_eq!(funnel(), ((3, 2, 1), (3, 2)));
    scene.house.wait(LIFE_MS + 1);
    talk(&mut edge, "three");
    edge.ship();
    assert_eq!(funnel(), ((4, 2, 2), (4, 2)), "by the next record");
}

/// The first waiting record, and what it left, as of another version.
fn in_version(edge: &mut Edge<'_>, conversation: &str, number: u32) {
    talk(edge, conversation);
    let event = &mut edge.waiting.last_mut().unwrap().event;
    if let Operation::Start { version, .. } = &mut event.operation {
        *version = number;
    }
    event.states[0].version = number;
}

#[test]
fn one_flow_that_goes_on_keeps_its_whole_conversation() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    talk(&mut edge, "one");
    edge.ship();
    scene.house.wait(LIFE_MS);
    in_version(&mut edge, "one", 2);
    edge.ship();
    scene.house.wait(LIFE_MS);
    scene.store.sweep(scene.house.ambient.now_ms()).unwrap();
    assert_eq!(conversations(&scene).len(), 2, "neither of them is over");
    edge.read("u");
    edge.identify("u", json!({"a": 1}), &[]);
    assert!(edge.ship()[0].as_recorded);
    assert_eq!(conversations(&scene).len(), 2);
    scene.house.wait(1);
    edge.identify("u", json!({"a": 2}), &[]);
    let ended = edge.ship().remove(0);
    assert_eq!(ended.outcome, Outcome::Applied);
    assert!(!ended.as_recorded, "its edge must read again");
    assert!(conversations(&scene).is_empty());
}

#[test]
fn a_step_in_a_conversation_that_was_swept_is_superseded_and_so_is_what_follows() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    talk(&mut edge, "one");
    edge.ship();
    edge.read("u");
    edge.rich("u", true).leave("u", "gold", "complete");
    for record in &mut edge.waiting {
        record.event.conversation = Some("one".to_owned());
        record.event.states[0].conversation = Some("one".to_owned());
    }
    scene.house.wait(LIFE_MS + 1);
    scene.store.sweep(scene.house.ambient.now_ms()).unwrap();
    assert!(conversations(&scene).is_empty());
    assert_eq!(edge.outcomes(), [Outcome::Superseded; 2]);
    assert!(scene.dead().is_empty());
    talk(&mut edge, "one");
    assert_eq!(edge.outcomes(), [Outcome::Applied], "it may begin anew");
}

#[test]
fn the_sweep_ends_conversations_nobody_comes_back_to_and_tells_the_edges() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").ship();
    talk(&mut edge, "one");
    edge.ship();
    edge.enrol("u", true, 2_500);
    enrol_in(&mut edge, "one");
    edge.ship();
    let begun = scene.store.changes(WHERE, None).unwrap().cursor;
    let sweep = |wait| {
        scene.house.wait(wait);
        scene.store.sweep(scene.house.ambient.now_ms()).unwrap();
    };
    sweep(LIFE_MS);
    assert_eq!(conversations(&scene).len(), 2);
    let rev = scene.user("u").doc_rev;
    sweep(1);
    assert_eq!(conversations(&scene), [None]);
    let kept = |conversation| {
        let found = scene.store.membership(WHERE, "d", "u", conversation);
        found.unwrap().doc_rev
    };
    assert_eq!((kept(Some("one")), kept(None)), (0, 1));
    let told = scene.store.changes(WHERE, Some(&begun)).unwrap().changes;
    let mut named: Vec<(String, u64)> = told
        .into_iter()
        .map(|change| (change.subject, change.doc_rev))
        .collect();
    named.sort_unstable();
    let subject = |kind, parts: &[&str]| format!("{:016x}", subject_hash(kind, parts));
    let mut expected = vec![
        (subject("user", &["u"]), rev + 1),
        (subject("membership", &["d", "u", "one"]), 2),
    ];
    expected.sort_unstable();
    assert_eq!(named, expected);
    sweep(1);
    assert_eq!(scene.user("u").doc_rev, rev + 1, "nothing is left to end");
    enrol_in(&mut edge, "one");
    edge.ship();
    assert_eq!(kept(Some("one")), 3, "above all that an edge may have");
}

/// A decision that stands for one conversation.
fn enrol_in(edge: &mut Edge<'_>, conversation: &str) {
    edge.enrol("u", true, 2_500);
    let event = &mut edge.waiting.last_mut().unwrap().event;
    event.membership.as_mut().unwrap().conversation = Some(conversation.to_owned());
}

#[test]
fn a_membership_lives_as_long_as_its_conversation() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    talk(&mut edge, "one");
    enrol_in(&mut edge, "one");
    enrol_in(&mut edge, "two");
    edge.ship();
    let kept = |conversation| {
        let found = scene.store.membership(WHERE, "d", "u", Some(conversation));
        found.unwrap().doc_rev
    };
    let sweep = || scene.store.sweep(scene.house.ambient.now_ms()).unwrap();
    scene.house.wait(LIFE_MS);
    in_version(&mut edge, "one", 2);
    edge.ship();
    scene.house.wait(1);
    sweep();
    assert_eq!((kept("one"), kept("two")), (1, 0), "one of them goes on");
    scene.house.wait(LIFE_MS - 1);
    sweep();
    assert_eq!(kept("one"), 1);
    scene.house.wait(1);
    sweep();
    assert_eq!(kept("one"), 0);
}

/// Rows as damage leaves them.
fn damage(scene: &Scene, statement: &str) {
    let path = scene.house.folder.path().join("store.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    assert!(connection.execute(statement, []).unwrap() > 0);
}

#[test]
fn a_row_that_cannot_be_read_stops_no_sweep() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    talk(&mut edge, "one");
    edge.enrol("u", true, 2_500);
    enrol_in(&mut edge, "one");
    edge.ship();
    damage(
        &scene,
        "INSERT INTO users (environment_uid, identifier, document, conversation_ms)
         SELECT environment_uid, 'broken', '{', 1 FROM users",
    );
    damage(&scene, "UPDATE memberships SET record = '{'");
    scene.house.wait(LIFE_MS + 1);
    let now = scene.house.ambient.now_ms();
    scene.store.sweep(now).unwrap();
    assert!(conversations(&scene).is_empty(), "the others' are ended");
    let listed = scene
        .store
        .engine
        .users_with_ended(&scene.environment.uid, now, 9);
    assert!(listed.unwrap().is_empty(), "it is not met again");
    let gone = scene.store.membership(WHERE, "d", "u", Some("one"));
    assert_eq!(gone.unwrap().doc_rev, 0);
}

#[test]
fn a_closed_journal_is_forgotten_with_time_and_an_open_one_is_not() {
    let scene = Scene::new();
    let (mut closed, mut open) = (scene.edge("a"), scene.edge("b"));
    closed.start("u").ship();
    open.start("v").ship();
    scene.store.close_journal(WHERE, "a", None).unwrap();
    let life = Retention::default().dead_letter_ms;
    let watermark = |journal: &str| {
        let ask = Batch {
            journal: journal.to_owned(),
            previous: String::new(),
            records: Vec::new(),
        };
        scene.store.ship(WHERE, &ask).unwrap().watermark
    };
    for (wait, left) in [(life, Some(1)), (1, None)] {
        scene.house.wait(wait);
        if left.is_some() {
            // Again, which begins no new age.
            scene.store.close_journal(WHERE, "a", None).unwrap();
        }
        scene.store.sweep(scene.house.ambient.now_ms()).unwrap();
        assert_eq!(watermark("a"), left);
    }
    assert_eq!(watermark("b"), Some(1));
}

#[test]
fn dead_letters_and_refuted_places_have_an_age() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.start("u").id(7, 1).rich("u", true).id(7, 2).ship();
    other.assume("u");
    other.start("u").ship();
    assert_eq!(scene.dead().len(), 1);
    let life = Retention::default().dead_letter_ms;
    for (wait, left) in [(life, 1), (1, 0)] {
        scene.house.wait(wait);
        scene.store.sweep(scene.house.ambient.now_ms()).unwrap();
        assert_eq!(scene.dead().len(), left);
    }
    // Nothing refutes it any more, and it is judged as any other record.
    other.intent("u", "stop");
    assert_eq!(other.outcomes(), [Outcome::Applied]);
}

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

#[test]
fn the_sweep_ends_conversations_nobody_comes_back_to_and_tells_the_edges() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").ship();
    talk(&mut edge, "one");
    edge.ship();
    edge.enrol("u", true, 2_500).enrol("u", true, 2_500);
    let event = &mut edge.waiting[1].event;
    event.membership.as_mut().unwrap().conversation = Some("one".to_owned());
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
    assert_eq!((told.len(), told[0].doc_rev), (1, rev + 1));
    sweep(1);
    assert_eq!(scene.user("u").doc_rev, rev + 1, "nothing is left to end");
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

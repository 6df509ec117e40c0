//! Is what another edge wrote seen by whoever shows its token?
//!
//! Found by the simulation of the whole system: after a restart, records of our
//! own were laid over a newer document, and what they hid was said to be seen.

use super::{
    edge::{Setup, SimEdge},
    scene::{Act, Scene, TOUR, step_task},
};
use crate::{
    disk::memory::MemoryDisk,
    progress::{Token, request::Place},
};

/// Our edge has a record that is not shipped, restarts, and meanwhile another
/// edge writes. Returns the other's token.
fn overtaken() -> (Scene, Token) {
    let mut scene = Scene::new();
    scene.step("ann", Act::Auto).expect("it starts");
    scene.edge.ship();
    let next = Act::Leave("first", "next");
    assert!(scene.step("ann", next).expect("it is taken").changed);
    scene.crash();
    let setup = Setup {
        seat: 1,
        ..Setup::default()
    };
    let mut other = SimEdge::boot(&MemoryDisk::new(8), &scene.ledger, &scene.world, setup);
    let stop = step_task(
        &other.progress,
        &scene.world,
        "ann",
        (TOUR, Act::Stop),
        None,
        None,
    );
    let stopped = other.finish(stop).expect("it is taken");
    other.ship();
    let token = stopped.token.expect("something was stored");
    (scene, token)
}

fn includes(scene: &mut Scene, token: &Token) -> bool {
    let (progress, place): (_, Place) = (scene.edge.progress.clone(), scene.world.place());
    let token = token.clone();
    let asked = Box::pin(async move { progress.includes(&place, "ann", &token).await });
    scene.edge.finish(asked)
}

#[tokio::test]
async fn records_on_disk_that_hide_what_a_token_stands_for_make_it_stale() {
    let (mut scene, token) = overtaken();
    assert!(!includes(&mut scene, &token), "our record hides it");
    scene.edge.ship();
    assert!(
        includes(&mut scene, &token),
        "the ledger has put them together"
    );
}

#[tokio::test]
async fn records_in_memory_that_hide_what_a_token_stands_for_make_it_stale() {
    let (mut scene, token) = overtaken();
    scene.read("ann", None).expect("it is read");
    assert!(!includes(&mut scene, &token), "our record hides it");
    scene.edge.ship();
    assert!(
        includes(&mut scene, &token),
        "the ledger has put them together"
    );
}

//! Attacks and accidents, one test each; a refusal is told by its stable name.

mod documents;
mod roots;
mod timestamps;

use super::*;
use crate::snapshot::{
    fixture::{ENVIRONMENT, HOUR, NOW, World},
    pack::Pack,
};

/// Checks a pack as if it were fetched now, and accepts it.
fn accept(trust: &mut Trust, pack: &Pack) {
    let checked = verify_pack(trust, pack, NOW, Origin::Fetched).unwrap();
    trust.accept(&checked.timestamp, &checked.release, &checked.control);
}

/// Why a pack is refused when fetched now.
fn refusal(trust: &mut Trust, pack: &Pack) -> &'static str {
    refusal_at(trust, pack, NOW, Origin::Fetched)
}

fn refusal_at(trust: &mut Trust, pack: &Pack, now: UnixMs, origin: Origin) -> &'static str {
    let before = trust.marks().cloned();
    let name = verify_pack(trust, pack, now, origin).unwrap_err().name();
    assert_eq!(trust.marks(), before.as_ref(), "a refusal leaves no trace");
    name
}

/// A world whose first revision has been accepted.
fn accepted() -> (World, Trust) {
    let mut world = World::new();
    let mut trust = world.trust();
    let pack = world.pack();
    accept(&mut trust, &pack);
    (world, trust)
}

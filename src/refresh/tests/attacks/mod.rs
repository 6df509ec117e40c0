//! Can anybody make an edge serve what was not published for it?
//!
//! Every attack of The Update Framework (1.0.34, section 1.5.2), by name. Each
//! is tried by an upstream on a running edge, planted in the data folder under
//! the manifest's hash, and written over the newest pack. What serves stays
//! what it was, the refusal has its name in the status, no mark moves, and the
//! next honest revision gets through.

mod altered;
mod content;
mod mutated;
mod newest;
mod roots;
mod scene;
mod signatures;
mod stories;
mod strayed;

use std::collections::BTreeSet;

use self::scene::{Ground, Lie, Scene, next_root};
use super::super::{RefreshError, Refreshed};
use crate::snapshot::wire::RootDocument;

/// What an attack is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Aim {
    ArbitraryInstallation,
    EndlessData,
    ExtraneousDependencies,
    FastForward,
    IndefiniteFreeze,
    MaliciousMirror,
    MixAndMatch,
    Rollback,
    SlowRetrieval,
    KeyCompromise,
    WrongSoftware,
}

/// How many of them there are: every one has its attacks.
const AIMS: usize = 11;

/// As many attacks as there must be at the least.
const ATTACKS_MIN: usize = 60;

/// How an attack ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Under this name; what served before serves.
    Refused(&'static str),
    /// It is no other content than was published, and not as new as it should
    /// be: it serves, and an operator can see that.
    Marked,
    /// What was true in it is taken in, and nothing else.
    Harmless,
}

use End::{Harmless, Marked, Refused};

/// What is told instead of the truth.
#[derive(Clone, Copy)]
enum Tell {
    /// Anything but the honest third revision.
    Lie(fn(&mut Lie)),
    /// A next root, changed before the root key signs it.
    Root(fn(&mut RootDocument)),
}

/// One attack, tried at fetch and at boot.
struct Attack {
    aim: Aim,
    name: &'static str,
    ground: Ground,
    tell: Tell,
    at_fetch: End,
    at_boot: End,
}

impl Attack {
    /// Refused alike wherever it comes from.
    const fn new(aim: Aim, name: &'static str, refused: &'static str, tell: Tell) -> Self {
        let end = Refused(refused);
        Self {
            aim,
            name,
            ground: Ground::Plain,
            tell,
            at_fetch: end,
            at_boot: end,
        }
    }

    /// The same on another ground.
    const fn on(mut self, ground: Ground) -> Self {
        self.ground = ground;
        self
    }

    /// It ends otherwise when it comes from our own disk.
    const fn at_boot(mut self, end: End) -> Self {
        self.at_boot = end;
        self
    }

    /// Nothing of it does harm, wherever it comes from.
    const fn harmless(mut self) -> Self {
        self.at_fetch = Harmless;
        self.at_boot = Harmless;
        self
    }

    /// What it tells on a scene.
    fn lie(&self, scene: &Scene) -> Lie {
        scene.lie(|lie| match self.tell {
            Tell::Lie(tell) => tell(lie),
            Tell::Root(change) => {
                change(&mut lie.world.root);
                let root = next_root(&mut lie.world);
                lie.root(root);
            }
        })
    }
}

fn all() -> impl Iterator<Item = &'static Attack> {
    let tables: [&[Attack]; 6] = [
        signatures::ATTACKS,
        altered::ATTACKS,
        newest::ATTACKS,
        roots::ATTACKS,
        strayed::ATTACKS,
        content::ATTACKS,
    ];
    tables.into_iter().flatten()
}

/// The next honest revision is taken in.
async fn recovers(scene: &mut Scene, attack: &Attack, how: &str) {
    scene.serve_honest(4);
    let stepped = scene.step().await;
    let published = matches!(stepped, Ok(Refreshed::Published(_)));
    assert!(published, "{}, {how}: {stepped:?}", attack.name);
    assert_eq!(scene.serves(), Some(4), "{}, {how}", attack.name);
    assert_eq!(scene.named(), None, "{}, {how}", attack.name);
}

/// By an upstream, on a running edge.
async fn fetched(attack: &Attack) {
    let mut scene = Scene::set(attack.ground).await;
    let before = scene.marks();
    let lie = attack.lie(&scene);
    let honest = scene.lie(|_| {}).pack.blobs;
    scene.serve(lie);
    let stepped = scene.step().await;
    let name = attack.name;
    match attack.at_fetch {
        Refused(expected) => {
            let error = stepped.as_ref().err().map(RefreshError::name);
            assert_eq!(error, Some(expected), "{name}, fetched: {stepped:?}");
            assert_eq!(scene.named(), Some(expected), "{name}");
            assert_eq!(scene.serves(), Some(2), "{name}");
            assert_eq!(scene.marks(), before, "{name}: a refusal moves no mark");
        }
        Marked => {
            assert!(stepped.is_ok(), "{name}, fetched: {stepped:?}");
            assert!(scene.is_marked(), "{name}: nobody can see it");
        }
        Harmless => {
            assert!(stepped.is_ok(), "{name}, fetched: {stepped:?}");
            assert_eq!(scene.serves(), Some(3), "{name}");
            assert_eq!(scene.kept_blobs(), honest, "{name}: nothing else is kept");
        }
    }
    recovers(&mut scene, attack, "fetched").await;
}

/// From the data folder, at the start.
async fn booted(attack: &Attack) {
    let scene = Scene::set(attack.ground).await;
    let name = attack.name;
    let mut planted = scene.planted(attack.lie(&scene));
    match attack.at_boot {
        Refused(expected) => {
            assert_eq!(planted.problem, Some(expected), "{name}, planted");
            assert_eq!(planted.named(), Some(expected), "{name}, planted");
            assert_eq!(planted.serves(), None, "{name}: it is not ready");
        }
        Marked => {
            assert_eq!(planted.problem, None, "{name}, planted");
            assert!(planted.serves().is_some(), "{name}, planted");
            assert!(planted.is_marked(), "{name}: nobody can see it");
        }
        Harmless => {
            assert_eq!(planted.problem, None, "{name}, planted");
            assert_eq!(planted.serves(), Some(3), "{name}, planted");
        }
    }
    recovers(&mut planted, attack, "planted").await;
    let Some(mut damaged) = scene.overwritten(attack.lie(&scene)) else {
        return;
    };
    assert_eq!(damaged.problem, None, "{name}, written over");
    assert!(damaged.fell_back(), "{name}, written over");
    assert_eq!(damaged.serves(), Some(1), "{name}: the older good one");
    recovers(&mut damaged, attack, "written over").await;
}

/// Tries every attack, and tells all that did not end as they should.
async fn all_hold<T>(tried: fn(&'static Attack) -> T)
where
    T: Future<Output = ()> + 'static,
{
    let tasks = tokio::task::LocalSet::new();
    let mut wrong = Vec::new();
    for attack in all() {
        let ended = tasks.spawn_local(tried(attack));
        if tasks.run_until(ended).await.is_err() {
            wrong.push(attack.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test]
async fn every_attack_on_what_is_fetched_is_refused_by_its_name() {
    all_hold(fetched).await;
}

#[tokio::test]
async fn every_attack_planted_in_the_data_folder_is_refused_by_its_name() {
    all_hold(booted).await;
}

#[test]
#[expect(clippy::print_stdout, reason = "a run says what it counted")]
fn every_aim_has_its_attacks_and_no_attack_is_counted_twice() {
    let names: BTreeSet<&str> = all().map(|attack| attack.name).collect();
    let aims: BTreeSet<Aim> = all().map(|attack| attack.aim).collect();
    println!("{} attacks, each at fetch and at boot", names.len());
    assert_eq!(names.len(), all().count(), "names are different");
    assert_eq!(aims.len(), AIMS, "{aims:?}");
    assert!(names.len() >= ATTACKS_MIN, "{} attacks", names.len());
}

#[tokio::test]
async fn an_honest_third_revision_is_no_attack() {
    for ground in [Ground::Plain, Ground::Two, Ground::Rotated, Ground::Raised] {
        let mut scene = Scene::set(ground).await;
        assert_eq!(scene.planted(scene.lie(|_| {})).serves(), Some(3));
        scene.serve(scene.lie(|_| {}));
        assert!(scene.step().await.is_ok(), "{ground:?}");
        assert_eq!(scene.serves(), Some(3), "{ground:?}");
    }
}

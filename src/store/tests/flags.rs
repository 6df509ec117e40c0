//! Flags and segments: what is published of them, and by which document.

use super::*;
use crate::{
    evaluate::{FlagAsk, Subject, SubjectView, judge},
    store::{FlagError, ProjectChange, Stage, shelf::Shelf},
    usage::{HourCount, Tally, UsageBatch},
};

const FLAGS: &str = "
flowgate: project/1
project: shop
segments:
  - { name: testers, constraints: [ { contextName: userId, operator: IN, values: [ada] } ] }
flags:
  - name: new-cart
    environments:
      production: { enabled: true, strategies: [ { name: default, segments: [testers] } ] }
      development: { enabled: true }
  - { name: old-cart }
";

pub(super) fn with_flags(house: &House) -> Store {
    let store = house.open();
    store.import(&file(FLAGS)).unwrap();
    store.publish().unwrap();
    house.wait(1_000);
    store
}

/// Whether a flag is on for a user.
fn is_on(snapshot: &Snapshot, flag: &str, user: &str) -> bool {
    let subject = Subject::unseen(user);
    let view = SubjectView {
        user: &subject,
        group: None,
        attributes: None,
        conversation: None,
    };
    let flags = &snapshot.flags;
    let ask = FlagAsk::of(flags, view, START);
    flags
        .named(flag)
        .is_some_and(|own| judge(flags, own, &ask).enabled)
}

#[test]
fn flags_reach_the_edge_as_each_environment_has_them() {
    let house = House::new();
    let store = with_flags(&house);
    let production = pull(&store, "production", &mut trust(&store, "production"));
    let development = pull(&store, "development", &mut trust(&store, "development"));
    assert_eq!(production.flags.troubles(), []);
    assert!(is_on(&production, "new-cart", "ada") && !is_on(&production, "new-cart", "bob"));
    assert!(is_on(&development, "new-cart", "bob"));
    assert!(!is_on(&production, "old-cart", "ada"));
    assert!(
        production.flags.named("old-cart").is_some(),
        "it is there, and off"
    );
}

#[test]
fn one_flag_changed_is_one_part_where_it_changed() {
    let house = House::new();
    let store = with_flags(&house);
    let terms = Terms::default();
    let strategy = r#"{"name": "userWithId", "parameters": {"userIds": "bob"}}"#;
    store
        .add_strategy(("new-cart", "production"), strategy, &terms)
        .unwrap();
    let workspace = store.workspace();
    let shelves = locked(&store.publishing);
    for (environment, fresh) in workspace.environments.iter().zip([0, 3]) {
        let stock = shelves.of(environment).stock(&workspace, environment);
        let stock = stock.unwrap();
        assert_eq!(stock.news(), 1, "{}", environment.name);
        // The flag, its shard, the index; or nothing that is not there already.
        let known = shelves.hashes();
        let new = stock.hashes().filter(|own| !known.contains(own));
        assert_eq!(new.count(), fresh, "{}", environment.name);
    }
}

#[test]
fn a_release_asks_for_the_reader_it_needs_and_for_no_later_one() {
    let house = House::new();
    let store = house.open();
    store.import(&demo_flows()).unwrap();
    let reader = |store: &Store| {
        let workspace = store.workspace();
        let stock = Shelf::default().stock(&workspace, &workspace.environments[0]);
        stock.unwrap().min_reader()
    };
    assert_eq!(reader(&store), 3);
    store.import(&file(FLAGS)).unwrap();
    assert_eq!(reader(&store), 4);
    store.archive_flag("new-cart", &Terms::default()).unwrap();
    store.archive_flag("old-cart", &Terms::default()).unwrap();
    assert_eq!(reader(&store), 4, "a segment is left");
}

/// The demo without its flags.
fn demo_flows() -> Vec<SourceFile> {
    let mut files = demo();
    files.retain(|own| !own.content.contains("\nflags:"));
    assert!(!files.is_empty());
    files
}

#[test]
fn a_flag_switched_off_is_off_where_an_older_release_is_held() {
    let house = House::new();
    let store = with_flags(&house);
    let terms = Terms::default();
    let workspace = store.workspace();
    let uid = &workspace.environment("production").unwrap().uid;
    let listed = || {
        let publication = store.engine.publication(uid).unwrap();
        publication.unwrap().control_content.disabled_flags
    };
    assert_eq!(
        listed(),
        [""; 0],
        "what was never on is in no release that is on"
    );
    let change = |work: &dyn Fn() -> Result<ImportReport, StoreError>| {
        work().unwrap();
        store.publish().unwrap();
        house.wait(1_000);
    };
    change(&|| store.enable_flag("new-cart", "production", false, &terms));
    assert_eq!(listed(), ["new-cart"]);
    change(&|| store.enable_flag("new-cart", "production", true, &terms));
    assert_eq!(listed(), [""; 0]);
    change(&|| store.archive_flag("new-cart", &terms));
    assert_eq!(listed(), ["new-cart"]);
    change(&|| store.delete_flag("new-cart", &terms));
    assert_eq!(listed(), ["new-cart"], "a release that has it may be held");
    let again = r#"{"project": "shop", "name": "new-cart"}"#;
    change(&|| Ok(store.create_flag(again)?.1));
    assert_eq!(
        listed(),
        ["new-cart"],
        "the new one is off, and so is the old one"
    );
    change(&|| store.enable_flag("new-cart", "production", true, &terms));
    assert_eq!(listed(), [""; 0]);
}

#[test]
fn archived_flags_go_and_come_back_switched_off() {
    let house = House::new();
    let store = with_flags(&house);
    let terms = Terms::default();
    let seen = |store: &Store, flag: &str| {
        store.publish().unwrap();
        house.wait(1_000);
        let snapshot = pull(store, "production", &mut trust(store, "production"));
        snapshot.flags.named(flag).is_some()
    };
    let error = store.delete_flag("new-cart", &terms).unwrap_err();
    assert!(error.to_string().contains("archive it first"), "{error}");
    let tried = store.trying().archive_flag("new-cart", &terms).unwrap();
    assert_eq!(tried.changes.len(), 3);
    assert!(seen(&store, "new-cart"));
    store.archive_flag("new-cart", &terms).unwrap();
    assert!(!seen(&store, "new-cart"));
    let error = store.enable_flag("new-cart", "production", true, &terms);
    assert!(format!("{error:?}").contains("archived"), "{error:?}");
    store.revive_flag("new-cart", &terms).unwrap();
    assert!(seen(&store, "new-cart"));
    let workspace = store.workspace();
    let flag = &workspace.flags["new-cart"];
    assert!(
        workspace
            .environments
            .iter()
            .all(|own| !flag.enabled_in(&own.uid))
    );
    let known = Known::of(&workspace, flag, |uid| store.flag_seen(uid, &flag.name));
    let stage = known.unwrap().stage();
    assert_eq!(stage, Stage::PreLive, "it has been on");
    drop(store);
    assert_eq!(house.open().workspace().flags, workspace.flags);
}

#[test]
fn flags_of_a_project_are_published_only_where_it_is_active() {
    let house = House::new();
    let store = with_flags(&house);
    let mut follower = trust(&store, "production");
    assert!(is_on(
        &pull(&store, "production", &mut follower),
        "new-cart",
        "ada"
    ));
    let only = ProjectChange {
        environments: Some(Some(vec!["development".to_owned()])),
        ..ProjectChange::default()
    };
    store.set_project("shop", &only).unwrap();
    store.publish().unwrap();
    house.wait(1_000);
    let production = pull(&store, "production", &mut follower);
    assert!(production.flags.named("new-cart").is_none());
    let development = pull(&store, "development", &mut trust(&store, "development"));
    assert!(is_on(&development, "new-cart", "bob"));
    let refused = store.enable_flag("new-cart", "production", true, &Terms::default());
    assert!(refused.unwrap_err().to_string().contains("not active"));
    // Where an edge holds the release back, the flag is off at once.
    let workspace = store.workspace();
    let uid = &workspace.environment("production").unwrap().uid;
    let control = store
        .engine
        .publication(uid)
        .unwrap()
        .unwrap()
        .control_content;
    assert_eq!(control.disabled_flags, ["new-cart"]);
}

#[test]
fn a_flag_is_live_once_its_use_in_production_was_told_of() {
    const HOUR_MS: u64 = 60 * 60 * 1000;
    let house = House::new();
    let store = with_flags(&house);
    let stage = || {
        let workspace = store.workspace();
        let flag = &workspace.flags["new-cart"];
        let known = Known::of(&workspace, flag, |uid| store.flag_seen(uid, &flag.name));
        known.unwrap().stage()
    };
    let used = |environment: &str, seen_ms: UnixMs| {
        let count = HourCount {
            hour_ms: START - START % HOUR_MS,
            app: "shop".to_owned(),
            flag: "new-cart".to_owned(),
            seen_ms,
            counts: Tally {
                yes: 1,
                ..Tally::default()
            },
        };
        let batch = UsageBatch {
            journal: format!("{seen_ms:032x}"),
            after: 0,
            through: 1,
            counts: vec![count],
            seen: Vec::new(),
        };
        store.take_usage(environment, &batch).unwrap();
    };
    assert_eq!(stage(), Stage::PreLive);
    used("development", START + 500);
    assert_eq!(stage(), Stage::PreLive);
    used("production", START - 1);
    assert_eq!(stage(), Stage::PreLive, "before it was switched on");
    used("production", START + 500);
    assert_eq!(stage(), Stage::Live);
    let completed = r#"{"completed": "discarded"}"#;
    store
        .change_flag("new-cart", completed, &Terms::default())
        .unwrap();
    assert_eq!(stage(), Stage::Completed);
}

#[test]
fn a_segment_in_use_stays_and_names_its_users() {
    let house = House::new();
    let store = with_flags(&house);
    let terms = Terms::default();
    let error = store.delete_segment("testers", &terms).unwrap_err();
    assert_eq!(
        error.to_string(),
        "segment \"testers\" is in use by flag \"new-cart\" in production"
    );
    store
        .put_strategies(("new-cart", "production"), "[]", &terms)
        .unwrap();
    store.delete_segment("1", &terms).unwrap();
    let error = store.delete_segment("testers", &terms).unwrap_err();
    let StoreError::Flag(FlagError::UnknownSegment { expected, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(expected, "none: there are no segments");
}

#[test]
fn a_segment_gets_another_name_where_it_is_changed_and_no_other_way() {
    let house = House::new();
    let store = with_flags(&house);
    let terms = Terms::default();
    let renamed = r#"{"name": "people", "description": "Who tries things"}"#;
    let report = store.change_segment("testers", renamed, &terms).unwrap();
    assert_eq!(report.changes[0].kind, ChangeKind::SegmentChanged);
    let segments = store.workspace().segments.clone();
    assert_eq!(segments[&1].name, "people");
    assert_eq!(segments[&1].constraints.len(), 1);
    let other = r#"{"project": "shop", "name": "others", "constraints": [], "id": 1}"#;
    let error = store.create_segment(other).unwrap_err();
    assert!(format!("{error:?}").contains("which segment"), "{error:?}");
    assert_eq!(store.workspace().segments, segments);
}

#[test]
fn a_change_of_what_was_not_read_is_refused() {
    let house = House::new();
    let store = with_flags(&house);
    let tag = store.flag_text("new-cart").unwrap().tag;
    let terms = Terms { tag: Some(tag) };
    let place = ("new-cart", "development");
    store.remove_strategy(place, 1, &terms).unwrap();
    for _ in 0..2 {
        store
            .add_strategy(place, r#"{"name": "default"}"#, &Terms::default())
            .unwrap();
    }
    let error = store.remove_strategy(place, 1, &terms).unwrap_err();
    assert!(
        matches!(error, StoreError::Flag(FlagError::Changed { .. })),
        "{error}"
    );
    let error = store
        .remove_strategy(place, 9, &Terms::default())
        .unwrap_err();
    assert!(error.to_string().contains("expected 1 to 2"), "{error}");
}

/// Before, whoever took the last strategy away let everybody in.
#[test]
fn a_flag_that_loses_its_last_strategy_is_switched_off() {
    let terms = Terms::default();
    let place = ("new-cart", "production");
    let change = r#"{"environments": {"production": {"strategies": []}}}"#;
    type Emptied<'e> = dyn Fn(&Store) -> Result<ImportReport, StoreError> + 'e;
    let ways: [&Emptied; 3] = [
        &|store| store.remove_strategy(place, 1, &terms),
        &|store| store.put_strategies(place, "[]", &terms),
        &|store| store.change_flag("new-cart", change, &terms),
    ];
    for emptied in ways {
        let house = House::new();
        let store = with_flags(&house);
        let report = emptied(&store).unwrap();
        let kinds: Vec<ChangeKind> = report.changes.iter().map(|own| own.kind).collect();
        assert_eq!(
            kinds,
            [ChangeKind::FlagDisabled, ChangeKind::FlagStrategies]
        );
        let place = report.changes[0].environment.as_deref();
        assert_eq!(place, Some("production"));
        assert!(
            report.notices[0].rule.contains("switched off"),
            "{report:?}"
        );
        store.publish().unwrap();
        house.wait(1_000);
        let snapshot = pull(&store, "production", &mut trust(&store, "production"));
        for user in ["ada", "bob"] {
            assert!(!is_on(&snapshot, "new-cart", user), "{user}");
        }
        // Switched on again it is on for everybody, because somebody says so.
        store
            .enable_flag("new-cart", "production", true, &terms)
            .unwrap();
        store.publish().unwrap();
        house.wait(1_000);
        let snapshot = pull(&store, "production", &mut trust(&store, "production"));
        assert!(is_on(&snapshot, "new-cart", "bob"));
    }
}

/// Before, what was left of the other could neither be changed nor revived, and
/// an export was not taken back.
#[test]
fn a_flag_on_which_an_archived_one_depends_is_kept_as_it_is() {
    let house = House::new();
    let store = house.open();
    let text = "flowgate: project/1\nproject: shop\nflags: [{ name: base }, { name: other }, \
                { name: child, dependencies: [base] }]\n";
    store.import(&file(text)).unwrap();
    let terms = Terms::default();
    let error = store.archive_flag("base", &terms).unwrap_err();
    let expected = "child depends on it, so it cannot be archived";
    assert!(format!("{error:?}").contains(expected), "{error:?}");
    store.archive_flag("child", &terms).unwrap();
    let deeper = r#"{"dependencies": ["other"]}"#;
    let error = store.change_flag("base", deeper, &terms).unwrap_err();
    let expected = "child (archived) depends on it";
    assert!(format!("{error:?}").contains(expected), "{error:?}");
    store.archive_flag("base", &terms).unwrap();
    let error = store.delete_flag("base", &terms).unwrap_err();
    let expected = "flag \"base\" is in use: child (archived) depends on it (delete those first, or \
                    change what they depend on)";
    assert_eq!(error.to_string(), expected);
    let text = store.export(None).unwrap();
    assert!(store.import(&file(&text)).unwrap().changes.is_empty());
    // With the other it goes.
    let alone = r#"{"dependencies": []}"#;
    store.change_flag("child", alone, &terms).unwrap();
    store.delete_flag("base", &terms).unwrap();
    store.revive_flag("child", &terms).unwrap();
}

#[test]
fn a_refusal_says_how_to_go_on() {
    let house = House::new();
    let terms = Terms::default();
    let text = r#"{"project": "shop", "name": "f"}"#;
    let error = house.open().create_flag(text).unwrap_err();
    let expected = "project \"shop\" does not exist (expected none: there are no projects)";
    assert_eq!(error.to_string(), expected);
    let store = with_flags(&house);
    store.archive_flag("new-cart", &terms).unwrap();
    let error = store
        .enable_flag("new-cart", "production", true, &terms)
        .unwrap_err();
    assert!(
        format!("{error:?}").contains("flowgate flag revive"),
        "{error:?}"
    );
}

//! Content that a version has in one environment only is seen there and
//! nowhere else, and goes with everything that is done to the version.

use super::*;
use crate::store::{CloneTerms, SeenVersion, Terms, Written};

const PROJECT: &str = "
flowgate: project/1
project: harbor
flows:
- sid: help
  versions:
  - { number: 1, message: m, author: a, created: 2026-01-01T00:00:00Z,
      blocks: [{ sid: card, type: card, fields: { title: Ahoy } }],
      paths: [{ from: entry, to: card }] }
";

fn shop(house: &House) -> Store {
    let store = house.open();
    store.import(&file(PROJECT)).unwrap();
    store.publish().unwrap();
    house.wait(1_000);
    store
}

fn text(store: &Store, seen: &str) -> String {
    store
        .seen_text("help", &SeenVersion::named(seen).unwrap())
        .unwrap()
        .text
}

fn deploy(store: &Store, environment: Option<&str>, title: &str) -> Written {
    let content = text(store, "1").replace("Ahoy", title);
    let place = (1, environment);
    store
        .deploy_content("help", place, &content, &Terms::default())
        .unwrap()
}

/// The title an environment's edges show.
fn title(store: &Store, environment: &str) -> String {
    store.publish().unwrap();
    let snapshot = pull(store, environment, &mut trust(store, environment));
    let slot = snapshot.flows["help"].latest().unwrap();
    let version = slot.version.as_ref().unwrap();
    let head = String::from_utf8_lossy(&version.blocks[0].json_head).into_owned();
    let words = ["Ahoy", "Oh", "Hey"];
    let mut found = words.into_iter().filter(|word| head.contains(*word));
    found.next().unwrap_or_default().to_owned()
}

#[test]
fn content_of_one_environment_is_seen_there_and_nowhere_else() {
    let house = House::new();
    let store = shop(&house);
    let written = deploy(&store, Some("production"), "Oh");
    assert_eq!(
        written.report.changes[0].environment.as_deref(),
        Some("production")
    );
    assert_eq!(written.differences.len(), 1, "{:?}", written.differences);
    assert!(text(&store, "1@production").contains("Oh"));
    assert!(text(&store, "latest@development").contains("Ahoy"));
    assert_eq!(
        (title(&store, "production"), title(&store, "development")),
        ("Oh".to_owned(), "Ahoy".to_owned())
    );
    let (plain, own) = (
        SeenVersion::named("1").unwrap(),
        SeenVersion::named("1@production").unwrap(),
    );
    assert_eq!(store.compare_seen("help", &plain, &own).unwrap().len(), 1);
    // The same again is nothing, and after a restart it is there.
    assert_eq!(deploy(&store, Some("production"), "Oh").report.changes, []);
    drop(store);
    let store = house.open();
    assert_eq!(title(&store, "production"), "Oh");
    // What everybody sees is no environment's own any more.
    let back = store.follow_content("help", (1, "production"), &Terms::default());
    assert_eq!(back.unwrap().report.changes.len(), 1);
    assert_eq!(title(&store, "production"), "Ahoy");
    assert!(store.workspace().flows["help"].content.is_empty());
}

#[test]
fn content_for_all_takes_the_place_of_what_single_environments_had() {
    let house = House::new();
    let store = shop(&house);
    deploy(&store, Some("production"), "Oh");
    deploy(&store, None, "Hey");
    assert_eq!(title(&store, "production"), "Hey");
    assert_eq!(title(&store, "development"), "Hey");
    drop(store);
    assert!(house.open().workspace().flows["help"].content.is_empty());
}

#[test]
fn a_structure_stays_and_a_tag_and_a_dry_run_count_as_ever() {
    let house = House::new();
    let store = shop(&house);
    let other = text(&store, "1").replace("type: card", "type: modal");
    let place = (1, Some("production"));
    let refused = store.deploy_content("help", place, &other, &Terms::default());
    assert!(refused.is_err());
    let content = text(&store, "1").replace("Ahoy", "Oh");
    let stale = Terms {
        tag: Some("of another text".to_owned()),
    };
    assert!(
        store
            .deploy_content("help", place, &content, &stale)
            .is_err()
    );
    let trial = store.trying();
    let would = trial
        .deploy_content("help", place, &content, &Terms::default())
        .unwrap();
    assert_eq!(would.differences.len(), 1);
    assert!(store.workspace().flows["help"].content.is_empty());
    let place = (1, Some("moon"));
    assert!(
        store
            .deploy_content("help", place, &content, &Terms::default())
            .is_err()
    );
}

#[test]
fn exports_and_clones_keep_it() {
    let house = House::new();
    let store = shop(&house);
    deploy(&store, Some("production"), "Oh");
    let exported = store.export(None).unwrap();
    assert_eq!(store.import(&file(&exported)).unwrap().changes, []);
    let other = House::new();
    let elsewhere = other.open();
    elsewhere.import(&file(&exported)).unwrap();
    assert_eq!(elsewhere.export(None).unwrap(), exported);
    assert_eq!(title(&elsewhere, "production"), "Oh");
    // Of one environment, what that one sees.
    let seen = store.export(Some("production")).unwrap();
    assert!(seen.contains("Oh") && !seen.contains("Ahoy"), "{seen}");
    let terms = CloneTerms {
        name: "staging".to_owned(),
        ..CloneTerms::default()
    };
    let cloned = store.clone_environment("production", &terms).unwrap();
    assert_eq!(cloned.contents, 1);
    assert_eq!(title(&store, "staging"), "Oh");
}

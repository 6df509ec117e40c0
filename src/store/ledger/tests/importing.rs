//! Lines of a file between the records of edges.

use super::*;
use crate::store::UserLine;
use Outcome::Applied;

fn import(scene: &Scene, lines: &[&str], dry_run: bool) -> ImportedUsers {
    let read = |line: &&str| UserLine::read(line.as_bytes()).map_err(|error| error.to_string());
    let lines: Vec<_> = lines.iter().map(read).collect();
    scene.store.import_users(WHERE, &lines, dry_run).unwrap()
}

fn tally(created: u64, changed: u64, unchanged: u64) -> Tally {
    Tally {
        created,
        changed,
        unchanged,
    }
}

#[test]
fn an_import_between_two_steps_of_an_edge_loses_neither() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u");
    assert_eq!(edge.outcomes(), [Applied]);
    let line = r#"{"user":"u","properties":{"rich":true},"groups":[{"identifier":"g"}]}"#;
    import(&scene, &[line], false);
    // The edge has not heard of it: it builds on its own record.
    edge.rich("u", true);
    edge.leave("u", "gold", "complete");
    let outcomes = edge.ship();
    assert!(outcomes.iter().all(|one| one.outcome == Applied));
    assert!(!outcomes[1].as_recorded, "the edge reads again");
    assert_eq!(scene.active("u"), ["first"]);
    let user = scene.user("u");
    assert_eq!(Value::Object(user.properties), json!({"rich": true}));
    assert_eq!((user.groups, user.doc_rev), (vec!["g".to_owned()], 4));
    assert!(scene.dead().is_empty());
    // Decided on all there is, it is as its edge says once more.
    edge.read("u");
    edge.rich("u", false);
    assert!(edge.ship()[0].as_recorded);
}

#[test]
fn what_an_import_changes_is_noted_and_nothing_else() {
    let scene = Scene::new();
    let lines = [
        r#"{"user":"u","properties":{"a":1},"groups":[{"identifier":"g","properties":{"b":1}}]}"#,
        r#"{"user":"v"}"#,
        r#"{"user":"u","properties":{"a":1}}"#,
    ];
    let cursor = scene.store.changes(WHERE, None).unwrap().cursor;
    let would = import(&scene, &lines, true);
    assert_eq!(
        (would.users, would.groups),
        (tally(2, 0, 1), tally(1, 0, 0))
    );
    let changes = || scene.store.changes(WHERE, Some(&cursor)).unwrap().changes;
    assert!(changes().is_empty(), "nothing was written");
    assert_eq!(import(&scene, &lines, false), would);
    let noted = changes();
    let subjects = [("user", "u"), ("group", "g"), ("user", "v")];
    let subjects = subjects.map(|(kind, id)| format!("{:016x}", subject_hash(kind, &[id])));
    assert!(noted.iter().map(|own| &own.subject).eq(&subjects));
    // Nobody's journal: no edge takes it for its own.
    assert!(
        noted
            .iter()
            .all(|own| own.journal.is_empty() && own.doc_rev == 1)
    );
    let again = import(&scene, &lines, false);
    assert_eq!(
        (again.users, again.groups),
        (tally(0, 0, 3), tally(0, 0, 1))
    );
    assert_eq!(changes().len(), 3);
    let user = scene.user("u");
    assert_eq!((user.doc_rev, user.last, user.mixed), (1, None, false));
    assert_eq!(
        (user.created_ms, user.updated_ms),
        (Some(START), Some(START))
    );
}

#[test]
fn a_line_is_taken_as_a_whole_or_not_at_all() {
    let scene = Scene::new();
    let large = "x".repeat(4_000);
    let names = (0..17).map(|n| format!("\"p{n}\":\"{large}\""));
    let large: Vec<String> = names.collect();
    let line = format!(
        r#"{{"user":"u","properties":{{"a":1}},"groups":[{{"identifier":"g"}},{{"identifier":"h","properties":{{{}}}}}]}}"#,
        large.join(",")
    );
    let done = import(&scene, &[&line, "{", r#"{"group":"i"}"#], false);
    assert_eq!((done.users, done.groups), (tally(0, 0, 0), tally(1, 0, 0)));
    let refused: Vec<usize> = done.refused.iter().map(|one| one.at).collect();
    assert_eq!(refused, [0, 1]);
    assert!(done.refused[0].why.contains("the group's properties"));
    assert_eq!(scene.user("u").doc_rev, 0);
    for (group, doc_rev) in [("g", 0), ("h", 0), ("i", 1)] {
        assert_eq!(scene.store.group(WHERE, group).unwrap().doc_rev, doc_rev);
    }
}

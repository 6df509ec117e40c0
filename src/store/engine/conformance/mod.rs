//! What must every engine do?
//!
//! One suite, run on each engine's own storage. `open` opens the same storage
//! every time; what it opened before has been dropped.

mod authored;
mod usage;

use std::collections::BTreeSet;

use super::*;
use crate::{limits, progress::event::MembershipDocument, snapshot::wire::ControlDocument};
use authored::{a_commit_is_all_or_nothing, authored_things_come_back};

/// Runs the whole suite; every part uses names of its own.
pub(crate) fn conforms(open: &dyn Fn() -> Box<dyn Engine>) {
    empty_storage_is_empty(&*open());
    authored_things_come_back(open);
    a_commit_is_all_or_nothing(&*open());
    documents_and_publications_come_back(open);
    blobs_are_retired_taken_back_and_pruned(&*open());
    progress_is_read_inside_and_after_a_transaction(open);
    users_and_groups_are_listed_by_id(&*open());
    memberships_come_back_under_their_own_key(open);
    changes_are_counted_kept_and_pruned(open);
    a_transaction_that_rolls_back_leaves_nothing(&*open());
    environments_do_not_see_each_other(&*open());
    usage::use_is_counted_once(open);
    usage::use_is_forgotten(&*open());
    usage::variants_of_several_batches_are_bounded(&*open());
    usage::names_that_are_made_up_leave_room_for_flags(&*open());
    usage::what_an_edge_counts_itself_always_has_room(&*open());
    an_environment_is_erased_in_steps(&*open());
}

fn empty_storage_is_empty(engine: &dyn Engine) {
    assert_eq!(engine.workspace().unwrap(), Workspace::default());
    assert_eq!(engine.publication("e1").unwrap(), None);
    assert_eq!(engine.user("e1", "u").unwrap(), None);
    assert_eq!(engine.group("e1", "g").unwrap(), None);
    assert_eq!(engine.blob(&"0".repeat(64)).unwrap(), None);
    assert!(engine.blobs_in_force().unwrap().is_empty());
    assert!(engine.dead_letters("e1", 10).unwrap().is_empty());
}

fn documents_and_publications_come_back(open: &dyn Fn() -> Box<dyn Engine>) {
    let name = |role, epoch, version| DocumentName {
        environment_uid: "e1".to_owned(),
        epoch,
        role,
        version,
    };
    let release = name(DocumentRole::Release, 0, 1);
    let publication = Publication {
        environment_uid: "e1".to_owned(),
        revision: 3,
        serial: 4,
        timestamp: b"signed".to_vec(),
        control_content: ControlDocument {
            revoked_keys: vec!["k".to_owned()],
            ..ControlDocument::default()
        },
        ..Publication::default()
    };
    let newer = Publication {
        serial: 5,
        timestamp: b"newer".to_vec(),
        ..publication.clone()
    };
    let engine = open();
    let writes = [
        Write::Document(release.clone(), b"one".to_vec()),
        Write::Document(name(DocumentRole::Control, 0, 1), b"control".to_vec()),
        Write::Publication(Box::new(publication)),
        Write::Publication(Box::new(newer.clone())),
    ];
    engine.commit(&writes).unwrap();
    // A signed document is never replaced.
    assert!(
        engine
            .commit(&[Write::Document(release.clone(), b"other".to_vec())])
            .is_err()
    );
    drop(engine);
    let engine = open();
    assert_eq!(engine.document(&release).unwrap().unwrap(), b"one");
    let other_epoch = name(DocumentRole::Release, 1, 1);
    assert_eq!(engine.document(&other_epoch).unwrap(), None);
    assert_eq!(engine.publication("e1").unwrap(), Some(newer));
}

fn blobs_are_retired_taken_back_and_pruned(engine: &dyn Engine) {
    let blob = |sha: &str| Write::Blob {
        sha256: sha.to_owned(),
        bytes: sha.as_bytes().to_vec(),
    };
    let retire = |sha: &str| Write::RetireBlob {
        sha256: sha.to_owned(),
        at_ms: 100,
    };
    let prune = |before| Write::PruneBlobs {
        retired_before_ms: before,
    };
    let writes = [blob("a"), blob("b"), blob("c"), retire("a"), retire("b")];
    engine.commit(&writes).unwrap();
    assert_eq!(
        engine.blobs_in_force().unwrap(),
        BTreeSet::from(["c".to_owned()])
    );
    engine.commit(&[prune(100)]).unwrap();
    assert!(engine.blob("a").unwrap().is_some(), "not old enough");
    engine.commit(&[blob("b"), prune(101)]).unwrap();
    assert_eq!(engine.blob("a").unwrap(), None);
    assert_eq!(engine.blob("b").unwrap().unwrap(), b"b");
    assert_eq!(engine.blobs_in_force().unwrap().len(), 2);
}

fn user(identifier: &str, doc_rev: u64) -> UserDocument {
    UserDocument {
        identifier: identifier.to_owned(),
        doc_rev,
        ..UserDocument::default()
    }
}

fn group(identifier: &str) -> GroupRecord {
    GroupRecord {
        identifier: identifier.to_owned(),
        doc_rev: 1,
        ..GroupRecord::default()
    }
}

fn letter(seq: u64) -> DeadLetter {
    let event = serde_json::json!({
        "environment": "first", "environment_uid": "e1", "user": "ann", "revision": "0.1",
        "decided_ms": 5, "operation": {"op": "identify", "properties": {}}, "base": "absent",
        "edge": "edge-1",
    });
    DeadLetter {
        journal: "j".to_owned(),
        seq,
        why: "it did not fit".to_owned(),
        at_ms: 7,
        event: serde_json::from_value(event).unwrap(),
    }
}

fn progress_is_read_inside_and_after_a_transaction(open: &dyn Fn() -> Box<dyn Engine>) {
    let mark = JournalMark {
        watermark: Some(12),
        hash: "h".to_owned(),
        closed_ms: Some(5),
    };
    let places = BTreeSet::from(["f/1/".to_owned()]);
    let engine = open();
    let mut work = |rows: &mut dyn LedgerTransaction| {
        assert_eq!(rows.mark("j")?, None);
        rows.put_user(&user("ann", 1))?;
        rows.put_user(&user("ann", 2))?;
        assert_eq!(rows.user("ann")?, Some(user("ann", 2)));
        rows.put_group(&group("acme"))?;
        assert_eq!(rows.group("acme")?, Some(group("acme")));
        rows.put_mark("j", &JournalMark::default())?;
        rows.put_mark("j", &mark)?;
        assert!(rows.refuted("j", "ann")?.is_empty());
        rows.put_refuted("j", "ann", &places, 5)?;
        rows.put_refuted("j", "bob", &places, 5)?;
        rows.put_refuted("j", "bob", &BTreeSet::new(), 5)?;
        rows.dead_letter(&letter(1))?;
        rows.dead_letter(&letter(2))?;
        Ok(Ending::Commit)
    };
    engine.ledger("e1", &mut work).unwrap();
    drop(engine);
    let engine = open();
    assert_eq!(engine.user("e1", "ann").unwrap(), Some(user("ann", 2)));
    assert_eq!(engine.group("e1", "acme").unwrap(), Some(group("acme")));
    assert_eq!(engine.dead_letters("e1", 1).unwrap(), [letter(2)]);
    assert_eq!(engine.dead_letters("e1", 9).unwrap().len(), 2);
    let mut read = |rows: &mut dyn LedgerTransaction| {
        assert_eq!(rows.mark("j")?, Some(mark.clone()));
        assert_eq!(rows.refuted("j", "ann")?, places);
        assert!(rows.refuted("j", "bob")?.is_empty());
        Ok(Ending::RollBack)
    };
    engine.ledger("e1", &mut read).unwrap();
}

fn users_and_groups_are_listed_by_id(engine: &dyn Engine) {
    const PLACE: &str = "listed";
    let ids = ["B", "a", "a b", "é", "\u{10000}"];
    let mut work = |rows: &mut dyn LedgerTransaction| {
        for id in ids.iter().rev() {
            rows.put_user(&user(id, 1))?;
            rows.put_group(&group(id))?;
        }
        Ok(Ending::Commit)
    };
    engine.ledger(PLACE, &mut work).unwrap();
    let users = engine.users_after(PLACE, "", 9).unwrap();
    assert!(users.iter().map(|own| &*own.identifier).eq(ids));
    assert_eq!(engine.users_after(PLACE, "a", 1).unwrap(), users[2..3]);
    assert!(engine.users_after(PLACE, ids[4], 9).unwrap().is_empty());
    let groups = engine.groups_after(PLACE, "a", 2).unwrap();
    assert!(groups.iter().map(|own| &*own.identifier).eq(["a b", "é"]));
    assert!(engine.groups_after("elsewhere", "", 9).unwrap().is_empty());
}

fn membership(is_in: bool, conversation: Option<&str>) -> (MembershipKey, MembershipRecord) {
    let membership = MembershipDocument {
        deployment: "d".to_owned(),
        id: "ann".to_owned(),
        conversation: conversation.map(ToOwned::to_owned),
        is_in,
        basis_points: 2_500,
        bucket: 17,
    };
    let record = MembershipRecord {
        doc_rev: 1,
        membership: Some(membership.clone()),
        decided_ms: 5,
        started: is_in,
        finished: false,
        last: Some(("j".to_owned(), 3)),
    };
    (MembershipKey::of(&membership), record)
}

fn memberships_come_back_under_their_own_key(open: &dyn Fn() -> Box<dyn Engine>) {
    let (plain, out) = membership(false, None);
    let (inside, in_c) = membership(true, Some("c"));
    let engine = open();
    let mut work = |rows: &mut dyn LedgerTransaction| {
        assert_eq!(rows.membership(&plain)?, None);
        rows.put_membership(&plain, &in_c, 1)?;
        rows.put_membership(&plain, &out, 2)?;
        rows.put_membership(&inside, &in_c, 2)?;
        assert_eq!(rows.membership(&plain)?, Some(out.clone()));
        Ok(Ending::Commit)
    };
    engine.ledger("e1", &mut work).unwrap();
    drop(engine);
    let engine = open();
    assert_eq!(engine.membership("e1", &plain).unwrap(), Some(out));
    assert_eq!(engine.membership("e1", &inside).unwrap(), Some(in_c));
    assert_eq!(engine.membership("e2", &plain).unwrap(), None);
}

fn change(number: u64) -> Change {
    Change {
        subject: format!("{number:016x}"),
        doc_rev: number,
        journal: "j".to_owned(),
    }
}

fn changes_are_counted_kept_and_pruned(open: &dyn Fn() -> Box<dyn Engine>) {
    const MORE: u64 = 3;
    let engine = open();
    let none = engine.changes("e7", 0, 10).unwrap();
    assert_eq!((none.first, none.last, none.rows.len()), (1, 0, 0));
    assert!(!none.ledger.is_empty());
    let mut forgotten = |rows: &mut dyn LedgerTransaction| {
        rows.note(&change(99))?;
        Ok(Ending::RollBack)
    };
    engine.ledger("e7", &mut forgotten).unwrap();
    let mut note = |rows: &mut dyn LedgerTransaction| {
        for number in 1..=limits::CHANGES_KEPT_MAX + MORE {
            rows.note(&change(number))?;
        }
        Ok(Ending::Commit)
    };
    engine.ledger("e7", &mut note).unwrap();
    drop(engine);
    let engine = open();
    let found = engine.changes("e7", MORE, 2).unwrap();
    assert_eq!(found.ledger, none.ledger, "the same one after a restart");
    assert_eq!(found.first, MORE + 1);
    assert_eq!(found.last, limits::CHANGES_KEPT_MAX + MORE);
    let expected: Vec<(u64, Change)> = (MORE + 1..=MORE + 2).map(|n| (n, change(n))).collect();
    assert_eq!(found.rows, expected);
    assert_eq!(engine.changes("e8", 0, 10).unwrap().last, 0);
}

fn a_transaction_that_rolls_back_leaves_nothing(engine: &dyn Engine) {
    let mut give_up = |rows: &mut dyn LedgerTransaction| {
        rows.put_user(&user("carl", 1))?;
        Ok(Ending::RollBack)
    };
    engine.ledger("e1", &mut give_up).unwrap();
    let mut fail = |rows: &mut dyn LedgerTransaction| {
        rows.put_user(&user("carl", 1))?;
        Err(EngineError::Row {
            what: "test",
            found: "a failure".to_owned(),
        })
    };
    assert!(engine.ledger("e1", &mut fail).is_err());
    assert_eq!(engine.user("e1", "carl").unwrap(), None);
}

fn environments_do_not_see_each_other(engine: &dyn Engine) {
    assert_eq!(engine.user("e2", "ann").unwrap(), None);
    assert_eq!(engine.group("e2", "acme").unwrap(), None);
    assert!(engine.dead_letters("e2", 9).unwrap().is_empty());
    let mut read = |rows: &mut dyn LedgerTransaction| {
        assert_eq!(rows.mark("j")?, None);
        assert_eq!(rows.user("ann")?, None);
        assert!(rows.refuted("j", "ann")?.is_empty());
        Ok(Ending::RollBack)
    };
    engine.ledger("e2", &mut read).unwrap();
}

fn an_environment_is_erased_in_steps(engine: &dyn Engine) {
    let fill = |uid: &str| {
        engine
            .ledger(uid, &mut |rows| {
                for number in 0..7 {
                    rows.put_user(&user(&format!("u{number}"), 1))?;
                }
                rows.put_group(&group("g"))?;
                Ok(Ending::Commit)
            })
            .unwrap();
    };
    fill("e-gone");
    fill("e-kept");
    let steps: Vec<usize> = (0..4).map(|_| engine.erase("e-gone", 3).unwrap()).collect();
    assert_eq!(steps, [3, 3, 2, 0]);
    assert!(engine.users_after("e-gone", "", 9).unwrap().is_empty());
    assert_eq!(engine.users_after("e-kept", "", 9).unwrap().len(), 7);
    assert!(engine.group("e-kept", "g").unwrap().is_some());
}

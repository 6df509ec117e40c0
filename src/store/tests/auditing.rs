//! Is there an entry for every change, and a change for every entry?

use rusqlite::Connection;

use super::*;
use crate::store::{
    Audited, KeyTerms, Role,
    rights::{Actor, Rights},
};

/// The entry of what a store begins with.
const BEGUN: u64 = 1;

/// What the log says of everything since the store began, the oldest first.
fn entries(store: &Store) -> Vec<crate::store::AuditEntry> {
    let mut entries = all_entries(store);
    entries.retain(|own| own.id != BEGUN);
    entries
}

fn all_entries(store: &Store) -> Vec<crate::store::AuditEntry> {
    let asked = Audited {
        page: PageAsk::first(200),
        ..Audited::default()
    };
    let mut entries = store.audit(&asked).unwrap().entries;
    entries.reverse();
    entries
}

fn ann() -> Actor {
    Actor {
        name: "ann".to_owned(),
        last: Some("abc123".to_owned()),
        rights: Rights::ALL,
        request: Some("r-1".to_owned()),
        meant: crate::store::confirming::Meant::Everywhere,
    }
}

fn key(name: &str) -> KeyName {
    KeyName {
        kind: StoredKeyKind::Server,
        environment: Some("production".to_owned()),
        name: name.to_owned(),
    }
}

#[test]
fn every_change_has_an_entry_that_says_who_and_what_it_was_before() {
    let house = House::new();
    let store = house.open();
    store.import(&demo()).unwrap();
    let before = entries(&store).len();
    let store = store.acting(ann());
    store
        .set_status("onboarding-tour", "production", false)
        .unwrap();
    // What changes nothing has none.
    store
        .set_status("onboarding-tour", "production", false)
        .unwrap();
    let made = store.create_key(&key("web"), &[]).unwrap();
    store.revoke_key(&key("web"), None).unwrap();
    let all = entries(&store);
    let new = &all[before..];
    let told: Vec<_> = new
        .iter()
        .map(|own| {
            (
                &*own.changes[0].action,
                &*own.changes[0].kind,
                &*own.changes[0].object,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("changed", "status", "onboarding-tour"),
            ("created", "key", "web"),
            ("changed", "key", "web")
        ]
    );
    let status = &new[0];
    assert_eq!((&*status.who.name, status.who.role), ("ann", Role::Admin));
    assert_eq!(status.request.as_deref(), Some("r-1"));
    let change = &status.changes[0];
    assert_eq!(
        change.environments.as_deref(),
        Some(&["production".to_owned()][..])
    );
    let enabled = |state: &Option<serde_json::Value>| state.as_ref().unwrap()["enabled"].clone();
    assert_eq!(
        (enabled(&change.before), enabled(&change.after)),
        (true.into(), false.into())
    );
    // No secret, neither as text nor as hash.
    let text = serde_json::to_string(&all).unwrap();
    assert!(!text.contains(&made.key) && !text.contains(&sha256_hex(made.key.as_bytes())));
    assert!(text.contains(&made.listing.last));
}

#[test]
fn an_import_is_one_entry_that_names_everything_it_changed() {
    let house = House::new();
    let store = house.open();
    let report = store.import(&demo()).unwrap();
    let all = entries(&store);
    assert_eq!(all.len(), 1);
    let entry = &all[0];
    assert_eq!((&*entry.who.name, &entry.who.last), ("store", &None));
    // One change of an entry may be several of a report: a flag that was made is
    // also one that was switched on.
    for change in &report.changes {
        let object = change.deployment.as_ref().unwrap_or(&change.sid);
        let told = entry.changes.iter().any(|own| own.object == *object);
        assert!(told, "{change:?} is not in {entry:?}");
    }
    let support: Vec<_> = entry
        .changes
        .iter()
        .filter(|own| own.object == "customer-support")
        .collect();
    assert!(
        support
            .iter()
            .any(|own| own.kind == "version" && own.version == Some(1))
    );
    // A flow is found by its sid, whatever was done to it.
    let asked = Audited {
        page: PageAsk::first(1),
        filter: crate::store::AuditFilter {
            object: Some("customer-support".to_owned()),
            ..Default::default()
        },
        ..Audited::default()
    };
    let page = store.audit(&asked).unwrap();
    assert_eq!((page.entries.len(), page.next), (1, None));
}

#[test]
fn secrets_of_webhooks_are_not_told_but_that_they_changed_is() {
    let house = House::new();
    let store = house.open();
    let project = |secret: &str| {
        vec![SourceFile {
            name: "a".to_owned(),
            content: format!(
                "flowgate: project/1\nproject: p\nflows: [{{sid: f, draft: {{entry: everyone, \
                 blocks: [{{sid: w, type: webhook, url: 'https://crm.example/hook/{secret}', \
                 headers: {{authorization: Bearer {secret}}}, body: {{token: {secret}}}}}], \
                 paths: [{{from: entry, to: w}}]}}}}]\n"
            ),
        }]
    };
    store.import(&project("planted-one")).unwrap();
    store.import(&project("planted-two")).unwrap();
    let all = entries(&store);
    let text = serde_json::to_string(&all).unwrap();
    assert!(!text.contains("planted"), "{text}");
    assert!(text.contains("https://crm.example"));
    let last = all[1].changes.last().unwrap().after.clone().unwrap();
    assert_eq!(last["webhookSettingsChanged"], true);
}

#[test]
fn a_change_without_entry_and_an_entry_without_change_are_impossible() {
    let house = House::new();
    let store = house.open();
    store.import(&demo()).unwrap();
    let database = Connection::open(house.folder.path().join("store.db")).unwrap();
    // Each side of the transaction fails once, behind the store's back.
    for (table, what) in [("audit", "the entry"), ("keys", "the change")] {
        database
            .execute_batch(&format!(
                "CREATE TRIGGER broken BEFORE INSERT ON {table}
                 BEGIN SELECT RAISE(ABORT, 'planted'); END"
            ))
            .unwrap();
        let before = (entries(&store), store.workspace().keys.len());
        let failed = store.create_key(&key("web"), &[]);
        assert!(failed.is_err(), "{what} cannot be written");
        assert_eq!(
            (entries(&store), store.workspace().keys.len()),
            before,
            "{what}"
        );
        let stored: i64 = database
            .query_row("SELECT count(*) FROM keys", [], |row| row.get(0))
            .unwrap();
        assert_eq!(stored as usize, before.1, "{what}");
        database.execute_batch("DROP TRIGGER broken").unwrap();
    }
    store.create_key(&key("web"), &[]).unwrap();
    assert_eq!(entries(&store).last().unwrap().changes[0].object, "web");
}

#[test]
fn what_a_store_begins_with_has_an_entry_of_the_store_itself() {
    let house = House::new();
    let store = house.open();
    let begun = all_entries(&store);
    let [entry] = begun.as_slice() else {
        panic!("one entry was expected: {begun:?}");
    };
    assert_eq!(
        (entry.who.name.as_str(), entry.who.last.as_ref()),
        ("store", None)
    );
    assert_eq!((entry.id, entry.at_ms), (BEGUN, house.ambient.now_ms()));
    let told = entry.changes.iter().map(|own| {
        assert_eq!((&*own.action, &*own.kind), ("created", "environment"));
        assert!(own.before.is_none() && own.after.is_some());
        assert_eq!(own.environments, Some(vec![own.object.clone()]));
        own.object.as_str()
    });
    assert_eq!(told.collect::<Vec<_>>(), ["development", "production"]);
    // Once, and with what it begins with: nobody adds a project but by a change.
    assert!(store.workspace().projects.is_empty());
    drop(store);
    assert_eq!(all_entries(&house.open()), begun);
}

#[test]
fn the_log_is_read_in_pages_and_forgotten_in_time() {
    let house = House::new();
    let store = house.open();
    for number in 0..7 {
        house.wait(1_000);
        store.create_key(&key(&format!("k{number}")), &[]).unwrap();
    }
    let mut asked = Audited {
        page: PageAsk::first(3),
        environment: Some("production".to_owned()),
        ..Audited::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = store.audit(&asked).unwrap();
        assert!(page.entries.len() <= 3);
        seen.extend(
            page.entries
                .into_iter()
                .map(|own| own.changes[0].object.clone()),
        );
        let Some(next) = page.next else { break };
        asked.page.after = Some(next);
    }
    let begun = "development";
    assert_eq!(seen, ["k6", "k5", "k4", "k3", "k2", "k1", "k0", begun]);
    asked.page.after = Some("soon".to_owned());
    assert!(matches!(store.audit(&asked), Err(StoreError::Cursor(_))));
    // Nothing of it is noticed elsewhere.
    let elsewhere = Audited {
        environment: Some("development".to_owned()),
        page: PageAsk::first(9),
        ..Audited::default()
    };
    let others = store.audit(&elsewhere).unwrap().entries;
    assert_eq!(others.len(), 1, "what the store began with");
    assert_eq!(others[0].who.name, "store");
    // Never sooner than the time it is kept for.
    let newest = entries(&store).last().unwrap().at_ms;
    let kept = crate::store::Retention::default().audit_ms;
    store.sweep(newest + kept - 2_500).unwrap();
    assert_eq!(entries(&store).len(), 3);
    // Ids are not given out again when the newest go.
    let id = entries(&store).last().unwrap().id;
    store.sweep(newest + kept + 1).unwrap();
    assert_eq!(entries(&store), []);
    store.create_key(&key("later"), &[]).unwrap();
    assert!(entries(&store)[0].id > id);
}

#[test]
fn what_keys_may_do_comes_back_after_a_restart() {
    let house = House::new();
    let store = house.open();
    let name = KeyName {
        kind: StoredKeyKind::Admin,
        environment: None,
        name: "ann".to_owned(),
    };
    let terms = KeyTerms {
        role: Some(Role::Editor),
        environments: vec!["development".to_owned()],
        ..KeyTerms::default()
    };
    let made = store.create_key_on(&name, &terms, None).unwrap();
    drop(store);
    let store = house.open();
    let key = store.authenticate(&made.key).unwrap();
    let development = store
        .workspace()
        .environment("development")
        .unwrap()
        .uid
        .clone();
    let expected = Rights {
        role: Role::Editor,
        environments: vec![development],
    };
    assert_eq!(key.rights, Some(expected));
}

//! Environments and projects come and go while the store runs.

use serde_json::json;

use super::*;
use crate::{
    progress::event::EdgeReport,
    snapshot::wire::UnsignedUsers,
    store::{
        KeyName, PageAsk, ProjectChange, StoredKeyKind,
        engine::Ending,
        tests::{House, demo, file},
        workspace::Deployment,
    },
};

fn new(name: &str, kind: EnvironmentType) -> NewEnvironment {
    NewEnvironment {
        name: name.to_owned(),
        kind,
        drafts: None,
    }
}

fn key(store: &Store, environment: &str, kind: StoredKeyKind) -> String {
    let name = KeyName {
        kind,
        environment: Some(environment.to_owned()),
        name: "test".to_owned(),
    };
    store.create_key(&name, &[]).unwrap().key
}

fn with_demo(house: &House) -> Store {
    let store = house.open();
    store.import(&demo()).unwrap();
    store.publish().unwrap();
    store
}

#[test]
fn an_environment_is_published_from_its_first_second_and_found_again() {
    let house = House::new();
    let store = with_demo(&house);
    let made = store
        .create_environment(&new("eu", EnvironmentType::Production))
        .unwrap();
    assert!(made.confirm_changes && !made.drafts && !made.deprecated);
    // Waited for before anything is published there.
    let waiting = store.watch("eu").unwrap();
    assert_eq!(waiting.borrow().serial, 0);
    store.publish().unwrap();
    assert_eq!(waiting.borrow().revision.to_string(), "0.1");
    drop(store);
    let store = house.open();
    assert_eq!(store.workspace().environment("eu"), Some(&made));
    assert_eq!(store.watch("eu").unwrap().borrow().serial, 1);
    for (name, error) in [
        ("eu", "exists"),
        ("", "no name"),
        ("a/b", "no name"),
        (&"x".repeat(129), "no name"),
    ] {
        let new = new(name, EnvironmentType::Test);
        let refused = store.create_environment(&new).unwrap_err().to_string();
        assert!(refused.contains(error), "{name}: {refused}");
    }
}

#[test]
fn a_deleted_environment_is_gone_at_once_and_its_name_means_another_one() {
    let house = House::new();
    let store = with_demo(&house);
    let first = store
        .create_environment(&new("eu", EnvironmentType::Test))
        .unwrap();
    let edge = key(&store, "eu", StoredKeyKind::Edge);
    store.set_status("onboarding-tour", "eu", false).unwrap();
    store.publish().unwrap();
    let mut waiting = store.watch("eu").unwrap();
    waiting.mark_unchanged();
    store.delete_environment("eu", false).unwrap();
    assert!(waiting.has_changed().is_err(), "the wait is over");
    assert!(store.authenticate(&edge).is_none());
    let told = store.deleted_with(&edge).unwrap().to_string();
    assert!(told.contains("\"eu\" was deleted"), "{told}");
    assert!(matches!(
        store.watch("eu"),
        Err(StoreError::DeletedEnvironment { .. })
    ));
    assert!(
        store
            .keys(None)
            .unwrap()
            .iter()
            .all(|key| key.environment.as_deref() != Some("eu"))
    );
    let workspace = store.workspace();
    assert!(
        !workspace.flows["onboarding-tour"]
            .status
            .contains_key(&first.uid)
    );
    let second = store
        .create_environment(&new("eu", EnvironmentType::Test))
        .unwrap();
    assert_ne!(first.uid, second.uid);
    assert!(store.workspace().flows["onboarding-tour"].enabled_in(&second.uid));
    drop(store);
    let store = house.open();
    assert!(store.deleted_with(&edge).is_some(), "also after a restart");
    assert_eq!(store.workspace().environment("eu"), Some(&second));
}

#[test]
fn what_users_did_in_a_deleted_environment_is_erased_in_steps_and_no_other() {
    let house = House::new();
    let store = house.open();
    let gone = store
        .create_environment(&new("eu", EnvironmentType::Test))
        .unwrap();
    let kept = store
        .workspace()
        .environment("development")
        .unwrap()
        .uid
        .clone();
    for uid in [&gone.uid, &kept] {
        store
            .engine
            .ledger(uid, &mut |rows| {
                for user in 0..ERASED_AT_ONCE + 3 {
                    rows.put_user(&crate::store::ledger::unseen(&format!("u{user}")))?;
                }
                Ok(Ending::Commit)
            })
            .unwrap();
    }
    store.publish().unwrap();
    store.delete_environment("eu", false).unwrap();
    let users = |uid: &str| store.engine.users_after(uid, "", 5_000).unwrap().len();
    assert_eq!(users(&gone.uid), ERASED_AT_ONCE + 3, "nobody waits for it");
    store.sweep_deleted(store.now_ms()).unwrap();
    assert_eq!(users(&gone.uid), 0);
    assert_eq!(users(&kept), ERASED_AT_ONCE + 3);
    assert!(store.engine.publication(&gone.uid).unwrap().is_none());
    // Told for a while, then forgotten.
    store.sweep_deleted(store.now_ms()).unwrap();
    assert!(store.workspace().deleted("eu").is_some());
    house.wait(TOLD_MS + 1);
    store.sweep_deleted(store.now_ms()).unwrap();
    assert!(store.workspace().deleted.is_empty());
    drop(store);
    assert!(house.open().workspace().deleted.is_empty());
}

#[test]
fn blobs_that_only_a_deleted_environment_had_are_retired() {
    let house = House::new();
    let store = with_demo(&house);
    store
        .create_environment(&new("eu", EnvironmentType::Test))
        .unwrap();
    store.publish().unwrap();
    let with = store.engine.blobs_in_force().unwrap();
    store.delete_environment("eu", false).unwrap();
    house.wait(1_000);
    store.publish().unwrap();
    let without = store.engine.blobs_in_force().unwrap();
    assert!(without.len() < with.len() && without.is_subset(&with));
    drop(store);
    // From nothing, a restart comes to the same.
    let store = house.open();
    store.publish().unwrap();
    assert_eq!(store.engine.blobs_in_force().unwrap(), without);
}

#[test]
fn an_environment_whose_edges_run_is_deleted_only_by_force() {
    let house = House::new();
    let store = with_demo(&house);
    let report = EdgeReport {
        edge: "edge-7".to_owned(),
        ..EdgeReport::default()
    };
    store.edge_reports("development", report, None).unwrap();
    let refused = store.delete_environment("development", false).unwrap_err();
    assert!(refused.to_string().contains("edge-7"), "{refused}");
    assert!(store.workspace().environment("development").is_some());
    house.wait(EDGE_RUNS_MS + 1);
    assert!(
        store
            .running_edges("development", store.now_ms())
            .is_empty()
    );
    store.delete_environment("development", true).unwrap();
    let last = store.delete_environment("production", true).unwrap_err();
    assert!(last.to_string().contains("the only one"), "{last}");
}

#[test]
fn nothing_new_begins_in_a_deprecated_environment_and_what_is_there_goes_on() {
    let house = House::new();
    let store = with_demo(&house);
    let edge = key(&store, "production", StoredKeyKind::Edge);
    let change = EnvironmentChange {
        deprecated: Some(true),
        ..EnvironmentChange::default()
    };
    store.set_environment("production", &change).unwrap();
    store.publish().unwrap();
    assert!(store.authenticate(&edge).is_some());
    let name = KeyName {
        kind: StoredKeyKind::Blocks,
        environment: Some("production".to_owned()),
        name: "late".to_owned(),
    };
    let refused = store.create_key(&name, &[]).err().unwrap().to_string();
    assert!(refused.contains("deprecated"), "{refused}");
    let rotated = KeyName {
        kind: StoredKeyKind::Edge,
        name: "test".to_owned(),
        ..name
    };
    store.rotate_key(&rotated, None).unwrap();
    let workspace = store.workspace();
    let uid = &workspace.environment("production").unwrap().uid;
    let known = workspace.deployments_in(uid).next().unwrap().clone();
    let late = Deployment {
        uid: "late".to_owned(),
        name: "late".to_owned(),
        active: false,
        ..known.clone()
    };
    let refused = store.put_deployment(late).unwrap_err().to_string();
    assert!(refused.contains("deprecated"), "{refused}");
    store.set_deployment_active(&known.uid, false).unwrap();
    // Its own export is taken.
    let exported = store.export(None).unwrap();
    let report = store.import(&crate::store::tests::file(&exported)).unwrap();
    assert_eq!(report.changes, []);
}

#[test]
fn a_type_that_becomes_production_wants_changes_confirmed() {
    let house = House::new();
    let store = house.open();
    let change = |kind, confirm_changes| EnvironmentChange {
        kind: Some(kind),
        confirm_changes,
        ..EnvironmentChange::default()
    };
    let set = |change: &EnvironmentChange| store.set_environment("development", change).unwrap();
    assert!(!set(&change(EnvironmentType::Test, None)).confirm_changes);
    assert!(set(&change(EnvironmentType::Production, None)).confirm_changes);
    assert!(!set(&change(EnvironmentType::Production, Some(false))).confirm_changes);
    assert!(!set(&change(EnvironmentType::Production, None)).confirm_changes);
}

#[test]
fn a_clone_has_what_was_authored_under_the_same_salts_and_then_goes_its_own_way() {
    let house = House::new();
    let store = with_demo(&house);
    store
        .set_status("initial-setup", "production", false)
        .unwrap();
    let change = EnvironmentChange {
        access: AccessChange {
            unsigned_users: Some(Some(UnsignedUsers::Refuse)),
            ..AccessChange::default()
        },
        ..EnvironmentChange::default()
    };
    store.set_environment("production", &change).unwrap();
    let text = key(&store, "production", StoredKeyKind::Server);
    let terms = CloneTerms {
        name: "staging".to_owned(),
        kind: Some(EnvironmentType::Preproduction),
        access: true,
        keys: true,
        ..CloneTerms::default()
    };
    let cloned = store.clone_environment("production", &terms).unwrap();
    assert_eq!(cloned.keys.len(), 1);
    assert!(store.authenticate(&cloned.keys[0].key).is_some());
    assert_ne!(cloned.keys[0].key, text);
    assert!(cloned.environment.access.unsigned_users.is_some());
    store.publish().unwrap();
    let workspace = store.workspace();
    let uid = |name: &str| workspace.environment(name).unwrap().uid.clone();
    let (from, to) = (uid("production"), uid("staging"));
    let told = |uid: &str| -> Vec<serde_json::Value> {
        let own = workspace.deployments_in(uid);
        let mut told: Vec<_> = own
            .map(|own| json!([own.name, own.flow_uid, own.rollout, own.policy, own.active]))
            .collect();
        told.sort_by_key(ToString::to_string);
        told
    };
    assert_eq!(told(&from), told(&to));
    assert!(!told(&from).is_empty());
    assert!(!workspace.flows["initial-setup"].enabled_in(&to));
    // They are independent.
    store.set_status("initial-setup", "staging", true).unwrap();
    assert!(!store.workspace().flows["initial-setup"].enabled_in(&from));
    drop(store);
    let store = house.open();
    assert_eq!(
        store.workspace().deployments_in(&to).count(),
        told(&to).len()
    );
}

#[test]
fn a_clone_has_the_settings_of_flags_and_they_go_when_it_is_deleted() {
    let house = House::new();
    let store = with_demo(&house);
    let terms = CloneTerms {
        name: "staging".to_owned(),
        ..CloneTerms::default()
    };
    let cloned = store.clone_environment("production", &terms).unwrap();
    let uid = cloned.environment.uid;
    let from = store.workspace();
    let from = from.environment("production").unwrap().uid.clone();
    let settings = |uid: &str| {
        let workspace = store.workspace();
        let flags = workspace.flags.values();
        let told = flags.filter_map(|flag| {
            let own = flag.environments.get(uid)?;
            let own = (own.enabled, own.strategies.clone(), own.variants.clone());
            Some((flag.name.clone(), own))
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(settings(&uid), settings(&from));
    assert_eq!(settings(&uid).len(), cloned.flags);
    assert!(cloned.flags > 0);
    let flag = store.workspace().flags["board-view"].clone();
    assert_eq!(flag.environments[&uid].enabled_ms, Some(store.now_ms()));
    store.delete_environment("staging", false).unwrap();
    let gone = |store: &Store| {
        let workspace = store.workspace();
        let mut flags = workspace.flags.values();
        flags.all(|flag| !flag.environments.contains_key(&uid))
    };
    assert!(gone(&store));
    let before = store.workspace().flags.clone();
    drop(store);
    let store = house.open();
    assert!(gone(&store), "also after a restart");
    assert_eq!(store.workspace().flags, before);
}

#[test]
fn a_project_with_flags_or_segments_is_not_deleted() {
    let house = House::new();
    let store = house.open();
    let text = "flowgate: project/1\nproject: p\nsegments:\n- { name: some, constraints: [] }\n\
                flags:\n- { name: a-flag }\n";
    store.import(&file(text)).unwrap();
    let refused = store.delete_project("p").unwrap_err().to_string();
    for held in ["flag \"a-flag\"", "segment \"some\""] {
        assert!(refused.contains(held), "{refused}");
    }
    assert!(store.project("p").is_ok());
}

#[test]
fn a_clone_of_some_projects_shows_no_others() {
    let house = House::new();
    let store = with_demo(&house);
    store
        .create_project("other", &ProjectChange::default())
        .unwrap();
    let only = |projects: &[&str]| CloneTerms {
        name: "part".to_owned(),
        projects: Some(projects.iter().map(ToString::to_string).collect()),
        ..CloneTerms::default()
    };
    let refused = store
        .clone_environment("production", &only(&["nope"]))
        .err();
    let refused = refused.unwrap().to_string();
    assert!(refused.contains("\"nope\" is not active"), "{refused}");
    store
        .clone_environment("production", &only(&["other"]))
        .unwrap();
    let listed = |sid: &str| store.project(sid).unwrap().environments;
    assert_eq!(listed("other"), ["development", "production", "part"]);
    let all = store.projects(&PageAsk::first(9)).unwrap().rows;
    for project in all.iter().filter(|own| own.sid != "other") {
        assert_eq!(project.environments, ["development", "production"]);
    }
}

#[test]
fn a_project_is_seen_only_where_it_is_active_and_is_active_somewhere() {
    let house = House::new();
    let store = with_demo(&house);
    let sid = store.workspace().flows["onboarding-tour"].project.clone();
    let active_in = |names: &[&str]| ProjectChange {
        environments: Some(Some(names.iter().map(ToString::to_string).collect())),
        ..ProjectChange::default()
    };
    store
        .set_project(&sid, &active_in(&["development"]))
        .unwrap();
    store.publish().unwrap();
    let workspace = store.workspace();
    let flow = &workspace.flows["onboarding-tour"];
    let uid = |name: &str| workspace.environment(name).unwrap().uid.clone();
    assert!(workspace.is_shown(flow, &uid("development")));
    assert!(!workspace.is_shown(flow, &uid("production")));
    let refused = store.set_status("onboarding-tour", "production", true);
    assert!(refused.unwrap_err().to_string().contains("not active"));
    let nowhere = store.set_project(&sid, &active_in(&[])).unwrap_err();
    assert!(nowhere.to_string().contains("nowhere"), "{nowhere}");
    let unknown = store.set_project(&sid, &active_in(&["moon"])).unwrap_err();
    assert!(unknown.to_string().contains("moon"), "{unknown}");
    let alone = store.delete_environment("development", true).unwrap_err();
    assert!(alone.to_string().contains(&sid), "{alone}");
    // An export says it, and importing that changes nothing.
    let exported = store.export(None).unwrap();
    assert!(
        exported.contains("environments:\n- development"),
        "{exported}"
    );
    let report = store.import(&crate::store::tests::file(&exported)).unwrap();
    assert_eq!(report.changes, []);
    let seen = store.export(Some("production")).unwrap();
    assert!(!seen.contains("onboarding-tour"), "{seen}");
    let full = store.delete_project(&sid).unwrap_err().to_string();
    assert!(full.contains("delete that first"), "{full}");
}

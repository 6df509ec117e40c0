//! Status and deployments: what is published of them, and by which document.

use super::*;
use crate::{
    snapshot::wire::VersionPolicy,
    store::{KeyTerms, deploying::fresh_uid, engine::Write, workspace::Deployment},
};

/// Release and control versions in force.
fn versions(store: &Store, environment: &str) -> (u64, u64) {
    let current = store.watch(environment).unwrap().borrow().clone();
    let publication = &current.publication;
    (publication.release.version, publication.control.version)
}

fn with_demo(house: &House) -> Store {
    let store = house.open();
    store.import(&demo()).unwrap();
    store.publish().unwrap();
    house.wait(1_000);
    store
}

fn deployment(store: &Store, environment: &str, name: &str) -> Deployment {
    let workspace = store.workspace();
    let environment = workspace.environment(environment).unwrap();
    workspace
        .deployment(&environment.uid, name)
        .unwrap()
        .clone()
}

fn on(channel: &str) -> KeyTerms {
    KeyTerms {
        channel: Some(channel.to_owned()),
        ..KeyTerms::default()
    }
}

#[test]
fn deployments_channels_and_bound_keys_reach_the_edge() {
    let house = House::new();
    let store = with_demo(&house);
    let key = name(StoredKeyKind::Blocks, "production", "widget");
    let made = store
        .create_key_on(&key, &on("intercom:acme"), None)
        .unwrap();
    assert_eq!(made.listing.channel.as_deref(), Some("intercom:acme"));
    let rotated = store.rotate_key(&key, None).unwrap();
    assert_eq!(rotated.listing.channel.as_deref(), Some("intercom:acme"));
    store.publish().unwrap();
    let snapshot = pull(&store, "production", &mut trust(&store, "production"));
    assert!(snapshot.set_aside.is_empty(), "{:?}", snapshot.set_aside);
    assert_eq!(snapshot.deployments.len(), 2);
    let acme = &snapshot.channels["intercom:acme"];
    assert!(acme.exclusive);
    let sole = acme.sole.as_ref().unwrap();
    assert_eq!(&*sole.flow_sid, "customer-support");
    assert_eq!(sole.policy, VersionPolicy::Pinned(2));
    assert_eq!(sole.basis_points, 1_000);
    assert!(!snapshot.channels["web"].exclusive);
    assert!(snapshot.flows["customer-support"].deployments_only);
    let channels: Vec<_> = snapshot
        .keys
        .iter()
        .map(|key| key.channel.as_deref())
        .collect();
    assert_eq!(channels, [Some("intercom:acme"); 2]);
}

#[test]
fn keys_that_decide_nothing_cannot_be_bound() {
    let house = House::new();
    let store = house.open();
    for kind in [StoredKeyKind::Users, StoredKeyKind::Edge] {
        let key = name(kind, "production", "k");
        let error = store.create_key_on(&key, &on("web"), None).err().unwrap();
        assert!(error.to_string().contains("bound to no channel"), "{error}");
    }
    let key = name(StoredKeyKind::Server, "production", "k");
    let error = store.create_key_on(&key, &on("a b"), None).err().unwrap();
    assert!(error.to_string().contains("platform:workspace"), "{error}");
}

#[test]
fn a_change_of_status_makes_no_release() {
    let house = House::new();
    let store = with_demo(&house);
    let mut trust = trust(&store, "production");
    let before = versions(&store, "production");
    store
        .set_status("onboarding-tour", "production", false)
        .unwrap();
    assert_eq!(store.publish().unwrap().len(), 1, "only there");
    assert_eq!(versions(&store, "production"), (before.0, before.1 + 1));
    let snapshot = pull(&store, "production", &mut trust);
    assert!(!snapshot.flows["onboarding-tour"].enabled);
    assert!(snapshot.flows["customer-support"].enabled);
    house.wait(1_000);
    store
        .set_status("onboarding-tour", "production", false)
        .unwrap();
    assert_eq!(store.due(), Due::Nothing, "it is already so");
    store
        .set_status("onboarding-tour", "production", true)
        .unwrap();
    store.publish().unwrap();
    assert_eq!(versions(&store, "production"), (before.0, before.1 + 2));
    assert!(pull(&store, "production", &mut trust).flows["onboarding-tour"].enabled);
    for (flow, environment) in [("nope", "production"), ("onboarding-tour", "nowhere")] {
        let error = store.set_status(flow, environment, true).unwrap_err();
        assert!(matches!(error, StoreError::Deploy(_)), "{error}");
    }
}

#[test]
fn activity_is_the_control_documents_and_the_rest_the_releases() {
    let house = House::new();
    let store = with_demo(&house);
    let mut trust = trust(&store, "production");
    let before = versions(&store, "production");
    let web = deployment(&store, "production", "support-web");
    store.set_deployment_active(&web.uid, false).unwrap();
    store.publish().unwrap();
    assert_eq!(versions(&store, "production"), (before.0, before.1 + 1));
    let snapshot = pull(&store, "production", &mut trust);
    let compiled = |snapshot: &Snapshot| {
        let mut all = snapshot.deployments.iter();
        Arc::clone(all.find(|own| *own.uid == *web.uid).unwrap())
    };
    assert!(!compiled(&snapshot).active);
    house.wait(1_000);
    store.set_deployment_active(&web.uid, true).unwrap();
    store.publish().unwrap();
    assert!(compiled(&pull(&store, "production", &mut trust)).active);
    house.wait(1_000);
    let mut raised = web.clone();
    raised.rollout.basis_points = 2_500;
    store.put_deployment(raised).unwrap();
    store.publish().unwrap();
    let control = versions(&store, "production").1;
    assert_eq!(versions(&store, "production"), (before.0 + 1, before.1 + 2));
    assert_eq!(
        compiled(&pull(&store, "production", &mut trust)).basis_points,
        2_500
    );
    house.wait(1_000);
    store.delete_deployment(&web.uid).unwrap();
    store.publish().unwrap();
    assert_eq!(versions(&store, "production").1, control);
    assert_eq!(pull(&store, "production", &mut trust).deployments.len(), 1);
    drop(store);
    assert_eq!(house.open().workspace().deployments.len(), 3);
}

#[test]
fn a_deployment_deleted_while_inactive_stays_off_where_its_release_is_held() {
    let house = House::new();
    let store = with_demo(&house);
    let web = deployment(&store, "production", "support-web");
    let listed = || {
        let publication = store.engine.publication(&web.environment_uid).unwrap();
        let control = publication.unwrap().control_content;
        control.inactive_deployments.contains(&web.uid)
    };
    store.set_deployment_active(&web.uid, false).unwrap();
    store.publish().unwrap();
    house.wait(1_000);
    store.delete_deployment(&web.uid).unwrap();
    store.publish().unwrap();
    assert!(listed());
    house.wait(1_000);
    store
        .set_status("onboarding-tour", "production", false)
        .unwrap();
    store.publish().unwrap();
    assert!(listed(), "also in the control documents that follow");
    house.wait(1_000);
    store.put_deployment(web.clone()).unwrap();
    store.publish().unwrap();
    assert!(!listed(), "it is there again, and active");
}

/// Names once were taken that are not any more: each further change was refused,
/// switching it off included.
#[test]
fn a_deployment_with_a_name_of_an_earlier_release_is_switched_off() {
    let house = House::new();
    let store = with_demo(&house);
    let mut old = deployment(&store, "production", "support-web");
    let uid = old.uid.clone();
    old.name = "  ".to_owned();
    old.rollout.alternatives[0].name = Some(String::new());
    let stored = store.author(|workspace| {
        let mut after = workspace.clone();
        after.deployments.insert(uid.clone(), old.clone());
        Ok((after, vec![Write::Deployment(Box::new(old.clone()))], ()))
    });
    stored.unwrap();
    store.set_deployment_active(&uid, false).unwrap();
    let mut changed = store.workspace().deployments[&uid].clone();
    changed.rollout.basis_points = 0;
    store.put_deployment(changed.clone()).unwrap();
    let mut channel = store.workspace().channels[&changed.channel].clone();
    channel.attributes.push("floor".to_owned());
    store.put_channel(channel).unwrap();
    let refused = |own: &Deployment, expected: &str| {
        let error = store.put_deployment(own.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected} not in: {error}");
    };
    let mut renamed = changed.clone();
    renamed.name = " ".to_owned();
    refused(&renamed, "the name \" \" does not fit");
    let mut further = changed.rollout.alternatives[0].clone();
    further.name = Some("\t".to_owned());
    changed.rollout.alternatives.push(further);
    let place = format!(
        "alternative {} of deployment",
        changed.rollout.alternatives.len()
    );
    refused(&changed, &place);
}

#[test]
fn a_deployment_that_breaks_a_rule_is_not_taken() {
    let house = House::new();
    let store = with_demo(&house);
    let before = store.workspace();
    let web = deployment(&store, "production", "support-web");
    let other = |name: &str| Deployment {
        uid: fresh_uid(&store.ambient),
        name: name.to_owned(),
        ..web.clone()
    };
    let refused = |deployment: Deployment, expected: &str| {
        let error = store.put_deployment(deployment).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected} not in: {error}");
    };
    refused(other("support-web"), "choose another");
    refused(other("second"), "active for the same flow");
    refused(other(""), "1 to 128 bytes");
    let moved = |channel: &str| Deployment {
        channel: channel.to_owned(),
        ..other("second")
    };
    refused(moved("intercom:acme"), "exclusive channel");
    refused(moved("no channel"), "platform:workspace");
    let with = |change: fn(&mut Deployment)| {
        let mut deployment = moved("email");
        change(&mut deployment);
        deployment
    };
    refused(
        with(|own| own.policy = VersionPolicy::Pinned(9)),
        "version 9",
    );
    refused(with(|own| own.flow_uid = "x".to_owned()), "flow \"x\"");
    refused(
        with(|own| own.environment_uid = "x".to_owned()),
        "environment \"x\"",
    );
    refused(
        with(|own| own.rollout.basis_points = 10_001),
        "10001 basis points",
    );
    refused(
        with(|own| own.rollout.alternatives[0].rules.clear()),
        "alternative 1: found no rules",
    );
    for uid in ["", "x"] {
        assert!(store.set_deployment_active(uid, true).is_err());
        assert!(store.delete_deployment(uid).is_err());
    }
    assert_eq!(store.workspace(), before);
    // Inactive it may stand beside the other, and be activated in its place.
    let second = Deployment {
        active: false,
        ..other("second")
    };
    let uid = second.uid.clone();
    store.put_deployment(second).unwrap();
    assert!(store.set_deployment_active(&uid, true).is_err());
    store.set_deployment_active(&web.uid, false).unwrap();
    store.set_deployment_active(&uid, true).unwrap();
}

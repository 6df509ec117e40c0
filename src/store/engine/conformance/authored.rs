//! Does what was authored come back as it was, and nothing of what was deleted?
//!
//! Written in two commits, so that creating, replacing and deleting all show.

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    snapshot::wire::{
        AccessPart, EntryCondition, EnvironmentType, OnVersionChange, UnsignedUsers, VersionPart,
        VersionPolicy,
    },
    store::workspace::{Flow, Flows, StoredKeyKind, WebhookSettings},
    store::{Rights, Role},
};

fn environment(uid: &str, name: &str) -> Environment {
    Environment {
        uid: uid.to_owned(),
        name: name.to_owned(),
        kind: EnvironmentType::Preproduction,
        drafts: true,
        access: AccessPart {
            unsigned_users: Some(UnsignedUsers::Refuse),
            browser_properties: Some(vec!["plan".to_owned()]),
            ..AccessPart::default()
        },
    }
}

fn version(number: u32, message: &str) -> Arc<AuthoredVersion> {
    Arc::new(AuthoredVersion {
        part: VersionPart {
            flow_uid: "f1".to_owned(),
            flow_sid: "tour".to_owned(),
            number,
            migration: None,
            entry: EntryCondition::Expression("user.properties.plan = 'pro'".to_owned()),
            blocks: Vec::new(),
            paths: Vec::new(),
        },
        message: message.to_owned(),
        author: "ann".to_owned(),
        created_ms: 17,
        webhooks: BTreeMap::from([(
            "b1".to_owned(),
            WebhookSettings {
                url: "https://example.com/hook".to_owned(),
                headers: BTreeMap::from([("authorization".to_owned(), "Bearer x".to_owned())]),
                body: Some(serde_json::json!({"user": "${user.identifier}"})),
            },
        )]),
    })
}

fn key(sha256: &str) -> StoredKey {
    StoredKey {
        sha256: sha256.to_owned(),
        kind: StoredKeyKind::Server,
        environment_uid: Some("e1".to_owned()),
        name: "back end".to_owned(),
        projects: vec!["shop".to_owned()],
        channel: Some("web".to_owned()),
        origins: vec!["https://app.example".to_owned()],
        rights: Some(Rights {
            role: Role::Editor,
            environments: vec!["e1".to_owned()],
        }),
        last: "abc123".to_owned(),
        created_ms: 1,
        expires_ms: None,
        rotated_ms: None,
        revoked_ms: None,
    }
}

fn channel(name: &str, exclusive: bool) -> Channel {
    Channel {
        name: name.to_owned(),
        exclusive,
        attributes: vec!["tags".to_owned()],
    }
}

fn deployment(uid: &str, basis_points: u16) -> Deployment {
    let rollout = serde_json::json!({
        "alternatives": [{"rules": [
            {"attribute": "tags", "operator": "contains", "value": "vip"}
        ]}],
        "basis_points": basis_points, "salt": "s", "id": {"attribute": "account"},
        "schedule": [{"at_ms": 5, "basis_points": 10_000}], "remember": "user",
    });
    Deployment {
        uid: uid.to_owned(),
        name: format!("the {uid}"),
        environment_uid: "e1".to_owned(),
        flow_uid: "f1".to_owned(),
        channel: "web".to_owned(),
        policy: VersionPolicy::Pinned(1),
        rollout: serde_json::from_value(rollout).unwrap(),
        on_version_change: Some(OnVersionChange::Migrate),
        active: basis_points > 5_000,
    }
}

pub(super) fn authored_things_come_back(open: &dyn Fn() -> Box<dyn Engine>) {
    let flow = Write::Flow {
        uid: "f1".to_owned(),
        sid: "tour".to_owned(),
        name: "Tour".to_owned(),
        project: "shop".to_owned(),
        refuse_public_force: true,
        deployments_only: true,
    };
    let project = Project {
        sid: "shop".to_owned(),
        name: "Shop".to_owned(),
    };
    let revoked = StoredKey {
        revoked_ms: Some(9),
        rotated_ms: Some(8),
        expires_ms: Some(10),
        ..key("k1")
    };
    let engine = open();
    let gone = |uid: &str, sid: &str| Write::Flow {
        uid: uid.to_owned(),
        sid: sid.to_owned(),
        name: String::new(),
        project: "shop".to_owned(),
        refuse_public_force: false,
        deployments_only: false,
    };
    let writes = [
        Write::Environment(environment("e2", "second")),
        Write::Environment(environment("e1", "first")),
        Write::Project(project.clone()),
        flow,
        Write::Status {
            flow_uid: "f1".to_owned(),
            environment_uid: "e1".to_owned(),
            enabled: false,
        },
        Write::Version(version(0, "")),
        Write::Version(version(1, "first")),
        gone("f2", "second"),
        Write::Status {
            flow_uid: "f2".to_owned(),
            environment_uid: "e1".to_owned(),
            enabled: false,
        },
        Write::Version(Arc::new(AuthoredVersion {
            part: VersionPart {
                flow_uid: "f2".to_owned(),
                ..version(1, "").part.clone()
            },
            ..(*version(1, "")).clone()
        })),
        Write::Channel(channel("web", false)),
        Write::Deployment(Box::new(deployment("d1", 2_500))),
        Write::Deployment(Box::new(deployment("d2", 2_500))),
        Write::Key(key("k1")),
        Write::Key(key("k2")),
    ];
    engine.commit(&writes).unwrap();
    let replace = [
        Write::Key(revoked.clone()),
        Write::Version(version(1, "changed")),
        Write::Channel(channel("web", true)),
        Write::Deployment(Box::new(deployment("d1", 7_500))),
        Write::DeleteDeployment {
            uid: "d2".to_owned(),
        },
        Write::DeleteFlow {
            uid: "f2".to_owned(),
        },
        // Its sid is free, and nothing of the old one comes back.
        gone("f3", "second"),
        Write::DeleteFlow {
            uid: "f3".to_owned(),
        },
    ];
    engine.commit(&replace).unwrap();
    drop(engine);
    let expected = Workspace {
        environments: vec![environment("e2", "second"), environment("e1", "first")],
        projects: BTreeMap::from([("shop".to_owned(), project)]),
        flows: Flows::from_iter([Flow {
            uid: "f1".to_owned(),
            sid: "tour".to_owned(),
            name: "Tour".to_owned(),
            project: "shop".to_owned(),
            refuse_public_force: true,
            deployments_only: true,
            status: BTreeMap::from([("e1".to_owned(), false)]),
            versions: BTreeMap::from([(0, version(0, "")), (1, version(1, "changed"))]),
        }]),
        channels: BTreeMap::from([("web".to_owned(), channel("web", true))]),
        deployments: BTreeMap::from([("d1".to_owned(), deployment("d1", 7_500))]),
        keys: vec![revoked, key("k2")],
    };
    let found = open().workspace().unwrap();
    assert_eq!(found, expected);
    assert_eq!(found.flow_by_uid("f1"), found.flows.get("tour"));
    assert_eq!(found.flow_by_uid("tour"), None);
}

pub(super) fn a_commit_is_all_or_nothing(engine: &dyn Engine) {
    let before = engine.workspace().unwrap();
    let writes = [
        Write::Environment(environment("e9", "ninth")),
        // The name is taken by another uid.
        Write::Environment(environment("e8", "first")),
    ];
    assert!(engine.commit(&writes).is_err());
    assert_eq!(engine.workspace().unwrap(), before);
}

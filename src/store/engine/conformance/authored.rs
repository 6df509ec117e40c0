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
    store::{
        Rights, Role,
        flags::FlagConstraint,
        workspace::{Flow, Flows, StoredKeyKind, WebhookSettings},
    },
};

fn environment(uid: &str, name: &str) -> Environment {
    Environment {
        access: AccessPart {
            unsigned_users: Some(UnsignedUsers::Refuse),
            browser_properties: Some(vec!["plan".to_owned()]),
            ..AccessPart::default()
        },
        deprecated: uid == "e2",
        confirm_changes: uid == "e1",
        ..Environment::new(uid.to_owned(), name, EnvironmentType::Preproduction, true)
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

/// What an environment has of its own for the version, whose history it shares.
fn content(environment_uid: &str) -> Arc<AuthoredVersion> {
    let known = version(1, "changed");
    let mut part = known.part.clone();
    part.entry = EntryCondition::Expression(format!("user.id = '{environment_uid}'"));
    Arc::new(AuthoredVersion {
        part,
        ..(*known).clone()
    })
}

fn deleted(uid: &str) -> DeletedEnvironment {
    DeletedEnvironment {
        uid: uid.to_owned(),
        name: format!("{uid} that was"),
        deleted_ms: 7,
    }
}

fn flag(name: &str, description: &str) -> Arc<Flag> {
    let mut flag = Flag::new(name, "shop", 17);
    flag.description = description.to_owned();
    flag.enable("e1", true, 18);
    Arc::new(flag)
}

fn segment(id: i64, name: &str) -> Arc<Segment> {
    Arc::new(Segment {
        id,
        name: name.to_owned(),
        description: String::new(),
        project: "shop".to_owned(),
        constraints: vec![FlagConstraint {
            context_name: "userId".to_owned(),
            operator: "IN".to_owned(),
            values: vec!["ann".to_owned()],
            ..FlagConstraint::default()
        }],
    })
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
        environments: Some(BTreeSet::from(["e1".to_owned()])),
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
        Write::Flag(flag("a", "")),
        Write::Flag(flag("b", "")),
        Write::Segment(segment(1, "one")),
        Write::Segment(segment(2, "two")),
        Write::Key(key("k1")),
        Write::Key(key("k2")),
        Write::Content {
            environment_uid: "e1".to_owned(),
            version: content("e1"),
        },
        Write::Content {
            environment_uid: "e2".to_owned(),
            version: content("e2"),
        },
        Write::Environment(environment("e3", "third")),
        Write::Project(Project {
            sid: "empty".to_owned(),
            ..project.clone()
        }),
        Write::Content {
            environment_uid: "e3".to_owned(),
            version: content("e3"),
        },
        Write::Key(StoredKey {
            environment_uid: Some("e4".to_owned()),
            ..key("k4")
        }),
        Write::Environment(environment("e4", "fourth")),
    ];
    engine.commit(&writes).unwrap();
    let replace = [
        Write::Key(revoked.clone()),
        Write::Version(version(1, "changed")),
        Write::DeleteContent {
            flow_uid: "f1".to_owned(),
            number: 1,
            environment_uid: "e2".to_owned(),
        },
        Write::DeleteProject {
            sid: "empty".to_owned(),
        },
        Write::DeleteEnvironment(deleted("e3")),
        Write::DeleteEnvironment(deleted("e4")),
        Write::ForgetEnvironment {
            uid: "e4".to_owned(),
        },
        Write::Channel(channel("web", true)),
        Write::Deployment(Box::new(deployment("d1", 7_500))),
        Write::DeleteDeployment {
            uid: "d2".to_owned(),
        },
        Write::Flag(flag("a", "changed")),
        Write::DeleteFlag {
            name: "b".to_owned(),
        },
        Write::Segment(segment(1, "renamed")),
        Write::DeleteSegment { id: 2 },
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
            content: BTreeMap::from([((1, "e1".to_owned()), content("e1"))]),
        }]),
        channels: BTreeMap::from([("web".to_owned(), channel("web", true))]),
        deployments: BTreeMap::from([("d1".to_owned(), deployment("d1", 7_500))]),
        flags: BTreeMap::from([("a".to_owned(), flag("a", "changed"))]),
        segments: BTreeMap::from([(1, segment(1, "renamed"))]),
        keys: vec![revoked, key("k2")],
        deleted: BTreeMap::from([("e3".to_owned(), deleted("e3"))]),
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

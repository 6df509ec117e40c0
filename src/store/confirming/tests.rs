//! What is refused until somebody says the name of the environment?

use super::*;
use crate::snapshot::wire::EnvironmentType;
use crate::store::{
    Actor, EnvironmentChange, KeyName, NewEnvironment, ProjectChange, Store, StoredKeyKind, Terms,
    tests::{House, demo, file},
    workspace::Deployment,
};

/// A store with the demo, and whoever has an admin key and says these names.
fn desk(house: &House, header: Option<&str>) -> (Store, Store) {
    let store = house.open();
    store.import(&demo()).unwrap();
    store.publish().unwrap();
    let key = KeyName {
        kind: StoredKeyKind::Admin,
        environment: None,
        name: "author".to_owned(),
    };
    let text = store.create_key(&key, &[]).unwrap().key;
    let key = store.authenticate(&text).unwrap();
    let actor = Actor::with_key(&key, None, Meant::read(header)).unwrap();
    let author = store.acting(actor);
    (store, author)
}

type Change = fn(&Store) -> Result<(), StoreError>;

fn of_production(store: &Store) -> Deployment {
    let workspace = store.workspace();
    let uid = &workspace.environment("production").unwrap().uid;
    workspace.deployments_in(uid).next().unwrap().clone()
}

fn server_key(environment: &str) -> KeyName {
    KeyName {
        kind: StoredKeyKind::Server,
        environment: Some(environment.to_owned()),
        name: "back end".to_owned(),
    }
}

fn content(store: &Store) -> String {
    let text = store
        .seen_text(
            "feature-announcement",
            &crate::store::SeenVersion::named("1").unwrap(),
        )
        .unwrap()
        .text;
    let changed = text.replace("title: ", "title: Really ");
    assert_ne!(changed, text);
    changed
}

/// What users of production notice at once.
const NOTICED: &[(&str, Change)] = &[
    ("status", |store| {
        store.set_status("onboarding-tour", "production", false)
    }),
    ("deployment", |store| {
        let known = of_production(store);
        store.set_deployment_active(&known.uid, false)
    }),
    ("deployment", |store| {
        store.delete_deployment(&of_production(store).uid)
    }),
    ("deployment", |store| {
        store.put_deployment(Deployment {
            uid: "new".to_owned(),
            name: "new".to_owned(),
            active: false,
            ..of_production(store)
        })
    }),
    ("environment", |store| {
        let change = EnvironmentChange {
            deprecated: Some(true),
            ..EnvironmentChange::default()
        };
        store.set_environment("production", &change).map(drop)
    }),
    ("users included", |store| {
        store.delete_environment("production", false)
    }),
    ("project", |store| {
        let sid = store.workspace().flows["onboarding-tour"].project.clone();
        let change = ProjectChange {
            environments: Some(Some(vec!["development".to_owned()])),
            ..ProjectChange::default()
        };
        store.set_project(&sid, &change).map(drop)
    }),
    ("version", |store| {
        let text = content(store);
        let terms = Terms::default();
        let done = store.deploy_content("feature-announcement", (1, None), &text, &terms);
        done.map(drop)
    }),
    ("content", |store| {
        let text = content(store);
        let terms = Terms::default();
        let place = (1, Some("production"));
        let done = store.deploy_content("feature-announcement", place, &text, &terms);
        done.map(drop)
    }),
    ("key", |store| {
        store.create_key(&server_key("production"), &[])?;
        store.revoke_key(&server_key("production"), None).map(drop)
    }),
    ("key", |store| {
        // The old secret ends at once.
        store.create_key(&server_key("production"), &[])?;
        store
            .rotate_key(&server_key("production"), Some(1))
            .map(drop)
    }),
    ("flow", |store| {
        let flow = "flowgate: project/1\nproject: harbor\nflows:\n- sid: onboarding-tour\n  \
                    deploymentsOnly: true\n";
        store.import(&file(flow)).map(drop)
    }),
    ("channel", |store| {
        let known = &store.workspace().channels["intercom:acme"];
        store.put_channel(crate::store::Channel {
            exclusive: !known.exclusive,
            ..known.clone()
        })
    }),
    ("flag", |store| {
        let done = store.enable_flag("board-view", "production", false, &Terms::default());
        done.map(drop)
    }),
    ("flag", |store| {
        let place = ("board-view", "production");
        let done = store.put_strategies(place, "- name: default", &Terms::default());
        done.map(drop)
    }),
    ("flag", |store| {
        store
            .archive_flag("board-view", &Terms::default())
            .map(drop)
    }),
    ("segment", |store| {
        let change = "constraints: []";
        let done = store.change_segment("staff", change, &Terms::default());
        done.map(drop)
    }),
    ("status", |store| {
        let exported = store.export(Some("production"))?;
        let flipped = exported.replacen("production: enabled", "production: disabled", 1);
        assert_ne!(flipped, exported);
        store.import(&file(&flipped)).map(drop)
    }),
];

/// What they do not.
const UNNOTICED: &[Change] = &[
    |store| {
        store.create_key(&server_key("production"), &[])?;
        store.rotate_key(&server_key("production"), None).map(drop)
    },
    |store| {
        let named = "flowgate: project/1\nproject: harbor\nflows:\n- sid: onboarding-tour\n  \
                     name: Another\n";
        store.import(&file(named)).map(drop)
    },
    |store| {
        let known = &store.workspace().channels["intercom:acme"];
        store.put_channel(crate::store::Channel {
            attributes: vec!["more".to_owned()],
            ..known.clone()
        })
    },
    |store| store.set_status("onboarding-tour", "development", false),
    |store| store.create_key(&server_key("production"), &[]).map(drop),
    |store| {
        let text = content(store);
        let terms = Terms::default();
        let place = (1, Some("development"));
        let done = store.deploy_content("feature-announcement", place, &text, &terms);
        done.map(drop)
    },
    |store| {
        let new = NewEnvironment {
            name: "eu".to_owned(),
            kind: EnvironmentType::Production,
            drafts: None,
        };
        store.create_environment(&new).map(drop)
    },
    |store| {
        let terms = crate::store::CloneTerms {
            name: "eu".to_owned(),
            keys: true,
            ..Default::default()
        };
        store.clone_environment("production", &terms).map(drop)
    },
    |store| {
        let flow = "flowgate: project/1\nproject: p\nflows:\n- sid: f\n  status: { production: \
                    disabled }\n  versions:\n  - { number: 1, blocks: [{ sid: c, type: card }], \
                    paths: [{ from: entry, to: c }] }\n";
        store.import(&file(flow)).map(drop)
    },
    |store| {
        let done = store.enable_flag("board-view", "development", false, &Terms::default());
        done.map(drop)
    },
    |store| {
        let done = store.change_flag("board-view", "description: Boards", &Terms::default());
        done.map(drop)
    },
    |store| {
        let done = store.change_segment("staff", "description: We", &Terms::default());
        done.map(drop)
    },
    |store| {
        let flag = "flowgate: project/1\nproject: harbor\nflags:\n- name: fresh\n  \
                    environments: { production: { enabled: true } }\n";
        store.import(&file(flag)).map(drop)
    },
    |store| {
        let commit = crate::store::Commit {
            message: "next".to_owned(),
            author: "ada".to_owned(),
            migration: None,
        };
        let done = store.commit_draft("welcome-modal", &commit, &Terms::default());
        done.map(drop)
    },
];

#[test]
fn what_users_of_a_confirming_environment_notice_is_refused_until_it_is_named() {
    for (what, change) in NOTICED {
        let house = House::new();
        let (store, author) = desk(&house, Some("development, staging"));
        let before = store.workspace();
        let refused = change(&author).unwrap_err();
        let StoreError::Unconfirmed { environments, .. } = &refused else {
            panic!("{what}: {refused}");
        };
        assert_eq!(environments, &["production"], "{what}");
        assert!(refused.to_string().contains(what), "{what}: {refused}");
        let deployed = |workspace: &Workspace| workspace.deployments.clone();
        assert_eq!(deployed(&before), deployed(&store.workspace()), "{what}");
        let house = House::new();
        let (_, author) = desk(&house, Some(" staging ,production"));
        change(&author).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

#[test]
fn what_nobody_notices_at_once_is_not_asked_about() {
    for (at, change) in UNNOTICED.iter().enumerate() {
        let house = House::new();
        let (_, author) = desk(&house, None);
        change(&author).unwrap_or_else(|error| panic!("{at}: {error}"));
    }
}

#[test]
fn an_environment_that_wants_nothing_confirmed_is_asked_about_only_to_be_deleted() {
    let house = House::new();
    let (store, author) = desk(&house, None);
    author
        .set_status("onboarding-tour", "development", false)
        .unwrap();
    let refused = author.delete_environment("development", false).unwrap_err();
    assert!(refused.to_string().contains("development"), "{refused}");
    assert!(store.workspace().environment("development").is_some());
}

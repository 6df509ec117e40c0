//! Whether pages of every list make the whole list, while it changes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    limits::FLOW_VERSIONS_TOLD_MAX,
    progress::event::EdgeReport,
    snapshot::wire::EnvironmentType,
    store::{
        Channel, Deployment, NewEnvironment, NewFlow, ProjectChange, Terms, UserLine,
        deploying::put_deployment,
        paging::{LISTS, List},
    },
};

/// A list, and how one thing of it comes and goes.
struct Listed {
    path: &'static str,
    member: &'static str,
    /// The member of a row that tells it from all others.
    id: &'static str,
    add: fn(&Store, u8),
    /// None for what only grows.
    remove: Option<fn(&Store, u8)>,
}

fn name(number: u8) -> String {
    // Neither in the order of numbers nor of one length.
    format!("x{}", u32::from(number) * 37 % 101)
}

const LISTED: [Listed; 11] = [
    Listed {
        path: "keys?environment=production",
        member: "keys",
        id: "name",
        add: |store, number| {
            let name = KeyName {
                kind: StoredKeyKind::Server,
                environment: Some("production".to_owned()),
                name: name(number),
            };
            store.create_key(&name, &[]).unwrap();
        },
        remove: None,
    },
    Listed {
        path: "environments?",
        member: "environments",
        id: "name",
        add: |store, number| {
            let new = NewEnvironment {
                name: name(number),
                kind: EnvironmentType::Test,
                drafts: None,
            };
            store.create_environment(&new).unwrap();
        },
        remove: Some(|store, number| store.delete_environment(&name(number), true).unwrap()),
    },
    Listed {
        path: "edges?",
        member: "edges",
        id: "edge",
        add: |store, number| {
            let report = EdgeReport {
                edge: name(number),
                ..EdgeReport::default()
            };
            let place = ["production", "development"][usize::from(number % 2)];
            store.edge_reports(place, report, None).unwrap();
        },
        remove: None,
    },
    Listed {
        path: "projects?",
        member: "projects",
        id: "sid",
        add: |store, number| {
            let plain = ProjectChange::default();
            store.create_project(&name(number), &plain).unwrap();
        },
        remove: Some(|store, number| store.delete_project(&name(number)).unwrap()),
    },
    Listed {
        path: "flows?project=other",
        member: "flows",
        id: "sid",
        add: |store, number| {
            let new = NewFlow {
                sid: name(number),
                project: "other".to_owned(),
                name: None,
            };
            store.create_flow(&new).unwrap();
        },
        remove: Some(|store, number| store.delete_flow(&name(number)).unwrap()),
    },
    Listed {
        path: "channels?",
        member: "channels",
        id: "name",
        add: |store, number| {
            let channel = Channel {
                name: name(number),
                exclusive: false,
                attributes: Vec::new(),
            };
            store.put_channel(channel).unwrap();
        },
        remove: None,
    },
    Listed {
        path: "deployments?",
        member: "deployments",
        id: "uid",
        add: |store, number| {
            let workspace = store.workspace();
            let like = workspace.deployments.values().next().unwrap().clone();
            let deployment = Deployment {
                uid: format!("uid-{number}"),
                name: name(number),
                channel: name(number),
                ..like
            };
            store
                .deploy(|workspace| put_deployment(workspace, deployment))
                .unwrap();
        },
        remove: Some(|store, number| store.delete_deployment(&format!("uid-{number}")).unwrap()),
    },
    Listed {
        path: "flags?project=other",
        member: "flags",
        id: "name",
        add: |store, number| {
            let text = json!({"name": name(number), "project": "other"}).to_string();
            store.create_flag(&text).unwrap();
        },
        remove: Some(|store, number| {
            let (name, any) = (name(number), Terms::default());
            store.archive_flag(&name, &any).unwrap();
            store.delete_flag(&name, &any).unwrap();
        }),
    },
    Listed {
        path: "segments?",
        member: "segments",
        id: "id",
        add: |store, number| {
            let text = json!({"name": name(number), "project": "other", "constraints": []});
            store.create_segment(&text.to_string()).unwrap();
        },
        remove: Some(|store, number| {
            let any = Terms::default();
            store.delete_segment(&name(number), &any).unwrap();
        }),
    },
    Listed {
        path: "environments/production/users:find?prefix=x",
        member: "users",
        id: "user",
        add: add_user,
        remove: Some(remove_user),
    },
    Listed {
        path: "environments/production/users?",
        member: "lines",
        id: "user",
        add: add_user,
        remove: Some(remove_user),
    },
];

fn add_user(store: &Store, number: u8) {
    let line = UserLine::User {
        user: name(number),
        properties: serde_json::Map::new(),
        groups: Vec::new(),
    };
    store
        .import_users("production", &[Ok(line)], false)
        .unwrap();
}

fn remove_user(store: &Store, number: u8) {
    store.erase_user("production", &name(number)).unwrap();
}

/// Ids of a page, and the cursor of the next one.
fn page(response: &Response, listed: &Listed) -> (Vec<String>, Option<String>) {
    let answer = body(response);
    assert_eq!(response.status, 200, "{} {answer}", listed.path);
    assert!(answer.as_object().unwrap().contains_key("next"), "{answer}");
    let rows = answer[listed.member].as_array().unwrap();
    let ids = rows.iter().map(|row| row[listed.id].to_string());
    (
        ids.collect(),
        answer["next"].as_str().map(ToOwned::to_owned),
    )
}

/// Walks a list while things come and go, and holds what is told against what
/// was there all the time.
async fn walk(listed: &Listed, first: &BTreeSet<u8>, changes: &[u8], limit: usize) {
    let desk = Desk::new();
    let store = &desk.api.store;
    store
        .create_project("other", &ProjectChange::default())
        .unwrap();
    let mut there = first.clone();
    for number in first {
        desk.house.wait(1);
        (listed.add)(store, *number);
    }
    let whole = async || page(&desk.admin("GET", listed.path, "").await, listed).0;
    let mut kept: BTreeSet<String> = whole().await.into_iter().collect();
    let (mut told, mut after, mut changes) = (Vec::new(), None, changes.iter());
    loop {
        let place = after.map_or(String::new(), |after| format!("&after={after}"));
        let path = format!("{}&limit={limit}{place}", listed.path);
        let (ids, next) = page(&desk.admin("GET", &path, "").await, listed);
        assert!(ids.len() <= limit, "{path}");
        told.extend(ids);
        after = next;
        if after.is_none() {
            break;
        }
        let Some(number) = changes.next() else {
            continue;
        };
        desk.house.wait(1);
        match listed.remove {
            _ if there.insert(*number) => (listed.add)(store, *number),
            Some(remove) => {
                there.remove(number);
                remove(store, *number);
                let now: BTreeSet<String> = whole().await.into_iter().collect();
                kept.retain(|id| now.contains(id));
            }
            None => {}
        }
    }
    let seen: BTreeSet<&String> = told.iter().collect();
    assert_eq!(seen.len(), told.len(), "{}: twice in {told:?}", listed.path);
    let lost: Vec<&String> = kept.iter().filter(|id| !seen.contains(id)).collect();
    assert!(lost.is_empty(), "{}: {lost:?} not in {told:?}", listed.path);
    let order = whole().await;
    let places: Vec<usize> = told
        .iter()
        .filter_map(|id| order.iter().position(|own| own == id))
        .collect();
    assert!(places.is_sorted(), "{}: {told:?}, {order:?}", listed.path);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn pages_of_every_list_make_the_whole_while_it_changes(
        first in prop::collection::btree_set(0..12u8, 0..9),
        changes in prop::collection::vec(0..12u8, 0..9),
        limit in 1..5usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        for listed in &LISTED {
            runtime.block_on(walk(listed, &first, &changes, limit));
        }
    }
}

/// A path at which each list is found.
fn path(list: &List) -> String {
    match list.name {
        "versions" => "flows/onboarding-tour/versions".to_owned(),
        "webhooks" | "usage" => format!("environments/production/{}", list.name),
        "findUsers" => "environments/production/users:find".to_owned(),
        "exportUsers" => "environments/production/users".to_owned(),
        plain => plain.to_owned(),
    }
}

#[tokio::test]
async fn every_list_takes_the_same_parameters_and_refuses_the_same() {
    let desk = Desk::new();
    let other = crate::store::paging::EXPORTED_GROUPS.cursor(&"a");
    for list in &LISTS {
        let path = path(list);
        let ask = async |query: &str| {
            let answer = desk.admin("GET", &format!("{path}?{query}"), "").await;
            (answer.status, body(&answer))
        };
        let (status, whole) = ask("").await;
        assert_eq!(status, 200, "{path}: {whole}");
        assert!(whole[list.member].is_array(), "{path}: {whole}");
        assert_eq!(
            whole["next"],
            Value::Null,
            "{path}: a store of a usual size"
        );
        assert_eq!(ask(&format!("limit={}", list.max)).await.0, 200, "{path}");
        for limit in ["0", "-1", "1.5", "", "x", &(list.max + 1).to_string()] {
            let (status, told) = ask(&format!("limit={limit}")).await;
            let kind = told["type"].as_str().unwrap_or_default();
            assert_eq!(status, 400, "{path} {limit}");
            assert!(kind.ends_with(":malformed-limit"), "{path}: {told}");
            assert_eq!(told["expected"], format!("1 to {}", list.max));
        }
        for cursor in ["", "1", "soon", "a/b", &other] {
            let (status, told) = ask(&format!("after={cursor}")).await;
            let kind = told["type"].as_str().unwrap_or_default();
            assert_eq!(status, 400, "{path} {cursor}");
            assert!(kind.ends_with(":malformed-cursor"), "{path}: {told}");
            assert_eq!(told["found"], *cursor);
        }
        let (status, told) = ask("page=2").await;
        assert_eq!(status, 400, "{path}");
        let expected = told["expected"].as_str().unwrap_or_default();
        assert!(expected.ends_with("after, limit"), "{path}: {told}");
        assert_eq!(ask("limit=1&limit=1").await.0, 400, "{path}");
    }
}

#[tokio::test]
async fn a_flow_tells_its_newest_versions_and_lists_them_all() {
    let desk = Desk::new();
    let count = FLOW_VERSIONS_TOLD_MAX + 3;
    let version = |number: usize| {
        json!({"number": number, "entry": "everyone", "message": format!("m{number}"),
            "blocks": [{"sid": "a", "type": "card"}], "paths": [{"from": "entry", "to": "a"}]})
    };
    let versions: Vec<Value> = (1..=count).map(version).collect();
    let file = json!({"flowgate": "project/1", "project": "long", "flows": [
        {"sid": "long", "versions": versions}]});
    let taken = desk.admin("POST", "import", &file.to_string()).await;
    assert_eq!(taken.status, 200, "{}", body(&taken));
    let flow = body(&desk.admin("GET", "flows/long", "").await);
    let numbers = |rows: &Value| -> Vec<u64> {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["version"].as_u64().unwrap()).collect()
    };
    let told = numbers(&flow["history"]);
    assert_eq!(told.len(), FLOW_VERSIONS_TOLD_MAX);
    assert_eq!(told.last(), Some(&(count as u64)));
    assert_eq!(flow["history_left_out"], 3);
    assert_eq!(flow["deployments_left_out"], 0);
    let all = body(&desk.admin("GET", "flows/long/versions", "").await);
    assert_eq!(numbers(&all["versions"]).len(), count);
    assert_eq!(all["versions"][3], flow["history"][0]);
    let unknown = desk.admin("GET", "flows/short/versions", "").await;
    assert_eq!(unknown.status, 404);
    let of_it = desk.admin("GET", "deployments?flow=long", "").await;
    assert_eq!(body(&of_it)["deployments"], json!([]));
    let unknown = desk.admin("GET", "deployments?flow=short", "").await;
    assert_eq!(unknown.status, 404);
}

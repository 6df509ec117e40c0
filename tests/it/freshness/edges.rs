//! What does the store know of its edges, and they of it?

use super::*;

fn edges(scene: &Scene, words: &[&str]) -> String {
    let listed = run(scene.store.command(&["edges"]).args(words));
    assert!(listed.status.success(), "{listed:?}");
    String::from_utf8_lossy(&listed.stdout).into_owned()
}

fn listed(scene: &Scene) -> Vec<Value> {
    let text = edges(scene, &["--output", "json"]);
    let list: Value = serde_json::from_str(&text).expect("JSON");
    list.as_array().expect("a list").clone()
}

#[test]
fn edges_report_and_who_is_left_behind_is_marked() {
    let mut scene = Scene::set("2", &[]);
    let own = eventually("the edge has reported", || listed(&scene).pop());
    assert_eq!(own["environment"], "development");
    assert_eq!(own["version"], env!("CARGO_PKG_VERSION"));
    let name = own["edge"].as_str().expect("a name").to_owned();
    scene.publish("Second");
    let revision = scene.revision();
    eventually("a change is reported at once", || {
        let own = listed(&scene).pop()?;
        (own["revision"] == revision.as_str() && own["straggler"] == false).then_some(())
    });
    // It hears nothing new any more, but can still speak.
    scene
        .proxy
        .tamper(|path, _| path.contains("/timestamp").then(Vec::new));
    scene.publish("Third");
    let own = eventually("a straggler", || {
        listed(&scene).pop().filter(|own| own["straggler"] == true)
    });
    assert_eq!(own["revision"], revision.as_str(), "{own}");
    assert_ne!(own["current"], revision.as_str(), "{own}");
    assert_eq!(own["reason"], "envelope_malformed", "{own}");
    let table = edges(&scene, &["--environment", "development"]);
    assert!(table.contains(&name) && table.contains("stale"), "{table}");
    assert!(
        edges(&scene, &["--environment", "production"])
            .lines()
            .count()
            == 1
    );
    // After a restart it is the same edge.
    scene.proxy.behave();
    assert_eq!(scene.edge.program.terminate(), Some(0));
    scene.edge.restart(scene.folder.path());
    eventually("it is well again, and one", || {
        let list = listed(&scene);
        let [own] = list.as_slice() else {
            panic!("not one: {list:?}");
        };
        (own["edge"] == name.as_str() && own["straggler"] == false).then_some(())
    });
}

#[test]
fn a_store_one_minor_older_or_newer_works_and_is_named() {
    let own: Vec<u32> = env!("CARGO_PKG_VERSION")
        .split('.')
        .map(|part| part.parse().expect("a number"))
        .collect();
    let scene = Scene::set("120", &["--upstream-poll-wait-s", "1"]);
    let said = |fit: &str| {
        eventually(fit, || {
            let upstream = scene.status()["upstream"].clone();
            (upstream["fit"] == fit).then_some(upstream)
        })
    };
    said("same");
    let mut versions = vec![
        (own[1] + 1, "one-minor-apart"),
        (own[1] + 2, "too-far-apart"),
    ];
    if let Some(older) = own[1].checked_sub(1) {
        versions.push((older, "one-minor-apart"));
    }
    for (minor, fit) in versions {
        let version = format!("{}.{minor}.3", own[0]);
        scene.proxy.set(Mood::Version(version.clone()));
        let title = format!("By {version}");
        scene.publish(&title);
        eventually("what it publishes is taken", || {
            let flow = body_of(&scene.read("reader"), 200);
            (flow["blocks"][0]["fields"][0]["value"] == title.as_str()).then_some(())
        });
        assert_eq!(said(fit)["version"], version.as_str());
    }
    // It takes no reports, which is told and harms nothing.
    eventually("it is told", || {
        let error = scene.status()["upstream"]["report_error"].clone();
        error.as_str()?.contains("404").then_some(())
    });
    assert_eq!(scene.edge.admin().get("/ready").status, 200);
}

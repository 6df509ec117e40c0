//! Is it told before it is done what a change of a deployment means?
//!
//! Previews on stored users are held against what the edge then decides; notes
//! and dry runs against what the store then does.

use serde_json::{Value, json};

use super::deployments::Desk;
use crate::harness::{body_of, eventually};

const USERS: usize = 60;

/// Users `u00`…, every third of them a vip.
#[track_caller]
fn bring_users(desk: &Desk) {
    let lines = (0..USERS).map(|number| {
        let tags = if number % 3 == 0 {
            json!(["vip"])
        } else {
            json!([])
        };
        json!({"user": name(number), "properties": {"tags": tags}}).to_string()
    });
    let file = desk.folder.path().join("users.jsonl");
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).expect("a file");
    desk.runs(&["user", "import", &file.display().to_string()])
        .with(0);
}

fn name(number: usize) -> String {
    format!("u{number:02}")
}

#[track_caller]
fn preview(desk: &Desk, more: &[&str]) -> Value {
    let words = ["deployment", "preview", "on-web", "--output", "json"];
    desk.runs(&[&words[..], more].concat()).with(0).json()
}

/// Whom the edge serves on `web` by now, all of them asked once.
#[track_caller]
fn served(desk: &Desk) -> Vec<String> {
    let ids = (0..USERS).map(name);
    let is_served = |id: &String| desk.decision(id, Some("web"))["served"] == true;
    ids.filter(is_served).collect()
}

#[test]
fn a_preview_says_what_the_edge_decides_afterwards() {
    let desk = Desk::start();
    bring_users(&desk);
    desk.deploys("on-web", &["--percentage", "40", "--remember", "nothing"]);
    desk.becomes("u00", "percentage");
    let before = served(&desk);
    assert!(!before.is_empty() && before.len() < USERS, "{before:?}");

    let same = preview(&desk, &[]);
    let all = json!({"enter": 0, "leave": 0, "change": 0, "stay": before.len(), "out": USERS - before.len()});
    assert_eq!(same["counts"], all, "{same}");
    assert_eq!(
        (&same["users"], &same["next"]),
        (&json!(USERS), &Value::Null)
    );

    // Pages add up to the whole.
    let audience = desk.folder.path().join("vips.yaml");
    let rules = "- rules:\n  - { attribute: tags, operator: contains, value: vip }\n";
    std::fs::write(&audience, rules).expect("a file");
    let audience = audience.display().to_string();
    let change = [
        "--percentage",
        "100",
        "--audience",
        &audience,
        "--version",
        "1",
    ];
    let found = preview(&desk, &[&change[..], &["--examples", "50"]].concat());
    let few = preview(&desk, &[&change[..], &["--users", "7"]].concat());
    assert_eq!((&few["users"], &few["next"]), (&json!(7), &json!("u06")));

    desk.runs(&[&["deployment", "set", "on-web"][..], &change].concat())
        .with(0);
    desk.becomes("u01", "audience_mismatch");
    let after = served(&desk);
    assert_eq!(after.len(), USERS / 3);
    let moved = |movement: &str| {
        let examples = found["examples"].as_array().into_iter().flatten();
        let own = examples.filter(|own| own["movement"] == movement);
        let users: Vec<String> = own
            .map(|own| own["user"].as_str().expect("a user").to_owned())
            .collect();
        assert_eq!(found["counts"][movement], users.len(), "{found}");
        users
    };
    let but = |some: &[String], others: &[String]| -> Vec<String> {
        some.iter()
            .filter(|id| !others.contains(id))
            .cloned()
            .collect()
    };
    assert_eq!(moved("enter"), but(&after, &before));
    assert_eq!(moved("leave"), but(&before, &after));
    let both = but(&before, &but(&before, &after));
    assert_eq!(moved("change"), both, "from version 2 to 1");
}

#[test]
fn a_preview_respects_what_is_recorded() {
    let desk = Desk::start();
    bring_users(&desk);
    desk.deploys("on-web", &["--percentage", "40", "--remember", "user"]);
    desk.becomes("u00", "percentage");
    let before = served(&desk);
    eventually("all decisions are at the ledger", || {
        let found = preview(&desk, &[]);
        let reasons = &found["reasons"];
        let count = |reason: &str| reasons[reason].as_u64().unwrap_or(0);
        let recorded = count("member") + count("excluded") + count("started");
        (recorded == USERS as u64).then_some(())
    });
    // Whoever was excluded at 40 is out at 99, and in at 100.
    let raised = preview(&desk, &["--percentage", "99"]);
    assert_eq!(raised["counts"]["enter"], 0, "{raised}");
    let launched = preview(&desk, &["--percentage", "100"]);
    assert_eq!(
        launched["counts"]["enter"],
        USERS - before.len(),
        "{launched}"
    );
    let notes = launched["notes"].to_string();
    assert!(notes.contains("full launch"), "{notes}");
    // At 0 nobody who is in is put out.
    let closed = preview(&desk, &["--percentage", "0"]);
    assert_eq!(closed["counts"]["leave"], 0, "{closed}");
    // Off is off for everybody.
    let off = preview(&desk, &["--inactive"]);
    assert_eq!(off["counts"]["leave"], before.len(), "{off}");
    assert_eq!(off["reasons"], json!({"inactive": USERS}));
}

#[test]
fn previews_and_dry_runs_change_nothing() {
    let desk = Desk::start();
    bring_users(&desk);
    let store = desk.dev.store();
    let proposed = json!({"environment": "development", "flow": "help", "name": "planned",
        "channel": "web", "basisPoints": 10_000});
    let found = body_of(&store.post("/admin/v1/deployments/preview", &proposed), 200);
    assert_eq!(found["deployment"]["name"], "planned");
    // Without a deployment the tag decides on a channel, too.
    assert_eq!(found["counts"]["stay"], USERS, "{found}");
    let dry = body_of(
        &store.post("/admin/v1/deployments?dryRun=true", &proposed),
        200,
    );
    assert_eq!(dry["dryRun"], true);
    let gone = store.get("/admin/v1/deployments/planned");
    assert_eq!(gone.status, 404, "{}", gone.text);

    desk.deploys("on-web", &["--percentage", "10"]);
    let told = desk
        .runs(&[
            "deployment",
            "set",
            "on-web",
            "--percentage",
            "100",
            "--dry-run",
        ])
        .with(0)
        .out;
    assert!(
        told.contains("full launch") && told.contains("nothing was changed"),
        "{told}"
    );
    let told = desk
        .runs(&[
            "deployment",
            "set",
            "on-web",
            "--percentage",
            "100",
            "--preview",
        ])
        .with(1)
        .out;
    let order = [
        "looked at 60 stored users",
        "full launch",
        "nothing was changed",
    ];
    let places = order.map(|text| {
        told.find(text)
            .unwrap_or_else(|| panic!("no {text} in {told}"))
    });
    assert!(places.is_sorted(), "{told}");
    let show = ["deployment", "show", "on-web", "--output", "json"];
    assert_eq!(desk.runs(&show).with(0).json()["basisPoints"], 1_000);
    // What is said with --yes, is said before it is done.
    let told = desk
        .runs(&[
            "deployment",
            "set",
            "on-web",
            "--percentage",
            "100",
            "--preview",
            "--yes",
        ])
        .with(0)
        .out;
    assert!(
        told.find("full launch") < told.find("ENVIRONMENT"),
        "{told}"
    );
    assert_eq!(desk.runs(&show).with(0).json()["basisPoints"], 10_000);

    // A preview refuses what a change refuses, and says why.
    let second =
        json!({"environment": "development", "flow": "help", "name": "second", "channel": "web"});
    let refused = store.post("/admin/v1/deployments/preview", &second);
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(refused.text.contains("on-web"), "{}", refused.text);
    for query in [
        "limit=0",
        "limit=1001",
        "examples=51",
        "at=soon",
        "attributes=[]",
        "nope=1",
    ] {
        let path = format!("/admin/v1/deployments/on-web/preview?{query}");
        let refused = store.post(&path, &json!({}));
        assert_eq!(refused.status, 400, "{query}: {}", refused.text);
    }
}

#[test]
fn an_attribute_that_no_channel_carries_is_told_of() {
    let desk = Desk::start();
    desk.runs(&[
        "channel",
        "set",
        "web",
        // What the demo says of it, and would stay.
        "--remove-attribute",
        "locale",
        "--remove-attribute",
        "page",
        "--remove-attribute",
        "tags",
        "--attribute",
        "plan",
        "--attribute",
        "tags",
    ])
    .with(0);
    let listed = desk
        .runs(&["channel", "list", "--output", "json"])
        .with(0)
        .json();
    let mut channels = listed.as_array().into_iter().flatten();
    let web = channels.find(|own| own["name"] == "web").expect("web");
    assert_eq!(web["attributes"], json!(["plan", "tags"]));
    let file = desk.folder.path().join("audience.yaml");
    let audience = |attribute: &str| {
        let rule =
            format!("- rules:\n  - {{ attribute: {attribute}, operator: equals, value: x }}\n");
        std::fs::write(&file, rule).expect("a file");
        file.display().to_string()
    };
    let made = desk.deploys("on-web", &["--audience", &audience("plam")]);
    let notes = made["notes"].to_string();
    assert!(
        notes.contains("plam") && notes.contains("known: plan, tags"),
        "{notes}"
    );
    let set = ["deployment", "set", "on-web", "--audience"];
    let told = desk
        .runs(&[&set[..], &[&audience("plan")]].concat())
        .with(0)
        .out;
    assert!(!told.contains("note:"), "{told}");
    // An exclusive channel takes one; the refusal says which is there.
    desk.runs(&["channel", "set", "sms", "--exclusive"]).with(0);
    let create = |name: &str| {
        let words = ["deployment", "create", name, "--channel", "sms", "--flow"];
        desk.runs(&[&words[..], &["help"]].concat())
    };
    create("first").with(0);
    create("second")
        .with(2)
        .complains_of(&["first", "exclusive", "sms"]);
    let refused = desk.runs(&["channel", "set", "a b"]);
    refused.with(2).complains_of(&["a b", "platform"]);
}

#[test]
fn a_percentage_by_hand_ends_the_schedule() {
    let desk = Desk::start();
    desk.deploys("on-web", &["--percentage", "10"]);
    let steps = [
        "2040-01-01T00:00:00Z=25",
        "2040-01-08T00:00:00Z=50",
        "2040-01-15T00:00:00Z=100",
    ];
    let words = ["deployment", "schedule", "on-web"];
    let told = desk.runs(&[&words[..], &steps].concat()).with(0).out;
    assert!(told.contains("full launch"), "{told}");
    let shown = desk.runs(&["deployment", "show", "on-web"]).with(0).out;
    assert!(shown.contains("10 %, 25 % from 2040-01-01"), "{shown}");
    let told = desk
        .runs(&["deployment", "set", "on-web", "--percentage", "20"])
        .with(0)
        .out;
    assert!(
        told.contains("schedule of 3 steps up to 100 % is cancelled"),
        "{told}"
    );
    let show = ["deployment", "show", "on-web", "--output", "json"];
    assert_eq!(desk.runs(&show).with(0).json()["schedule"], json!([]));

    // One step that is past holds at once, and one down is told of.
    let steps = ["2020-01-01T00:00:00Z=60", "2040-01-01T00:00:00Z=30"];
    let told = desk.runs(&[&words[..], &steps].concat()).with(0).out;
    assert!(
        told.contains("in the past") && told.contains("goes down from 60 % to 30 %"),
        "{told}"
    );
    let own = desk.runs(&show).with(0).json();
    assert_eq!(own["basisPointsNow"], 6_000, "{own}");
    desk.runs(&["deployment", "schedule", "on-web", "--clear"])
        .with(0);
    let own = desk.runs(&show).with(0).json();
    assert_eq!(
        (&own["basisPoints"], &own["schedule"]),
        (&json!(6_000), &json!([])),
        "{own}"
    );
    // Times have to ascend.
    let steps = ["2040-02-01T00:00:00Z=60", "2040-02-01T00:00:00Z=70"];
    desk.runs(&[&words[..], &steps].concat())
        .with(2)
        .complains_of(&["ascending"]);
    desk.runs(&words).with(64);
    // Without a terminal nobody can be asked.
    desk.runs(&["deployment", "create"])
        .with(64)
        .complains_of(&["no flow", "no channel", "no name"]);
}

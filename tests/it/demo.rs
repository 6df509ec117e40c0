//! Do the flows of the demo lead where their files say?
//!
//! Each walked as its users would: the assistant over both of its channels,
//! the checklist with its gate and its trigger, the hints that are shown anew,
//! the modal that is a draft. `dev` walks the tour.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Dev, body_of, check_flow};

/// A running demo.
struct Demo {
    dev: Dev,
    server: Client,
    blocks: Client,
    // Last, so that the process is gone before it is removed.
    _folder: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dev = Dev::start(folder.path());
        Self {
            server: dev.edge("server"),
            blocks: dev.edge("blocks"),
            dev,
            _folder: folder,
        }
    }

    /// What the assistant says to somebody over a channel.
    #[track_caller]
    fn support(&self, channel: Option<&str>, subject: &Value) -> Value {
        let body = json!({"subject": subject, "channel": channel, "start": true,
            "flows": {"customer-support": "latest"}, "include": ["blocks"]});
        let answer = body_of(&self.server.post("/v1/evaluate", &body), 200);
        answer["decisions"]["customer-support"].clone()
    }

    /// A flow as a browser sees it, started if it can be.
    #[track_caller]
    fn read(&self, flow: &str, version: &str, user: &str) -> Value {
        let path = format!("/v2/flow/{flow}?{version}&include=block&userIdentifier={user}");
        let flow = body_of(&self.blocks.get(&path), 200);
        check_flow(&flow, true);
        flow
    }

    /// Takes a transition of a block of a flow that was read.
    #[track_caller]
    fn take(&self, flow: &Value, sid: &str, name: &str, user: &str) {
        let uid = block(flow, sid)["uid"].as_str().expect("a uid");
        let version = &flow["version"];
        let path = format!(
            "/v2/block/{uid}/transition?version={version}&transitions={name}&userIdentifier={user}"
        );
        let sent = self
            .blocks
            .send(Method::POST, &path, &[], Some("{}".to_owned()));
        let answer = sent.expect("an answer");
        assert_eq!(answer.status, 204, "{}", answer.text);
        assert_eq!(answer.header("x-dopt-intent-side-effects"), "true", "{sid}");
    }

    #[track_caller]
    fn identify(&self, user: &str, properties: &Value) {
        let body = json!({"identifier": user, "properties": properties});
        assert_eq!(self.dev.edge("users").post("/identify", &body).status, 204);
    }
}

#[track_caller]
fn block<'f>(flow: &'f Value, sid: &str) -> &'f Value {
    let mut blocks = flow["blocks"].as_array().into_iter().flatten();
    let found = blocks.find(|block| {
        let own = block["sid"].as_str().unwrap_or_default();
        own.split_once('.').is_some_and(|(_, own)| own == sid)
    });
    found.unwrap_or_else(|| panic!("no {sid} in {flow}"))
}

/// The blocks somebody stands on.
fn active(flow: &Value) -> Vec<&str> {
    let blocks = flow["blocks"].as_array().into_iter().flatten();
    let active = blocks.filter(|block| block["state"]["active"] == true);
    let sids = active.filter_map(|block| block["sid"].as_str());
    sids.filter_map(|sid| sid.split_once('.'))
        .map(|(_, sid)| sid)
        .collect()
}

const CHANNELS: [&str; 2] = ["web", "intercom:acme"];

#[test]
fn the_assistant_is_for_a_tenth_of_the_vips_over_either_channel() {
    let demo = Demo::start();
    let hidden = demo.support(
        None,
        &json!({"user": "vip-0", "attributes": {"tags": ["vip"]}}),
    );
    assert_eq!(hidden["reason"], "deployment_required", "{hidden}");
    assert_eq!(hidden["blocks"], json!([]), "{hidden}");
    for channel in CHANNELS {
        for tags in [json!([]), json!(["VIP"]), json!("customer"), json!(null)] {
            let subject =
                json!({"user": "ada", "conversation": channel, "attributes": {"tags": tags}});
            let decision = demo.support(Some(channel), &subject);
            assert_eq!(
                decision["reason"], "audience_mismatch",
                "{tags}: {decision}"
            );
            assert_eq!(decision["blocks"], json!([]), "{decision}");
        }
        let mut seen = [0, 0];
        for number in 0..60 {
            let subject = json!({"user": format!("vip-{number}"), "conversation": channel,
                "attributes": {"tags": ["vip"]}});
            let decision = demo.support(Some(channel), &subject);
            let is_in = decision["membership"]["in"] == true;
            seen[usize::from(is_in)] += 1;
            assert_eq!(decision["membership"]["basis_points"], 1_000, "{decision}");
            assert_eq!(decision["served"], is_in, "{decision}");
            // Whoever loses the tag stays where they were put.
            let later = json!({"user": format!("vip-{number}"), "conversation": channel});
            let later = demo.support(Some(channel), &later);
            assert_eq!(later["served"], is_in, "{later}");
            let reason = if is_in { "started" } else { "excluded" };
            assert_eq!(later["reason"], reason, "{later}");
        }
        assert!(seen[1] > 0 && seen[0] > seen[1], "{channel}: {seen:?}");
    }
}

#[test]
fn a_conversation_with_the_assistant_goes_to_its_end() {
    let demo = Demo::start();
    for channel in CHANNELS {
        let subject = |number: usize| {
            json!({"user": format!("vip-{number}"), "conversation": "c-1",
                "attributes": {"tags": ["vip"]}})
        };
        let mut numbers = 0..200;
        let number =
            numbers.find(|number| demo.support(Some(channel), &subject(*number))["served"] == true);
        let subject = subject(number.expect("a tenth of them"));
        let mut now = demo.support(Some(channel), &subject);
        assert_eq!(now["version"], 2, "{now}");
        for (sid, name) in [
            ("greeting", "product"),
            ("product-answer", "unsolved"),
            ("hand-over", "accepted"),
            ("rating", "good"),
        ] {
            assert_eq!(active(&now), [sid], "{channel}: {now}");
            let uid = block(&now, sid)["uid"].as_str().expect("a uid");
            let body = json!({"subject": subject, "channel": channel, "version": 2,
                "transitions": [name]});
            let path = format!("/v1/blocks/{uid}/transition");
            let stepped = body_of(&demo.server.post(&path, &body), 200);
            assert_eq!(stepped["changed"], true, "{stepped}");
            now = demo.support(Some(channel), &subject);
        }
        assert_eq!(now["reason"], "finished", "{now}");
        assert_eq!(active(&now), [""; 0], "{now}");
        // Another conversation of the same person is judged by itself.
        let mut other = subject.clone();
        other["conversation"] = json!("c-2");
        let other = demo.support(Some(channel), &other);
        assert_eq!(
            other["reason"], "started",
            "the bucket is the person's: {other}"
        );
    }
}

#[test]
fn the_checklist_ends_at_its_gate_and_starts_the_announcement() {
    let demo = Demo::start();
    let read = |user: &str| demo.read("initial-setup", "tag=latest", user);
    let items = [
        ("name-workspace", "complete"),
        ("pick-colour", "skip"),
        ("write-task", "complete"),
    ];
    demo.identify("teresa", &json!({"plan": "team"}));
    demo.identify("fred", &json!({"plan": "free"}));
    for user in ["teresa", "fred"] {
        for (at, (sid, name)) in items.iter().enumerate() {
            let flow = read(user);
            assert_eq!(active(&flow).len(), 1 + items.len() - at, "{flow}");
            demo.take(&flow, sid, name, user);
        }
        let setup = read(user);
        assert_eq!(
            block(&setup, "setup")["transitioned"]["complete"],
            true,
            "{setup}"
        );
    }
    let fred = read("fred");
    assert_eq!(fred["state"]["finished"], true, "{fred}");
    // Nobody has told who would have to wait at the gate anything yet.
    let before =
        json!({"subject": {"user": "teresa"}, "flows": {"feature-announcement": "latest"}});
    let announced = || {
        let answer = body_of(&demo.server.post("/v1/evaluate", &before), 200);
        answer["decisions"]["feature-announcement"]["state"]["started"] == true
    };
    let mut flow = read("teresa");
    assert_eq!(active(&flow), ["import-data", "tell-team"], "{flow}");
    demo.take(&flow, "tell-team", "dismiss", "teresa");
    flow = read("teresa");
    assert_eq!(active(&flow), ["import-data"], "{flow}");
    assert_eq!(flow["state"]["finished"], false, "the gate is shut: {flow}");
    assert!(!announced(), "{flow}");
    demo.take(&flow, "import-data", "complete", "teresa");
    flow = read("teresa");
    assert_eq!(flow["state"]["finished"], true, "{flow}");
    // She has no projects: the entry condition would have kept her out.
    assert!(announced(), "the trigger starts it all the same");
    let announcement = demo.read("feature-announcement", "tag=latest", "teresa");
    assert_eq!(active(&announcement), ["announcement"], "{announcement}");
    let fred = demo.read("feature-announcement", "tag=latest", "fred");
    assert_eq!(fred["state"]["started"], false, "{fred}");
    // Whoever dismisses the checklist is done with it.
    let busy = read("busy");
    demo.take(&busy, "setup", "dismiss", "busy");
    let busy = read("busy");
    assert_eq!(busy["state"]["finished"], true, "{busy}");
    assert_eq!(active(&busy), [""; 0], "{busy}");
}

#[test]
fn everybody_sees_the_newest_hints_again() {
    let demo = Demo::start();
    let read = |version: &str, user: &str| demo.read("feature-hotspot", version, user);
    // Who has finished the second version, and who stands in the first.
    for (user, version) in [("old", "version=1"), ("done", "version=2")] {
        let flow = read(version, user);
        assert_eq!(flow["state"]["started"], true, "{flow}");
        if user == "done" {
            demo.take(&flow, "hotspots", "dismiss", user);
            assert_eq!(read(version, user)["state"]["finished"], true);
        }
        let newest = read("tag=latest", user);
        assert_eq!(newest["version"], 3, "{newest}");
        assert_eq!(newest["state"]["finished"], false, "{user}: {newest}");
        assert_eq!(
            active(&newest),
            ["hotspots", "view-switch", "filters", "calendar"],
            "{user}: {newest}"
        );
    }
    // Hint by hint, in any order and by either name.
    for (sid, name) in [
        ("calendar", "complete"),
        ("view-switch", "dismiss"),
        ("filters", "complete"),
    ] {
        let flow = read("tag=latest", "old");
        assert_eq!(flow["state"]["finished"], false, "{flow}");
        demo.take(&flow, sid, name, "old");
    }
    let flow = read("tag=latest", "old");
    assert_eq!(flow["state"]["finished"], true, "{flow}");
    assert_eq!(
        block(&flow, "hotspots")["transitioned"]["complete"],
        true,
        "{flow}"
    );
    // Old builds of the application see what they saw.
    assert_eq!(
        active(&read("version=1", "old")),
        ["hotspots", "view-switch"]
    );
}

#[test]
fn the_welcome_is_for_whom_has_not_seen_it_and_ends_with_an_answer() {
    let demo = Demo::start();
    let read = |user: &str| demo.read("welcome-modal", "tag=uncommitted", user);
    demo.identify("regular", &json!({"seenWelcome": "2026-01-01"}));
    let regular = read("regular");
    assert_eq!(regular["state"]["started"], false, "{regular}");
    assert_eq!(active(&regular), [""; 0], "{regular}");
    let newcomer = read("newcomer");
    assert_eq!(active(&newcomer), ["welcome"], "{newcomer}");
    demo.take(&newcomer, "welcome", "complete", "newcomer");
    let newcomer = read("newcomer");
    assert_eq!(newcomer["state"]["finished"], true, "{newcomer}");
}

//! What do commands about deployments and flows change, and how is it told?

use serde_json::{Value, json};

use super::{Ended, ended};
use crate::harness::{Dev, body_of, eventually, flowgate};

/// A running dev with one flow of two versions, and the command line on it.
pub(super) struct Desk {
    pub(super) dev: Dev,
    pub(super) folder: tempfile::TempDir,
}

const PROJECT: &str = r#"
flowgate: project/1
project: harbor
flows:
  - sid: help
    versions:
      - { number: 1, entry: everyone, blocks: [{ sid: card, type: card }], paths: [{ from: entry, to: card }] }
      - { number: 2, entry: everyone, blocks: [{ sid: card, type: card }], paths: [{ from: entry, to: card }] }
"#;

impl Desk {
    #[track_caller]
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dev = Dev::start(folder.path());
        dev.import(PROJECT);
        Self { dev, folder }
    }

    #[track_caller]
    pub(super) fn runs(&self, words: &[&str]) -> Ended {
        let data = self.folder.path().join("dev");
        ended(flowgate().args(words).arg("--data").arg(data))
    }

    /// `deployment create` of the flow on `web`.
    #[track_caller]
    pub(super) fn deploys(&self, name: &str, more: &[&str]) -> Value {
        let words = [
            "deployment",
            "create",
            name,
            "--flow",
            "help",
            "--channel",
            "web",
        ];
        let words = [&words[..], more, &["--output", "json"]].concat();
        self.runs(&words).with(0).json()
    }

    /// What the edge decides for a user on `web`.
    #[track_caller]
    pub(super) fn decision(&self, user: &str, channel: Option<&str>) -> Value {
        let mut body = json!({"subject": {"user": user}, "flows": {"help": "latest"}});
        if let Some(channel) = channel {
            body["channel"] = json!(channel);
        }
        let answer = self.dev.edge("server").post("/v1/evaluate", &body);
        body_of(&answer, 200)["decisions"]["help"].clone()
    }

    /// Waits until the edge decides so.
    #[track_caller]
    pub(super) fn becomes(&self, user: &str, reason: &str) {
        eventually(&format!("{user} is decided {reason}"), || {
            (self.decision(user, Some("web"))["reason"] == reason).then_some(())
        });
    }
}

#[test]
fn a_deployment_is_made_changed_switched_and_deleted() {
    let desk = Desk::start();
    let made = desk.deploys("on-web", &["--version", "1", "--remember", "user"]);
    assert_eq!(made["version"], 1, "{made}");
    assert_eq!(made["basisPoints"], 10_000);
    assert_eq!(made["remember"], "user");
    assert_eq!(made["active"], true);
    let uid = made["uid"].as_str().expect("a uid").to_owned();
    eventually("the edge serves version 1 on web", || {
        (desk.decision("ada", Some("web"))["version"] == 1).then_some(())
    });
    assert_eq!(
        desk.decision("ada", None)["version"],
        2,
        "the tag counts elsewhere"
    );

    // Only what is given changes; salt and uid survive.
    let set = desk.runs(&[
        "deployment",
        "set",
        "on-web",
        "--version",
        "latest",
        "--output",
        "json",
    ]);
    let set = set.with(0).json();
    assert_eq!((&set["salt"], &set["uid"]), (&made["salt"], &made["uid"]));
    assert_eq!(set["remember"], "user");
    eventually("the edge serves version 2 on web", || {
        (desk.decision("ada", Some("web"))["version"] == 2).then_some(())
    });

    desk.runs(&["deployment", "deactivate", &uid]).with(0);
    desk.becomes("ada", "inactive");
    let table = desk.runs(&["deployment", "list", "--environment", "development"]);
    let table = table.with(0).out;
    assert!(
        table.contains("inactive") && table.contains("on-web"),
        "{table}"
    );
    desk.runs(&["deployment", "activate", "on-web"]).with(0);
    // Who was let in before is remembered.
    desk.becomes("ada", "member");

    let gone = desk.runs(&["deployment", "delete", "on-web"]).with(0);
    assert_eq!(gone.out, "deleted: on-web\n");
    let listed = desk
        .runs(&["deployment", "list", "--output", "json"])
        .with(0)
        .json();
    let names = listed.as_array().into_iter().flatten();
    assert!(
        !names.into_iter().any(|own| own["name"] == "on-web"),
        "{listed}"
    );
    desk.runs(&["deployment", "delete", "on-web"])
        .with(2)
        .complains_of(&["on-web"]);
}

#[test]
fn the_ends_of_a_percentage_are_said_aloud() {
    let desk = Desk::start();
    let half = ["--percentage", "12.5"];
    assert_eq!(desk.deploys("on-web", &half)["basisPoints"], 1_250);
    let set = |share: &str| {
        let words = ["deployment", "set", "on-web", "--percentage", share];
        desk.runs(&words).with(0).out
    };
    let told = set("100");
    assert!(
        told.contains("100 %") && told.contains("full launch"),
        "{told}"
    );
    assert!(told.contains("excluded earlier is let in"), "{told}");
    let told = set("0");
    assert!(told.contains("nobody new enters"), "{told}");
    let told = set("50");
    assert!(!told.contains("note:"), "{told}");
}

#[test]
fn an_audience_of_a_file_decides() {
    let desk = Desk::start();
    let file = desk.folder.path().join("audience.yaml");
    let text = "- name: vips\n  rules:\n  - { attribute: tags, operator: contains, value: vip }\n";
    std::fs::write(&file, text).expect("a file");
    let made = desk.deploys("on-web", &["--audience", &file.display().to_string()]);
    assert_eq!(made["audience"][0]["name"], "vips", "{made}");
    desk.becomes("ada", "audience_mismatch");
    std::fs::write(&file, "- name: nobody\n  rules: []\n").expect("a file");
    let words = [
        "deployment",
        "set",
        "on-web",
        "--audience",
        &file.display().to_string(),
    ];
    desk.runs(&words).with(2).complains_of(&["rule"]);
    std::fs::write(&file, "- name: x\n  rule: []\n").expect("a file");
    desk.runs(&words).with(2).complains_of(&["rule"]);
    std::fs::write(&file, "[]").expect("a file");
    desk.runs(&words).with(0);
    desk.becomes("ada", "percentage");
}

#[test]
fn a_schedule_is_set_shown_and_taken_away() {
    let desk = Desk::start();
    let schedule = ["--percentage", "0", "--schedule", "2040-01-01T00:00:00Z=25"];
    let made = desk.deploys("on-web", &schedule);
    assert_eq!(made["schedule"][0]["basisPoints"], 2_500, "{made}");
    let table = desk.runs(&["deployment", "list"]).with(0).out;
    assert!(
        table.contains("0 %, 25 % from 2040-01-01 00:00:00Z"),
        "{table}"
    );
    let words = [
        "deployment",
        "set",
        "on-web",
        "--no-schedule",
        "--output",
        "json",
    ];
    assert_eq!(desk.runs(&words).with(0).json()["schedule"], json!([]));
}

#[test]
fn refusals_say_what_was_found_and_expected() {
    let desk = Desk::start();
    desk.deploys("on-web", &[]);
    let create = |name: &str, more: &[&str]| {
        let words = ["deployment", "create", name];
        desk.runs(&[&words[..], more].concat())
    };
    let on_web = ["--flow", "help", "--channel", "web"];
    create("on-web", &on_web)
        .with(2)
        .complains_of(&["409", "on-web"]);
    create("second", &on_web)
        .with(2)
        .complains_of(&["409", "on-web", "deactivate"]);
    create("third", &["--flow", "nope", "--channel", "web"])
        .with(2)
        .complains_of(&["nope"]);
    create("fourth", &["--flow", "help", "--channel", "a b"])
        .with(2)
        .complains_of(&["a b"]);
    let fifth = ["--flow", "help", "--channel", "sms", "--version", "9"];
    create("fifth", &fifth)
        .with(2)
        .complains_of(&["9", "1 to 2"]);
    let sixth = [
        "--flow",
        "help",
        "--channel",
        "sms",
        "--environment",
        "nowhere",
    ];
    create("sixth", &sixth)
        .with(2)
        .complains_of(&["nowhere", "development"]);
    desk.runs(&["deployment", "set", "nope", "--percentage", "5"])
        .with(2)
        .complains_of(&["nope", "on-web"]);
    desk.runs(&["deployment", "set", "on-web"])
        .with(64)
        .complains_of(&["nothing to set"]);
    for wrong in ["101", "-1", "ten", "1.234"] {
        let share = format!("--percentage={wrong}");
        desk.runs(&["deployment", "set", "on-web", &share])
            .with(64)
            .complains_of(&["0 to 100"]);
    }
    // Over the wire the same, and members nobody knows are refused by name.
    let store = desk.dev.store();
    let body = json!({"environment": "development", "flow": "help", "name": "x", "channel": "sms", "percent": 5});
    let refused = store.post("/admin/v1/deployments", &body);
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("percent"), "{}", refused.text);
    let body = json!({"environment": "development", "flow": "help", "name": "x", "channel": "sms", "basisPoints": 10_001});
    assert_eq!(store.post("/admin/v1/deployments", &body).status, 422);
}

#[test]
fn a_flow_is_switched_off_and_on() {
    let desk = Desk::start();
    let listed = desk
        .runs(&["flow", "list", "--output", "json"])
        .with(0)
        .json();
    let rows = listed.as_array().into_iter().flatten();
    let help = rows
        .into_iter()
        .find(|row| row["sid"] == "help")
        .expect("the flow");
    assert_eq!(help["latest"], 2);
    assert_eq!(help["status"]["development"], true);
    desk.runs(&["flow", "disable", "help"]).with(0);
    eventually("the flow is off", || {
        (desk.decision("ada", None)["reason"] == "disabled").then_some(())
    });
    let shown = desk.runs(&["flow", "show", "help"]).with(0).out;
    assert!(shown.contains("enabled in production"), "{shown}");
    assert!(
        shown.contains("VERSION") && shown.contains("BLOCKS"),
        "{shown}"
    );
    desk.runs(&["flow", "enable", "help"]).with(0);
    eventually("the flow is on", || {
        (desk.decision("ada", None)["reason"] == "entry_condition").then_some(())
    });
    desk.runs(&["flow", "disable", "nope"])
        .with(2)
        .complains_of(&["nope"]);
    desk.runs(&["flow", "show", "nope"])
        .with(2)
        .complains_of(&["nope"]);
    let nowhere = ["flow", "disable", "help", "--environment", "nowhere"];
    desk.runs(&nowhere)
        .with(2)
        .complains_of(&["nowhere", "development"]);
}

#[test]
fn a_key_bound_to_a_channel_is_made_and_listed() {
    let desk = Desk::start();
    let key = |name: &str, kind: &str, channel: &str| {
        let words = [
            "key",
            "create",
            "--kind",
            kind,
            "--environment",
            "development",
        ];
        let more = ["--name", name, "--channel", channel, "--output", "json"];
        desk.runs(&[&words[..], &more].concat())
    };
    let made = key("bot", "server", "intercom:acme").with(0).json();
    assert_eq!(made["channel"], "intercom:acme", "{made}");
    let table = desk.runs(&["key", "list"]).with(0).out;
    assert!(
        table.contains("CHANNEL") && table.contains("intercom:acme"),
        "{table}"
    );
    key("bad", "server", "a b").with(2).complains_of(&["a b"]);
    key("users", "users", "web")
        .with(2)
        .complains_of(&["users", "channel"]);
}

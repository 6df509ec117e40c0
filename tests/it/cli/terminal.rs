//! What is somebody asked who sits at a terminal?
//!
//! Everything else here gives no terminal to commands, which then never ask.

use serde_json::Value;

use super::deployments::Desk;
use crate::harness::{Terminal, flowgate};

/// The command at a terminal.
#[track_caller]
fn sits(desk: &Desk, words: &[&str]) -> Terminal {
    let data = desk.folder.path().join("dev");
    Terminal::open(flowgate().args(words).arg("--data").arg(data))
}

#[track_caller]
fn deployments(desk: &Desk) -> Vec<Value> {
    let listed = desk.runs(&["deployment", "list", "--output", "json"]);
    let listed = listed.with(0).json();
    listed.as_array().cloned().expect("a list")
}

#[test]
fn a_deployment_is_made_by_answering_questions() {
    let desk = Desk::start();
    let mut terminal = sits(&desk, &["deployment", "create"]);
    let possible = terminal.shows("flow: ");
    assert!(possible.contains("help"), "{possible}");
    terminal.types("nobody");
    terminal.shows("found \"nobody\", expected one of ");
    terminal.shows("flow: ");
    terminal.types("help");
    terminal.shows("channel: ");
    terminal.types("web");
    let numbers = terminal.shows("version [latest]: ");
    assert!(numbers.contains("up to 2 are committed"), "{numbers}");
    terminal.types("7");
    terminal.shows("found 7, expected latest or at most 2");
    terminal.shows("version [latest]: ");
    terminal.types("2");
    terminal.shows("rule, or nothing to go on: ");
    terminal.types("tags contains vip");
    terminal.shows("rule, or nothing to go on: ");
    terminal.types("");
    terminal.shows("percentage [100]: ");
    terminal.types("25");
    terminal.shows("name [help-web]: ");
    terminal.types("");
    let (code, text) = terminal.ends();
    assert_eq!(code, Some(0), "{text}");

    let made = deployments(&desk);
    let made = made.iter().find(|own| own["name"] == "help-web");
    let made = made.expect("it is made");
    assert_eq!(
        (&made["flow"], &made["channel"]),
        (&"help".into(), &"web".into())
    );
    assert_eq!(
        (&made["version"], &made["basisPoints"]),
        (&2.into(), &2_500.into())
    );
    let rule = &made["audience"][0]["rules"][0];
    assert_eq!(
        (&rule["attribute"], &rule["operator"], &rule["value"]),
        (&"tags".into(), &"contains".into(), &"vip".into())
    );
}

#[test]
fn who_goes_away_in_the_middle_has_made_nothing() {
    let desk = Desk::start();
    let before = deployments(&desk).len();
    let mut terminal = sits(&desk, &["deployment", "create", "--flow", "help"]);
    terminal.shows("channel: ");
    terminal.hangs_up();
    let (code, text) = terminal.ends();
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("the questions ended before the answers did"),
        "{text}"
    );
    assert_eq!(deployments(&desk).len(), before);
}

#[test]
fn a_question_that_is_declined_ends_with_1_and_changes_nothing() {
    let desk = Desk::start();
    desk.deploys("on-web", &[]);
    let is_active = || {
        let all = deployments(&desk);
        let own = all.iter().find(|own| own["name"] == "on-web");
        own.is_some_and(|own| own["active"] == true)
    };
    for (answer, expected) in [("n", 1), ("", 1), ("y", 0)] {
        assert!(is_active());
        let mut terminal = sits(&desk, &["deployment", "deactivate", "on-web"]);
        terminal.shows("go on with on-web?");
        terminal.types(answer);
        let (code, text) = terminal.ends();
        assert_eq!(code, Some(expected), "{answer:?}: {text}");
        assert_eq!(
            text.contains("nothing was changed"),
            expected == 1,
            "{text}"
        );
    }
    assert!(!is_active());
}

#[test]
fn a_change_in_production_is_meant_by_typing_its_name() {
    let desk = Desk::start();
    desk.runs(&["env", "set", "production", "--confirm-changes", "true"])
        .with(0);
    let words = ["flow", "disable", "help", "--environment", "production"];
    for (typed, expected) in [("development", 2), ("", 2), ("production", 0)] {
        let mut terminal = sits(&desk, &words);
        terminal.shows("Type production to go on: ");
        terminal.types(typed);
        let (code, text) = terminal.ends();
        assert_eq!(code, Some(expected), "{typed:?}: {text}");
        let found = format!("nothing was done: found {typed:?}, expected \"production\"");
        assert_eq!(text.contains(&found), expected == 2, "{text}");
    }
}

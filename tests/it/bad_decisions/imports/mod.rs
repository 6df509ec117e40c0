//! Is everything that contradicts itself refused when it is imported?
//!
//! One sound project and a table of edits: each makes exactly one thing wrong.
//! Whatever is refused leaves the workspace as it was.

mod audiences;
mod deployments;
mod flows;

use super::Desk;

/// Sound; the edits below are made to it.
const SOUND: &str = r#"
flowgate: project/1
project: desk
channels:
  - { name: web, attributes: [tags, plan, seats] }
  - { name: "intercom:desk", exclusive: true }
flows:
  - sid: help
    uid: flow-help
    versions:
      - number: 1
        entry: { expression: "user.properties.plan = 'pro'" }
        blocks:
          - { sid: ask, type: custom, transitions: [yes-please, no-thanks] }
          - sid: list
            type: checklist
            items: [{ sid: one, uid: item-one }, { sid: two }]
          - { sid: paying, type: boolean, when: "user.properties.plan = 'pro'" }
          - { sid: both, type: gate }
          - { sid: tell, type: webhook, url: "https://crm.example.com/hook", headers: { authorization: Bearer hidden-word } }
          - { sid: go-on, type: flowTrigger, flow: other, action: start }
          - { sid: end, type: finish }
        paths:
          - { from: entry, to: ask }
          - { from: ask, on: yes-please, to: list }
          - { from: ask, on: no-thanks, to: paying }
          - { from: list, on: [complete, dismiss], to: both }
          - { from: paying, on: "true", to: both }
          - { from: paying, on: "false", to: end }
          - { from: both, on: done, to: tell }
          - { from: tell, on: done, to: go-on }
          - { from: go-on, on: done, to: end }
    deployments:
      - name: on-web
        uid: dep-web
        environment: development
        channel: web
        version: 1
        audience:
          - rules:
              - { attribute: tags, operator: contains, value: vip }
              - { attribute: seats, operator: is_not_empty }
        percentage: 12.5
        schedule:
          - { at: 2040-01-01T00:00:00Z, percentage: 25 }
          - { at: 2040-02-01T00:00:00Z, percentage: 50 }
        salt: pepper
        id: user
        remember: user
        onVersionChange: stay
      - { name: acme, environment: development, channel: "intercom:desk" }
  - sid: other
    uid: flow-other
    versions:
      - { number: 1, entry: everyone, blocks: [{ sid: card, type: card }], paths: [{ from: entry, to: card }] }
"#;

const WEB: &str = "flow \"help\", deployment \"on-web\"";
const V1: &str = "flow \"help\", version 1";

/// What is replaced, by what, and the words of the one line that names it.
type Case = (&'static str, &'static str, &'static [&'static str]);

/// One more deployment, behind those of the flow.
const ACME: &str = "      - { name: acme, environment: development, channel: \"intercom:desk\" }\n";

/// A table of edits, each of which must be refused.
#[track_caller]
fn hold(cases: &[Case]) {
    let desk = Desk::open();
    let sound = desk.imports(&desk.file("sound.yaml", SOUND));
    assert_eq!(sound.code, 0, "{}", sound.error);
    let before = desk.export();
    for (old, new, words) in cases {
        assert_eq!(SOUND.matches(old).count(), 1, "{old:?} stands there once");
        desk.refuses(&SOUND.replacen(old, new, 1), words);
    }
    assert_eq!(desk.export(), before, "nothing of them was applied");
}

#[test]
fn secrets_of_what_is_refused_are_not_repeated() {
    let desk = Desk::open();
    for (old, new) in [
        ("Bearer hidden-word", "\"Bearer\\nhidden-word\""),
        (
            "https://crm.example.com/hook",
            "https://me:hidden-word@crm.example.com/",
        ),
        (
            "https://crm.example.com/hook",
            "https://crm.example.com:port/?token=hidden-word",
        ),
    ] {
        let ended = desk.imports(&desk.file("bad.yaml", &SOUND.replacen(old, new, 1)));
        assert_eq!(ended.code, 2, "{}", ended.out);
        assert!(!ended.error.contains("hidden-word"), "{}", ended.error);
    }
}

#[test]
fn triggers_in_a_ring_are_spelled_out() {
    let desk = Desk::open();
    let before = desk.export();
    let flow = |sid: &str, next: &str, action: &str| {
        format!(
            "  - sid: {sid}\n    versions:\n      - number: 1\n        blocks: [{{ sid: pull, type: flowTrigger, flow: {next}, action: {action} }}, {{ sid: card, type: card }}]\n        paths: [{{ from: entry, to: pull }}, {{ from: pull, on: done, to: card }}]\n"
        )
    };
    let head = "flowgate: project/1\nproject: ring\nflows:\n";
    let ring = [
        flow("a", "b", "start"),
        flow("b", "c", "reset"),
        flow("c", "a", "start"),
    ]
    .concat();
    desk.refuses(
        &format!("{head}{ring}"),
        &[
            "its flow triggers come back without a shown block between",
            "flow \"a\" version 1 starts flow \"b\" version 1 (block \"pull\"), which resets flow \
             \"c\" version 1 (block \"pull\"), which starts flow \"a\" version 1 (block \"pull\")",
        ],
    );
    let own = flow("a", "a", "reset");
    desk.refuses(
        &format!("{head}{own}"),
        &["flow \"a\", version 1", "resets flow \"a\" version 1"],
    );
    assert_eq!(desk.export(), before);
    // A ring that ends something is none.
    let stops = [flow("a", "b", "start"), flow("b", "a", "stop")].concat();
    let ended = desk.imports(&desk.file("stops.yaml", &format!("{head}{stops}")));
    assert_eq!(ended.code, 0, "{}", ended.error);
}

#[test]
fn what_is_no_project_at_all_is_refused_with_its_line() {
    let desk = Desk::open();
    let before = desk.export();
    for (text, words) in [
        ("", &["empty"][..]),
        (
            "flowgate: project/2\nproject: a\n",
            &["the format is \"project/2\" (expected \"project/1\")"],
        ),
        ("project: a\n", &["no format is named"]),
        ("flowgate: project/1\nproject: a\nflows: [\n", &["line"]),
        (
            "flowgate: project/1\nproject: a\nproject: b\n",
            &["only once", "line 3"],
        ),
        ("\u{1}\u{2}", &["control characters"]),
        (
            "{\"flowgate\": \"project/1\", \"project\": \"a\", }",
            &["line 1"],
        ),
        (
            "- flowgate\n",
            &["found text (expected a table of members)"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: {}\n",
            &["flows is a table (expected a list)"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{}]\n",
            &["flow 1", "sid is missing"],
        ),
        (
            "flowgate: project/1\nproject: ../a\n",
            &["project is \"../a\""],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: a, versions: [{number: 2}]}]\n",
            &["version 2 would be new (expected 1 as the next one)"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: a, versions: [{number: 4294967296}]}]\n",
            &["number is missing or not a whole number"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: a, versions: [{number: 1}, {number: 1}]}]\n",
            &["the version appears twice"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: a}, {sid: a}]\n",
            &["the flow appears twice"],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: onboarding-tour}]\n",
            &["it belongs to project \"harbor\", not \"a\""],
        ),
        (
            "flowgate: project/1\nproject: a\nflows: [{sid: a, status: {mars: enabled}}]\n",
            &["status names environment \"mars\""],
        ),
    ] {
        desk.refuses(text, words);
    }
    assert_eq!(desk.export(), before);
}

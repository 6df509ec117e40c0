//! Containers, gates, webhooks and triggers: what files say, and what is refused.

use super::*;
use crate::{
    snapshot::wire::{BlockKind, TriggerAction},
    store::workspace::WebhookSettings,
};

const ALL: &str = "
flowgate: project/1
project: shop
flows:
  - sid: all
    versions:
      - number: 1
        blocks:
          - {sid: list, type: checklist, items: [{sid: one}, {sid: two, type: checklistItem}]}
          - {sid: spots, type: hints, items: [{sid: three}]}
          - {sid: far, type: hintsItem, container: spots}
          - {sid: both, type: gate}
          - sid: call
            type: webhook
            url: https://example.com/hook?x=1
            headers: {Authorization: Bearer secret, x-kind: test}
          - {sid: next, type: flowTrigger, flow: other, version: 1, action: reset}
          - {sid: end, type: finish}
        paths:
          - {from: entry, to: list}
          - {from: entry, to: spots}
          - {from: list, on: complete, to: both}
          - {from: spots, on: complete, to: both}
          - {from: both, on: done, to: call}
          - {from: call, on: done, to: next}
          - {from: next, on: done, to: end}
  - sid: other
    versions:
      - {number: 1, blocks: [{sid: card, type: card}], paths: [{from: entry, to: card}]}
";

#[test]
fn a_body_is_the_same_as_a_table_and_as_a_text_of_json() {
    let read = |body: &str| {
        let with = format!("body: {body}\n            headers: {{Authorization");
        let file = ALL.replace("headers: {Authorization", &with);
        let imported = take(&workspace(), &file).unwrap();
        let version = imported.workspace.flows["all"].versions[&1].clone();
        version.webhooks.values().next().unwrap().body.clone()
    };
    let table = read("{who: '${user.identifier}', n: [1, null]}");
    let text = read(r#"'{"who": "${user.identifier}", "n": [1, null]}'"#);
    assert_eq!(table, text);
    let expected = serde_json::json!({"who": "${user.identifier}", "n": [1, null]});
    assert_eq!(table, Some(expected));
}

#[test]
fn every_kind_of_block_is_read() {
    let imported = take(&workspace(), ALL).unwrap();
    assert_eq!(imported.report.notices, []);
    let version = &imported.workspace.flows["all"].versions[&1];
    let kinds: Vec<BlockKind> = version.part.blocks.iter().map(|own| own.kind).collect();
    assert_eq!(
        kinds[0..3],
        [
            BlockKind::Checklist,
            BlockKind::ChecklistItem,
            BlockKind::ChecklistItem
        ]
    );
    assert_eq!(
        kinds[3..6],
        [BlockKind::Hints, BlockKind::HintsItem, BlockKind::HintsItem]
    );
    let webhook = &version.part.blocks[7];
    let settings = &version.webhooks[&webhook.uid];
    assert_eq!(settings.url, "https://example.com/hook?x=1");
    assert_eq!(settings.headers["authorization"], "Bearer secret");
    let published = serde_json::to_string(&version.part).unwrap();
    assert!(
        !published.contains("example.com"),
        "settings stay in the store"
    );
    let trigger = version.part.blocks[8].trigger.as_ref().unwrap();
    assert_eq!((&*trigger.flow_sid, trigger.version), ("other", Some(1)));
    assert_eq!(trigger.action, TriggerAction::Reset);
}

#[test]
fn whom_a_webhook_calls_is_content_and_what_a_trigger_does_is_structure() {
    let before = take(&workspace(), ALL).unwrap().workspace;
    let called = ALL
        .replace("hook?x=1", "other")
        .replace("x-kind: test", "x-kind: real");
    let imported = take(&before, &called).unwrap();
    assert_eq!(kinds(&imported), [ChangeKind::ContentDeployed]);
    let (old, new) = (
        &before.flows["all"].versions[&1],
        &imported.workspace.flows["all"].versions[&1],
    );
    assert_eq!(old.part, new.part, "nothing to publish");
    let settings: Vec<&WebhookSettings> = new.webhooks.values().collect();
    assert_eq!(settings[0].headers["x-kind"], "real");
    let said = faults(&before, &ALL.replace("action: reset", "action: start"));
    assert!(said.contains("-   trigger reset other at 1"), "{said}");
    assert!(said.contains("+   trigger start other at 1"), "{said}");
}

#[test]
fn every_fault_of_a_logic_block_is_named_with_its_place() {
    let secret = "Bearer\\nx";
    for (old, new, place, rule) in [
        (
            "url: https://example.com/hook?x=1",
            "url: ftp://example.com",
            "block \"call\"",
            "url begins with \"ftp://exa\"",
        ),
        (
            "url: https://example.com/hook?x=1",
            "url: https://me@example.com",
            "block \"call\"",
            "no user name",
        ),
        (
            "https://example.com/hook?x=1",
            "https://${user.identifier}.example.com/",
            "block \"call\"",
            "has a token in its host",
        ),
        (
            "hook?x=1",
            "hook?x=${user.password}",
            "block \"call\"",
            "url has an unknown token (expected ${flow.name}",
        ),
        (
            "x-kind: test",
            "x-kind: 'a ${timestamp'",
            "block \"call\"",
            "header \"x-kind\" has a token without its end",
        ),
        (
            "headers: {Authorization",
            "body: {'${timestamp}': 1}\n            headers: {Authorization",
            "block \"call\"",
            "body has a token in a member's name",
        ),
        (
            "headers: {Authorization",
            "body: hello\n            headers: {Authorization",
            "block \"call\"",
            "body is a text that is none (expected a table or a list",
        ),
        (
            "{sid: both, type: gate}",
            "{sid: both, type: gate, body: {a: 1}}",
            "block \"both\"",
            "only a webhook has url, headers and body",
        ),
        (
            "            url: https://example.com/hook?x=1\n",
            "",
            "block \"call\"",
            "a webhook has no url",
        ),
        (
            "Bearer secret",
            &format!("\"{secret}\""),
            "block \"call\"",
            "header \"Authorization\" cannot be sent",
        ),
        (
            "Authorization:",
            "\"a b\":",
            "block \"call\"",
            "header \"a b\" cannot be sent",
        ),
        (
            "x-kind: test",
            "authorization: test",
            "block \"call\"",
            "appears twice",
        ),
        (
            "x-kind: test",
            "x-kind: 3",
            "block \"call\"",
            "header \"x-kind\" is a number",
        ),
        (
            "{sid: both, type: gate}",
            "{sid: both, type: gate, url: 'http://a'}",
            "block \"both\"",
            "only a webhook has url",
        ),
        (
            "{sid: both, type: gate}",
            "{sid: both, type: gate, action: start}",
            "block \"both\"",
            "only a flowTrigger has action",
        ),
        (
            "{sid: both, type: gate}",
            "{sid: both, type: gate, items: [{sid: x}]}",
            "block \"both\"",
            "only a tour, a checklist and hints have items",
        ),
        (
            "action: reset",
            "action: explode",
            "block \"next\"",
            "action is \"explode\"",
        ),
        (", action: reset", "", "block \"next\"", "action is missing"),
        ("flow: other, ", "", "block \"next\"", "flow is missing"),
        (
            "version: 1, action",
            "version: 0, action",
            "block \"next\"",
            "version is 0",
        ),
        (
            "{sid: two, type: checklistItem}",
            "{sid: two, type: tourItem}",
            "block \"two\"",
            "an item of a checklist is a tourItem (expected checklistItem)",
        ),
        (
            "container: spots",
            "container: list",
            "block \"far\"",
            "hints",
        ),
        (
            "type: gate",
            "type: rocket",
            "block \"both\"",
            "unknown block type \"rocket\"",
        ),
        (
            "{from: both, on: done,",
            "{from: both, on: complete,",
            "path",
            "found the transition \"complete\"",
        ),
    ] {
        assert!(ALL.contains(old), "{old}");
        let said = faults(&workspace(), &ALL.replacen(old, new, 1));
        let found = said
            .lines()
            .any(|line| line.contains(place) && line.contains(rule));
        assert!(found, "{place} … {rule} not in:\n{said}");
        assert!(!said.contains("Bearer"), "{said}");
    }
}

#[test]
fn headers_that_frame_a_message_or_say_where_it_goes_are_refused_by_name() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "HOST",
        "Connection",
        "te",
        "Upgrade",
        "Keep-Alive",
    ] {
        let said = faults(&workspace(), &ALL.replacen("x-kind", name, 1));
        let expected = format!("header \"{name}\" is not an author's");
        assert!(said.contains(&expected), "{expected} not in:\n{said}");
    }
}

#[test]
fn triggers_that_lead_nowhere_and_gates_that_stay_shut_are_noticed() {
    let notices = |content: &str| -> String {
        let imported = take(&workspace(), content).unwrap();
        let notices = imported.report.notices.iter();
        notices.map(|own| format!("{own}\n")).collect()
    };
    let said = notices(&ALL.replace("flow: other, version: 1", "flow: nobody"));
    assert!(said.contains("flow \"all\", version 1, block \"next\": triggers flow \"nobody\", which does not exist"), "{said}");
    let said = notices(&ALL.replace("flow: other, version: 1", "flow: other, version: 4"));
    assert!(
        said.contains("triggers version 4 of flow \"other\""),
        "{said}"
    );
    let shut = ALL
        .replace("          - {from: entry, to: spots}\n", "")
        .replace(
            "{from: spots, on: complete, to: both}",
            "{from: list, on: dismiss, to: both}",
        );
    let said = notices(&shut);
    assert!(said.contains("block \"both\""), "{said}");
}

/// Flows that trigger each other before anything is shown.
fn flow(sid: &str, first: &str, trigger: &str) -> String {
    format!(
        "
  - sid: {sid}
    versions:
      - number: 1
        blocks:
          - {{sid: go, type: {first}}}
          - {{sid: t, type: flowTrigger, {trigger}}}
        paths:
          - {{from: entry, to: go}}
          - {{from: go, on: {}, to: t}}
",
        if first == "gate" { "done" } else { "complete" }
    )
}

fn ring(flows: &[String]) -> String {
    format!(
        "flowgate: project/1\nproject: shop\nflows:{}",
        flows.concat()
    )
}

#[test]
fn triggers_in_a_ring_are_refused_with_the_ring_spelled_out() {
    let three = ring(&[
        flow("a", "gate", "flow: b, action: start"),
        flow("b", "gate", "flow: c, version: 1, action: reset"),
        flow("c", "gate", "flow: a, action: start"),
    ]);
    let said = faults(&workspace(), &three);
    assert!(
        said.contains("flow \"a\", version 1: its flow triggers come back without a shown block"),
        "{said}"
    );
    assert!(
        said.contains(
            "flow \"a\" version 1 starts flow \"b\" version 1 (block \"t\"), which resets flow \"c\" \
             version 1 (block \"t\"), which starts flow \"a\" version 1 (block \"t\")"
        ),
        "{said}"
    );
    let own = ring(&[flow("a", "gate", "flow: a, action: reset")]);
    assert!(faults(&workspace(), &own).contains("resets flow \"a\" version 1"));
}

#[test]
fn a_ring_that_waits_or_ends_something_is_none() {
    for flows in [
        // A shown block waits for somebody.
        [
            flow("a", "card", "flow: b, action: start"),
            flow("b", "gate", "flow: a, action: start"),
        ],
        // Stopping and finishing set nothing going.
        [
            flow("a", "gate", "flow: b, action: start"),
            flow("b", "gate", "flow: a, action: stop"),
        ],
        [
            flow("a", "gate", "flow: b, action: finish"),
            flow("b", "gate", "flow: a, action: reset"),
        ],
        // That version is not there.
        [
            flow("a", "gate", "flow: b, version: 9, action: start"),
            flow("b", "gate", "flow: a, action: start"),
        ],
    ] {
        let content = ring(&flows);
        assert!(take(&workspace(), &content).is_ok(), "{content}");
    }
}

#[test]
fn a_ring_is_found_when_a_later_import_closes_it() {
    let open = ring(&[
        flow("a", "gate", "flow: b, action: start"),
        flow("b", "card", "flow: a, action: start"),
    ]);
    let before = take(&workspace(), &open).unwrap().workspace;
    let closing =
        ring(&[flow("b", "gate", "flow: a, action: start")]).replace("number: 1", "number: 2");
    let said = faults(&before, &closing);
    assert!(
        said.contains("flow \"b\", version 2: its flow triggers come back"),
        "{said}"
    );
}

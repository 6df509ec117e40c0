//! How large may a flow be, and is what just fits served?
//!
//! At each limit of an expression and of a version: what is just within is
//! taken, served and walked; what is just beyond is refused, with the position.

use std::time::Instant;

use serde_json::{Value, json};

use super::Desk;
use crate::harness::{Client, body_of, check_problem, eventually};

/// A project of one flow with these blocks and paths, as JSON.
fn project(sid: &str, entry: &Value, blocks: &[Value], paths: &[Value]) -> String {
    json!({"flowgate": "project/1", "project": "sizes", "flows": [
        {"sid": sid, "versions": [{"number": 1, "entry": entry, "blocks": blocks, "paths": paths}]}
    ]})
    .to_string()
}

fn expressing(sid: &str, expression: &str) -> String {
    project(
        sid,
        &json!({"expression": expression}),
        &[json!({"sid": "card", "type": "card"})],
        &[json!({"from": "entry", "to": "card"})],
    )
}

#[track_caller]
fn takes(desk: &Desk, text: &str) {
    let ended = desk.imports(&desk.file("good.json", text));
    assert_eq!(ended.code, 0, "{}", ended.error);
}

/// What an evaluation says of a flow, once the edge has it.
#[track_caller]
fn decided(server: &Client, flow: &str, body: &Value) -> Value {
    let mut body = body.clone();
    body["flows"] = json!({flow: 1});
    eventually("the flow is served", || {
        let answer = body_of(&server.post("/v1/evaluate", &body), 200);
        let decision = answer["decisions"][flow].clone();
        (decision["reason"] != "unknown_flow").then_some(decision)
    })
}

#[test]
fn expressions_end_exactly_at_their_limits() {
    let desk = Desk::open();
    let before = desk.export();
    let padded = |bytes: usize| {
        let own = "user.properties.plan = ''";
        let text = "x".repeat(bytes - own.len());
        own.replace("''", &format!("'{text}'"))
    };
    let nested = |levels: usize| {
        let (open, close) = ("(".repeat(levels), ")".repeat(levels));
        format!("{open}user.properties.plan = 'pro'{close}")
    };
    // IN itself and its property are two of the nodes.
    let listed = |nodes: usize| {
        let list = vec!["1"; nodes - 2].join(",");
        format!("user.properties.plan IN ({list})")
    };
    let functions = |levels: usize| {
        let (open, close) = ("lower(".repeat(levels), ")".repeat(levels));
        format!("{open}user.properties.plan{close} = 'pro'")
    };
    let place = "flow \"beyond\", version 1, entry";
    for (beyond, words) in [
        (
            padded(4097),
            ["4096", "found 4097 bytes, expected at most 4096"],
        ),
        (nested(33), ["32", "found more than 32 levels of nesting"]),
        (
            functions(33),
            ["position", "found more than 32 levels of nesting"],
        ),
        (
            listed(513),
            ["1047", "found more than 512 values and operators"],
        ),
        (nested(100_000), ["4096", "found 200028 bytes"]),
        ("NOT ".repeat(1023) + "true AND", ["4096", "bytes"]),
        (
            "user.properties.plan = 'pro' AND".to_owned(),
            ["position 32", "found the end"],
        ),
        (
            "user.properties.plan = 'pro".to_owned(),
            ["position 23", "expected a closing"],
        ),
        (
            "user.propertys.plan = 1".to_owned(),
            ["position", "propertys"],
        ),
        (
            "blocks[\"card\"].exited".to_owned(),
            ["position 0", "block"],
        ),
        (
            "user.createdAt > 'yesterday'".to_owned(),
            ["position", "\"yesterday\" beside a date"],
        ),
        (String::new(), ["position 0", "found the end"]),
        ("1".to_owned(), ["position", "a comparison"]),
    ] {
        let file = desk.file("bad.yaml", &expressing("beyond", &beyond));
        let ended = desk.imports(&file);
        assert_eq!(ended.code, 2, "{words:?}: {}", ended.out);
        for word in words.iter().chain(&[place, "expression"]) {
            assert!(ended.error.contains(word), "no {word:?} in {}", ended.error);
        }
        assert!(ended.error.len() < 8 * 1024, "{} bytes", ended.error.len());
    }
    assert_eq!(desk.export(), before);
    let within = [
        padded(4096),
        nested(32),
        functions(32),
        listed(512),
        "NOT ".repeat(1022) + "true",
    ];
    let server = desk.dev.edge("server");
    for (number, expression) in within.iter().enumerate() {
        let sid = format!("within-{number}");
        takes(&desk, &expressing(&sid, expression));
        let subject =
            json!({"subject": {"user": "ada", "attributes": {"plan": "pro"}}, "start": true});
        let decision = decided(&server, &sid, &subject);
        // Nobody's plan is that long, and none is the number 1.
        let holds = ![0, 3].contains(&number);
        let reason = if holds { "started" } else { "entry_condition" };
        assert_eq!(decision["reason"], reason, "{sid}: {decision}");
    }
}

/// A chain of shown blocks with a finish behind it.
fn chain(blocks: usize) -> (Vec<Value>, Vec<Value>) {
    let name = |n: usize| format!("b{n}");
    let mut all: Vec<Value> = (1..blocks)
        .map(|n| json!({"sid": name(n), "type": "card"}))
        .collect();
    all.push(json!({"sid": name(blocks), "type": "finish"}));
    let mut paths = vec![json!({"from": "entry", "to": name(1)})];
    paths
        .extend((1..blocks).map(|n| json!({"from": name(n), "on": "complete", "to": name(n + 1)})));
    (all, paths)
}

#[test]
fn a_flow_of_ten_thousand_blocks_is_served_and_one_more_is_refused() {
    let desk = Desk::open();
    let before = desk.export();
    let (blocks, paths) = chain(10_001);
    desk.refuses(
        &project("huge", &json!("everyone"), &blocks, &paths),
        &[
            "flow \"huge\", version 1",
            "found 10001 blocks, expected at most 10000",
        ],
    );
    assert_eq!(desk.export(), before);
    let (blocks, paths) = chain(10_000);
    let begun = Instant::now();
    takes(&desk, &project("huge", &json!("everyone"), &blocks, &paths));
    let server = desk.dev.edge("server");
    let shown = json!({"subject": {"user": "ada"}, "start": true, "include": ["blocks"]});
    let decision = decided(&server, "huge", &shown);
    println!("imported and served after {:?}", begun.elapsed());
    let blocks = decision["blocks"].as_array().expect("blocks");
    assert_eq!(blocks.len(), 9_999);
    let begun = Instant::now();
    for block in &blocks[..200] {
        let path = format!(
            "/v1/blocks/{}/transition",
            block["uid"].as_str().expect("a uid")
        );
        let body = json!({"subject": {"user": "ada"}, "version": 1, "transitions": ["complete"]});
        assert_eq!(body_of(&server.post(&path, &body), 200)["changed"], true);
    }
    println!("200 steps in {:?}", begun.elapsed());
    let decision = decided(&server, "huge", &shown);
    assert_eq!(decision["blocks"][200]["state"]["active"], true);
}

#[test]
fn a_flow_of_a_hundred_thousand_paths_is_served_and_one_more_is_refused() {
    let desk = Desk::open();
    let count = 10_000;
    let names: Vec<String> = (0..10).map(|n| format!("t{n}")).collect();
    let blocks: Vec<Value> = (0..count)
        .map(|n| json!({"sid": format!("b{n}"), "type": "custom", "transitions": names}))
        .collect();
    let mut paths = vec![json!({"from": "entry", "to": "b0"})];
    for n in 0..count {
        for (at, name) in names.iter().enumerate() {
            let to = format!("b{}", (n * 10 + at + 1) % count);
            paths.push(json!({"from": format!("b{n}"), "on": name, "to": to}));
        }
    }
    assert_eq!(paths.len(), 100_001);
    let everyone = json!("everyone");
    desk.refuses(
        &project("dense", &everyone, &blocks, &paths),
        &[
            "flow \"dense\", version 1",
            "found 100001 paths, expected at most 100000",
        ],
    );
    paths.pop();
    let begun = Instant::now();
    takes(&desk, &project("dense", &everyone, &blocks, &paths));
    let server = desk.dev.edge("server");
    let shown = json!({"subject": {"user": "ada"}, "start": true, "include": ["blocks"]});
    let decision = decided(&server, "dense", &shown);
    println!("imported and served after {:?}", begun.elapsed());
    let uid = decision["blocks"][0]["uid"].as_str().expect("a uid");
    let path = format!("/v1/blocks/{uid}/transition");
    let body = json!({"subject": {"user": "ada"}, "version": 1, "transitions": names});
    let stepped = body_of(&server.post(&path, &body), 200);
    let changed = stepped["blocks"].as_array().map(Vec::len);
    assert_eq!(changed, Some(11), "itself and ten targets: {stepped}");
}

#[test]
fn a_state_as_large_as_a_version_can_be_stored() {
    // Everything is entered at once: one record says so of every block.
    let desk = Desk::open();
    let blocks: Vec<Value> = (0..10_000)
        .map(|n| json!({"sid": format!("b{n}"), "type": "card"}))
        .collect();
    let paths: Vec<Value> = (0..10_000)
        .map(|n| json!({"from": "entry", "to": format!("b{n}")}))
        .collect();
    takes(&desk, &project("wide", &json!("everyone"), &blocks, &paths));
    let server = desk.dev.edge("server");
    let subject = json!({"subject": {"user": "ada"}, "start": true, "include": ["blocks"]});
    let decision = decided(&server, "wide", &subject);
    assert_eq!(decision["state"]["started"], true, "{}", decision["state"]);
    let uid = decision["blocks"][7]["uid"].as_str().expect("a uid");
    let path = format!("/v1/blocks/{uid}/transition");
    let body = json!({"subject": {"user": "ada"}, "version": 1, "transitions": ["complete"]});
    assert_eq!(body_of(&server.post(&path, &body), 200)["changed"], true);
    eventually("the store has it", || {
        let path = "/admin/v1/users/ada?environment=development";
        let answer = desk.dev.store().get(path);
        (answer.status == 200 && answer.text.contains("\"started\":true")).then_some(())
    });
}

#[test]
fn a_state_larger_than_a_record_is_refused_in_words_and_reads_go_on() {
    let desk = Desk::open();
    let blocks: Vec<Value> = (0..10_000)
        .map(|n| json!({"sid": format!("b{n}"), "uid": format!("{n:0>120}"), "type": "card"}))
        .collect();
    let paths: Vec<Value> = (0..10_000)
        .map(|n| json!({"from": "entry", "to": format!("b{n}")}))
        .collect();
    takes(
        &desk,
        &project("bulky", &json!("everyone"), &blocks, &paths),
    );
    let server = desk.dev.edge("server");
    let subject = json!({"subject": {"user": "ada"}, "start": true});
    let decision = decided(&server, "bulky", &subject);
    assert_eq!(decision["state"]["started"], false, "{decision}");
    let body = json!({"subject": {"user": "ada"}, "version": 1});
    let refused = server.post("/v1/flows/bulky/start", &body);
    let problem = check_problem(&refused, 400, "too-much-progress");
    assert!(
        problem["detail"].to_string().contains("1048576"),
        "{problem}"
    );
    let read = desk
        .dev
        .edge("blocks")
        .get("/v2/flow/bulky?version=1&userIdentifier=ada");
    assert_eq!(body_of(&read, 200)["state"]["started"], false);
    // Nobody else is any the worse for it.
    assert_eq!(desk.dev.admin().get("/ready").status, 200);
}

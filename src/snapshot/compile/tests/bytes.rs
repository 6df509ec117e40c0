//! Are flows and blocks written as Dopt's clients read them?

use serde_json::{Value, json};

use super::{every_kind, part, sound, version};
use crate::{
    evaluate::{BlockState, FlowState},
    snapshot::{
        BlockKey, NameKey, compile::compile_version, flow_bytes_max, write_block, write_flow,
    },
};

#[test]
fn a_flow_is_written_as_dopt_writes_it() {
    let version = version();
    let mut blocks = vec![
        BlockState {
            key: BlockKey::of("u-a"),
            active: false,
            entered: true,
            exited: true,
            taken: [NameKey::of("go")].into(),
        },
        BlockState {
            key: BlockKey::of("u-i2"),
            active: true,
            entered: true,
            exited: false,
            taken: Box::default(),
        },
    ];
    blocks.sort_by_key(|block| block.key);
    let state = FlowState {
        started: true,
        blocks: blocks.into(),
        ..FlowState::default()
    };
    let mut out = Vec::new();
    write_flow(&mut out, &version, Some(&state), true, true);
    assert!(out.len() <= flow_bytes_max(&version, true));
    let flow: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        flow["state"],
        json!({"started": true, "stopped": false, "finished": false})
    );
    assert_eq!(
        (&flow["uid"], &flow["sid"], &flow["version"]),
        (&json!("f1"), &json!("flow"), &json!(3))
    );
    assert_eq!(flow["blocks"].as_array().unwrap().len(), 4);
    assert_eq!(
        flow["blocks"][0],
        json!({
            "kind": "block", "type": "custom", "uid": "u-a", "sid": "flow.a", "version": 3,
            "state": {"active": false, "entered": true, "exited": true},
            "transitioned": {"go": true, "say \"hi\"": false},
            "fields": sound()["blocks"][0]["fields"],
        })
    );
    assert_eq!(flow["blocks"][3]["containerUid"], json!("u-t"));
    assert_eq!(flow["blocks"][3]["type"], json!("tourItem"));
    assert_eq!(flow["blocks"][3]["state"]["active"], json!(true));
    assert_eq!(
        flow["blocks"][1]["transitioned"],
        json!({"complete": false, "dismiss": false})
    );
}

#[test]
fn a_disabled_flow_shows_nothing_active() {
    let version = version();
    let block = version.block(version.shown[0]);
    let state = BlockState {
        key: block.key,
        active: true,
        entered: true,
        exited: false,
        taken: Box::default(),
    };
    let mut out = Vec::new();
    write_block(&mut out, block, Some(&state), false);
    let block: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        block["state"],
        json!({"active": false, "entered": true, "exited": false})
    );
    let mut out = Vec::new();
    write_flow(&mut out, &version, None, true, false);
    assert!(out.len() <= flow_bytes_max(&version, false));
    let flow: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(flow.get("blocks"), None);
}

#[test]
fn containers_and_items_are_shown_and_logic_is_not() {
    let version = compile_version(&part(&every_kind())).unwrap();
    let blocks = version.blocks.iter().map(|block| BlockState {
        key: block.key,
        active: false,
        entered: true,
        exited: false,
        taken: Box::default(),
    });
    let mut blocks: Vec<BlockState> = blocks.collect();
    blocks.sort_by_key(|block| block.key);
    let state = FlowState {
        started: true,
        blocks: blocks.into(),
        ..FlowState::default()
    };
    let mut out = Vec::new();
    write_flow(&mut out, &version, Some(&state), true, true);
    assert!(out.len() <= flow_bytes_max(&version, true));
    let flow: Value = serde_json::from_slice(&out).unwrap();
    let shown = flow["blocks"].as_array().unwrap().iter();
    let shown: Vec<Value> = shown
        .map(|block| {
            json!([
                block["type"],
                block["sid"],
                block["containerUid"],
                block["transitioned"]
            ])
        })
        .collect();
    let names = |one: &str, other: &str| json!({one: false, other: false});
    assert_eq!(
        shown,
        [
            json!(["checklist", "kinds.k", null, names("complete", "dismiss")]),
            json!(["checklistItem", "kinds.ki", "k", names("complete", "skip")]),
            json!(["hints", "kinds.h", null, names("complete", "dismiss")]),
            json!(["hintsItem", "kinds.hi", "h", names("complete", "dismiss")]),
            json!(["tour", "kinds.t", null, names("complete", "dismiss")]),
            json!(["tourItem", "kinds.ti", "t", names("next", "previous")]),
            json!(["modal", "kinds.c", null, names("complete", "dismiss")]),
        ]
    );
}

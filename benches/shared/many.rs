//! How does an environment of many flows look?
//!
//! Flows of five blocks with a field each and a path from block to block, as
//! parsed parts; texts are of usual length and differ, so that nothing is
//! found to be equal.

use flowgate::snapshot::wire::{FlowPart, VersionPart};
use serde_json::{Value, json};

const BLOCKS: usize = 5;

/// One flow that has these versions; ascending by uid as its number does.
pub(crate) fn flow(place: usize, versions: &[u32]) -> FlowPart {
    let part = json!({
        "uid": format!("f{place:06}"), "sid": format!("flow-{place}"),
        "name": format!("Flow {place}"), "project": "web",
        "enabled": true, "versions": versions,
    });
    serde_json::from_value(part).expect("the bench's own flow is well-formed")
}

/// One of them.
pub(crate) fn version(place: usize, number: u32) -> VersionPart {
    let uid = |block: usize| format!("b{place}-{block}");
    let blocks: Vec<Value> = (0..BLOCKS)
        .map(|block| {
            json!({"uid": uid(block), "sid": format!("step-{block}"), "kind": "card", "fields": [
                {"sid": "title", "type": "string", "value": format!("Step {block} of flow {place}")},
                {"sid": "body", "type": "string", "value":
                    format!("What there is to say in version {number}, in one sentence of usual length.")},
            ]})
        })
        .collect();
    let paths: Vec<Value> = (0..BLOCKS)
        .map(|block| match block.checked_sub(1) {
            None => json!({"uid": "p0", "to": uid(block)}),
            Some(from) => json!({"uid": format!("p{block}"), "from": uid(from),
                "on": ["complete"], "to": uid(block)}),
        })
        .collect();
    let part = json!({
        "flow_uid": format!("f{place:06}"), "flow_sid": format!("flow-{place}"), "number": number,
        "entry": {"expression": "user.properties.plan = 'pro' AND user.properties.age >= 18"},
        "blocks": blocks, "paths": paths,
    });
    serde_json::from_value(part).expect("the bench's own version is well-formed")
}

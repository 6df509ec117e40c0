//! How is a user told?
//!
//! What the ledger has, flow by flow, and then what an edge would answer and
//! why: without a channel, and over each on which the flow is deployed.

use serde_json::{Value, json};

use super::super::{
    console::Console,
    failure::Failure,
    table::{self, Output},
    told::percent,
};
use crate::progress::event::{BlockStateDocument, UserDocument};

/// Another page of the same user.
pub(super) fn join(whole: &mut Value, mut page: Value) {
    if let (Some(all), Some(more)) = (
        whole["standings"].as_array_mut(),
        page["standings"].as_array_mut(),
    ) {
        all.append(more);
    }
    whole["next_flow"] = page["next_flow"].take();
}

/// Whether nothing came since the user was erased.
pub(super) fn is_erased(answer: &Value) -> bool {
    let read: Result<UserDocument, _> = serde_json::from_value(answer.clone());
    read.is_ok_and(|document| document.tombstone_ms().is_some())
}

/// Prints a user.
pub(super) fn print(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, answer);
    }
    let user: UserDocument = serde_json::from_value(answer.clone()).map_err(|error| {
        Failure::undone("the store's answer is not a user document").because(&error)
    })?;
    let time = |ms: Option<u64>| ms.map(table::time).unwrap_or_default();
    console.line(&format!(
        "user {} (document {}), first seen {}, identified {}",
        user.identifier,
        user.doc_rev,
        time(user.created_ms),
        time(user.updated_ms)
    ))?;
    for (name, value) in &user.properties {
        console.line(&format!("  {name} = {value}"))?;
    }
    if !user.groups.is_empty() {
        console.line(&format!("  groups: {}", user.groups.join(", ")))?;
    }
    states(console, &user, answer)?;
    standings(console, answer)
}

/// A flow or block as people know it, where the store knows it.
fn named(answer: &Value, uid: &str) -> String {
    match answer["sid"].as_str() {
        Some(sid) => format!("{sid} ({uid})"),
        None => uid.to_owned(),
    }
}

fn states(console: &mut Console, user: &UserDocument, answer: &Value) -> Result<(), Failure> {
    let rows: Vec<Value> = user
        .flows
        .iter()
        .enumerate()
        .map(|(at, flow)| {
            let answer = &answer["flows"][at];
            let with = |wanted: fn(&BlockStateDocument) -> bool| {
                let blocks = flow.blocks.iter().enumerate();
                blocks
                    .filter(|(_, block)| wanted(block))
                    .map(|(at, block)| named(&answer["blocks"][at], &block.block))
                    .collect::<Vec<_>>()
            };
            json!({
                "flow": named(answer, &flow.flow), "version": flow.version,
                "generation": flow.generation, "conversation": flow.conversation,
                "state": state(flow.started, flow.stopped, flow.finished),
                "active": with(|block| block.active), "exited": with(|block| block.exited),
            })
        })
        .collect();
    let columns = [
        ("flow", "FLOW"),
        ("version", "VERSION"),
        ("generation", "GENERATION"),
        ("conversation", "CONVERSATION"),
        ("state", "STATE"),
        ("active", "ACTIVE BLOCKS"),
        ("exited", "LEFT"),
    ];
    table::print(console, Output::Table, &columns, &rows)
}

/// What they see, and why.
pub(super) fn standings(console: &mut Console, answer: &Value) -> Result<(), Failure> {
    let standings = answer["standings"].as_array().into_iter().flatten();
    let rows: Vec<Value> = standings
        .map(|own| {
            let over = match (own["channel"].as_str(), own["deployment"].as_str()) {
                (Some(channel), Some(name)) => format!("{channel} ({name})"),
                (Some(channel), None) => channel.to_owned(),
                (None, _) => String::new(),
            };
            json!({
                "flow": own["flow"], "over": over, "conversation": own["conversation"],
                "sees": if own["served"] == true {
                    format!("version {} by {}", own["version"], word(&own["version_source"]))
                } else {
                    "nothing".to_owned()
                },
                "why": own["reason"], "membership": membership(&own["membership"]),
            })
        })
        .collect();
    let columns = [
        ("flow", "SEES OF"),
        ("over", "OVER"),
        ("conversation", "CONVERSATION"),
        ("sees", "WHAT"),
        ("why", "WHY"),
        ("membership", "MEMBERSHIP"),
    ];
    table::print(console, Output::Table, &columns, &rows)
}

fn membership(own: &Value) -> String {
    if own.is_null() {
        return String::new();
    }
    let side = if own["in"] == true { "in" } else { "out" };
    let share = own["basis_points"].as_u64().map(percent);
    let recorded = match own["decided_ms"].as_u64() {
        Some(at) => format!("recorded {}", table::time(at)),
        None => "not recorded".to_owned(),
    };
    format!("{side} at {}, {recorded}", share.unwrap_or_default())
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn state(started: bool, stopped: bool, finished: bool) -> &'static str {
    match (started, stopped, finished) {
        (_, _, true) => "finished",
        (_, true, false) => "stopped",
        (true, false, false) => "started",
        (false, false, false) => "not started",
    }
}

//! Which bytes does an application get for a flow and its blocks?
//!
//! Dopt's Flow and Block. What does not depend on the user is serialised once,
//! when a version is compiled; a request copies it and appends state and
//! transitions. Writing allocates nothing beyond the buffer it is given.

use serde_json::Value;

use super::{
    model::{Block, Flow, Version},
    wire::{BlockKind, BlockPart, FieldPart, VersionPart},
};
use crate::evaluate::{BlockState, FlowState};

/// Longest `"state"` of a flow or a block, with the brackets around it.
const STATE_BYTES_MAX: usize = 96;

/// Appends a Block. Without `state` it was never entered; `active_allowed` is
/// false where the flow is disabled.
pub fn write_block(
    out: &mut Vec<u8>,
    block: &Block,
    state: Option<&BlockState>,
    active_allowed: bool,
) {
    out.extend_from_slice(&block.json_head);
    out.extend_from_slice(b",\"state\":{\"active\":");
    write_bool(
        out,
        active_allowed && state.is_some_and(|state| state.active),
    );
    out.extend_from_slice(b",\"entered\":");
    write_bool(out, state.is_some_and(|state| state.entered));
    out.extend_from_slice(b",\"exited\":");
    write_bool(out, state.is_some_and(|state| state.exited));
    out.extend_from_slice(b"},\"transitioned\":{");
    for (place, transition) in block.transitions.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(transition.json_name());
        let taken = state.is_some_and(|state| state.has_taken(transition.key));
        write_bool(out, taken);
    }
    out.extend_from_slice(b"}}");
}

/// Appends a Flow, with all blocks that are shown if `include_blocks`.
pub fn write_flow(
    out: &mut Vec<u8>,
    version: &Version,
    state: Option<&FlowState>,
    active_allowed: bool,
    include_blocks: bool,
) {
    out.reserve(flow_bytes_max(version, include_blocks));
    out.extend_from_slice(&version.json_head);
    write_flow_state(
        out,
        state.is_some_and(|state| state.started),
        state.is_some_and(|state| state.stopped),
        state.is_some_and(|state| state.finished),
    );
    if include_blocks {
        out.extend_from_slice(b",\"blocks\":[");
        for (place, index) in version.shown.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            let block = version.block(*index);
            let state = state.and_then(|state| state.block(block.key));
            write_block(out, block, state, active_allowed);
        }
        out.push(b']');
    }
    out.push(b'}');
}

/// Appends the Flow of which nothing is committed: version 0, nothing started,
/// no blocks. Not -1, which the SDKs read as a failure.
pub fn write_empty_flow(out: &mut Vec<u8>, flow: &Flow, include_blocks: bool) {
    write_flow_head(out, &flow.uid, &flow.sid, 0);
    write_flow_state(out, false, false, false);
    if include_blocks {
        out.extend_from_slice(b",\"blocks\":[]");
    }
    out.push(b'}');
}

/// The most bytes [`write_flow`] appends.
pub fn flow_bytes_max(version: &Version, include_blocks: bool) -> usize {
    let blocks = if include_blocks {
        version.json_bytes + ",\"blocks\":[]".len()
    } else {
        0
    };
    version.json_head.len() + STATE_BYTES_MAX + blocks
}

/// The most bytes [`write_block`] appends.
pub(super) fn block_bytes_max(block: &Block) -> usize {
    let transitions = block.transitions.iter();
    let names: usize = transitions.map(|own| own.json_name().len() + 6).sum();
    block.json_head.len() + STATE_BYTES_MAX + names
}

/// Everything of a Flow before its state.
pub(super) fn flow_head(uid: &str, sid: &str, number: u32) -> Vec<u8> {
    let mut head = Vec::new();
    write_flow_head(&mut head, uid, sid, number);
    head
}

/// Everything of a Block before its state; empty for blocks that are never shown.
pub(super) fn block_head(version: &VersionPart, block: &BlockPart) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    let Some(kind) = shown_as(block.kind) else {
        return head;
    };
    head.extend_from_slice(b"{\"kind\":\"block\",\"type\":");
    write_text(&mut head, kind);
    head.extend_from_slice(b",\"uid\":");
    write_text(&mut head, &block.uid);
    head.extend_from_slice(b",\"sid\":");
    // Sids consist of characters that stand for themselves in JSON.
    for piece in ["\"", &version.flow_sid, ".", &block.sid, "\""] {
        head.extend_from_slice(piece.as_bytes());
    }
    write_number(&mut head, version.number);
    head.extend_from_slice(b",\"fields\":");
    write_fields(&mut head, &block.fields);
    if let Some(container) = &block.container {
        head.extend_from_slice(b",\"containerUid\":");
        write_text(&mut head, container);
    }
    head
}

/// `"name":`
pub(super) fn transition_name(name: &str) -> Vec<u8> {
    let mut text = Vec::new();
    write_text(&mut text, name);
    text.push(b':');
    text
}

/// Dopt's name of a kind that is shown.
fn shown_as(kind: BlockKind) -> Option<&'static str> {
    match kind {
        BlockKind::Custom => Some("custom"),
        BlockKind::Card => Some("card"),
        BlockKind::Modal => Some("modal"),
        BlockKind::Tour => Some("tour"),
        BlockKind::TourItem => Some("tourItem"),
        BlockKind::Checklist => Some("checklist"),
        BlockKind::ChecklistItem => Some("checklistItem"),
        BlockKind::Hints => Some("hints"),
        BlockKind::HintsItem => Some("hintsItem"),
        BlockKind::Boolean
        | BlockKind::Finish
        | BlockKind::Gate
        | BlockKind::Webhook
        | BlockKind::FlowTrigger => None,
    }
}

fn write_flow_head(out: &mut Vec<u8>, uid: &str, sid: &str, number: u32) {
    out.extend_from_slice(b"{\"kind\":\"flow\",\"type\":\"flow\",\"uid\":");
    write_text(out, uid);
    out.extend_from_slice(b",\"sid\":");
    write_text(out, sid);
    write_number(out, number);
}

fn write_number(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(b",\"version\":");
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_flow_state(out: &mut Vec<u8>, started: bool, stopped: bool, finished: bool) {
    out.extend_from_slice(b",\"state\":{\"started\":");
    write_bool(out, started);
    out.extend_from_slice(b",\"stopped\":");
    write_bool(out, stopped);
    out.extend_from_slice(b",\"finished\":");
    write_bool(out, finished);
    out.push(b'}');
}

fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Fields as [`FieldPart`] serialises, without asking for each byte of a usual
/// text how it is written: texts are most of what a snapshot holds.
fn write_fields(out: &mut Vec<u8>, fields: &[FieldPart]) {
    out.push(b'[');
    for (place, field) in fields.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b"{" } else { b",{" });
        out.extend_from_slice(b"\"sid\":");
        write_text(out, &field.sid);
        out.extend_from_slice(b",\"type\":");
        write_json(out, &field.kind);
        out.extend_from_slice(b",\"value\":");
        match &field.value {
            Value::String(text) => write_text(out, text),
            other => write_json(out, other),
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// A text in quotes; copied as it is where every character stands for itself.
fn write_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Without an early end, which would keep many bytes from being looked at
    // at once.
    let escaped = bytes.iter().fold(false, |escaped, byte| {
        escaped | (*byte < b' ') | (*byte == b'"') | (*byte == b'\\')
    });
    if escaped {
        return write_json(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(bytes);
    out.push(b'"');
}

fn write_json(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    // Into memory, and from types whose maps have text keys, it cannot fail.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::wire::FieldKind;

    proptest! {
        #[test]
        fn fields_are_written_as_they_serialise(
            texts in prop::collection::vec(("[a-z]{1,8}", any::<String>(), 0_u8..4), 0..4)
        ) {
            let fields: Vec<FieldPart> = texts.into_iter().map(|(sid, text, kind)| {
                let (kind, value) = match kind {
                    0 => (FieldKind::String, Value::from(text)),
                    1 => (FieldKind::Number, Value::from(text.len())),
                    2 => (FieldKind::Boolean, Value::Null),
                    _ => (FieldKind::RichText, serde_json::json!([{"text": text}])),
                };
                FieldPart { sid, kind, value }
            }).collect();
            let mut written = Vec::new();
            write_fields(&mut written, &fields);
            prop_assert_eq!(written, serde_json::to_vec(&fields).unwrap());
        }
    }
}

//! Which webhooks does an applied record owe?
//!
//! Those that its run passed, each once. They are posted in the transaction
//! that applies the record, so a webhook exists exactly when its cause does.

use super::Versions;
use crate::{
    evaluate::Outcome as LogicOutcome,
    progress::event::{Operation, ShippedRecord},
    snapshot::{BlockKey, sha256_hex, wire::BlockKind},
    store::{engine::WebhookEffect, workspace::Environment},
};

/// A webhook block that was passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// Uid of the flow it belongs to.
    flow: String,
    version: u32,
    /// Its uid.
    block: String,
}

/// The webhooks among the outcomes of a run that began in this version.
pub(super) fn passed(
    flow: &str,
    number: u32,
    outcomes: &[LogicOutcome],
    versions: &dyn Versions,
) -> Vec<Passed> {
    // An outcome names its block alone; the run was in one of these.
    let mut visited: Vec<(&str, u32)> = vec![(flow, number)];
    let mut passed = Vec::new();
    for outcome in outcomes {
        match outcome {
            LogicOutcome::Trigger {
                target: Some((flow, version)),
                ..
            } => visited.push((flow, *version)),
            LogicOutcome::Webhook { block } => {
                let home = visited.iter().find(|(flow, number)| {
                    versions.version(flow, *number).is_some_and(|version| {
                        version
                            .find(BlockKey::of(block))
                            .is_some_and(|at| version.block(at).kind == BlockKind::Webhook)
                    })
                });
                let (flow, version) = home.copied().unwrap_or((flow, number));
                passed.push(Passed {
                    flow: flow.to_owned(),
                    version,
                    block: block.to_string(),
                });
            }
            LogicOutcome::Trigger { target: None, .. }
            | LogicOutcome::Branch { .. }
            | LogicOutcome::Gate { .. } => {}
        }
    }
    passed
}

/// What is owed for one of them, under an id that is the same however often
/// the record arrives. `ordinal` counts the webhooks of the record.
pub(super) fn effect(
    environment: &Environment,
    journal: &str,
    record: &ShippedRecord,
    (ordinal, passed): (usize, &Passed),
) -> (String, WebhookEffect) {
    let event = &record.event;
    let cause = match event.id {
        Some(id) => format!("{:016x}", id.key),
        None => format!("{journal}/{}", record.seq),
    };
    // An idempotency key counts within the flow that was asked and within the
    // conversation: two causes under one key owe two messages.
    let ordinal = ordinal.to_string();
    let name = [
        &environment.uid,
        &event.user,
        &passed.flow,
        &cause,
        &passed.block,
        &ordinal,
        asked_flow(&event.operation),
        event.conversation.as_deref().unwrap_or_default(),
    ];
    let name = name.map(|part| format!("{}:{part}", part.len())).concat();
    let hash = sha256_hex(name.as_bytes());
    let id = format!("msg_{}", hash.get(..32).unwrap_or(&hash));
    let effect = WebhookEffect {
        environment: environment.name.clone(),
        environment_uid: environment.uid.clone(),
        user: event.user.clone(),
        group: event.group.clone(),
        conversation: event.conversation.clone(),
        flow: passed.flow.clone(),
        version: passed.version,
        block: passed.block.clone(),
        at_ms: event.decided_ms,
    };
    (id, effect)
}

/// The flow that a step was asked for, wherever triggers led it.
fn asked_flow(operation: &Operation) -> &str {
    match operation {
        Operation::Start { flow, .. }
        | Operation::Intent { flow, .. }
        | Operation::Transition { flow, .. }
        | Operation::Migrate { flow, .. } => flow,
        Operation::Membership | Operation::Identify { .. } | Operation::IdentifyGroup { .. } => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::store::ledger::memory;

    /// The id of what a step of this flow in this conversation owes.
    fn id(flow: &str, conversation: Option<&str>, seq: u64) -> String {
        let event: Value = json!({
            "environment": "production", "environment_uid": "e1", "user": "u",
            "revision": "0.1", "decided_ms": 1, "base": "absent", "edge": "e",
            "conversation": conversation, "id": {"key": 7, "body": 1},
            "operation": {"op": "start", "flow": flow, "version": 1, "generation": 0,
                "force": false},
        });
        let record = ShippedRecord {
            seq,
            wall_ms: 1,
            event: serde_json::from_value(event).unwrap(),
        };
        let passed = Passed {
            flow: "shared".to_owned(),
            version: 1,
            block: "tell".to_owned(),
        };
        let environment = memory::environment("e1", "production");
        effect(&environment, "j", &record, (0, &passed)).0
    }

    #[test]
    fn one_key_owes_a_message_for_each_flow_and_conversation_it_was_used_in() {
        let first = id("one", None, 1);
        assert_eq!(first, id("one", None, 2), "the key names the step");
        assert_ne!(first, id("other", None, 1));
        assert_ne!(first, id("one", Some("c"), 1));
        assert_ne!(id("one", Some("c"), 1), id("one", Some("d"), 1));
    }
}

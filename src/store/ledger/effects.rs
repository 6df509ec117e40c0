//! Which webhooks does an applied record owe?
//!
//! Those that its run passed, each once. They are posted in the transaction
//! that applies the record, so a webhook exists exactly when its cause does.

use super::Versions;
use crate::{
    evaluate::Outcome as LogicOutcome,
    progress::event::ShippedRecord,
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
    let name = [
        &environment.uid,
        &event.user,
        &passed.flow,
        &cause,
        &passed.block,
        &ordinal.to_string(),
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

//! Under which names does a receipt say what led to a decision?
//!
//! The names are stable; members may be added. A member that is null was not
//! asked: an earlier step had settled the matter.

use serde_json::{Value, json};

use super::inputs::tag_text;
use crate::{
    evaluate::{
        AlternativeJudged, Decision, EntryJudged, Membership, MigrationJudged, Receipt, RolloutId,
        RolloutJudged,
    },
    progress::event::FlowStateDocument,
    snapshot::Entry,
};

/// The receipt as JSON. `conversation` is the one the request names.
pub(super) fn written(receipt: &Receipt<'_, '_>, conversation: Option<&str>) -> Value {
    let decision = &receipt.decision;
    // Without a version in the snapshot there is no number that is not a guess.
    let number = decision.version.map(|version| version.number);
    let pin = receipt
        .pin
        .map(|pin| json!({"version": pin.version, "conversation": pin.conversation}));
    json!({
        "revision": receipt.revision.to_string(),
        "now_ms": receipt.now,
        "tag": tag_text(receipt.tag),
        "flow": flow(decision),
        "deployment": deployment(decision),
        "version": number,
        "version_asked": decision.number,
        "version_source": decision.version_source.name(),
        "pin": pin,
        "audience": receipt.audience.as_deref().map(audience),
        "rollout": receipt.rollout.as_ref().map(rollout),
        "membership": membership(decision),
        "migration": receipt.migration.as_ref().map(migration),
        "entry": receipt.entry.as_ref().map(entry),
        "state": state(decision, conversation),
        "served": decision.served,
        "may_start": decision.may_start,
        "reason": decision.reason.name(),
    })
}

fn flow(decision: &Decision<'_, '_>) -> Option<Value> {
    decision.flow.map(|flow| {
        json!({
            "sid": &*flow.sid, "uid": &*flow.uid, "project": &*flow.project,
            "enabled": flow.enabled, "deployments_only": flow.deployments_only,
            "latest": flow.latest().map(|slot| slot.number),
        })
    })
}

fn deployment(decision: &Decision<'_, '_>) -> Option<Value> {
    decision.deployment.map(|deployment| {
        json!({
            "uid": &*deployment.uid, "name": &*deployment.name, "channel": &*deployment.channel,
            "active": deployment.active, "policy": deployment.policy,
            "on_version_change": deployment.on_version_change,
        })
    })
}

fn audience(alternatives: &[AlternativeJudged<'_>]) -> Value {
    let written = alternatives.iter().map(|alternative| {
        let rules = alternative.rules.iter();
        let rules: Vec<Value> = rules
            .map(|rule| json!({"rule": rule.text, "holds": rule.holds}))
            .collect();
        json!({"name": alternative.name, "rules": rules, "holds": alternative.holds})
    });
    // No alternatives mean everyone.
    let holds = alternatives.is_empty() || alternatives.iter().any(|own| own.holds);
    json!({"holds": holds, "alternatives": written.collect::<Vec<_>>()})
}

fn rollout(judged: &RolloutJudged<'_, '_>) -> Value {
    let source = match judged.source {
        RolloutId::User => json!("user"),
        RolloutId::Group => json!("group"),
        RolloutId::Attribute(name) => json!({"attribute": name}),
    };
    json!({
        "basis_points": judged.basis_points, "scheduled": judged.scheduled, "salt": judged.salt,
        "source": source, "id": judged.id.as_deref(), "bucket": judged.bucket,
        "remember": judged.remember, "conversation": judged.conversation,
        "record": judged.record.map(record),
    })
}

fn record(membership: Membership) -> Value {
    json!({"in": membership.is_in, "basis_points": membership.basis_points})
}

/// As in the answers of `/v1/evaluate`, and what would be recorded.
fn membership(decision: &Decision<'_, '_>) -> Option<Value> {
    decision.enrolled.map(|enrolled| {
        json!({
            "in": enrolled.is_in, "bucket": enrolled.bucket, "basis_points": enrolled.basis_points,
            "recorded": enrolled.recorded, "to_record": enrolled.to_record.map(record),
        })
    })
}

fn migration(judged: &MigrationJudged) -> Value {
    let steps = judged.steps.iter().map(|step| {
        json!({
            "version": step.version, "strategy": step.strategy,
            "before": step.before.name(), "after": step.after.name(),
        })
    });
    json!({
        "from": judged.from, "before": judged.before.name(),
        "steps": steps.collect::<Vec<_>>(),
        "after": judged.after.name(), "incompatible": judged.incompatible,
    })
}

fn entry(judged: &EntryJudged<'_>) -> Value {
    let condition = match judged.condition {
        Entry::Everyone => "everyone",
        Entry::Expression(_) => "expression",
        Entry::ApiOnly => "api-only",
    };
    json!({"condition": condition, "holds": judged.holds})
}

/// The state that is shown, with the names of the version it is shown in, and
/// whether migration made it and nobody has stored it.
fn state(decision: &Decision<'_, '_>, conversation: Option<&str>) -> Option<Value> {
    let (flow, version) = (decision.flow?, decision.version?);
    let state = decision.state.as_deref()?;
    let document = FlowStateDocument::of(&flow.uid, version, conversation, state);
    let mut written = json!(document);
    written["migrated_from"] = json!(decision.migrated.map(|migrated| migrated.from));
    Some(written)
}

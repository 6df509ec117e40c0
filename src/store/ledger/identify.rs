//! How do properties of users and groups merge?
//!
//! Property by property in the ledger's order; null removes. What would exceed
//! a limit after merging is refused as a whole: half of an identify call would
//! be worse than none.

use serde_json::{Map, Value};

use super::{Verdict, judge};
use crate::{
    clock::UnixMs,
    limits,
    progress::event::{Event, EventId, GroupDocument, GroupRecord, UserDocument},
};

/// What an idempotency key that was seen before makes of an identify call.
pub(super) fn seen_before(document: &UserDocument, event: &Event) -> Option<Verdict> {
    let id = event.id?;
    let seen = document.recent.iter().find(|own| own.key == id.key)?;
    Some(if seen.body == id.body {
        // Later calls may have written over it since: the edge reads again.
        Verdict::Already
    } else if judge::rests_on_an_assumption(event) {
        Verdict::Superseded("its idempotency key was used before, unknown to the edge")
    } else {
        Verdict::Dead("its idempotency key was used for another call".to_owned())
    })
}

/// Keeps the id of a call that is applied.
pub(super) fn remember(document: &mut UserDocument, id: Option<EventId>) {
    document.recent.extend(id);
    let surplus = document.recent.len().saturating_sub(limits::EVENT_RING);
    document.recent.drain(..surplus);
}

/// Merges one identify call. `records` are the groups' records as they are,
/// in the order of `groups`; `when` is the time the edge took the call.
pub(super) fn merge(
    mut document: UserDocument,
    properties: &Map<String, Value>,
    groups: &[GroupDocument],
    records: Vec<GroupRecord>,
    when: UnixMs,
    as_recorded: bool,
) -> Verdict {
    overlay(&mut document.properties, properties);
    if let Err(why) = check("user", &document.properties) {
        return Verdict::Dead(why);
    }
    document.updated_ms = Some(when);
    let mut merged: Vec<GroupRecord> = Vec::with_capacity(groups.len());
    for (group, known) in groups.iter().zip(records) {
        if group.identifier.is_empty() || group.identifier.len() > limits::SUBJECT_ID_BYTES_MAX {
            return Verdict::Dead(format!(
                "a group id of {} bytes (expected 1 to {})",
                group.identifier.len(),
                limits::SUBJECT_ID_BYTES_MAX
            ));
        }
        // The same group twice in one call builds on its own first mention.
        let earlier = merged
            .iter()
            .position(|own| own.identifier == group.identifier)
            .map(|at| merged.remove(at));
        let mut record = earlier.unwrap_or(known);
        overlay(&mut record.properties, &group.properties);
        if let Err(why) = check("group", &record.properties) {
            return Verdict::Dead(why);
        }
        record.identifier.clone_from(&group.identifier);
        record.created_ms.get_or_insert(when);
        record.updated_ms = Some(when);
        merged.push(record);
        if !document.groups.contains(&group.identifier) {
            document.groups.push(group.identifier.clone());
        }
    }
    if document.groups.len() > limits::GROUPS_PER_USER_MAX {
        return Verdict::Dead(format!(
            "the user would belong to {} groups (expected at most {})",
            document.groups.len(),
            limits::GROUPS_PER_USER_MAX
        ));
    }
    Verdict::Apply {
        document: Box::new(document),
        groups: merged,
        webhooks: Vec::new(),
        as_recorded,
    }
}

fn overlay(stored: &mut Map<String, Value>, update: &Map<String, Value>) {
    for (name, value) in update {
        if value.is_null() {
            stored.remove(name);
        } else {
            stored.insert(name.clone(), value.clone());
        }
    }
}

fn check(whose: &str, properties: &Map<String, Value>) -> Result<(), String> {
    if properties.len() > limits::PROPERTIES_MAX {
        return Err(format!(
            "the {whose} would have {} properties (expected at most {})",
            properties.len(),
            limits::PROPERTIES_MAX
        ));
    }
    let bytes = serde_json::to_vec(properties).map_or(usize::MAX, |json| json.len());
    if bytes > limits::PROPERTIES_BYTES_MAX {
        return Err(format!(
            "the {whose}'s properties would take {bytes} bytes (expected at most {})",
            limits::PROPERTIES_BYTES_MAX
        ));
    }
    Ok(())
}

//! How do properties of users and groups merge?
//!
//! Property by property in the ledger's order; null removes. What would exceed
//! a limit after merging is refused as a whole: half of an identify call would
//! be worse than none.

use serde_json::{Map, Value};

use super::{Run, Verdict, erasing::is_of_erased, judge};
use crate::{
    clock::UnixMs,
    limits,
    progress::event::{
        Event, EventId, GroupDocument, GroupRecord, Outcome, RecordOutcome, ShippedRecord,
        UserDocument, subject_hash,
    },
    store::engine::EngineError,
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
    groups: &[&GroupDocument],
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
        // The same group twice in one call builds on its own first mention.
        let earlier = merged
            .iter()
            .position(|own| own.identifier == group.identifier)
            .map(|at| merged.remove(at));
        match merge_group(earlier.unwrap_or(known), group, when) {
            Ok(record) => merged.push(record),
            Err(why) => return Verdict::Dead(why),
        }
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

impl Run<'_> {
    /// A call for a group alone. No user's document is touched.
    pub(super) fn identify_group(
        &mut self,
        record: &ShippedRecord,
        group: &GroupDocument,
    ) -> Result<RecordOutcome, EngineError> {
        let known = self.transaction.group(&group.identifier)?;
        let decided_ms = record.event.decided_ms;
        if let Some(known) = known.as_ref().filter(|own| is_of_erased(own, decided_ms)) {
            let why = Some("the group was erased since".to_owned());
            let doc_rev = known.doc_rev;
            return Ok(super::outcome(
                record,
                Outcome::Superseded,
                doc_rev,
                false,
                why,
            ));
        }
        let merged = merge_group(known.unwrap_or_default(), group, record.event.decided_ms);
        let mut merged = match merged {
            Ok(merged) => merged,
            Err(why) => return self.settle(record, Verdict::Dead(why)),
        };
        merged.doc_rev = self.next_rev(merged.doc_rev)?;
        merged.last = Some((self.journal.to_owned(), record.seq));
        self.transaction.put_group(&merged)?;
        let subject = subject_hash("group", &[&merged.identifier]);
        self.notes.insert(subject, merged.doc_rev);
        let doc_rev = merged.doc_rev;
        Ok(super::outcome(
            record,
            Outcome::Applied,
            doc_rev,
            true,
            None,
        ))
    }
}

/// Merges one mention of a group into its record.
pub(super) fn merge_group(
    mut record: GroupRecord,
    group: &GroupDocument,
    when: UnixMs,
) -> Result<GroupRecord, String> {
    if group.identifier.is_empty() || group.identifier.len() > limits::SUBJECT_ID_BYTES_MAX {
        return Err(format!(
            "a group id of {} bytes (expected 1 to {})",
            group.identifier.len(),
            limits::SUBJECT_ID_BYTES_MAX
        ));
    }
    overlay(&mut record.properties, &group.properties);
    check("group", &record.properties)?;
    record.identifier.clone_from(&group.identifier);
    record.created_ms.get_or_insert(when);
    record.updated_ms = Some(when);
    Ok(record)
}

pub(super) fn overlay(stored: &mut Map<String, Value>, update: &Map<String, Value>) {
    for (name, value) in update {
        if value.is_null() {
            stored.remove(name);
        } else {
            stored.insert(name.clone(), value.clone());
        }
    }
}

pub(super) fn check(whose: &str, properties: &Map<String, Value>) -> Result<(), String> {
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

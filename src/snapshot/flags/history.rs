//! What has changed since a client has last heard of flags?
//!
//! A client that follows flags names what it has by its mark. What leads from
//! each of the last revisions to the next one is found once, when a snapshot
//! goes into force, and lies ready as events. Only as much is kept as the
//! limits say; who comes from further back, or from a revision that was never
//! here, is given everything anew.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::{Value, json};

use super::{Flag, FlagMark, FlagScope, Flags, Segment};
use crate::{
    limits::{FLAG_CHANGES_BYTES_MAX, FLAG_REVISIONS_KEPT},
    snapshot::model::{Key, Snapshot},
};

/// What is known of the way to the flags that are in force.
#[derive(Debug)]
pub struct FlagHistory {
    /// From the oldest to the one in force; at least that one.
    known: Vec<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    mark: FlagMark,
    /// What led here from the one before; none where nothing changed.
    step: Option<Arc<FlagStep>>,
}

/// What leads from one revision to the next that was here.
#[derive(Debug)]
pub struct FlagStep {
    mark: FlagMark,
    /// Before the flags that may refer to them.
    segments: Box<[SegmentChange]>,
    flags: Box<[FlagChange]>,
    /// Behind the flags that have referred to them.
    gone: Box<[SegmentGone]>,
    /// Keys that see other projects than before: what has changed for them is
    /// more than the flags.
    rescoped: Box<[[u8; 32]]>,
    bytes: usize,
}

/// An event, and by which projects the segment is used.
#[derive(Debug)]
struct SegmentChange {
    id: i64,
    projects: Box<[Box<str>]>,
    json: Box<[u8]>,
}

/// The event that no project uses it any more, of some that have.
#[derive(Debug)]
struct SegmentGone {
    before: Box<[Box<str>]>,
    /// Those that still do.
    after: Box<[Box<str>]>,
    json: Box<[u8]>,
}

#[derive(Debug)]
struct FlagChange {
    name: Box<str>,
    /// Its project before, and the event for those who have it and may not see
    /// it any more; none if it was not there.
    before: Option<(Box<str>, Box<[u8]>)>,
    /// None if it is gone.
    after: Option<Updated>,
}

#[derive(Debug)]
struct Updated {
    project: Box<str>,
    json: Box<[u8]>,
    /// What it refers to.
    segments: Box<[Referred]>,
}

#[derive(Debug)]
struct Referred {
    id: i64,
    /// Whoever has the flag of before has this segment, too.
    is_had: bool,
    /// And so has everybody who sees all flags of the project.
    is_known: bool,
    json: Arc<[u8]>,
}

impl FlagHistory {
    /// Nothing but what is in force.
    pub fn begin(snapshot: &Snapshot) -> Self {
        Self {
            known: vec![Known {
                mark: snapshot.flag_mark,
                step: None,
            }],
        }
    }

    /// The same with one more revision, which is in force from now on, or with
    /// the same under a newer control document while a release is held back.
    /// What does not follow on what was before begins anew.
    pub fn after(&self, before: &Snapshot, now: &Snapshot) -> Self {
        let follows =
            before.environment_uid == now.environment_uid && before.revision <= now.revision;
        if !follows {
            return Self::begin(now);
        }
        let step = FlagStep::between(before, now);
        let mut known = self.known.clone();
        known.push(Known {
            mark: now.flag_mark,
            step: step.map(Arc::new),
        });
        let mut bytes = 0;
        let kept = known.iter().rev().take_while(|own| {
            bytes += own.step.as_ref().map_or(0, |step| step.bytes);
            bytes <= FLAG_CHANGES_BYTES_MAX
        });
        // With the one from which the oldest step leads.
        let wanted = kept.count() + 1;
        let surplus = known.len().saturating_sub(wanted.min(FLAG_REVISIONS_KEPT));
        known.drain(..surplus);
        if let Some(oldest) = known.first_mut() {
            oldest.step = None;
        }
        Self { known }
    }

    /// By what the flags that are in force are known.
    pub fn mark(&self) -> FlagMark {
        let last = self.known.last();
        last.map_or_else(FlagMark::default, |own| own.mark)
    }

    /// The steps that lead a client with this key from this mark to what is in
    /// force; none where that is not known.
    pub fn since(&self, mark: FlagMark, key: &Key) -> Option<impl Iterator<Item = &FlagStep>> {
        let at = self.known.iter().rposition(|own| own.mark == mark)?;
        let steps = self.known.get(at + 1..)?;
        let steps = steps.iter().filter_map(|own| own.step.as_deref());
        let mut rescoped = steps.clone().flat_map(|step| &step.rescoped);
        (!rescoped.any(|own| *own == key.sha256)).then_some(steps)
    }
}

impl FlagStep {
    /// By what the flags are known that it leads to.
    pub fn mark(&self) -> FlagMark {
        self.mark
    }

    /// Appends the events that this scope hears of, each behind a comma;
    /// whether there are any.
    pub fn write(&self, out: &mut Vec<u8>, scope: &FlagScope<'_>) -> bool {
        let begun = out.len();
        let mut push = |json: &[u8]| {
            out.push(b',');
            out.extend_from_slice(json);
        };
        let mut told: Vec<i64> = Vec::new();
        let segments = self.segments.iter();
        for change in segments.filter(|own| scope.sees_any(&own.projects)) {
            told.push(change.id);
            push(&change.json);
        }
        for change in &self.flags {
            let sees = |project: &str| scope.has_named(&change.name, project);
            let before = change.before.as_ref().filter(|(project, _)| sees(project));
            let after = change.after.as_ref().filter(|own| sees(&own.project));
            match (before, after) {
                (_, Some(updated)) => {
                    let lacks = |own: &&Referred| {
                        let is_had = own.is_had && before.is_some();
                        !(is_had || own.is_known && scope.prefix.is_empty())
                    };
                    for referred in updated.segments.iter().filter(lacks) {
                        if !told.contains(&referred.id) {
                            told.push(referred.id);
                            push(&referred.json);
                        }
                    }
                    push(&updated.json);
                }
                (Some((_, removed)), None) => push(removed),
                (None, None) => {}
            }
        }
        // A copy that nobody keeps up to date must not be there when a flag
        // refers to it again.
        let is_gone =
            |own: &&SegmentGone| scope.sees_any(&own.before) && !scope.sees_any(&own.after);
        for change in self.gone.iter().filter(is_gone) {
            push(&change.json);
        }
        out.len() > begun
    }

    /// None when nothing differs.
    fn between(before: &Snapshot, now: &Snapshot) -> Option<Self> {
        let event = now.flag_mark.event;
        let keys = before.keys.iter().map(|key| (key.sha256, &key.projects));
        let keys: FxHashMap<_, _> = keys.collect();
        let sees_the_same = |key: &&Key| keys.get(&key.sha256) == Some(&&key.projects);
        let rescoped = now.keys.iter().filter(|key| !sees_the_same(key));
        let rescoped: Box<[[u8; 32]]> = rescoped.map(|key| key.sha256).collect();
        let same = Arc::ptr_eq(&before.flags, &now.flags)
            || before.flags.fingerprint() == now.flags.fingerprint();
        if same && rescoped.is_empty() {
            return None;
        }
        let mut step = Self {
            mark: now.flag_mark,
            segments: Box::default(),
            flags: Box::default(),
            gone: Box::default(),
            rescoped,
            bytes: 0,
        };
        if !same {
            let (old, new) = (&before.flags, &now.flags);
            step.segments = segments_changed(event, old, new);
            step.flags = flags_changed(event, old, new);
            step.gone = segments_gone(event, old, new);
        }
        step.bytes = step.measure();
        Some(step)
    }

    /// How much it holds, roughly.
    fn measure(&self) -> usize {
        let flags = self.flags.iter().map(|own| {
            let after = own.after.iter();
            let after = after.map(|after| {
                let referred = after.segments.iter().map(|own| own.json.len());
                after.json.len() + referred.sum::<usize>()
            });
            let before = own.before.as_ref().map_or(0, |(_, json)| json.len());
            own.name.len() + before + after.sum::<usize>()
        });
        let segments = self.segments.iter().map(|own| own.json.len());
        let gone = self.gone.iter().map(|own| own.json.len());
        flags.chain(segments).chain(gone).sum::<usize>() + size_of_val(&*self.rescoped)
    }
}

fn segments_changed(event: u32, old: &Flags, new: &Flags) -> Box<[SegmentChange]> {
    let changed = new.segments.iter().filter(|own| {
        let before = old.segment(own.id);
        new.is_in_force(own) && before.is_none_or(|before| before.source != own.source)
    });
    let changed = changed.map(|own| SegmentChange {
        id: own.id,
        projects: own.projects.clone(),
        json: segment_updated(event, own),
    });
    changed.collect()
}

fn segments_gone(event: u32, old: &Flags, new: &Flags) -> Box<[SegmentGone]> {
    let had = old.segments.iter().filter(|own| old.is_in_force(own));
    let gone = had.filter_map(|own| {
        let after = new.segment(own.id).map(|after| after.projects.clone());
        let after = after.unwrap_or_default();
        let removed = json!({"type": "segment-removed", "eventId": event, "segmentId": own.id});
        let is_used = own.projects.iter().all(|own| after.contains(own));
        (!is_used).then(|| SegmentGone {
            before: own.projects.clone(),
            json: written(&removed),
            after,
        })
    });
    gone.collect()
}

/// Both lists are sorted by name.
fn flags_changed(event: u32, old: &Flags, new: &Flags) -> Box<[FlagChange]> {
    let mut changes = Vec::new();
    let change = |before, after| changed(event, (old, new), (before, after));
    let mut before = old.list.iter().peekable();
    for flag in &new.list {
        while let Some(gone) = before.next_if(|own| own.name < flag.name) {
            changes.push(change(Some(gone), None));
        }
        let same = before.next_if(|own| own.name == flag.name);
        if same.is_none_or(|own| own.source != flag.source) {
            changes.push(change(same, Some(flag)));
        }
    }
    changes.extend(before.map(|gone| change(Some(gone), None)));
    changes.into()
}

fn changed(
    event: u32,
    (old, new): (&Flags, &Flags),
    (before, after): (Option<&Flag>, Option<&Flag>),
) -> FlagChange {
    let name = after.or(before).map(|flag| flag.name.clone());
    let had = |id: i64| before.is_some_and(|flag| old.segments_of(flag).any(|own| own.id == id));
    let known = |id: i64, flag: &Flag| {
        let segment = old.segment(id);
        segment.is_some_and(|own| own.projects.contains(&flag.project))
    };
    FlagChange {
        name: name.unwrap_or_default(),
        before: before.map(|flag| {
            let removed = json!({"type": "feature-removed", "eventId": event,
                "featureName": flag.name, "project": flag.project});
            (flag.project.clone(), written(&removed))
        }),
        after: after.map(|flag| Updated {
            project: flag.project.clone(),
            json: event_with("feature-updated", event, "feature", &flag.source),
            segments: new
                .segments_of(flag)
                .map(|own| Referred {
                    id: own.id,
                    is_had: had(own.id),
                    is_known: known(own.id, flag),
                    json: segment_updated(event, own).into(),
                })
                .collect(),
        }),
    }
}

fn segment_updated(event: u32, segment: &Segment) -> Box<[u8]> {
    event_with("segment-updated", event, "segment", &segment.source)
}

/// An event with a member that is written already.
fn event_with(kind: &str, event: u32, member: &str, source: &[u8]) -> Box<[u8]> {
    let mut json = format!("{{\"type\":\"{kind}\",\"eventId\":{event},\"{member}\":").into_bytes();
    json.extend_from_slice(source);
    json.push(b'}');
    json.into()
}

fn written(event: &Value) -> Box<[u8]> {
    event.to_string().into_bytes().into()
}

//! What is wrong with this version?
//!
//! Every rule of a version's structure, all faults at once, each with its
//! place. What passes is returned with its expressions parsed and its names
//! resolved, so that linking cannot fail.

mod cycle;
pub(super) mod gates;
mod kinds;
mod paths;

pub(super) use self::kinds::fixed_names;

use std::fmt;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use super::VersionFault;
use crate::{
    evaluate::predicate::Predicate,
    limits::{BLOCKS_PER_VERSION_MAX, PATHS_PER_VERSION_MAX, SID_BYTES_MAX},
    snapshot::{
        model::{BlockIndex, BlockKey, Entry},
        wire::{BlockKind, EntryCondition, FieldKind, FieldPart, VersionPart},
    },
};

/// What was found out while checking.
pub(super) struct Checked<'p> {
    /// Block indexes by uid.
    pub(super) by_uid: FxHashMap<&'p str, BlockIndex>,
    /// Compiled.
    pub(super) entry: Entry,
    /// One for each block; set for `boolean`.
    pub(super) predicates: Vec<Option<Predicate>>,
}

/// Applies every rule.
pub(super) fn check(part: &VersionPart) -> Result<Checked<'_>, Vec<VersionFault>> {
    let mut faults = Faults::default();
    faults.check(
        Place::Flow,
        sid_fault(&part.flow_sid).map(|fault| format!("sid: {fault}")),
    );
    limit(
        &mut faults,
        "blocks",
        part.blocks.len(),
        BLOCKS_PER_VERSION_MAX,
    );
    limit(
        &mut faults,
        "paths",
        part.paths.len(),
        PATHS_PER_VERSION_MAX,
    );
    if !faults.list.is_empty() {
        // Going through what is too large would be the harm the limit prevents.
        return Err(faults.list);
    }
    let by_uid = unique_blocks(part, &mut faults);
    // Only branches ask for blocks, and most flows have none.
    let branches = part
        .blocks
        .iter()
        .any(|block| block.kind == BlockKind::Boolean);
    let asked_for = if branches { &*part.blocks } else { &[] };
    let by_sid: FxHashMap<&str, BlockKey> = asked_for
        .iter()
        .map(|block| (block.sid.as_str(), BlockKey::of(&block.uid)))
        .collect();
    let mut predicates = Vec::with_capacity(part.blocks.len());
    for block in &part.blocks {
        let mut own = OwnFaults {
            place: Place::Block(&block.sid),
            faults: &mut faults,
        };
        kinds::names(block, &mut own);
        fields(&block.fields, &mut own);
        kinds::container(block, part, &by_uid, &mut own);
        kinds::trigger(block, &mut own);
        predicates.push(kinds::expression(block, &by_sid, &mut own));
    }
    let entry = entry(&part.entry, &mut faults);
    paths::check(part, &by_uid, &mut faults);
    cycle::check(part, &by_uid, &mut faults);
    if !faults.list.is_empty() {
        return Err(faults.list);
    }
    Ok(Checked {
        by_uid,
        entry,
        predicates,
    })
}

/// What is wrong with a sid: they stand in paths, in code and before dots.
pub(super) fn sid_fault(sid: &str) -> Option<String> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let fits = (1..=SID_BYTES_MAX).contains(&sid.len()) && sid.bytes().all(sound);
    (!fits).then(|| {
        format!("found {sid:?}, expected 1 to {SID_BYTES_MAX} of the characters A-Z a-z 0-9 _ -")
    })
}

/// What is wrong with a uid: it only has to fit into a URL.
fn uid_fault(uid: &str) -> Option<String> {
    let fits =
        (1..=SID_BYTES_MAX).contains(&uid.len()) && uid.bytes().all(|b| b.is_ascii_graphic());
    (!fits).then(|| {
        format!("found the uid {uid:?}, expected 1 to {SID_BYTES_MAX} visible ASCII characters")
    })
}

/// Where a fault is; put into words only when there is one.
#[derive(Clone, Copy)]
enum Place<'p> {
    Flow,
    Version,
    Entry,
    /// By sid.
    Block(&'p str),
    /// By uid.
    Path(&'p str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flow => f.write_str("flow"),
            Self::Version => f.write_str("version"),
            Self::Entry => f.write_str("entry"),
            Self::Block(sid) => write!(f, "block {sid:?}"),
            Self::Path(uid) => write!(f, "path {uid:?}"),
        }
    }
}

/// Faults as they are found.
#[derive(Default)]
struct Faults {
    list: Vec<VersionFault>,
}

impl Faults {
    fn add(&mut self, place: Place<'_>, rule: impl Into<String>) {
        self.list.push(VersionFault {
            place: place.to_string(),
            rule: rule.into(),
        });
    }

    fn check(&mut self, place: Place<'_>, fault: Option<String>) {
        if let Some(rule) = fault {
            self.add(place, rule);
        }
    }
}

/// Faults of one block.
struct OwnFaults<'f> {
    place: Place<'f>,
    faults: &'f mut Faults,
}

impl OwnFaults<'_> {
    fn add(&mut self, rule: impl Into<String>) {
        self.faults.add(self.place, rule);
    }
}

fn limit(faults: &mut Faults, what: &str, found: usize, max: usize) {
    if found > max {
        faults.add(
            Place::Version,
            format!("found {found} {what}, expected at most {max}"),
        );
    }
}

/// Indexes by uid; names that are taken twice or are no names are faults.
fn unique_blocks<'p>(part: &'p VersionPart, faults: &mut Faults) -> FxHashMap<&'p str, BlockIndex> {
    let mut by_uid = FxHashMap::default();
    let mut sids = FxHashSet::default();
    for (place, block) in part.blocks.iter().enumerate() {
        let at = Place::Block(&block.sid);
        faults.check(at, sid_fault(&block.sid));
        faults.check(at, uid_fault(&block.uid));
        if !sids.insert(block.sid.as_str()) {
            faults.add(at, "found the sid twice, expected it once in a version");
        }
        if by_uid.contains_key(block.uid.as_str()) {
            let rule = format!("found the uid {:?} twice, expected it once", block.uid);
            faults.add(at, rule);
        } else {
            by_uid.insert(block.uid.as_str(), BlockIndex(place as u32));
        }
    }
    let keys = by_uid.keys().map(|uid| (BlockKey::of(uid).0, *uid));
    if let Some((one, other)) = collision(keys) {
        let rule = format!("the uids {one:?} and {other:?} have the same hash, rename one of them");
        faults.add(Place::Version, rule);
    }
    by_uid
}

/// Two different names with one hash.
pub(super) fn collision<'n>(
    names: impl Iterator<Item = (u64, &'n str)>,
) -> Option<(&'n str, &'n str)> {
    let mut seen = FxHashMap::default();
    for (key, name) in names {
        match seen.insert(key, name) {
            Some(other) if other != name => return Some((other, name)),
            _ => {}
        }
    }
    None
}

fn fields(fields: &[FieldPart], faults: &mut OwnFaults<'_>) {
    let mut seen = FxHashSet::default();
    for field in fields {
        if let Some(fault) = sid_fault(&field.sid) {
            faults.add(format!("field: {fault}"));
        }
        if !seen.insert(field.sid.as_str()) {
            faults.add(format!(
                "found the field {:?} twice, expected it once",
                field.sid
            ));
        }
        let (fits, expected) = match field.kind {
            FieldKind::String => (field.value.is_string(), "a string"),
            FieldKind::Number => (field.value.is_number(), "a number"),
            FieldKind::Boolean => (field.value.is_boolean(), "true or false"),
            FieldKind::RichText => (field.value.is_array(), "an array of nodes"),
        };
        if !fits && !field.value.is_null() {
            faults.add(format!(
                "field {:?}: found {}, expected {expected} or null",
                field.sid,
                json_type(&field.value)
            ));
        }
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn entry(condition: &EntryCondition, faults: &mut Faults) -> Entry {
    match condition {
        EntryCondition::Everyone => Entry::Everyone,
        EntryCondition::ApiOnly => Entry::ApiOnly,
        EntryCondition::Expression(source) => match Predicate::parse(source) {
            Ok(predicate) => Entry::Expression(predicate),
            Err(error) => {
                faults.add(Place::Entry, format!("expression {error}"));
                // Never served: the fault keeps the version out.
                Entry::ApiOnly
            }
        },
    }
}

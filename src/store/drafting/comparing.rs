//! What differs between two versions of a flow?
//!
//! Blocks are matched by sid, paths by what they lead from, over and to, and
//! members of blocks by name, as a project file has them. Uids are left out:
//! nobody reads them, and where they matter blocks are not the same block.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::store::{StoreError, export, workspace::AuthoredVersion};

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What kind of thing.
    pub what: Sort,
    /// Which: a block's sid, a path in words; empty for the version as such.
    pub name: String,
    /// Which member of it; empty when all of it is new or gone.
    pub member: String,
    /// None: it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// None: it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Kinds of things in a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// Entry condition, migration, order of blocks.
    Version,
    /// A block.
    Block,
    /// A path.
    Path,
}

/// A version taken apart.
#[derive(Default)]
struct Parts {
    version: Map<String, Value>,
    blocks: BTreeMap<String, Map<String, Value>>,
    paths: BTreeMap<String, usize>,
    /// Sids of blocks as they stand.
    order: Vec<String>,
}

/// Everything that differs, blocks and paths by name. Without anything before,
/// all of it is new.
pub(super) fn compare(
    before: Option<&AuthoredVersion>,
    after: &AuthoredVersion,
) -> Result<Vec<Difference>, StoreError> {
    let is_first = before.is_none();
    let before = before.map(parts).transpose()?.unwrap_or_default();
    let after = parts(after)?;
    let mut found = Vec::new();
    if !is_first {
        of_version(&before, &after, &mut found);
    }
    for (sid, block) in &before.blocks {
        match after.blocks.get(sid) {
            Some(other) => members(Sort::Block, sid, block, other, &mut found),
            None => found.push(whole(Sort::Block, sid, Some(block), None)),
        }
    }
    for (sid, block) in &after.blocks {
        if !before.blocks.contains_key(sid) {
            found.push(whole(Sort::Block, sid, None, Some(block)));
        }
    }
    for (path, count) in &before.paths {
        if after.paths.get(path) < Some(count) {
            found.push(path_difference(path, true));
        }
    }
    for (path, count) in &after.paths {
        if before.paths.get(path) < Some(count) {
            found.push(path_difference(path, false));
        }
    }
    Ok(found)
}

/// Entry and migration, and the order of what both have.
fn of_version(before: &Parts, after: &Parts, found: &mut Vec<Difference>) {
    members(Sort::Version, "", &before.version, &after.version, found);
    let common = |one: &Parts, other: &Parts| -> Value {
        let order = one.order.iter();
        let order = order.filter(|sid| other.blocks.contains_key(*sid));
        order.map(String::as_str).collect()
    };
    let (old, new) = (common(before, after), common(after, before));
    if old != new {
        found.push(Difference {
            what: Sort::Version,
            name: String::new(),
            member: "order".to_owned(),
            before: Some(old),
            after: Some(new),
        });
    }
}

fn whole(
    what: Sort,
    name: &str,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Difference {
    Difference {
        what,
        name: name.to_owned(),
        member: String::new(),
        before: before.cloned().map(Value::Object),
        after: after.cloned().map(Value::Object),
    }
}

fn path_difference(path: &str, gone: bool) -> Difference {
    let there = Value::Bool(true);
    Difference {
        what: Sort::Path,
        name: path.to_owned(),
        member: String::new(),
        before: gone.then(|| there.clone()),
        after: (!gone).then_some(there),
    }
}

fn members(
    what: Sort,
    name: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let new = after.keys().filter(|member| !before.contains_key(*member));
    for member in before.keys().chain(new) {
        let (old, new) = (before.get(member), after.get(member));
        if old == new {
            continue;
        }
        // Fields are what people look at, one by one.
        if let (Some(Value::Object(old)), Some(Value::Object(new)), "fields") =
            (old, new, member.as_str())
        {
            let from = found.len();
            members(what, name, old, new, found);
            for field in found.iter_mut().skip(from) {
                field.member = format!("fields.{}", field.member);
            }
            continue;
        }
        found.push(Difference {
            what,
            name: name.to_owned(),
            member: member.clone(),
            before: old.cloned(),
            after: new.cloned(),
        });
    }
}

fn parts(version: &AuthoredVersion) -> Result<Parts, StoreError> {
    let mut whole = export::version_value(version)?;
    let mut parts = Parts::default();
    let blocks = whole["blocks"].take();
    let paths = whole["paths"].take();
    if let Value::Object(members) = whole {
        parts.version = members
            .into_iter()
            .filter(|(_, own)| !own.is_null())
            .collect();
    }
    let mut order = Vec::new();
    for block in list(blocks) {
        flatten(block, None, &mut parts.blocks, &mut order);
    }
    for path in list(paths) {
        *parts.paths.entry(path_in_words(&path)).or_default() += 1;
    }
    parts.order = order;
    Ok(parts)
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// Items stand beside their container, which they name.
fn flatten(
    block: Value,
    container: Option<&str>,
    blocks: &mut BTreeMap<String, Map<String, Value>>,
    order: &mut Vec<String>,
) {
    let Value::Object(mut members) = block else {
        return;
    };
    members.remove("uid");
    let items = members.remove("items").map(list).unwrap_or_default();
    let sid = members.remove("sid");
    let sid = sid.as_ref().and_then(Value::as_str).unwrap_or_default();
    if let Some(container) = container {
        members.insert("container".to_owned(), container.into());
    }
    order.push(sid.to_owned());
    for item in items {
        flatten(item, Some(sid), blocks, order);
    }
    blocks.insert(sid.to_owned(), members);
}

fn path_in_words(path: &Value) -> String {
    let end = |member: &str| path[member].as_str().unwrap_or_default().to_owned();
    let on = match &path["on"] {
        Value::String(name) => format!(" on {name}"),
        Value::Array(names) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            format!(" on {}", names.join(" and "))
        }
        _ => String::new(),
    };
    format!("{}{on} -> {}", end("from"), end("to"))
}

//! Which uids do a file's blocks and paths have?
//!
//! A uid that the file gives stands. Else the nearest version of the flow that
//! has a block with this sid (or a path between the same ends) lends its own,
//! so that blocks keep their identity across versions and importing a file
//! twice changes nothing. What is new is named anew (see `naming`).

use std::collections::{BTreeMap, HashMap};

use super::{
    Faults,
    blocks::{BlockFile, PathFile},
    by_nearness,
    version::VersionFile,
};
use crate::{
    snapshot::wire::{BlockPart, PathPart, VersionPart},
    store::{
        naming::Naming,
        workspace::{Flow, WebhookSettings},
    },
};

/// The version a file describes, and whom its webhooks call by the blocks'
/// uids. Names that lead nowhere are faults.
pub(super) fn version(
    file: &str,
    flow: &Flow,
    given: VersionFile,
    naming: Naming<'_>,
    faults: &mut Faults,
) -> (VersionPart, BTreeMap<String, WebhookSettings>) {
    let position = given.position(&flow.sid);
    let known = Known::of(flow, given.number, naming);
    let uids: HashMap<String, String> = given
        .blocks
        .iter()
        .map(|block| (block.sid.clone(), known.block_uid(block)))
        .collect();
    let mut blocks = Vec::with_capacity(given.blocks.len());
    let mut webhooks = BTreeMap::new();
    for block in given.blocks {
        let place = format!("{position}, block {:?}", block.sid);
        let container = block.container.and_then(|sid| {
            let uid = uids.get(&sid).cloned();
            if uid.is_none() {
                faults.add(
                    file,
                    &place,
                    format!("its container {sid:?} is not a block of this version"),
                );
            }
            uid
        });
        let uid = uids.get(&block.sid).cloned().unwrap_or_default();
        webhooks.extend(block.webhook.map(|settings| (uid.clone(), settings)));
        blocks.push(BlockPart {
            uid,
            sid: block.sid,
            kind: block.kind,
            container,
            transitions: block.transitions,
            expression: block.expression,
            trigger: block.trigger,
            fields: block.fields,
        });
    }
    let paths = paths(file, &position, given.paths, (&known, &uids), faults);
    let part = VersionPart {
        flow_uid: flow.uid.clone(),
        flow_sid: flow.sid.clone(),
        number: given.number,
        migration: given.migration,
        entry: given.entry,
        blocks,
        paths,
    };
    (part, webhooks)
}

/// The paths of a version, their ends looked up.
fn paths(
    file: &str,
    position: &str,
    given: Vec<PathFile>,
    (known, uids): (&Known<'_>, &HashMap<String, String>),
    faults: &mut Faults,
) -> Vec<PathPart> {
    let mut paths = Vec::with_capacity(given.len());
    for (ordinal, path) in (1_usize..).zip(given) {
        let mut end = |sid: &str| {
            let uid = uids.get(sid).cloned();
            if uid.is_none() {
                faults.add(
                    file,
                    &format!("{position}, path {ordinal}"),
                    format!("{sid:?} is not a block of this version"),
                );
            }
            uid.unwrap_or_default()
        };
        let from = path.from.as_deref().map(&mut end);
        let to = end(&path.to);
        let uid = known.path_uid(&path, from.as_deref(), &to);
        paths.push(PathPart {
            uid,
            from,
            on: path.on,
            to,
        });
    }
    paths
}

/// Source uid, target uid and names of a path.
type Ends<'a> = (Option<&'a str>, &'a str, &'a [String]);

/// What the flow's versions know, the nearest first.
struct Known<'a> {
    flow: &'a Flow,
    naming: Naming<'a>,
    blocks: HashMap<&'a str, &'a str>,
    paths: HashMap<Ends<'a>, &'a str>,
}

impl<'a> Known<'a> {
    fn of(flow: &'a Flow, number: u32, naming: Naming<'a>) -> Self {
        let mut known = Self {
            flow,
            naming,
            blocks: HashMap::new(),
            paths: HashMap::new(),
        };
        for part in by_nearness(flow, number) {
            for block in &part.blocks {
                known.blocks.entry(&block.sid).or_insert(&block.uid);
            }
            for path in &part.paths {
                known.paths.entry(ends(path)).or_insert(&path.uid);
            }
        }
        known
    }

    fn block_uid(&self, block: &BlockFile) -> String {
        block.uid.clone().unwrap_or_else(|| {
            let known = self.blocks.get(block.sid.as_str());
            let fresh = || self.naming.uid("block", &[&self.flow.uid, &block.sid]);
            known.map_or_else(fresh, |uid| (*uid).to_owned())
        })
    }

    fn path_uid(&self, path: &PathFile, from: Option<&str>, to: &str) -> String {
        path.uid.clone().unwrap_or_else(|| {
            let known = self.paths.get(&(from, to, path.on.as_slice()));
            let fresh = || {
                let mut names = vec![self.flow.uid.as_str(), from.unwrap_or_default(), to];
                names.extend(path.on.iter().map(String::as_str));
                self.naming.uid("path", &names)
            };
            known.map_or_else(fresh, |uid| (*uid).to_owned())
        })
    }
}

fn ends(path: &PathPart) -> Ends<'_> {
    (path.from.as_deref(), &path.to, &path.on)
}

//! What does a version say of one block, looked up the slow way?
//!
//! Lists are searched from their beginning, every time.

use flowgate::snapshot::wire::{BlockKind, BlockPart, VersionPart};

use super::State;

/// The block with this uid.
pub(super) fn part<'v>(version: &'v VersionPart, uid: &str) -> &'v BlockPart {
    let found = version.blocks.iter().find(|block| block.uid == uid);
    found.expect("a block of the version")
}

/// The transition names of a block.
pub(super) fn names(version: &VersionPart, uid: &str) -> Vec<String> {
    let part = part(version, uid);
    let fixed: &[&str] = match part.kind {
        BlockKind::Custom => return part.transitions.clone(),
        BlockKind::ChecklistItem => &["complete", "skip"],
        BlockKind::TourItem => &["next", "previous"],
        BlockKind::Boolean => &["true", "false"],
        BlockKind::Finish => &[],
        BlockKind::Gate | BlockKind::Webhook | BlockKind::FlowTrigger => &["done"],
        _ => &["complete", "dismiss"],
    };
    fixed.iter().map(|name| (*name).to_owned()).collect()
}

/// Gates of a running flow whose paths were all taken, and nobody asked them.
/// Hashes of uids order states, and so these.
pub(super) fn shut_gates(version: &VersionPart, state: &State) -> Vec<String> {
    if state.stopped || state.finished {
        return Vec::new();
    }
    let gates = version.blocks.iter().filter(|block| {
        let known = state.blocks.get(&block.uid);
        block.kind == BlockKind::Gate
            && known.is_some_and(|own| {
                let all = incoming(version, &block.uid);
                !own.exited && !all.is_empty() && all.iter().all(|path| own.taken.contains(path))
            })
    });
    gates.map(|block| block.uid.clone()).collect()
}

/// The uids of all paths that lead to a block.
pub(super) fn incoming(version: &VersionPart, uid: &str) -> Vec<String> {
    let paths = version.paths.iter().filter(|path| path.to == uid);
    paths.map(|path| path.uid.clone()).collect()
}

/// The items of a container in their order.
pub(super) fn items(version: &VersionPart, uid: &str) -> Vec<String> {
    let own = version
        .blocks
        .iter()
        .filter(|block| block.container.as_deref() == Some(uid));
    let mut own: Vec<(f64, String)> = own
        .map(|block| {
            let index = block
                .fields
                .iter()
                .find(|field| field.sid == "display-index");
            let index = index.and_then(|field| field.value.as_f64());
            (index.unwrap_or(f64::INFINITY), block.uid.clone())
        })
        .collect();
    own.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    own.into_iter().map(|(_, uid)| uid).collect()
}

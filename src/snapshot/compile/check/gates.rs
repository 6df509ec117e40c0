//! Can this gate ever be passed?
//!
//! A gate waits for all of its paths. Where two of them lie behind different
//! sides of one block that is reached once, only one is ever taken. That is a
//! warning and no fault: nothing breaks, the gate just stays shut, and a call
//! that names both transitions of a shown block does open it.

use rustc_hash::FxHashMap;

use super::Place;
use crate::{
    limits::{BLOCKS_PER_VERSION_MAX, PATHS_PER_VERSION_MAX, WARNING_STEPS_MAX},
    snapshot::{
        compile::VersionFault,
        wire::{BlockKind, PathPart, VersionPart},
    },
};

/// Reached without passing the block in question.
const FREE: u64 = 1 << 63;

/// Names one `u64` tells apart beside [`FREE`].
const NAMES_MAX: usize = 63;

/// Gates whose paths exclude each other, in document order of what makes them
/// exclude each other.
pub(in crate::snapshot::compile) fn warnings(part: &VersionPart) -> Vec<VersionFault> {
    let has_gates = part
        .blocks
        .iter()
        .any(|block| block.kind == BlockKind::Gate);
    if !has_gates
        || part.blocks.len() > BLOCKS_PER_VERSION_MAX
        || part.paths.len() > PATHS_PER_VERSION_MAX
    {
        return Vec::new();
    }
    let graph = Graph::of(part);
    let repeated = graph.repeated();
    let mut steps = WARNING_STEPS_MAX;
    let mut found = Vec::new();
    for (decides, repeated) in repeated.into_iter().enumerate() {
        if repeated || graph.names(decides).len() < 2 {
            continue;
        }
        // What lies beyond is left unsaid rather than kept waiting for.
        let Some(sides) = graph.sides(decides, &mut steps) else {
            break;
        };
        found.extend(graph.shut_gates(decides, &sides));
    }
    found
}

/// Blocks and paths by place.
struct Graph<'p> {
    part: &'p VersionPart,
    /// Path places by the gate they lead to.
    to_gates: Vec<(usize, Vec<usize>)>,
    /// Outgoing paths of each block.
    outgoing: Vec<Vec<usize>>,
    /// Items of each container: they are entered with it.
    items: Vec<Vec<usize>>,
    by_uid: FxHashMap<&'p str, usize>,
}

impl<'p> Graph<'p> {
    fn of(part: &'p VersionPart) -> Self {
        let count = part.blocks.len();
        let blocks = part.blocks.iter().enumerate();
        let by_uid: FxHashMap<&str, usize> = blocks
            .clone()
            .map(|(place, block)| (block.uid.as_str(), place))
            .collect();
        let mut incoming: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut outgoing = incoming.clone();
        let mut items = incoming.clone();
        for (place, path) in part.paths.iter().enumerate() {
            if let Some(to) = by_uid.get(path.to.as_str()) {
                incoming[*to].push(place);
            }
            let from = path.from.as_deref().and_then(|uid| by_uid.get(uid));
            if let Some(from) = from {
                outgoing[*from].push(place);
            }
        }
        for (place, block) in blocks.clone() {
            let container = block.container.as_deref().and_then(|uid| by_uid.get(uid));
            if let Some(container) = container {
                items[*container].push(place);
            }
        }
        let gates = blocks.filter(|(_, block)| block.kind == BlockKind::Gate);
        Self {
            part,
            to_gates: gates
                .map(|(place, _)| (place, std::mem::take(&mut incoming[place])))
                .collect(),
            outgoing,
            items,
            by_uid,
        }
    }

    fn path(&self, place: usize) -> &'p PathPart {
        &self.part.paths[place]
    }

    /// Blocks that are entered because this one was.
    fn next(&self, block: usize) -> impl Iterator<Item = usize> + '_ {
        let paths = self.outgoing[block].iter();
        let targets = paths.filter_map(|path| self.by_uid.get(self.path(*path).to.as_str()));
        targets.chain(&self.items[block]).copied()
    }

    /// Which blocks stand on a cycle or behind one, and so may be left by one
    /// name now and by another later.
    fn repeated(&self) -> Vec<bool> {
        let count = self.part.blocks.len();
        let mut before = vec![0_usize; count];
        for block in 0..count {
            self.next(block).for_each(|next| before[next] += 1);
        }
        let mut repeated = vec![true; count];
        let mut ready: Vec<usize> = (0..count).filter(|block| before[*block] == 0).collect();
        while let Some(block) = ready.pop() {
            repeated[block] = false;
            for next in self.next(block) {
                before[next] -= 1;
                if before[next] == 0 {
                    ready.push(next);
                }
            }
        }
        repeated
    }

    /// The names that lead somewhere from a block.
    fn names(&self, block: usize) -> Vec<&'p str> {
        let mut names = Vec::new();
        for path in &self.outgoing[block] {
            for name in &self.path(*path).on {
                if !names.contains(&name.as_str()) && names.len() < NAMES_MAX {
                    names.push(name.as_str());
                }
            }
        }
        names
    }

    /// The names of a path as bits.
    fn bits(names: &[&str], path: &PathPart) -> u64 {
        let bit = |name: &String| names.iter().position(|own| own == name);
        let bits = path.on.iter().filter_map(bit);
        bits.fold(0, |bits, place| bits | 1 << place)
    }

    /// For every block, the names of the deciding one that may have led to it;
    /// none when that takes more steps than are left.
    fn sides(&self, decides: usize, steps: &mut usize) -> Option<Vec<u64>> {
        let names = self.names(decides);
        let mut sides = vec![0_u64; self.part.blocks.len()];
        let mut waiting = Vec::new();
        let mut reach = |sides: &mut Vec<u64>, waiting: &mut Vec<usize>, block: usize, bits| {
            *steps = steps.checked_sub(1)?;
            if block != decides && sides[block] | bits != sides[block] {
                sides[block] |= bits;
                waiting.push(block);
            }
            Some(())
        };
        let paths = self.part.paths.iter();
        for path in paths.filter(|path| path.from.is_none()) {
            if let Some(to) = self.by_uid.get(path.to.as_str()) {
                reach(&mut sides, &mut waiting, *to, FREE)?;
            }
        }
        for path in &self.outgoing[decides] {
            let path = self.path(*path);
            if let Some(to) = self.by_uid.get(path.to.as_str()) {
                reach(&mut sides, &mut waiting, *to, Self::bits(&names, path))?;
            }
        }
        for item in &self.items[decides] {
            reach(&mut sides, &mut waiting, *item, FREE)?;
        }
        while let Some(block) = waiting.pop() {
            for next in self.next(block) {
                let bits = sides[block];
                reach(&mut sides, &mut waiting, next, bits)?;
            }
        }
        Some(sides)
    }

    /// Gates with two paths behind different sides of this block.
    fn shut_gates(&self, decides: usize, sides: &[u64]) -> Vec<VersionFault> {
        let names = self.names(decides);
        let side = |place: usize| {
            let path = self.path(place);
            let from = *self.by_uid.get(path.from.as_deref()?)?;
            let bits = if from == decides {
                Self::bits(&names, path)
            } else {
                sides[from]
            };
            // Nothing leads to it, or something leads past the block.
            (bits != 0 && bits & FREE == 0).then_some((bits, place))
        };
        let block = &self.part.blocks[decides];
        let mut found = Vec::new();
        for (gate, paths) in &self.to_gates {
            let mut behind: Vec<(u64, usize)> = paths.iter().copied().filter_map(side).collect();
            // One path for each side is enough, the first in the document.
            behind.sort_unstable();
            behind.dedup_by_key(|(bits, _)| *bits);
            let pair = behind.iter().enumerate().find_map(|(at, (bits, one))| {
                let mut others = behind[at + 1..].iter();
                let other = others.find(|(other, _)| bits & other == 0)?;
                Some((*one.min(&other.1), *one.max(&other.1)))
            });
            if let Some((one, other)) = pair {
                let unless = match block.kind {
                    BlockKind::Boolean => "",
                    _ => " unless a call names both",
                };
                found.push(VersionFault {
                    place: Place::Block(&self.part.blocks[*gate].sid).to_string(),
                    rule: format!(
                        "waits for the paths {:?} and {:?}, of which block {:?} takes only one{unless}: a gate is passed when all of its paths were taken",
                        self.path(one).uid,
                        self.path(other).uid,
                        block.sid
                    ),
                });
            }
        }
        found
    }
}
